"""A11: losses against torch.nn.functional and closed forms, and what chance predicts for each."""

from __future__ import annotations

import math

import pytest
import torch

from trainables.losses import LOSSES

K, B, C = 3, 7, 5


@pytest.fixture
def outputs() -> torch.Tensor:
    return torch.randn(K, B, C, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()


@pytest.fixture
def labels() -> torch.Tensor:
    return torch.randint(C, (B,), generator=torch.Generator().manual_seed(1))


def test_a11_cross_entropy(outputs, labels):
    ours = LOSSES["cross_entropy"].per_row(outputs, labels)
    for k in range(K):
        expected = torch.nn.functional.cross_entropy(outputs[k], labels, reduction="none")
        torch.testing.assert_close(ours[k], expected)


def test_a11_hinge_is_the_sum_over_wrong_classes(outputs, labels):
    ours = LOSSES["hinge"].per_row(outputs, labels)
    for k in range(K):
        # PyTorch divides by C.
        expected = C * torch.nn.functional.multi_margin_loss(outputs[k], labels, reduction="none")
        torch.testing.assert_close(ours[k], expected)
    gradient = torch.autograd.grad(ours.sum(), outputs, retain_graph=True)[0]
    reference = C * torch.nn.functional.multi_margin_loss(outputs.view(-1, C), labels.repeat(K), reduction="sum")
    torch.testing.assert_close(gradient, torch.autograd.grad(reference, outputs)[0])


def test_a11_mse():
    outputs, targets = torch.randn(K, B, 1), torch.randn(B)
    ours = LOSSES["mse"].per_row(outputs, targets)
    for k in range(K):
        torch.testing.assert_close(ours[k].mean(), torch.nn.functional.mse_loss(outputs[k, :, 0], targets))


def test_chance_is_the_loss_of_outputs_that_are_all_zero(labels):
    for name, expected in (("cross_entropy", math.log(C)), ("hinge", C - 1.0)):
        loss = LOSSES[name]
        assert loss.chance(labels, C) == pytest.approx(expected)
        assert loss.per_row(torch.zeros(1, B, C), labels).mean().item() == pytest.approx(expected)
    targets = torch.randn(B)
    assert LOSSES["mse"].chance(targets, 1) == pytest.approx(
        LOSSES["mse"].per_row(torch.zeros(1, B, 1), targets).mean().item()
    )
