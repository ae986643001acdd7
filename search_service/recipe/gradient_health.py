"""How activations and gradients fare on their way through the layers, as a verdict with its remedy.

Why: a deep network that does not learn shows the reason in its layers, long before its score does: the gradient dies
out on its way back, or grows with every layer; the nonlinearity is flat nearly everywhere; units have died.
The untrained network is judged in step 1, the one that memorises in step 2, and the finalists while they train.

The rule, for the hidden layers 1 … L and the ``signal`` that reaches each of them (``trainables.records.LayerHealth``):

- saturated: in some layer more than half of the activations (while training: 90 %) are where the slope is nearly 0.
- exploding: something is not finite; or signal 1 is more than 100 × signal L before training; or while training the
  gradient's norm exceeds 1 000 × what it was at the start, or 1 000, whichever is more.
- dead: in some layer more than half of the units (while training: 80 %) are 0 for every row.
- vanishing: signal 1 is below 1 % of signal L.
- healthy: none of these. The first that holds is named; while training, exploding comes first.

While training, all but exploding are judged at the last look, and only if the network is not learning: a network that
has learnt its rows has little gradient left, and its units may well saturate or rest. Not learning means a loss above
5 % of chance for one that memorises a few rows, and above 75 % for one that trains on a table, where noise may be most
of the loss. (Losses count from the least that there can be, which label smoothing lifts above 0.)
Source: the lecture on activations and initial weights; Glorot and Bengio 2010; Pascanu et al. 2013.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from search_service.records.readings import (
    DEAD_IN_TRAINING,
    SATURATED_IN_TRAINING,
    VANISHED,
    HealthName,
    HealthReading,
    HealthVerdict,
    exploding_beyond,
)
from trainables.activations import ACTIVATIONS
from trainables.config import TrialConfig
from trainables.losses import ChanceScale
from trainables.records import Health, LayerHealth

# Rows measured on: shares of units and activations are then exact to about 1 %.
MAX_ROWS = 1_000
# Healthy networks of up to 20 layers start between 0.1 and 7; sigmoids lose a factor of 4 a layer, so that five of
# them are below the bound and three above.
# (VANISHED, in records/readings.py, where the other bounds of a network in training are.)
EXPLODED = 100.0
# While training (EXPLODED_IN_TRAINING), healthy networks reach 160 × the norm at the start while they learn to fit.
# Small tables at high rates end with 60 to 75 % dead units and the same loss as at low ones (DEAD_IN_TRAINING).
DEAD, SATURATED = 0.5, 0.5
# Share of chance below which a network learns: on a few rows that it should know by heart, and on a table.
LEARNT_BY_HEART, LEARNT = 0.05, 0.75


def untrained(health: Health, config: TrialConfig) -> HealthReading:
    """Judge a network before its first step.

    Args:
        health: At step 0.
        config: The network's configuration; it says which remedies are left.
    """
    hidden = health.layers[:-1]
    far = [i for i, layer in _numbered(hidden) if layer.signal > EXPLODED * hidden[-1].signal or not _finite(layer)]
    found = (
        # First: with weights that drive tanh flat the gradient may grow too, but that is not what is wrong.
        _saturated(hidden, SATURATED, config)
        or _verdict("exploding", far, f"the gradient grows {_ratio(hidden):.3g}-fold on its way back", config)
        or _dead(hidden, DEAD, config)
        or _vanishing(hidden, config)
    )
    return HealthReading(found or HEALTHY, (health,))


def training(
    history: Sequence[Health], scale: ChanceScale, config: TrialConfig, *, learnt: float = LEARNT
) -> HealthReading:
    """Judge a network by what was seen while it trained.

    Args:
        history: Looks in the order of their steps, the first of them before training.
        scale: What the losses are read by.
        config: The network's configuration; it says which remedies are left.
        learnt: Share of chance below which the network learns.
    """
    last = history[-1]
    found = _exploding(history, config)
    if found is None and scale.share(last.loss) > learnt:
        hidden = last.layers[:-1]
        found = (
            _dead(hidden, DEAD_IN_TRAINING, config)
            or _saturated(hidden, SATURATED_IN_TRAINING, config)
            or _vanishing(hidden, config)
        )
    return HealthReading(found or HEALTHY, tuple(history))


def looks(last: int) -> set[int]:
    """Steps (or epochs) at which to look, up to ``last``: 0, 1, 2, 5, 10, 20, 50, … and the last one."""
    decades = range(len(str(last)))
    return {0, last} | {s * 10**d for d in decades for s in (1, 2, 5) if s * 10**d <= last}


HEALTHY = HealthVerdict("healthy", (), "gradients and activations are healthy in all layers", "")


def _numbered(hidden: Sequence[LayerHealth]) -> list[tuple[int, LayerHealth]]:
    return list(enumerate(hidden, start=1))


def _finite(layer: LayerHealth) -> bool:
    return all(map(math.isfinite, (layer.mean, layer.std, layer.signal, layer.gradient_norm)))


def _ratio(hidden: Sequence[LayerHealth]) -> float:
    """Signal of the first over that of the last hidden layer; 1 if there is only one."""
    if not hidden or not hidden[-1].signal:
        return math.nan
    return hidden[0].signal / hidden[-1].signal


def _exploding(history: Sequence[Health], config: TrialConfig) -> HealthVerdict | None:
    bound = exploding_beyond(history[0])
    for look in history:
        broken = [i for i, layer in _numbered(look.layers) if not _finite(layer)]
        if broken:
            return _verdict("exploding", broken, f"activations or gradients are not finite at step {look.step}", config)
        if look.gradient_norm > bound:
            large = [i for i, layer in _numbered(look.layers) if layer.gradient_norm > bound / len(look.layers)]
            return _verdict(
                "exploding", large, f"the gradient's norm is {look.gradient_norm:.3g} at step {look.step}", config
            )
    return None


def _dead(hidden: Sequence[LayerHealth], bound: float, config: TrialConfig) -> HealthVerdict | None:
    layers = [i for i, layer in _numbered(hidden) if layer.dead > bound]
    worst = max((layer.dead for layer in hidden), default=0.0)
    return _verdict("dead", layers, f"up to {worst:.0%} of a layer's units are 0 for every row", config)


def _saturated(hidden: Sequence[LayerHealth], bound: float, config: TrialConfig) -> HealthVerdict | None:
    layers = [i for i, layer in _numbered(hidden) if layer.saturated > bound]
    worst = max((layer.saturated for layer in hidden), default=0.0)
    what = f"up to {worst:.0%} of a layer's activations are where {config.network.activation} is flat"
    return _verdict("saturated", layers, what, config)


def _vanishing(hidden: Sequence[LayerHealth], config: TrialConfig) -> HealthVerdict | None:
    if not hidden:
        return None
    reference = hidden[-1].signal
    layers = [i for i, layer in _numbered(hidden) if layer.signal <= VANISHED * reference]
    what = f"the gradient that reaches layer 1 is {_ratio(hidden):.2g} of that at layer {len(hidden)}"
    if not reference:
        what = "no gradient reaches the hidden layers"
    return _verdict("vanishing", layers, what, config)


# Remedies by verdict: (what to set, whether it is still to be set in a config).
Remedy = tuple[str, Callable[[TrialConfig], bool]]
_INIT: Remedy = ("trial.network.init: auto", lambda c: c.network.init != "auto")
_BATCH_NORM: Remedy = (
    "trial.network.normalization: batch_norm",
    lambda c: c.network.normalization == "none" and c.batch_size != 1,
)
_RELU: Remedy = (
    "trial.network.activation: relu or another that does not saturate",
    lambda c: ACTIVATIONS[c.network.activation].flat_outside is not None,
)
_LEAKY: Remedy = (
    "trial.network.activation: leaky_relu or elu",
    lambda c: ACTIVATIONS[c.network.activation].can_die,
)
_CLIP: Remedy = ("trial.clipping.norm: 1.0", lambda c: c.clipping.norm is None and c.clipping.value is None)
_RATE: Remedy = ("a smaller trial.optimizer.lr", lambda c: True)
_SHALLOWER: Remedy = ("fewer layers", lambda c: len(c.network.hidden_sizes) > 2)
_SCALE: Remedy = ("data.preparation.numeric: auto, if the inputs are large", lambda c: True)
# Where everything else is as it should be.
_LAST_RESORT = "another trial.network.activation, or fewer layers"
_REMEDIES: dict[HealthName, tuple[Remedy, ...]] = {
    "vanishing": (_RELU, _INIT, _BATCH_NORM, _SHALLOWER),
    "exploding": (_INIT, _CLIP, _RATE, _BATCH_NORM),
    "saturated": (_INIT, _RELU, _BATCH_NORM, _RATE, _SCALE),
    "dead": (_INIT, _LEAKY, _RATE, _BATCH_NORM),
}


def _verdict(name: HealthName, layers: Sequence[int], what: str, config: TrialConfig) -> HealthVerdict | None:
    """The verdict on ``layers``, with the remedies that the config has not taken yet; None if there are no layers."""
    if not layers:
        return None
    remedies = [remedy for remedy, is_left in _REMEDIES[name] if is_left(config)] or [_LAST_RESORT]
    return HealthVerdict(name, tuple(layers), f"{name} in {layers_named(layers)}: {what}", "try " + "; ".join(remedies))


def layers_named(layers: Sequence[int]) -> str:
    """Layers by their numbers, in words.

    >>> layers_named([2]), layers_named([1, 2, 3]), layers_named([1, 2]), layers_named([1, 2, 4])
    ('layer 2', 'layers 1 to 3', 'layers 1 and 2', 'layers 1, 2 and 4')
    """
    if len(layers) == 1:
        return f"layer {layers[0]}"
    if len(layers) > 2 and layers[-1] - layers[0] == len(layers) - 1:
        return f"layers {layers[0]} to {layers[-1]}"
    return f"layers {', '.join(map(str, layers[:-1]))} and {layers[-1]}"
