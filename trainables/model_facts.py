"""What there is to know of a model beside its preparation and its weights: the content of ``model.json``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, get_args

from pydantic import TypeAdapter
from torch import nn

from trainables.averaging import MEANINGS
from trainables.choices import LIKELIHOODS, LossName
from trainables.data.types import few
from trainables.metrics import MetricName
from trainables.plain_network import Architecture, Average
from trainables.target_scaling import TargetScaling, Transform

# Raised when the meaning of the folder changes; older folders are then refused instead of misread.
FORMAT = 1


@dataclass(frozen=True)
class Facts:
    """What there is to know of a model beside its preparation and its weights.

    Attributes:
        name: The study's name.
        target: Name of the column that it predicts.
        loss: That it was trained with; it decides how outputs become predictions.
        metric: That it was chosen by.
        architecture: Its network's architecture; the first one's where several are averaged.
        others: Those of the other networks of an average.
        shares: What each network of an average counts for, ``architecture`` first; none where there is one network.
        class_names: C names, none where it predicts a number.
        target_mean: Added to a number predicted, after ``target_scale``.
        target_scale: An output is a number of these.
        target_transform: What was done to the target before, both being of its results.
        temperature: Divides outputs before they become probabilities.
        threshold: The probability from which on a row is said to be of the second of two classes.
        prediction_interval: Share of new rows whose true number lies within ``half_width`` of the prediction; 0 where
            nobody asked.
        half_width: In the target's units.
        null_values: Texts of a CSV file that mean a missing value, beside the usual ones.
        example: A few raw rows, as JSON has them.
        versions: Versions of the libraries that it was trained with.
    """

    name: str
    target: str
    loss: LossName
    metric: MetricName
    architecture: Architecture
    class_names: tuple[str, ...] = ()
    target_mean: float = 0.0
    target_scale: float = 1.0
    temperature: float = 1.0
    null_values: tuple[str, ...] = ()
    example: tuple[Mapping[str, Any], ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    others: tuple[Architecture, ...] = ()
    shares: tuple[float, ...] = ()
    threshold: float = 0.5
    prediction_interval: float = 0.0
    half_width: float = 0.0
    target_transform: Transform = "none"

    @property
    def scaling(self) -> TargetScaling:
        """From a number that the network says to the target's own units."""
        return TargetScaling(self.target_mean, self.target_scale, self.target_transform)

    @property
    def networks(self) -> int:
        """Networks of which the outputs are the mean."""
        return 1 + len(self.others)

    def build(self) -> nn.Module:
        """The module in evaluation mode, with weights that mean nothing yet."""
        if not self.shares:
            return self.architecture.build()
        modules = [architecture.build() for architecture in (self.architecture, *self.others)]
        return Average(modules, self.shares, MEANINGS[self.loss])

    @property
    def has_probabilities(self) -> bool:
        """Whether predictions say how sure they are."""
        return self.loss in LIKELIHOODS

    @property
    def prediction_columns(self) -> tuple[str, ...]:
        """Columns of a prediction."""
        if self.prediction_interval:
            return ("prediction", "lower", "upper")
        classes = self.class_names if self.has_probabilities else ()
        return ("prediction", *(f"probability_{name}" for name in classes))

    def to_json(self) -> dict[str, Any]:
        """The text of ``model.json``."""
        content = asdict(self)
        if not self.shares:
            # Versions that know no averages read what is none.
            del content["others"], content["shares"]
        if self.threshold == 0.5:
            # Likewise.
            del content["threshold"]
        if not self.prediction_interval:
            del content["prediction_interval"], content["half_width"]
        if self.target_transform == "none":
            del content["target_transform"]
        return {"format": FORMAT, **content}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Facts:
        """Read what ``to_json`` gave.

        Raises:
            KeyError, TypeError, ValueError: It is something else.
        """
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']!r}, this version reads {FORMAT}")
        if content["loss"] not in get_args(LossName):
            raise ValueError(f"no loss of ours: {content['loss']!r}")
        given = {key: value for key, value in content.items() if key != "format"}
        if unknown := sorted(set(given) - {known.name for known in fields(cls)}):
            raise ValueError(f"unknown entries: {few(unknown)}")
        # Each value has its own type: an export writes the numbers of an architecture into a program.
        facts: Facts = _CHECKED.validate_python(given)
        if facts.shares and (len(facts.shares) != facts.networks or facts.loss not in MEANINGS):
            raise ValueError(f"{len(facts.shares)} shares of {facts.networks} networks, trained with {facts.loss}")
        if not 0 < facts.threshold < 1:
            raise ValueError(f"a threshold of {facts.threshold}, which is no probability")
        share, width = facts.prediction_interval, facts.half_width
        if share and (facts.class_names or not 0 < share < 1 or not 0 <= width < math.inf):
            raise ValueError(f"an interval of {width} for {share}, which is none of a number")
        return facts


_CHECKED = TypeAdapter(Facts)
