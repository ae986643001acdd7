"""Gradient health over training: how much of the gradient reaches each layer, and how far each step moves it.

The bounds of the verdicts are drawn where they are on the picture and written where they are not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from search_service.recorders.figures.style import (
    COLOURS,
    DASHES,
    GREY,
    SCORES,
    new_figure,
    plain_ticks,
    set_margins,
)
from search_service.records.readings import (
    DEAD_IN_TRAINING,
    SATURATED_IN_TRAINING,
    VANISHED,
    HealthReading,
    exploding_beyond,
)
from trainables.records import Health, LayerHealth

# Layers up to this number have a colour each and are named in the legend; more are told apart by a colour bar.
MAX_NAMED = 7
# Names of layers in a line of the legend.
PER_LINE = 5


def draw(reading: HealthReading, title: str) -> Figure:
    """What of the gradient comes back to each layer, its norm, and the update-to-weight ratio, against steps.

    Args:
        reading: The looks and the verdict on them.
        title: Says whose gradients these are.
    """
    history = reading.history
    n_layers = len(history[0].layers)
    # What reaches a layer is told as a share of what reaches the last hidden one: it takes two of them.
    signals = bool(history[0].layers[2:])
    figure, axes = new_figure(2 + signals, width=10.0 + 3.5 * signals, height=4.4, layout=None)
    set_margins(figure, left=0.95, right=0.2, top=0.65, bottom=1.15, between=0.28)
    figure.suptitle(f"{title}: {reading.verdict.name}", fontweight="bold", fontsize=10, x=0.01, ha="left")
    colours = ScalarMappable(Normalize(1, max(2, n_layers)), SCORES)
    norms, updates = axes[:2]
    _lines(norms, history, range(n_layers), colours, lambda _, layer: layer.gradient_norm)
    _lines(updates, history, range(n_layers), colours, lambda _, layer: layer.update_ratio)
    whole = [look.gradient_norm if math.isfinite(look.gradient_norm) else math.nan for look in history]
    norms.plot(
        [look.step for look in history], [norm if norm > 0 else math.nan for norm in whole], color="black",
        linestyle=DASHES[2], linewidth=1.4, label="all layers",
    )  # fmt: skip
    norms.set(xlabel="step", ylabel="gradient norm of the weights")
    updates.set(xlabel="step", ylabel="norm of the step / norm of the weights")
    _bound(norms, exploding_beyond(history[0]), "exploding: all layers beyond {}")
    _bound(updates, 1e-3, "about {} is usual, until a schedule lowers the rate", colour=GREY)
    if signals:
        _lines(axes[2], history, range(n_layers - 2), colours, _share_of_signal)
        axes[2].set(xlabel="step", ylabel="gradient that reaches the layer,\nshare of the last hidden layer's")
        _bound(axes[2], VANISHED, "vanishing: layer 1 at or below {}")
    for axis in axes:
        _finish(axis, history[-1].step)
    if n_layers <= MAX_NAMED:
        figure.legend(*norms.get_legend_handles_labels(), loc="lower left", ncols=PER_LINE, fontsize=8, frameon=False)
    else:
        figure.colorbar(colours, ax=axes[-1], label="layer")
    figure.text(0.99, 0.02, _shares(history[-1]), ha="right", va="bottom", fontsize=8, color=GREY)
    return figure


def _share_of_signal(look: Health, layer: LayerHealth) -> float:
    reference = look.layers[-2].signal
    return layer.signal / reference if reference > 0 else math.nan


def _shares(last: Health) -> str:
    """The bounds that are no line: shares of units at the last look."""
    hidden = last.layers[:-1]
    dead, saturated = (max((getattr(layer, name) for layer in hidden), default=0.0) for name in ("dead", "saturated"))
    return (
        f"at the end, in the worst layer: {dead:.0%} of the units dead (bound {DEAD_IN_TRAINING:.0%}),\n"
        f"{saturated:.0%} of the activations saturated (bound {SATURATED_IN_TRAINING:.0%}); judged if it does not learn"
    )


def _bound(axis: Axes, bound: float, text: str, *, colour: str = "black") -> None:
    """A line at a bound, if the axis reaches to within a decade of it; its words in any case."""
    low, high = axis.get_ylim()
    told = text.format(f"{bound:,.0f}" if bound >= 10 else f"{bound:g}")
    if not low / 10 <= bound <= high * 10:
        axis.set_title(told, fontsize=8, loc="right", color=colour)
        return
    axis.set_ylim(min(low, bound / 1.5), max(high, bound * 1.5))
    axis.axhline(bound, color=colour, linestyle=":", linewidth=1.2)
    axis.annotate(
        told, (1.0, bound), xycoords=("axes fraction", "data"), xytext=(-2, 3), textcoords="offset points",
        ha="right", color=colour, fontsize=8,
    )  # fmt: skip


def _lines(
    axis: Axes,
    history: Sequence[Health],
    layers: Sequence[int],
    colours: ScalarMappable,
    number: Callable[[Health, LayerHealth], float],
) -> None:
    """A line per layer; what is 0 or not finite has no place on a log axis and leaves a gap."""
    steps, n_layers = [look.step for look in history], len(history[0].layers)
    for layer in layers:
        values = [number(look, look.layers[layer]) for look in history]
        shown = [value if math.isfinite(value) and value > 0 else math.nan for value in values]
        label = "outputs" if layer == n_layers - 1 else f"layer {layer + 1}"
        colour = COLOURS[layer] if n_layers <= MAX_NAMED else colours.to_rgba(np.array(layer + 1))
        axis.plot(steps, shown, color=colour, marker="o", markersize=3, label=label)
    axis.set_yscale("log")


def _finish(axis: Axes, last: int) -> None:
    """Looks are close at first and far apart later. Left of 0 and right of the last there is room for a marker."""
    axis.set_xscale("symlog", linthresh=1)
    axis.set_xlim(-0.2, 1.25 * max(last, 1))
    decades = [10**n for n in range(len(str(max(last, 1))))]
    axis.set_xticks([0, *decades], [f"{tick:,}" for tick in (0, *decades)])
    axis.minorticks_off()
    plain_ticks(axis.yaxis, *axis.get_ylim())
