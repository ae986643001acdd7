"""Which trials are trained again as finalists, by a rule that can be said in a sentence.

The best of those that were trained furthest, whatever their round: the more epochs, the less a score owes to luck in
the first ones. The trial with the best score of all is never left out, even if a coarse round trained it for less.
No configuration is a finalist twice. With a second objective only trials of the Pareto set qualify.
"""

from __future__ import annotations

from collections.abc import Sequence

from search_service.records.finalists import ParetoSet
from search_service.records.rounds import RoundResult, TrialResult
from search_service.spec.study_spec import StudySpec
from trainables.metrics import METRICS


def qualify(
    spec: StudySpec, rounds: Sequence[RoundResult], pareto: ParetoSet | None = None
) -> tuple[list[TrialResult], str]:
    """Choose the finalists.

    Args:
        spec: How many.
        rounds: The study's rounds.
        pareto: The trials by both objectives, where there are two; if none was trained to the end, all qualify.

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
    chosen, others = ordered[: spec.finalists.top], ordered[spec.finalists.top :]
    best = min(ordered, key=lambda trial: rank(trial.score))
    wild_card = best in others
    if wild_card:
        others = [chosen[-1], *(other for other in others if other is not best)]
        chosen = [*chosen[:-1], best]
    return chosen, _rule(spec, chosen, others, best if wild_card else None, of_pareto=bool(optimal))


def _rule(
    spec: StudySpec,
    chosen: Sequence[TrialResult],
    others: Sequence[TrialResult],
    wild_card: TrialResult | None,
    *,
    of_pareto: bool,
) -> str:
    """Who qualified, why, and who came next."""
    among = "of the trials that no other beats in both objectives" if of_pareto else "of all trials"
    furthest = [trial for trial in chosen if trial is not wild_card]
    sentences = []
    if furthest:
        epochs = sorted({trial.epochs for trial in furthest})
        length = f"{epochs[-1]} epochs" if len(epochs) == 1 else f"{epochs[0]} to {epochs[-1]} epochs"
        sentences.append(
            f"{_named(furthest)} qualified as the best {among} that were trained furthest ({length}), "
            "no configuration twice."
        )
    if wild_card is not None:
        sentences.append(
            f"{wild_card.trial_id} qualified with the best {spec.metric} of the study, {wild_card.score:.4g}, though "
            f"it was trained for {wild_card.epochs} epochs only."
        )
    if others:
        sentences.append(f"Next would have been {others[0].trial_id} ({others[0].score:.4g}).")
    return " ".join(sentences)


def _named(trials: Sequence[TrialResult]) -> str:
    *first, last = (f"{trial.trial_id} ({trial.score:.4g})" for trial in trials)
    return f"{', '.join(first)} and {last}" if first else last
