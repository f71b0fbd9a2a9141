"""Statistics over seeds: bootstrap intervals, paired differences, Holm's correction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

__all__ = ["Comparison", "compare", "holm", "interval"]

RESAMPLES = 9999
SEED = 20240301


def interval(
    values: Sequence[float] | np.ndarray, confidence: float = 0.95, seed: int = SEED
) -> tuple[float, float]:
    """Bias-corrected and accelerated bootstrap interval of the mean (Efron 1987).

    ``values`` has shape (n,), n ≥ 2, all finite.  Equal values give an interval of width 0.
    """
    sample = _finite(values)
    if np.ptp(sample) == 0:
        # The acceleration is 0/0 there; the bootstrap distribution is one point.
        return float(sample[0]), float(sample[0])
    result = stats.bootstrap(
        (sample,),
        np.mean,
        confidence_level=confidence,
        n_resamples=RESAMPLES,
        method="BCa",
        rng=np.random.default_rng(seed),
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


@dataclass(frozen=True)
class Comparison:
    """One condition against the reference, over the seeds that both have.

    ``difference`` is the mean of condition − reference, ``low`` and ``high`` its BCa interval,
    ``p`` the two-sided paired t-test, ``p_holm`` the same after Holm's correction over the family,
    ``effect`` the mean difference over the standard deviation of the differences.
    """

    condition: str
    reference: str
    pairs: int
    difference: float
    low: float
    high: float
    p: float
    p_holm: float
    effect: float


def compare(
    measured: Mapping[str, Mapping[int, float]], reference: str, confidence: float = 0.95
) -> list[Comparison]:
    """Every condition against ``reference``; ``measured[condition][seed]`` is one run's outcome.

    Raises ValueError where a pair of conditions shares fewer than two seeds.
    """
    if reference not in measured:
        raise ValueError(f"reference must be one of {', '.join(measured)}, not {reference!r}")
    found = []
    for condition, outcomes in measured.items():
        if condition == reference:
            continue
        seeds = sorted(outcomes.keys() & measured[reference].keys())
        differences = _finite([outcomes[seed] - measured[reference][seed] for seed in seeds])
        found.append((condition, differences))
    p_values = [_paired_p(differences) for _, differences in found]
    corrected = holm(p_values)
    return [
        Comparison(
            condition,
            reference,
            len(differences),
            float(differences.mean()),
            *interval(differences, confidence),
            p,
            p_holm,
            _effect(differences),
        )
        for (condition, differences), p, p_holm in zip(found, p_values, corrected, strict=True)
    ]


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values (Holm 1979), in the given order.

    p̃₍ᵢ₎ = max over j ≤ i of min(1, (n − j + 1) p₍ⱼ₎).
    """
    order = np.argsort(p_values, kind="stable")
    adjusted = np.empty(len(p_values))
    running = 0.0
    for rank, position in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[position]))
        adjusted[position] = running
    return [float(value) for value in adjusted]


def _finite(values: Sequence[float] | np.ndarray) -> np.ndarray:
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or len(sample) < 2 or not np.isfinite(sample).all():
        raise ValueError(
            f"values must be two or more finite numbers in one dimension, not {values!r}"
        )
    return sample


def _paired_p(differences: np.ndarray) -> float:
    if np.ptp(differences) == 0:
        return 1.0 if differences[0] == 0 else 0.0
    return float(stats.ttest_1samp(differences, 0.0).pvalue)


def _effect(differences: np.ndarray) -> float:
    if np.ptp(differences) == 0:
        return 0.0 if differences[0] == 0 else float(np.copysign(np.inf, differences[0]))
    return float(differences.mean() / differences.std(ddof=1))
