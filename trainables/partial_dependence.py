"""What a network says when a column has this value or that, all other columns as they are: partial dependence.

Of a column's values each is given to all rows, one value after the other, and what the networks then say is averaged
over the rows: a number in the target's own units, or each class's probability. It is what the networks have learnt, not
what would happen: where columns go together, some of the rows asked about do not exist.
Axes: K networks, G values, N rows, D inputs, C classes.
Source: Friedman 2001, "Greedy function approximation", section 8.2; scikit-learn's ``partial_dependence``, brute force.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from trainables.data.dataset import Dataset
from trainables.data.grids import Grid
from trainables.records import PartialDependence
from trainables.row_tensors import RowTensors
from trainables.scores import predicted_classes, probabilities
from trainables.training import PopulationTraining

# Rows that are averaged over: as many as tell a mean to a thirtieth of the spread.
MOST_ROWS = 1_000
# Columns, the most important first, and classes of a column: more lines than these nobody reads.
MOST_COLUMNS, MOST_CLASSES = 6, 5
# Multiplications of all networks together, about two seconds of one core at 25 000 million a second.
WORK = 50_000_000_000
# Fewer rows say more about themselves than about the column.
FEWEST_ROWS = 100


def partial_dependences(
    training: PopulationTraining,
    rows: RowTensors,
    dataset: Dataset,
    grids: Mapping[str, Grid],
    columns: Sequence[str],
) -> tuple[PartialDependence, ...]:
    """What the networks say at the values of some columns.

    Args:
        training: K networks of one configuration, trained.
        rows: Rows that they have not learnt from.
        dataset: Whose rows they are.
        grids: Of columns, the values that are asked about.
        columns: Names, the most important first; of those without a grid nothing is said.

    Returns:
        At most ``MOST_COLUMNS``; none where networks are too large for it.
    """
    asked = [(name, grids[name]) for name in columns if name in grids][:MOST_COLUMNS]
    of_a_row = training.size * sum(a * b for a, b in itertools.pairwise(training.network.layer_sizes))
    affordable = WORK // max(1, of_a_row * sum(len(grid.values) for _, grid in asked))
    if not asked or affordable < min(FEWEST_ROWS, len(rows)):
        return ()
    rows = rows.spread(min(MOST_ROWS, affordable))
    every = {name: _every(training, rows, dataset, name, grid) for name, grid in asked}
    # Whoever has diverged says nothing anywhere.
    finite = torch.stack([said.isfinite().all(dim=2).all(dim=0) for said in every.values()]).all(dim=0)
    if not finite.any():
        return ()
    means = {name: said[:, finite].mean(dim=1) for name, said in every.items()}
    spreads = {name: said[:, finite].std(dim=1, correction=0) for name, said in every.items()}
    shown = _shown([*means.values()], dataset)
    return tuple(
        PartialDependence(
            name,
            grid.kind,
            grid.values,
            {label: tuple(means[name][:, place].tolist()) for label, place in shown.items()},
            {label: tuple(spreads[name][:, place].tolist()) for label, place in shown.items()},
            shares=grid.shares,
            rows=len(rows),
            networks=int(finite.sum()),
        )
        for name, grid in asked
    )


def _every(training: PopulationTraining, rows: RowTensors, dataset: Dataset, name: str, grid: Grid) -> Tensor:
    """What each network says on average at each value of a column: ``[G, K, C]``."""
    places = [place for place, source in enumerate(dataset.sources) if source == name]
    inputs, said = rows.inputs.clone(), []
    for value in torch.from_numpy(grid.inputs).to(inputs):
        inputs[:, places] = value
        said.append(_said(training, inputs, dataset, rows.weights))
    return torch.stack(said)


def _said(training: PopulationTraining, inputs: Tensor, dataset: Dataset, weights: Tensor | None) -> Tensor:
    """Mean over rows of what each network says: ``[N, D]`` -> ``[K, C]``, C = 1 for numbers.

    Where outputs are no probabilities, it is the share of the rows that are given a class.
    """
    outputs = training.outputs(inputs)
    if dataset.task == "regression":
        said = dataset.scaling.restore(outputs.double())
    elif training.configs[0].gives_probabilities:
        said = probabilities(outputs)
    else:
        said = functional.one_hot(predicted_classes(outputs), dataset.n_outputs).double()
    if weights is None:
        return said.mean(dim=1)
    shares = (weights / weights.sum()).double()
    return (said * shares[:, None]).sum(dim=1)


def _shown(means: Sequence[Tensor], dataset: Dataset) -> Mapping[str, int]:
    """What of each column's ``[G, C]`` is shown, and its place.

    The number, the second of two classes, or of more those that move most at any column.
    """
    if dataset.task == "regression":
        return {"": 0}
    if dataset.n_outputs == 2:
        return {dataset.class_names[1]: 1}
    moved = torch.stack([mean.max(dim=0).values - mean.min(dim=0).values for mean in means]).max(dim=0).values.tolist()
    most = sorted(range(len(moved)), key=lambda place: -moved[place])[:MOST_CLASSES]
    return {dataset.class_names[place]: place for place in sorted(most)}
