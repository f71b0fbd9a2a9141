"""Deciding claims and scoring predictions: computed evidence passes, everything else is refused."""

import math
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import sympy as sp

from actbook import audit
from actbook.audit import decisions
from actbook.audit.boxes import Box, label
from actbook.audit.records import Prediction

SIGMOID_2 = 1 / (1 + math.exp(-2))
NEAR = abs(SIGMOID_2 - 0.869) < 0.0005  # false: the claim of 001-049
RIGHT = sp.simplify(sp.tanh(sp.Symbol("x")).rewrite(sp.exp).subs("x", 0)) == 0


def prediction(identifier: str = "P05-1", probability: float = 0.8, outcome: str = "came_true"):
    return Prediction(
        id=identifier,
        chapter=identifier[1:3],
        claim="The slope falls below a tenth.",
        size="at 3 to 5",
        probability=probability,
        written="2026-01-02",
        outcome=outcome,
        measured="" if outcome == "open" else "at 3.6",
        lesson="",
    )


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> dict[str, Prediction]:
    """A table of predictions in place of the shipped one."""
    table = {
        "P05-1": prediction(),
        "P05-2": prediction("P05-2", outcome="false"),
        "P05-3": prediction("P05-3", outcome="open"),
    }
    monkeypatch.setattr(decisions, "predictions", table)
    return table


# What counts as evidence


def test_computed_evidence_decides() -> None:
    assert audit.decide("001-049", holds=NEAR).claim.verdict == "fails"
    assert audit.decide("001-042", holds=np.bool_(SIGMOID_2 > 0)).mark == "holds"
    assert audit.decide("001-042", holds=sp.Lt(sp.Rational(1, 3), SIGMOID_2)).mark == "holds"
    assert audit.decide("001-049", holds=(np.array([SIGMOID_2]) < 0.8).all()).mark == "fails"


def test_a_record_that_disagrees_raises() -> None:
    with pytest.raises(audit.AuditError, match=r"001-049: the check says that the claim holds"):
        audit.decide("001-049", holds=not NEAR)
    with pytest.raises(audit.AuditError, match=r"001-042: the check says that the claim fails"):
        audit.decide("001-042", holds=NEAR)


def test_cases_must_be_those_of_the_record() -> None:
    small, tiny = 1 - SIGMOID_2 < 0.2, 1 - SIGMOID_2 < 0.1
    box = audit.decide("001-052", holds={"within 0.2 of 1": small, "within 0.1 of 1": tiny})
    assert "within 0.2 of 1: holds; within 0.1 of 1: fails" in repr(box)
    with pytest.raises(audit.AuditError, match=r"disagree on 'within 0\.2 of 1'"):
        audit.decide("001-052", holds={"within 0.2 of 1": tiny, "within 0.1 of 1": tiny})
    with pytest.raises(audit.AuditError, match="has the cases"):
        audit.decide("001-052", holds={"within 0.2 of 1": small})
    with pytest.raises(audit.AuditError, match="takes a dictionary"):
        audit.decide("001-052", holds=small)
    with pytest.raises(audit.AuditError, match="has no cases"):
        audit.decide("001-049", holds={"here": NEAR})


def test_the_kind_of_evidence_must_fit() -> None:
    with pytest.raises(audit.AuditError, match="decided by check"):
        audit.decide("001-049", cites="kingma2015adam")
    with pytest.raises(audit.AuditError, match="decided by check"):
        audit.decide("001-049")
    with pytest.raises(audit.AuditError, match="decided by source: give cites= one of"):
        audit.decide("001-071", holds=NEAR)
    with pytest.raises(audit.AuditError, match="does not cite 'kingma2015adam'"):
        audit.decide("001-071", cites="kingma2015adam")
    with pytest.raises(audit.AuditError, match="decided by none"):
        audit.decide("001-074", holds=NEAR)
    assert "Tensorflow 2021" in repr(audit.decide("001-071", cites="tensorflow2021software"))
    assert audit.decide("001-074").mark == "uncheckable"


@pytest.mark.parametrize(
    "value",
    [1, 0.5, "yes", None, [True], np.array([True, False]), np.int64(1), sp.Symbol("x") > 0],
    ids=repr,
)
def test_only_truth_values_are_evidence(value: object) -> None:
    with pytest.raises(audit.AuditError):
        audit.decide("001-042", holds=value)


def test_tensors_are_refused_with_a_hint() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    with pytest.raises(audit.AuditError, match=r"\.item\(\)"):
        audit.decide("001-042", holds=torch.tensor(SIGMOID_2) > 0)


def test_unknown_ids_offer_the_nearest() -> None:
    with pytest.raises(audit.UnknownRecord, match="001-049"):
        audit.decide("001-0490", holds=NEAR)
    with pytest.raises(KeyError):
        audit.predict("P99-9")


# Literals, judged in source files of their own

HEAD = """\
import math, numpy as np, sympy as sp
from actbook import audit
x = sp.Symbol("x", real=True)
value = 1 / (1 + math.exp(-2))
claimed = 0.869
yes = True
also = yes
table = {"a": True, "b": value > 0}
good = {"a": value > 0, "b": value < 2}
close = lambda a, b: abs(a - b) < 1e-9
def agree(): return True
def measured(): return value > 0.5
def within(a, b, tolerance=1e-9): return abs(a - b) < tolerance
"""
REFUSED = [
    "True",
    "not False",
    "1 == 1",
    "bool(1)",
    "np.bool_(True)",
    "np.True_",
    "sp.true",
    "sp.S.true",
    "sp.sympify(True)",
    "yes",
    "also",
    "not not yes",
    "value > 0 or True",
    "True if value else False",
    "(lambda: True)()",
    "agree()",
    "table['a']",
    "all([True, True])",
    "any([value < 0, True])",
    "max(1, 2) == 2",
    "(found := True)",
    "[True][0]",
]
ALLOWED = [
    "value > 0",
    "abs(value - claimed) > 1e-3",
    "bool(value)",
    "sp.simplify(sp.tanh(x) - (2 / (1 + sp.exp(-2 * x)) - 1).rewrite(sp.tanh)) == 0 or value > 0",
    "good['a']",
    "measured()",
    "within(value, value)",
    "close(value, value)",
    "all(v > 0 for v in (value, claimed))",
    "(value > 0) is True",
    "not value < 0",
    "0 < value < 1",
    "np.isfinite(value)",
    "math.isclose(0.1 + 0.2, 0.3)",
    "np.array_equal([value], [value])",
    "sp.S(0) < x**2 + 1",
]


def run_file(folder: Path, source: str) -> subprocess.CompletedProcess[str]:
    script = folder / "cell.py"
    script.write_text(HEAD + source + "\n", encoding="utf-8")
    return subprocess.run([sys.executable, str(script)], capture_output=True, text=True)


def run_all(folder: Path, expressions: list[str]) -> list[str]:
    """The message of each call, empty where it is taken, all in one process."""
    calls = "".join(
        f"try:\n    audit.decide('001-042', holds={e})\n    print()\n"
        f"except audit.AuditError as error:\n    print(str(error).replace(chr(10), ' '))\n"
        for e in expressions
    )
    done = run_file(folder, calls)
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\n")[: len(expressions)]


def test_literals_are_refused(tmp_path: Path) -> None:
    messages = dict(zip(REFUSED, run_all(tmp_path, REFUSED), strict=True))
    taken = [e for e, message in messages.items() if "written down, not computed" not in message]
    assert not taken


def test_computed_expressions_are_taken(tmp_path: Path) -> None:
    messages = dict(zip(ALLOWED, run_all(tmp_path, ALLOWED), strict=True))
    assert not {e: message for e, message in messages.items() if message}


def test_literals_in_cases_are_refused(tmp_path: Path) -> None:
    for cases in (
        "{'within 0.2 of 1': True, 'within 0.1 of 1': value > 0.9}",
        "dict([('within 0.2 of 1', True), ('within 0.1 of 1', False)])",
        "{'within 0.2 of 1': value > 0} | {'within 0.1 of 1': False}",
        "cases",
    ):
        assigned = "cases = {'within 0.2 of 1': True, 'within 0.1 of 1': value > 0.9}\n"
        done = run_file(tmp_path, assigned + f"audit.decide('001-052', holds={cases})")
        assert "written down, not computed" in done.stderr, cases


def test_evidence_hidden_from_the_source_is_refused(tmp_path: Path) -> None:
    for source, message in (
        ("audit.decide(*['001-042'], **{'holds': value > 0})", "in the call itself"),
        ("exec(\"audit.decide('001-042', holds=value > 0)\")", "could not read the source"),
        ("list(map(lambda f: f('001-042', holds=value > 0), [audit.decide]))[0]; print('ok')", ""),
    ):
        done = run_file(tmp_path, source)
        assert message in done.stderr if message else done.stdout == "ok\n", source


def test_a_call_in_a_comprehension_or_over_several_lines_is_found() -> None:
    checks = {"001-049": NEAR, "001-042": RIGHT}
    boxes = [audit.decide(key, holds=checks[key]) for key in checks]
    assert [box.mark for box in boxes] == ["fails", "holds"]
    box = audit.decide(
        "001-049",
        holds=abs(SIGMOID_2 - 0.869) < 0.0005,
    )
    assert box.mark == "fails"


def shell():
    """An interactive shell that remembers its cells, as a notebook's kernel does."""
    module = pytest.importorskip("IPython.core.interactiveshell", reason="IPython is not installed")
    from traitlets.config import Config

    config = Config()
    config.HistoryManager.enabled = False
    return module.InteractiveShell(config=config)


def run_cell(ip, source: str):
    result = ip.run_cell(source, store_history=True)
    return result.result, result.error_in_exec


def test_cells_of_a_notebook_are_read() -> None:
    ip = shell()
    _, error = run_cell(ip, HEAD)
    assert error is None
    box, error = run_cell(ip, "audit.decide('001-042', holds=value > 0)")
    assert error is None and box.mark == "holds"
    _, error = run_cell(ip, "audit.decide('001-042', holds=True)")
    assert isinstance(error, audit.AuditError)
    _, error = run_cell(ip, "audit.decide('001-042', holds=yes)  # assigned in an earlier cell")
    assert "written down" in str(error)
    _, error = run_cell(ip, "yes = value > 0")
    box, error = run_cell(ip, "%time 1\naudit.decide('001-042', holds=yes)")
    assert error is None and box.mark == "holds"


# What the boxes show


class Balanced(HTMLParser):
    """Fails on tags that are not closed in order; collects text and attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.ids: list[str] = []
        self.classes: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        values = dict(attrs)
        if values.get("id"):
            self.ids.append(str(values["id"]))
        self.classes += str(values.get("class") or "").split()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(box: object) -> Balanced:
    parser = Balanced()
    parser.feed(box._repr_html_())  # type: ignore[attr-defined]
    parser.close()
    assert not parser.open
    return parser


def test_a_verdict_shows_place_claim_verdict_and_truth_in_every_form() -> None:
    box = audit.decide("001-049", holds=NEAR)
    claim = audit.claims["001-049"]
    html = parsed(box)
    for form in (html.text, box._repr_markdown_(), repr(box)):
        for part in ("001-049", "001 §4.3", claim.claim, "fails", claim.correct):
            assert part in form
    assert {"actbook-box", "verdict", "fails"} <= set(html.classes)
    assert html.ids == ["decided-001-049"]
    assert repr(box) == repr(audit.decide("001-049", holds=NEAR))


def test_every_record_makes_a_sound_box() -> None:
    from actbook.audit.boxes import Verdict

    for claim in audit.claims.values():
        html = parsed(Verdict(claim, answers=claim.cases, sources=claim.cites))
        assert claim.claim in html.text and claim.correct in html.text


def test_fold_counts_and_closes() -> None:
    boxes = [audit.decide(key, holds=NEAR) for key in ("001-049", "001-050")]
    folded = audit.fold(boxes, audit.decide("001-042", holds=RIGHT))
    html = parsed(folded)
    assert html.text.startswith("3 more verdicts: 1 hold, 2 fail")
    assert html.ids == ["decided-001-049", "decided-001-050", "decided-001-042"]
    assert "<details" in folded._repr_html_() and " open" not in folded._repr_html_()
    assert repr(folded).count("Claim:") == 3
    assert audit.fold(boxes, title="The rest").summary == "The rest"
    for nothing in ([], ["001-049"]):
        with pytest.raises(audit.AuditError, match="fold takes the values"):
            audit.fold(nothing)


def test_a_prediction_hides_its_outcome_and_a_score_shows_it(recorded) -> None:
    before, after = audit.predict("P05-1"), audit.score("P05-1", came_true=SIGMOID_2 > 0)
    assert isinstance(before, Box)
    assert "80%" in repr(before) and "at 3 to 5" in repr(before)
    assert "3.6" not in repr(before) and "came true" not in parsed(before).text
    assert "at 3.6" in repr(after) and "came true" in parsed(after).text
    assert {"actbook-box", "prediction"} <= set(parsed(before).classes)
    assert {"actbook-box", "outcome"} <= set(parsed(after).classes)
    missed = audit.score("P05-2", came_true=NEAR)
    assert "did not come true" in parsed(missed).text


def test_scores_that_disagree_or_are_written_down_are_refused(recorded) -> None:
    with pytest.raises(audit.AuditError, match="the record says 'came_true'"):
        audit.score("P05-1", came_true=NEAR)
    with pytest.raises(audit.AuditError, match="P05-3 is open, and the check says false"):
        audit.score("P05-3", came_true=NEAR)
    with pytest.raises(audit.AuditError, match="written down"):
        audit.score("P05-1", came_true=True)


def test_labels_of_citations() -> None:
    assert label("nair2010rectified") == "Nair 2010"
    assert label("odd") == "odd"


# Scores against known answers


def test_brier_of_known_forecasts() -> None:
    always = [prediction(probability=0.5), prediction(probability=0.5, outcome="false")]
    assert audit.brier(always) == 0.25
    # Four forecasts by hand: 0.04 + 0.01 + 0.49 + 0.25 = 0.79, over four.
    forecasts = [(0.8, True), (0.1, False), (0.7, False), (0.5, True)]
    records = [
        prediction(probability=p, outcome="came_true" if o else "false") for p, o in forecasts
    ]
    assert audit.brier(records) == pytest.approx(0.79 / 4)
    assert audit.hit_rate(records) == 0.5
    assert audit.brier([*records, prediction(outcome="open")]) == pytest.approx(0.79 / 4)
    assert audit.brier([]) is None and audit.hit_rate([prediction(outcome="open")]) is None


def test_brier_agrees_with_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    rng = np.random.default_rng(0)
    probabilities, outcomes = rng.uniform(0.01, 0.99, 200), rng.integers(0, 2, 200).astype(bool)
    records = [
        prediction(probability=float(p), outcome="came_true" if o else "false")
        for p, o in zip(probabilities, outcomes, strict=True)
    ]
    assert audit.brier(records) == pytest.approx(metrics.brier_score_loss(outcomes, probabilities))


def test_calibration_of_a_calibrated_forecaster() -> None:
    rng = np.random.default_rng(1)
    probabilities = rng.uniform(0.02, 0.98, 20_000)
    outcomes = rng.uniform(size=20_000) < probabilities
    records = [
        prediction(probability=float(p), outcome="came_true" if o else "false")
        for p, o in zip(probabilities, outcomes, strict=True)
    ]
    bins = audit.calibration(records)
    assert [b.low for b in bins] == [0.0, 0.2, 0.4, 0.6, 0.8]
    assert sum(b.size for b in bins) == len(records)
    assert all(abs(b.expected - b.observed) < 0.03 for b in bins)
    # A calibrated forecaster's expected score is the mean of p (1 − p).
    expected = float(np.mean(probabilities * (1 - probabilities)))
    assert audit.brier(records) == pytest.approx(expected, abs=0.01)


def test_calibration_puts_edges_into_the_upper_bin() -> None:
    (only,) = audit.calibration([prediction(probability=0.8)])
    assert (only.low, only.high, only.size, only.observed) == (0.8, 1.0, 1, 1.0)
    assert audit.calibration([]) == []
    with pytest.raises(audit.AuditError, match="edges rise"):
        audit.calibration([], edges=(0.0, 0.5))


def test_deciding_prints_nothing_and_needs_no_network(tmp_path: Path) -> None:
    done = run_file(tmp_path, "audit.decide('001-042', holds=value > 0)")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not re.search(r"https?://|registry", " ".join(c.correct for c in audit.claims.values()))
