"""Lengths, correlations and gradients in random networks, to a thousand layers, beside the theory.

Nothing is trained: two inputs pass through z ← W f(z) + b, or with a residual connection through
z ← z + s (W f(z) + b), and a gradient passes back.  The theory is that of infinite width, layer by
layer, with the first correction of finite width to the logarithms beside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from .. import catalogue, signal
from .framework import Row, Stage, Study

ACTIVATIONS = (
    "identity", "sigmoid", "hardsigmoid", "tanh", "softsign", "hardtanh", "sine", "gaussian",
    "relu", "leaky_relu", "prelu", "relu6", "relu_squared", "elu", "selu", "softplus", "silu",
    "gelu", "mish", "hardswish",
)  # fmt: skip
#: Standard deviations of the weights, times √width; "gain" and "edge" belong to the activation.
STARTS = {"he": math.sqrt(2), "lecun": 1.0, "six": math.sqrt(6)}
#: The bias at the edge of chaos: at 0 many edges lie at the variance 0, where nothing is seen.
EDGE_BIAS = 0.3
RESIDUALS = ("none", "scaled", "plain")
#: Two inputs of this squared length and correlation; at the edge, of the length that is fixed.
LENGTH, CORRELATION = 1.0, 0.6
#: After these numbers of layers, forward and backward, a row is written.
LAYERS = (1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 300, 500, 1000)
SEED = 7000
#: Networks of this many seeds pass together, with the same weights in every condition.
SEEDS_TOGETHER = 5

#: The decision rule, in decades, by the interval (Student's t, CONFIDENCE) of the mean logarithm
#: over seeds.  Theory holds after a number of layers where the interval meets theory ± TOLERANCE
#: and is at most PRECISE wide: what is not known tells nothing.  Finite width explains a gradient
#: where the interval meets the corrected theory ± (TOLERANCE + SHARE · |correction|) and the
#: standard deviation is at most SCATTER times the expected one.
TOLERANCE, SHARE, PRECISE, SCATTER, CONFIDENCE = 0.1, 0.1, 1.0, 3.0, 0.99
#: 1 − c below this is a correlation of 1: what is left is rounding.
ALIKE = 1e-12

#: Powers of the correlation that are summed one by one.
POWERS = 96
POINTS = 12
WIDEST, FINEST = 14.0, 1e-8
#: Moments outside [TINY, 1/TINY] are 0 or ∞: f⁴ would be.
TINY = 1e-70
#: A layer that changes nothing but the length, up to this, is repeated and not computed anew.
SAME = 1e-13
#: A fixed point is one where V(q)/q is 1 up to this: σ_w is rounded, and some repel.
FIXED = 1e-9
DECADE = math.log10(math.e)


@dataclass(frozen=True)
class Propagation:
    """One random network of ``depth`` layers; of width 0 it is the theory.

    ``sigma_w`` and ``sigma_b`` are the deviations of the weights times √width and of the biases.
    """

    activation: str
    start: str
    sigma_w: float
    sigma_b: float = 0.0
    residual: str = "none"
    width: int = 0
    depth: int = 1000
    seed: int = SEED
    length: float = LENGTH
    correlation: float = CORRELATION
    dataset: str = "none"
    policy: str = "contract"

    @property
    def branch(self) -> float | None:
        """The factor s of a residual branch; None without residual connections."""
        return {"none": None, "plain": 1.0, "scaled": self.depth**-0.5}[self.residual]


@dataclass(frozen=True)
class Passed:
    """What went through a network."""

    rows: list[Row]


# -- theory ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Layer:
    """One layer at a variance q of its pre-activations, all in units of q where f is squared.

    ``second`` is E f²/q, ``rise`` dE f²/dq, ``slope`` E f′²; ``peak`` and ``slope_peak`` are the
    relative variances E f⁴/(E f²)² − 1 and 3 E f′⁴/(E f′²)² − 1 of their estimates from one unit;
    ``powers`` and ``masses`` give E f(Z₁) f(Z₂)/q = Σ mass c^power (Mehler's formula).
    """

    second: float
    rise: float
    slope: float
    peak: float
    slope_peak: float
    powers: np.ndarray
    masses: np.ndarray

    def apart(self, distance: float) -> float:
        """(E f(Z₁)² − E f(Z₁) f(Z₂))/q at the correlation 1 − distance."""
        if distance >= 1:
            return float(self.masses.sum() - self.masses[0])
        return float(self.masses @ -np.expm1(self.powers * math.log1p(-distance)))


def layer(name: str, log_q: float) -> Layer:
    """The layer of an activation at q = e^log_q, by quadrature between the kinks."""
    activation = catalogue[name]
    deviation = math.exp(log_q / 2)
    kinks = [float(branch.upto) / deviation for branch in activation.resolved[0][:-1]]
    smallest = min(max(1 / (8 * deviation), FINEST), WIDEST / 2)
    doubling = smallest * 2.0 ** np.arange(math.ceil(math.log2(WIDEST / smallest)))
    edges = np.concatenate([[0.0], doubling, WIDEST * np.arange(1, 17) / 16])
    edges = np.unique(np.clip(np.concatenate([edges, -edges, kinks]), -WIDEST, WIDEST))
    nodes, weights = np.polynomial.legendre.leggauss(POINTS)
    half = np.diff(edges)[:, None] / 2
    z = (edges[:-1, None] + half * (nodes + 1)).ravel()
    density = (half * weights).ravel() * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        f = activation(deviation * z) / deviation
        slopes = activation.grad(deviation * z)
        second, slope = float(density @ f**2), float(density @ slopes**2)
        if not (TINY < second < 1 / TINY and TINY < slope < 1 / TINY):
            none = np.zeros(1)
            large = second > 1 or slope > 1
            return Layer(math.inf if large else 0.0, 0.0, 0.0, 0.0, 0.0, none, none)
        fourth, slope_fourth = float(density @ f**4), float(density @ slopes**4)
        rise = float(density @ (f**2 * (z**2 - 1))) / 2
        masses = np.array([density @ (f * h) for h in _hermite(z)]) ** 2
    powers = np.arange(POWERS + 1.0)
    # What the sum leaves out has this mass and this mean power: both are known.  A kink of f gives
    # masses like k^(−5/2), hence those of octaves like 2^(−3j/2).
    rest, weighted = second - masses.sum(), slope - masses @ powers
    if rest > 1e-13 * second and weighted > POWERS * rest:
        octaves = 2.0 ** (np.arange(90) / 2)
        shares = octaves**-1.5 / (octaves**-1.5).sum()
        powers = np.append(powers, octaves * (weighted / rest / (shares @ octaves)))
        masses = np.append(masses, rest * shares)
    elif rest > 0:
        masses[1] += rest
    return Layer(
        second, rise, slope, fourth / second**2 - 1, 3 * slope_fourth / slope**2 - 1, powers, masses
    )


def _hermite(z: np.ndarray) -> Iterable[np.ndarray]:
    """The orthonormal polynomials of N(0, 1) up to ``POWERS``."""
    before, now = np.zeros_like(z), np.ones_like(z)
    for k in range(POWERS + 1):
        yield now
        before, now = now, (z * now - math.sqrt(k) * before) / math.sqrt(k + 1)


@dataclass(frozen=True)
class Theory:
    """Layer by layer from 0 to the depth: natural logarithms of q and of the gradient, 1 − c.

    ``gradient[k]`` is k layers from the end.  Of width n, the mean of a logarithm over random
    networks is shifted by ``*_shift/n`` and its variance is ``*_spread/n``, to first order in 1/n.
    """

    length: np.ndarray
    distance: np.ndarray
    chi: np.ndarray
    gradient: np.ndarray
    length_shift: np.ndarray
    length_spread: np.ndarray
    gradient_shift: np.ndarray
    gradient_spread: np.ndarray


def theory(config: Propagation) -> Theory:
    """The infinitely wide network of a configuration, and its first correction."""
    weight, bias, s = config.sigma_w**2, config.sigma_b**2, config.branch
    log_q, distance = math.log(config.length), 1 - config.correlation
    shift, spread = 0.0, 0.0
    found = [(log_q, distance, math.nan, 0.0, -1.0, 2.0)]
    steps: list[tuple[float, float]] = []
    here, ratio, repeats = layer(config.activation, log_q), math.nan, 0
    for _ in range(config.depth):
        if repeats < 2:
            here = layer(config.activation, log_q)
        offset = bias * math.exp(-log_q) if bias else 0.0
        growth = weight * here.second + offset  # V(q)/q
        chi = weight * here.slope
        if not 0 < growth < math.inf or not 0 < chi < math.inf:
            log_q = math.inf if growth > 0 else -math.inf
            rest = config.depth + 1 - len(found)
            found += [(log_q, math.nan, math.nan, math.nan, math.nan, math.nan)] * rest
            steps += [(math.nan, math.nan)] * rest
            break
        if abs(growth - 1) < FIXED:
            growth = 1.0
        share = weight * here.second / growth
        apart = weight * here.apart(distance)
        if s is None:
            after, tilt = growth, weight * here.rise / growth
            noise, extra = share**2 * here.peak, 2.0
            distance = apart / growth
            factor, jitter = chi, here.slope_peak
        else:
            after = 1 + s**2 * growth
            tilt = (1 + s**2 * weight * here.rise) / after
            noise, extra = (4 * s**2 * growth + 2 * s**4 * growth**2) / after**2, 0.0
            distance = (distance + s**2 * apart) / after
            factor = 1 + s**2 * chi
            jitter = (4 * s**2 * chi + s**4 * chi**2 * here.slope_peak) / factor**2
        shift, spread = tilt * shift - noise / 2, tilt**2 * spread + noise
        new_ratio = math.log(after)
        same = abs(new_ratio - ratio) < SAME and (bias == 0 or abs(new_ratio) < SAME)
        repeats = repeats + 1 if same else 0
        ratio, log_q = new_ratio, log_q + new_ratio
        found.append((log_q, distance, chi, shift, shift - extra / 2, spread + extra))
        steps.append((math.log(factor), jitter))
    log_q_all, distances, chis, _, shifts, spreads = (
        np.array(column) for column in zip(*found, strict=True)
    )
    factors, jitters = (np.array(column)[::-1] for column in zip(*steps, strict=True))
    gradient = np.concatenate([[0.0], np.cumsum(factors)])
    variance = np.concatenate([[0.0], np.cumsum(jitters)])
    return Theory(log_q_all, distances, chis, gradient, shifts, spreads, -variance / 2, variance)


def _theory_rows(config: Propagation) -> list[Row]:
    found = theory(config)
    return [
        {
            **_fields(config),
            "layer": k,
            "log10_length": DECADE * float(found.length[k]),
            "distance": float(found.distance[k]),
            "chi": float(found.chi[k]),
            "log10_gradient": DECADE * float(found.gradient[k]),
            "length_shift": DECADE * float(found.length_shift[k]),
            "length_spread": DECADE * math.sqrt(float(found.length_spread[k])),
            "gradient_shift": DECADE * float(found.gradient_shift[k]),
            "gradient_spread": DECADE * math.sqrt(float(found.gradient_spread[k])),
        }
        for k in _layers(config.depth)
    ]


# -- networks --------------------------------------------------------------------------------------


def draws(
    seed: int, number: int, shape: tuple[int, int], device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Standard normal matrix and vector of one layer, float64; number 0 are the inputs."""
    state = np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0]
    generator = torch.Generator(device).manual_seed(int(state >> np.uint64(1)))
    matrix = torch.randn(shape, generator=generator, device=device)
    return matrix.double(), torch.randn(shape[0], generator=generator, device=device).double()


class _Stack:
    """Networks of one width and depth: for each seed the same weights in every condition."""

    def __init__(self, configs: Sequence[Propagation], device: torch.device) -> None:
        first = configs[0]
        self.device, self.width, self.depth = device, first.width, first.depth
        self.seeds = list(dict.fromkeys(config.seed for config in configs))
        self.conditions = [config for config in configs if config.seed == self.seeds[0]]
        self.conditions.sort(key=lambda config: config.activation)
        names = [config.activation for config in self.conditions]
        self.spans = [
            (name, names.index(name), names.index(name) + names.count(name))
            for name in dict.fromkeys(names)
        ]
        branches = [config.branch for config in self.conditions]
        self.keep = self._row([0.0 if s is None else 1.0 for s in branches])
        scale = [1.0 if s is None else s for s in branches]
        sigma_w = [config.sigma_w for config in self.conditions]
        sigma_b = [config.sigma_b for config in self.conditions]
        self.sigma_w = self._row(sigma_w) * self._row(scale) / math.sqrt(self.width)
        self.sigma_b = self._row(sigma_b) * self._row(scale)

    def _row(self, values: Sequence[float]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float64, device=self.device)

    def _draws(self, number: int, columns: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        shape = self.width, columns or self.width
        drawn = [draws(seed, number, shape, self.device) for seed in self.seeds]
        return torch.stack([w for w, _ in drawn]), torch.stack([b for _, b in drawn])

    def _each(self, z: torch.Tensor, derivative: bool) -> torch.Tensor:
        """f or f′ of pre-activations (seeds, width, conditions, …)."""
        out = torch.empty_like(z)
        for name, start, stop in self.spans:
            activation = catalogue[name]
            function = activation.grad if derivative else activation
            out[:, :, start:stop] = function(z[:, :, start:stop].contiguous())
        return out

    def inputs(self) -> torch.Tensor:
        """Two inputs of the wanted lengths and correlation, (seeds, width, conditions, 2)."""
        pair, _ = self._draws(0, 2)
        basis = torch.linalg.qr(pair).Q * math.sqrt(self.width)
        first, other = basis[:, :, :1], basis[:, :, 1:]
        c = self._row([config.correlation for config in self.conditions])
        size = self._row([math.sqrt(config.length) for config in self.conditions])
        second = c * first + (1 - c**2).sqrt() * other
        return torch.stack([size * first, size * second], dim=-1)

    def run(self) -> dict[tuple, list[Row]]:
        """The rows of each (seed, activation, residual, start)."""
        z, slopes = self.inputs(), []
        forward = [_described(z)]
        for number in range(1, self.depth + 1):
            weight, bias = self._draws(number)
            slopes.append(self._each(z[..., 0], derivative=True))
            f = self._each(z, derivative=False)
            y = torch.bmm(weight, f.flatten(2)).view(f.shape) * self.sigma_w[:, None]
            z = self.keep[:, None] * z + y + (bias[:, :, None] * self.sigma_b)[..., None]
            forward.append(_described(z))
        sent, _ = self._draws(self.depth + 1, 1)
        g = sent.expand(-1, -1, len(self.conditions)).clone()
        scale = 2 * torch.log10(_rms(g))
        g, size = g / _rms(g), torch.zeros_like(scale)
        backward = [size]
        for number in range(self.depth, 0, -1):
            weight, _ = self._draws(number)
            g = self.keep * g + self.sigma_w * slopes[number - 1] * torch.bmm(
                weight.transpose(1, 2), g
            )
            rms = _rms(g)
            size = size + 2 * torch.log10(rms)
            g = torch.where(rms > 0, g / rms, g)
            backward.append(size)
        return self._rows(forward, [size[:, 0] for size in backward])

    def _rows(self, forward: list, backward: list) -> dict[tuple, list[Row]]:
        lengths, distances = (
            torch.stack(part).cpu().numpy() for part in zip(*forward, strict=True)
        )
        gradients = torch.stack(backward).cpu().numpy()
        found: dict[tuple, list[Row]] = {}
        for i, seed in enumerate(self.seeds):
            for j, config in enumerate(self.conditions):
                found[seed, config.activation, config.residual, config.start] = [
                    {
                        "layer": k,
                        "log10_length": float(lengths[k, i, j]),
                        "distance": float(distances[k, i, j]),
                        "log10_gradient": float(gradients[k, i, j]),
                        "diverged": not bool(np.isfinite(lengths[k, i, j])),
                    }
                    for k in _layers(self.depth)
                ]
        return found


def _rms(g: torch.Tensor) -> torch.Tensor:
    """Root mean square over the units, (seeds, 1, conditions); largest first: nothing overflows."""
    largest = g.abs().amax(1, keepdim=True)
    safe = torch.where((largest > 0) & largest.isfinite(), largest, torch.ones_like(largest))
    return safe * (g / safe).square().mean(1, keepdim=True).sqrt()


def _described(z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """log₁₀ of the squared length over the width, and 1 − c, each (seeds, conditions)."""
    rms = _rms(z.flatten(2)).view(z.shape[0], 1, *z.shape[2:])
    unit = z / rms
    distance = (unit[..., 0] - unit[..., 1]).square().mean(1) / 2
    length = 2 * torch.log10(rms[:, 0, :, 0])
    return torch.where(length.isnan(), math.inf, length), distance


def _layers(depth: int) -> list[int]:
    return sorted({k for k in LAYERS if k < depth} | {depth})


def _fields(config: Propagation) -> Row:
    return {name: getattr(config, name) for name in config.__dataclass_fields__}


def train(
    configs: Iterable[Propagation],
    *,
    device: str | torch.device | None = None,
    datasets: Mapping[str, Any] | None = None,
) -> list[Passed]:
    """Rows of each configuration; those of one seed, width and depth have the same weights.

    A row holds the configuration and, after ``layer`` layers, ``log10_length`` (of q), ``distance``
    (1 − c) and ``log10_gradient`` (the mean squared gradient that many layers from the end, over
    that at the end); ``diverged``: a length was not finite, or 0.
    """
    configs = list(configs)
    where = torch.device(device or "cpu")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        found = _passed(configs, where)
    finally:
        torch.set_num_threads(threads)
    return [Passed(found[position]) for position in range(len(configs))]


def _passed(configs: Sequence[Propagation], where: torch.device) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = {}
    shapes: dict[tuple, list[int]] = {}
    for position, config in enumerate(configs):
        if config.width == 0:
            found[position] = _theory_rows(config)
        else:
            shapes.setdefault((config.width, config.depth), []).append(position)
    for positions in shapes.values():
        passed = _Stack([configs[position] for position in positions], where).run()
        for position in positions:
            config = configs[position]
            key = config.seed, config.activation, config.residual, config.start
            found[position] = [{**_fields(config), **row} for row in passed[key]]
    return found


def groups(configs: Sequence[Propagation]) -> list[list[int]]:
    """Theories by activation; networks by width, depth and a few seeds, all conditions together."""
    found: dict[tuple, list[int]] = {}
    for position, config in enumerate(configs):
        block = (config.seed - SEED) // SEEDS_TOGETHER
        key = (config.activation,) if config.width == 0 else (config.width, config.depth, block)
        found.setdefault(key, []).append(position)
    return list(found.values())


# -- the design ------------------------------------------------------------------------------------


def condition(activation: str, start: str, residual: str = "none", **fields: Any) -> Propagation:
    """The configuration of one condition; signal.NoSolution where it has no edge of chaos."""
    if start == "edge":
        edge = signal.edge_of_chaos(catalogue[activation], EDGE_BIAS)
        fields |= {"sigma_b": EDGE_BIAS, "length": _short(edge.q)}
        sigma = edge.sigma_w
    else:
        sigma = catalogue[activation].gain if start == "gain" else STARTS[start]
    return Propagation(activation, start, _short(sigma), residual=residual, **fields)


def _short(value: float) -> float:
    """Ten digits: what follows hangs on the machine."""
    return float(f"{value:.10g}")


def _design(budget: Mapping[str, Any], stage: str) -> list[Propagation]:
    """One network of each condition of a stage, before seeds are given."""
    width, depth = budget["width"], budget["depth"]
    if stage == "depth_30":
        return [
            condition(name, start, width=256, depth=30)
            for name in ("identity", "relu", "tanh", "sigmoid")
            for start in ("lecun", "he", "six")
        ]
    if stage == "width":
        return [
            condition(name, "gain", width=other, depth=budget["width_depth"])
            for other in budget["widths"]
            for name in ("relu", "tanh", "gelu")
        ]
    start, residual = ("gain", stage.removeprefix("residual_")) if "_" in stage else (stage, "none")
    found = []
    for name in ACTIVATIONS:
        try:
            found.append(condition(name, start, residual, width=width, depth=depth))
        except signal.NoSolution:
            continue
    return found


def _networks(stage: str) -> Any:
    def grid(budget: Mapping[str, Any], rows: Sequence[Row]) -> list[Propagation]:
        return [
            Propagation(**{**_fields(one), "seed": SEED + i})
            for one in _design(budget, stage)
            for i in range(budget["seeds"])
        ]

    return grid


def _theories(budget: Mapping[str, Any], rows: Sequence[Row]) -> list[Propagation]:
    found = [
        Propagation(**{**_fields(one), "width": 0})
        for stage in MEASURED_STAGES
        for one in _design(budget, stage)
    ]
    return list(dict.fromkeys(found))


#: The stages that measure, and what each is for.
MEASURED_STAGES = {
    "gain": "weights at each activation's own gain, which keeps the length 1",
    "he": "weights of variance 2/width",
    "lecun": "weights of variance 1/width",
    "edge": "weights at the edge of chaos with biases of deviation 0.3",
    "residual_scaled": "gain, with residual branches times 1/√depth",
    "residual_plain": "gain, with residual branches as they are",
    "width": "three activations at other widths",
    "depth_30": "thirty layers of width 256 at three variances",
}


# -- what came out ---------------------------------------------------------------------------------

_Key = tuple[str, str, str, int]
"""Activation, start, residual, depth."""


def _key(row: Row) -> _Key:
    return row["model"], row["start"], row["residual"], row["depth"]


def meets(low: float, high: float, expected: float, tolerance: float = TOLERANCE) -> bool:
    """Whether an interval has a point in common with what is expected ± tolerance."""
    return low <= expected + tolerance and high >= expected - tolerance


def holds(low: float, high: float, expected: float) -> bool:
    """Whether the rule says that theory holds."""
    return meets(low, high, expected) and high - low <= PRECISE


def reached(agree: Mapping[int, bool]) -> int:
    """The largest number of layers up to which all recorded ones agree; 0 where none does."""
    last = 0
    for layers, good in sorted(agree.items()):
        if not good:
            break
        last = layers
    return last


def verdict(values: Sequence[float], expected: float, shift: float, spread: float) -> str:
    """What the rule says of gradients: "theory", "finite width", "neither", or "diverged"."""
    low, high = bounds(values)
    if math.isnan(low):
        return "diverged"
    if holds(low, high, expected):
        return "theory"
    explained = meets(low, high, expected + shift, TOLERANCE + SHARE * abs(shift))
    scattered = float(np.std(values, ddof=1)) > SCATTER * spread
    return "finite width" if explained and not scattered else "neither"


def bounds(values: Sequence[float]) -> tuple[float, float]:
    """Student's interval of a mean; NaN where a value is not finite.

    Logarithms of products over many layers are nearly normal, and the intervals are many.
    """
    from scipy import stats

    if not np.isfinite(values).all():
        return math.nan, math.nan
    half = stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * np.std(values, ddof=1)
    mean, half = float(np.mean(values)), float(half) / math.sqrt(len(values))
    return mean - half, mean + half


def _apart(distance: float) -> float:
    return math.log10(max(distance, ALIKE)) if not math.isnan(distance) else math.nan


def summary(rows: Sequence[Row]) -> list[Row]:
    """Per condition: how many layers theory holds for, the gradient through all, the verdict.

    ``length_to``, ``correlation_to`` and ``gradient_to`` are the layers up to which theory holds,
    ``theory``, ``shift`` and ``measured`` the base-10 logarithms of the squared gradient's ratio
    through the whole network, ``low`` and ``high`` the interval of its mean.
    """
    expected = {(_key(row), row["layer"]): row for row in rows if row["stage"] == "theory"}
    found: dict[tuple[str, int, _Key], dict[int, list[Row]]] = {}
    for row in rows:
        if row["stage"] != "theory":
            key = row["stage"], row["width"], _key(row)
            found.setdefault(key, {}).setdefault(row["layer"], []).append(row)
    return [
        _summed(stage, width, key, layers, expected)
        for (stage, width, key), layers in found.items()
    ]


def _summed(
    stage: str, width: int, key: _Key, layers: Mapping[int, Sequence[Row]], expected: Mapping
) -> Row:
    agree: dict[str, dict[int, bool]] = {"length": {}, "correlation": {}, "gradient": {}}
    for number, part in layers.items():
        wanted = expected[key, number]
        seen = {
            "length": ([r["log10_length"] for r in part], wanted["log10_length"]),
            "correlation": ([_apart(r["distance"]) for r in part], _apart(wanted["distance"])),
            "gradient": ([r["log10_gradient"] for r in part], wanted["log10_gradient"]),
        }
        for quantity, (values, theory) in seen.items():
            agree[quantity][number] = holds(*bounds(values), theory)
    part = layers[max(layers)]
    wanted = expected[key, max(layers)]
    gradients = [row["log10_gradient"] for row in part]
    low, high = bounds(gradients)
    theory, shift = wanted["log10_gradient"], wanted["gradient_shift"] / width
    spread = wanted["gradient_spread"] / math.sqrt(width)
    return {
        "stage": stage,
        **dict(zip(("model", "start", "residual", "depth"), key, strict=True)),
        "width": width,
        "runs": len(part),
        "diverged": sum(row["diverged"] for row in part),
        **{f"{quantity}_to": reached(numbers) for quantity, numbers in agree.items()},
        "theory": theory,
        "shift": shift,
        "measured": float(np.mean(gradients)),
        "low": low,
        "high": high,
        "spread": math.nan if math.isnan(low) else float(np.std(gradients, ddof=1)),
        "expected_spread": spread,
        "verdict": verdict(gradients, theory, shift, spread),
    }


_MEASURED = ("layer", "seed", "log10_length", "distance", "log10_gradient", "diverged")
_THEORY = (
    "model", "start", "residual", "depth", "sigma_w", "length", "layer", "log10_length", "distance",
    "chi", "log10_gradient", "length_shift", "length_spread", "gradient_shift", "gradient_spread",
)  # fmt: skip
_VARYING = {"width": ("model", "width"), "depth_30": ("model", "start")}

STUDY = Study(
    name="depth_gradients",
    title="Signals and gradients in depth, theory beside measurement",
    question="How deep does the theory of infinite width describe a random network?",
    stages=(
        Stage("theory", "the infinitely wide network of every condition", _theories, _THEORY),
        *(
            Stage(name, purpose, _networks(name), (*_VARYING.get(name, ("model",)), *_MEASURED))
            for name, purpose in MEASURED_STAGES.items()
        ),
    ),
    budgets={
        "quick": {
            "width": 100, "depth": 300, "seeds": 10, "widths": (50, 200), "width_depth": 100,
        },
        "full": {
            "width": 300, "depth": 1000, "seeds": 10, "widths": (100, 1000), "width_depth": 200,
        },
    },
    label=lambda config: config.activation,
    summary=summary,
    stack=10_000,
    train=train,
    groups=groups,
    modules=(),
)  # fmt: skip
