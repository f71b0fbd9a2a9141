"""The records: valid by the schema, complete for the finished chapters, refused when malformed."""

import copy
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from actbook import audit
from actbook.audit.records import parse_claims, parse_predictions

FOLDER = Path(audit.__file__).parent
FILES = sorted(FOLDER.glob("*.yaml"))
# Sections that chapters 5 and 6 treat, each with as many records as it must at least have.
TREATED = {
    "001": {"4.1": 3, "4.2": 4, "4.3": 7, "5.1": 1, "5.2": 2, "5.3": 7, "5.4": 26},
    "004": {"1.3.1": 10, "1.3.2": 9, "1.4.1": 3, "1.4.2": 2, "1.6.1": 3},
}
# The independent count of the documents' checkable statements.
COUNTED = {"000": 113, "001": 99, "002": 194, "003": 82, "004": 60}


def read(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def validator() -> jsonschema.Draft202012Validator:
    schema = audit.schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_files_are_valid(path: Path) -> None:
    data = read(path)
    errors = [f"{list(e.absolute_path)}: {e.message[:200]}" for e in validator().iter_errors(data)]
    assert not errors


def test_every_document_has_its_file_and_count() -> None:
    assert {number: d.statements for number, d in audit.documents.items()} == COUNTED
    assert {path.stem for path in FILES} == {*COUNTED, "predictions"}


def test_schema_and_code_name_the_same_values() -> None:
    definitions = audit.schema()["$defs"]
    claim = definitions["claim"]["properties"]
    assert tuple(claim["kind"]["enum"]) == audit.KINDS
    assert tuple(claim["verdict"]["enum"]) == audit.VERDICTS
    assert tuple(definitions["prediction"]["properties"]["outcome"]["enum"]) == audit.OUTCOMES


@pytest.mark.parametrize("document", TREATED)
def test_treated_sections_are_recorded(document: str) -> None:
    counts = {s: len(audit.select(document=document, section=s)) for s in TREATED[document]}
    assert all(counts[section] >= least for section, least in TREATED[document].items()), counts


def test_ids_rise_and_no_text_is_repeated_within_a_document() -> None:
    for number in audit.documents:
        ids = [claim.id for claim in audit.select(document=number)]
        assert ids == sorted(ids)
        texts = [claim.claim for claim in audit.select(document=number)]
        assert len(texts) == len(set(texts))


def test_texts_are_english_and_ours() -> None:
    for claim in audit.claims.values():
        for text in (claim.claim, claim.correct, claim.how):
            assert not re.search(r"[\u3000-\u9fff]", text), claim.id
            assert "\n" not in text, claim.id


def test_select_takes_sections_with_all_below_them() -> None:
    below = {claim.section for claim in audit.select(document="004", section="1.3")}
    assert below == {"1.3.1", "1.3.2"}
    assert audit.select(document="001", section="4.3") != audit.select(document="001", section="4")
    assert audit.select(document="004", section="1.") == []
    questions = {claim.section for claim in audit.select(document="002", section="9")}
    assert questions == {"9 Q7"}
    with pytest.raises(audit.AuditError, match="no verdict 'maybe'"):
        audit.select(verdict="maybe")


def test_counts_add_up() -> None:
    assert sum(audit.count().values()) == len(audit.claims)
    by_chapter = [audit.count(chapter=c) for c in {x.chapter for x in audit.claims.values()}]
    assert {v: sum(c[v] for c in by_chapter) for v in audit.VERDICTS} == audit.count()


def test_unknown_id_offers_the_nearest() -> None:
    with pytest.raises(audit.UnknownRecord, match="001-049"):
        audit.claims["001-49"]
    with pytest.raises(KeyError):
        audit.predictions["P99-1"]
    assert str(audit.UnknownRecord("claim", "x", ["abc"])) == "no claim 'x'; there are 1"


CLAIM = {
    "id": "001-900",
    "section": "4.3",
    "kind": "numeric",
    "claim": "A number is another number.",
    "verdict": "depends",
    "correct": "It depends on the number.",
    "cases": {"this": True, "that": False},
    "decided": {"chapter": "05", "by": "check", "how": "by comparing both"},
}
PREDICTION = {
    "id": "P05-1",
    "chapter": "05",
    "claim": "The measured value is larger.",
    "size": "by 2 to 3",
    "probability": 0.8,
    "written": "2026-01-02",
    "outcome": "came_true",
    "measured": "larger by 2.4",
    "lesson": "",
}


def claims_with(**changes: object) -> dict[str, Any]:
    raw = {k: v for k, v in {**copy.deepcopy(CLAIM), **changes}.items() if v is not None}
    return {
        "document": "001",
        "subject": "A subject of its own",
        "part": "II",
        "statements": 9,
        "claims": [raw],
    }


def predictions_with(**changes: object) -> dict[str, Any]:
    raw = {k: v for k, v in {**PREDICTION, **changes}.items() if v is not None}
    return {"predictions": [raw]}


DECIDED = CLAIM["decided"]
BAD_CLAIMS = {
    "id of another document": {"id": "002-900"},
    "no verdict": {"verdict": None},
    "unknown verdict": {"verdict": "perhaps"},
    "unknown kind": {"kind": "rumour"},
    "unknown field": {"remark": "a comma that split a text"},
    "depends without cases": {"cases": None},
    "cases that all hold": {"cases": {"this": True, "that": True}},
    "cases without depends": {"verdict": "holds"},
    "source without citation": {"cases": None, "decided": {**DECIDED, "by": "source"}},  # type: ignore[dict-item]
    "open without reason": {"cases": None, "verdict": "uncheckable"},
    "unknown field below": {"decided": {**DECIDED, "else": None}},  # type: ignore[dict-item]
}
BAD_PREDICTIONS = {
    "id of another chapter": {"id": "P06-1"},
    "certain": {"probability": 1.0},
    "unknown outcome": {"outcome": "nearly"},
    "scored but not measured": {"measured": ""},
    "no size": {"size": None},
}


def test_a_good_record_is_taken() -> None:
    assert parse_claims(claims_with())["001-900"].place == "001 §4.3"
    assert parse_predictions(predictions_with())["P05-1"].came_true is True
    validator().validate(claims_with())
    validator().validate(predictions_with())


@pytest.mark.parametrize("changes", BAD_CLAIMS.values(), ids=BAD_CLAIMS)
def test_malformed_claims_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(audit.AuditError):
        parse_claims(claims_with(**changes))


@pytest.mark.parametrize("changes", BAD_PREDICTIONS.values(), ids=BAD_PREDICTIONS)
def test_malformed_predictions_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(audit.AuditError):
        parse_predictions(predictions_with(**changes))


def test_the_schema_refuses_what_it_can_see() -> None:
    for changes in ({"verdict": "perhaps"}, {"remark": "x"}, {"verdict": "holds"}, {"cites": []}):
        with pytest.raises(jsonschema.ValidationError):
            validator().validate(claims_with(**changes))
    with pytest.raises(jsonschema.ValidationError):
        validator().validate(predictions_with(probability=1))


def test_repeated_ids_are_refused() -> None:
    twice = claims_with()
    twice["claims"] *= 2
    with pytest.raises(audit.AuditError, match="twice"):
        parse_claims(twice)
    both = predictions_with()
    both["predictions"] *= 2
    with pytest.raises(audit.AuditError, match="twice"):
        parse_predictions(both)


def test_a_lookup_reads_no_other_document() -> None:
    code = (
        "from actbook import audit; from actbook.audit import records\n"
        "audit.claims['004-014']\n"
        "assert records._raw.cache_info().currsize == 1\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_importing_reads_no_record_and_loads_no_heavy_library() -> None:
    code = (
        "import sys; from actbook import audit; from actbook.audit import records\n"
        "assert not records._raw.cache_info().currsize\n"
        "heavy = {'torch', 'sympy', 'yaml', 'matplotlib', 'IPython'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
