"""A comparison of optimisers as what a person reads (``table``, ``report``) and as what a program reads."""

from __future__ import annotations

import math

from search_service.records.comparison_results import ARRIVED, ComparisonResult, LossSlice, OptimizerOutcome
from search_service.records.numbers import score_text, spread_text
from search_service.report.study_report import counted
from search_service.spec.study_spec import StudySpec

# Raised when a key of the document changes its meaning or goes.


def table(result: ComparisonResult) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Titles of the columns, and a row per optimiser, in the order asked for."""
    titles = (
        "optimiser",
        "learning rate",
        f"best validation {result.metric}",
        f"epochs to {ARRIVED:.0%} of the drop",
        "diverged",
        "and in the sweep",
    )
    return titles, [_row(result, outcome) for outcome in result.outcomes]


def _row(result: ComparisonResult, outcome: OptimizerOutcome) -> tuple[str, ...]:
    swept = f"{outcome.diverged_in_sweep} of {outcome.trained_in_sweep}"
    if outcome.config is None:
        return (outcome.name, "none works", "none", "never", "not trained", swept)
    epochs = result.epochs_to_arrive(outcome)
    return (
        outcome.name,
        f"{outcome.config.optimizer.lr:.3g}",
        score(outcome),
        "never" if epochs is None else str(epochs),
        f"{outcome.diverged} of {len(outcome.curves)}",
        swept,
    )


def score(outcome: OptimizerOutcome) -> str:
    """Mean ± standard deviation of the best scores."""
    if not math.isfinite(outcome.best_mean):
        return "none"
    return f"{score_text(outcome.best_mean)} ± {spread_text(outcome.best_std)}"


def conclusion(result: ComparisonResult) -> str:
    """Who was best, in a sentence."""
    best = result.ranked[0]
    if best.config is None or math.isnan(best.best_mean):
        return "every optimiser diverged at every learning rate tried"
    seeds = counted(len(best.seeds), "seed")
    return f"best validation {result.metric}: {best.name} at {best.config.optimizer.lr:.3g}, {score(best)} over {seeds}"


def report(spec: StudySpec, result: ComparisonResult) -> str:
    """Markdown: the table first, then what its words mean and what the slice shows."""
    titles, rows = table(result)
    lines = [f"# {spec.name}: optimisers compared ({result.status})", "", f"{_capital(result.reason)}.", ""]
    lines += ["| " + " | ".join(cells) + " |" for cells in (titles, tuple("---" for _ in titles), *rows)]
    lines += ["", *(f"- {sentence}" for sentence in _meanings(spec, result)), ""]
    swept = [(outcome.name, sentence) for outcome in result.outcomes for sentence in outcome.swept]
    if swept:
        lines += ["## Sweeps", "", *(f"- {name}: {sentence}." for name, sentence in swept), ""]
    if result.slice is not None:
        lines += ["## The slice", "", _describe_slice(result.slice), ""]
    return "\n".join(lines)


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _meanings(spec: StudySpec, result: ComparisonResult) -> list[str]:
    asked = spec.comparison
    trained = f"{counted(asked.seeds, 'seed')} and {counted(asked.epochs, 'epoch')} each"
    sentences = [
        f"The same network, data, batches and initial weights under each optimiser, {trained}. Test rows are not used.",
        "Learning rate: the one tried whose training loss in the last epoch was lowest, mean over "
        f"{counted(asked.sweep_seeds, 'seed')} of the sweep; one that diverged is never chosen. The other numbers of "
        "an optimiser are its defaults, or the config's for the config's own.",
        f"Best validation {result.metric}: of each seed over its epochs; mean ± standard deviation over seeds.",
        "Diverged: trainings whose loss stopped being finite.",
    ]
    if math.isfinite(result.best_drop):
        goal = result.start_loss - ARRIVED * result.best_drop
        sentences.append(
            f"The drop: from the untrained loss, {result.start_loss:.4g}, to the lowest mean training loss of any "
            f"optimiser, {result.start_loss - result.best_drop:.3g}. {ARRIVED:.0%} of it is reached in the first epoch "
            f"whose mean training loss is at most {goal:.3g}."
        )
        sentences += [_never(o, goal) for o in result.outcomes if o.curves and result.epochs_to_arrive(o) is None]
    return sentences


def _never(outcome: OptimizerOutcome, goal: float) -> str:
    """One seed that fails is enough to keep a mean up: says how many there are."""
    above = sum(not curve[-1].train_loss <= goal for curve in outcome.curves)
    return f"Never: {above} of the {counted(len(outcome.curves), 'seed')} of {outcome.name} ended above that."


def _describe_slice(slice_: LossSlice) -> str:
    across, up = slice_.explained
    return (
        "The plane through the common start along the two directions in which the paths of the first seed extend "
        f"most. It holds {across + up:.0%} of their squared distances from the start ({across:.0%} along x, {up:.0%} "
        "along y). The rest is not in the picture, so away from the start the slice's loss is not a path's own."
    )
