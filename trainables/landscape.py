"""A two-dimensional slice through the loss, laid along the paths that trainings took through parameter space.

A path is a tensor of points ``[N, P]``: a network's flat parameters at ``path_steps`` of its training. ``Plane.along``
lays a plane through a point of choice along the two directions in which the paths extend most, their first two
principal components; ``losses_at`` is the loss of networks with given parameters, evaluated as populations. The P × P
covariance is never formed: the directions are the right singular vectors of the ``[N, P]`` points.

A slice is a slice: what the paths do outside it is not in the picture, and a point's height there is not the loss of
the network that was projected onto it. ``Plane.explains`` says how much of a path lies within.
Source: Li et al. 2018, "Visualizing the loss landscape of neural nets", section 7.

>>> points = torch.tensor([[3.0, 4.0, 0.0], [3.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
>>> plane = Plane.along(points, origin=points[2])
>>> torch.allclose(plane.points(plane.project(points)), points, atol=1e-6)
True
>>> round(plane.explains(points), 6)
1.0
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from trainables.config import TrialConfig
from trainables.data.dataset import Dataset
from trainables.losses import count_outputs, make_loss
from trainables.network import PopulationNetwork
from trainables.row_tensors import RowTensors, to_tensors
from trainables.training import EVALUATION_CHUNK, PopulationTraining

# Points of one path: enough for a curve without corners, and a few kilobytes in a picture.
MOST_POINTS = 120
# Memory of one path. A network of a million parameters then has 64 points, one of 10 000 all of them.
MOST_PATH_BYTES = 256 * 2**20
# Fewer are no path, however large the network is.
FEWEST_POINTS = 16
# Rows on which the slice is evaluated: the loss over a thousand rows looks like the loss over all of them.
MOST_ROWS = 1_000


@dataclass(frozen=True)
class Plane:
    """A plane in parameter space, with coordinates in the units of the parameters.

    Attributes:
        origin: ``[P]``, float64.
        directions: ``[2, P]``, float64, orthonormal.
    """

    origin: Tensor
    directions: Tensor

    @classmethod
    def along(cls, points: Tensor, origin: Tensor) -> Plane:
        """The plane through ``origin`` that comes closest to all ``points``, in squared distance.

        Args:
            points: ``[N, P]``, finite, N and P at least 2.
            origin: ``[P]``.
        """
        centre = origin.double()
        _, _, directions = torch.linalg.svd(points.double() - centre, full_matrices=False)  # (N, P) -> (min(N, P), P)
        # A singular vector's sign is arbitrary: the points lie to the right of the origin and above it, on average.
        signs = torch.where(directions[:2] @ (points.double().mean(dim=0) - centre) < 0, -1.0, 1.0).double()
        return cls(centre, directions[:2] * signs.unsqueeze(1))

    def project(self, points: Tensor) -> Tensor:
        """Coordinates of the nearest points of the plane: ``[N, P]`` -> ``[N, 2]``, float64."""
        return (points.double() - self.origin) @ self.directions.T

    def points(self, coordinates: Tensor) -> Tensor:
        """Parameters at ``coordinates``: ``[N, 2]`` -> ``[N, P]``, float32."""
        return (self.origin + coordinates.double() @ self.directions).float()

    def explains(self, points: Tensor, directions: slice = slice(2)) -> float:
        """Share of the squared distances of ``points`` (``[N, P]``) from the origin that lies along ``directions``."""
        total = (points.double() - self.origin).square().sum().item()
        within: float = self.project(points)[:, directions].square().sum().item()
        return within / total if total > 0 else 1.0


def path_steps(total: int, n_parameters: int) -> tuple[int, ...]:
    """The steps at which a path has its points, from 0 (the start) to ``total``.

    The i-th of n stands at the share (i/n)² of the training: a loss falls fastest at the beginning.

    Args:
        total: Parameter updates of the training.
        n_parameters: P.
    """
    fits = MOST_PATH_BYTES // (4 * n_parameters)
    last = max(FEWEST_POINTS, min(MOST_POINTS, fits)) - 1
    return tuple(sorted({round(total * (i / last) ** 2) for i in range(last + 1)}))


class PathRecorder:
    """Keeps the parameters of one member of a population at given steps; call it after every parameter update.

    Args:
        training: The population, not yet trained.
        steps: When, from 0.
        member: Index k.
    """

    def __init__(self, training: PopulationTraining, steps: tuple[int, ...], member: int = 0) -> None:
        self._training, self._steps, self._member = training, frozenset(steps), member
        self._points: list[Tensor] = []
        self()

    def __call__(self) -> None:
        """Look at the population."""
        if self._training.optimizer.steps in self._steps:
            self._points.append(self._training.network.parameters[self._member].detach().cpu().clone())

    @property
    def points(self) -> Tensor:
        """What was kept so far, ``[N, P]``."""
        return torch.stack(self._points)


def slice_rows(dataset: Dataset) -> RowTensors:
    """The training rows on which a slice is evaluated: all, or ``MOST_ROWS`` of them at even distances."""
    return to_tensors(dataset.train, "cpu", torch.float32).spread(MOST_ROWS)


@torch.no_grad()
def losses_at(config: TrialConfig, dataset: Dataset, points: Tensor) -> Tensor:
    """Loss of networks with given parameters, on ``slice_rows``, without dropout and penalties.

    Batch normalisation uses the rows' own statistics: a point of the slice has no running ones.

    Args:
        config: The network and its loss.
        dataset: Its training rows.
        points: ``[N, P]``.

    Returns:
        ``[N]``; not finite where the loss is not.
    """
    rows = slice_rows(dataset)
    widest = max(dataset.n_inputs, dataset.n_outputs, *config.network.hidden_sizes)
    members = max(1, min(len(points), EVALUATION_CHUNK // (len(rows) * widest)))
    configs = [config] * members
    network = PopulationNetwork(configs, dataset.n_inputs, count_outputs(config.loss, dataset.n_outputs))
    every = to_tensors(dataset.train, "cpu", torch.float32)
    loss = make_loss(configs, every.targets, dataset.n_outputs, torch.float32, every.weights)
    losses = []
    for part in points.split(members):
        # The last part may be smaller: what the other members hold is evaluated and thrown away.
        network.parameters[: len(part)] = part
        outputs = network(rows.inputs, mode="measure")
        losses.append(loss.mean(outputs, rows.targets, rows.weights)[: len(part)])
    return torch.cat(losses)


def grid_around(coordinates: Tensor, cells: tuple[int, int], margin: float) -> tuple[Tensor, Tensor]:
    """Axes of a grid that holds ``coordinates``, of the shape of ``cells`` and with square cells.

    Args:
        coordinates: ``[N, 2]``.
        cells: Points of the grid along x and along y.
        margin: What is added on every side, as a share of the extent.

    Returns:
        x ``[cells[0]]`` and y ``[cells[1]]``, ascending.
    """
    low, high = coordinates.amin(dim=0), coordinates.amax(dim=0)
    middle, extent = (low + high) / 2, (high - low) * (1 + 2 * margin)
    shape = torch.tensor([cells[0] - 1, cells[1] - 1], dtype=torch.float64)
    side = (extent / shape).max().item()
    # Paths that stay where they are still need a grid around them.
    half = shape * (side if side > 0 and math.isfinite(side) else 1.0) / 2
    x, y = (torch.linspace(-1, 1, n, dtype=torch.float64) for n in cells)
    return middle[0] + half[0] * x, middle[1] + half[1] * y
