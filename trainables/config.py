"""TrialConfig: everything one training run needs, validated at birth and frozen.

A leaf of the config is named by its dotted path (``optimizer.lr``); search spaces, MLflow parameters and the
command line's ``--set`` all use these names. Two facts about leaves are declared here, once:

- ``STRUCTURAL`` leaves change tensor shapes or which code runs. Networks that differ in one of them cannot be
  members of the same population; all other leaves are per-member numbers.
- ``APPLIES_TO`` says which choice a leaf belongs to: momentum exists for the momentum optimiser only.

>>> config = TrialConfig().replace({"optimizer.lr": 0.01})
>>> config.optimizer.lr
0.01
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

ActivationName = Literal["relu", "leaky_relu", "tanh", "sigmoid"]
InitName = Literal["auto", "zeros", "gaussian", "xavier", "kaiming"]
OptimizerName = Literal["sgd", "momentum", "adam", "adamw"]
LossName = Literal["cross_entropy", "hinge", "mse"]

# With gradients and Adam's two moments a network of this size takes 3.2 GB in float32, and every worker has one.
MOST_WEIGHTS = 200_000_000

STRUCTURAL = frozenset({"network.hidden_sizes", "network.activation", "optimizer.name", "loss", "batch_size"})

# leaf -> (the choice it belongs to, the values of that choice for which it means something)
APPLIES_TO: Mapping[str, tuple[str, frozenset[str]]] = {
    "network.negative_slope": ("network.activation", frozenset({"leaky_relu"})),
    "network.init_std": ("network.init", frozenset({"gaussian"})),
    "optimizer.momentum": ("optimizer.name", frozenset({"momentum"})),
    "optimizer.beta1": ("optimizer.name", frozenset({"adam", "adamw"})),
    "optimizer.beta2": ("optimizer.name", frozenset({"adam", "adamw"})),
    "optimizer.eps": ("optimizer.name", frozenset({"adam", "adamw"})),
    "optimizer.weight_decay": ("optimizer.name", frozenset({"adamw"})),
}


class FrozenModel(BaseModel):
    """Unknown keys, NaN and infinity are refused; instances cannot be changed."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class NetworkConfig(FrozenModel):
    """The multilayer perceptron."""

    # More than 65 536 units in a layer or 100 layers is a typing error, and would ask for gigabytes.
    hidden_sizes: Annotated[tuple[Annotated[int, Field(ge=1, le=65_536)], ...], Field(max_length=100)] = Field(
        default=(64, 64), description="Units of each hidden layer, first to last; [] is a linear model."
    )
    activation: ActivationName = Field(default="relu", description="Nonlinearity after each hidden layer.")
    negative_slope: float = Field(default=0.01, ge=0, lt=1, description="Slope of leaky_relu for negative inputs.")
    init: InitName = Field(
        default="auto",
        description="Initial weights. auto: kaiming for relu and leaky_relu, xavier for tanh and sigmoid.",
    )
    init_std: float = Field(default=0.01, gt=0, description="Standard deviation of gaussian initial weights.")
    # 0.1 brings the untrained loss of a Kaiming network within a few per cent of chance while the gradients
    # of the hidden layers stay large enough to learn from the first step.
    output_scale: float = Field(
        default=0.1, gt=0, description="Factor on the last layer's initial weights; below 1 starts near chance."
    )
    dropout: float = Field(default=0.0, ge=0, lt=1, description="Share of hidden activations dropped in training.")

    @model_validator(mode="after")
    def _fits_into_memory(self) -> NetworkConfig:
        weights = sum(a * b for a, b in itertools.pairwise(self.hidden_sizes))
        if weights > MOST_WEIGHTS:
            raise PydanticCustomError(
                "too_large",
                "hidden_sizes between which lie at most {most} weights; these have {weights}",
                {"most": f"{MOST_WEIGHTS:,}", "weights": f"{weights:,}"},
            )
        return self


class OptimizerConfig(FrozenModel):
    """The update rule. Which numbers a rule has, APPLIES_TO says."""

    name: OptimizerName = Field(default="adamw", description="Update rule.")
    lr: float = Field(default=1e-3, gt=0, description="Learning rate.")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="Share of the last step kept (momentum).")
    beta1: float = Field(default=0.9, ge=0, lt=1, description="Decay of the first moment (adam, adamw).")
    beta2: float = Field(default=0.999, ge=0, lt=1, description="Decay of the second moment (adam, adamw).")
    eps: float = Field(default=1e-8, gt=0, description="Added to the root of the second moment (adam, adamw).")
    weight_decay: float = Field(
        default=0.01, ge=0, description="Decoupled decay of weights per step, times lr (adamw); biases excluded."
    )


class RegularizationConfig(FrozenModel):
    """Penalties added to the loss."""

    l2: float = Field(default=0.0, ge=0, description="Adds l2/2 times the sum of squared weights (biases excluded).")


class TrialConfig(FrozenModel):
    """One hyperparameter configuration: a network, how it is trained, and the seed of its initial weights."""

    network: NetworkConfig = NetworkConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    regularization: RegularizationConfig = RegularizationConfig()
    loss: LossName = Field(
        default="cross_entropy",
        description="cross_entropy and hinge classify; mse predicts a number (on standardised targets).",
    )
    batch_size: Annotated[int, Field(ge=1)] | Literal["full"] = Field(
        default=64, description="Rows per parameter update; 1 is one row at a time, full the whole training set."
    )
    seed: int = Field(
        default=0, ge=0, lt=2**63, description="Decides the initial weights and, with dropout, the masks."
    )

    @model_validator(mode="after")
    def _only_what_applies(self) -> TrialConfig:
        """Refuse a hyperparameter that was set although the chosen rule does not have it."""
        mistakes = [
            InitErrorDetails(
                type=PydanticCustomError(
                    "not_applicable",
                    "{leaf} exists for {choice} {having} only, and {choice} is {chosen}",
                    {"leaf": leaf, "choice": choice, "having": " or ".join(sorted(having)), "chosen": self[choice]},
                ),
                loc=tuple(leaf.split(".")),
                input=self[leaf],
            )
            for leaf, (choice, having) in APPLIES_TO.items()
            if self[choice] not in having and self._was_set(leaf)
        ]
        if mistakes:
            raise ValidationError.from_exception_data("TrialConfig", mistakes)
        return self

    def __getitem__(self, leaf: str) -> Any:
        """Value of the leaf with the dotted path ``leaf``; KeyError if there is none."""
        value: Any = self
        for key in leaf.split("."):
            if not isinstance(value, BaseModel) or key not in type(value).model_fields:
                raise KeyError(leaf)
            value = getattr(value, key)
        return value

    def flat(self) -> dict[str, Any]:
        """Every leaf that applies, by dotted path: what a record of this config should show."""
        return {leaf: self[leaf] for leaf in leaf_paths() if applies(leaf, {}, self)}

    def to_plain(self) -> dict[str, Any]:
        """Nested plain data of every leaf that applies: what a config file would say, and reads back equal."""
        return _nested({leaf: list(v) if isinstance(v, tuple) else v for leaf, v in self.flat().items()})

    def replace(self, values: Mapping[str, Any]) -> TrialConfig:
        """A validated copy with leaves changed.

        A leaf that was set here for a choice which ``values`` replaces (momentum, when the optimiser becomes
        adam) is left out; one named in ``values`` that does not apply is an error, as in a config file.

        Args:
            values: New values by dotted path.

        Raises:
            ValidationError: A value breaks a rule, or a path names no leaf.
        """
        merged = {leaf: self[leaf] for leaf in leaf_paths() if self._was_set(leaf)} | dict(values)
        for leaf, (choice, having) in APPLIES_TO.items():
            if leaf not in values and merged.get(choice, self[choice]) not in having:
                merged.pop(leaf, None)
        return TrialConfig.model_validate(_nested(merged))

    @property
    def structure(self) -> tuple[Any, ...]:
        """Equal for two configs exactly if they can be members of one population."""
        return tuple(self[leaf] for leaf in sorted(STRUCTURAL))

    @property
    def task(self) -> Literal["classification", "regression"]:
        """What kind of target the loss is for."""
        return "regression" if self.loss == "mse" else "classification"

    def _was_set(self, leaf: str) -> bool:
        value: BaseModel = self
        *parents, last = leaf.split(".")
        for key in parents:
            if key not in value.model_fields_set:
                return False
            value = getattr(value, key)
        return last in value.model_fields_set


def leaf_paths(model: type[BaseModel] = TrialConfig, prefix: str = "") -> list[str]:
    """Dotted path of every leaf of ``model``, in the order of the declaration."""
    paths: list[str] = []
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            paths += leaf_paths(kind, f"{prefix}{name}.")
        else:
            paths.append(prefix + name)
    return paths


def accepts_fractions(leaf: str) -> bool:
    """Whether ``leaf`` holds real numbers, as opposed to whole numbers, words or lists."""
    annotation: Any = TrialConfig
    for key in leaf.split("."):
        annotation = annotation.model_fields[key].annotation
    return annotation is float


def is_number(leaf: str) -> bool:
    """Whether ``leaf`` holds a number, real or whole."""
    return isinstance(TrialConfig()[leaf], (int, float))


def applies(leaf: str, choices: Mapping[str, Any], otherwise: TrialConfig) -> bool:
    """Whether ``leaf`` means anything when ``choices`` replace the ones of ``otherwise``."""
    choice, having = APPLIES_TO.get(leaf, ("", frozenset()))
    return not choice or choices.get(choice, otherwise[choice] if choice else None) in having


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Turn {"optimizer.lr": 1} into {"optimizer": {"lr": 1}}."""
    nested: dict[str, Any] = {}
    for path, value in flat.items():
        *parents, last = path.split(".")
        inner = nested
        for key in parents:
            inner = inner.setdefault(key, {})
        inner[last] = value
    return nested
