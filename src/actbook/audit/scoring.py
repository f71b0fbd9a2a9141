"""How good the predictions were: hit rate, Brier score, calibration."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from actbook.audit.errors import AuditError
from actbook.audit.records import Prediction


@dataclass(frozen=True)
class Bin:
    """Predictions with a probability in [low, high): their number, what was expected and seen."""

    low: float
    high: float
    size: int
    expected: float
    observed: float


def _scored(predictions: Iterable[Prediction]) -> list[tuple[float, bool]]:
    """Probability and outcome of every prediction whose outcome is known."""
    pairs = [(p.probability, p.came_true) for p in predictions]
    return [(probability, outcome) for probability, outcome in pairs if outcome is not None]


def hit_rate(predictions: Iterable[Prediction]) -> float | None:
    """Share of the scored predictions that came true; None when none is scored."""
    scored = _scored(predictions)
    return sum(outcome for _, outcome in scored) / len(scored) if scored else None


def brier(predictions: Iterable[Prediction]) -> float | None:
    """Mean of (p − o)² over the scored predictions, o = 1 for what came true, else 0 (Brier 1950).

    0 is perfect; saying 1/2 every time gives 1/4. None when nothing is scored.
    """
    scored = _scored(predictions)
    return sum((p - o) ** 2 for p, o in scored) / len(scored) if scored else None


def calibration(
    predictions: Iterable[Prediction],
    edges: Sequence[float] = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0),
) -> list[Bin]:
    """Mean probability against share that came true, in the bins that hold a scored prediction.

    ``edges`` rise from 0 to 1; a bin holds its lower edge, the last one both.
    """
    if list(edges) != sorted(set(edges)) or edges[0] != 0 or edges[-1] != 1:
        raise AuditError(f"edges rise from 0 to 1, given {tuple(edges)}")
    scored = _scored(predictions)
    bins = []
    for low, high in pairwise(edges):
        members = [(p, o) for p, o in scored if low <= p < high or p == high == 1]
        if members:
            expected = sum(p for p, _ in members) / len(members)
            observed = sum(o for _, o in members) / len(members)
            bins.append(Bin(low, high, len(members), expected, observed))
    return bins
