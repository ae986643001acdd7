"""What an earlier study's trials may teach a new one, and which of them. Arithmetic only; the record is read elsewhere.

Two scores can be compared when they are of the same metric and the trials had the same number of epochs to train for:
a schedule is spread over them, so that epoch 9 of 9 says little about epoch 9 of 27. So a round learns from

- trials of rounds with its own ``max_epochs`` that were trained to the end, or stopped at an epoch that is a rung here,
- whose configurations lie in its space: every leaf that is searched has a value in its range.

The best of the earlier configurations that lie in the user's own ranges is tried first, whatever it was trained for.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from search_service.errors import Problem
from search_service.records.earlier import EarlierStudy, EarlierTrial
from search_service.records.round_plan import PastTrial, RoundPlan
from search_service.records.rounds import TrialStatus
from search_service.space.layers import SIZES, as_numbers
from search_service.space.ranges import Choices, Space, can_draw, in_order, is_searched
from trainables.config import TrialConfig
from trainables.metrics import METRICS, MetricName

KEY = "search.warm_start"


@dataclass(frozen=True)
class Lesson:
    """What a round learns, and the sentence that says so."""

    trials: tuple[PastTrial, ...]
    sentence: str


def problems(earlier: EarlierStudy, *, space: Space, base: TrialConfig, metric: MetricName) -> list[Problem]:
    """Why the earlier study cannot teach this one; empty if it can.

    Args:
        earlier: The earlier study.
        space: The user's ranges.
        base: The trial, for the choices that are not searched.
        metric: What is optimised.
    """
    if not earlier.trials:
        return [_problem(earlier, "a study with trials", "choose another study")]
    if earlier.task != base.task:
        return [_problem(earlier, f"a study of {base.task}, as this one is", "choose another study")]
    if earlier.metric != metric:
        fix = f"set objective.metric: {earlier.metric}, or choose another study"
        return [_problem(earlier, f"a study that optimised {metric}; this one optimised {earlier.metric}", fix)]
    if best(earlier, space=space, base=base) is None:
        reasons = Counter(_outside(trial, space, base) or "has no score" for trial in earlier.trials)
        why, count = reasons.most_common(1)[0]
        rule = f"a study with a trial in this search space: {count} of its {len(earlier.trials)} {_plural(why, count)}"
        return [_problem(earlier, rule, "widen search_space, leave out that leaf, or choose another study")]
    return []


def best(earlier: EarlierStudy, *, space: Space, base: TrialConfig) -> EarlierTrial | None:
    """The best trial, with a score, whose configuration lies in ``space``; those trained furthest go first."""
    able = [trial for trial in earlier.trials if _has_score(trial) and not _outside(trial, space, base)]
    rank = METRICS[earlier.metric].rank if able else None  # type: ignore[index]
    return min(able, key=lambda trial: (-trial.epochs, rank(trial.score), trial.trial_id), default=None)  # type: ignore[misc]


def lesson(earlier: EarlierStudy, plan: RoundPlan, fingerprint: str) -> Lesson:
    """What a round takes over.

    Args:
        earlier: The earlier study.
        plan: The round's plan.
        fingerprint: The table's fingerprint.
    """
    taken, refused = [], Counter[str]()
    rungs = plan.rungs
    for trial in sorted(earlier.trials, key=lambda trial: trial.trial_id):
        why = _why_not(trial, plan, rungs)
        if why:
            refused[why] += 1
        else:
            state = "completed" if trial.status is TrialStatus.COMPLETED else "pruned"
            values = values_in(trial, plan.space, plan.base)
            taken.append(PastTrial(trial.trial_id, values, state, trial.score, trial.epochs))  # type: ignore[arg-type]
    return Lesson(tuple(taken), _sentence(earlier, taken, refused, fingerprint))


def values_in(trial: EarlierTrial, space: Space, base: TrialConfig) -> dict[str, Any]:
    """A trial's values of the leaves that are searched, choices before what depends on them.

    Args:
        trial: A trial of the earlier study.
        space: Ranges by leaf.
        base: Says which choices hold where ``space`` does not search them.
    """
    values: dict[str, Any] = {}
    known = {**trial.parameters, **as_numbers(trial.parameters.get(SIZES, ()))}
    for leaf, range_ in in_order(space).items():
        if leaf in known and is_searched(leaf, range_, values, base):
            value = known[leaf]
            values[leaf] = range_.restore(value) if isinstance(range_, Choices) else value
    return values


def _why_not(trial: EarlierTrial, plan: RoundPlan, rungs: Collection[int]) -> str:
    """Why a trial teaches nothing here; empty if it does."""
    if not _has_score(trial):
        return "has no score"
    if trial.max_epochs != plan.limits.max_epochs:
        return f"had {trial.max_epochs} epochs to train for, not {plan.limits.max_epochs}"
    if trial.status is TrialStatus.PRUNED and trial.epochs not in rungs:
        return f"was stopped at epoch {trial.epochs}, which is no rung"
    return _outside(trial, plan.space, plan.base)


def _has_score(trial: EarlierTrial) -> bool:
    return trial.status in (TrialStatus.COMPLETED, TrialStatus.PRUNED) and math.isfinite(trial.score)


def _outside(trial: EarlierTrial, space: Space, base: TrialConfig) -> str:
    """Which leaf keeps a trial out of ``space``; empty if none does."""
    values = values_in(trial, space, base)
    for leaf, range_ in space.items():
        if not is_searched(leaf, range_, values, base):
            continue
        if leaf not in values:
            return f"does not have {leaf}"
        if not can_draw(range_, values[leaf]):
            return f"lies outside the range of {leaf}"
    return ""


def _sentence(earlier: EarlierStudy, taken: Sequence[PastTrial], refused: Counter[str], fingerprint: str) -> str:
    table = "" if earlier.fingerprint == fingerprint else " (of another table, or another division of it)"
    left = "; ".join(f"{count} {_plural(why, count)}" for why, count in refused.most_common())
    taught = f"{len(taken)} of {len(earlier.trials)} trials of {earlier.study_id}{table} teach the sampler"
    return f"warm start: {taught}" + (f"; {left}" if left else "")


def _plural(why: str, count: int) -> str:
    """The reason for one trial, for several."""
    if count == 1:
        return why
    for one, several in (("has ", "have "), ("was ", "were "), ("lies ", "lie "), ("does ", "do ")):
        if why.startswith(one):
            return several + why.removeprefix(one)
    return why


def _problem(earlier: EarlierStudy, rule: str, fix: str) -> Problem:
    return Problem(KEY, earlier.study_id, rule, fix)
