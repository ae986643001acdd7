"""DataConfig: which table, what its columns are, how they are prepared and how the rows are divided."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError, PydanticKnownError

from trainables.config import FrozenModel

ColumnKind = Literal["numeric", "boolean", "categorical", "date", "text"]
Name = Annotated[str, Field(min_length=1)]


class ColumnConfig(FrozenModel):
    """What a column is, where it is not what it looks like; what is not given is found out from its values."""

    kind: ColumnKind | None = Field(
        default=None, description="numeric, boolean, categorical, date, or text (of words); null: found out."
    )
    decimal: Literal[".", ","] | None = Field(
        default=None, description="Between a number's whole part and its fraction; null: found out."
    )
    thousands: Literal["", ",", ".", " ", "'"] | None = Field(
        default=None, description="Between a number's groups of three digits; null: found out."
    )
    format: str | None = Field(
        default=None, min_length=2, description='Of a date, as in strftime: "%d.%m.%Y"; null: found out.'
    )
    null_values: tuple[str | float, ...] = Field(
        default=(), description="Values that mean missing in this column, such as [-999]."
    )

    @property
    def meant(self) -> ColumnKind | None:
        """The kind that is given, by itself or by what only columns of one kind have."""
        if self.kind is None and (self.decimal is not None or self.thousands is not None):
            return "numeric"
        return "date" if self.kind is None and self.format is not None else self.kind

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.decimal is not None and self.decimal == self.thousands:
            raise PydanticCustomError("one_mark", "decimal and thousands must differ: a mark is one of them")
        if (self.decimal is not None or self.thousands is not None) and self.meant != "numeric":
            raise PydanticCustomError("no_number", "decimal and thousands are of numeric columns: remove them or kind")
        if self.format is not None and (self.meant != "date" or "%" not in self.format):
            raise PydanticCustomError("no_date", 'format is of date columns, such as "%d.%m.%Y": mend it, or remove it')
        return self


def _with_kind(given: Any) -> Any:
    """A kind alone, as keys and values."""
    if isinstance(given, dict):
        # After this, a list is one of Python's, where it would be one of JSON's.
        return {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
    if not isinstance(given, str):
        return given
    *others, last = (repr(kind) for kind in get_args(ColumnKind))
    if given not in get_args(ColumnKind):
        raise PydanticKnownError("literal_error", {"expected": f"{', '.join(others)} or {last}"})
    return {"kind": given}


def _shortest(column: ColumnConfig) -> Any:
    given = column.model_dump(mode="json", exclude_defaults=True)
    return column.kind if set(given) == {"kind"} else given


# In a config, a kind alone may stand for keys and values.
ColumnGiven = Annotated[
    ColumnConfig,
    BeforeValidator(_with_kind),
    PlainSerializer(_shortest),
    WithJsonSchema(
        {"anyOf": [{"enum": list(get_args(ColumnKind)), "type": "string"}, ColumnConfig.model_json_schema()]}
    ),
]


class CsvConfig(FrozenModel):
    """How a CSV file (or a sheet) is written; what is not given is found out from its first lines."""

    delimiter: str | None = Field(
        default=None, min_length=1, max_length=1, description="Character between columns; null: found out."
    )
    encoding: str | None = Field(default=None, min_length=1, description="Such as utf-8 or latin-1; null: found out.")
    header: bool | None = Field(
        default=None, description="Whether the first line names the columns; null: unless it holds only numbers."
    )
    skip_rows: int = Field(default=0, ge=0, description="Lines before the one that names the columns, such as a title.")
    skip_last_rows: int | None = Field(
        default=None,
        ge=0,
        description="Rows at the end to leave out; null: none, and a total there is refused.",
    )
    skip_initial_space: bool | None = Field(
        default=None,
        description="Whether blanks behind a delimiter are no part of a value, as in `a, b`; null: found out.",
    )
    sheet: str | None = Field(default=None, min_length=1, description="Of an Excel file; null: the first.")
    decimal_point: Literal[".", ","] | None = Field(
        default=None, description="Between a number's whole part and its fraction; null: found out."
    )
    null_values: tuple[str, ...] = Field(
        default=(),
        description='Texts that mean missing in any file, beside a CSV file\'s empty cell, NA, ...; such as ["?"].',
    )
    usual_null_values: bool = Field(
        default=True, description="Whether NA, NaN, null, ... mean missing; false: an empty cell and null_values only."
    )


class PreparationConfig(FrozenModel):
    """From columns to the numbers that a network takes. Everything is fitted on training rows only."""

    numeric: Literal["auto", "ple", "robust", "standard", "quantile", "tails", "none"] = Field(
        default="auto",
        description="ple: a number beside its place in bins that a decision tree on the target finds (piecewise-linear "
        "encoding). robust: by median and interquartile range, then smoothly bounded. standard: mean 0, standard "
        "deviation 1. quantile: to a normal distribution by rank. tails: quantile for columns with heavy tails, "
        "standard for the others. auto: ple from 2 048 training rows on, unless columns are very many or a linear "
        "model with bins explains nothing of rows that it has not seen, else tails. "
        "none: as they are.",
    )
    bins: int | None = Field(
        default=None,
        ge=2,
        le=256,
        description="Bins of a column at most (ple); null: 32, or as few as keep all columns' together at about 1 024.",
    )
    bin_rows: int = Field(default=64, ge=1, description="Training rows of a bin at least (ple).")
    log: tuple[Name, ...] = Field(
        default=(), description="Numeric columns taken as sign(x) · ln(1 + |x|) first, then scaled by standard."
    )
    # One column per value beyond a few dozen makes the first layer wide and its weights rarely trained.
    one_hot_limit: int = Field(
        default=32, ge=1, le=10_000, description="Categories up to which a column becomes one column per category."
    )
    high_cardinality: Literal["target", "hash"] = Field(
        default="target",
        description="Beyond one_hot_limit. target: the mean target of the category, out of fold for training rows. "
        "hash: spread over hash_columns columns.",
    )
    hash_columns: int = Field(
        default=32, ge=2, le=4_096, description="Columns that a hashed column, or one of kind text, becomes."
    )
    missing_flags: bool = Field(
        default=True, description="A column of 0 and 1 beside each numeric column that has missing values."
    )


class DataConfig(FrozenModel):
    """The table of a study and its division into training, validation and test rows."""

    source: str | None = Field(
        default=None,
        min_length=1,
        description="A bundled set (digits, breast_cancer, wine, diabetes), openml:NAME or openml:ID, or a path or URL "
        "(https, s3, gs, ...) of a .csv, .tsv, .tab, .txt, .data, .psv, .parquet, .feather, .arrow, .json, .jsonl, "
        ".ndjson, .npz, .xlsx, .xls or .ods file, of one with .gz, .zst or .bz2 behind, or a folder of Parquet files.",
    )
    train: str | None = Field(default=None, min_length=1, description="Instead of source: a file of training rows.")
    validation: str | None = Field(
        default=None, min_length=1, description="With train: a file of validation rows, else split off."
    )
    test: str | None = Field(default=None, min_length=1, description="With train: a file of test rows, else split off.")
    target: str | None = Field(
        default=None,
        description="Column (in NPZ an array, default y) to predict; bundled sets and OpenML have theirs.",
    )
    task: Literal["classification", "regression"] | None = Field(
        default=None,
        description="What is predicted; null: by the loss or the metric if given, else text, true/false and whole "
        "numbers of at most 20 different values are classes.",
    )
    csv: CsvConfig = CsvConfig()
    columns: dict[str, ColumnGiven] = Field(
        default={},
        description="Columns that are not what they look like: {zip: categorical}, or with how their values are "
        'written: {price: {kind: numeric, thousands: ","}}.',
    )
    drop: tuple[Name, ...] = Field(default=(), description="Columns that are not features.")
    target_transform: Literal["auto", "none", "sqrt", "log"] = Field(
        default="auto",
        description="What networks learn instead of a number: its square root or ln(1 + |x|), with its sign. "
        "Predictions and scores stay in its own units. auto: sqrt where no value is below 0 and the skewness above 2.",
    )
    missing_target: Literal["refuse", "drop"] = Field(
        default="refuse", description="Rows whose target is missing: an error, or left out."
    )
    preparation: PreparationConfig = PreparationConfig()

    split: Literal["auto", "random", "stratified", "grouped", "time"] = Field(
        default="auto",
        description="How rows are divided. auto: by group or time if given, else stratified for classes and random "
        "for numbers.",
    )
    group: str | None = Field(
        default=None, min_length=1, description="Column whose equal values stay on one side (grouped); no feature."
    )
    time: str | None = Field(
        default=None, min_length=1, description="Column by which later rows validate and test (time); no feature."
    )
    weight: str | None = Field(
        default=None, min_length=1, description="Column of row weights, numbers above 0; no feature."
    )
    # A fifth each is the common choice; the test part must be large enough for its score to mean something.
    validation_fraction: float = Field(
        default=0.2, gt=0, lt=1, description="Share of the rows for choosing configurations."
    )
    test_fraction: float = Field(
        default=0.2, gt=0, lt=1, description="Share of the rows for the final test, used once."
    )
    split_seed: int = Field(default=0, ge=0, description="Decides which rows go where.")
    strict: bool = Field(
        default=False, description="Suspicious things in the table (leaks, ids, constant columns) are errors."
    )

    @property
    def division(self) -> Literal["auto", "grouped", "time", "random", "stratified"]:
        """The split asked for; a group or time column asks for its own."""
        if self.split != "auto":
            return self.split
        return "grouped" if self.group else "time" if self.time else "auto"

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.source is None) == (self.train is None):
            raise PydanticCustomError("one_source", "give exactly one of source (split for you) and train (your files)")
        if self.train is None and (self.validation or self.test):
            raise PydanticCustomError("files_without_train", "validation and test files need a train file beside them")
        if self.validation_fraction + self.test_fraction >= 1:
            raise PydanticCustomError(
                "no_training_rows", "validation_fraction + test_fraction must be below 1, to leave training rows"
            )
        return self

    @model_validator(mode="after")
    def _roles_fit(self) -> Self:
        for split, column in (("grouped", "group"), ("time", "time")):
            if self.split == split and getattr(self, column) is None:
                raise PydanticCustomError(
                    "split_without_column",
                    "split: {split} needs {column}: the column to divide by",
                    {"split": split, "column": column},
                )
        for split, column in (("grouped", "group"), ("time", "time")):
            if getattr(self, column) is not None and self.split not in ("auto", split):
                raise PydanticCustomError(
                    "split_against_column",
                    "split: {split} does not divide by {column}: leave split out, or put the column into drop",
                    {"split": self.split, "column": column},
                )
        if self.group is not None and self.time is not None:
            raise PydanticCustomError("two_divisions", "give group or time, not both: rows are divided by one of them")
        roles = [name for name in (self.target, self.group, self.time, self.weight) if name is not None]
        twice = {name for name in roles if roles.count(name) > 1} | (set(roles) & set(self.drop))
        if twice:
            raise PydanticCustomError(
                "two_roles",
                "{name} has two roles; target, group, time, weight and drop exclude each other",
                {"name": sorted(twice)[0]},
            )
        return self
