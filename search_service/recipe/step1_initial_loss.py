"""Step 1: with regularisation off, is the untrained loss what chance predicts?

Why: a wrong loss, mixed-up labels or badly scaled inputs show before anything is trained, in a second.
It is measured twice. With the last layer's weights scaled by 0.001 the outputs are nearly 0, so the loss must equal
chance within 1 %: that tests loss, labels and plumbing. With the weights as configured it may be higher (Kaiming
outputs of variance v cost about v/2 in cross-entropy), which is judged with a wide band.
Passes when both hold, when switching L2 on raises the loss, and when the units of each hidden layer get different
gradients (zero weights never learn). Where gradients vanish, explode or meet flat or dead units, it passes and says so:
whether that keeps the network from learning is the next step's question.
Source: the lecture's step 1, "check initial loss"; Glorot and Bengio 2010 on symmetry.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from search_service.recipe import gradient_health
from search_service.records.checks import InitialLossResult
from search_service.records.readings import HealthVerdict
from search_service.records.steps import Step
from search_service.spec.sections import InitialLossSpec
from trainables.config import TrialConfig
from trainables.data.dataset import Dataset
from trainables.initialization import resolve
from trainables.measurements import layer_activations, layer_gradients, measure_health
from trainables.records import LayerActivations, LayerGradients
from trainables.training import PopulationTraining

# Rows measured on, spread over the table: the mean over 2 000 rows is within a few per cent of that over any number.
MAX_ROWS = 2_000
# Factor on the last layer that makes the outputs nearly 0. Hinge moves in proportion to the outputs (cross-entropy
# with their square), so that 0.01 leaves a healthy small network up to 1 % off, and 0.001 a tenth of that.
TIGHT_SCALE = 0.001
# Any L2 raises the loss of a network whose weights are not 0; the value only has to be visible in float32.
L2_PROBE = 0.01
# Gradients of units that differ by less than this share of their norm are the same up to rounding in float32.
SAME_GRADIENT = 1e-5
# Standardised features have a root mean square of 1; ten times that is another unit, not another sample.
LARGE_INPUTS = 10.0


def run(config: TrialConfig, dataset: Dataset, spec: InitialLossSpec) -> InitialLossResult:
    """Measure the untrained loss.

    Args:
        config: The trial of the study.
        dataset: Its training rows are used.
        spec: Tolerances.
    """
    as_configured = config.without_regularization().at_constant_rate()
    tight = as_configured.replace({"network.output_scale": TIGHT_SCALE})
    with_l2 = as_configured.replace({"regularization.l2": L2_PROBE})
    training = PopulationTraining([tight, as_configured, with_l2], dataset, order_seed=0)
    rows = training.train_rows.spread(MAX_ROWS)

    tight_loss, configured_loss, _ = training.loss_as_trained(rows).tolist()
    l2_raise = training.penalty()[2].item()
    chance = training.loss.chance(rows.targets, rows.weights)[0]
    activations = layer_activations(training, rows.inputs, member=1)
    gradients = layer_gradients(training, rows, member=1)
    health = gradient_health.untrained(measure_health(training, rows)[1], config)
    frequencies = training.loss.frequency_baseline(rows.targets, rows.weights)
    inputs_rms = rows.inputs.square().mean().sqrt().item()

    start = _bad_start(activations, health.verdict)
    diagnosis = (
        _symmetry(gradients, config, l2_raise)
        or _off_chance(tight_loss, chance, spec, inputs_rms, start)
        or _too_high(configured_loss, chance, spec, inputs_rms, start)
        or _deaf_to_l2(l2_raise)
    )
    measured_as = f"untrained loss {tight_loss:.3f}, chance predicts {training.loss.chance_formula} = {chance:.3f}"
    if math.isfinite(configured_loss):
        init = f"; {resolve(config.network)} initial weights" + (" by auto" if config.network.init == "auto" else "")
        measured_as += f" ({configured_loss:.3f} with the weights as configured{init})"
    if not diagnosis and not health.verdict.is_healthy:
        measured_as += f"; gradients are {health.verdict.summary}"
    return InitialLossResult(
        step=Step.INITIAL_LOSS,
        name=Step.INITIAL_LOSS.title,
        passed=not diagnosis,
        summary=measured_as if not diagnosis else f"{measured_as}: {diagnosis[0]}",
        advice=diagnosis[1] if diagnosis else health.verdict.remedy,
        measured={
            "loss_small_last_layer": tight_loss,
            "loss_as_configured": configured_loss,
            "loss_raised_by_l2": l2_raise,
            "inputs_rms": inputs_rms,
            **({"loss_of_class_frequencies": frequencies} if frequencies is not None else {}),
        },
        expected={"loss_small_last_layer": chance, "loss_as_configured": chance},
        activations=tuple(activations),
        gradients=tuple(gradients),
        tolerance=spec.tolerance,
        band=spec.band,
        health=health,
    )


# A diagnosis is (what is wrong, what to do), or None.
Diagnosis = tuple[str, str] | None


def _symmetry(gradients: Sequence[LayerGradients], config: TrialConfig, l2_raise: float) -> Diagnosis:
    hidden = list(zip(config.network.hidden_sizes, gradients, strict=False))
    alike = [i for i, (units, g) in enumerate(hidden, start=1) if units > 1 and g.unit_spread < SAME_GRADIENT]
    # Layers in which nothing differs, in a network whose gradients are finite: it will never tell units apart.
    if not alike or len(alike) < len(hidden) or not all(math.isfinite(g.norm) for g in gradients):
        return None
    if l2_raise > 0 and not any(g.norm for _, g in hidden):
        return None  # The weights differ, but no gradient reaches them: that is for the verdict on gradients to say.
    return (
        f"all units of hidden {gradient_health.layers_named(alike)} get the same gradient, so they can never become "
        "different; "
        f"the initial weights are zero or equal (init: {config.network.init})",
        "set trial.network.init: auto (kaiming for relu, xavier for tanh and sigmoid)",
    )


def _bad_start(activations: Sequence[LayerActivations], verdict: HealthVerdict) -> Diagnosis:
    """What the hidden layers say about the initial weights, if anything."""
    advice = "set trial.network.init: auto, lower trial.network.init_std, or normalise (normalization: batch_norm)"
    last = activations[-1].std if activations else 0.0
    if not last <= LARGE_INPUTS:  # or not a number
        return f"the activations grow to a standard deviation of {last:.3g}: the initial weights are too large", advice
    return None if verdict.is_healthy else (f"gradients are {verdict.summary}", verdict.remedy)


def _off_chance(loss: float, chance: float, spec: InitialLossSpec, inputs_rms: float, start: Diagnosis) -> Diagnosis:
    if math.isfinite(loss) and abs(loss - chance) <= spec.tolerance * chance:
        return None
    by = "not finite" if not math.isfinite(loss) else f"{abs(loss - chance) / chance:.1%} off"
    if math.isfinite(loss) and loss > 2 * chance:
        by = f"{loss / chance:.3g} × chance"
    if inputs_rms > LARGE_INPUTS:
        return (
            f"{by}; the inputs are large (root mean square {inputs_rms:.3g}, about 1 is healthy)",
            "set data.preparation.numeric: auto, or scale the features before the study",
        )
    if start is not None:
        return f"{by}; {start[0]}", start[1]
    return (
        f"{by} although the last layer is nearly zero",
        "check that trial.loss fits the target, and that the target column holds the labels",
    )


def _too_high(loss: float, chance: float, spec: InitialLossSpec, inputs_rms: float, start: Diagnosis) -> Diagnosis:
    if loss <= spec.band * chance:
        return None
    if inputs_rms > LARGE_INPUTS:
        return (
            f"far above chance; the inputs are large (root mean square {inputs_rms:.3g}, about 1 is healthy)",
            "set data.preparation.numeric: auto, or scale the features before the study",
        )
    if start is not None:
        return f"far above chance; {start[0]}", start[1]
    return (
        f"with the weights as configured it is more than {spec.band:g} × chance: the last layer starts too large",
        "lower trial.network.output_scale (0.1 is the default), or use init: auto",
    )


def _deaf_to_l2(raised_by: float) -> Diagnosis:
    if raised_by > 0:
        return None
    return (
        f"switching L2 on ({L2_PROBE}) does not raise the loss: all weights are zero",
        "set trial.network.init: auto",
    )
