"""Typed columns to the float32 matrix that a network takes, fitted on training rows only.

scikit-learn's transformers do it, one pipeline per kind of column, joined by a ``ColumnTransformer``:

    numeric            median where missing, then scaled, and bins beside it; a flag column where values are missing
    boolean            likewise, without bins
    categorical        one column per category; beyond a limit, mean target (out of fold for training rows) or hashing
    date               days and places in the cycles that vary, then as numeric
    text               its words, each hashed into a column

A category that training rows do not have is all zeros one-hot, and the mean of all targets where targets encode.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import TypeAdapter

from trainables.data import doubts
from trainables.data.columns import MISSING, Column
from trainables.data.config import PreparationConfig
from trainables.data.reading import AS_JSON, Reading
from trainables.data.schema import Schema
from trainables.data.targets import Task

# Statistics of more rows than this change in digits that mean nothing, take float64 copies of them all, and cost half
# of the time of loading (a median sorts). A category rarer than one in this many is like one that nobody has seen.
FIT_ROWS = 200_000
# Rows transformed at a time: 50 columns of float64 and their copies on the way stay below 200 MB.
CHUNK_ROWS = 100_000
# Cells per chunk: wide tables take fewer rows.
CHUNK_CELLS = 10_000_000
# Quantiles of a quantile scaling: scikit-learn's default, a step of 0.1 %.
QUANTILES = 1_000
# Excess kurtosis beyond which ``auto`` takes quantiles: an exponential distribution has 6; what is beyond has values so
# far out that the others, standardised, lie in a heap (docs/performance/models.md, "Preparation").
HEAVY_TAILS = 6.0
# Bins of a column and of all columns together, where nobody says: more than 32 gain little, and a first layer of a
# thousand inputs costs as much as ten layers of 128 units. Fewer than four a column say little more than the number.
BINS, ALL_BINS, FEWEST_BINS = 32, 1_024, 4
# Numbers that the bins of all training rows may be: 400 MB in float32.
BIN_NUMBERS = 100_000_000
# Training rows from which ``auto`` takes bins: as many as 32 bins of 64 rows need.
BINNED_FROM = 2_048
# What skops may build beside what it trusts by itself (scikit-learn's and numpy's classes): our own transformers, and
# numpy's descriptions of number formats, and what divides rows for out-of-fold means. None of them runs anything.
_TRUSTED = (
    "numpy.dtype",
    "sklearn.model_selection._split.KFold",
    "trainables.data.encoders.DateParts",
    "trainables.data.encoders.HashedCategories",
    "trainables.data.encoders.HashedWords",
    "trainables.data.encoders.PiecewiseLinear",
    "trainables.data.encoders.SignedLog",
    "trainables.data.encoders.SmoothClipping",
)

# Models of earlier versions say less of their columns.
_COLUMNS = TypeAdapter(tuple[Column, ...])

# Edition of the rules by which ``auto`` decides. A study goes on by those that it began with: in the first edition,
# ``auto`` was what ``tails`` is; in the second, bins were never doubted; in the third,
# no target was transformed; in the fourth, a total at the end was a row.
RULES = 5
# Name of the part of the encoder that makes bins.
_BINS = "bins"
_SCHEMA, _ENCODER = "schema.json", "preparation.skops"


@dataclass(frozen=True)
class Preparation:
    """A fitted preparation.

    Attributes:
        schema: The raw columns that it takes.
        encoder: scikit-learn's fitted transformer.
        feature_names: Names of the D columns that it gives.
        notes: What was found out while it was fitted, in words; not saved.
    """

    schema: Schema
    encoder: Any
    feature_names: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def bins(self) -> tuple[int, ...]:
        """Which of the D columns are bins of a number that has a column of its own, too."""
        own = self.encoder.output_indices_.get(_BINS, slice(0, 0))
        return tuple(range(own.start, own.stop))

    @property
    def sources(self) -> tuple[str, ...]:
        """Of each of the D columns the raw column that it is made of."""
        found = [""] * len(self.feature_names)
        for part, transformer, columns in self.encoder.transformers_:
            places = self.encoder.output_indices_[part]
            # Without columns of a kind there is none of its transformers; what is left over is dropped.
            if part != "remainder" and places.stop > places.start:
                widths = _widths(transformer, len(columns), places.stop - places.start)
                found[places] = [str(name) for name, n in zip(columns, widths, strict=True) for _ in range(n)]
        return tuple(found)

    def transform(self, table: pa.Table, path: str = "data") -> NDArray[np.float32]:
        """Prepare rows: raw columns to ``[N, D]``.

        Args:
            table: Rows; columns beyond the schema are left out.
            path: The table's config key, for messages.

        Raises:
            DataError: A column is missing or holds values that are not of its kind.
        """
        prepared = np.empty((table.num_rows, len(self.feature_names)), dtype=np.float32)
        for start, frame in _chunks(self.schema, table, path):
            prepared[start : start + len(frame)] = self.encoder.transform(frame)
        return prepared

    def unseen(self, table: pa.Table, path: str = "data") -> dict[str, tuple[int, str]]:
        """Categories of rows that none of the rows had on which this was fitted, by column: in how many rows, and one.

        A network knows nothing of them. Hashed columns have none: all of their values are alike.

        Args:
            table: As for ``transform``.
            path: Likewise.

        Raises:
            DataError: As of ``transform``.
        """
        known = dict(self._categories())
        found: dict[str, tuple[int, str]] = {}
        for _, frame in _chunks(self.schema, table, path):
            for name, categories in known.items():
                new = frame[name][~frame[name].isin(categories) & (frame[name] != MISSING)]
                if len(new):
                    rows, value = found.get(name, (0, str(new.iloc[0])))
                    found[name] = (rows + len(new), value)
        return found

    def _categories(self) -> Iterator[tuple[str, set[Any]]]:
        """The categories of each column that has some of its own."""
        for part, transformer, columns in self.encoder.transformers_:
            steps = getattr(transformer, "named_steps", {}) if part == "many" else {}
            encoder = transformer if part == "category" else steps.get("targetencoder")
            if encoder is not None:
                for name, categories in zip(columns, encoder.categories_, strict=True):
                    yield str(name), set(categories)

    def save(self, folder: Path) -> None:
        """Write into an existing folder; nothing in the files is a pickle."""
        import skops.io

        content = {
            "columns": [asdict(column) for column in self.schema.columns],
            "reading": AS_JSON.dump_python(self.schema.reading, mode="json"),
            "feature_names": list(self.feature_names),
        }
        (folder / _SCHEMA).write_text(json.dumps(content, indent=1), encoding="utf-8")
        skops.io.dump(self.encoder, folder / _ENCODER)

    @classmethod
    def load(cls, folder: Path) -> Preparation:
        """Read what ``save`` wrote. Types that are neither scikit-learn's nor ours are refused, so no code can run."""
        import skops.io

        content = json.loads((folder / _SCHEMA).read_text(encoding="utf-8"))
        # Models of earlier versions do not say how their files were read.
        reading = AS_JSON.validate_python(content["reading"]) if "reading" in content else Reading()
        schema = Schema(_COLUMNS.validate_python(content["columns"]), reading)
        encoder = skops.io.load(folder / _ENCODER, trusted=list(_TRUSTED))
        return cls(schema, encoder, tuple(content["feature_names"]))


def fit(
    table: pa.Table,
    schema: Schema,
    config: PreparationConfig,
    targets: NDArray[np.int64] | NDArray[np.float64],
    task: Task,
    rules: int = RULES,
) -> tuple[Preparation, NDArray[np.float32]]:
    """Fit on training rows and prepare them.

    Args:
        table: Training rows.
        schema: What its feature columns are.
        config: How.
        targets: ``[N]``, for encoding categories by their mean target.
        task: Whether targets are class indices.
        rules: Edition of the rules by which ``auto`` decides.

    Returns:
        The preparation, and the training rows ``[N, D]``. Categories encoded by targets are out of fold: a row's own
        target is no part of its features.

    Raises:
        DataError: A column holds values that are not of its kind.
    """
    n = table.num_rows
    fitted = np.unique(np.linspace(0, n - 1, min(n, FIT_ROWS), dtype=np.float64).round().astype(np.int64))
    sample = schema.typed(table if len(fitted) == n else table.take(fitted), "data")
    if config.numeric == "auto" and rules == 1:
        config = config.model_copy(update={"numeric": "tails"})
    notes: tuple[str, ...] = ()
    encoder = _make_encoder(sample, schema, config, task, n)
    first = np.asarray(encoder.fit_transform(sample, targets[fitted]), dtype=np.float32)
    may_doubt = config.numeric == "auto" and rules > 2 and _BINS in encoder.named_transformers_
    if may_doubt and (notes := doubts.of_bins(first, targets[fitted], task, n)):
        encoder = _make_encoder(sample, schema, config.model_copy(update={"numeric": "tails"}), task, n)
        first = np.asarray(encoder.fit_transform(sample, targets[fitted]), dtype=np.float32)
    preparation = Preparation(schema, encoder, _names(encoder), notes)
    if len(fitted) == n:
        return preparation, first
    del sample
    # The other rows' targets are no part of what was fitted.
    prepared = preparation.transform(table)
    prepared[fitted] = first
    return preparation, prepared


def _chunks(schema: Schema, table: pa.Table, path: str) -> Iterator[tuple[int, pd.DataFrame]]:
    rows = max(1, min(CHUNK_ROWS, CHUNK_CELLS // max(1, len(schema))))
    for start in range(0, table.num_rows, rows):
        yield start, schema.typed(table.slice(start, rows), path)


def _make_encoder(sample: pd.DataFrame, schema: Schema, config: PreparationConfig, task: Task, rows: int) -> Any:
    """The transformer for a schema and so many training rows, not fitted but for the choices that ``auto`` makes."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import MissingIndicator
    from sklearn.preprocessing import OneHotEncoder

    from trainables.data.encoders import HashedWords

    numeric, boolean = schema.names("numeric"), schema.names("boolean")
    logged = [name for name in numeric if name in config.log]
    scaled = [name for name in numeric if name not in config.log]
    # Two values have one step between them, which a number has by itself.
    stepped = [name for name in scaled if sample[name].nunique() > 2]
    n_bins = min(BINS, ALL_BINS // max(1, len(stepped)), BIN_NUMBERS // (rows * max(1, len(stepped))))
    how = config.numeric
    if how == "auto":
        how = "ple" if stepped and rows >= BINNED_FROM and n_bins >= FEWEST_BINS else "tails"
    by_bins = stepped if how == "ple" else []
    robustly = scaled if how in ("ple", "robust") else []
    by_quantile = [name for name in scaled if how == "quantile" or (how == "tails" and _has_heavy_tails(sample[name]))]
    plainly = [name for name in scaled if name not in {*by_quantile, *robustly}] + boolean
    flagged = [name for name in numeric + boolean if sample[name].isna().any()] if config.missing_flags else []
    few: list[str] = []
    many: list[str] = []
    for name in schema.names("categorical"):
        (few if sample[name].nunique() <= config.one_hot_limit else many).append(name)
    scale = config.numeric != "none"
    parts = [
        ("standard", _numeric_steps("standard" if scale else "none", len(sample)), plainly),
        ("log", _numeric_steps("log" if scale else "log_only", len(sample)), logged),
        ("quantile", _numeric_steps("quantile", len(sample)), by_quantile),
        ("robust", _numeric_steps("robust", len(sample)), robustly),
        (_BINS, _bins_steps(config, task, config.bins or max(2, n_bins)), by_bins),
        ("missing", MissingIndicator(features="all", error_on_new=False), flagged),
        ("category", OneHotEncoder(handle_unknown="ignore", sparse_output=False, dtype=np.float32), few),
        ("many", _many_steps(config, task, len(sample)), many),
        ("date", _date_steps(scale), schema.names("date")),
        ("text", HashedWords(config.hash_columns), schema.names("text")),
    ]
    return ColumnTransformer([part for part in parts if part[2]], sparse_threshold=0, verbose_feature_names_out=True)


def _has_heavy_tails(column: pd.Series[float]) -> bool:
    from scipy.stats import kurtosis

    values, counts = np.unique(column.dropna().to_numpy(), return_counts=True)
    # Beside the most frequent value: a column that is mostly zero (a pixel, a gain) has no tail for that reason alone.
    rest = np.delete(values, counts.argmax()) if len(values) else values
    repeats = np.delete(counts, counts.argmax()) if len(values) else counts
    # Over fewer different values there is nothing between the quantiles.
    return len(rest) > 2 and float(kurtosis(np.repeat(rest, repeats))) > HEAVY_TAILS


def _numeric_steps(how: str, rows: int) -> Any:
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import QuantileTransformer, StandardScaler

    from trainables.data.encoders import SignedLog, SmoothClipping

    steps: list[Any] = [SimpleImputer(strategy="median", keep_empty_features=True)]
    if how in ("log", "log_only"):
        steps.append(SignedLog())
    if how == "quantile":
        # All rows count: scikit-learn would look at 10 000 of them.
        steps.append(
            QuantileTransformer(n_quantiles=min(QUANTILES, rows), output_distribution="normal", subsample=None)
        )
    elif how == "robust":
        steps.append(SmoothClipping())
    elif how in ("standard", "log"):
        steps.append(StandardScaler())
    return make_pipeline(*steps)


def _bins_steps(config: PreparationConfig, task: Task, n_bins: int) -> Any:
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline

    from trainables.data.encoders import PiecewiseLinear

    bins = PiecewiseLinear(n_bins, config.bin_rows, classify=task == "classification")
    return make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), bins)


def _many_steps(config: PreparationConfig, task: Task, rows: int) -> Any:
    from sklearn.model_selection import KFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler, TargetEncoder

    from trainables.data.encoders import HashedCategories

    if config.high_cardinality == "hash":
        return HashedCategories(config.hash_columns)
    kind = "continuous" if task == "regression" else "auto"
    # Five folds are scikit-learn's default.
    out_of_fold = KFold(min(5, rows), shuffle=True, random_state=0)
    return make_pipeline(TargetEncoder(target_type=kind, cv=out_of_fold), StandardScaler())


def _date_steps(scale: bool) -> Any:
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from trainables.data.encoders import DateParts

    imputer = SimpleImputer(strategy="median", keep_empty_features=True)
    return make_pipeline(DateParts(), imputer, *([StandardScaler()] if scale else []))


def _widths(transformer: Any, columns: int, outputs: int) -> list[int]:
    """How many of its outputs a transformer makes of each of its columns, one column's after the other's."""
    from sklearn.preprocessing import OneHotEncoder

    from trainables.data.encoders import DateParts, PiecewiseLinear

    steps = list(getattr(transformer, "named_steps", {"": transformer}).values())
    for step in steps:
        if isinstance(step, DateParts | PiecewiseLinear):
            return step.widths
        if isinstance(step, OneHotEncoder):
            return [len(categories) for categories in step.categories_]
    # As many of each: one, as many as there are hashes, or of target means one for each class.
    return [outputs // columns] * columns


def _names(encoder: Any) -> tuple[str, ...]:
    """Names of the prepared columns: without the part that made them, where they differ all the same."""
    full: Sequence[str] = [str(name) for name in encoder.get_feature_names_out()]
    short = [name.split("__", 1)[1] for name in full]
    return tuple(short) if len(set(short)) == len(short) else tuple(full)
