"""Step 3: on all the training data, which learning rates make the loss fall clearly within 100 iterations?

Why: the learning rate matters more than all other hyperparameters together, and its right decade shows at once. The
search then spends nothing on rates that cannot work.
All candidates, several starts each, are trained as one population, at a constant rate and without dropout, DropConnect
and label smoothing, whose noise and floor would hide the fall; decay and penalties stay. A start works when its
smoothed loss falls to 80 % of the untrained loss; a rate works when most of its starts do and none becomes infinite.
Passes when at least one rate works. If none does, the candidates are widened once beyond their edge before giving up.
Source: the lecture's step 3, "find a learning rate that makes the loss go down".
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import Any

from search_service.recipe import tasks
from search_service.records.checks import DIVERGED, LearningRatesResult, RateLabel, RateOutcome, smoothed
from search_service.records.steps import Step
from search_service.runners.base import Task
from search_service.space.ranges import Choices, NumericRange, Range
from search_service.spec.sections import LearningRatesSpec
from search_service.spec.study_spec import StudySpec
from trainables.choices import OptimizerName
from trainables.config import TrialConfig
from trainables.data.dataset import Dataset
from trainables.process import device_for
from trainables.seeds import derive_seed
from trainables.training import PopulationTraining, chance_scale, frequency_baseline

# The lecture's candidates; AdaDelta, whose steps have the right unit by themselves, wants rates around 1.
CANDIDATES = (1e-1, 1e-2, 1e-3, 1e-4)
USUAL: Mapping[OptimizerName, tuple[float, ...]] = {"adadelta": (1e1, 1.0, 1e-1, 1e-2)}
# Rows on which the untrained loss is measured, as in step 1.
MAX_ROWS = 2_000
# Decades added beyond the edge when no candidate works.
WIDEN_DECADES = 3
# The region that works, padded by half a decade each side: candidates usually lie a decade apart.
PADDING = math.sqrt(10.0)
# The region and the best rate where no rate works.
NOWHERE = (math.nan, math.nan, math.nan)


def task(
    config: TrialConfig,
    dataset: Dataset,
    spec: LearningRatesSpec,
    study: StudySpec,
    *,
    cycle: int,
    allowed: Range | None,
) -> Task:
    """What ``run`` does, for whoever can do it."""
    arguments = {"config": config, "spec": spec, "seed": study.seed, "cycle": cycle, "allowed": allowed}
    members = spec.starts * len(_candidates(config, spec, cycle))
    seconds = spec.steps * tasks.seconds_per_step(config, members, dataset)
    gpus = study.search.gpus_per_trial
    return Task(f"step-3-cycle-{cycle}", in_worker, (dataset,), arguments | {"gpus": gpus}, effort=seconds)


def in_worker(dataset: Dataset, *, gpus: float, **arguments: Any) -> LearningRatesResult:
    """Try the candidate rates, on this process's device."""
    return run(dataset=dataset, device=device_for(gpus), **arguments)


def run(
    config: TrialConfig,
    dataset: Dataset,
    spec: LearningRatesSpec,
    *,
    seed: int,
    cycle: int = 1,
    allowed: Range | None = None,
    device: str = "cpu",
) -> LearningRatesResult:
    """Try the candidate rates.

    Args:
        config: Everything but the rate; in later cycles, the best configuration so far.
        dataset: Its training rows are used.
        spec: Candidates, starts, steps.
        seed: The study's seed, which decides the starts.
        cycle: Number of the repetition. From the second on, the candidates lie around the config's own rate.
        allowed: The user's own range of the rate, which the search must not leave.
        device: torch device.
    """
    outcomes = _try(_candidates(config, spec, cycle), config, dataset, spec, seed, device)
    widened = not any(outcome.label == "works" for outcome in outcomes)
    if widened:
        outcomes += _try(_widen(outcomes), config, dataset, spec, seed, device)
    outcomes = _of_too_high(sorted(outcomes, key=lambda outcome: outcome.rate))
    working = [outcome for outcome in outcomes if outcome.label == "works"]
    labels = ", ".join(f"{outcome.rate:.2g} {outcome.label}" for outcome in outcomes)
    measured = {f"falls_to.{outcome.rate:.3g}": outcome.falls_to for outcome in outcomes}

    def result(passed: bool, summary: str, advice: str, region: tuple[float, float, float]) -> LearningRatesResult:
        return LearningRatesResult(
            step=Step.LEARNING_RATES,
            name=Step.LEARNING_RATES.title,
            passed=passed,
            summary=summary,
            advice=advice,
            measured=measured,
            expected=dict.fromkeys(measured, spec.falls_to),
            cycle=cycle,
            outcomes=tuple(outcomes),
            low=region[0],
            high=region[1],
            best=region[2],
        )

    if not working:
        summary = f"no rate makes the loss fall to {spec.falls_to:.0%} within {spec.steps} steps: {labels}"
        return result(False, summary, _advise(outcomes, widened), NOWHERE)
    low, high = min(o.rate for o in working) / PADDING, max(o.rate for o in working) * PADDING
    best = min(working, key=lambda outcome: outcome.falls_to).rate
    if _holds_none(allowed, low, high):
        summary = f"search_space.optimizer.lr ({allowed}) holds no rate that works; {low:.2g} to {high:.2g} do"
        advice = f"change search_space.optimizer.lr to about {{low: {low:.2g}, high: {high:.2g}, log: true}}"
        return result(False, summary, advice, NOWHERE)
    if isinstance(allowed, NumericRange):
        low, high = max(low, allowed.low), min(high, allowed.high)
        best = min(max(best, low), high)
    summary = f"searching {low:.2g} to {high:.2g}{' after widening the candidates' if widened else ''} ({labels})"
    return result(True, summary, _doubt(config, dataset, working), (low, high, best))


def _candidates(config: TrialConfig, spec: LearningRatesSpec, cycle: int) -> tuple[float, ...]:
    """The rates to try: the user's or the usual ones, from the second cycle on those around the config's own."""
    if cycle > 1:
        return tuple(config.optimizer.lr * 10**e for e in (-1, -0.5, 0, 0.5, 1))
    return spec.candidates or USUAL.get(config.optimizer.name, CANDIDATES)


def _holds_none(allowed: Range | None, low: float, high: float) -> bool:
    """Whether the user's own range has nothing in the region that works."""
    if isinstance(allowed, Choices):
        return not any(low <= rate <= high for rate in allowed.choices)
    return isinstance(allowed, NumericRange) and max(low, allowed.low) > min(high, allowed.high)


def _doubt(config: TrialConfig, dataset: Dataset, working: Sequence[RateOutcome]) -> str:
    """A warning where the loss has fallen no further than the classes' frequencies explain."""
    baseline = frequency_baseline(config.without_noise(), dataset)
    chance = chance_scale(config.without_noise(), dataset).chance
    reached = min(outcome.falls_to for outcome in working) * chance
    if baseline is None or reached < baseline:
        return ""
    return (
        f"no rate has come below a loss of {baseline:.3g}, which the class frequencies alone give: "
        "the features may say little about the target"
    )


def _try(
    rates: Sequence[float], config: TrialConfig, dataset: Dataset, spec: LearningRatesSpec, seed: int, device: str
) -> list[RateOutcome]:
    """Train every rate from every start, as one population; ascending by rate."""
    rates = sorted(rates)
    starts = [derive_seed(seed, "start", start) for start in range(spec.starts)]
    training = PopulationTraining(
        [
            config.at_constant_rate().without_noise().replace({"optimizer.lr": rate, "seed": start})
            for rate in rates
            for start in starts
        ],
        dataset,
        order_seed=seed,
        device=device,
    )
    untrained: list[float] = training.loss_as_trained(training.train_rows.spread(MAX_ROWS)).tolist()
    per_step = [losses.tolist() for losses in itertools.islice(training.steps(), spec.steps)]
    curves = [tuple(curve) for curve in zip(*per_step, strict=True)]  # one per member
    outcomes = []
    for i, rate in enumerate(rates):
        members = slice(i * spec.starts, (i + 1) * spec.starts)
        judged = [_judge(c, u, spec.falls_to) for c, u in zip(curves[members], untrained[members], strict=True)]
        labels = [label for label, _ in judged]
        outcomes.append(
            RateOutcome(
                rate,
                _majority(labels, curves[members]),
                median(fall for _, fall in judged),
                tuple(curves[members]),
                tuple(untrained[members]),
            )
        )
    return outcomes


def _judge(curve: tuple[float, ...], untrained: float, falls_to: float) -> tuple[RateLabel, float]:
    """Label of one start, and its final smoothed loss as a share of the untrained loss."""
    if not all(math.isfinite(loss) for loss in curve):
        return "diverged", math.inf
    means = smoothed(curve)
    fall = _share_of(means[-1], untrained)
    if fall <= falls_to:
        return "works", fall
    return ("diverged" if max(means) > DIVERGED * untrained else "too slow"), fall


def _share_of(loss: float, untrained: float) -> float:
    """What is left of the untrained loss; one that is 0 (outputs so large that float32 rounds it away) cannot fall."""
    if untrained > 0:
        return loss / untrained
    return 1.0 if loss <= 0 else math.inf


def _majority(labels: Sequence[RateLabel], curves: Sequence[tuple[float, ...]]) -> RateLabel:
    """Label of a rate from those of its starts: one infinite loss condemns it."""
    finite = all(math.isfinite(loss) for curve in curves for loss in curve)
    if finite and 2 * labels.count("works") > len(labels):
        return "works"
    return "diverged" if not finite or labels.count("diverged") >= labels.count("too slow") else "too slow"


def _of_too_high(outcomes: Sequence[RateOutcome]) -> list[RateOutcome]:
    """The same, where a rate beyond all that work is not called slow: its steps are too long to go down."""
    highest = max((outcome.rate for outcome in outcomes if outcome.label == "works"), default=math.inf)
    return [
        replace(outcome, label="too high") if outcome.label == "too slow" and outcome.rate > highest else outcome
        for outcome in outcomes
    ]


def _widen(outcomes: Sequence[RateOutcome]) -> list[float]:
    """New candidates beyond the edge that failed, or between neighbours that fail in opposite ways."""
    rates = [outcome.rate for outcome in outcomes]
    decades = [10.0**d for d in range(1, WIDEN_DECADES + 1)]
    if all(outcome.label == "too slow" for outcome in outcomes):
        return [rates[-1] * decade for decade in decades]
    if all(outcome.label == "diverged" for outcome in outcomes):
        return [rates[0] / decade for decade in decades]
    return [math.sqrt(a * b) for a, b in itertools.pairwise(rates)]


def _advise(outcomes: Sequence[RateOutcome], widened: bool) -> str:
    labels = {outcome.label for outcome in outcomes}
    path = "checks.learning_rates.candidates"
    if labels == {"diverged"}:
        return f"all rates are far too large: lower {path}, for example to [0.1, 0.01, 0.001, 0.0001]"
    if labels == {"too slow"}:
        return f"all rates are far too small: raise {path}, for example to [0.1, 0.01, 0.001, 0.0001]"
    best = min(outcomes, key=lambda outcome: outcome.falls_to)
    between = "the rates between were tried too; " if widened else ""
    return (
        f"{between}{best.rate:.2g} comes furthest, to {best.falls_to:.0%}: raise checks.learning_rates.falls_to if the "
        "features say little about the target, lower the penalties, or choose another optimizer, activation or init"
    )
