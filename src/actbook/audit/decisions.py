"""The calls of a chapter: decide a claim, show a prediction, score it, fold several verdicts."""

from collections.abc import Iterable, Mapping

from actbook.audit.boxes import Box, Expectation, Fold, Outcome, Verdict
from actbook.audit.errors import AuditError
from actbook.audit.evidence import cases_of, refuse_literals, truth
from actbook.audit.records import Claim, claims, predictions

Truth = object  # a truth value of Python, NumPy or SymPy; `truth` checks it


def decide(
    identifier: str,
    *,
    holds: Truth | Mapping[str, Truth] | None = None,
    cites: str | Iterable[str] | None = None,
) -> Verdict:
    """Decide a claim by evidence and return the box that shows it.

    ``holds`` is the value of an executed check, or a dictionary with one for every case of a
    record whose verdict is ``depends``; ``cites`` is a bibliography key of a record that a source
    decides. A record that nothing can decide takes neither.
    Raises AuditError when the record disagrees, the evidence is of the wrong kind or written down
    instead of computed; UnknownRecord for an unknown id.
    """
    claim = claims[identifier]
    _right_ground(claim, holds is not None, cites is not None)
    if claim.by == "source":
        assert cites is not None
        return Verdict(claim, sources=_sources(claim, cites))
    if claim.by == "none":
        return Verdict(claim)
    refuse_literals(2, "audit.decide", "holds")
    if claim.cases:
        return Verdict(claim, answers=_answers(claim, cases_of(holds)))
    if isinstance(holds, Mapping):
        raise AuditError(f"{claim.id} has no cases; give holds one truth value")
    answer = truth(holds, "holds")
    if answer != (claim.verdict == "holds"):
        raise AuditError(
            f"{claim.id}: the check says that the claim {'holds' if answer else 'fails'}, the "
            f"record says {claim.verdict!r} ({claim.place}: {claim.claim})"
        )
    return Verdict(claim)


def _right_ground(claim: Claim, by_check: bool, by_source: bool) -> None:
    """Raise unless the evidence is of the kind that the record asks for."""
    given = {"check": by_check, "source": by_source}
    wanted = {"check": claim.by == "check", "source": claim.by == "source"}
    if given == wanted:
        return
    ways = {
        "check": "give holds=<value of an executed check>",
        "source": f"give cites= one of {', '.join(claim.cites)}",
        "none": "give no evidence",
    }
    raise AuditError(f"{claim.id} is decided by {claim.by}: {ways[claim.by]}")


def _sources(claim: Claim, cites: str | Iterable[str]) -> tuple[str, ...]:
    """The bibliography keys given, each of which the record must name."""
    keys = (cites,) if isinstance(cites, str) else tuple(cites)
    strange = [key for key in keys if key not in claim.cites]
    if strange or not keys:
        raise AuditError(
            f"{claim.id} does not cite {', '.join(map(repr, strange)) or 'nothing'}; "
            f"it cites {', '.join(claim.cites)}"
        )
    return keys


def _answers(claim: Claim, given: Mapping[str, Truth]) -> dict[str, bool]:
    """The answers of all cases, which must be those of the record."""
    if set(given) != set(claim.cases):
        raise AuditError(
            f"{claim.id} has the cases {', '.join(map(repr, claim.cases))}; "
            f"given: {', '.join(map(repr, given))}"
        )
    answers = {case: truth(given[case], f"case {case!r}") for case in claim.cases}
    wrong = [case for case in answers if answers[case] != claim.cases[case]]
    if wrong:
        raise AuditError(
            f"{claim.id}: the check and the record disagree on {', '.join(map(repr, wrong))} "
            f"({claim.place}: {claim.claim})"
        )
    return answers


def predict(identifier: str) -> Box:
    """The box of a prediction, shown before the result; its outcome is not in it."""
    return Expectation(predictions[identifier])


def score(identifier: str, *, came_true: Truth) -> Outcome:
    """Score a prediction by the value of an executed check and return the box that shows it.

    Raises AuditError when the record's outcome disagrees or is still open, or when the evidence
    is written down instead of computed.
    """
    prediction = predictions[identifier]
    refuse_literals(2, "audit.score", "came_true")
    answer = truth(came_true, "came_true")
    if prediction.came_true is None:
        raise AuditError(
            f"{prediction.id} is open, and the check says {'came_true' if answer else 'false'}: "
            "write outcome, measured and lesson into the record"
        )
    if answer != prediction.came_true:
        raise AuditError(
            f"{prediction.id}: the check says {'came_true' if answer else 'false'}, the record "
            f"says {prediction.outcome!r} ({prediction.claim})"
        )
    return Outcome(prediction)


def fold(*verdicts: Verdict | Iterable[Verdict], title: str | None = None) -> Fold:
    """Several decided claims in one box that opens on a click; they were decided by their calls.

    Takes verdicts, or one iterable of them. The title defaults to a count by verdict.
    Raises AuditError for anything that is not the value of ``decide``.
    """
    flat: list[Verdict] = []
    for item in verdicts:
        flat.extend([item] if isinstance(item, Verdict) else item)
    strange = [item for item in flat if not isinstance(item, Verdict)]
    if strange or not flat:
        raise AuditError(
            "fold takes the values of audit.decide"
            + (f", given {type(strange[0]).__name__}" if strange else ", given none")
        )
    return Fold(tuple(flat), title)
