"""What the calls show: boxes in HTML, Markdown and plain text, the same words in each."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape

from actbook.audit.records import VERDICTS, Claim, Prediction

# Readable on white and on black without a style sheet; the word beside it says the same.
_MARKS = {
    "holds": ("✓", "#2e8b57"),
    "fails": ("✗", "#d0453b"),
    "depends": ("◐", "#b8860b"),
    "uncheckable": ("?", "#808890"),
    "prediction": ("◇", "#4a86c8"),
    "came true": ("✓", "#2e8b57"),
    "did not come true": ("✗", "#d0453b"),
}
_KEY = re.compile(r"([a-z]+)([12]\d{3})[a-z0-9]+")


def label(key: str) -> str:
    """A bibliography key for the eye: ``Nair 2010`` for ``nair2010relu``."""
    match = _KEY.fullmatch(key)
    return f"{match[1].capitalize()} {match[2]}" if match else key


class Box:
    """A titled box with rows of text; subclasses say which."""

    classes: str = ""

    @property
    def anchor(self) -> str:
        """The id of the box in HTML, to which the appendix links."""
        raise NotImplementedError

    @property
    def mark(self) -> str:
        """The word that the box pronounces: a verdict or an outcome."""
        raise NotImplementedError

    @property
    def heading(self) -> tuple[str, str]:
        """The record's id, and where it belongs."""
        raise NotImplementedError

    def rows(self) -> Iterator[tuple[str, str]]:
        """The lines of the box: what it is, and the text."""
        raise NotImplementedError

    def __repr__(self) -> str:
        """Plain text, one row a line."""
        symbol, _ = _MARKS[self.mark]
        head = "  ".join(self.heading)
        lines = [f"{symbol} {head}  [{self.mark}]"]
        lines += [f"  {name}: {text}" for name, text in self.rows()]
        return "\n".join(lines)

    def _repr_markdown_(self) -> str:
        """Markdown: a quoted block."""
        symbol, _ = _MARKS[self.mark]
        identifier, place = self.heading
        lines = [f"> **{symbol} {self.mark}** · `{identifier}` · {place}"]
        lines += [f">\n> *{name}:* {text}" for name, text in self.rows()]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """HTML with classes for a style sheet, legible without one."""
        symbol, colour = _MARKS[self.mark]
        identifier, place = self.heading
        rows = "".join(
            f'<div class="row" style="margin-top:0.3em">'
            f'<span class="name" style="font-style:italic">{escape(name)}:</span> '
            f"{escape(text, quote=False)}</div>"
            for name, text in self.rows()
        )
        return (
            f'<div class="actbook-box {self.classes}" id="{self.anchor}" style="border-left:'
            f'0.3em solid {colour};padding:0.4em 0.9em;margin:0.6em 0;text-align:left">'
            f'<div class="head"><strong class="mark">{symbol} {escape(self.mark)}</strong> · '
            f'<code class="record">{escape(identifier)}</code> · '
            f'<span class="place">{escape(place)}</span></div>{rows}</div>'
        )


@dataclass(frozen=True, repr=False)
class Verdict(Box):
    """The box of a decided claim."""

    claim: Claim
    answers: Mapping[str, bool] = field(default_factory=dict)
    sources: tuple[str, ...] = ()

    @property
    def classes(self) -> str:  # type: ignore[override]
        """The classes of the box, the verdict among them."""
        return f"verdict {self.claim.verdict}"

    @property
    def anchor(self) -> str:
        """``decided-001-042``."""
        return f"decided-{self.claim.id}"

    @property
    def mark(self) -> str:
        """The verdict."""
        return self.claim.verdict

    @property
    def heading(self) -> tuple[str, str]:
        """The claim's id and its place in the document."""
        return self.claim.id, self.claim.place

    def rows(self) -> Iterator[tuple[str, str]]:
        """The claim, the cases, the correct statement, the sources."""
        yield "Claim", self.claim.claim
        if self.answers:
            words = {True: "holds", False: "fails"}
            yield "Cases", "; ".join(f"{case}: {words[a]}" for case, a in self.answers.items())
        yield ("Why" if self.mark in ("holds", "uncheckable") else "Correct"), self.claim.correct
        if self.sources:
            yield "Source", ", ".join(label(key) for key in self.sources)


@dataclass(frozen=True, repr=False)
class Expectation(Box):
    """The box of a prediction before its result."""

    prediction: Prediction
    classes = "prediction"

    @property
    def anchor(self) -> str:
        """``predicted-P05-1``."""
        return f"predicted-{self.prediction.id}"

    @property
    def mark(self) -> str:
        """Always ``prediction``."""
        return "prediction"

    @property
    def heading(self) -> tuple[str, str]:
        """The prediction's id and when it was written."""
        return self.prediction.id, f"written {self.prediction.written}"

    def rows(self) -> Iterator[tuple[str, str]]:
        """Claim, expected size, probability."""
        yield "Prediction", self.prediction.claim
        yield "Expected size", self.prediction.size
        yield "Probability", f"{self.prediction.probability:.0%}"


@dataclass(frozen=True, repr=False)
class Outcome(Box):
    """The box of a scored prediction."""

    prediction: Prediction
    classes = "outcome"

    @property
    def anchor(self) -> str:
        """``outcome-P05-1``."""
        return f"outcome-{self.prediction.id}"

    @property
    def mark(self) -> str:
        """Whether it came true, in words."""
        return "came true" if self.prediction.came_true else "did not come true"

    @property
    def heading(self) -> tuple[str, str]:
        """The prediction's id and the probability that it was given."""
        return self.prediction.id, f"given {self.prediction.probability:.0%}"

    def rows(self) -> Iterator[tuple[str, str]]:
        """What was predicted and how large, what was measured, what it taught."""
        yield "Prediction", self.prediction.claim
        yield "Expected size", self.prediction.size
        yield "Measured", self.prediction.measured
        if self.prediction.lesson:
            yield "Lesson", self.prediction.lesson


@dataclass(frozen=True, repr=False)
class Fold:
    """Several verdicts behind one line."""

    verdicts: tuple[Verdict, ...]
    title: str | None = None

    @property
    def summary(self) -> str:
        """The title, by default a count: ``5 more verdicts: 3 hold, 2 fail``."""
        if self.title is not None:
            return self.title
        marks = [verdict.mark for verdict in self.verdicts]
        words = {"holds": "hold", "fails": "fail", "depends": "depend", "uncheckable": "open"}
        counts = [f"{marks.count(v)} {words[v]}" for v in VERDICTS if v in marks]
        noun = "verdict" if len(marks) == 1 else "verdicts"
        return f"{len(marks)} more {noun}: {', '.join(counts)}"

    def __repr__(self) -> str:
        """Plain text: the summary and every box below it."""
        return "\n\n".join([self.summary, *map(repr, self.verdicts)])

    def _repr_markdown_(self) -> str:
        """Markdown: the summary and every box below it."""
        return "\n\n".join([f"**{self.summary}**", *(v._repr_markdown_() for v in self.verdicts)])

    def _repr_html_(self) -> str:
        """HTML: a closed disclosure element."""
        boxes = "".join(verdict._repr_html_() for verdict in self.verdicts)
        return (
            '<details class="actbook-box verdicts"><summary style="cursor:pointer">'
            f"{escape(self.summary, quote=False)}</summary>{boxes}</details>"
        )
