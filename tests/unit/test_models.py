"""Members of a group against the same networks, built and trained one at a time from torch.nn."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from actbook import catalogue, train
from actbook.data import Dataset
from actbook.train import layers, masks, networks, stack
from actbook.train import models as M
from actbook.train.members import data_order, initial_values
from actbook.train.models import Model
from actbook.train.updates import Updates
from tests.unit.training import blobs

pytestmark = pytest.mark.usefixtures("one_thread")


DATA = {"blobs": blobs()}


def model(**fields: object) -> Model:
    base = {"dataset": "blobs", "widths": (24, 32, 32, 3), "epochs": 2, "batch": 16, "lr": 1e-2}
    return Model(**{**base, **fields})  # type: ignore[arg-type]


def trained(*chosen: train.Config) -> list[train.Trained]:
    return M.train(chosen, device="cpu", datasets=DATA)


# --- the plain network, written again -------------------------------------------------------------


def lowbias32(x: np.ndarray) -> np.ndarray:
    """Wellons' hash of uint32, by NumPy."""
    x = np.asarray(x, dtype=np.uint32)
    with np.errstate(over="ignore"):
        x = (x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D)
        x = (x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B)
        return x ^ (x >> np.uint32(16))


def mask(seed: int, layer: int, step: int, shape: tuple[int, int], rate: float) -> torch.Tensor:
    """What dropout keeps, from unsigned integers."""
    key = lowbias32(np.uint32(layer + 1))
    for word in [seed] if seed < 2**32 else [seed % 2**32, seed >> 32]:
        key = lowbias32(key ^ np.uint32(word))
    rows = lowbias32(key ^ lowbias32(np.uint32(step)) ^ np.arange(shape[0], dtype=np.uint32))
    columns = np.arange(shape[1], dtype=np.uint32) * np.uint32(0x9E3779B9)
    hashed = lowbias32(rows[:, None] + columns) & np.uint32(0x7FFFFFFF)
    return torch.from_numpy(hashed >= round(rate * 2**31))


class PlainDropout(nn.Module):
    def __init__(self, chosen: Model, layer: int) -> None:
        super().__init__()
        self.chosen, self.layer, self.steps = chosen, layer, 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return x
        rate = self.chosen.dropout
        kept = mask(self.chosen.seed, self.layer, self.steps, tuple(x.shape), rate).to(x.dtype)
        self.steps += 1
        if self.chosen.dropout_kind == "plain":
            return x * (kept * (1 / (1 - rate)))
        low = -1.7580993408473766
        a = ((1 - rate) * (1 + rate * low**2)) ** -0.5
        return x * (kept * a) + ((1 - kept) * (a * low) + -a * rate * low)


class Hidden(nn.Module):
    """One hidden layer, its modules by name, applied as the definition says."""

    def __init__(self, chosen: Model, k: int, n_in: int, n_out: int) -> None:
        super().__init__()
        dtype = getattr(torch, chosen.dtype)
        self.linear = nn.Linear(n_in, n_out, dtype=dtype)
        norms = {"none": nn.Identity, "batch": nn.BatchNorm1d, "layer": nn.LayerNorm}
        self.norm = norms[chosen.normalisation](n_out, dtype=dtype)
        activation = catalogue[chosen.activation].at(**dict(chosen.parameters))
        options = {"channels": n_out} if chosen.per_unit else {}
        self.act = activation.module(policy=chosen.policy, **options).to(dtype)
        self.drop = PlainDropout(chosen, k) if chosen.dropout else nn.Identity()
        self.skip = chosen.residual and n_in == n_out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.drop(self.act(self.norm(self.linear(x))))
        return x + h if self.skip else h


def plain(chosen: Model) -> nn.Sequential:
    pairs = list(zip(chosen.widths[:-1], chosen.widths[1:], strict=True))
    hidden: list[nn.Module] = [Hidden(chosen, k, *pair) for k, pair in enumerate(pairs[:-1])]
    last = nn.Linear(*pairs[-1], dtype=getattr(torch, chosen.dtype))
    network = nn.Sequential(*hidden, last)
    linear = [m for m in network.modules() if isinstance(m, nn.Linear)]
    with torch.no_grad():
        for module, (weight, bias) in zip(linear, networks.initial(chosen), strict=True):
            module.weight.copy_(torch.from_numpy(weight))
            module.bias.copy_(torch.from_numpy(bias))
    return network


def optimizer(chosen: Model, network: nn.Module) -> torch.optim.Optimizer:
    options = {"lr": chosen.lr, "weight_decay": chosen.weight_decay, "foreach": False}
    if chosen.optimizer == "sgd":
        return torch.optim.SGD(network.parameters(), momentum=chosen.momentum, **options)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[chosen.optimizer]
    return kind(network.parameters(), eps=chosen.eps, **options)


def loss_of(chosen: Model, logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    if chosen.loss == "mse":
        return nn.functional.mse_loss(logits, torch.eye(logits.shape[1], dtype=logits.dtype)[y])
    return nn.functional.cross_entropy(logits, y)


def trained_alone(chosen: Model, dataset: Dataset = DATA["blobs"]) -> tuple[nn.Module, list[dict]]:
    network = plain(chosen)
    updates, dtype = optimizer(chosen, network), getattr(torch, chosen.dtype)
    x, y = torch.from_numpy(dataset.x_train).to(dtype), torch.from_numpy(dataset.y_train)
    x_test, y_test = torch.from_numpy(dataset.x_test).to(dtype), torch.from_numpy(dataset.y_test)
    rows = []
    for epoch in range(1, chosen.epochs + 1):
        network.train()
        total = 0.0
        order = torch.from_numpy(data_order(chosen.seed, epoch, len(x)))
        for batch in order.split(chosen.batch):
            updates.zero_grad()
            loss = loss_of(chosen, network(x[batch]), y[batch])
            loss.backward()
            updates.step()
            total += loss.item() * len(batch)
        network.eval()
        with torch.no_grad():
            logits = network(x_test)
        rows.append(
            {
                "running_loss": total / len(x),
                "test_loss": loss_of(chosen, logits, y_test).item(),
                "test_accuracy": (logits.argmax(1) == y_test).double().mean().item(),
            }
        )
    return network, rows


def assert_same(member: train.Trained, alone: nn.Module, rows: list[dict]) -> None:
    pairs = zip(member.network.parameters(), alone.parameters(), strict=True)
    for number, (a, b) in enumerate(pairs):
        assert torch.equal(a, b), f"parameter {number} differs by {(a - b).abs().max().item():.3g}"
    own = [b for name, b in member.network.named_buffers() if not name.endswith("step")]
    for a, b in zip(own, alone.buffers(), strict=True):
        assert torch.equal(a, b), "running statistics differ"
    for got, expected in zip(member.rows, rows, strict=True):
        for column, value in expected.items():
            assert got[column] == pytest.approx(value, rel=1e-6), column


OPTIONS = [
    {"normalisation": "batch"},
    {"normalisation": "layer"},
    {"normalisation": "batch", "optimizer": "sgd", "momentum": 0.9, "dtype": "float64"},
    {"residual": True},
    {"residual": True, "normalisation": "layer", "activation": "gelu"},
    {"dropout": 0.3},
    {"dropout": 0.2, "dropout_kind": "alpha", "activation": "selu", "gain": 1.0},
    {"activation": "elu", "parameters": (("alpha", 0.5),)},
    {"activation": "leaky_relu", "parameters": (("alpha", 0.2),), "init": "he"},
    {"activation": "prelu", "parameters": (("alpha", 0.1),)},
    {"activation": "prelu", "per_unit": True},
    {"activation": "swish", "per_unit": True, "residual": True, "normalisation": "batch"},
    {"activation": "acon_c", "policy": "contract"},
    {"gain": 1.6, "bias_std": 0.3, "activation": "tanh"},
    {"loss": "mse", "batch": 17},
    {"optimizer": "adamw", "weight_decay": 0.1, "normalisation": "layer"},
    {"widths": (24, 20, 7, 3), "activation": "silu"},
    {"widths": (24, 33, 9, 3), "activation": "elu", "batch": 7},
    {"widths": (24, 20, 7, 3), "activation": "tanh", "dtype": "float64"},
    {"widths": (24, 5, 5, 5, 3), "activation": "softplus", "residual": True, "batch": 37},
    {"widths": (24, 33, 3), "activation": "mish", "optimizer": "sgd", "dropout": 0.5},
    {"widths": (24, 33, 3), "activation": "swish"},
    {"widths": (24, 3)},
    {"widths": (24, *[32] * 6, 3), "residual": True, "normalisation": "batch", "dropout": 0.1},
]


@pytest.mark.parametrize("fields", OPTIONS, ids=str)
def test_a_member_is_bit_for_bit_the_network_trained_alone(fields: dict) -> None:
    members = [model(seed=seed, lr=lr, **fields) for lr in (1e-2, 3e-2) for seed in (0, 5)]
    for member in trained(*members):
        assert_same(member, *trained_alone(member.config))


def test_a_config_gives_what_the_engine_gives() -> None:
    configs = [
        train.Config("blobs", (24, 32, 3), a, epochs=2, batch=16, seed=seed)
        for a in ("relu", "prelu", "gelu") for seed in (0, 1)
    ]  # fmt: skip
    assert M.fit(configs, device="cpu", datasets=DATA) == train.fit(
        configs, device="cpu", datasets=DATA
    )


# --- independence ---------------------------------------------------------------------------------

EVERYTHING = {
    "normalisation": "batch", "dropout": 0.2, "activation": "prelu", "per_unit": True,
    "residual": True,
}  # fmt: skip


def test_a_member_does_not_depend_on_what_trains_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    members = [model(seed=s, lr=lr, **EVERYTHING) for s in (3, 1, 2) for lr in (1e-3, 1e-1)]
    together = M.fit(members, device="cpu", datasets=DATA)
    alone = [row for one in members for row in M.fit([one], device="cpu", datasets=DATA)]
    assert together == alone
    monkeypatch.setattr(stack, "CACHE_BYTES", 1)
    monkeypatch.setattr(stack, "FEW", 2)
    assert M.fit(members, device="cpu", datasets=DATA) == together


@pytest.mark.parametrize("fields", OPTIONS, ids=str)
def test_by_hand_it_is_autograd_and_the_optimiser_of_torch(
    fields: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU's way to take a step, on this machine."""
    members = [model(seed=seed, lr=lr, **fields) for lr in (1e-2, 3e-2) for seed in (0, 5)]
    expected = trained(*members)
    monkeypatch.setattr(stack.Stack, "_by_hand", lambda self: None)
    for mine, other in zip(trained(*members), expected, strict=True):
        assert mine.rows == other.rows
        for a, b in zip(mine.network.parameters(), other.network.parameters(), strict=True):
            assert torch.equal(a, b)


def test_the_network_given_back_trains_on_as_it_did() -> None:
    """``network`` is the member: in a plain loop it draws the masks that the group drew."""
    chosen = model(**EVERYTHING)
    network, (x, y) = M.network(chosen), map(torch.from_numpy, DATA["blobs"].split("train"))
    updates = torch.optim.Adam(network.parameters(), lr=chosen.lr, foreach=False)
    for epoch in (1, 2):
        for batch in torch.from_numpy(data_order(0, epoch, len(x))).split(16):
            updates.zero_grad()
            nn.functional.cross_entropy(network(x[batch]), y[batch]).backward()
            updates.step()
    [member] = trained(chosen)
    assert not member.network.training
    for (name, a), (_, b) in zip(
        member.network.state_dict().items(), network.state_dict().items(), strict=True
    ):
        assert torch.equal(a, b), name


def test_a_diverging_member_is_reported_and_touches_no_other() -> None:
    calm = [model(optimizer="sgd", seed=s, dropout=0.2) for s in (0, 1)]
    wild = model(optimizer="sgd", seed=0, dropout=0.2, lr=1e30)
    rows = M.fit([calm[0], wild, calm[1]], device="cpu", datasets=DATA)
    kept = [row for row in rows if row["lr"] != 1e30]
    assert kept == M.fit(calm, device="cpu", datasets=DATA)
    assert not any(row["diverged"] for row in kept)
    lost = [row for row in rows if row["lr"] == 1e30]
    assert all(row["diverged"] and math.isnan(row["test_accuracy"]) for row in lost)


def test_the_global_generators_are_left_alone() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first = trained(model(**EVERYTHING, record=M.RECORDS))[0].rows
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(1)
    assert trained(model(**EVERYTHING, record=M.RECORDS))[0].rows == first


@pytest.mark.parametrize(
    "fields", [{"normalisation": "batch"}, {"normalisation": "layer"}, {"activation": "prelu"},
               {"activation": "swish", "per_unit": True}], ids=str,
)  # fmt: skip
def test_mapped_over_members_it_is_the_same_up_to_rounding(
    fields: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way of a GPU, tried on this machine."""
    members = [model(seed=seed, dtype="float64", **fields) for seed in range(3)]
    expected = trained(*members)
    monkeypatch.setattr(layers.Layer, "__call__", layers.Layer.mapped)
    for mine, other in zip(trained(*members), expected, strict=True):
        tables = mine.network.state_dict(), other.network.state_dict()
        for name, value in tables[0].items():
            torch.testing.assert_close(value, tables[1][name], rtol=1e-9, atol=1e-9, msg=name)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(
    "fields", [{}, EVERYTHING, {"normalisation": "layer", "activation": "gelu"}], ids=str
)
def test_cuda_members_repeat_and_are_those_of_this_machine(fields: dict, tmp_path: Path) -> None:
    """Masks are the same bit for bit; sums run in another order."""
    members = [model(seed=s, lr=lr, **fields) for lr in (1e-3, 3e-3) for s in (0, 5)]
    first = M.fit(members, device="cuda", datasets=DATA)
    assert M.fit(members, device="cuda", datasets=DATA, checkpoint=tmp_path) == first
    for a, b in zip(first, M.fit(members, device="cpu", datasets=DATA), strict=True):
        assert a["running_loss"] == pytest.approx(b["running_loss"], rel=1e-3)


# --- masks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 7, 2**31 + 5, 2**40 + 3])
def test_masks_are_the_hash_of_their_counters(seed: int) -> None:
    for layer, step in ((0, 0), (3, 1), (1, 2**31 + 9)):
        keys = torch.tensor([masks.member_key(seed, layer), 5])
        found = masks.kept(keys, torch.tensor(step), torch.Size((2, 50, 33)), 0.3)
        assert torch.equal(found[0], mask(seed, layer, step, (50, 33), 0.3))


@pytest.mark.parametrize("rate", [0.05, 0.5, 0.9])
def test_masks_look_like_independent_draws(rate: float) -> None:
    """Shares and correlations across units, examples, steps, layers and seeds, at 5 deviations."""
    shape = torch.Size((1, 128, 128))
    drawn = {
        (seed, layer, step): masks.kept(
            torch.tensor([masks.member_key(seed, layer)]), torch.tensor(step), shape, rate
        )[0].double()
        for seed in range(6) for layer in range(2) for step in range(40)
    }  # fmt: skip
    everything = torch.stack(list(drawn.values()))
    spread = math.sqrt(rate * (1 - rate))
    z = (everything - (1 - rate)) / spread
    assert abs(z.mean()) < 5 / math.sqrt(z.numel())
    for axis in (0, 1, 2):
        means = z.mean(axis)
        assert means.var() == pytest.approx(1 / z.shape[axis], rel=0.05)
    pairs = [z[:, :, :-1] * z[:, :, 1:], z[:, :-1] * z[:, 1:], z[:-1] * z[1:], z[:-40] * z[40:],
             z[:, :, :64] * z[:, :, 64:], z[:, :64] * z[:, 64:], z[:-80] * z[80:]]  # fmt: skip
    for product in pairs:
        assert abs(product.mean()) < 5 / math.sqrt(product.numel())


@pytest.mark.parametrize("rate", [0.1, 0.4])
def test_alpha_dropout_keeps_mean_and_variance(rate: float) -> None:
    """As ``torch.nn.functional.alpha_dropout`` does: same two values, same moments."""
    x = torch.randn(400, 1000, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    kept = mask(0, 0, 0, (400, 1000), rate)
    y = networks.dropped(x, kept, rate, "alpha")
    assert abs(y.mean()) < 0.01 and y.var() == pytest.approx(1, abs=0.01)
    theirs = nn.functional.alpha_dropout(x, rate, training=True)
    low = theirs.flatten().mode().values
    assert y[~kept].unique() == pytest.approx(low.item(), rel=1e-6)
    slope = (y[kept][1] - y[kept][0]) / (x[kept][1] - x[kept][0])
    there = theirs != low
    theirs_slope = (theirs[there][1] - theirs[there][0]) / (x[there][1] - x[there][0])
    assert slope.item() == pytest.approx(theirs_slope.item(), rel=1e-6)


# --- initial values and parameters ----------------------------------------------------------------


def test_the_gain_sets_the_variance_and_pairs_the_draws() -> None:
    wide = model(widths=(400, 300, 3), gain=1.5, bias_std=0.2)
    weight, bias = networks.initial(wide)[0]
    assert weight.var() == pytest.approx(1.5**2 / 400, rel=0.02)
    assert bias.std() == pytest.approx(0.2, rel=0.15) and abs(bias.mean()) < 0.05
    for init, gain in (("he", math.sqrt(2)), ("lecun", 1.0)):
        named = initial_values(model(init=init))
        for (a, b), (c, d) in zip(named, networks.initial(model(gain=gain)), strict=True):
            np.testing.assert_allclose(a, c, rtol=1e-14)
            assert (b == d).all() and (d == 0).all()


def test_parameters_reach_the_activation() -> None:
    x = torch.linspace(-3, 3, 7)
    for name in ("elu", "prelu"):
        network = M.network(model(activation=name, parameters={"alpha": 0.7}))
        expected = catalogue[name].at(alpha=0.7)(x)
        assert torch.allclose(network[1](x), expected)
    assert network[1].alpha.requires_grad
    fresh = M.network(model(activation="prelu", per_unit=True))
    assert fresh[1].alpha.shape == (32,)


# --- what is recorded -----------------------------------------------------------------------------


def test_recording_changes_no_bit_of_the_training() -> None:
    for fields in ({"activation": "relu"}, EVERYTHING):
        silent, telling = (trained(model(**fields, record=r))[0] for r in ((), M.RECORDS))
        for a, b in zip(silent.rows, telling.rows, strict=True):
            assert {k: b[k] for k in a if k != "record"} == {
                k: v for k, v in a.items() if k != "record"
            }
        for a, b in zip(
            silent.network.state_dict().values(), telling.network.state_dict().values(), strict=True
        ):
            assert torch.equal(a, b)


def test_recorded_columns_are_those_of_the_trained_network() -> None:
    """A layer is Linear, normalisation, activation, dropout; the last is switched off."""
    chosen = model(
        activation="prelu", per_unit=True, normalisation="batch", dropout=0.3, record=M.RECORDS
    )
    for member in trained(chosen, model(**{**chosen.as_dict(), "seed": 4})):
        network, row = member.network.train(), member.rows[-1]
        network[3].eval(), network[7].eval()
        x, y = map(torch.from_numpy, DATA["blobs"].split("train"))
        outputs: list[torch.Tensor] = []
        for position in (2, 6):
            network[position].register_forward_hook(
                lambda m, i, o, to=outputs: to.append(o.double())
            )
        nn.functional.cross_entropy(network(x), y).backward()
        for k, position in enumerate((0, 4, 8), 1):
            norm = network[position].weight.grad.double().norm().item()
            assert row[f"gradient_norm_{k}"] == pytest.approx(norm, rel=1e-6)
        for k, output in enumerate(outputs, 1):
            assert row[f"activation_mean_{k}"] == pytest.approx(output.mean().item(), rel=1e-6)
            variance = output.var(correction=0).item()
            assert row[f"activation_variance_{k}"] == pytest.approx(variance, rel=1e-6)
            assert row[f"sparsity_{k}"] == (output == 0).double().mean().item()
            assert row[f"dead_{k}"] == 0
        for k, position in enumerate((2, 6), 1):
            mean = network[position].alpha.mean().item()
            assert row[f"alpha_{k}"] == pytest.approx(mean, rel=1e-6)


@pytest.mark.parametrize(
    ("activation", "bias", "dead"),
    [("relu", -1e3, 1), ("relu", 1e3, 0), ("leaky_relu", -1e3, 0), ("hardtanh", 1e3, 1),
     ("sigmoid", -1e3, 1), ("gelu", -1e3, 1), ("identity", -1e3, 0)],
)  # fmt: skip
def test_a_unit_is_dead_when_its_slope_is_zero_everywhere(
    activation: str, bias: float, dead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    initial = networks.initial

    def pushed(chosen: Model) -> list[tuple[np.ndarray, np.ndarray]]:
        values = initial(chosen)
        values[0][1][5] = bias
        return values

    monkeypatch.setattr(networks, "initial", pushed)
    # So small a rate that nothing moves.
    chosen = model(activation=activation, record=("dead",), epochs=1, lr=1e-12, init="glorot")
    [row] = M.fit([chosen], device="cpu", datasets=DATA)
    assert row["dead_1"] == dead


def test_what_is_not_measured_is_not_recorded() -> None:
    chosen = model(record=("activations", "gradients"), measure="end")
    first, last = M.fit([chosen], device="cpu", datasets=DATA)
    assert first["gradient_norm_1"] is None and last["gradient_norm_1"] > 0
    assert list(last)[-9:] == [
        "activation_mean_1", "activation_variance_1", "sparsity_1",
        "activation_mean_2", "activation_variance_2", "sparsity_2",
        "gradient_norm_1", "gradient_norm_2", "gradient_norm_3",
    ]  # fmt: skip


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "parts"),
    [
        ({"architecture": "mpl"}, ("architecture", "'mpl'", "'mlp'")),
        ({"normalisation": "group"}, ("normalisation", "'group'", "'batch'")),
        ({"residual": 1}, ("residual", "1", "True or False")),
        ({"dropout": 1}, ("dropout", "1", "[0, 1)")),
        ({"dropout_kind": "gauss"}, ("dropout_kind", "'alpha'")),
        ({"gain": 0}, ("gain", "above 0")),
        ({"gain": 1.0, "init": "he"}, ("init", "'he'", "gain")),
        ({"bias_std": 0.1}, ("bias_std", "0.1", "no gain")),
        ({"gain": 1.0, "bias_std": -1}, ("bias_std", "-1")),
        ({"parameters": (("alpha", 1), ("alpha", 2))}, ("parameters", "each name once")),
        ({"parameters": ("alpha", 1)}, ("parameters", "pairs")),
        ({"parameters": 3}, ("parameters", "3", "pairs")),
        ({"record": ("weights",)}, ("record", "weights", "'gradients'")),
        ({"lr": 0}, ("lr", "0")),
    ],
    ids=str,
)
def test_a_wrong_field_is_named(fields: dict, parts: tuple[str, ...]) -> None:
    with pytest.raises(train.ConfigError) as caught:
        model(**fields)
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "parts"),
    [
        ({"activation": "elu", "parameters": (("beta", 1),)}, ("parameters", "'beta'", "'alpha'")),
        ({"activation": "elu", "parameters": (("alpha", -1),)}, ("parameters", "alpha", "-1")),
        ({"per_unit": True}, ("per_unit", "'relu'")),
        ({"normalisation": "batch", "batch": 37}, ("batch", "37", "75", "one example")),
        ({"widths": (25, 3)}, ("widths", "(24,)")),
    ],
    ids=str,
)
def test_what_does_not_fit_is_explained(fields: dict, parts: tuple[str, ...]) -> None:
    with pytest.raises(train.ConfigError) as caught:
        trained(model(**fields))
    for part in parts:
        assert part in str(caught.value)


def test_a_configuration_that_says_more_is_refused() -> None:
    from actbook.studies.sigmoid_depth import deep

    with pytest.raises(train.ConfigError, match="Config or Model, not Deep"):
        trained(deep("digits", 2, "tanh", "torch"))


# --- what saves time and must not change a bit ----------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("classes", [2, 3, 10, 15, 17, 40])
def test_cross_entropy_has_the_bits_of_autograd(classes: int, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(classes)
    for rows in (1, 2, 29, 63, 64, 65, 493):
        logits = 3 * torch.randn(rows, classes, generator=generator, dtype=dtype)
        labels = torch.randint(classes, (rows,), generator=generator)
        leaf = logits.clone().requires_grad_()
        expected = nn.functional.cross_entropy(leaf, labels, reduction="none")
        (slope,) = torch.autograd.grad(expected.mean(), leaf)
        losses, gradient = layers.cross_entropy(logits, labels, rows)
        assert torch.equal(losses, expected) and torch.equal(gradient, slope)
        assert gradient.is_contiguous()


def test_of_many_classes_the_transpose_is_not_trusted() -> None:
    """Where the kernels sum in another order, the check says so: here from 64 classes on."""
    assert not layers.turning_is_exact(64, torch.float64)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("eps", [1e-30, 1e-8, 1e-3])
def test_adam_has_the_bits_of_torch_where_gradients_vanish(eps: float, dtype: torch.dtype) -> None:
    chosen = train.Config("blobs", (4, 3), optimizer="adam", lr=1e-2, eps=eps)
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(1000, generator=generator, dtype=dtype)
    sizes = torch.tensor([0.0, 0.0, 1.0, 1e-18, 1e-20, 1e-25, 1e-3], dtype=dtype)
    ours, gradient = start.clone(), torch.zeros_like(start)
    updates = Updates(chosen, [1e-2], [1000], ours, gradient)
    theirs = nn.Parameter(start.clone())
    reference = torch.optim.Adam([theirs], lr=1e-2, eps=eps, foreach=False)
    for _ in range(5):
        noise = torch.randn(1000, generator=generator, dtype=dtype)
        chosen_sizes = sizes[torch.randint(7, (1000,), generator=generator)]
        gradient.copy_(noise * chosen_sizes)
        theirs.grad = gradient.clone()
        updates.step()
        reference.step()
        assert torch.equal(ours, theirs.detach())


def test_the_predicted_class_is_that_of_torch() -> None:
    (member,) = trained(model(epochs=1))
    one = stack.Stack(
        [member.config],
        stack.Examples.of(DATA["blobs"], M.as_model(member.config), torch.device("cpu")),
        torch.device("cpu"),
    )
    logits = torch.tensor([[[1.0, 2.0, 2.0], [math.nan, 5.0, 1.0], [-math.inf] * 3, [0.0] * 3,
                            [1.0, math.nan, math.inf]]])  # fmt: skip
    assert torch.equal(one.predicted(logits), logits.argmax(2))
