"""Step 1: the untrained loss beside what chance predicts, and how the activations of each hidden layer are distributed.

The loss is the question: measured, expected, and how much of what is allowed the difference takes up. The activations,
as on the lecture's slides, are where one looks for the reason.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from search_service.recorders.figures.style import COLOURS, GREY, new_figure, set_margins
from search_service.recorders.figures.trials import BROKEN
from search_service.records.checks import InitialLossResult

# Layers drawn; a deeper network shows its first and last ones.
MAX_LAYERS = 8
# A loss that takes up more than so many times what is allowed is drawn as that many.
MOST = 2.0
# Inches: of the panel of the loss, of a layer's, and between the two.
LOSS_WIDTH, LAYER_WIDTH = 3.9, 2.4


def draw(check: InitialLossResult) -> Figure:
    """The loss against chance, and a histogram per hidden layer, with mean and standard deviation."""
    layers = list(enumerate(check.activations, start=1))
    if len(layers) > MAX_LAYERS:
        layers = layers[: MAX_LAYERS // 2] + layers[-MAX_LAYERS // 2 :]
    panels = max(1, len(layers))
    figure, (loss, *axes) = new_figure(
        panels + 1, width=LOSS_WIDTH + LAYER_WIDTH * panels + 1.0, height=3.9, layout=None,
        gridspec_kw={"width_ratios": (LOSS_WIDTH, *[LAYER_WIDTH] * panels)},
    )  # fmt: skip
    set_margins(figure, left=0.3, right=0.15, top=1.0, bottom=0.65, between=0.3)
    verdict = "passed" if check.passed else "failed"
    figure.suptitle(
        f"Step 1: is the untrained loss what chance predicts?  {verdict}",
        x=0.01, ha="left", fontweight="bold", fontsize=10,
    )  # fmt: skip
    _draw_loss(loss, check)
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
        axis.tick_params(labelsize=8)
    axes[0].set_ylabel("how many (rows × units)")
    return figure


def used(check: InitialLossResult) -> Mapping[str, float]:
    """How much of what is allowed each of the two losses takes up: above 1 is too much, NaN where it is not known."""
    shares = {}
    for name, allowed in (("loss_small_last_layer", check.tolerance), ("loss_as_configured", check.band - 1.0)):
        measured, chance = check.measured[name], check.expected[name]
        off = measured - chance
        # The one may be off either way, the other only lie above.
        off = abs(off) if name == "loss_small_last_layer" else max(off, 0.0)
        room = allowed * chance
        if not math.isfinite(off):
            shares[name] = math.inf
        else:
            shares[name] = off / room if room > 0 else math.nan
    return shares


def _draw_loss(axis: Axes, check: InitialLossResult) -> None:
    """A bar for each of the two losses: its distance from chance, as a share of what is allowed."""
    for row, (name, share) in enumerate(used(check).items()):
        measured, chance = check.measured[name], check.expected[name]
        if name == "loss_small_last_layer":
            what, allowed = "last layer nearly 0", f" ± {check.tolerance * chance:.2g}"
        else:
            what, allowed = "weights as configured", f", at most {check.band * chance:.4g}"
        allowed = "" if math.isnan(share) else allowed
        is_within = not share > 1
        shown = 0.0 if math.isnan(share) else min(share, MOST)
        axis.barh([row], [shown], height=0.32, color=COLOURS[0] if is_within else BROKEN)
        axis.plot([1.0, 1.0], [row - 0.22, row + 0.22], color="black", linewidth=1.6)
        verdict = "✓" if is_within else "✗"
        text = f"{verdict} {what}: {measured:.4g}\n    expected {chance:.4g}{allowed}"
        axis.text(0.0, row - 0.24, text, fontsize=8, va="bottom")
        if share > MOST:
            axis.text(MOST, row, "▸ ", fontsize=8, va="center", ha="right", color="white")
    raised = check.measured["loss_raised_by_l2"]
    verdict = "✓" if raised > 0 else "✗"
    axis.text(0.0, 1.72, f"{verdict} L2 raises the loss by {raised:.3g} (needed: more than 0)", fontsize=8, va="center")
    axis.set_title("untrained loss", fontsize=9)
    axis.set_xlim(0, MOST)
    axis.set_ylim(2.0, -0.85)
    axis.set_yticks([])
    axis.grid(visible=False)
    axis.spines["left"].set_visible(False)
    axis.set_xticks([0, 0.5, 1.0, 1.5, 2.0], ["0%", "50%", "100%", "150%", "more"])
    axis.tick_params(labelsize=8)
    axis.set_xlabel("distance from chance, share of what is allowed", fontsize=9)
