"""Step 2: with regularisation off, can the network memorise a handful of training rows?

Why: a network that cannot learn twenty rows by heart will not learn the table; no search can mend that.
The configured learning rate and, as remedies, rates around it are tried in one population. Whether a rate is good is
step 3's question: the step passes when any of them memorises, and says which.
Passes when the loss on the sample falls to 1 % of chance (hinge: 0.01) within the step limit.
Source: the lecture's step 2, "overfit a small sample".
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from search_service.recipe import gradient_health, tasks
from search_service.records.checks import OverfitResult
from search_service.records.readings import HealthVerdict
from search_service.records.steps import Step
from search_service.runners.base import Task
from search_service.spec.sections import OverfitSpec
from search_service.spec.study_spec import StudySpec
from trainables.config import TrialConfig
from trainables.data.dataset import Dataset, Rows
from trainables.measurements import measure_health
from trainables.process import device_for
from trainables.records import Health
from trainables.seeds import derive_seed
from trainables.training import PopulationTraining

# Rows that the sample is taken from: twice the largest sample, so that a large table is neither copied nor sorted.
MOST_CANDIDATES = 20_000
# Share of chance at which the sample counts as memorised.
MEMORISED = 0.01
# The loss on the whole sample is looked at this often, in steps.
LOOK_EVERY = 10
# Rates tried beside the configured one: factors of it, two decades either way, and rates that often work.
FACTORS = (0.01, 0.1, 10.0, 100.0)
USUAL_RATES = (0.1, 0.01, 0.001)
# A loss that never fell below this share of its start is flat.
FLAT = 0.9
# A loss beyond this multiple of its start has exploded.
EXPLODED = 10.0


def task(config: TrialConfig, dataset: Dataset, spec: OverfitSpec, study: StudySpec) -> Task:
    """What ``run`` does, for whoever can do it."""
    arguments = {"config": config, "spec": spec, "seed": study.seed, "gpus": study.search.gpus_per_trial}
    # Most samples are memorised long before the limit.
    seconds = spec.max_steps / 4 * tasks.seconds_per_step(config, len(_rates(config.optimizer.lr)), dataset)
    return Task("step-2", in_worker, (dataset,), arguments, effort=seconds)


def in_worker(dataset: Dataset, *, config: TrialConfig, spec: OverfitSpec, seed: int, gpus: float) -> OverfitResult:
    """Try to memorise a sample, on this process's device."""
    return run(config, dataset, spec, seed, device=device_for(gpus))


def run(config: TrialConfig, dataset: Dataset, spec: OverfitSpec, seed: int, *, device: str = "cpu") -> OverfitResult:
    """Try to memorise a sample.

    Args:
        config: The trial of the study.
        dataset: Its training rows are sampled.
        spec: Rows and step limit.
        seed: The study's seed, which decides the sample.
        device: torch device.
    """
    sample = _sample(dataset, _rows_to_memorise(config, dataset, spec), seed)
    rates = _rates(config.optimizer.lr)
    training = PopulationTraining(
        [config.without_regularization().at_constant_rate().replace({"optimizer.lr": rate}) for rate in rates],
        replace(dataset, train=sample, validation=sample),
        order_seed=seed,
        device=device,
    )
    scale = training.loss.scales(training.train_rows.targets, training.train_rows.weights)[0]
    threshold = MEMORISED if config.loss == "hinge" else MEMORISED * scale.chance
    steps, by_rate, looks = _memorise(training, threshold, spec.max_steps)
    reached = [_first_at_most(steps, curve, threshold) for curve in by_rate]
    health = gradient_health.training(looks, scale, config, learnt=gradient_health.LEARNT_BY_HEART)
    at_first = gradient_health.untrained(looks[0], config).verdict
    memorised = any(at is not None for at in reached)
    if not memorised and not at_first.is_healthy:
        # Nothing memorised: what was wrong at the start is the cause, and what came of it a symptom.
        health = replace(health, verdict=at_first)
    lowest = [min(filter(math.isfinite, curve), default=math.inf) for curve in by_rate]
    n, needed = len(sample), f"needed {threshold:.3g}"
    if memorised:
        how = f" in {reached[0]} steps (loss {lowest[0]:.3g}, {needed})"
        if reached[0] is None:
            how = f", but {_elsewhere(by_rate, reached, rates)}"
        summary, advice = f"memorised {n} rows{how}", ""
        if not health.verdict.is_healthy:
            summary, advice = f"{summary}; gradients are {health.verdict.summary}", health.verdict.remedy
    else:
        diagnosis, advice = _diagnose(config, by_rate, rates, health.verdict)
        tried = f"{n} rows in {spec.max_steps} steps (loss {min(lowest):.3g}, {needed})"
        summary = f"could not memorise {tried}: {diagnosis}"
    return OverfitResult(
        step=Step.SMALL_SAMPLE,
        name=Step.SMALL_SAMPLE.title,
        passed=memorised,
        summary=summary,
        advice=advice,
        measured={
            "loss": lowest[0],
            "loss_best_rate": min(lowest),
            "rows": float(n),
            "steps": float(spec.max_steps if reached[0] is None else reached[0]),
        },
        expected={"loss": threshold},
        steps=steps,
        curves=tuple(zip(rates, by_rate, strict=True)),
        threshold=threshold,
        max_steps=spec.max_steps,
        health=health,
    )


def _rows_to_memorise(config: TrialConfig, dataset: Dataset, spec: OverfitSpec) -> int:
    """A linear model can fit as many rows exactly as there are features, and no more in general."""
    linear = not config.network.hidden_sizes or config.network.activation == "identity"
    return min(spec.rows, max(2, dataset.n_inputs)) if linear else spec.rows


def _rates(configured: float) -> list[float]:
    """The configured rate, then the remedies."""
    remedies = {float(f"{rate:.6g}") for rate in (*USUAL_RATES, *(configured * factor for factor in FACTORS))}
    return [configured, *sorted(remedies - {configured})]


def _sample(dataset: Dataset, wanted: int, seed: int) -> Rows:
    """Some training rows, classes taken in turn; rows with equal inputs and different targets are left out."""
    order = np.random.default_rng(derive_seed(seed, "small sample")).permutation(len(dataset.train))[:MOST_CANDIDATES]
    consistent = ~_contradicted(dataset.train.inputs[order], dataset.train.targets[order])
    # Where nearly all rows contradict each other, those are what there is to fail on.
    if consistent.sum() >= 2:
        order = order[consistent]
    if dataset.task == "classification":
        targets = dataset.train.targets[order]
        # The i-th row of each class before the (i + 1)-th of any.
        turn = np.zeros(len(targets), dtype=np.int64)
        for label in np.unique(targets):
            turn[targets == label] = np.arange((targets == label).sum())
        order = order[np.argsort(turn, kind="stable")]
    chosen, weights = order[:wanted], dataset.train.weights
    taken = None if weights is None else weights[chosen]
    return Rows(dataset.train.inputs[chosen], dataset.train.targets[chosen], taken)


def _contradicted(inputs: NDArray[np.float32], targets: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Rows whose inputs also occur with another target, ``[N]``."""
    _, group = np.unique(inputs, axis=0, return_inverse=True)
    group = group.ravel()
    pairs = np.unique(np.column_stack([group.astype(np.float64), targets.astype(np.float64)]), axis=0)
    different = np.bincount(pairs[:, 0].astype(np.int64), minlength=group.max(initial=0) + 1)
    contradicted: NDArray[np.bool_] = different[group] > 1
    return contradicted


def _memorise(
    training: PopulationTraining, threshold: float, max_steps: int
) -> tuple[tuple[int, ...], list[tuple[float, ...]], list[Health]]:
    """Train until the first member, whose rate is the config's, has memorised the rows, or the steps are spent.

    Returns:
        The steps looked at, the losses of each member at them, and the first member's health at some of them.
    """
    steps, losses, health = [0], [_losses(training)], [_health(training)]
    health_at = gradient_health.looks(max_steps)
    for step, _ in enumerate(training.steps(), start=1):
        if step % LOOK_EVERY == 0 or step >= max_steps:
            steps.append(step)
            losses.append(_losses(training))
        done = losses[-1][0] <= threshold or step >= max_steps
        if done or step in health_at:
            health.append(_health(training))
        if done:
            break
    return tuple(steps), [tuple(curve) for curve in zip(*losses, strict=True)], health


def _health(training: PopulationTraining) -> Health:
    return measure_health(training, training.train_rows)[0]


def _losses(training: PopulationTraining) -> list[float]:
    losses: list[float] = training.evaluate(training.train_rows)[0].tolist()
    return losses


def _first_at_most(steps: tuple[int, ...], curve: tuple[float, ...], threshold: float) -> int | None:
    """Steps until the loss was at most ``threshold``."""
    return next((step for step, loss in zip(steps, curve, strict=True) if loss <= threshold), None)


def _elsewhere(curves: list[tuple[float, ...]], reached: list[int | None], rates: list[float]) -> str:
    """At which rate it memorised soonest, where not at the configured one."""
    steps, rate = min((steps, rate) for steps, rate in zip(reached, rates, strict=True) if steps is not None)
    return f"at learning rate {rate:.3g} ({steps} steps), not at the configured {rates[0]:.3g} ({_shape(curves[0])})"


def _diagnose(
    config: TrialConfig, curves: list[tuple[float, ...]], rates: list[float], health: HealthVerdict
) -> tuple[str, str]:
    """What is wrong where no rate memorised, and what to do."""
    shapes = [_shape(curve) for curve in curves]
    tried = f"learning rates {min(rates):.3g} to {max(rates):.3g}"
    if all(shape == "explodes" for shape in shapes):
        return f"the loss explodes at {tried}", "lower trial.optimizer.lr by two decades or more, or scale the inputs"
    if not health.is_healthy:
        course = (
            f"stays flat at {tried}" if all(shape in ("flat", "explodes") for shape in shapes) else "stays on a plateau"
        )
        return f"the loss {course}; gradients are {health.summary}", health.remedy
    if all(shape in ("flat", "explodes") for shape in shapes):
        return (
            f"the loss stays flat at {tried}",
            "raise trial.optimizer.lr, or change the start (init: auto; relu instead of sigmoid in deep networks)",
        )
    if config.clipping.norm is not None or config.clipping.value is not None:
        return "the loss falls and then stays on a plateau; clipping may hold it there", "raise trial.clipping"
    sizes = list(config.network.hidden_sizes)
    return (
        f"the loss falls and then stays on a plateau; the network {sizes} is too small for these rows",
        "use larger hidden_sizes, or check that the labels belong to the rows",
    )


def _shape(curve: tuple[float, ...]) -> str:
    start, finite = curve[0], [loss for loss in curve if math.isfinite(loss)]
    if not finite or len(finite) < len(curve) or curve[-1] > EXPLODED * start:
        return "explodes"
    return "flat" if min(finite) > FLAT * start else "plateau"
