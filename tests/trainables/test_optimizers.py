"""A9: update rules against torch.optim, step by step in float64, one member with different hyperparameters each."""

from __future__ import annotations

from typing import get_args

import pytest
import torch

from tests.plans import plain
from trainables import optimizers
from trainables.choices import OptimizerName
from trainables.optimizers import OPTIMIZERS, make_optimizer
from trainables.regularization import Penalties

N_WEIGHTS, N_BIASES, STEPS = 30, 7, 200

# Five members each; what is not named stands at the rule's default.
SETTINGS = {
    "sgd": [{"lr": 0.1}, {"lr": 0.01}, {"lr": 0.5}, {"lr": 1e-4}, {}],
    "momentum": [
        {"lr": 0.1, "momentum": 0.9},
        {"lr": 0.01, "momentum": 0.0},
        {"lr": 0.02, "momentum": 0.99},
        {"momentum": 0.5},
        {},
    ],
    "nesterov": [
        {"lr": 0.1, "momentum": 0.9},
        {"lr": 0.01, "momentum": 0.3},
        {"lr": 0.02, "momentum": 0.99},
        {"momentum": 0.5},
        {},
    ],
    "adagrad": [{"lr": 0.1}, {"lr": 0.5, "eps": 1e-3}, {"lr": 0.01}, {"eps": 1e-6}, {}],
    "rmsprop": [{"lr": 0.1}, {"lr": 0.01, "alpha": 0.5}, {"lr": 0.001, "alpha": 0.9, "eps": 1e-3}, {"alpha": 0.0}, {}],
    "adadelta": [{"lr": 1.0}, {"lr": 0.1, "rho": 0.5}, {"lr": 5.0, "rho": 0.99, "eps": 1e-3}, {"rho": 0.0}, {}],
    "adam": [
        {"lr": 0.1},
        {"lr": 0.01, "beta1": 0.5, "beta2": 0.9},
        {"lr": 0.001, "beta1": 0.0, "eps": 1e-3},
        {"beta2": 0.0},
        {},
    ],
    "adamw": [{"lr": 0.1}, {"lr": 0.01, "beta1": 0.5}, {"lr": 0.001, "beta2": 0.99}, {"eps": 1e-3}, {}],
}
CLASSES = {
    "sgd": torch.optim.SGD,
    "momentum": torch.optim.SGD,
    "nesterov": torch.optim.SGD,
    "adagrad": torch.optim.Adagrad,
    "rmsprop": torch.optim.RMSprop,
    "adadelta": torch.optim.Adadelta,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}
# Our learning rates' defaults differ from torch's where its own are far from what works; all else is its default.
OWN_RATES = {
    "sgd": 0.1,
    "momentum": 0.01,
    "nesterov": 0.01,
    "adagrad": 0.03,
    "rmsprop": 0.001,
    "adadelta": 1.0,
    "adamw": 0.002,
}


def reference(name, values, decay, weights, biases):
    groups = [{"params": [weights], "weight_decay": decay}, {"params": [biases], "weight_decay": 0.0}]
    options = {"lr": values.get("lr", OWN_RATES.get(name, 0.001))}
    if name in ("momentum", "nesterov"):
        options |= {"momentum": values.get("momentum", 0.9), "nesterov": name == "nesterov"}
    if name in ("adam", "adamw"):
        options |= {"betas": (values.get("beta1", 0.9), values.get("beta2", 0.999))}
    options |= {key: values[key] for key in ("alpha", "rho", "eps") if key in values}
    return CLASSES[name](groups, **options)


def config_of(name, values, decay):
    """Decay is AdamW's own; for the others it is L2, which is what weight_decay means there."""
    leaf = "optimizer.weight_decay" if name == "adamw" else "regularization.l2"
    return plain().replace(
        {"optimizer.name": name, leaf: decay, **{f"optimizer.{key}": value for key, value in values.items()}}
    )


# Blocks of 20 numbers: of 20 and 17 columns for one member, of 4 and a last one of 1 for five. Weights end within one.
WAYS = {
    "whole": (optimizers.BLOCKED_FROM, optimizers.FUSED_FROM),
    "blocks": (1, optimizers.FUSED_FROM),
    "fused": (1, 1),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("decay", [0.0, 0.1], ids=["plain", "decay"])
@pytest.mark.parametrize("members", [1, 5])
@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_a9_equals_torch_optim_step_by_step(monkeypatch, name, members, decay, way):
    monkeypatch.setattr(optimizers, "BLOCKED_FROM", WAYS[way][0])
    monkeypatch.setattr(optimizers, "FUSED_FROM", WAYS[way][1])
    monkeypatch.setattr(optimizers, "BLOCK", 20)
    generator = torch.Generator().manual_seed(0)
    size = N_WEIGHTS + N_BIASES
    values = SETTINGS[name][:members]
    # Members differ in their decay too.
    decays = [decay * (k + 1) for k in range(members)]
    configs = [config_of(name, v, d) for v, d in zip(values, decays, strict=True)]
    ours = torch.randn(members, size, generator=generator, dtype=torch.float64)
    pairs = [(row[:N_WEIGHTS].clone(), row[N_WEIGHTS:].clone()) for row in ours]
    optimizer = make_optimizer(configs, ours, N_WEIGHTS)
    penalties = Penalties(configs, N_WEIGHTS, like=ours)
    theirs = [reference(name, *each, *pair) for *each, pair in zip(values, decays, pairs, strict=True)]
    for _ in range(STEPS):
        gradient = torch.randn(members, size, generator=generator, dtype=torch.float64)
        for k, (weights, biases) in enumerate(pairs):
            weights.grad, biases.grad = gradient[k, :N_WEIGHTS].clone(), gradient[k, N_WEIGHTS:].clone()
            theirs[k].step()
        penalties.add_gradient(gradient, ours)
        optimizer.step(gradient)
        torch.testing.assert_close(ours, torch.stack([torch.cat(pair) for pair in pairs]), rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("fused_from", [optimizers.FUSED_FROM, 1], ids=["passes", "fused"])
@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_a10_a_scaled_rate_is_what_a_scheduler_sets(monkeypatch, name, fused_from):
    """Two members, the rate changed every third step, against torch.optim with its groups' lr set."""
    monkeypatch.setattr(optimizers, "FUSED_FROM", fused_from)
    values = SETTINGS[name][:2]
    ours = torch.ones(2, 4, dtype=torch.float64)
    optimizer = make_optimizer([config_of(name, v, 0.0) for v in values], ours, 4)
    tensors = [torch.ones(4, dtype=torch.float64) for _ in values]
    theirs = [
        reference(name, v, 0.0, tensor, torch.zeros(0, dtype=torch.float64))
        for v, tensor in zip(values, tensors, strict=True)
    ]
    base = [o.param_groups[0]["lr"] for o in theirs]
    generator = torch.Generator().manual_seed(1)
    for step in range(30):
        if step % 3 == 0:
            factor = torch.tensor([[0.9**step], [1.0 / (1 + step)]], dtype=torch.float64)
            optimizer.scale_rate(factor)
            for k, o in enumerate(theirs):
                o.param_groups[0]["lr"] = base[k] * factor[k].item()
        gradient = torch.randn(2, 4, dtype=torch.float64, generator=generator)
        optimizer.step(gradient)
        for k, tensor in enumerate(tensors):
            tensor.grad = gradient[k].clone()
            theirs[k].step()
            torch.testing.assert_close(ours[k], tensor, rtol=1e-6, atol=1e-12)
    torch.testing.assert_close(optimizer.lr.squeeze(1), torch.tensor(base).double() * factor.squeeze(1))


def test_every_optimizer_of_the_config_has_a_rule():
    assert set(OPTIMIZERS) == set(get_args(OptimizerName)) == set(SETTINGS) == set(CLASSES)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_a_member_that_stays_goes_on_as_if_nothing_had_happened(monkeypatch, name, way):
    # In blocks, three members are updated two columns at a time, the one that stays as a whole.
    monkeypatch.setattr(optimizers, "BLOCKED_FROM", 8 if way == "blocks" else optimizers.BLOCKED_FROM)
    monkeypatch.setattr(optimizers, "FUSED_FROM", WAYS[way][1])
    monkeypatch.setattr(optimizers, "BLOCK", 6)
    configs = [plain().replace({"optimizer.name": name, "optimizer.lr": lr}) for lr in (0.1, 0.01, 0.001)]
    parameters, alone = torch.ones(3, 4), torch.ones(1, 4)
    optimizer, single = make_optimizer(configs, parameters, 2), make_optimizer(configs[2:], alone, 2)
    gradient = torch.tensor([[1.0, -2.0, 3.0, 0.5]])
    for each, factor in ((optimizer, [[0.1], [0.2], [0.3]]), (single, [[0.3]])):
        each.scale_rate(torch.tensor(factor, dtype=torch.float64))
    optimizer.step(gradient.repeat(3, 1))
    single.step(gradient)
    kept = parameters.index_select(0, torch.tensor([2]))
    optimizer.keep(torch.tensor([2]), kept)
    optimizer.step(gradient)
    single.step(gradient)
    assert torch.equal(kept, alone)
