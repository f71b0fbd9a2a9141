"""Statistics over seeds, on synthetic data whose answers are known."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from scipy import stats

from actbook.studies import statistics
from actbook.studies.statistics import Rule


def test_intervals_cover_the_mean_as_often_as_they_say() -> None:
    generator = np.random.default_rng(0)
    hits = 0
    for trial in range(200):
        low, high = statistics.interval(generator.exponential(1.0, 30), seed=trial)
        hits += low <= 1.0 <= high
    # 95 % nominal; for a skewed distribution and n = 30 a little less; ± 4 standard errors.
    assert 0.86 <= hits / 200 <= 0.99


def test_an_interval_of_normal_data_is_nearly_that_of_t() -> None:
    sample = np.random.default_rng(1).normal(3, 2, 200)
    low, high = statistics.interval(sample)
    t_low, t_high = stats.t.interval(0.95, 199, sample.mean(), stats.sem(sample))
    assert (low, high) == pytest.approx((t_low, t_high), abs=0.05)
    assert statistics.interval([0.5, 0.5, 0.5]) == (0.5, 0.5)
    assert statistics.interval(sample) == (low, high)


@pytest.mark.parametrize("values", [[1.0], [], [1.0, math.nan], [[1.0, 2.0]]])
def test_what_has_no_interval_is_refused(values: list) -> None:
    with pytest.raises(ValueError, match="two or more finite numbers"):
        statistics.interval(values)


def test_holm_by_hand() -> None:
    # 4 · 0.01, then 3 · 0.02, then 2 · 0.03 (0.06, the same), then 1 · 0.04 below the running 0.06.
    assert statistics.holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert statistics.holm([0.5, 0.9]) == [1.0, 1.0]
    assert statistics.holm([]) == []


def test_pairing_removes_what_the_seeds_share() -> None:
    generator = np.random.default_rng(2)
    seeds = range(12)
    shared = {seed: generator.normal(0, 10) for seed in seeds}
    measured = {
        "base": shared,
        "better": {s: shared[s] + 1 + generator.normal(0, 0.1) for s in seeds},
        "equal": {s: shared[s] + generator.normal(0, 0.1) for s in seeds},
    }
    better, equal = statistics.compare(measured, "base")
    assert better.difference == pytest.approx(1, abs=0.1)
    assert better.low <= 1 <= better.high or abs(better.difference - 1) < 0.1
    assert better.p_holm < 1e-6 < 0.01 < equal.p
    assert better.effect > 5 > abs(equal.effect)
    expected = stats.ttest_rel(list(measured["better"].values()), list(shared.values())).pvalue
    assert better.p == pytest.approx(expected)
    assert better.pairs == 12


def test_only_common_seeds_are_paired_and_the_sign_is_condition_minus_reference() -> None:
    [found] = statistics.compare({"a": {0: 1, 1: 2, 2: 3}, "b": {1: 5, 2: 6, 9: 0}}, "a")
    assert (found.pairs, found.difference, found.condition) == (2, 3.0, "b")
    with pytest.raises(ValueError, match="reference"):
        statistics.compare({"a": {0: 1}}, "c")


def test_false_alarms_under_the_null_stay_below_the_level() -> None:
    generator = np.random.default_rng(3)
    alarms = 0
    for _ in range(100):
        measured = {name: dict(enumerate(generator.normal(size=10))) for name in "abcd"}
        alarms += any(c.p_holm < 0.05 for c in statistics.compare(measured, "a"))
    # The family-wise rate is at most 5 %; 4 standard errors above it.
    assert alarms <= 5 + 4 * math.sqrt(100 * 0.05 * 0.95)


# What normal differences of n pairs and a fixed effect give: Cohen's tables, G*Power and R's
# power.t.test agree on these.
@pytest.mark.parametrize(
    "pairs, effect, alpha, known",
    [(34, 0.5, 0.05, 0.8077775), (10, 1.0, 0.05, 0.8030962), (20, 0.0, 0.05, 0.05)],
)
def test_power_of_the_paired_t_test(pairs: int, effect: float, alpha: float, known: float) -> None:
    assert statistics.power(pairs, effect, alpha) == pytest.approx(known, abs=2e-6)
    assert statistics.power(pairs, -effect, alpha) == statistics.power(pairs, effect, alpha)


def test_power_is_the_rate_at_which_the_rule_finds_the_effect() -> None:
    generator = np.random.default_rng(4)
    draws = generator.normal(0.7, 1.0, (4000, 12))
    found = np.mean(stats.ttest_1samp(draws, 0.0, axis=1).pvalue < 0.05 / 3)
    expected = statistics.power(12, 0.7, comparisons=3)
    assert abs(found - expected) < 4 * math.sqrt(expected * (1 - expected) / 4000)


def test_pairs_needed_is_the_least_number_that_is_enough() -> None:
    # Cohen (1988): 34 pairs for a medium effect at 80 % power.
    assert statistics.pairs_needed(0.5) == 34
    for effect, wanted, comparisons in product((0.2, 0.8, 5.0), (0.5, 0.95), (1, 12)):
        pairs = statistics.pairs_needed(effect, wanted, comparisons=comparisons)
        assert statistics.power(pairs, effect, comparisons=comparisons) >= wanted
        if pairs > 2:
            assert statistics.power(pairs - 1, effect, comparisons=comparisons) < wanted
    for effect in (0.0, 1e-6):
        with pytest.raises(ValueError, match="no number of pairs"):
            statistics.pairs_needed(effect)


@pytest.mark.parametrize("test", ["t", "signed-rank", "sign-flip"])
def test_every_test_keeps_its_level_and_finds_what_is_there(test: str) -> None:
    generator = np.random.default_rng(5)
    rule = Rule(test=test, correction="none")
    null = [statistics._p(rule, generator.normal(size=12)) < 0.05 for _ in range(200)]
    assert np.mean(null) <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / 200)
    assert statistics._p(rule, generator.normal(2.0, 1.0, 12)) < 0.01


def test_the_sign_flip_test_counts_all_signs_of_few_pairs() -> None:
    differences = np.array([1.0, 2.0, -0.5, 3.0, 1.5])
    sums = [abs(np.dot(signs, differences)) for signs in product((1, -1), repeat=5)]
    exact = np.mean(np.array(sums) >= abs(differences.sum()) - 1e-12)
    assert statistics._p(Rule(test="sign-flip"), differences) == pytest.approx(exact)


def test_corrections() -> None:
    p = [0.01, 0.02, 0.03, 0.5]
    assert statistics._corrected(Rule(correction="none"), p) == p
    # Benjamini and Hochberg by hand: 4/1 · 0.01, 4/2 · 0.02, 4/3 · 0.03, all 0.04; then 0.5.
    expected = pytest.approx([0.04, 0.04, 0.04, 0.5])
    assert statistics._corrected(Rule(correction="benjamini-hochberg"), p) == expected
    assert statistics._corrected(Rule(correction="benjamini-hochberg"), []) == []


def test_verdicts() -> None:
    generator = np.random.default_rng(6)
    base = dict(enumerate(generator.normal(size=30)))
    measured = {
        "base": base,
        "up": {s: v + 1 + generator.normal(0, 0.1) for s, v in base.items()},
        "down": {s: v - 1 + generator.normal(0, 0.1) for s, v in base.items()},
        "same": {s: v + generator.normal(0, 0.1) for s, v in base.items()},
        "twin": dict(base),
        "noise": {s: v + generator.normal(0, 5) for s, v in base.items()},
    }
    found = statistics.compare(measured, "base", rule=Rule(margin=0.2))
    assert [c.verdict for c in found] == [
        "higher",
        "lower",
        "equivalent",
        "equivalent",
        "undecided",
    ]
    plain = statistics.compare(measured, "base")
    assert [c.verdict for c in plain] == ["higher", "lower", *["undecided"] * 3]


def test_equivalence_is_seldom_claimed_at_the_margin() -> None:
    generator = np.random.default_rng(7)
    claims = [statistics._inside(generator.normal(0.3, 1.0, 200), 0.3, 0.05) for _ in range(400)]
    assert np.mean(claims) <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / 400)
    assert statistics._inside(generator.normal(0.0, 1.0, 2000), 0.3, 0.05)


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"test": "u"}, "test must be one of t, signed-rank, sign-flip"),
        ({"correction": "sidak"}, "correction must be one of holm"),
        ({"alpha": 0.0}, "alpha must lie between 0 and 1"),
        ({"margin": -1.0}, "margin must be a positive number"),
    ],
)
def test_a_rule_that_is_none_is_refused(fields: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Rule(**fields)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: statistics.power(1, 0.5), "pairs must be at least 2"),
        (lambda: statistics.power(5, math.nan), "effect must be a finite number"),
        (lambda: statistics.power(5, 1.0, alpha=1.0), "alpha must lie"),
        (lambda: statistics.power(5, 1.0, comparisons=0), "comparisons must be at least 1"),
        (lambda: statistics.pairs_needed(0.5, 1.0), "wanted power must lie"),
    ],
)
def test_a_plan_that_is_none_is_refused(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def outcomes_with(shift: float, seed: int) -> dict[str, dict[int, float]]:
    generator = np.random.default_rng(seed)
    base = {s: float(generator.normal()) for s in range(15)}
    return {
        "base": base,
        "other": {s: base[s] + shift + float(generator.normal(0, 0.5)) for s in base},
    }


def test_one_family_over_several_data_sets() -> None:
    measured = {"one": outcomes_with(0.3, 1), "two": outcomes_with(0.5, 2), "three": {}}
    measured["three"] = outcomes_with(0.0, 3)
    found = statistics.compare_across(measured, "base")
    alone = {name: statistics.compare(each, "base")[0] for name, each in measured.items()}
    assert [each.p for (each,) in found.values()] == [each.p for each in alone.values()]
    corrected = statistics.holm([each.p for each in alone.values()])
    assert [each.p_holm for (each,) in found.values()] == corrected
    assert found["one"][0].p_holm > alone["one"].p_holm
    with pytest.raises(ValueError, match="reference must be one of base, other"):
        statistics.compare_across(measured, "nobody")


def test_equivalence_is_tested_at_the_level_of_the_whole_family() -> None:
    draws = np.random.default_rng(6).normal(size=20)
    differences = (draws - draws.mean()) / draws.std(ddof=1)
    level = stats.ttest_1samp(differences, 1.0, alternative="less").pvalue
    rule = Rule(margin=1.0, alpha=1.5 * level)
    one = {
        "base": dict.fromkeys(range(20), 0.0),
        "other": {s: float(d) for s, d in enumerate(differences)},
    }
    assert statistics.compare(one, "base", rule=rule)[0].verdict == "equivalent"
    twice = statistics.compare_across({"a": one, "b": one}, "base", rule=rule)
    assert [each.verdict for (each,) in twice.values()] == ["undecided", "undecided"]


@pytest.mark.parametrize("seeds,examples", [(6, 50), (30, 20)])
def test_a_crossed_table_has_the_errors_it_was_made_with(seeds: int, examples: int) -> None:
    generator = np.random.default_rng(7)
    a, b, e = 0.4, 0.7, 1.0
    shape = 600, seeds, examples
    tables = (
        a * generator.normal(size=(600, seeds, 1))
        + b * generator.normal(size=(600, 1, examples))
        + e * generator.normal(size=shape)
    )
    found = [statistics.crossed(table) for table in tables]
    rest = e**2 / (seeds * examples)
    wanted = {
        "over_seeds": a**2 / seeds + rest,
        "over_examples": b**2 / examples + rest,
        "over_both": a**2 / seeds + b**2 / examples + rest,
    }
    for name, square in wanted.items():
        estimated = np.mean([getattr(each, name) ** 2 for each in found])
        assert estimated == pytest.approx(square, rel=0.08), name
    assert tables.mean(axis=(1, 2)).std() == pytest.approx(math.sqrt(wanted["over_both"]), rel=0.1)


def test_a_table_without_effects_of_seeds_has_no_negative_error() -> None:
    # Rows with equal means: the component of the seeds is estimated as negative.
    table = np.array([[1.0, -1.0, 0.0], [-1.0, 0.0, 1.0], [0.0, 1.0, -1.0]])
    found = statistics.crossed(table)
    assert (found.mean, found.over_seeds, found.over_examples, found.over_both) == (0, 0, 0, 0)
    for bad in (np.zeros(3), np.zeros((1, 5)), np.array([[1.0, math.nan], [0.0, 1.0]])):
        with pytest.raises(ValueError, match="table must be finite"):
            statistics.crossed(bad)


@pytest.mark.parametrize(
    "pairs,margin,effect,comparisons", [(10, 1.2, 0.0, 1), (30, 0.7, 0.1, 3), (5, 2.0, 0.0, 1)]
)
def test_the_power_of_equivalence_is_how_often_it_is_found(
    pairs: int, margin: float, effect: float, comparisons: int
) -> None:
    draws = np.random.default_rng(8).normal(effect, 1, size=(20_000, pairs))
    above = stats.ttest_1samp(draws, -margin, axis=1, alternative="greater").pvalue
    below = stats.ttest_1samp(draws, margin, axis=1, alternative="less").pvalue
    found = (np.maximum(above, below) < 0.05 / comparisons).mean()
    computed = statistics.equivalence_power(pairs, margin, effect, comparisons=comparisons)
    assert computed == pytest.approx(found, abs=0.015)


def test_equivalence_needs_room_and_pairs() -> None:
    assert statistics.equivalence_power(5, 1e-3) < 1e-3
    assert statistics.equivalence_power(400, 1.0) > 0.999
    values = [statistics.equivalence_power(20, 0.8, effect) for effect in (0, 0.2, 0.4, 0.8)]
    assert values == sorted(values, reverse=True) and values[-1] < 0.06
    with pytest.raises(ValueError, match="margin must be a positive number"):
        statistics.equivalence_power(10, 0.0)
    with pytest.raises(ValueError, match="pairs must be at least 2"):
        statistics.equivalence_power(1, 1.0)


# --- the analysis of variance -----------------------------------------------------------------


def test_one_factor_is_the_one_way_test() -> None:
    table = np.random.default_rng(0).normal(size=(4, 6)) + np.arange(4)[:, None] / 2
    factor, rest = statistics.anova(table, ["a"])
    known = stats.f_oneway(*table)
    assert factor.p == pytest.approx(known.pvalue)
    assert factor.squares / 3 / (rest.squares / 20) == pytest.approx(known.statistic)
    assert (factor.name, rest.name, factor.degrees, rest.degrees) == ("a", "seeds", 3, 20)


def test_a_table_by_hand() -> None:
    """Cell means 1 and 3 over 5 and 11, two seeds at ±1 in each cell."""
    table = np.array([[[0.0, 2], [2, 4]], [[4, 6], [10, 12]]])
    one, two, both, rest = statistics.anova(table, ["a", "b"])
    assert [e.squares for e in (one, two, both, rest)] == pytest.approx([72, 32, 8, 8])
    assert [e.degrees for e in (one, two, both, rest)] == [1, 1, 1, 4]
    assert one.eta == pytest.approx(72 / 120)
    assert one.omega == pytest.approx((72 - 2) / (120 + 2))
    assert both.name == "a × b"
    assert one.p == pytest.approx(stats.f.sf(36, 1, 4))
    assert sum(e.omega for e in (one, two, both, rest)) == pytest.approx(1)


def test_the_parts_are_those_of_least_squares() -> None:
    """Each part is what its columns add to a regression on all parts before it."""
    shape = (3, 2, 4, 5)
    generator = np.random.default_rng(1)
    table = generator.normal(size=shape) + np.multiply.outer(
        np.multiply.outer(np.arange(3.0), np.ones(2)), np.outer(np.arange(4), np.ones(5))
    )
    found = statistics.anova(table, ["a", "b", "c"])
    levels = np.indices(shape)[:3].reshape(3, -1)
    y, design = table.ravel(), [np.ones(table.size)]

    def unexplained() -> float:
        x = np.stack(design, axis=1)
        return float(((y - x @ np.linalg.lstsq(x, y)[0]) ** 2).sum())

    before = unexplained()
    for effect in found[:-2]:
        axes = ["abc".index(factor) for factor in effect.factors]
        for level in product(*(range(shape[axis]) for axis in axes)):
            here = [levels[axis] == k for axis, k in zip(axes, level, strict=True)]
            design.append(np.all(here, axis=0).astype(float))
        after = unexplained()
        assert effect.squares == pytest.approx(before - after, abs=1e-8)
        before = after
    assert found[-2].name == "higher" and found[-2].degrees == 2 * 1 * 3
    assert found[-2].squares + found[-1].squares == pytest.approx(before)
    assert sum(effect.eta for effect in found) == pytest.approx(1)


def test_the_interval_of_a_share_covers_it() -> None:
    generator = np.random.default_rng(2)
    truth = np.array([-0.5, 0.0, 0.5])
    share = (truth**2).mean() / ((truth**2).mean() + 1)
    hits = 0
    for _ in range(200):
        effect, *_ = statistics.anova(
            generator.normal(size=(3, 4, 5)) + truth[:, None, None], ["a", "b"]
        )
        hits += effect.low <= share <= effect.high
    assert 0.85 <= hits / 200 <= 0.99


def test_what_is_no_factorial_is_refused() -> None:
    with pytest.raises(ValueError, match="an axis for each of 2 factors and one for seeds"):
        statistics.anova(np.ones((2, 3)), ["a", "b"])
    with pytest.raises(ValueError, match="all finite"):
        statistics.anova(np.full((2, 3), np.nan), ["a"])
