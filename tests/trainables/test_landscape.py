"""A14: the slice through the loss against closed forms: a linear model's loss is an exact quadratic on any plane."""

from __future__ import annotations

import itertools

import pytest
import torch

from tests.plans import plain
from trainables.landscape import (
    FEWEST_POINTS,
    MOST_POINTS,
    PathRecorder,
    Plane,
    grid_around,
    losses_at,
    path_steps,
    slice_rows,
)
from trainables.training import PopulationTraining

LINEAR = plain().replace({"loss": "mse", "network.hidden_sizes": (), "optimizer.name": "sgd"})


def random_points(n, p, seed=0):
    return torch.randn(n, p, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_a14_a_plane_contains_points_that_lie_in_a_plane():
    basis, origin = torch.linalg.qr(random_points(40, 2))[0].T, random_points(1, 40, seed=1)[0]
    coordinates = random_points(9, 2, seed=2) * torch.tensor([3.0, 0.5])
    points = origin + coordinates @ basis
    plane = Plane.along(points, origin)
    assert torch.allclose(plane.directions @ plane.directions.T, torch.eye(2, dtype=torch.float64), atol=1e-12)
    assert plane.explains(points) == pytest.approx(1.0)
    assert torch.allclose(plane.points(plane.project(points)), points.float(), atol=1e-6)
    # The same plane, whatever its axes: distances are kept.
    assert torch.allclose(torch.cdist(plane.project(points), plane.project(points)), torch.cdist(points, points))


def test_a14_the_directions_are_the_principal_components_and_their_shares_the_eigenvalues():
    points = random_points(30, 6) * torch.tensor([9.0, 4.0, 1.0, 1.0, 0.5, 0.1])
    plane = Plane.along(points, torch.zeros(6))
    values, vectors = torch.linalg.eigh(points.T @ points)
    for axis, k in ((0, -1), (1, -2)):
        assert abs(plane.directions[axis] @ vectors[:, k]).item() == pytest.approx(1.0)
        share = plane.explains(points, slice(axis, axis + 1))
        assert share == pytest.approx((values[k] / values.sum()).item())
    assert plane.explains(points) < 1


def test_a14_the_axes_do_not_depend_on_the_signs_that_the_decomposition_happens_to_choose():
    points = random_points(30, 6)
    for given in (points, -points):
        assert (Plane.along(given, given[0]).project(given).mean(dim=0) >= 0).all()


def test_a14_points_on_a_line_or_at_one_place_have_a_plane_too():
    line = torch.arange(4.0).unsqueeze(1) * torch.ones(1, 5)
    for points in (line, torch.zeros(4, 5)):
        plane = Plane.along(points, points[0])
        assert plane.explains(points) == pytest.approx(1.0)
        assert torch.allclose(plane.directions @ plane.directions.T, torch.eye(2, dtype=torch.float64), atol=1e-6)
        x, y = grid_around(plane.project(points), (5, 3), margin=0.1)
        assert x.diff().min() > 0
        assert y.diff().min() > 0


def trained_path(config, dataset, epochs):
    training = PopulationTraining([config], dataset, order_seed=0)
    steps = path_steps(epochs * training.steps_per_epoch, training.network.parameters.shape[1])
    recorder = PathRecorder(training, steps)
    for _ in itertools.islice(training.epochs(recorder), epochs):
        pass
    return recorder.points, steps


def test_a14_the_loss_of_a_linear_model_is_its_quadratic_on_the_whole_plane(diabetes):
    dataset = diabetes[0]
    points, _ = trained_path(LINEAR.replace({"optimizer.lr": 0.05}), dataset, epochs=10)
    plane = Plane.along(points, points[-1])
    x, y = grid_around(plane.project(points), (7, 5), margin=0.2)
    at = plane.points(torch.cartesian_prod(x, y))
    rows = slice_rows(dataset)
    # (mean of (w·x + b - t)²) in float64; the flat parameters are the weights, then the bias.
    design = torch.cat([rows.inputs, torch.ones(len(rows), 1)], dim=1).double()
    expected = (design @ at.double().T - rows.targets.double().unsqueeze(1)).square().mean(dim=0)
    assert torch.allclose(losses_at(LINEAR, dataset, at).double(), expected, rtol=1e-4)
    # Along any line of the plane third differences of a quadratic are zero.
    assert expected.view(7, 5).diff(n=3, dim=0).abs().max() < 1e-4


@pytest.mark.parametrize("normalization", ["none", "batch_norm"])
def test_a14_a_point_has_the_loss_of_the_network_with_these_parameters(wine, normalization):
    dataset = wine[0]
    config = plain().replace(
        {
            "network.hidden_sizes": (8,),
            "network.normalization": normalization,
            "network.dropout": 0.3,
            "label_smoothing": 0.1,
            "batch_size": 16,
            "optimizer.lr": 0.01,
        }
    )
    training = PopulationTraining([config.replace({"seed": seed}) for seed in range(3)], dataset, order_seed=0)
    next(training.epochs())
    rows = slice_rows(dataset)
    assert len(rows) == len(dataset.train)
    expected = training.loss.mean(training.network(rows.inputs, mode="measure"), rows.targets)
    assert torch.allclose(losses_at(config, dataset, training.network.parameters), expected, rtol=1e-5)
    # Where the plane contains the path, the slice has the path's own losses.
    points = training.network.parameters
    plane = Plane.along(points, points.mean(dim=0))
    assert torch.allclose(losses_at(config, dataset, plane.points(plane.project(points))), expected, rtol=1e-4)


def test_a14_points_are_evaluated_in_chunks_that_do_not_change_them(wine, monkeypatch):
    dataset = wine[0]
    points, _ = trained_path(plain().replace({"network.hidden_sizes": (8,)}), dataset, epochs=4)
    whole = losses_at(plain().replace({"network.hidden_sizes": (8,)}), dataset, points)
    monkeypatch.setattr("trainables.landscape.EVALUATION_CHUNK", 3 * len(dataset.train) * 13)
    assert torch.allclose(losses_at(plain().replace({"network.hidden_sizes": (8,)}), dataset, points), whole)


def test_a14_many_rows_are_thinned_evenly(digits):
    rows = slice_rows(digits[0])
    assert len(rows) == 1_000
    assert torch.equal(rows.inputs[0], torch.from_numpy(digits[0].train.inputs[0]))
    assert torch.equal(rows.inputs[-1], torch.from_numpy(digits[0].train.inputs[-1]))


@pytest.mark.parametrize(("total", "n_parameters"), [(1, 10), (5, 10), (400, 10_000), (10**6, 10_000), (400, 10**9)])
def test_a14_a_path_has_its_start_its_end_and_a_bounded_number_of_points(total, n_parameters):
    steps = path_steps(total, n_parameters)
    assert (steps[0], steps[-1]) == (0, total)
    assert list(steps) == sorted(set(steps))
    assert len(steps) <= (FEWEST_POINTS if n_parameters == 10**9 else MOST_POINTS)
    # The distances grow, but for rounding.
    gaps = [b - a for a, b in itertools.pairwise(steps)]
    assert all(b >= a - 1 for a, b in itertools.pairwise(gaps))


def test_a14_a_recorded_path_is_the_training_itself(wine):
    dataset = wine[0]
    config = plain().replace({"network.hidden_sizes": (4,), "batch_size": 16})
    points, steps = trained_path(config, dataset, epochs=3)
    alone = PopulationTraining([config], dataset, order_seed=0)
    seen = {0: alone.network.parameters[0].clone()}
    for step, _ in enumerate(itertools.islice(alone.steps(), steps[-1]), start=1):
        seen[step] = alone.network.parameters[0].clone()
    assert torch.equal(points, torch.stack([seen[step] for step in steps]))


def test_a14_the_grid_holds_every_point_and_its_cells_are_square():
    coordinates = random_points(20, 2) * torch.tensor([5.0, 0.1])
    x, y = grid_around(coordinates, (49, 37), margin=0.1)
    assert (len(x), len(y)) == (49, 37)
    assert x.diff().mean().item() == pytest.approx(y.diff().mean().item())
    for axis, at in ((x, coordinates[:, 0]), (y, coordinates[:, 1])):
        assert axis[0] < at.min()
        assert axis[-1] > at.max()
