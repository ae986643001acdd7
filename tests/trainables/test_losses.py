"""A11: losses against torch.nn.functional, values and gradients, and what chance predicts for each."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from trainables.choices import LossName
from trainables.config import TrialConfig
from trainables.losses import LOSSES, count_outputs, make_loss

F = torch.nn.functional


def hinge(outputs, labels, weights):
    """The sum over wrong classes; PyTorch's divides it by C."""
    losses = outputs.shape[1] * F.multi_margin_loss(outputs, labels, reduction="none")
    return losses.mean() if weights is None else (losses * weights[labels]).sum() / weights[labels].sum()


def binary(outputs, labels, weights, smoothing):
    wanted = labels.to(outputs.dtype) * (1 - smoothing) + smoothing / 2
    losses = F.binary_cross_entropy_with_logits(outputs[:, 0], wanted, reduction="none")
    return losses.mean() if weights is None else (losses * weights[labels]).sum() / weights[labels].sum()


def cross_entropy(outputs, labels, weights, smoothing):
    """PyTorch's, but for weights with smoothing: ours are of rows, as in every other loss."""
    losses = F.cross_entropy(outputs, labels, label_smoothing=smoothing, reduction="none")
    if weights is None:
        return losses.mean()
    if smoothing == 0:
        torch.testing.assert_close(
            F.cross_entropy(outputs, labels, weights), (losses * weights[labels]).sum() / weights[labels].sum()
        )
    return (losses * weights[labels]).sum() / weights[labels].sum()


REFERENCES = {
    "cross_entropy": lambda o, t, w, config: cross_entropy(o, t, w, config.label_smoothing),
    "binary_cross_entropy": lambda o, t, w, config: binary(o, t, w, config.label_smoothing),
    "hinge": lambda o, t, w, config: hinge(o, t, w),
    "mse": lambda o, t, w, config: F.mse_loss(o[:, 0], t),
    "huber": lambda o, t, w, config: F.huber_loss(o[:, 0], t, delta=config.huber_delta),
}


def test_every_loss_of_the_config_exists_and_is_tested():
    assert set(LOSSES) == set(REFERENCES) == set(get_args(LossName))


@pytest.mark.parametrize("class_weights", [False, True], ids=["classes alike", "classes weighted"])
@pytest.mark.parametrize("name", sorted(LOSSES))
def test_a11_a_row_of_weight_three_is_a_row_that_stands_there_three_times(name, class_weights):
    """Loss, gradient, chance, frequencies and balanced weights, and weights of another sum are the same."""
    generator = torch.Generator().manual_seed(0)
    classes, regression = 2 if name == "binary_cross_entropy" else 4, name in ("mse", "huber")
    configs = [TrialConfig(loss=name).replace({"huber_delta": 0.5 + k} if name == "huber" else {}) for k in range(3)]
    if class_weights and not regression:
        configs = [config.replace({"class_weights": "balanced"}) for config in configs]
    outputs = torch.randn(3, 30, count_outputs(name, classes), dtype=torch.float64, generator=generator)
    targets = torch.randn(30, dtype=torch.float64, generator=generator)
    targets = targets if regression else torch.randint(classes, (30,), generator=generator)
    counts = torch.randint(1, 5, (30,), generator=generator)
    repeated = targets.repeat_interleave(counts)
    expected_loss = make_loss(configs, repeated, classes, torch.float64)
    outputs.requires_grad_()
    expected = expected_loss.mean(outputs.repeat_interleave(counts, dim=1), repeated)
    for factor in (1.0, 0.01):
        weights = counts.double() * factor
        loss = make_loss(configs, targets, classes, torch.float64, weights)
        ours = loss.mean(outputs, targets, weights)
        torch.testing.assert_close(ours, expected)
        gradients = [torch.autograd.grad(value.sum(), outputs, retain_graph=True)[0] for value in (ours, expected)]
        torch.testing.assert_close(*gradients)
        assert loss.chance(targets, weights) == pytest.approx(expected_loss.chance(repeated))
        assert loss.scales(targets, weights)[0].chance == pytest.approx(expected_loss.scales(repeated)[0].chance)
        baselines = loss.frequency_baseline(targets, weights), expected_loss.frequency_baseline(repeated)
        assert baselines == (None, None) or baselines[0] == pytest.approx(baselines[1])
        if loss.class_weights is not None:
            torch.testing.assert_close(loss.class_weights, expected_loss.class_weights)


def test_a11_weighted_rows_equal_the_weighted_mean_of_torch():
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(1, 20, 3, dtype=torch.float64, generator=generator)
    targets, weights = torch.randint(3, (20,), generator=generator), torch.rand(20, generator=generator).double() + 0.1
    of_classes = (0.5, 1.0, 2.0)
    loss = make_loss([TrialConfig(class_weights=of_classes)], targets, 3, torch.float64, weights)
    rows = F.cross_entropy(outputs[0], targets, reduction="none")
    both = weights * torch.tensor(of_classes, dtype=torch.float64)[targets]
    assert loss.mean(outputs, targets, weights).item() == pytest.approx(((rows * both).sum() / both.sum()).item())
    numbers = torch.randn(20, dtype=torch.float64, generator=generator)
    mse = make_loss([TrialConfig(loss="mse")], numbers, 1, torch.float64, weights)
    expected = F.mse_loss(outputs[0, :, 0], numbers, weight=weights)
    assert mse.mean(outputs[:, :, :1], numbers, weights).item() == pytest.approx(expected.item())


def test_a11_balanced_weights_of_weighted_rows_are_those_of_scikit_learn():
    labels, weights = torch.tensor([0] * 70 + [1] * 20 + [2] * 10), torch.linspace(0.01, 0.5, 100).double()
    loss = make_loss([TrialConfig(class_weights="balanced")], labels, 3, torch.float64, weights)
    asked = {"classes": np.arange(3), "y": labels.numpy(), "sample_weight": weights.numpy()}
    assert loss.class_weights.tolist() == pytest.approx(compute_class_weight("balanced", **asked).tolist())


@pytest.mark.parametrize("members", [1, 5])
@pytest.mark.parametrize("varied", [False, True], ids=["plain", "options"])
@pytest.mark.parametrize("name", sorted(LOSSES))
@settings(max_examples=10, deadline=None)
@given(rows=st.integers(1, 8), classes=st.integers(2, 6), seed=st.integers(0, 99), by_class=st.booleans())
def test_a11_values_and_gradients(name, varied, members, rows, classes, seed, by_class):
    """With options: smoothing and δ differ from member to member, and classes have weights.

    By class: outputs lie as [K, C, B] in memory, as networks with few classes lay them.
    """
    generator = torch.Generator().manual_seed(seed)
    classes = 2 if name == "binary_cross_entropy" else classes
    configs = [TrialConfig(loss=name) for _ in range(members)]
    weights = None
    if varied and name in ("cross_entropy", "binary_cross_entropy", "hinge"):
        given_weights = tuple(0.5 + c for c in range(classes))
        weights = torch.tensor(given_weights, dtype=torch.float64)
        configs = [c.replace({"class_weights": given_weights}) for c in configs]
    if varied and "entropy" in name:
        configs = [c.replace({"label_smoothing": 0.2 * k}) for k, c in enumerate(configs)]
    if varied and name == "huber":
        configs = [c.replace({"huber_delta": 0.1 + 0.4 * k}) for k, c in enumerate(configs)]
    regression = name in ("mse", "huber")
    n_outputs = count_outputs(name, classes)
    outputs = torch.randn(members, rows, n_outputs, dtype=torch.float64, generator=generator) * 2
    if by_class:
        outputs = outputs.transpose(1, 2).contiguous().transpose(1, 2)
    outputs.requires_grad_()
    targets = torch.randn(rows, dtype=torch.float64, generator=generator)
    if not regression:
        targets = torch.randint(classes, (rows,), generator=generator)
    loss = make_loss(configs, targets, 1 if regression else classes, torch.float64)
    ours = loss.mean(outputs, targets)
    expected = torch.stack([REFERENCES[name](outputs[k], targets, weights, configs[k]) for k in range(members)])
    torch.testing.assert_close(ours, expected)
    gradients = [torch.autograd.grad(value.sum(), outputs, retain_graph=True)[0] for value in (ours, expected)]
    torch.testing.assert_close(*gradients)
    for of_rows in (None, torch.rand(rows, dtype=torch.float64, generator=generator) + 0.1):
        losses, slope = loss.mean_and_slope(outputs.detach(), targets, of_rows)
        wanted = loss.mean(outputs, targets, of_rows)
        torch.testing.assert_close(losses, wanted.detach())
        torch.testing.assert_close(slope, torch.autograd.grad(wanted.sum(), outputs)[0])


def test_a11_balanced_weights_are_those_of_scikit_learn():
    labels = torch.tensor([0] * 70 + [1] * 20 + [2] * 10)
    loss = make_loss([TrialConfig(class_weights="balanced")], labels, 3, torch.float64)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels.numpy())
    assert loss.class_weights.tolist() == pytest.approx(expected.tolist())


# Numbers have no classes to weigh.
CHANCES = [(name, False) for name in sorted(LOSSES)]
CHANCES += [(name, True) for name in ("cross_entropy", "binary_cross_entropy", "hinge")]


@pytest.mark.parametrize(("name", "weighted"), CHANCES)
def test_a11_chance_is_the_loss_of_outputs_that_are_all_zero(name, weighted):
    classes = 2 if name == "binary_cross_entropy" else 5
    generator = torch.Generator().manual_seed(0)
    regression = name in ("mse", "huber")
    targets = torch.randn(50, generator=generator) if regression else torch.randint(classes, (50,), generator=generator)
    config = TrialConfig(loss=name).replace({"class_weights": "balanced"} if weighted else {})
    loss = make_loss([config], targets, 1 if regression else classes, torch.float32)
    zero = torch.zeros(1, 50, count_outputs(name, classes))
    (chance,) = loss.chance(targets)
    assert chance == pytest.approx(loss.mean(zero, targets).item(), rel=1e-5)
    closed = {"cross_entropy": math.log(5), "binary_cross_entropy": math.log(2), "hinge": 4.0}
    if not regression:
        assert chance == pytest.approx(closed[name])


@pytest.mark.parametrize("class_weights", ["none", "balanced"])
@pytest.mark.parametrize("name", ["cross_entropy", "binary_cross_entropy"])
def test_a11_the_frequency_baseline_is_the_least_loss_of_a_constant_output(name, class_weights):
    labels = torch.tensor([0] * 90 + [1] * 10)
    loss = make_loss([TrialConfig(loss=name, class_weights=class_weights)], labels, 2, torch.float64)
    constant = torch.zeros(1, 1, count_outputs(name, 2), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([constant], max_iter=100, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        value = loss.mean(constant.expand(1, 100, -1), labels).sum()
        value.backward()
        return value

    optimizer.step(closure)
    assert loss.frequency_baseline(labels) == pytest.approx(closure().item(), rel=1e-4)
    assert make_loss([TrialConfig(loss="hinge")], labels, 2, torch.float64).frequency_baseline(labels) is None


def test_a11_chance_is_each_members_own():
    targets = torch.randn(50, generator=torch.Generator().manual_seed(0))
    configs = [TrialConfig(loss="huber").replace({"huber_delta": delta}) for delta in (0.02, 1.0, 20.0)]
    loss = make_loss(configs, targets, 1, torch.float32)
    expected = [F.huber_loss(torch.zeros(50), targets, delta=c.huber_delta).item() for c in configs]
    assert loss.chance(targets) == pytest.approx(expected, rel=1e-5)
    loss.keep(torch.tensor([2]))
    assert loss.chance(targets) == pytest.approx(expected[2:], rel=1e-5)


@pytest.mark.parametrize("name", ["cross_entropy", "binary_cross_entropy"])
def test_a11_the_floor_is_the_loss_of_outputs_that_say_what_smoothing_asks_for(name):
    classes = 4 if name == "cross_entropy" else 2
    labels = torch.arange(classes)
    epsilons = (0.0, 0.1, 0.5)
    configs = [TrialConfig(loss=name).replace({"label_smoothing": e}) for e in epsilons]
    loss = make_loss(configs, labels, classes, torch.float64)
    asked = [(1 - e) * torch.eye(classes, dtype=torch.float64) + e / classes for e in epsilons]
    outputs = torch.stack([(a + 1e-300).log() for a in asked])
    if classes == 2:
        outputs = (outputs[:, :, 1] - outputs[:, :, 0]).unsqueeze(2)
    assert loss.floor() == pytest.approx(loss.mean(outputs, labels).tolist(), abs=1e-9)
    assert make_loss([TrialConfig(loss="hinge")], labels, classes, torch.float64).floor() == [0.0]


def test_a11_with_weights_and_smoothing_being_right_is_cheapest_also_where_a_class_is_rare():
    labels = torch.tensor([0] * 97 + [1] * 3)
    config = TrialConfig(class_weights="balanced", label_smoothing=0.1)
    loss = make_loss([config], labels, 2, torch.float64)
    right = torch.nn.functional.one_hot(labels, 2).double().unsqueeze(0) * 3
    always_rare = torch.tensor([0.0, 3.0], dtype=torch.float64).expand(1, 100, 2)
    assert loss.mean(right, labels) < loss.mean(always_rare, labels)
