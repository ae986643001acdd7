"""The choices that a config has, which of its leaves belong to which choice, and where the leaves start.

A new optimiser, activation, schedule or loss begins here (docs/extending.md). Two facts about leaves are declared here,
once:

- ``STRUCTURAL`` leaves change tensor shapes or which code runs. Networks that differ in one of them cannot be
  members of the same population; all other leaves are per-member numbers.
- ``APPLIES_TO`` says which choice a leaf belongs to: momentum exists for the momentum optimiser only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

ActivationName = Literal["identity", "relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid"]
InitName = Literal["auto", "zeros", "gaussian", "xavier", "kaiming"]
NormalizationName = Literal["none", "batch_norm"]
OptimizerName = Literal["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adadelta", "adam", "adamw"]
ScheduleName = Literal["none", "step", "exponential", "inverse_time", "linear", "cosine"]
LossName = Literal["cross_entropy", "binary_cross_entropy", "hinge", "mse", "huber"]

STRUCTURAL = frozenset(
    {
        "network.hidden_sizes",
        "network.activation",
        "network.normalization",
        "network.batch_norm_momentum",
        "network.batch_norm_eps",
        "optimizer.name",
        "schedule.name",
        "schedule.unit",
        "loss",
        "class_weights",
        "batch_size",
    }
)

_BATCH_NORM = frozenset({"batch_norm"})
LIKELIHOODS = frozenset({"cross_entropy", "binary_cross_entropy"})
CLASSIFIES = frozenset({"cross_entropy", "binary_cross_entropy", "hinge"})
_MOMENTUM = frozenset({"momentum", "nesterov"})
_MOMENTS = frozenset({"adam", "adamw"})
_SPANS = frozenset({"linear", "cosine"})

# leaf -> (the choice it belongs to, the values of that choice for which it means something)
APPLIES_TO: Mapping[str, tuple[str, frozenset[str]]] = {
    "network.negative_slope": ("network.activation", frozenset({"leaky_relu"})),
    "network.init_std": ("network.init", frozenset({"gaussian"})),
    "network.batch_norm_momentum": ("network.normalization", _BATCH_NORM),
    "network.batch_norm_eps": ("network.normalization", _BATCH_NORM),
    "optimizer.momentum": ("optimizer.name", _MOMENTUM),
    "optimizer.alpha": ("optimizer.name", frozenset({"rmsprop"})),
    "optimizer.rho": ("optimizer.name", frozenset({"adadelta"})),
    "optimizer.beta1": ("optimizer.name", _MOMENTS),
    "optimizer.beta2": ("optimizer.name", _MOMENTS),
    "optimizer.eps": ("optimizer.name", frozenset({"adagrad", "rmsprop", "adadelta"}) | _MOMENTS),
    "optimizer.weight_decay": ("optimizer.name", frozenset({"adamw"})),
    "schedule.every": ("schedule.name", frozenset({"step"})),
    "schedule.factor": ("schedule.name", frozenset({"step", "exponential"})),
    "schedule.rate": ("schedule.name", frozenset({"inverse_time"})),
    "schedule.end": ("schedule.name", _SPANS),
    "schedule.duration": ("schedule.name", _SPANS),
    "label_smoothing": ("loss", frozenset({"cross_entropy", "binary_cross_entropy"})),
    "class_weights": ("loss", CLASSIFIES),
    "huber_delta": ("loss", frozenset({"huber"})),
}

# What a rule starts from where the config says nothing: the values of torch.optim, but for the learning rates of
# sgd, momentum, nesterov and adamw (0.001 there), adagrad and rmsprop (0.01), which are those that usually work on
# standardised inputs.
OPTIMIZER_DEFAULTS: Mapping[OptimizerName, Mapping[str, float]] = {
    "sgd": {"lr": 0.1},
    "momentum": {"lr": 0.01},
    "nesterov": {"lr": 0.01},
    "adagrad": {"lr": 0.03, "eps": 1e-10},
    "rmsprop": {"lr": 0.001, "eps": 1e-8},
    "adadelta": {"lr": 1.0, "eps": 1e-6},
    "adam": {"lr": 0.001, "eps": 1e-8},
    "adamw": {"lr": 0.002, "eps": 1e-8},
}
# A step divides by ten, as on the lecture's slides; an exponential does in about 45 units.
SCHEDULE_DEFAULTS: Mapping[ScheduleName, Mapping[str, float]] = {
    "step": {"factor": 0.1},
    "exponential": {"factor": 0.95},
}

# Everything that regularises, switched off: steps 1 and 2 ask whether the network can learn, not whether it
# generalises.
REGULARIZATION_OFF: Mapping[str, float] = {
    "network.dropout": 0.0,
    "network.dropconnect": 0.0,
    "optimizer.weight_decay": 0.0,
    "regularization.l1": 0.0,
    "regularization.l2": 0.0,
    "label_smoothing": 0.0,
}
# Of these, what a loss curve of a hundred steps would drown in: noise from masks, and a floor under the loss.
NOISE = ("network.dropout", "network.dropconnect", "label_smoothing")
SCHEDULE_OFF: Mapping[str, Any] = {"schedule.name": "none", "schedule.warmup": 0}
