"""TableModel: what a study is for. Raw rows in, predictions out, in one folder that anybody can load.

    model.json           how outputs become predictions, names, versions, a few rows as an example
    schema.json          the raw columns and their kinds
    preparation.skops    scikit-learn's fitted preparation, without pickle
    network.pt           the network's state dict, read with weights_only=True

Nothing in the folder can run code when it is loaded. A row's numbers depend on the row alone, not on the rows beside
it, the process, its threads or the kind of CPU: ``TableModel.outputs`` says how.

>>> model = TableModel.load(folder)                                     # doctest: +SKIP
>>> model.predict(pandas.DataFrame([{"age": 31, "city": "Lyon"}]))       # doctest: +SKIP
  prediction  probability_no  probability_yes
0        yes            0.12             0.88
"""

from __future__ import annotations

import copy
import datetime
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from torch import nn

from trainables import plain_network
from trainables.averaging import MEANINGS
from trainables.data.config import CsvConfig
from trainables.data.dataset import Dataset
from trainables.data.preparation import Preparation
from trainables.data.reading import Reading, without
from trainables.data.types import few, plain_table
from trainables.errors import DataError, Problem
from trainables.model_facts import Facts
from trainables.plain_network import Architecture, Average
from trainables.records import PredictionInterval
from trainables.training import PopulationTraining
from trainables.visible import visible_json

# Rows that go through the network at once: what layers of 1 000 units make of them is 32 MB, and well above the few
# hundred below which a chunk's cost is overhead.
CHUNK_ROWS = 4096

MODEL_FILE, NETWORK_FILE = "model.json", "network.pt"


@dataclass(frozen=True)
class TableModel:
    """A trained network with everything that raw rows need to get through it.

    Attributes:
        preparation: Raw columns to ``[N, D]``.
        network: ``[B, D]`` to ``[B, C]``, in evaluation mode on the CPU.
        facts: How outputs become predictions, and what is good to know.
    """

    preparation: Preparation
    network: nn.Module
    facts: Facts

    @classmethod
    def from_training(
        cls,
        networks: Sequence[tuple[PopulationTraining, int]],
        dataset: Dataset,
        preparation: Preparation,
        *,
        name: str,
        target: str,
        shares: Sequence[float] = (),
        temperature: float = 1.0,
        threshold: float = 0.5,
        prediction_interval: PredictionInterval | None = None,
        null_values: Sequence[str] = (),
        example: pa.Table | None = None,
        versions: Mapping[str, str] | None = None,
    ) -> TableModel:
        """The model of one network, or of the mean of several.

        Args:
            networks: Of each the population that it is a member of, at the weights to keep, and its index there.
            dataset: That they were trained on, for the target's names and units.
            preparation: That made the dataset's rows.
            name: The study's name.
            target: Name of the target column.
            shares: What each network counts for; none where there is one.
            temperature: Divides outputs before they become probabilities.
            threshold: The probability from which on a row is said to be of the second of two classes.
            prediction_interval: What holds the true number of a share of new rows.
            null_values: Texts of a CSV file that mean a missing value, beside the usual ones.
            example: A few raw rows.
            versions: The libraries' versions, by name.
        """
        first, member = networks[0]
        architectures = [Architecture.of(t.configs[k].network, t.network.layer_sizes) for t, k in networks]
        modules = [
            plain_network.from_population(training.network, k, architecture)
            for (training, k), architecture in zip(networks, architectures, strict=True)
        ]
        facts = Facts(
            name=name,
            target=target,
            loss=first.configs[member].loss,
            metric=first.metric,
            architecture=architectures[0],
            class_names=dataset.class_names,
            target_mean=dataset.scaling.mean,
            target_scale=dataset.scaling.scale,
            target_transform=dataset.scaling.transform,
            temperature=temperature,
            threshold=threshold,
            prediction_interval=0.0 if prediction_interval is None else prediction_interval.share,
            half_width=0.0 if prediction_interval is None else prediction_interval.half_width,
            null_values=tuple(null_values),
            example=tuple(as_json_rows(example.select(preparation.schema.names()))) if example is not None else (),
            versions=dict(versions or {}),
            others=tuple(architectures[1:]),
            shares=tuple(shares),
        )
        network = Average(modules, facts.shares, MEANINGS[facts.loss]) if shares else modules[0]
        return cls(preparation, network, facts)

    def predict(self, rows: pd.DataFrame | pa.Table, path: str = "rows") -> pd.DataFrame:
        """Predict from raw rows.

        Args:
            rows: N rows with the columns of the training table, in any order; others are left out. Missing values and
                categories that training rows did not have are fine.
            path: What the rows are called in messages.

        Returns:
            ``prediction`` (the class as text, or a number in the target's units) and, where the loss gives them,
            ``probability_CLASS`` for each class, or where an interval was asked for its ends, ``lower`` and ``upper``;
            ``[N, 1 or 1 + C or 3]``, in the order of the rows, and with the labels of a frame's.

        Raises:
            DataError: A column is missing, or holds values that are not of its kind; with all such columns.
        """
        table = rows if isinstance(rows, pa.Table) else self._as_table(rows, path)
        found = self.interpret(self.outputs(self.prepare(table, path)))
        # So that what is put beside other rows of that frame, or into it, is of the same row.
        return found.set_axis(rows.index, axis="index") if isinstance(rows, pd.DataFrame) else found

    def prepare(self, table: pa.Table, path: str = "rows") -> NDArray[np.float32]:
        """Raw rows to what the network takes, ``[N, D]``.

        Raises:
            DataError: As ``predict`` says.
        """
        schema = self.preparation.schema
        schema.require(table.column_names, path)
        table = without(plain_table(table.select(schema.names())), self.reading.given.null_values)
        nested = [column.name for column in schema.columns if pa.types.is_nested(table.column(column.name).type)]
        if nested:
            raise DataError([_problem(path, name, "a list or an object", "one value in each row") for name in nested])
        try:
            return self.preparation.transform(table, path)
        except pa.ArrowException as error:
            fix = f"write numbers, text, dates or true/false ({(str(error).splitlines() or [''])[0]})"
            raise DataError([Problem(path, few(schema.names()), "values that can be read", fix)]) from error

    @property
    def reading(self) -> Reading:
        """How files of rows are read: as the training file was."""
        known = self.preparation.schema.reading
        if known.types:
            return known
        # Models of earlier versions know the texts that mean missing, and which columns have text.
        given = CsvConfig(null_values=self.facts.null_values)
        columns = self.preparation.schema.columns
        texts = [column.name for column in columns if (column.kind, column.storage) == ("categorical", "text")]
        return Reading(given, types=dict.fromkeys(texts, "text"))

    @torch.no_grad()
    def outputs(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Prepared rows ``[N, D]`` through the network: ``[N, C]``.

        In float64, rounded to float32 at the end. Matrix kernels sum in an order that depends on the number of rows,
        their place in memory, the threads and the CPU; in float32 a row alone had other last digits than in a file.
        """
        parts = [np.empty((0, self.facts.architecture.layer_sizes[-1]), np.float32)]
        for start in range(0, len(inputs), CHUNK_ROWS):
            chunk = torch.from_numpy(inputs[start : start + CHUNK_ROWS].astype(np.float64))
            parts.append(self._exact(chunk).float().numpy())
        return np.concatenate(parts)

    @cached_property
    def _exact(self) -> nn.Module:
        """The network in float64."""
        return copy.deepcopy(self.network).double()

    def interpret(self, outputs: NDArray[np.float32]) -> pd.DataFrame:
        """Outputs ``[N, C]`` as predictions; see ``predict``."""
        facts = self.facts
        scores = outputs.astype(np.float64)
        if not facts.class_names:
            numbers = facts.scaling.restore(scores[:, 0])
            ends = (-facts.half_width, facts.half_width) if facts.prediction_interval else ()
            columns = (numbers, *(numbers + end for end in ends))
            return pd.DataFrame(dict(zip(facts.prediction_columns, columns, strict=True)))
        chosen = (outputs[:, 0] > 0).astype(np.int64) if outputs.shape[1] == 1 else outputs.argmax(axis=1)
        shares = _probabilities(scores / facts.temperature) if facts.has_probabilities else None
        if shares is not None and facts.threshold != 0.5:
            chosen = (shares[:, 1] >= facts.threshold).astype(np.int64)
        names = pd.Series(np.asarray(facts.class_names, dtype=object)[chosen], dtype="str")
        named = {"prediction": names}
        if shares is not None:
            named |= dict(zip(facts.prediction_columns[1:], shares.T, strict=True))
        return pd.DataFrame(named)

    def require_probabilities(self) -> None:
        """See to it that predictions say how sure they are.

        Raises:
            DataError: They do not.
        """
        if not self.facts.has_probabilities:
            rule = "a loss with probabilities: cross_entropy or binary_cross_entropy"
            of_classes = "take predict, or search with trial.loss"
            fix = of_classes if self.facts.class_names else "take predict, since a number has none"
            raise DataError([Problem("model", self.facts.loss, rule, fix)])

    def require_interval(self) -> None:
        """See to it that predictions have ends.

        Raises:
            DataError: They do not.
        """
        if not self.facts.prediction_interval:
            rule, fix = "a model with an interval around its numbers", "search with model.prediction_interval: 0.9"
            raise DataError([Problem("model", self.facts.target, rule, fix)])

    def save(self, folder: Path) -> None:
        """Write into a folder, which is made if need be."""
        folder.mkdir(parents=True, exist_ok=True)
        text = visible_json(self.facts.to_json(), indent=1)
        (folder / MODEL_FILE).write_text(text, encoding="utf-8")
        self.preparation.save(folder)
        torch.save(self.state(), folder / NETWORK_FILE)

    def state(self) -> dict[str, torch.Tensor]:
        """The network's weights and running statistics by name: a plain dict of tensors."""
        return dict(self.network.state_dict())

    @classmethod
    def load(cls, folder: Path) -> TableModel:
        """Read what ``save`` wrote; no code can run.

        Raises:
            DataError: The folder holds no model, or one that this version cannot read.
        """
        try:
            facts = Facts.from_json(json.loads((folder / MODEL_FILE).read_text(encoding="utf-8")))
            preparation = Preparation.load(folder)
            network = facts.build()
            state = torch.load(folder / NETWORK_FILE, map_location="cpu", weights_only=True)
            network.load_state_dict(state)
        # What skops and torch say to a type that they do not know, or to half a file, is an exception of any kind.
        except Exception as error:
            rule, fix = f"a folder with a model ({MODEL_FILE}, schema.json, ...)", "check the path"
            reason = (str(error).splitlines() or [""])[0] or type(error).__name__
            raise DataError([Problem("model", str(folder), rule, f"{fix}, or export it again: {reason}")]) from error
        return cls(preparation, network, facts)

    def _as_table(self, frame: pd.DataFrame, path: str) -> pa.Table:
        """The schema's columns of a data frame, whatever its own types are."""
        schema = self.preparation.schema
        names = [str(name) for name in frame.columns]
        schema.require(names, path)
        counts, places = Counter(names), {name: at for at, name in enumerate(names)}
        repeated = [name for name in schema.names() if counts[name] > 1]
        if repeated:
            fix = "leave one of each"
            raise DataError([Problem(path, few(repeated), "column names that differ", fix)])
        columns, problems = {}, []
        for column in schema.columns:
            try:
                columns[column.name] = _as_arrow(frame.iloc[:, places[column.name]])
            except (pa.ArrowException, OverflowError, TypeError):
                rule = f"values of one type, as column {column.name} had in training ({column.kind})"
                problems.append(_problem(path, column.name, "values of several types", rule))
        if problems:
            raise DataError(problems)
        return pa.table(columns)


def as_json_rows(table: pa.Table) -> list[dict[str, Any]]:
    """Rows as JSON has them: dates as text, what is missing as None."""
    return [{name: _as_json(value) for name, value in row.items()} for row in table.to_pylist()]


def _as_json(value: Any) -> Any:
    if isinstance(value, datetime.date | datetime.datetime | datetime.time):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        # As a column of durations is read: in seconds.
        value = value.total_seconds()
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _as_arrow(values: pd.Series[Any]) -> pa.Array:
    """A column of any type; text where its values are of several."""
    if values.dtype == object and not _has_lists(values):
        kinds = {type(value) for value in values if not pd.isna(value)}
        if len(kinds) > 1 and kinds <= {str, int, float, bool}:
            values = values.map(_as_text, na_action="ignore")
    return pa.array(values, from_pandas=True)


def _has_lists(values: pd.Series[Any]) -> bool:
    return any(isinstance(value, list | dict | tuple | np.ndarray) for value in values)


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value)


def _problem(path: str, column: str, found: str, rule: str) -> Problem:
    return Problem(path, f"column {column}: {found}", rule, "mend the values")


def _probabilities(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """``[N, C]`` logits, or the ``[N, 1]`` of class 1 of two, to ``[N, C or 2]`` probabilities."""
    if logits.shape[1] == 1:
        logits = np.hstack([np.zeros_like(logits), logits])
    return np.asarray(softmax(logits, axis=1))
