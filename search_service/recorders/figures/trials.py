"""What the pictures of trials share: markers, the part of the score axis worth showing, values of leaves as positions.

Pictures are drawn from RoundResults alone, whatever is in them: no trials, one, hundreds; one hyperparameter or a
dozen, some of which not every trial has; all diverged.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.lines import Line2D

from search_service.recorders.figures.style import COLOURS, GREY, SCORES
from search_service.records.rounds import RoundResult, TrialResult, TrialStatus
from search_service.space.ranges import Choices, NumericRange
from trainables.metrics import METRICS, MetricName

# Colour of trials without a score that means anything.
BROKEN = "#B00020"
# Marker, its area in points², and what it means.
MARKERS = {
    TrialStatus.COMPLETED: ("o", 60, "completed"),
    TrialStatus.PRUNED: ("v", 30, "stopped early"),
    TrialStatus.DIVERGED: ("x", 45, "diverged"),
    TrialStatus.FAILED: ("s", 30, "failed"),
}
# From this many trials on, markers shrink so that they do not hide each other.
CROWD = 60
# The score axis reaches this many times as far beyond the median as the best lies on this side of it.
TAIL = 3.0


def has_score(trial: TrialResult) -> bool:
    """Whether a trial ended with a score that means something."""
    return trial.status in (TrialStatus.COMPLETED, TrialStatus.PRUNED) and math.isfinite(trial.score)


def all_trials(rounds: Sequence[RoundResult]) -> list[TrialResult]:
    """The trials of all rounds, in their order."""
    return [trial for done in rounds for trial in done.trials]


def leaves_of(rounds: Sequence[RoundResult]) -> list[str]:
    """Every leaf that a round searched, in the order of the first round's space."""
    return list(dict.fromkeys(leaf for done in rounds for leaf in done.plan.space))


def area(status: TrialStatus, n: int) -> float:
    """Area of the marker of one of ``n`` trials, in points²."""
    return MARKERS[status][1] * min(1.0, CROWD / max(n, 1)) + 6


def colour_of(index: int) -> str:
    """Colour of the round with that index."""
    return COLOURS[index % len(COLOURS)]


@dataclass(frozen=True)
class ScoreWindow:
    """The part of the score axis that is shown.

    A few hopeless trials would press all others onto a line, so what lies further beyond the median than ``TAIL`` times
    the best lies before it is drawn at the edge.

    Attributes:
        low: Smallest score shown.
        high: Largest.
        metric: The metric of the scores.
        is_cut: Whether any score lies outside.
    """

    low: float
    high: float
    metric: MetricName
    is_cut: bool

    @classmethod
    def of(cls, scores: Sequence[float], metric: MetricName) -> ScoreWindow:
        """Around ``scores``, of which those count that are finite."""
        finite = [score for score in scores if math.isfinite(score)]
        if not finite:
            return cls(0.0, 1.0, metric, False)
        rank = METRICS[metric].rank
        best, median, worst = min(finite, key=rank), float(np.median(finite)), max(finite, key=rank)
        # Where half of them are equal, there is no distance to measure by.
        reach = TAIL * (median - best) if median != best else worst - median
        edge = min(worst, median + reach, key=rank)
        return cls(min(best, edge), max(best, edge), metric, edge != worst)

    @property
    def worst(self) -> float:
        """The edge at which hopeless trials are drawn."""
        return self.low if METRICS[self.metric].mode == "max" else self.high

    def place(self, score: float) -> float:
        """Where a score is drawn; one that is not finite at the bad edge."""
        return min(max(score, self.low), self.high) if math.isfinite(score) else self.worst

    def apply(self, axis: Axes, *, shown_at_edge: bool = True) -> None:
        """Set the limits and the label of the y axis, which says whether hopeless trials are drawn at the edge."""
        margin = 0.06 * (self.high - self.low) or 0.05 * abs(self.high) or 0.05
        axis.set_ylim(self.low - margin, self.high + margin)
        worse = "lower" if METRICS[self.metric].mode == "max" else "higher"
        axis.set_ylabel(
            f"validation {self.metric}" + (f" ({worse}: at the edge)" if self.is_cut and shown_at_edge else "")
        )


@dataclass(frozen=True)
class LeafScale:
    """Values of a leaf as positions on an axis.

    Attributes:
        leaf: Its dotted path.
        low: Smallest position.
        high: Largest.
        log: Positions are values, and the axis is logarithmic.
        choices: The choices in the order of their positions 0, 1, …; None for numbers.
    """

    leaf: str
    low: float
    high: float
    log: bool
    choices: tuple[Any, ...] | None = None

    @classmethod
    def of(cls, leaf: str, rounds: Sequence[RoundResult]) -> LeafScale:
        """Wide enough for every round's range."""
        ranges = [done.plan.space[leaf] for done in rounds if leaf in done.plan.space]
        numeric = [range_ for range_ in ranges if isinstance(range_, NumericRange)]
        if len(numeric) == len(ranges):
            low, high = min(r.low for r in numeric), max(r.high for r in numeric)
            return cls(leaf, low, high, all(r.log for r in numeric))
        offered = [choice for range_ in ranges if isinstance(range_, Choices) for choice in range_.choices]
        choices = tuple(dict.fromkeys(offered))
        return cls(leaf, 0, len(choices) - 1, False, choices)

    def place(self, values: Mapping[str, Any]) -> float:
        """Position of a trial's value; NaN if it has none."""
        if self.leaf not in values:
            return math.nan
        value = values[self.leaf]
        if self.choices is None:
            return float(value)
        return float(self.choices.index(value)) if value in self.choices else math.nan

    def share(self, values: Mapping[str, Any]) -> float:
        """Position between the ends of the scale, 0 to 1; NaN if it has none."""
        at = self.place(values)
        low, high = self.low, self.high
        if self.log and math.isfinite(at):
            at, low, high = math.log(at), math.log(low), math.log(high)
        return (at - low) / (high - low) if high > low else at - low + 0.5

    def ends(self) -> Iterator[tuple[float, str]]:
        """Shares and the texts beside them: every choice, or the two ends of a range."""
        if self.choices is not None:
            for i, choice in enumerate(self.choices):
                yield (i / (len(self.choices) - 1) if len(self.choices) > 1 else 0.5), label_of(choice)
        elif self.low == self.high:
            yield 0.5, f"{self.low:.3g}"
        else:
            yield 0.0, f"{self.low:.3g}"
            yield 1.0, f"{self.high:.3g}"


def label_of(choice: Any) -> str:
    """A choice as people write it; long lists are cut."""
    text = "×".join(str(part) for part in choice) if isinstance(choice, (tuple, list)) else str(choice)
    text = {"": "no layers", "None": "off"}.get(text, text)
    return text if len(text) <= 14 else text[:13] + "…"


def draw_scores(
    axis: Axes, trials: Sequence[TrialResult], xs: Sequence[float], window: ScoreWindow, colour: str, *, crowd: int
) -> None:
    """A marker per trial at its score: stopped early hollow, without a score at the bad edge.

    Those stopped early had less time, so they are less weighty; paler, they could not be seen.

    Args:
        axis: Drawn on.
        trials: Some of a round's.
        xs: Where each stands.
        window: What the score axis shows.
        colour: Colour of the trials with a score.
        crowd: How many trials the axis shows in all.
    """
    for status, (marker, _, _) in MARKERS.items():
        shown = [(x, t) for x, t in zip(xs, trials, strict=True) if t.status is status and math.isfinite(x)]
        if not shown:
            continue
        broken, hollow = status in (TrialStatus.DIVERGED, TrialStatus.FAILED), status is TrialStatus.PRUNED
        edge = BROKEN if broken else colour
        axis.scatter(
            [x for x, _ in shown],
            [window.worst if broken else window.place(trial.score) for _, trial in shown],
            s=area(status, crowd),
            marker=marker,
            linewidths=1.0 if marker == "x" or hollow else 0,
            facecolors="none" if hollow else edge,
            # A cross has no edge, and matplotlib warns where it is given a colour for one.
            edgecolors=None if marker == "x" else edge,
        )


def status_handles(trials: Sequence[TrialResult]) -> list[Line2D]:
    """Legend entries for the ways in which trials ended."""
    used = {trial.status for trial in trials}
    handles = []
    for status, (marker, _, label) in MARKERS.items():
        if status in used:
            colour = BROKEN if status in (TrialStatus.DIVERGED, TrialStatus.FAILED) else GREY
            face = "none" if status is TrialStatus.PRUNED else colour
            handles.append(Line2D([], [], linestyle="none", marker=marker, mfc=face, mec=colour, label=label))
    return handles


def round_handles(rounds: Sequence[RoundResult]) -> list[Line2D]:
    """Legend entries for the colours of the rounds."""
    return [
        Line2D([], [], linestyle="none", marker="s", color=colour_of(i), label=round_label(done))
        for i, done in enumerate(rounds)
    ]


def best_trial(rounds: Sequence[RoundResult]) -> TrialResult | None:
    """The study's best: of those trained to the end in any round or, where none was, of those that went furthest.

    None if no trial has a score. Of equal ones the one that was trained for longer, and of those the first.
    """
    able = [trial for trial in all_trials(rounds) if has_score(trial)]
    ended = [trial for trial in able if trial.status is TrialStatus.COMPLETED]
    furthest = max((trial.epochs for trial in able), default=0)
    candidates = ended or [trial for trial in able if trial.epochs == furthest]
    return min(candidates, key=lambda t: (METRICS[t.metric].rank(t.score), -t.epochs), default=None)


def score_colours(scores: Sequence[float], metric: MetricName) -> ScalarMappable:
    """Colours of scores, the best the darkest. What is worse than the better two thirds is as pale as these allow."""
    finite = sorted(score for score in scores if math.isfinite(score)) or [0.0, 1.0]
    cut, rises = len(finite) // 3, METRICS[metric].mode == "max"
    low, high = (finite[cut], finite[-1]) if rises else (finite[0], finite[-1 - cut])
    return ScalarMappable(Normalize(low, high), SCORES if rises else SCORES.reversed())


def round_label(done: RoundResult) -> str:
    """``round 1: coarse search``."""
    return f"round {done.plan.number}: {done.plan.step.title}"
