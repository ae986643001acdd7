"""TrialConfig: everything one training run needs, validated at birth and frozen.

A leaf of the config is named by its dotted path (``optimizer.lr``); search spaces, MLflow parameters and the
command line's ``--set`` all use these names. What the choices are, and which leaves belong to them, is in
``choices.py``.

>>> config = TrialConfig().replace({"optimizer.lr": 0.01})
>>> config.optimizer.lr
0.01
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping
from operator import attrgetter
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from trainables.choices import (
    APPLIES_TO,
    CLASSIFIES,
    LIKELIHOODS,
    NOISE,
    OPTIMIZER_DEFAULTS,
    REGULARIZATION_OFF,
    SCHEDULE_DEFAULTS,
    SCHEDULE_OFF,
    STRUCTURAL,
    ActivationName,
    InitName,
    LossName,
    NormalizationName,
    OptimizerName,
    ScheduleName,
)

Model = TypeVar("Model", bound=BaseModel)
_Reader = Callable[["TrialConfig"], Any]

# Always in the same order.
_STRUCTURAL = tuple(sorted(STRUCTURAL))

# With gradients and Adam's two moments a network of this size takes 3.2 GB in float32, and every worker has one.
MOST_WEIGHTS = 200_000_000


class FrozenModel(BaseModel):
    """Unknown keys, NaN and infinity are refused; instances cannot be changed."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _fill(model: Model, defaults: Mapping[str, float]) -> Model:
    """Put ``defaults`` where nothing was set. They do not count as set: with another choice others take their place."""
    for name, value in defaults.items():
        if name not in model.model_fields_set:
            model.__dict__[name] = value
    return model


class NetworkConfig(FrozenModel):
    """The multilayer perceptron."""

    # More than 65 536 units in a layer or 100 layers is a typing error, and would ask for gigabytes.
    hidden_sizes: Annotated[tuple[Annotated[int, Field(ge=1, le=65_536)], ...], Field(max_length=100)] = Field(
        default=(128, 128, 128), description="Units of each hidden layer, first to last; [] is a linear model."
    )
    activation: ActivationName = Field(default="relu", description="Nonlinearity after each hidden layer.")
    normalization: NormalizationName = Field(
        default="none", description="batch_norm: normalise each unit over the batch, before the activation."
    )
    # Both as in torch.nn.BatchNorm1d.
    batch_norm_momentum: float = Field(
        default=0.1, gt=0, le=1, description="Weight of the newest batch in the running statistics (batch_norm)."
    )
    batch_norm_eps: float = Field(default=1e-5, gt=0, description="Added to the batch's variance (batch_norm).")
    negative_slope: float = Field(default=0.01, ge=0, lt=1, description="Slope of leaky_relu for negative inputs.")
    init: InitName = Field(
        default="auto",
        description="Initial weights. auto: xavier for tanh, sigmoid and identity, kaiming for the others.",
    )
    init_std: float = Field(default=0.01, gt=0, description="Standard deviation of gaussian initial weights.")
    # 0.1 brings the untrained loss of a Kaiming network within a few per cent of chance while the gradients
    # of the hidden layers stay large enough to learn from the first step.
    output_scale: float = Field(
        default=0.1, gt=0, description="Factor on the last layer's initial weights; below 1 starts near chance."
    )
    dropout: float = Field(default=0.1, ge=0, lt=1, description="Share of hidden activations dropped in training.")
    dropconnect: float = Field(
        default=0.0, ge=0, lt=1, description="Share of weights dropped in training, one mask per batch."
    )

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
    """The update rule. Which numbers a rule has, APPLIES_TO says; where they start, OPTIMIZER_DEFAULTS."""

    name: OptimizerName = Field(default="adamw", description="Update rule.")
    lr: float = Field(
        default=2e-3,
        gt=0,
        description="Learning rate; the default is that of adamw. The other rules': sgd 0.1, momentum and nesterov "
        "0.01, adagrad 0.03, rmsprop and adam 0.001, adadelta 1.",
    )
    momentum: float = Field(default=0.9, ge=0, lt=1, description="Share of the last step kept (momentum, nesterov).")
    alpha: float = Field(default=0.99, ge=0, lt=1, description="Decay of the mean square of the gradient (rmsprop).")
    rho: float = Field(default=0.9, ge=0, lt=1, description="Decay of both mean squares (adadelta).")
    beta1: float = Field(default=0.9, ge=0, lt=1, description="Decay of the first moment (adam, adamw).")
    beta2: float = Field(default=0.999, ge=0, lt=1, description="Decay of the second moment (adam, adamw).")
    eps: float = Field(
        default=1e-8, gt=0, description="Keeps the division finite; by default adagrad 1e-10, adadelta 1e-6."
    )
    weight_decay: float = Field(
        default=0.1, ge=0, description="Decoupled decay of weights per step, times lr (adamw); biases excluded."
    )

    @model_validator(mode="after")
    def _defaults_of_the_rule(self) -> OptimizerConfig:
        return _fill(self, OPTIMIZER_DEFAULTS[self.name])


class ScheduleConfig(FrozenModel):
    """How the learning rate changes while training. Steps 1 to 3 train at a constant rate."""

    name: ScheduleName = Field(default="cosine", description="Shape of the decay; none keeps the rate.")
    unit: Literal["epochs", "steps"] = Field(
        default="epochs", description="What time is counted in: whole epochs, or parameter updates."
    )
    warmup: int = Field(default=0, ge=0, description="Units in which the rate rises linearly to its full value.")
    every: int = Field(default=10, ge=1, description="Units between two drops (step).")
    factor: float = Field(
        default=0.1, gt=0, lt=1, description="Of a drop (step, default 0.1) or of a unit (exponential, default 0.95)."
    )
    rate: float = Field(default=0.1, gt=0, description="k in 1 / (1 + k t) (inverse_time).")
    end: float = Field(default=0.0, ge=0, lt=1, description="Share of the rate left at the end (linear, cosine).")
    duration: int | None = Field(
        default=None, ge=1, description="Units from full rate to end (linear, cosine); null: the rest of the training."
    )

    @model_validator(mode="after")
    def _defaults_of_the_shape(self) -> ScheduleConfig:
        return _fill(self, SCHEDULE_DEFAULTS.get(self.name, {}))


class RegularizationConfig(FrozenModel):
    """Penalties added to the loss. Biases, and the gains of batch normalisation, are excluded."""

    l1: float = Field(default=0.0, ge=0, description="Adds l1 times the sum of the weights' absolute values.")
    l2: float = Field(default=0.0, ge=0, description="Adds l2/2 times the sum of squared weights.")


class ClippingConfig(FrozenModel):
    """Bounds on the gradient of one network, penalties included; by value first if both are given."""

    value: float | None = Field(default=None, gt=0, description="Largest absolute value of a component; null: off.")
    norm: float | None = Field(
        default=None, gt=0, description="Largest L2 norm over all parameters of a network; null: off."
    )


class TrialConfig(FrozenModel):
    """One hyperparameter configuration: a network, how it is trained, and the seed of its initial weights.

    The defaults are a network that does well on tables of thousands of rows without any search
    (docs/performance/models.md, "The default network").
    """

    network: NetworkConfig = NetworkConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    regularization: RegularizationConfig = RegularizationConfig()
    clipping: ClippingConfig = ClippingConfig()
    loss: LossName = Field(
        default="cross_entropy",
        description="cross_entropy, binary_cross_entropy (two classes) and hinge classify; mse and huber predict a "
        "number (on standardised targets).",
    )
    label_smoothing: float = Field(
        default=0.0, ge=0, lt=1, description="Share of a label given to all classes alike (cross-entropies)."
    )
    class_weights: Literal["none", "balanced"] | tuple[Annotated[float, Field(gt=0)], ...] = Field(
        default="none",
        description="Weight of each class in the loss: balanced (by 1/frequency), or one number per class.",
    )
    huber_delta: float = Field(
        default=1.0, gt=0, description="Error beyond which huber is linear, in standard deviations of the target."
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
        if self.network.normalization == "batch_norm" and self.batch_size == 1:
            rule = "batch_norm needs batches of at least 2 rows: over one row every unit's variance is 0"
            mistakes.append(
                InitErrorDetails(type=PydanticCustomError("batch_of_one", rule), loc=("batch_size",), input=1)
            )
        if mistakes:
            raise ValidationError.from_exception_data("TrialConfig", mistakes)
        return self

    def __getitem__(self, leaf: str) -> Any:
        """Value of the leaf with the dotted path ``leaf``; KeyError if there is none."""
        return _readers()[leaf](self)

    def flat(self) -> dict[str, Any]:
        """Every leaf that applies, by dotted path: what a record of this config should show."""
        return {
            leaf: read(self)
            for leaf, read, choice, having in _readers_and_rules()
            if choice is None or choice(self) in having
        }

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
        merged = {leaf: read(self) for leaf, read in _readers().items() if self._was_set(leaf)} | dict(values)
        for leaf, (choice, having) in APPLIES_TO.items():
            if leaf not in values and merged.get(choice, self[choice]) not in having:
                merged.pop(leaf, None)
        return TrialConfig.model_validate(_nested(merged))

    @property
    def structure(self) -> tuple[Any, ...]:
        """Equal for two configs exactly if they can be members of one population."""
        return tuple(self[leaf] for leaf in _STRUCTURAL)

    @property
    def task(self) -> Literal["classification", "regression"]:
        """What kind of target the loss is for."""
        return "classification" if self.loss in CLASSIFIES else "regression"

    @property
    def gives_probabilities(self) -> bool:
        """Whether softmax or sigmoid of the outputs are probabilities: the loss is a likelihood of classes."""
        return self.loss in LIKELIHOODS

    def without_regularization(self) -> TrialConfig:
        """The same with everything off that regularises (REGULARIZATION_OFF)."""
        return self.replace({leaf: off for leaf, off in REGULARIZATION_OFF.items() if applies(leaf, {}, self)})

    def without_noise(self) -> TrialConfig:
        """The same without masks and label smoothing, decay and penalties as they are."""
        return self.replace({leaf: REGULARIZATION_OFF[leaf] for leaf in NOISE if applies(leaf, {}, self)})

    def at_constant_rate(self) -> TrialConfig:
        """The same without a schedule."""
        return self.replace(SCHEDULE_OFF)

    def _was_set(self, leaf: str) -> bool:
        value: BaseModel = self
        *parents, last = leaf.split(".")
        for key in parents:
            if key not in value.model_fields_set:
                return False
            value = getattr(value, key)
        return last in value.model_fields_set


@functools.cache
def _readers() -> Mapping[str, _Reader]:
    """What reads each leaf. A round reads all of them several times for each of its trials."""
    return {leaf: attrgetter(leaf) for leaf in leaf_paths()}


@functools.cache
def _readers_and_rules() -> tuple[tuple[str, _Reader, _Reader | None, frozenset[Any]], ...]:
    """Each leaf, what reads it, and which values of which choice it applies to; None if to all."""
    rules = ((leaf, read, *APPLIES_TO.get(leaf, (None, frozenset()))) for leaf, read in _readers().items())
    return tuple((leaf, read, choice and attrgetter(choice), having) for leaf, read, choice, having in rules)


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
    return float in _kinds(leaf)


def is_number(leaf: str) -> bool:
    """Whether ``leaf`` holds a number, real or whole (null, which switches it off, aside)."""
    return bool(_kinds(leaf) & {int, float})


def _kinds(leaf: str) -> set[Any]:
    """Types that ``leaf`` may have: the members of a union, without their bounds."""
    annotation: Any = TrialConfig
    for key in leaf.split("."):
        annotation = annotation.model_fields[key].annotation
    parts = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    return {get_args(part)[0] if get_origin(part) is Annotated else part for part in parts}


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
