"""The generated appendix pages: current, complete, linked, and scored."""

import json
import re
from pathlib import Path

import pytest

from actbook import audit
from actbook.audit.records import Prediction
from bookmaker import layout, pages


def test_the_committed_pages_are_current() -> None:
    assert pages.stale() == [], "run `python -m bookmaker pages`"


def test_every_record_is_on_the_page_with_its_target() -> None:
    text = pages.audit_page()
    targets = re.findall(r"^\(audit-(\d{3}-\d{3})\)=$", text, flags=re.MULTILINE)
    assert sorted(targets) == sorted(audit.claims)
    for claim in audit.claims.values():
        assert pages.escape(claim.claim) in text and pages.escape(claim.correct) in text


def test_the_table_counts_verdicts_and_what_is_missing() -> None:
    text = pages.audit_page()
    for number, document in audit.documents.items():
        counts = audit.count(document=number)
        cells = [*counts.values(), sum(counts.values()), document.statements]
        row = f"| {number} (part {document.part}) | " + " | ".join(map(str, cells)) + " |"
        assert row in text
    assert f"So far {len(audit.claims)} of 548 statements" in text


def notebook(folder: Path, name: str) -> None:
    path = folder / "book" / "part2" / f"{name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"cells": []}), encoding="utf-8")


def test_records_link_to_their_box_in_a_written_chapter_only(tmp_path: Path) -> None:
    notebook(tmp_path, "05_sigmoid_tanh")
    text = pages.audit_page(tmp_path)
    link = '<a href="../part2/05_sigmoid_tanh.html#decided-001-049">chapter 5</a>'
    assert link in text
    assert "chapter 6 (planned)" in text and "chapter 5 (planned)" not in text


def decided_in(path: Path) -> set[str]:
    """The ids that the code cells of a notebook decide."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    return set(re.findall(r"""["'](\d{3}-\d{3})["']""", code))


@pytest.mark.parametrize("chapter", sorted({claim.chapter for claim in audit.claims.values()}))
def test_every_claim_of_a_written_chapter_is_decided_there(chapter: str) -> None:
    found = [p for p in layout.notebooks() if p.stem.startswith(f"{chapter}_")]
    if not found:
        pytest.skip(f"chapter {chapter} is not written yet")
    claims = {claim.id for claim in audit.select(chapter=chapter)}
    assert claims - decided_in(found[0]) == set()


def prediction(identifier: str, probability: float, outcome: str) -> Prediction:
    return Prediction(
        id=identifier,
        chapter=identifier[1:3],
        claim=f"The claim of {identifier}.",
        size="2 to 3",
        probability=probability,
        written="2026-01-02",
        outcome=outcome,
        measured="" if outcome == "open" else "2.4",
        lesson="",
    )


def test_predictions_are_listed_in_order_and_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    records = [
        prediction("P06-10", 0.9, "came_true"),
        prediction("P06-2", 0.7, "false"),
        prediction("P05-1", 0.6, "open"),
    ]
    monkeypatch.setattr(audit, "predictions", {p.id: p for p in records})
    text = pages.predictions_page()
    assert re.findall(r"\(prediction-(P[\d-]+)\)=", text) == ["P05-1", "P06-2", "P06-10"]
    # (0.1² + 0.7²) / 2 = 0.25; the open one does not count.
    assert "Of 2 scored predictions 1 came true (50%)" in text
    assert "**0.250**" in text and "promised 80%" in text
    assert "| 60% to 80% | 1 | 70% | 0% |" in text and "| 80% to 100% | 1 | 90% | 100% |" in text


def test_no_predictions_make_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "predictions", {})
    assert "No outcome is known yet." in pages.predictions_page()


def test_markup_in_a_record_is_escaped() -> None:
    assert pages.escape("a*b_c <d> $e$ [f]") == r"a\*b\_c \<d\> \$e\$ \[f\]"


def test_stale_pages_are_found_and_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = pages.write(tmp_path)
    assert names == list(pages.PAGES) and pages.stale(tmp_path) == []
    assert pages.write(tmp_path) == []
    (tmp_path / names[0]).write_text("old", encoding="utf-8")
    assert pages.stale(tmp_path) == [names[0]]
    assert pages.main(["--else"]) == 2
    assert "--check" in capsys.readouterr().err
