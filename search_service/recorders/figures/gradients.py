"""Gradient health over training: how much of the gradient reaches each layer, and how far each step moves it."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from search_service.recorders.figures.style import GREY, new_figure
from search_service.records.readings import HealthReading
from trainables.records import LayerHealth

# Layers up to this number are named in the legend; more are told apart by a colour bar.
MAX_NAMED = 8


def draw(reading: HealthReading, title: str) -> Figure:
    """Gradient norm, and update-to-weight ratio, of each layer against steps.

    Args:
        reading: The looks and the verdict on them.
        title: Says whose gradients these are.
    """
    figure, (norms, updates) = new_figure(2, width=10.0)
    figure.suptitle(f"{title}: {reading.verdict.name}", fontweight="bold", fontsize=10, x=0.01, ha="left")
    n_layers = len(reading.history[0].layers)
    # The bright end of the map cannot be seen on white.
    colours = ScalarMappable(Normalize(1, 1.25 * max(2, n_layers)), "viridis")
    _lines(norms, reading, colours, lambda layer: layer.gradient_norm)
    _lines(updates, reading, colours, lambda layer: layer.update_ratio)
    norms.set(xlabel="step", ylabel="gradient norm of the layer's weights")
    updates.set(xlabel="step", ylabel="norm of the step / norm of the weights")
    updates.axhline(1e-3, color=GREY, linestyle=":", linewidth=1.2)
    updates.annotate(
        "usual", (0.0, 1e-3), xycoords=("axes fraction", "data"), xytext=(4, 3), textcoords="offset points",
        color=GREY, fontsize=8,
    )  # fmt: skip
    if n_layers <= MAX_NAMED:
        norms.legend(fontsize=8, frameon=False)
    else:
        figure.colorbar(colours, ax=updates, label="layer")
    return figure


def _lines(axis: Axes, reading: HealthReading, colours: ScalarMappable, number: Callable[[LayerHealth], float]) -> None:
    """A line per layer; what is 0 or not finite has no place on a log axis and leaves a gap."""
    steps = [look.step for look in reading.history]
    last = len(reading.history[0].layers)
    for layer in range(last):
        values = [number(look.layers[layer]) for look in reading.history]
        shown = [value if math.isfinite(value) and value > 0 else math.nan for value in values]
        label = "outputs" if layer == last - 1 else f"layer {layer + 1}"
        axis.plot(steps, shown, color=colours.to_rgba(np.array(layer + 1)), marker="o", markersize=3, label=label)
    axis.set_yscale("log")
    # Looks are close at first and far apart later. Left of 0 there is room for half a marker.
    axis.set_xscale("symlog", linthresh=1)
    axis.set_xlim(left=-0.2)
    axis.set_xticks([step for step in axis.get_xticks() if step >= 0])
