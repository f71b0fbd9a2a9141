"""The plotting style: colours that everybody tells apart, descriptions that tell figures apart."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterable
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_hex

from actbook import figures
from actbook.figures import bitmap, description, output, palette
from actbook.figures.draw import _apart

HUES = ("blue", "vermilion", "green", "purple", "amber", "sky", "rose", "grey", "ink")

# Machado, Oliveira & Fernandes (2009), severity 1: what the three kinds of dichromats see.
VISION = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}


def simple(label: str = "a curve", scale: float = 1.0) -> Any:
    """A figure with one labelled curve."""
    figure, ax = figures.new()
    x = np.linspace(0, 1, 5)
    ax.plot(x, scale * x, label=label)
    ax.set(xlabel="x", ylabel="y")
    return figure


def shown(figure: Any, monkeypatch: pytest.MonkeyPatch, **keywords: Any) -> Any:
    """What `show` hands to the notebook: (data, metadata)."""
    caught: list[Any] = []
    monkeypatch.setattr("IPython.display.display", caught.append)
    figures.show(figure, **keywords)
    (one,) = caught
    return one._repr_mimebundle_()


# ------------------------------------------------------------------------------------------ colours


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("hue", [*HUES, "text"])
def test_everything_read_has_contrast(hue: str, theme: int) -> None:
    """WCAG 2.2, level AA: 4.5 to 1 for text, and labels stand in the colour of their curve."""
    assert figures.contrast(palette.PALETTE[hue][theme], palette.PALETTE["paper"][theme]) >= 4.5


def test_contrast_is_that_of_wcag() -> None:
    """The two ends, and the grey #767676 that is known as the lightest to pass on white."""
    assert figures.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert figures.contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.005)
    assert figures.contrast("#123456", "#123456") == 1


def test_both_pages_have_the_same_order_of_quiet_to_loud() -> None:
    order = ("grid", "line", "grey", "text", "ink")
    for theme in (0, 1):
        paper = palette.PALETTE["paper"][theme]
        loud = [figures.contrast(palette.PALETTE[name][theme], paper) for name in order]
        assert loud == sorted(loud)


def seen(colour: str, vision: str) -> np.ndarray:
    """OKLab of a colour as a kind of vision sees it, by matplotlib's own reading of the colour."""
    srgb = np.array(mpl.colors.to_rgb(colour))
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    lms = palette._TO_LMS @ (VISION[vision] @ linear).clip(0, 1)
    return np.asarray(palette._FROM_LMS @ np.cbrt(lms))


def nearest(hues: Iterable[str], vision: str, theme: int) -> tuple[float, str, str]:
    """The two hues that look most alike, and how far apart they are in OKLab."""
    spots = {hue: seen(palette.PALETTE[hue][theme], vision) for hue in hues}
    return min(
        (float(np.linalg.norm(spots[one] - spots[other])), one, other)
        for one, other in itertools.combinations(spots, 2)
    )


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("vision", VISION)
def test_any_two_hues_are_told_apart(vision: str, theme: int) -> None:
    """Okabe and Ito's palette reaches 0.076, with colours too pale to label a curve on white."""
    assert nearest(HUES, vision, theme)[0] >= 0.035


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("vision", VISION)
def test_the_curves_that_meet_most_differ_by_colour_alone(vision: str, theme: int) -> None:
    together = ("relu", "sigmoid", "tanh", "gelu", "silu", "identity", "theory")
    hues = [palette._LOOKS[name].hue for name in together]
    assert nearest(hues, vision, theme)[0] >= 0.065


def test_looks_of_one_hue_differ_in_line() -> None:
    """Colour is never the only difference between two activations that have a look of their own."""
    from actbook import catalogue

    looks = [palette._LOOKS[name] for name in catalogue.names() if name in palette._LOOKS]
    assert len(looks) >= 15
    assert len({(look.hue, look.line) for look in looks}) == len(looks)
    assert len({(look.hue, look.marker) for look in looks}) == len(looks)


def test_names_give_fixed_looks() -> None:
    assert figures.colour("relu") == palette.PALETTE["vermilion"][0]
    assert figures.style("relu", marker=True)["marker"] == "^"
    assert figures.colour("an activation of tomorrow") == figures.colour(
        "an activation of tomorrow"
    )
    assert figures.colour("an activation of tomorrow") in dict(palette.PALETTE.values())
    code = "from actbook import figures; print(figures.style('an activation of tomorrow', True))"
    others = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("0", "1")
    }
    assert others == {str(figures.style("an activation of tomorrow", True))}


def test_every_colour_has_one_twin() -> None:
    """One light colour never stands for two dark ones, or a dark figure would be ambiguous."""
    lights = [light for light, _ in palette.PALETTE.values()]
    assert len(set(lights)) == len(lights) == len(figures.TWINS)


@pytest.mark.parametrize("kind", ["sequential", "diverging"])
def test_colour_maps_are_even_and_readable_in_both_themes(kind: str) -> None:
    """From pale to strong in equal-looking steps, and a text on each level reads on both pages."""
    levels = [palette.PALETTE[f"{kind}-{i}"] for i in range(palette._LEVELS)]
    for theme in (0, 1):
        lightness = np.array([seen(pair[theme], "normal")[0] for pair in levels])
        half = lightness if kind == "sequential" else lightness[palette._LEVELS // 2 :]
        assert np.all(np.diff(half) < 0) if theme == 0 else np.all(np.diff(half) > 0)
    for light, dark in levels:
        text = max(("ink", "paper"), key=lambda name: figures.contrast(figures.colour(name), light))
        assert figures.contrast(palette.PALETTE[text][0], light) >= 3.9
        assert figures.contrast(palette.PALETTE[text][1], dark) >= 3


def test_unknown_map() -> None:
    with pytest.raises(ValueError, match="'sequential' or 'diverging', not 'rainbow'"):
        figures.colour_map("rainbow")


# -------------------------------------------------------------------------------------------- style


def test_nothing_global_changes() -> None:
    before = dict(mpl.rcParams)
    figure = simple()
    figures.describe(figure)
    figures.svg(figure)
    assert dict(mpl.rcParams) == before


def test_the_reader_settings_do_not_show_through() -> None:
    with mpl.rc_context({"lines.linewidth": 9, "axes.grid": False}):
        _, ax = figures.new()
        (line,) = ax.plot([0, 1], [0, 1])
    assert line.get_linewidth() == 2


def test_impossible_layout() -> None:
    with pytest.raises(ValueError, match="not 0 × 2"):
        figures.new(0, 2)


# ------------------------------------------------------------------------------------------ helpers


def test_curves_draw_the_function_itself() -> None:
    _, ax = figures.new()
    sigmoid, tanh = figures.curves(ax, ["sigmoid", "tanh"], -3, 3)
    x, y = (np.asarray(part) for part in sigmoid.get_data())
    np.testing.assert_allclose(y, 1 / (1 + np.exp(-x)), rtol=1e-14)
    np.testing.assert_allclose(tanh.get_ydata(), np.tanh(x), rtol=1e-14)
    (slope,) = figures.curves(ax, "tanh", -3, 3, of="derivative")
    np.testing.assert_allclose(slope.get_ydata(), 1 / np.cosh(x) ** 2, rtol=1e-12)


def test_profile_draws_both() -> None:
    _, ax = figures.profile("softsign", -2, 2)
    value, slope = (line for line in ax.lines if not str(line.get_label()).startswith("_"))
    x = np.asarray(value.get_xdata())
    np.testing.assert_allclose(value.get_ydata(), x / (1 + abs(x)), rtol=1e-14)
    np.testing.assert_allclose(slope.get_ydata(), 1 / (1 + abs(x)) ** 2, rtol=1e-14)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda ax: figures.curves(ax, ["tanh"], of="integral"), "not 'integral'"),
        (lambda ax: figures.curves(ax, ["tanh"], 3, -3), "low must lie below high"),
        (lambda ax: figures.curves(ax, ["tahn"]), "tanh"),
        (lambda ax: figures.band(ax, [0, 1], [0, 1], [0, 2], [1, 3], "b"), "enclose the centre"),
        (lambda ax: figures.band(ax, [0, 1], [0, 1], [0], [1, 3], "b"), "one common length"),
        (lambda ax: figures.forest(ax, ["a"], [0, 1], [0, 1], [0, 1]), "1 labels need"),
        (lambda ax: figures.forest(ax, ["a"], [0.0], [0.5], [1.0]), "enclose the centre"),
        (lambda ax: figures.heatmap(ax, [[1.0]], ["a", "b"], ["c"], "v"), "2 × 1 labels"),
        (lambda ax: figures.heatmap(ax, [[np.nan]], ["a"], ["c"], "v"), "finite number"),
    ],
)
def test_wrong_input_is_named(call: Callable[[Any], Any], message: str) -> None:
    _, ax = figures.new()
    with pytest.raises((ValueError, KeyError), match=message):
        call(ax)


def test_labels_move_apart_and_stay_near() -> None:
    """The nearest heights with a gap, checked against a search over all of them."""
    assert _apart([0, 40], 12) == [0, 40]
    assert _apart([10, 10, 10], 12) == pytest.approx([-2, 10, 22])
    assert _apart([30, 0], 12) == [30, 0]
    wishes, gap = [0.0, 3.0, 20.0], 4.0
    grid = np.arange(-4, 28, 0.25)
    best = min(
        (
            (p - wishes[0]) ** 2 + (q - wishes[1]) ** 2 + (r - wishes[2]) ** 2
            for p in grid
            for q in grid[grid >= p + gap]
            for r in grid[grid >= q + gap][:60]
        ),
    )
    placed = _apart(wishes, gap)
    assert sum((a - b) ** 2 for a, b in zip(placed, wishes, strict=True)) <= best + 1e-12


def test_end_labels_do_not_touch() -> None:
    figure, ax = figures.new()
    for name, height in (("one", 1.0), ("two", 1.001), ("three", 1.002)):
        ax.plot([0, 1], [0, height], label=name)
    ax.set(xlabel="x", ylabel="y")
    figures.label_ends(ax)
    figures.svg(figure)
    boxes = sorted((note.get_window_extent() for _, note in ax.ends), key=lambda box: float(box.y0))
    assert all(low.y1 <= high.y0 + 1 for low, high in itertools.pairwise(boxes))


# -------------------------------------------------------------------------------------- description


def test_description_says_what_is_there() -> None:
    figure, ax = figures.new()
    ax.plot([0, 1, 2], [0, 1, np.nan], label="broken")
    ax.axhline(0.25, label="bound")
    ax.text(0, 0, "a kink")
    ax.set(title="Title", xlabel="depth", ylabel="norm", xlim=(0, 2), ylim=(-1, 1))
    ax.set_xscale("symlog")
    assert figures.describe(figure).splitlines() == [
        "Figure with 1 panel",
        'panel 1: "Title"',
        "  x: depth (symlog, 0 to 2)",
        "  y: norm (linear, -1 to 1)",
        '  line "broken": 3 points, x 0 to 2, y 0 to 1 (1 not finite)',
        '  guide "bound" at y = 0.25',
        '  text "a kink"',
    ]


def kinds() -> dict[str, tuple[Callable[[Any], Any], str]]:
    """What a chapter may draw, and the line that must describe it."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(20, 2)).round(1)
    (left, right), (low, high) = ((points[:, i].min(), points[:, i].max()) for i in range(2))
    return {
        "scatter": (
            lambda ax: ax.scatter(*points.T, label="draws", color=figures.colour("blue")),
            f'points "draws": 20 points, x {left:g} to {right:g}, y {low:g} to {high:g}',
        ),
        "bars": (
            lambda ax: ax.bar(["a", "b"], [1, 3], label="counts", color=figures.colour("sky")),
            'bars "counts": 2 bars, sizes 1 to 3',
        ),
        "histogram": (
            lambda ax: ax.hist([0, 0, 1], bins=2, label="h", color=figures.colour("sky")),
            'bars "h": 2 bars, sizes 1 to 2',
        ),
        "errorbar": (
            lambda ax: ax.errorbar([1, 2], [3, 4], yerr=1, label="e", color=figures.colour("sky")),
            'intervals "e": 2 intervals, x 1 to 2, y 2 to 5',
        ),
        "band": (
            lambda ax: figures.band(ax, [1, 2], [3, 4], [2, 3], [5, 6], "relu"),
            'band "relu, interval": x 1 to 2, y 2 to 6',
        ),
        "forest": (
            lambda ax: figures.forest(ax, ["relu"], [2.0], [1.0], [4.0], label="95 %"),
            'segments "relu, 95 %": x 1 to 4, y 0 to 0',
        ),
        "heatmap": (
            lambda ax: figures.heatmap(ax, [[1, 2], [3, 4.5]], ["r", "s"], ["c", "d"], "v"),
            'cells "v": 4 cells, values 1 to 4.5\n    1 2\n    3 4.5',
        ),
        "image": (
            lambda ax: figures.picture(ax, np.eye(3), "digit"),
            "image: 3 × 3, values 0 to 1",
        ),
        "contours": (
            lambda ax: ax.contour(
                np.add.outer(np.arange(3), np.arange(3)),
                levels=[1, 2],
                colors=figures.colour("grey"),
            ),
            "and 1 without a label",
        ),
    }


@pytest.mark.parametrize("kind", kinds())
def test_every_kind_is_described_and_passes_the_checks(kind: str) -> None:
    draw, line = kinds()[kind]
    figure, ax = figures.new()
    draw(ax)
    ax.set(xlabel="x", ylabel="y")
    assert line in figures.describe(figure)
    output._check(figure)
    figures.svg(figure)  # and has no colour of its own


@pytest.mark.parametrize(
    "change",
    [
        lambda ax: ax.lines[0].set_ydata(np.linspace(0, 1.01, 5)),
        lambda ax: ax.lines[0].set_label("another"),
        lambda ax: ax.lines[0].remove(),
        lambda ax: ax.set_xlabel("z"),
        lambda ax: ax.set_title("t"),
        lambda ax: ax.set_yscale("log"),
        lambda ax: ax.set_xlim(-1, 5),
        lambda ax: ax.text(0, 0, "new"),
        lambda ax: ax.plot([0, 1], [0, 1], label="more"),
        lambda ax: ax.axvline(1, label="mark"),
    ],
)
def test_every_change_that_a_reader_sees_changes_the_description(
    change: Callable[[Any], Any],
) -> None:
    figure = simple()
    before = figures.describe(figure)
    change(figure.axes[0])
    assert figures.describe(figure) != before


@pytest.mark.parametrize("value", [0.5005, 1.0, 123.5, 2 / 3, 1e-300, -0.1235, 7e22])
def test_numbers_forgive_the_last_digits(value: float) -> None:
    """Another processor may round the last bits differently; the description must not change."""
    near = [value * (1 + k * 2.2e-16) for k in range(-8, 9)]
    assert len({description._number(v) for v in near}) == 1
    assert description._number(value) == f"{value:.3g}" or value in (0.5005, 123.5, -0.1235)
    assert float(description._number(value)) == pytest.approx(value, rel=6e-3)
    assert description._number(value * 1.02) != description._number(value)


def test_noise_around_zero_is_zero() -> None:
    assert description._range([1e-17, 1.0]) == description._range([-1e-17, 1.0]) == "0 to 1"


def test_without_numbers() -> None:
    """Figures that depend on the machine keep their structure and lose every number."""
    texts = []
    for scale in (1.0, 7.3):
        figure = simple(scale=scale)
        figure.axes[0].text(0, 0, f"{scale} seconds")
        texts.append(figures.describe(figure, exact=False))
    assert texts[0] == texts[1]
    assert 'line "a curve"' in texts[0] and "# seconds" in texts[0]


# --------------------------------------------------------------------------------------------- show


def test_show_displays_closes_and_describes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACTBOOK_FIGURES", raising=False)
    figure = simple()
    text = figures.describe(figure)
    data, metadata = shown(figure, monkeypatch)
    assert data["text/plain"] == text
    assert data["image/png"].startswith("iVBOR")
    assert set(data) == {"text/plain", "image/png"} and metadata["image/png"]["width"] == 538
    with pytest.raises(figures.FigureError, match="shown already"):
        figures.show(figure)


def test_show_in_a_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTBOOK_FIGURES", "svg")
    first, _ = shown(simple(), monkeypatch)
    second, _ = shown(simple(), monkeypatch)
    assert first == second, "the same figure gives the same bytes"
    root = ElementTree.fromstring(first["image/svg+xml"])
    assert root.tag.endswith("svg") and root.get("width") == "403.2pt"
    assert "<dc:date>" not in first["image/svg+xml"]
    other, _ = shown(simple(scale=2), monkeypatch)
    assert other["image/svg+xml"] != first["image/svg+xml"]


def test_what_belongs_to_the_whole_figure_has_a_dark_twin_too() -> None:
    fig, axes = figures.new(columns=2)
    for ax in axes:
        ax.plot([0, 1], [0, 1], label="line")
        ax.set(xlabel="x", ylabel="y")
    fig.legend(handles=axes[0].lines, loc="outside lower center")
    fig.supylabel("of both panels")
    fig.suptitle("above both panels")
    fig.text(0.5, 0.5, "in the middle")
    own = [*fig.texts, *fig.legends[0].get_texts()]
    assert len(own) == 4
    assert all(to_hex(text.get_color()) in palette.TWINS for text in own)


def test_unknown_format(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTBOOK_FIGURES", "gif")
    with pytest.raises(ValueError, match="'png' or 'svg', not 'gif'"):
        figures.show(simple())


def test_foreign_colours_are_refused_in_a_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTBOOK_FIGURES", "svg")
    figure = simple()
    figure.axes[0].plot([0, 1], [1, 0], color="#ff00ff", label="pink")
    with pytest.raises(figures.FigureError, match="outside the palette: #ff00ff"):
        figures.show(figure)


def empty(ax: Any) -> None:
    """Labelled axes with nothing on them."""
    ax.set(xlabel="x", ylabel="y")


def guides_only(ax: Any) -> None:
    """A line that marks a value is no data."""
    empty(ax)
    ax.axhline(0, label="zero")


def all_nan(ax: Any) -> None:
    """A curve that nobody sees."""
    empty(ax)
    ax.plot([0, 1], [np.nan, np.nan], label="gone")


def no_label(ax: Any) -> None:
    """Data on an axis that says nothing."""
    ax.plot([0, 1], [0, 1])
    ax.set_xlabel("x")


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (empty, "panel 1 of the figure shows no data"),
        (guides_only, "shows no data"),
        (all_nan, "shows no data"),
        (no_label, "the y axis of panel 1 has no label"),
    ],
)
def test_figures_that_say_nothing_are_refused(draw: Callable[[Any], None], message: str) -> None:
    figure, ax = figures.new()
    draw(ax)
    with pytest.raises(figures.FigureError, match=message):
        figures.show(figure)


def test_shared_axes_share_their_label(monkeypatch: pytest.MonkeyPatch) -> None:
    figure, axes = figures.new(1, 2, sharey=True)
    for ax in axes:
        ax.plot([0, 1], [0, 1])
        ax.set_xlabel("x")
    with pytest.raises(figures.FigureError, match="y axis of panel 1"):
        output._check(figure)
    axes[0].set_ylabel("y")
    output._check(figure)


def test_heavy_figures_become_a_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the limit the build gets two bitmaps, below it lines."""
    monkeypatch.setenv("ACTBOOK_FIGURES", "svg")
    for count, heavy in ((20, False), (4000, True)):
        figure, ax = figures.new()
        points = np.random.default_rng(0).random((count, 2))
        ax.scatter(*points.T, color=figures.colour("vermilion"), label="draws")
        ax.set(xlabel="x", ylabel="y")
        drawn = shown(figure, monkeypatch)[0]["image/svg+xml"]
        assert ("data:image/png" in drawn) == heavy


HUE, OTHER = figures.colour("vermilion"), figures.colour("ink")
SHAPES: dict[str, Callable[[Any], Any]] = {
    "markers": lambda ax: ax.scatter([1, 2], [1, 2], s=900, color=HUE),
    "faces": lambda ax: ax.scatter([1, 2], [1, 2], s=[900, 800], color=HUE, edgecolor="none"),
    "edges": lambda ax: ax.scatter([1, 2], [1, 2], s=[900, 800], facecolor="none", edgecolor=HUE),
    "line": lambda ax: ax.plot([1, 2], [1, 2], color=HUE, linewidth=20),
    "bar": lambda ax: ax.bar([1, 2], [1, 2], color=HUE),
    "cells": lambda ax: ax.pcolormesh(
        [[1, 1], [1, 1]], cmap=mpl.colors.ListedColormap([HUE]), vmin=0, vmax=2
    ),
    "text": lambda ax: (
        ax.plot([1, 2], [1, 2], color=OTHER),
        ax.text(1, 1, "I", size=99, color=HUE),
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_both_bitmaps_are_the_same_drawing(shape: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each colour of the one is its twin in the other, the transparency is the same."""
    monkeypatch.setenv("ACTBOOK_FIGURES", "svg")
    monkeypatch.setattr(bitmap, "LIMIT", 0)
    figure, ax = figures.new()
    SHAPES[shape](ax)
    ax.set(xlabel="x", ylabel="y")
    drawn = shown(figure, monkeypatch)[0]["image/svg+xml"]
    pictures = dict(re.findall(r'<image id="(light|dark)"[^>]*base64,([^"]+)"', drawn))
    light, dark = (pixels(pictures[theme]) for theme in ("light", "dark"))
    assert light.shape == dark.shape
    np.testing.assert_allclose(light[..., 3], dark[..., 3], atol=0.02)
    for image, theme in ((light, 0), (dark, 1)):
        solid = image[image[..., 3] == 1][:, :3]
        wanted = np.array(mpl.colors.to_rgb(palette.PALETTE["vermilion"][theme]))
        assert (abs(solid - wanted).max(axis=1) < 0.01).sum() > 500
        foreign = np.array(mpl.colors.to_rgb(palette.PALETTE["vermilion"][1 - theme]))
        assert not (abs(solid - foreign).max(axis=1) < 0.01).any()


def pixels(png: str) -> np.ndarray:
    """The pixels of a PNG in base 64, H × W × 4 in [0, 1]."""
    import base64
    import io

    return np.asarray(mpl.image.imread(io.BytesIO(base64.b64decode(png))))


def test_limit_is_a_hundred_and_fifty_kilobytes() -> None:
    assert bitmap.LIMIT == 150_000
