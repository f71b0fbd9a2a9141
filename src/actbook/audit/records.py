"""The records: one YAML file per document, one for the predictions, read on first use."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from typing import Any, Generic, TypeVar

from actbook.audit.errors import AuditError, UnknownRecord

VERDICTS = ("holds", "fails", "depends", "uncheckable")
KINDS = (
    "advice",
    "cause",
    "citation",
    "code",
    "definition",
    "derivative",
    "formula",
    "history",
    "log",
    "numeric",
    "performance",
    "property",
    "range",
)
GROUNDS = ("check", "source", "none")
CLAIM_FIELDS = frozenset(
    {"id", "section", "also", "kind", "claim", "verdict", "correct", "cases", "cites", "decided"}
)
OUTCOMES = ("came_true", "false", "open")
CLAIM_ID = re.compile(r"(\d{3})-(\d{3})")
PREDICTION_ID = re.compile(r"P(\d{2})-(\d+)")

T = TypeVar("T")


@dataclass(frozen=True)
class Claim:
    """One checkable statement of a document: paraphrased, judged, corrected.

    ``by`` says what decides it: an executed ``check``, a ``source``, or ``none``.
    ``cases`` gives the expected answer of every case when the verdict is ``depends`` by a check.
    """

    id: str
    section: str
    kind: str
    claim: str
    verdict: str
    correct: str
    chapter: str
    by: str
    how: str
    cases: Mapping[str, bool]
    cites: tuple[str, ...]
    also: tuple[str, ...]

    @property
    def document(self) -> str:
        """The document's number: ``001`` for ``001-042``."""
        return self.id[:3]

    @property
    def place(self) -> str:
        """Where the document says it: ``001 §4.3``, several sections joined by commas."""
        return f"{self.document} " + ", ".join(f"§{s}" for s in (self.section, *self.also))


@dataclass(frozen=True)
class Prediction:
    """What a chapter expected before it measured: claim, size, probability, and what came of it."""

    id: str
    chapter: str
    claim: str
    size: str
    probability: float
    written: str
    outcome: str
    measured: str
    lesson: str

    @property
    def came_true(self) -> bool | None:
        """The outcome as a truth value; None while it is open."""
        return None if self.outcome == "open" else self.outcome == "came_true"


@dataclass(frozen=True)
class Document:
    """A source document: number, subject, mirroring part, number of checkable statements."""

    number: str
    subject: str
    part: str
    statements: int


class Records(Mapping[str, T], Generic[T]):
    """A mapping from id to record that reads a file when first asked for a record in it.

    ``part`` finds the records of one id's own file, so that a lookup reads no other file.
    """

    def __init__(
        self,
        kind: str,
        load: Callable[[], Mapping[str, T]],
        part: Callable[[str], Mapping[str, T]] | None = None,
    ) -> None:
        self._kind = kind
        self._load = load
        self._part = part

    def __getitem__(self, identifier: str) -> T:
        """The record of this id; an unknown id offers the nearest ones."""
        if self._part is not None and identifier in (known := self._part(identifier)):
            return known[identifier]
        if identifier not in (known := self._load()):
            raise UnknownRecord(self._kind, identifier, known)
        return known[identifier]

    def __iter__(self) -> Iterator[str]:
        return iter(self._load())

    def __len__(self) -> int:
        return len(self._load())

    def __repr__(self) -> str:
        return f"<{len(self)} {self._kind}s>"


def schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of both kinds of file, as a dictionary."""
    text = files("actbook.audit").joinpath("schema.json").read_text(encoding="utf-8")
    return json.loads(text)


def _read(name: str) -> dict[str, Any]:
    """The content of one YAML file of this package."""
    try:
        import yaml
    except ImportError as error:
        raise AuditError(
            "the records are YAML files: install PyYAML, or actbook with the extra 'notebooks'"
        ) from error
    text = files("actbook.audit").joinpath(name).read_text(encoding="utf-8")
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def _names() -> list[str]:
    """The files of the documents, in order."""
    found = (entry.name for entry in files("actbook.audit").iterdir())
    return sorted(name for name in found if re.fullmatch(r"\d{3}\.yaml", name))


def _fail(where: str, what: str) -> None:
    raise AuditError(f"{where}: {what}")


def _claim(raw: Mapping[str, Any], document: str) -> Claim:
    """One claim from its YAML mapping; what the schema cannot say is checked here."""
    where = f"claim {raw.get('id', '?')} of document {document}"
    strange = (set(raw) - CLAIM_FIELDS) | (set(raw.get("decided", ())) - {"chapter", "by", "how"})
    if strange:
        _fail(where, f"unknown fields {sorted(strange)}; an unquoted comma splits a text in {{}}")
    try:
        ground = raw["decided"]
        claim = Claim(
            id=raw["id"],
            section=raw["section"],
            kind=raw["kind"],
            claim=raw["claim"].strip(),
            verdict=raw["verdict"],
            correct=raw["correct"].strip(),
            chapter=ground["chapter"],
            by=ground["by"],
            how=ground["how"],
            cases=dict(raw.get("cases", {})),
            cites=tuple(raw.get("cites", ())),
            also=tuple(raw.get("also", ())),
        )
    except KeyError as error:
        raise AuditError(f"{where}: the field {error} is missing") from error
    match = CLAIM_ID.fullmatch(claim.id)
    if match is None or match[1] != document:
        _fail(where, f"an id reads {document}-042")
    for value, allowed in ((claim.verdict, VERDICTS), (claim.kind, KINDS), (claim.by, GROUNDS)):
        if value not in allowed:
            _fail(where, f"{value!r} is none of {', '.join(allowed)}")
    if bool(claim.cases) != (claim.verdict == "depends" and claim.by == "check"):
        _fail(where, "cases belong to the verdict 'depends' decided by a check, and only there")
    if claim.cases and set(claim.cases.values()) != {True, False}:
        _fail(where, "'depends' needs a case that holds and one that fails")
    if claim.by == "source" and not claim.cites:
        _fail(where, "decided by a source, but it cites none")
    if (claim.by == "none") != (claim.verdict == "uncheckable"):
        _fail(where, "what cannot be checked is decided by 'none', and nothing else is")
    return claim


def _prediction(raw: Mapping[str, Any]) -> Prediction:
    """One prediction from its YAML mapping."""
    where = f"prediction {raw.get('id', '?')}"
    try:
        texts = {
            f.name: str(raw[f.name]).strip() for f in fields(Prediction) if f.name != "probability"
        }
        prediction = Prediction(probability=float(raw["probability"]), **texts)
    except KeyError as error:
        raise AuditError(f"{where}: the field {error} is missing") from error
    match = PREDICTION_ID.fullmatch(prediction.id)
    if match is None or match[1] != prediction.chapter:
        _fail(where, f"an id of chapter {prediction.chapter} reads P{prediction.chapter}-1")
    if prediction.outcome not in OUTCOMES:
        _fail(where, f"{prediction.outcome!r} is none of {', '.join(OUTCOMES)}")
    if not 0 < prediction.probability < 1:
        _fail(where, f"a probability lies between 0 and 1, given {prediction.probability}")
    if prediction.outcome != "open" and not prediction.measured:
        _fail(where, "a scored prediction says what was measured")
    return prediction


def parse_claims(data: Mapping[str, Any]) -> dict[str, Claim]:
    """The claims of one document's file, by id; raises on a malformed or repeated record."""
    found: dict[str, Claim] = {}
    for raw in data["claims"]:
        claim = _claim(raw, data["document"])
        if claim.id in found:
            _fail(f"document {data['document']}", f"the id {claim.id} occurs twice")
        found[claim.id] = claim
    return found


def parse_predictions(data: Mapping[str, Any]) -> dict[str, Prediction]:
    """The predictions of the file, by id; raises on a malformed or repeated record."""
    found: dict[str, Prediction] = {}
    for raw in data["predictions"]:
        prediction = _prediction(raw)
        if prediction.id in found:
            _fail("predictions", f"the id {prediction.id} occurs twice")
        found[prediction.id] = prediction
    return found


@cache
def _raw(name: str) -> dict[str, Any]:
    return _read(name)


@cache
def _claims_in(name: str) -> dict[str, Claim]:
    return parse_claims(_raw(name))


def _claims_beside(identifier: str) -> dict[str, Claim]:
    """The claims of the document that an id names; none when there is no such document."""
    name = f"{str(identifier)[:3]}.yaml"
    return _claims_in(name) if name in _names() else {}


@cache
def _claims() -> dict[str, Claim]:
    return {key: claim for name in _names() for key, claim in _claims_in(name).items()}


@cache
def _predictions() -> dict[str, Prediction]:
    return parse_predictions(_read("predictions.yaml"))


@cache
def _documents() -> dict[str, Document]:
    return {
        raw["document"]: Document(raw["document"], raw["subject"], raw["part"], raw["statements"])
        for raw in map(_raw, _names())
    }


claims: Records[Claim] = Records("claim", _claims, _claims_beside)
predictions: Records[Prediction] = Records("prediction", _predictions)
documents: Records[Document] = Records("document", _documents)


def _within(section: str, above: str) -> bool:
    """Whether a section is another or stands below it: 1.3.2 and 1.3, "9 Q7" and 9."""
    return section == above or section.startswith((f"{above}.", f"{above} "))


def select(
    document: str | None = None,
    chapter: str | None = None,
    section: str | None = None,
    verdict: str | None = None,
) -> list[Claim]:
    """The claims that match every criterion given, in the order of the files.

    A section matches itself and all below it: ``"1.3"`` finds ``1.3.2``, ``"9"`` finds ``9 Q7``.
    """
    if verdict is not None and verdict not in VERDICTS:
        raise AuditError(f"no verdict {verdict!r}; allowed: {', '.join(VERDICTS)}")
    return [
        claim
        for claim in claims.values()
        if document in (None, claim.document)
        and chapter in (None, claim.chapter)
        and verdict in (None, claim.verdict)
        and (section is None or _within(claim.section, section))
    ]


def count(document: str | None = None, chapter: str | None = None) -> dict[str, int]:
    """How many claims have each verdict, over a document, a chapter, or all."""
    chosen = select(document=document, chapter=chapter)
    return {verdict: sum(c.verdict == verdict for c in chosen) for verdict in VERDICTS}
