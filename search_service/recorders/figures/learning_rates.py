"""Step 3: how far each learning rate makes the loss fall, as it is judged.

On the left the way there: what is left of the untrained loss, averaged over ten batches as the rule does, with the
share that is asked for, the multiple that counts as diverged, and a cross where a rate diverges. On the right the
outcome: what is left at the end against the rate, the rates that work and those that are searched.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from search_service.recorders.figures.style import COLOURS, DASHES, GREY, new_figure, plain_ticks, set_margins
from search_service.records.checks import DIVERGED, SMOOTHING, LearningRatesResult, RateOutcome, smoothed

# Shares above this are beyond the axis: a diverging curve would flatten all others. What left it is said in the legend.
TOP = 8.0
# Inches of a line of the legend, and of what is above it.
LINE, ABOVE = 0.21, 0.55
MARKERS = {"works": "o", "too slow": "v", "too high": "^", "diverged": "X"}
SYMBOLS = {"works": "●", "too slow": "▼", "too high": "▲", "diverged": "✖"}


@dataclass(frozen=True)
class Course:
    """What became of the loss at one rate, as shares of the untrained loss.

    Attributes:
        steps: Steps after which the shares below were judged, from 0.
        shares: Means of ``SMOOTHING`` batches for each start, 1 at step 0; up to the step at which it diverged.
        final: What is left at the end for each start; inf where a loss was not finite.
        peak: The highest finite share of a single batch, and its step.
        broken_at: Step at which the first start diverged: a loss that is not finite, or a mean beyond ``DIVERGED``.
            None unless the rate diverged.
        is_finite: Whether every loss was.
    """

    steps: tuple[int, ...]
    shares: tuple[tuple[float, ...], ...]
    final: tuple[float, ...]
    peak: tuple[float, int]
    broken_at: int | None
    is_finite: bool

    @classmethod
    def of(cls, outcome: RateOutcome) -> Course:
        """The course of a rate, by the rule of step 3."""
        # An untrained loss of 0 has no shares; older studies did not write it down, and their first batch is near it.
        untrained = [loss or 1.0 for loss in outcome.untrained or (curve[0] for curve in outcome.curves)]
        pairs = list(zip(outcome.curves, untrained, strict=True))
        means = [[1.0, *(mean / whole for mean in smoothed(curve))] for curve, whole in pairs]
        n_steps = len(outcome.curves[0])
        steps = [0, *range(SMOOTHING, n_steps, SMOOTHING), n_steps]
        losses = [(loss / whole, step) for curve, whole in pairs for step, loss in enumerate(curve)]
        missing = [step for share, step in losses if not math.isfinite(share)]
        broken_at, shown = None, len(steps)
        if outcome.label == "diverged":
            high = [steps[i] for mean in means for i, share in enumerate(mean) if share > DIVERGED]
            broken_at = min([*missing, *high], default=n_steps)
            shown = max(1, sum(step < broken_at for step in steps))
        whole_until = next(
            (i for i, at in enumerate(zip(*means, strict=True)) if not all(map(math.isfinite, at))), shown
        )
        shown = min(shown, whole_until)
        return cls(
            tuple(steps[:shown]),
            tuple(tuple(mean[:shown]) for mean in means),
            tuple(
                mean[-1] if all(map(math.isfinite, curve)) else math.inf
                for mean, (curve, _) in zip(means, pairs, strict=True)
            ),
            max((pair for pair in losses if math.isfinite(pair[0])), default=(math.nan, 0)),
            broken_at,
            not missing,
        )


def draw(check: LearningRatesResult) -> Figure:
    """The way of every rate, and what is left at its end."""
    courses = [Course.of(outcome) for outcome in check.outcomes]
    rows = -(-len(courses) // 2)
    bottom = ABOVE + LINE * (rows + 1)
    figure, (ways, ends) = new_figure(
        2, width=11.0, height=4.0 + bottom, sharey=True, gridspec_kw={"width_ratios": (1.35, 1)}, layout=None
    )
    set_margins(figure, left=0.75, right=0.15, top=0.75, bottom=bottom, between=0.05)
    asked = next(iter(check.expected.values()), math.nan)
    n_broken = sum(course.broken_at is not None for course in courses)
    broken = 0
    # The largest rate first, as it stands above the others.
    for i, (outcome, course) in reversed(list(enumerate(zip(check.outcomes, courses, strict=True)))):
        colour, dashes = COLOURS[i % len(COLOURS)], DASHES[i // len(COLOURS) % len(DASHES)]
        # Crosses of rates that diverge together stand below each other, between the rule and the top.
        height = TOP * (1.1 * DIVERGED / TOP) ** ((broken + 0.5) / max(n_broken, 1))
        _draw_way(ways, outcome, course, colour, dashes, height)
        _draw_end(ends, outcome, course, colour, height)
        broken += course.broken_at is not None
    _draw_rule(ways, ends, check, asked)
    _limit(ways, courses, asked, is_broken=n_broken > 0)
    n_steps = len(check.outcomes[0].curves[0])
    ways.set(xlabel="step", ylabel=f"share of the untrained loss, mean of {SMOOTHING} batches")
    ways.set_xlim(0, 1.02 * n_steps)
    cycle = f" (cycle {check.cycle})" if check.cycle > 1 else ""
    figure.suptitle(
        f"Step 3{cycle}: which learning rates make the loss fall to {asked:.0%} within {n_steps} steps?  "
        + ("passed" if check.passed else "failed"),
        x=0.01, ha="left", fontweight="bold", fontsize=10,
    )  # fmt: skip
    figure.legend(
        *ways.get_legend_handles_labels(), loc="lower left", ncols=2, fontsize=8, frameon=False,
        title="learning rate, and what becomes of the loss (line: mean over starts, band: their range)",
        title_fontsize=8, alignment="left",
    )  # fmt: skip
    return figure


def _limit(axis: Axes, courses: Sequence[Course], asked: float, *, is_broken: bool) -> None:
    """The part of the share axis that is shown."""
    shown = [share for course in courses for of_start in course.shares for share in of_start]
    shown += [share for course in courses for share in course.final if math.isfinite(share)]
    low = max(min([*shown, asked if math.isfinite(asked) else 1.0]) / 1.5, 1e-6)
    high = TOP if is_broken else min(TOP, max([*shown, 1.2 * DIVERGED]) * 1.1)
    axis.set_yscale("log")
    axis.set_ylim(low, high)
    plain_ticks(axis.yaxis, low, high, percent=True)


def describe(outcome: RateOutcome, course: Course) -> str:
    """What became of a rate, for the legend: what the axis cannot hold is in it."""
    if course.broken_at is None:
        return f"{outcome.rate:.3g}  {outcome.label}: {100 * outcome.falls_to:.3g} % of the loss is left"
    share, step = course.peak
    told = [f"{share:.2g} × at step {step}"] if share > DIVERGED else []
    told += [] if course.is_finite else [f"not finite from step {course.broken_at}"]
    return f"{outcome.rate:.3g}  diverged" + (f": {', '.join(told)}" if told else "")


def _draw_way(axis: Axes, outcome: RateOutcome, course: Course, colour: str, dashes: object, height: float) -> None:
    by_step = list(zip(*course.shares, strict=True))
    steps, means = list(course.steps), [fmean(at) for at in by_step]
    axis.fill_between(
        steps, [min(at) for at in by_step], [max(at) for at in by_step], color=colour, alpha=0.12, linewidth=0
    )
    label = describe(outcome, course)
    marks: Sequence[int] = []
    if course.broken_at is not None:
        steps, means, marks = [*steps, course.broken_at], [*means, height], [len(steps)]
    axis.plot(
        steps, means, color=colour, linestyle=dashes, linewidth=1.6, marker=MARKERS["diverged"] if marks else "",
        markersize=9, markevery=marks, markeredgecolor="white", label=label,
    )  # fmt: skip


def _draw_end(axis: Axes, outcome: RateOutcome, course: Course, colour: str, height: float) -> None:
    is_broken = course.broken_at is not None
    starts = [share for share in course.final if math.isfinite(share)]
    axis.plot([outcome.rate] * len(starts), starts, linestyle="none", marker=".", markersize=4, color=colour)
    axis.plot(
        [outcome.rate], [height if is_broken else outcome.falls_to], linestyle="none", marker=MARKERS[outcome.label],
        markersize=9, color=colour, markeredgecolor="white", zorder=4,
    )  # fmt: skip


def _draw_rule(ways: Axes, ends: Axes, check: LearningRatesResult, asked: float) -> None:
    """What is asked for, what counts as diverged, which rates work and which are searched."""
    for axis in (ways, ends):
        axis.axhline(asked, color="black", linestyle=":", linewidth=1.2, zorder=1)
        axis.axhline(DIVERGED, color=GREY, linestyle=(0, (6, 3)), linewidth=1.0, zorder=1)
    # Crosses stand on the right above, rates that are too slow on the left.
    for x, side, share, text in (
        (1, "right", asked, f"needed: {asked:.0%}"),
        (0, "left", DIVERGED, f"diverged: beyond {DIVERGED:.0%}"),
    ):
        ends.annotate(
            text, (x, share), xycoords=("axes fraction", "data"), xytext=(2 - 4 * x, 2), textcoords="offset points",
            ha=side, fontsize=8,
        )  # fmt: skip
    working = [outcome.rate for outcome in check.outcomes if outcome.label == "works"]
    told = "no rate works"
    if math.isfinite(check.low):
        ends.axvspan(check.low, check.high, color=COLOURS[0], alpha=0.10, linewidth=0)
        told = f"searched {check.low:.2g} to {check.high:.2g} (light)"
    if working:
        ends.axvspan(min(working) / 1.15, max(working) * 1.15, color=COLOURS[0], alpha=0.16, linewidth=0)
        told += f"; work: {min(working):.2g} to {max(working):.2g} (dark)"
    labels = {outcome.label for outcome in check.outcomes}
    legend = ", ".join(f"{symbol} {label}" for label, symbol in SYMBOLS.items() if label in labels)
    ends.set_title(f"{told}\n{legend}; small dots: the starts", fontsize=8, loc="left")
    rates = [outcome.rate for outcome in check.outcomes]
    ends.set(xscale="log", xlabel="learning rate")
    ends.set_xlim(min(rates) / 4, max(rates) * 4)
    plain_ticks(ends.xaxis, min(rates), max(rates))
