"""Convolutional, recurrent and attention networks: against torch.nn, alone and in groups."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from actbook import catalogue, train
from actbook.data import Dataset
from actbook.train import layers, models, stack
from actbook.train.members import data_order
from actbook.train.models import RECORDS, Model

pytestmark = pytest.mark.usefixtures("one_thread")


def pictures() -> Dataset:
    generator = np.random.default_rng(3)

    def draw(n: int) -> tuple[np.ndarray, np.ndarray]:
        y = np.arange(n) % 3
        x = generator.random((n, 8, 8), dtype=np.float32)
        x[np.arange(n), 2 * y] += 1
        return x, y.astype(np.int64)

    parts = [part for n in (21, 9, 9) for part in draw(n)]
    return Dataset("pictures", "pictures", "none", tuple("abc"), *parts)


def text() -> Dataset:
    """The alphabet of seven letters, over and over, with every fifth symbol drawn."""
    generator = np.random.default_rng(4)

    def draw(n: int) -> tuple[np.ndarray, np.ndarray]:
        x = np.arange(n + 1) % 7
        x[::5] = generator.integers(0, 7, len(x[::5]))
        return x[:-1].astype(np.int64), x[1:].astype(np.int64)

    parts = [part for n in (131, 40, 40) for part in draw(n)]
    return Dataset("text", "text", "none", tuple("abcdefg"), *parts)


DATA = {"pictures": pictures(), "text": text()}
CNN = {"architecture": "cnn", "widths": (64, 3, 4, 3)}
RNN = {"architecture": "rnn", "widths": (64, 6, 3), "activation": "tanh"}
ENCODER = {"architecture": "transformer", "widths": (64, 6, 9, 3), "normalisation": "layer"}
READER = {"dataset": "text", "context": 10}
DECODER = {**ENCODER, **READER, "widths": (7, 6, 9, 7), "blocks": 2}


def model(**fields: object) -> Model:
    base = {"dataset": "pictures", "epochs": 2, "batch": 8, "lr": 1e-2}
    return Model(**{**base, **fields})  # type: ignore[arg-type]


def trained(*chosen: Model) -> list[train.Trained]:
    return models.train(chosen, device="cpu", datasets=DATA)


def examples(chosen: Model, split: str) -> tuple[torch.Tensor, torch.Tensor]:
    """By hand: images with a channel, rows of images, or windows of a text."""
    x, y = map(torch.from_numpy, DATA[chosen.dataset].split(split))
    if chosen.dataset == "text":
        whole = len(x) // chosen.context
        return tuple(p[: whole * chosen.context].view(whole, -1) for p in (x, y))  # type: ignore
    if chosen.architecture == "cnn":
        return x[:, None], y
    return x.view(len(x), chosen.context or 8, -1), y


def activation(chosen: Model, units: int) -> nn.Module:
    record = catalogue[chosen.activation].at(**dict(chosen.parameters))
    return record.module(**({"channels": units} if chosen.per_unit else {}))


# --- the networks, written again ------------------------------------------------------------------


def plain_cnn(chosen: Model) -> nn.Module:
    modules: list[nn.Module] = []
    for a, b in ((1, chosen.widths[1]), chosen.widths[1:3]):
        modules.append(nn.Conv2d(a, b, 3, padding=1))
        if chosen.normalisation == "batch":
            modules.append(nn.BatchNorm2d(b))
        modules += [activation(chosen, b), nn.MaxPool2d(2)]
    return nn.Sequential(*modules, nn.Flatten(), nn.Linear(4 * chosen.widths[2], 3))


class PlainRecurrent(nn.Module):
    """One layer, by the formulas of the documentation of torch.nn."""

    def __init__(self, chosen: Model) -> None:
        super().__init__()
        rows = {"rnn": 1, "lstm": 4, "gru": 3}[chosen.architecture]
        units = chosen.widths[1]
        self.text = chosen.dataset == "text"
        if self.text:
            self.embedding = nn.Embedding(chosen.widths[0], units)
        features = units if self.text else 64 // (chosen.context or 8)
        self.chosen, self.x2h = chosen, nn.Linear(features, rows * units)
        self.h2h, self.act = nn.Linear(units, rows * units), activation(chosen, units)
        self.head = nn.Linear(units, chosen.widths[-1])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.embedding(x) if self.text else x
        h = c = torch.zeros(len(x), self.chosen.widths[1])
        outputs, s = [], torch.sigmoid
        for a in self.x2h(x).unbind(1):
            b = self.h2h(h)
            if self.chosen.architecture == "rnn":
                h = self.act(a + b)
            elif self.chosen.architecture == "gru":
                (ar, az, an), (br, bz, bn) = a.chunk(3, 1), b.chunk(3, 1)
                z = s(az + bz)
                n = self.act(an + s(ar + br) * bn)
                h = (1 - z) * n + z * h
            else:
                i, f, g, o = (a + b).chunk(4, 1)
                c = s(f) * c + s(i) * self.act(g)
                h = s(o) * self.act(c)
            outputs.append(h)
        # The last of the stack, not h: gradients of another layout would round in other ways.
        states = torch.stack(outputs, 1)
        return self.head(states if self.text else states[:, -1])


def plain(chosen: Model) -> nn.Module:
    """A network of its own, with the initial values of the package's."""
    own = models.network(chosen)
    if chosen.architecture == "transformer":
        return own  # compared with torch.nn below
    copy = plain_cnn(chosen) if chosen.architecture == "cnn" else PlainRecurrent(chosen)
    with torch.no_grad():
        for a, b in zip(copy.parameters(), own.parameters(), strict=True):
            assert a.shape == b.shape
            a.copy_(b)
    return copy


def trained_alone(chosen: Model) -> tuple[nn.Module, list[dict]]:
    network, (x, y) = plain(chosen), examples(chosen, "train")
    updates = torch.optim.Adam(network.parameters(), lr=chosen.lr, foreach=False)
    rows = []
    for epoch in range(1, chosen.epochs + 1):
        network.train()
        total = 0.0
        for batch in torch.from_numpy(data_order(chosen.seed, epoch, len(x))).split(chosen.batch):
            updates.zero_grad()
            logits = network(x[batch]).flatten(0, -2)
            loss = nn.functional.cross_entropy(logits, y[batch].flatten())
            loss.backward()
            updates.step()
            total += loss.item() * len(batch)
        network.eval()
        x_test, y_test = examples(chosen, "test")
        with torch.no_grad():
            logits = network(x_test).flatten(0, -2)
        rows.append(
            {
                "running_loss": total / len(x),
                "test_loss": nn.functional.cross_entropy(logits, y_test.flatten()).item(),
                "test_accuracy": (logits.argmax(1) == y_test.flatten()).double().mean().item(),
            }
        )
    return network, rows


CASES = [
    {**CNN, "activation": "gelu"},
    {**CNN, "normalisation": "batch", "activation": "prelu", "per_unit": True, "init": "he"},
    {**RNN},
    {**RNN, "activation": "elu", "parameters": (("alpha", 0.5),), "context": 16, "gain": 1.0},
    {**RNN, "architecture": "gru", "activation": "softsign"},
    {**RNN, "architecture": "lstm", **READER, "widths": (7, 6, 7)},
    {**ENCODER, "activation": "gelu", "heads": 3, "context": 4},
    {**ENCODER, "activation": "swiglu", "normalisation": "none"},
    {**DECODER, "activation": "prelu"},
]


@pytest.mark.parametrize("fields", CASES, ids=lambda fields: str(list(fields.values())))
def test_a_member_is_bit_for_bit_the_network_trained_alone(fields: dict) -> None:
    members = [model(seed=0, **fields), model(seed=3, **{**fields, "lr": 3e-2})]
    for member in trained(*members):
        alone, rows = trained_alone(member.config)
        pairs = zip(member.network.parameters(), alone.parameters(), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)
        assert all(
            torch.equal(a, b)
            for a, b in zip(member.network.buffers(), alone.buffers(), strict=True)
        )
        for got, expected in zip(member.rows, rows, strict=True):
            for column, value in expected.items():
                assert got[column] == pytest.approx(value, rel=1e-5), column


@pytest.mark.parametrize("fields", CASES, ids=lambda fields: str(list(fields.values())))
def test_mapped_over_members_it_is_the_same_up_to_rounding(
    fields: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way of a GPU, tried on this machine."""
    members = [model(seed=s, dtype="float64", **fields) for s in (0, 3)]
    expected = trained(*members)
    monkeypatch.setattr(layers.Layer, "__call__", layers.Layer.mapped)
    monkeypatch.setattr(stack.Stack, "_by_hand", lambda self: None)
    monkeypatch.setattr(
        stack, "_stacks", lambda group, *rest: [sorted(group)]
    )  # one stack, as on a GPU
    for mine, other in zip(trained(*members), expected, strict=True):
        for a, b in zip(mine.network.parameters(), other.network.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-7)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("fields", CASES, ids=lambda fields: str(list(fields.values())))
def test_cuda_members_are_those_of_this_machine(fields: dict) -> None:
    members = [model(seed=s, **{**fields, "lr": 1e-3}) for s in (0, 3)]
    pairs = [models.fit(members, device=where, datasets=DATA) for where in ("cuda", "cpu")]
    for a, b in zip(*pairs, strict=True):
        assert a["running_loss"] == pytest.approx(b["running_loss"], rel=1e-3)


# --- the mathematics, against torch.nn ------------------------------------------------------------


@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
def test_the_recurrent_layer_is_that_of_torch(kind: str) -> None:
    layer = models.network(model(**{**RNN, "architecture": kind}))[0].layers[0]
    theirs = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[kind](8, 6, batch_first=True)
    with torch.no_grad():
        for mine, tail in ((layer.of_input, "ih_l0"), (layer.of_state, "hh_l0")):
            getattr(theirs, f"weight_{tail}").copy_(mine.weight)
            getattr(theirs, f"bias_{tail}").copy_(mine.bias)
    x = torch.randn(5, 9, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(layer(x), theirs(x)[0])


def test_the_block_is_that_of_torch() -> None:
    for fields, causal in ((ENCODER, False), (DECODER, True)):
        own = models.network(model(**{**fields, "activation": "gelu"}))[0].blocks[0]
        theirs = nn.TransformerEncoderLayer(
            6, 2, 9, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        pairs = [
            (theirs.self_attn.in_proj_weight, own.attention.into.weight),
            (theirs.self_attn.in_proj_bias, own.attention.into.bias),
            (theirs.self_attn.out_proj.weight, own.attention.out.weight),
            (theirs.self_attn.out_proj.bias, own.attention.out.bias),
            (theirs.linear1.weight, own.feed[0].weight), (theirs.linear1.bias, own.feed[0].bias),
            (theirs.linear2.weight, own.feed[2].weight), (theirs.linear2.bias, own.feed[2].bias),
        ]  # fmt: skip
        with torch.no_grad():
            for a, b in pairs:
                a.copy_(b)
        x = torch.randn(4, 5, 6, generator=torch.Generator().manual_seed(0))
        mask = nn.Transformer.generate_square_subsequent_mask(5) if causal else None
        expected = theirs(x, src_mask=mask, is_causal=causal)
        torch.testing.assert_close(own(x), expected, rtol=1e-5, atol=1e-6)


def test_a_decoder_sees_the_past_only() -> None:
    network = models.network(model(**DECODER)).eval()
    x = torch.arange(10)[None] % 7
    changed = x.clone()
    changed[0, 6] = (changed[0, 6] + 1) % 7
    a, b = network(x)[0], network(changed)[0]
    assert a.shape == (10, 7)
    assert torch.equal(a[:6], b[:6]) and not torch.allclose(a[6:], b[6:])


def test_a_gated_unit_has_as_many_weights() -> None:
    def count(name: str) -> int:
        network = models.network(model(**{**ENCODER, "widths": (64, 6, 90, 3), "activation": name}))
        return sum(p.numel() for p in network[0].blocks[0].feed.parameters() if p.dim() == 2)

    assert {count(a) for a in ("gelu", "glu", "geglu", "swiglu", "reglu", "bilinear")} == {1080}


@pytest.mark.parametrize(
    ("fields", "floor"),
    [(CNN, 0.9), ({**RNN, "widths": (64, 24, 3)}, 0.9), ({**ENCODER, "activation": "geglu"}, 0.8),
     ({**DECODER, "activation": "gelu"}, 0.55)],
    ids=["cnn", "rnn", "encoder", "decoder"],
)  # fmt: skip
def test_they_learn(fields: dict, floor: float) -> None:
    """Guessing gives a third; in the text two of five symbols follow from no other."""
    [member] = trained(model(epochs=40, measure="end", splits=("test",), **fields))
    assert member.rows[-1]["test_accuracy"] >= floor


def test_the_start_pairs_the_seeds_and_follows_init() -> None:
    for fields in (CNN, RNN, DECODER):
        tables = [
            models.network(model(**{**fields, "activation": a, "seed": 2})).state_dict()
            for a in ("relu", "tanh")
        ]
        assert all(torch.equal(v, tables[1][name]) for name, v in tables[0].items())
    wide = models.network(model(**{**CNN, "widths": (64, 64, 64, 3), "gain": 2.0, "bias_std": 0.5}))
    convolution = wide[0][3]
    assert convolution.weight.var().item() == pytest.approx(4 / (9 * 64), rel=0.05)
    assert convolution.bias.std().item() == pytest.approx(0.5, rel=0.25)


def test_an_image_must_survive_two_poolings() -> None:
    with pytest.raises(train.ConfigError, match="at least 16 pixels, not 9"):
        models.network(model(**{**CNN, "widths": (9, 3, 4, 3)}))


def test_what_is_recorded_changes_nothing() -> None:
    cases = [(CNN, 2, 3), (RNN, 1, 3), ({**RNN, "architecture": "lstm"}, 1, 3), (DECODER, 2, 9)]
    for fields, functions, weights in cases:
        silent, telling = (trained(model(**fields, record=r))[0] for r in ((), RECORDS))
        pairs = zip(silent.network.parameters(), telling.network.parameters(), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)
        row = telling.rows[-1]
        assert f"dead_{functions}" in row and f"dead_{functions + 1}" not in row
        norms = [value for name, value in row.items() if name.startswith("gradient_norm")]
        assert len(norms) >= weights and all(value > 0 for value in norms)


def test_a_channel_is_dead_when_it_is_so_everywhere() -> None:
    found = set()
    for seed in range(4):
        chosen = model(
            **CNN, record=("dead",), epochs=1, lr=1e-12, gain=1.0, bias_std=1e4, seed=seed
        )
        [member] = trained(chosen)
        negative = int((member.network[0][0].bias < 0).sum())
        assert member.rows[0]["dead_1"] == negative
        found.add(negative)
    assert len(found) > 1


def test_a_killed_one_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train.checkpoint, "SECONDS", 0.0)
    members = [model(seed=s, **DECODER) for s in (0, 1)]
    expected = trained(*members)
    original, taken = stack.Stack.step, 0

    def killed(self: stack.Stack, indices: torch.Tensor) -> None:
        nonlocal taken
        taken += 1
        if taken == 4:
            raise KeyboardInterrupt
        original(self, indices)

    monkeypatch.setattr(stack.Stack, "step", killed)
    options = {"device": "cpu", "datasets": DATA, "checkpoint": tmp_path}
    with pytest.raises(KeyboardInterrupt):
        models.train(members, **options)
    found = models.train(members, **options)
    assert [m.rows for m in found] == [m.rows for m in expected]
    assert taken == 9  # two epochs of two batches each, and the killed step again


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "parts"),
    [
        ({**CNN, "widths": (64, 3, 3)}, ("widths", "channels of two blocks", "(64, 3, 3)")),
        ({**CNN, "widths": (63, 3, 4, 3)}, ("widths", "square", "63")),
        ({**CNN, "widths": (49, 3, 4, 3)}, ("pictures", "7 × 7", "(8, 8)")),
        ({**CNN, "widths": (9, 3, 4, 3)}, ("images", "3 × 3", "9")),
        ({**CNN, "widths": (64, 3, 4, 2)}, ("widths", "3 classes", "pictures")),
        ({**CNN, "normalisation": "layer"}, ("normalisation", "'none' or 'batch'", "'layer'")),
        ({**CNN, "dropout": 0.5}, ("dropout", "0.0", "'cnn'", "0.5")),
        ({**CNN, "residual": True}, ("residual", "False", "'cnn'")),
        ({**CNN, "activation": "glu"}, ("activation", "'glu'", "gated")),
        ({**CNN, "activation": "nothing"}, ("activation", "nothing")),
        ({**CNN, "per_unit": True}, ("per_unit", "'relu'")),
        ({**CNN, "parameters": (("alpha", 1),)}, ("parameters", "'alpha'")),
        ({**CNN, "dataset": "text"}, ("dataset", "8 × 8", "text")),
        ({**RNN, "widths": (64, 3)}, ("widths", "units of each layer", "(64, 3)")),
        ({**RNN, "context": 7}, ("context", "64", "7")),
        ({**RNN, "widths": (32, 6, 3), "context": 4}, ("widths", "(8, 8)", "32")),
        ({**RNN, "normalisation": "batch"}, ("normalisation", "'none'", "'rnn'")),
        ({**RNN, **READER, "widths": (5, 6, 5)}, ("widths", "7 symbols", "5")),
        ({**RNN, "context": 10, "widths": (7, 6, 7)}, ("dataset", "text", "pictures")),
        ({**ENCODER, "heads": 4}, ("heads", "6", "4")),
        ({**ENCODER, "activation": "softmax"}, ("activation", "across", "gated")),
        ({**ENCODER, "activation": "glu", "record": ("dead",)}, ("record", "'dead'", "'glu'")),
        ({**ENCODER, "activation": "nothing"}, ("activation", "nothing")),
        ({**ENCODER, "per_unit": True, "activation": "prelu"}, ("per_unit", "False")),
    ],
    ids=str,
)
def test_what_does_not_fit_is_explained(fields: dict, parts: tuple[str, ...]) -> None:
    with pytest.raises(train.ConfigError) as caught:
        trained(model(**fields))
    for part in parts:
        assert part in str(caught.value), str(caught.value)


@pytest.mark.parametrize("fields", [{"heads": 0}, {"blocks": 1.5}, {"context": 1}, {"context": -2}])
def test_a_wrong_number_is_named(fields: dict) -> None:
    with pytest.raises(train.ConfigError, match=next(iter(fields))):
        model(**fields)
