"""Which columns of its table a network goes by: how much worse its score is when one of them says nothing.

The values of one column are shuffled among the rows, so that each row has some other row's: the column is what it was,
and has nothing to do with the target or the other columns any more. What is judged are networks that are trained
already, on rows that they have not learnt from. Columns that say the same stand in for each other: neither is missed.
Axes: K networks, R times that a column is shuffled, N rows, D inputs.
Source: Breiman 2001, "Random forests", section 10; scikit-learn's ``permutation_importance``.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from trainables.metrics import METRICS, MetricName
from trainables.records import ColumnImportance, ColumnImportances
from trainables.row_tensors import RowTensors
from trainables.seeds import derive_seed
from trainables.target_scaling import UNSCALED, TargetScaling
from trainables.threshold import scores_at
from trainables.training import PopulationTraining

# Rows, and times that a column is shuffled: more where rows are fewer, so that as many shuffled rows speak.
MOST_ROWS, SHUFFLED_ROWS = 2_000, 6_000
FEWEST_REPEATS, MOST_REPEATS = 3, 10
# Fewer rows say more about themselves than about the column.
FEWEST_ROWS = 200
# Multiplications of all networks together, about two seconds of one core at 25 000 million a second.
WORK = 50_000_000_000
# Scoring alone costs a millisecond and more a time, and of so many columns hardly one is missed.
MOST_COLUMNS = 300


@dataclass(frozen=True)
class _Judge:
    """Scores networks on rows whose inputs are changed."""

    training: PopulationTraining
    rows: RowTensors
    metric: MetricName
    scaling: TargetScaling
    shift: float

    def scores(self, inputs: Tensor) -> Tensor:
        """Of each network, ``[K]``, the larger the better."""
        sign = 1.0 if METRICS[self.metric].mode == "max" else -1.0
        outputs = self.training.outputs(inputs)
        scores = scores_at(outputs, self.rows, [self.metric], scaling=self.scaling, shift=self.shift)
        return sign * scores[self.metric].double()

    def missed(self, name: str, places: Sequence[int], own: Tensor, repeats: int) -> ColumnImportance:
        """How much worse than ``own`` scores are without a column, whose inputs are at ``places``."""
        inputs, worse = self.rows.inputs, []
        for repeat in range(repeats):
            # By the column's name: which other columns there are changes nothing.
            generator = torch.Generator().manual_seed(derive_seed(repeat, name))
            order = torch.randperm(len(inputs), generator=generator).to(inputs.device)
            shuffled = inputs.clone()
            shuffled[:, places] = inputs[order][:, places]
            worse.append(own - self.scores(shuffled))
        every = torch.stack(worse)  # (R, K)
        return ColumnImportance(name, every.mean().item(), every.std().item())


def importances(
    training: PopulationTraining,
    rows: RowTensors,
    sources: Sequence[str],
    metric: MetricName,
    *,
    scaling: TargetScaling = UNSCALED,
    shift: float = 0.0,
) -> ColumnImportances:
    """Weigh the columns.

    Args:
        training: K networks of one configuration, trained.
        rows: Rows that they have not learnt from.
        sources: Of each of the D inputs the column that it was made of.
        metric: The score.
        scaling: Of a regression target, for scores in its own units.
        shift: The log-odds above which the second of two classes is named.
    """
    places: dict[str, list[int]] = {}
    for place, source in enumerate(sources):
        places.setdefault(source, []).append(place)
    if len(places) > MOST_COLUMNS:
        return ColumnImportances(metric, reason=f"of {len(places)} columns hardly one is missed by itself")
    of_a_row = training.size * sum(a * b for a, b in itertools.pairwise(training.network.layer_sizes))
    # Rows times repeats.
    affordable = WORK // (of_a_row * len(places))
    if affordable < FEWEST_REPEATS * min(FEWEST_ROWS, len(rows)):
        return ColumnImportances(metric, reason=f"{len(places)} columns and networks of this size would take too long")
    rows = rows.spread(min(MOST_ROWS, affordable // FEWEST_REPEATS))
    repeats = min(MOST_REPEATS, max(FEWEST_REPEATS, min(SHUFFLED_ROWS, affordable) // len(rows)))
    judge = _Judge(training, rows, metric, scaling, shift)
    own = judge.scores(rows.inputs)
    found = [judge.missed(name, own_places, own, repeats) for name, own_places in places.items()]
    # Of equals in the order of the table.
    found.sort(key=lambda column: -column.worse)
    return ColumnImportances(metric, tuple(found), rows=len(rows), networks=training.size, repeats=repeats)
