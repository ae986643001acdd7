"""DataConfig: which table, which column is the target, how rows are divided."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from trainables.config import FrozenModel


class DataConfig(FrozenModel):
    """The table of a study and its division into training, validation and test rows."""

    source: str | None = Field(
        default=None,
        min_length=1,
        description="A bundled set (digits, breast_cancer, wine, diabetes) or a path to .csv, .parquet or .npz.",
    )
    train: str | None = Field(default=None, min_length=1, description="Instead of source: a file of training rows.")
    validation: str | None = Field(
        default=None, min_length=1, description="With train: a file of validation rows, else split off."
    )
    test: str | None = Field(default=None, min_length=1, description="With train: a file of test rows, else split off.")
    target: str | None = Field(
        default=None,
        description="Column (CSV, Parquet) or array (NPZ, default y) to predict; bundled sets have theirs.",
    )
    # A fifth each is the common choice; the test part must be large enough for its score to mean something.
    validation_fraction: float = Field(default=0.2, gt=0, lt=1, description="Share of the rows that chooses.")
    test_fraction: float = Field(default=0.2, gt=0, lt=1, description="Share of the rows used once, at the end.")
    split_seed: int = Field(default=0, ge=0, description="Decides which rows go where.")
    standardize: bool = Field(
        default=True, description="Scale features to mean 0 and standard deviation 1 of the training rows."
    )

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
