"""Which trials are trained again as finalists, by a rule that can be said in a sentence.

The best of those that were trained furthest, whatever their round: the more epochs, the less a score owes to luck in
the first ones. The trial with the best score of all is never left out, even if a coarse round trained it for less.
Where finalists are cross-validated, validation rows are few, and the best by them may have been lucky: the simplest
that they cannot tell from it is a finalist, too, and the folds decide. (Breiman et al. 1984, "Classification and
Regression Trees", take the simplest within one standard error; here it is only let in, so that two may pass.)
No configuration is a finalist twice. With a second objective only trials of the Pareto set qualify.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from search_service.records.numbers import score_text
from search_service.records.pareto import ParetoSet
from search_service.records.rounds import RoundResult, TrialResult
from search_service.spec.study_spec import StudySpec
from trainables.data.dataset import Dataset
from trainables.metrics import METRICS, MetricName, effective_rows
from trainables.network import count_parameters

# Standard errors of a score within which validation rows cannot tell two trials apart, at 5 %.
TOLD_FROM = 1.96


def qualify(
    spec: StudySpec,
    rounds: Sequence[RoundResult],
    pareto: ParetoSet | None = None,
    *,
    noise: Callable[[float], float],
    size: Callable[[TrialResult], float],
) -> tuple[list[TrialResult], str]:
    """Choose the finalists.

    Args:
        spec: How many, and whether they are cross-validated.
        rounds: The study's rounds.
        pareto: The trials by both objectives, where there are two; if none was trained to the end, all qualify.
        noise: Standard error of a validation score, for its rows.
        size: Of a trial's network; the smaller, the simpler.

    Returns:
        The trials, best first by the rule, and the rule as it went, in sentences.
    """
    optimal = {point.trial_id for point in pareto.optimal} if pareto else set()
    rank = METRICS[spec.metric].rank
    able = sorted(
        (t for result in rounds for t in result.ranked if not optimal or t.trial_id in optimal),
        key=lambda trial: (-trial.epochs, rank(trial.score)),
    )
    different = {trial.config.replace({"seed": 0}): trial for trial in reversed(able)}
    ordered = sorted(different.values(), key=able.index)
    top = spec.finalists.top
    best = min(ordered, key=lambda trial: rank(trial.score))
    wild_cards: dict[str, str] = {}

    def places() -> tuple[list[TrialResult], list[TrialResult]]:
        """Who is left for the places beside the wild cards, and who has none."""
        kept = [trial for trial in ordered if trial.trial_id not in wild_cards]
        return kept[: top - len(wild_cards)], kept[top - len(wild_cards) :]

    if best not in places()[0]:
        wild_cards[best.trial_id] = _as_best(spec, best)
    if spec.finalists.folds and top > 1:
        reach = rank(best.score) + TOLD_FROM * noise(best.score)
        alike = (trial for trial in ordered if rank(trial.score) <= reach)
        simplest = min(alike, key=lambda trial: (size(trial), rank(trial.score)))
        if size(simplest) < min(size(trial) for trial in (best, *places()[0])):
            wild_cards[simplest.trial_id] = _as_simplest(simplest, best)
            # Whoever had the last place has made room.
            if best in places()[1]:
                wild_cards[best.trial_id] = _as_best(spec, best)
    furthest, others = places()
    chosen = [*furthest, *(trial for trial in ordered if trial.trial_id in wild_cards)]
    return chosen, _rule(furthest, others, wild_cards.values(), of_pareto=bool(optimal))


def choose(
    spec: StudySpec, rounds: Sequence[RoundResult], dataset: Dataset, pareto: ParetoSet | None
) -> tuple[list[TrialResult], str]:
    """The finalists of a study, by what its rows say of noise and of the size of networks; see ``qualify``."""

    def size(trial: TrialResult) -> float:
        return count_parameters(trial.config.network, dataset.n_inputs, dataset.n_outputs)

    return qualify(spec, rounds, pareto, noise=noise_of(spec.metric, dataset), size=size)


def noise_of(metric: MetricName, dataset: Dataset) -> Callable[[float], float]:
    """Standard error of a validation score of these rows, of the score."""
    rows = effective_rows(dataset.validation.weights, len(dataset.validation))
    return partial(METRICS[metric].standard_error, rows=rows, shares=dataset.validation_shares)


def _as_best(spec: StudySpec, trial: TrialResult) -> str:
    return (
        f"{trial.trial_id} qualified with the best {spec.metric} of the study, {score_text(trial.score)}, though "
        f"it was trained for {trial.epochs} epochs only."
    )


def _as_simplest(trial: TrialResult, best: TrialResult) -> str:
    return (
        f"{trial.trial_id} ({score_text(trial.score)}) qualified as the smallest network that validation rows "
        f"cannot tell from {best.trial_id}, by two standard errors: the folds decide."
    )


def _rule(
    furthest: Sequence[TrialResult], others: Sequence[TrialResult], wild_cards: Iterable[str], *, of_pareto: bool
) -> str:
    """Who qualified, why, and who came next."""
    among = "of the trials that no other beats in both objectives" if of_pareto else "of all trials"
    sentences = []
    if furthest:
        epochs = sorted({trial.epochs for trial in furthest})
        length = f"{epochs[-1]} epochs" if len(epochs) == 1 else f"{epochs[0]} to {epochs[-1]} epochs"
        sentences.append(
            f"{_named(furthest)} qualified as the best {among} that were trained furthest ({length}), "
            "no configuration twice."
        )
    sentences += wild_cards
    if others:
        sentences.append(f"Next would have been {others[0].trial_id} ({score_text(others[0].score)}).")
    return " ".join(sentences)


def _named(trials: Sequence[TrialResult]) -> str:
    *first, last = (f"{trial.trial_id} ({score_text(trial.score)})" for trial in trials)
    return f"{', '.join(first)} and {last}" if first else last
