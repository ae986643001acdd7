"""Step 1: how the activations of each hidden layer are distributed before training, as on the lecture's slides."""

from __future__ import annotations

from matplotlib.figure import Figure

from search_service.recorders.figures.style import COLOURS, GREY, new_figure
from search_service.records.checks import InitialLossResult

# Layers drawn; a deeper network shows its first and last ones.
MAX_LAYERS = 8


def draw(check: InitialLossResult) -> Figure:
    """A histogram per hidden layer, with mean and standard deviation."""
    layers = list(enumerate(check.activations, start=1))
    if len(layers) > MAX_LAYERS:
        layers = layers[: MAX_LAYERS // 2] + layers[-MAX_LAYERS // 2 :]
    figure, axes = new_figure(max(1, len(layers)), width=max(6.0, 2.6 * len(layers)), height=3.6)
    figure.suptitle("Step 1: activations of the untrained network", fontweight="bold")
    if not layers:
        axes[0].text(0.5, 0.5, "a linear model has no hidden layers", ha="center", va="center", color=GREY)
        axes[0].set_axis_off()
    for axis, (number, layer) in zip(axes, layers, strict=False):
        widths = [b - a for a, b in zip(layer.edges, layer.edges[1:], strict=False)]
        axis.bar(layer.edges[:-1], layer.counts, widths, align="edge", color=COLOURS[0])
        notes = [f"mean {layer.mean:.2f}, std {layer.std:.2f}"]
        notes += [f"dead units {layer.dead:.0%}"] if layer.dead else []
        notes += [f"saturated {layer.saturated:.0%}"] if layer.saturated else []
        axis.set_title(f"layer {number}\n" + "\n".join(notes), fontsize=9)
        axis.set_xlabel("activation")
        # ReLU puts half of everything into one bar; a log axis shows the rest.
        axis.set_yscale("symlog", linthresh=10)
    axes[0].set_ylabel("activations")
    return figure
