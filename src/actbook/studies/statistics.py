"""Statistics over seeds: intervals, paired comparisons under a declared rule, power.

A comparison is decided by a ``Rule`` that stands with the study before it runs: which test, which
correction, which level, and how small a difference counts as none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from scipy import integrate, stats

__all__ = [
    "Comparison",
    "Crossed",
    "Rule",
    "compare",
    "compare_across",
    "crossed",
    "equivalence_power",
    "holm",
    "interval",
    "pairs_needed",
    "power",
]

RESAMPLES = 9999
SEED = 20240301
MOST_PAIRS = 100_000

Verdict = Literal["higher", "lower", "equivalent", "undecided"]


@dataclass(frozen=True)
class Rule:
    """How two conditions are told apart over paired seeds.

    ``test``: ``"t"`` (paired t-test), ``"signed-rank"`` (Wilcoxon), ``"sign-flip"`` (permutation of
    the signs of the differences; all of them up to 13 pairs).  ``correction`` over the family of
    comparisons: ``"holm"`` (family-wise error), ``"benjamini-hochberg"`` (false discovery rate) or
    ``"none"``.  A difference counts where the corrected p-value is below ``alpha``.  With a
    ``margin``, a condition is *equivalent* where two one-sided t-tests at ``alpha``, corrected for
    the family by Bonferroni, place the mean difference inside ±margin.
    """

    test: Literal["t", "signed-rank", "sign-flip"] = "t"
    correction: Literal["holm", "benjamini-hochberg", "none"] = "holm"
    alpha: float = 0.05
    margin: float | None = None

    def __post_init__(self) -> None:
        """Refuse what is no rule."""
        for field, allowed in (("test", _TESTS), ("correction", _CORRECTIONS)):
            if getattr(self, field) not in allowed:
                raise ValueError(
                    f"{field} must be one of {', '.join(allowed)}, not {getattr(self, field)!r}"
                )
        if not 0 < self.alpha < 1:
            raise ValueError(f"alpha must lie between 0 and 1, not {self.alpha!r}")
        if self.margin is not None and not (math.isfinite(self.margin) and self.margin > 0):
            raise ValueError(f"margin must be a positive number or None, not {self.margin!r}")


_TESTS = ("t", "signed-rank", "sign-flip")
_CORRECTIONS = ("holm", "benjamini-hochberg", "none")


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
    ``p`` the two-sided p-value of the rule's test, ``p_holm`` the same after the rule's correction
    (Holm's, unless the rule says otherwise), ``effect`` the mean difference over the standard
    deviation of the differences (Cohen's d of the pairs), ``verdict`` what the rule decides:
    ``"higher"``, ``"lower"``, ``"equivalent"`` or ``"undecided"``.
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
    verdict: Verdict = "undecided"


def compare(
    measured: Mapping[str, Mapping[int, float]],
    reference: str,
    confidence: float = 0.95,
    rule: Rule = Rule(),
) -> list[Comparison]:
    """Every condition against ``reference``; ``measured[condition][seed]`` is one run's outcome.

    Raises ValueError where a pair of conditions shares fewer than two seeds.
    """
    return compare_across({"": measured}, reference, confidence, rule)[""]


def compare_across(
    measured: Mapping[str, Mapping[str, Mapping[int, float]]],
    reference: str,
    confidence: float = 0.95,
    rule: Rule = Rule(),
) -> dict[str, list[Comparison]]:
    """As :func:`compare` on each of several data sets, all comparisons in one family.

    ``measured[set][condition][seed]`` is one run's outcome.  The correction, and the level of the
    equivalence tests, count every comparison of every set.
    """
    found = []
    for name, outcomes in measured.items():
        if reference not in outcomes:
            raise ValueError(f"reference must be one of {', '.join(outcomes)}, not {reference!r}")
        for condition, runs in outcomes.items():
            if condition != reference:
                seeds = sorted(runs.keys() & outcomes[reference].keys())
                differences = _finite([runs[seed] - outcomes[reference][seed] for seed in seeds])
                found.append((name, condition, differences))
    p_values = [_p(rule, differences) for _, _, differences in found]
    decided: dict[str, list[Comparison]] = {name: [] for name in measured}
    for (name, condition, differences), p, after in zip(
        found, p_values, _corrected(rule, p_values), strict=True
    ):
        decided[name].append(
            Comparison(
                condition,
                reference,
                len(differences),
                float(differences.mean()),
                *interval(differences, confidence),
                p,
                after,
                _effect(differences),
                _verdict(rule, differences, after, len(found)),
            )
        )
    return decided


@dataclass(frozen=True)
class Crossed:
    """The mean of a table seeds × examples, and its standard error in three senses.

    ``over_seeds``: for other seeds on the same examples; ``over_examples``: for other examples with
    the same seeds; ``over_both``: for other seeds on other examples.
    """

    mean: float
    over_seeds: float
    over_examples: float
    over_both: float


def crossed(table: np.ndarray) -> Crossed:
    """Standard errors of the mean of ``table``, shape (S seeds, N examples), both at random.

    With y = μ + a(seed) + b(example) + e, the mean has variance σ²_a/S + σ²_b/N + σ²_e/(S N); the
    components come from the mean squares of the two-way layout (Henderson 1953), and S·over_seeds²
    = σ²_a + σ²_e/N.  Hence over_both² = over_seeds² + over_examples² − σ²_e/(S N), where a negative
    component counts as 0.
    """
    values = np.asarray(table, dtype=np.float64)
    if values.ndim != 2 or min(values.shape) < 2 or not np.isfinite(values).all():
        raise ValueError(f"table must be finite, of shape (2 or more, 2 or more), not {table!r}")
    seeds, examples = values.shape
    mean = values.mean()
    rows, columns = values.mean(axis=1), values.mean(axis=0)
    rest = values - rows[:, None] - columns + mean
    within = (rest**2).sum() / ((seeds - 1) * (examples - 1))  # estimates σ²_e
    by_seed, by_example = rows.var(ddof=1) / seeds, columns.var(ddof=1) / examples
    shared = within / (seeds * examples)
    both = max(by_seed + by_example - shared, by_seed, by_example)
    return Crossed(float(mean), *(math.sqrt(v) for v in (by_seed, by_example, both)))


@dataclass(frozen=True)
class Effect:
    """What one factor, or several together, explain of the variance of a factorial experiment.

    ``eta`` is η², the share of the total sum of squares; ``omega`` is ω², the same without what
    chance alone would give (Hays 1963), with the interval ``low`` to ``high``; ``p`` is that of the
    F-test against the spread over seeds.  The last effect of a table, ``"seeds"``, is that spread.
    """

    factors: tuple[str, ...]
    squares: float
    degrees: int
    p: float
    eta: float
    omega: float
    low: float
    high: float

    @property
    def name(self) -> str:
        """The factors, joined by ×."""
        return " × ".join(self.factors)


def anova(
    outcomes: np.ndarray, factors: Sequence[str], order: int = 2, confidence: float = 0.95
) -> list[Effect]:
    """The analysis of variance of a full factorial experiment, each cell run with the same seeds.

    ``outcomes`` has an axis for each factor and last one for the seeds, two or more of each.
    Effects come by the number of their factors up to ``order``; those of more are one effect,
    ``"higher"``.  An interval is ω² ± t · its jackknife error, one seed left out of every cell at a
    time (Tukey 1958): seeds are shared by the cells, and are too few for a bootstrap.
    """
    table = np.asarray(outcomes, dtype=np.float64)
    if table.ndim != len(factors) + 1 or min(table.shape) < 2 or not np.isfinite(table).all():
        raise ValueError(
            f"outcomes must have an axis for each of {len(factors)} factors and one for seeds, two "
            f"or more along each, all finite; not shape {table.shape}"
        )
    parts = _partition(table, len(factors), order)
    names = [tuple(factors[axis] for axis in axes) or ("higher",) for axes, *_ in parts[:-1]]
    omegas = _omegas(parts)
    seeds = table.shape[-1]
    without = np.full((seeds, len(parts)), np.nan)
    if seeds > 2:
        for left_out in range(seeds):
            kept = np.delete(table, left_out, axis=-1)
            without[left_out] = _omegas(_partition(kept, len(factors), order))
    error = np.sqrt((seeds - 1) * without.var(axis=0))
    half = stats.t.ppf((1 + confidence) / 2, seeds - 1) * error
    total = sum(squares for _, squares, _ in parts)
    _, rest, rest_degrees = parts[-1]
    found = []
    for (_, squares, degrees), name, omega, width in zip(
        parts, [*names, ("seeds",)], omegas, half, strict=True
    ):
        ratio = squares / degrees / (rest / rest_degrees) if rest else math.inf
        p = float(stats.f.sf(ratio, degrees, rest_degrees)) if name != ("seeds",) else math.nan
        eta = squares / total if total else math.nan
        bounds = float(omega - width), float(omega + width)
        found.append(Effect(name, squares, degrees, p, eta, float(omega), *bounds))
    return found


_Part = tuple[tuple[int, ...], float, int]
"""Axes, sum of squares, degrees of freedom."""


def _partition(table: np.ndarray, count: int, order: int) -> list[_Part]:
    """The parts of the total sum of squares; the last is that within the cells."""
    cells = table.mean(axis=-1)
    grand = cells.mean()
    deviations: dict[tuple[int, ...], np.ndarray] = {(): np.full((1,) * count, grand)}
    parts: list[_Part] = []
    for size in range(1, min(order, count) + 1):
        for axes in combinations(range(count), size):
            others = tuple(axis for axis in range(count) if axis not in axes)
            effect = cells.mean(axis=others, keepdims=True)
            for below in range(size):
                for smaller in combinations(axes, below):
                    effect = effect - deviations[smaller]
            deviations[axes] = effect
            squares = float((effect**2).sum() * table.size / effect.size)
            degrees = math.prod(table.shape[axis] - 1 for axis in axes)
            parts.append((axes, squares, degrees))
    within = float(((table - cells[..., None]) ** 2).sum())
    if order < count:
        between = float(((cells - grand) ** 2).sum() * table.shape[-1])
        rest = max(0.0, between - sum(squares for _, squares, _ in parts))
        parts.append(((), rest, cells.size - 1 - sum(degrees for *_, degrees in parts)))
    parts.append(((), within, table.size - cells.size))
    return parts


def _omegas(parts: Sequence[_Part]) -> np.ndarray:
    """ω² of each part; of the last, what is left of 1."""
    _, rest, rest_degrees = parts[-1]
    noise = rest / rest_degrees
    total = sum(squares for _, squares, _ in parts) + noise
    shares = [(squares - degrees * noise) / total for _, squares, degrees in parts[:-1]]
    return np.array([*shares, 1 - sum(shares)]) if total else np.full(len(parts), np.nan)


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


def power(pairs: int, effect: float, alpha: float = 0.05, comparisons: int = 1) -> float:
    """The probability that the two-sided paired t-test finds ``effect`` with that many pairs.

    P(|T| > t₁₋ₐ/₂) for T noncentral t with n − 1 degrees of freedom and noncentrality effect · √n,
    normal differences (Cohen 1988).  With several ``comparisons`` a = alpha / comparisons: what
    Holm's correction asks of the smallest p-value, hence a lower bound for each.
    """
    _check_plan(effect, alpha, comparisons)
    if pairs < 2:
        raise ValueError(f"pairs must be at least 2, not {pairs!r}")
    degrees, shift = pairs - 1, abs(effect) * math.sqrt(pairs)
    critical = stats.t.isf(alpha / comparisons / 2, degrees)
    tails = stats.nct.sf(critical, degrees, shift), stats.nct.cdf(-critical, degrees, shift)
    return float(min(1.0, np.nansum(tails)))


def pairs_needed(
    effect: float, wanted: float = 0.8, alpha: float = 0.05, comparisons: int = 1
) -> int:
    """The smallest number of pairs whose ``power`` for ``effect`` is at least ``wanted``.

    Raises ValueError where no number up to 100,000 is enough.
    """
    _check_plan(effect, alpha, comparisons)
    if not 0 < wanted < 1:
        raise ValueError(f"the wanted power must lie between 0 and 1, not {wanted!r}")
    low, high = 1, 2
    while effect and high <= MOST_PAIRS and power(high, effect, alpha, comparisons) < wanted:
        low, high = high, 2 * high
    if not effect or high > MOST_PAIRS:
        raise ValueError(f"no number of pairs up to {MOST_PAIRS} shows an effect of {effect!r}")
    while high - low > 1:
        middle = (low + high) // 2
        enough = power(middle, effect, alpha, comparisons) >= wanted
        low, high = (low, middle) if enough else (middle, high)
    return high


def equivalence_power(
    pairs: int, margin: float, effect: float = 0.0, alpha: float = 0.05, comparisons: int = 1
) -> float:
    """The probability that two one-sided t-tests place the mean difference inside ±margin.

    ``margin`` and the true ``effect`` are in standard deviations of the differences, these normal.
    With D the mean and s the standard deviation of n differences the tests succeed where
    |D| < margin − t s/√n: the probability of that, integrated over the distribution of s
    (Schuirmann 1987); t belongs to alpha / comparisons, as in :class:`Rule`.
    """
    _check_plan(effect, alpha, comparisons)
    if pairs < 2:
        raise ValueError(f"pairs must be at least 2, not {pairs!r}")
    if not (math.isfinite(margin) and margin > 0):
        raise ValueError(f"margin must be a positive number, not {margin!r}")
    degrees, root = pairs - 1, math.sqrt(pairs)
    critical = stats.t.isf(alpha / comparisons, degrees)
    widest = margin * root / critical  # a larger s succeeds nowhere

    def density(s: float) -> float:
        room = margin * root - critical * s
        inside = stats.norm.cdf(room - effect * root) - stats.norm.cdf(-room - effect * root)
        return float(inside * stats.chi.pdf(s * math.sqrt(degrees), degrees) * math.sqrt(degrees))

    # s concentrates near 1, in units of the true standard deviation.
    spread = 10 / math.sqrt(2 * degrees)
    ends = max(0.0, 1 - spread), min(widest, 1 + spread)
    if ends[0] >= ends[1]:
        return 0.0
    return float(min(1.0, integrate.quad(density, *ends, limit=200)[0]))


def _check_plan(effect: float, alpha: float, comparisons: int) -> None:
    if not math.isfinite(effect):
        raise ValueError(f"effect must be a finite number, not {effect!r}")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie between 0 and 1, not {alpha!r}")
    if comparisons < 1:
        raise ValueError(f"comparisons must be at least 1, not {comparisons!r}")


def _finite(values: Sequence[float] | np.ndarray) -> np.ndarray:
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or len(sample) < 2 or not np.isfinite(sample).all():
        raise ValueError(
            f"values must be two or more finite numbers in one dimension, not {values!r}"
        )
    return sample


def _p(rule: Rule, differences: np.ndarray) -> float:
    if not differences.any():
        return 1.0
    if rule.test == "signed-rank":
        return float(stats.wilcoxon(differences).pvalue)
    if rule.test == "sign-flip":
        return _sign_flip_p(differences)
    if np.ptp(differences) == 0:
        return 0.0
    return float(stats.ttest_1samp(differences, 0.0).pvalue)


def _sign_flip_p(differences: np.ndarray) -> float:
    found = stats.permutation_test(
        (differences, np.zeros_like(differences)),
        lambda one, two, axis: np.mean(one - two, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=RESAMPLES,
        axis=-1,
        rng=np.random.default_rng(SEED),
    )
    return float(found.pvalue)


def _corrected(rule: Rule, p_values: Sequence[float]) -> list[float]:
    if rule.correction == "none" or not p_values:
        return list(p_values)
    if rule.correction == "holm":
        return holm(p_values)
    return [float(p) for p in stats.false_discovery_control(p_values, method="bh")]


def _verdict(rule: Rule, differences: np.ndarray, p: float, comparisons: int) -> Verdict:
    if p < rule.alpha:
        return "higher" if differences.mean() > 0 else "lower"
    if rule.margin is not None and _inside(differences, rule.margin, rule.alpha / comparisons):
        return "equivalent"
    return "undecided"


def _inside(differences: np.ndarray, margin: float, alpha: float) -> bool:
    """Two one-sided t-tests (Schuirmann 1987): the mean above −margin and below margin."""
    if np.ptp(differences) == 0:
        return bool(abs(differences[0]) < margin)
    above = stats.ttest_1samp(differences, -margin, alternative="greater").pvalue
    below = stats.ttest_1samp(differences, margin, alternative="less").pvalue
    return bool(max(above, below) < alpha)


def _effect(differences: np.ndarray) -> float:
    if np.ptp(differences) == 0:
        return 0.0 if differences[0] == 0 else float(np.copysign(np.inf, differences[0]))
    return float(differences.mean() / differences.std(ddof=1))
