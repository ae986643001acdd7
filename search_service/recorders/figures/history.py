"""The history: the score of every trial in the order in which they were asked for, and the best so far.

So one sees whether the sampler learns, how much early stopping saves, and whether the last trials still brought
anything. The line is the best score of the trials trained to the end: those stopped early had less time.
"""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from search_service.recorders.figures.style import GREY, ink, new_figure
from search_service.recorders.figures.trials import (
    ScoreWindow,
    all_trials,
    colour_of,
    draw_scores,
    has_score,
    round_handles,
    round_label,
    status_handles,
)
from search_service.records.rounds import RoundResult, TrialResult, TrialStatus
from trainables.metrics import METRICS

# Share of the width from which on a round's name, and its number in words, fit above it.
WIDE, MEDIUM = 0.22, 0.08


def draw(rounds: Sequence[RoundResult]) -> Figure:
    """Draw all rounds, one after the other.

    Args:
        rounds: The study's rounds in order, at least one.
    """
    trials, metric = all_trials(rounds), rounds[-1].plan.metric
    window = ScoreWindow.of([trial.score for trial in trials if has_score(trial)], metric)
    figure, (axis,) = new_figure(width=8.5)
    start = 1
    for i, done in enumerate(rounds):
        numbers = range(start, start + len(done.trials))
        draw_scores(axis, done.trials, numbers, window, colour_of(i), crowd=len(trials))
        if i:
            axis.axvline(start - 0.5, color=GREY, linewidth=0.8)
        axis.annotate(
            _above(done, len(done.trials) / max(len(trials), 1)),
            (start - 0.5, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(3, 2),
            textcoords="offset points",
            fontsize=8,
            color=ink(colour_of(i)),
        )
        start += len(done.trials)
    best = best_so_far(trials)
    if best:
        # To the far edge of the last trial, so that a single one has a line too.
        best.append((len(trials) + 0.5, best[-1][1]))
    axis.plot(
        [n for n, _ in best], [window.place(s) for _, s in best], color="black", linewidth=1.3, drawstyle="steps-post"
    )
    window.apply(axis)
    axis.set_xlim(0.3, max(len(trials), 1) + 0.7)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axis.set_xlabel("trial, in the order in which they were asked for")
    axis.set_title("History", loc="left", fontweight="bold", fontsize=10, pad=26)
    line = (
        [Line2D([], [], color="black", linewidth=1.3, label="best so far of those trained to the end")] if best else []
    )
    # What a narrow round has no room for is below.
    is_narrow = any(len(done.trials) < WIDE * len(trials) for done in rounds)
    axis.legend(
        handles=[*status_handles(trials), *line, *(round_handles(rounds) if is_narrow else [])],
        fontsize=8,
        frameon=False,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.14),
        ncols=3 if is_narrow else 5,
    )
    return figure


def _above(done: RoundResult, share: float) -> str:
    """What stands above a round that takes that share of the width."""
    if share >= WIDE:
        return f"{round_label(done)}\n{done.plan.limits.max_epochs} epochs"
    return f"round {done.plan.number}" if share >= MEDIUM else str(done.plan.number)


def best_so_far(trials: Sequence[TrialResult]) -> list[tuple[float, float]]:
    """Number, from 1, and best score of the completed trials up to it; from the first that has one on."""
    rank = METRICS[trials[0].metric].rank if trials else None
    best: list[tuple[float, float]] = []
    for number, trial in enumerate(trials, start=1):
        scores = [best[-1][1]] if best else []
        scores += [trial.score] if trial.status is TrialStatus.COMPLETED and has_score(trial) else []
        if scores:
            best.append((number, min(scores, key=rank)))
    return best
