"""Encoders that scikit-learn does not have in this form, as scikit-learn transformers.

They are saved with skops, which rebuilds an object from its type's name and its attributes: keep attributes plain.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_extraction import FeatureHasher

_SECONDS_PER_DAY = 86_400.0
# Beyond three interquartile ranges (four standard deviations of a normal distribution) a value is far out.
_SMOOTH_BOUND = 3.0
# Calendar cycles: name, and the place in it from 0 to 1, as a function of a pandas .dt accessor.
_CYCLES = ("year", "week", "day")


class DateParts(TransformerMixin, BaseEstimator):
    """Each date column becomes its days since 1970 and, where it varies, its place in the year, week and day.

    A place in a cycle is a sine and a cosine, so that December is next to January. Missing dates give NaN in the days
    and 0, the middle of the circle, in the cycles. Input: datetime64 columns. Output: ``[N, 1 to 7 per column]``.
    """

    def fit(self, X: pd.DataFrame, y: object = None) -> Self:  # noqa: N803 (scikit-learn's name)
        """See which cycles vary in the training rows."""
        self.feature_names_in_ = np.asarray([str(name) for name in X.columns], dtype=object)
        self.n_features_in_ = X.shape[1]
        self.cycles_ = [
            [cycle for cycle in _CYCLES if np.ptp(_phase(X.iloc[:, i], cycle)) > 0] for i in range(X.shape[1])
        ]
        return self

    def transform(self, X: pd.DataFrame) -> NDArray[np.float64]:  # noqa: N803
        """``[N, parts]``."""
        parts: list[NDArray[np.float64]] = []
        for i, cycles in enumerate(self.cycles_):
            dates = X.iloc[:, i]
            days = dates.to_numpy("datetime64[us]").astype("datetime64[us]").astype(np.int64) / 1e6 / _SECONDS_PER_DAY
            gaps = dates.isna().to_numpy()
            parts.append(np.where(gaps, np.nan, days))
            for cycle in cycles:
                angle = 2 * np.pi * _phase(dates, cycle, drop_missing=False)
                parts += [np.where(gaps, 0.0, np.sin(angle)), np.where(gaps, 0.0, np.cos(angle))]
        return np.column_stack(parts) if parts else np.empty((len(X), 0))

    @property
    def widths(self) -> list[int]:
        """Parts of each column."""
        return [1 + 2 * len(cycles) for cycles in self.cycles_]

    def get_feature_names_out(self, input_features: object = None) -> NDArray[Any]:
        """Names of the parts."""
        names = []
        for name, cycles in zip(self.feature_names_in_, self.cycles_, strict=True):
            names.append(f"{name} days")
            names += [f"{name} {cycle} {wave}" for cycle in cycles for wave in ("sin", "cos")]
        return np.asarray(names, dtype=object)


def _phase(dates: pd.Series[Any], cycle: str, *, drop_missing: bool = True) -> NDArray[np.float64]:
    """Place in a cycle, from 0 to 1; missing dates are left out, or stand for the first of 1970."""
    dates = dates.dropna() if drop_missing else dates.fillna(pd.Timestamp(0))
    if dates.empty:
        return np.zeros(1)
    parts = dates.dt
    if cycle == "year":
        place = (parts.day_of_year - 1) / 365.25
    elif cycle == "week":
        place = parts.day_of_week / 7
    else:
        place = (parts.hour * 3600 + parts.minute * 60 + parts.second) / _SECONDS_PER_DAY
    return np.asarray(place, dtype=np.float64)


class _Hashed(TransformerMixin, BaseEstimator):
    """Each column spread over ``n_columns`` columns by hashes: ``[N, columns · n_columns]``."""

    # What stands between a column's name and the number of its hash.
    _mark = ""

    def __init__(self, n_columns: int = 32) -> None:
        self.n_columns = n_columns

    def fit(self, X: pd.DataFrame, y: object = None) -> Self:  # noqa: N803
        """Nothing depends on the data but the columns' names."""
        self.feature_names_in_ = np.asarray([str(name) for name in X.columns], dtype=object)
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X: pd.DataFrame) -> NDArray[np.float64]:  # noqa: N803
        """``[N, columns · n_columns]``."""
        hashed = [self._hash(X.iloc[:, i]) for i in range(X.shape[1])]
        return np.hstack(hashed) if hashed else np.empty((len(X), 0))

    def _hash(self, column: pd.Series[Any]) -> NDArray[np.float64]:
        raise NotImplementedError

    def get_feature_names_out(self, input_features: object = None) -> NDArray[Any]:
        """Names of the columns."""
        names = [f"{name}{self._mark} #{i}" for name in self.feature_names_in_ for i in range(self.n_columns)]
        return np.asarray(names, dtype=object)


class HashedCategories(_Hashed):
    """Each categorical column spread over ``n_columns`` columns by the hash of its value, unseen values included.

    scikit-learn's ``FeatureHasher`` does the hashing, column by column. Output: ``[N, columns · n_columns]``.
    """

    def _hash(self, column: pd.Series[Any]) -> NDArray[np.float64]:
        hasher = FeatureHasher(self.n_columns, input_type="string")
        return np.asarray(hasher.transform([[str(value)] for value in column]).toarray())


class HashedWords(_Hashed):
    """Each text column becomes ``n_columns`` columns: its words' counts by hash, of length 1 together.

    scikit-learn's ``HashingVectorizer`` does it, column by column. A text without words is all zeros.
    Output: ``[N, columns · n_columns]``.
    """

    _mark = " words"

    def _hash(self, column: pd.Series[Any]) -> NDArray[np.float64]:
        from sklearn.feature_extraction.text import HashingVectorizer

        return np.asarray(HashingVectorizer(n_features=self.n_columns).transform(column.astype(str)).toarray())


class SignedLog(TransformerMixin, BaseEstimator):
    """sign(x) · ln(1 + |x|): a logarithm that also takes 0 and negative numbers. ``[N, D]`` to ``[N, D]``."""

    def fit(self, X: NDArray[np.float64], y: object = None) -> Self:  # noqa: N803
        """Nothing depends on the data."""
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: N803
        """The logarithm of each number."""
        return np.asarray(np.sign(X) * np.log1p(np.abs(X)))

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """The names as they came."""
        return np.asarray(input_features, dtype=object)


class SmoothClipping(TransformerMixin, BaseEstimator):
    """Robust scaling, then a smooth bound: values far out stay apart and near. ``[N, D]`` to ``[N, D]``.

    A column is centred at its median and divided by its interquartile range, or by half its range where that is 0; then
    x becomes x / √(1 + (x/3)²), which is x itself near 0 and never beyond ±3.
    Source: Holzmüller et al. 2024, "Better by default: strong pre-tuned MLPs and boosted trees on tabular data".
    """

    def fit(self, X: NDArray[np.float64], y: object = None) -> Self:  # noqa: N803
        """Median and spread of each column."""
        self.n_features_in_ = X.shape[1]
        low, self.center_, high = np.quantile(X, [0.25, 0.5, 0.75], axis=0)
        spread, half = high - low, np.ptp(X, axis=0) / 2
        self.scale_ = np.where(spread > 0, spread, np.where(half > 0, half, 1.0))
        return self

    def transform(self, X: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: N803
        """The scaled numbers."""
        scaled = (X - self.center_) / self.scale_
        return np.asarray(scaled / np.sqrt(1 + (scaled / _SMOOTH_BOUND) ** 2))

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """The names as they came."""
        return np.asarray(input_features, dtype=object)


class PiecewiseLinear(TransformerMixin, BaseEstimator):
    """Each column as its place in a row of bins: 1 for the bins below a value, its share of its own bin, 0 above.

    Bins end where a decision tree on the target divides the column, so that there are many where the target changes.
    A network's first layer makes any piecewise-linear function of the column from them, where a plain number gives it a
    line. Each bin's mean over the rows fitted on is taken off: what is 1 in most rows would else hide what differs
    between them. A value outside all bins is like the nearest one within. Output: ``[N, bins of all columns]``.
    Source: Gorishniy et al. 2022, "On embeddings for numerical features in tabular deep learning", section 3.2, where
    the outer bins go on without end and no mean is taken off (docs/performance/models.md, "Preparation").

    Args:
        n_bins: Bins of a column at most.
        min_rows: Rows of a bin at least.
        classify: Whether the target is a class.
    """

    def __init__(self, n_bins: int = 32, min_rows: int = 64, *, classify: bool = True) -> None:
        self.n_bins, self.min_rows, self.classify = n_bins, min_rows, classify

    def fit(self, X: NDArray[np.float64], y: NDArray[Any]) -> Self:  # noqa: N803
        """Find each column's bins."""
        from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

        kind = DecisionTreeClassifier if self.classify else DecisionTreeRegressor
        self.n_features_in_ = X.shape[1]
        self.edges_ = []
        for column in X.T:
            tree = kind(max_leaf_nodes=max(2, self.n_bins), min_samples_leaf=self.min_rows, random_state=0)
            found = tree.fit(column.reshape(-1, 1), y).tree_
            inner = found.threshold[found.feature >= 0]
            self.edges_.append(np.unique(np.concatenate([[column.min()], inner, [column.max()]])))
        self.means_ = self._places(X).mean(axis=0)
        return self

    def transform(self, X: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: N803
        """The places, without their means."""
        return np.asarray(self._places(X) - self.means_)

    def _places(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.hstack([_places(column, edges) for column, edges in zip(values.T, self.edges_, strict=True)])

    @property
    def widths(self) -> list[int]:
        """Bins of each column."""
        return [max(1, len(edges) - 1) for edges in self.edges_]

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """A name for each bin."""
        names = [
            f"{name} bin {number}"
            for name, edges in zip(input_features, self.edges_, strict=True)
            for number in range(1, max(2, len(edges)))
        ]
        return np.asarray(names, dtype=object)


def _places(column: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Places of values ``[N]`` among bins between edges ``[T + 1]``: ``[N, T]``; 0 for a column of one value."""
    if len(edges) == 1:
        return np.zeros((len(column), 1))
    return np.asarray(np.clip((column[:, None] - edges[:-1]) / np.diff(edges), 0.0, 1.0))
