"""A9: update rules against torch.optim, step by step in float64, one member with different hyperparameters each."""

from __future__ import annotations

import pytest
import torch

from trainables.config import TrialConfig
from trainables.optimizers import OPTIMIZERS, make_optimizer

N_WEIGHTS, N_BIASES, STEPS = 30, 7, 200

SETTINGS = {
    "sgd": [{"lr": 0.1}, {"lr": 0.01}, {"lr": 0.5}],
    "momentum": [{"lr": 0.1, "momentum": 0.9}, {"lr": 0.01, "momentum": 0.0}, {"lr": 0.02, "momentum": 0.99}],
    "adam": [{"lr": 0.1}, {"lr": 0.01, "beta1": 0.5, "beta2": 0.9}, {"lr": 0.001, "beta1": 0.0, "eps": 1e-3}],
    "adamw": [{"lr": 0.1, "weight_decay": 0.0}, {"lr": 0.01, "weight_decay": 0.3}, {"lr": 0.001, "beta2": 0.99}],
}


def reference(name: str, values: dict[str, float], parameters: torch.Tensor) -> torch.optim.Optimizer:
    groups = [{"params": [parameters[:N_WEIGHTS]]}, {"params": [parameters[N_WEIGHTS:]], "weight_decay": 0.0}]
    betas = (values.get("beta1", 0.9), values.get("beta2", 0.999))
    lr, eps = values["lr"], values.get("eps", 1e-8)
    match name:
        case "sgd":
            return torch.optim.SGD(groups, lr=lr)
        case "momentum":
            return torch.optim.SGD(groups, lr=lr, momentum=values["momentum"])
        case "adam":
            return torch.optim.Adam(groups, lr=lr, betas=betas, eps=eps)
        case "adamw":
            decay = values.get("weight_decay", 0.01)
            return torch.optim.AdamW(groups, lr=lr, betas=betas, eps=eps, weight_decay=decay)
    raise AssertionError(name)


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_a9_equals_torch_optim_step_by_step(name, members):
    generator = torch.Generator().manual_seed(0)
    size = N_WEIGHTS + N_BIASES
    settings = SETTINGS[name][-members:]
    configs = [
        TrialConfig().replace({"optimizer.name": name, **{f"optimizer.{k}": v for k, v in values.items()}})
        for values in settings
    ]
    ours = torch.randn(members, size, generator=generator, dtype=torch.float64)
    theirs = [row.clone() for row in ours]
    optimizer = make_optimizer(configs, ours, N_WEIGHTS)
    # Views of one tensor would share a gradient: torch.optim gets the two groups as tensors of their own.
    pairs = [(row[:N_WEIGHTS].clone(), row[N_WEIGHTS:].clone()) for row in theirs]
    optimizers = [reference(name, values, _Joined(pair)) for values, pair in zip(settings, pairs, strict=True)]
    for _ in range(STEPS):
        gradient = torch.randn(members, size, generator=generator, dtype=torch.float64)
        optimizer.step(gradient)
        for k, (weights, biases) in enumerate(pairs):
            weights.grad, biases.grad = gradient[k, :N_WEIGHTS].clone(), gradient[k, N_WEIGHTS:].clone()
            optimizers[k].step()
            torch.testing.assert_close(ours[k], torch.cat([weights, biases]), rtol=1e-6, atol=1e-12)


class _Joined:
    """A pair of tensors that answers the two slices asked of it."""

    def __init__(self, pair):
        self._weights, self._biases = pair

    def __getitem__(self, part):
        return self._weights if part.stop == N_WEIGHTS else self._biases


def test_every_optimizer_of_the_config_has_a_rule():
    from typing import get_args

    from trainables.config import OptimizerName

    assert set(OPTIMIZERS) == set(get_args(OptimizerName)) == set(SETTINGS)


def test_a_member_that_stays_goes_on_as_if_nothing_had_happened():
    configs = [TrialConfig().replace({"optimizer.lr": lr}) for lr in (0.1, 0.01, 0.001)]
    parameters, alone = torch.ones(3, 4), torch.ones(1, 4)
    optimizer, single = make_optimizer(configs, parameters, 2), make_optimizer(configs[2:], alone, 2)
    gradient = torch.tensor([[1.0, -2.0, 3.0, 0.5]])
    optimizer.step(gradient.repeat(3, 1))
    single.step(gradient)
    kept = parameters.index_select(0, torch.tensor([2]))
    optimizer.keep(torch.tensor([2]), kept)
    optimizer.step(gradient)
    single.step(gradient)
    assert torch.equal(kept, alone)
