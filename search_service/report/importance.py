"""Which hyperparameters mattered in a round: PED-ANOVA, by Optuna.

The question it answers: by which leaf do the best trials differ from the others? Trials are compared at one epoch, the
last that all of them have: a trial that was stopped at epoch 3 says nothing about epoch 27. For each leaf, the density
of its values among the best third is compared with the density among all (Pearson divergence); a share is a leaf's part
of the sum. Since it is compared with what was tried, and not with the ranges, a sampler that prefers a region does not
make its leaf important; and a leaf that belongs to a choice is compared among the trials that have it.

Shares say what made the difference within this round's ranges: a leaf whose range is already narrow matters little.
They are estimates: of 24 trials that depend on one leaf of five, that leaf gets 0.83 of 1 in the mean, the others 0.02
to 0.06 each; of 500 it gets 0.99.

Source: Watanabe et al. 2023, "PED-ANOVA: efficiently quantifying hyperparameter importance in arbitrary subspaces".
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import optuna

from search_service.records.curves import score_at
from search_service.records.rounds import RoundResult, TrialResult, TrialStatus
from search_service.samplers.distributions import distribution_of, to_optuna
from search_service.space.ranges import Space
from trainables.metrics import METRICS

optuna.logging.set_verbosity(optuna.logging.WARNING)

# Fewer say more about chance than about hyperparameters: of 8 trials that depend on one of five leaves, another leaf
# comes first in one case out of six; of 12 in none out of twelve.
FEWEST_TRIALS = 10
# The best third, about as many as ASHA lets go on. Optuna's default of a tenth is meant for hundreds of trials: of 24,
# it would be three.
BEST_SHARE = 1 / 3

_ENDED_WELL = (TrialStatus.COMPLETED, TrialStatus.PRUNED)


@dataclass(frozen=True)
class Importance:
    """What mattered in a round.

    Attributes:
        round_number: Number of the round in the study.
        shares: The share of each leaf of the round's space, largest first; they sum to 1. Empty if ``reason`` says why.
        epoch: At which trials are compared; 0 if there is none.
        trials: Compared, those that diverged included.
        reason: Why there are no shares; empty if there are.
    """

    round_number: int
    shares: Mapping[str, float] = field(default_factory=dict)
    epoch: int = 0
    trials: int = 0
    reason: str = ""


def importance(result: RoundResult) -> Importance:
    """Weigh the leaves of a round's space.

    A trial that diverged before that epoch is worse than any score; one that failed says nothing and is left out.

    Args:
        result: The round's result.
    """
    plan = result.plan
    epoch = min((trial.epochs for trial in result.trials if trial.status in _ENDED_WELL), default=0)
    valued = [(trial, _value_at(trial, epoch)) for trial in result.trials if epoch]
    compared = [(trial, value) for trial, value in valued if value is not None]
    found = Importance(plan.number, epoch=epoch, trials=len(compared))
    if len(compared) < FEWEST_TRIALS:
        reason = f"{len(compared)} of {len(result.trials)} trials can be compared, and it takes {FEWEST_TRIALS} to tell"
        return replace(found, reason=reason)
    if len({value for _, value in compared}) == 1:
        return replace(found, reason=f"all {len(compared)} trials have the same score at epoch {epoch}")
    # Optuna leaves out what is not finite. Only the order counts.
    worst = 1 + max(value for _, value in compared if math.isfinite(value))
    weights = _weigh([(trial, min(value, worst)) for trial, value in compared], plan.space)
    total = sum(weights.values())
    if total == 0:
        return replace(found, reason="the best trials have the same values as the others")
    ordered = sorted(plan.space, key=lambda leaf: (-weights.get(leaf, 0.0), leaf))
    return replace(found, shares={leaf: weights.get(leaf, 0.0) / total for leaf in ordered})


def _value_at(trial: TrialResult, epoch: int) -> float | None:
    """The score at ``epoch``, smaller for better; inf if the trial had diverged; None if it says nothing."""
    if trial.status is TrialStatus.FAILED:
        return None
    score = score_at(trial.curve, epoch)
    if math.isfinite(score):
        return METRICS[trial.metric].rank(score)
    return math.inf if trial.status is TrialStatus.DIVERGED else None


def _weigh(valued: Sequence[tuple[TrialResult, float]], space: Space) -> Mapping[str, float]:
    """PED-ANOVA's divergence by leaf, for those that occur; the values are smaller for better."""
    distributions = {leaf: distribution_of(range_) for leaf, range_ in space.items()}
    study = optuna.create_study(direction="minimize")
    study.add_trials(
        [
            optuna.trial.create_trial(
                params={leaf: to_optuna(space[leaf], value) for leaf, value in trial.values.items()},
                distributions={leaf: distributions[leaf] for leaf in trial.values},
                value=value,
            )
            for trial, value in valued
        ]
    )
    with warnings.catch_warnings():
        # It notes every leaf that only a single trial has, and each use of an experimental class.
        warnings.simplefilter("ignore")
        evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=BEST_SHARE)
        weights: dict[str, float] = evaluator.evaluate(study)
    return weights
