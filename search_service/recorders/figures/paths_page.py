"""One HTML file in which the paths of the optimisers can be played: no network, no other files, nothing to install.

``paths.html`` beside this module is the page; what it shows is put into it as JSON, once. The page's own content
security policy forbids it to load anything.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from search_service.records.comparison_results import ComparisonResult, LossSlice, PathOnSlice
from search_service.report.documents import finite
from search_service.report.page.render import for_script
from trainables.choices import OptimizerName

# Digits of a coordinate or a loss: finer than a pixel of any screen, and a third of the file's size.
DIGITS = 5


def render(result: ComparisonResult, slice_: LossSlice, colours: Mapping[OptimizerName, str]) -> str:
    """The whole page.

    Args:
        result: The comparison; every optimiser with a path has a config.
        slice_: Its slice.
        colours: ``#RRGGBB`` of each optimiser.
    """
    page = files(__package__).joinpath("paths.html").read_text(encoding="utf-8")
    title = html.escape(f"{result.data.source}: paths of the optimisers")
    data = for_script(_data(result, slice_, colours))
    # The data first: the title's place comes before them, so that neither is looked for in what the other says.
    return page.replace("{{data}}", data, 1).replace("{{title}}", title, 1)


def _data(result: ComparisonResult, slice_: LossSlice, colours: Mapping[OptimizerName, str]) -> dict[str, Any]:
    rates = {o.name: o.config.optimizer.lr for o in result.outcomes if o.config is not None}
    data: dict[str, Any] = finite(
        {
            "source": result.data.source,
            "x": [_rounded(x) for x in slice_.x],
            "y": [_rounded(y) for y in slice_.y],
            "losses": [[_rounded(loss) for loss in row] for row in slice_.losses],
            "steps": list(slice_.steps),
            "stepsPerEpoch": slice_.steps_per_epoch,
            "explained": list(slice_.explained),
            "rows": slice_.rows,
            "paths": [_path(path, rates[path.name], colours[path.name]) for path in slice_.paths],
        }
    )
    return data


def _path(path: PathOnSlice, rate: float, colour: str) -> dict[str, Any]:
    return {
        "name": path.name,
        "rate": rate,
        "colour": colour,
        "x": [_rounded(x) for x, _ in path.points],
        "y": [_rounded(y) for _, y in path.points],
        "losses": [_rounded(loss) for loss in path.losses],
        "explained": path.explained,
        "diverged": path.diverged,
    }


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else value
