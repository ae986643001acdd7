"""A search as an estimator of scikit-learn: ``fit`` searches and keeps the model, in pipelines and cross-validation.

    classifier = SearchClassifier(runner="inline").fit(frame, labels)
    classifier.predict(others), classifier.score(others, their_labels)
    classifier.save("model")                                # no pickle; SearchClassifier.load("model")

X goes through ``search`` as it is: text, gaps and dates are the search's to prepare. Which of scikit-learn's checks do
not hold, and why, is a list in the tests.

Reference: https://scikit-learn.org/stable/developers/develop.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, column_or_1d, validate_data

from search_service.errors import CheckFailedError
from search_service.wiring.searching import SearchResult, search
from trainables.data import frames
from trainables.errors import DataError, Problem
from trainables.model import TableModel
from trainables.visible import visible_json

# Beside the model's own files: what only the estimator knows.
ESTIMATOR_FILE = "estimator.json"


class _SearchEstimator(BaseEstimator):
    """What classifier and regressor share."""

    _task: ClassVar[str]

    def __init__(
        self,
        *,
        metric: str | None = None,
        minutes: float | None = None,
        drop: Sequence[str] = (),
        changes: Mapping[str, Any] | None = None,
        name: str | None = None,
        home: str | Path | None = None,
        runner: str = "ray",
        record: bool = True,
        show: bool = False,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.metric = metric
        self.minutes = minutes
        self.drop = drop
        self.changes = changes
        self.name = name
        self.home = home
        self.runner = runner
        self.record = record
        self.show = show
        self.random_state = random_state

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """The class, or the number, of each row, ``[N]``.

        Args:
            X: N rows with the columns of ``fit``, in any of its types.

        Raises:
            NotFittedError: ``fit`` comes first.
            ValueError: Other columns than those of ``fit``.
            DataError: A column holds values that are not of its kind.
        """
        found = self._predicted(X)["prediction"]
        if self._task == "regression":
            return np.asarray(found)
        at = pd.Index(self._names).get_indexer(found)
        if (at < 0).any():
            raise RuntimeError(f"the model says {found[at < 0].iloc[0]!r}, which is no class of {self._names}")
        return np.asarray(self.classes_[at])

    def save(self, folder: str | Path) -> None:
        """Write the model and what ``load`` needs into a folder, without pickle; ``TableModel.load`` reads it, too.

        Raises:
            NotFittedError: ``fit`` comes first.
        """
        check_is_fitted(self)
        self.model_.save(Path(folder))
        given = self.get_params(deep=False)
        if isinstance(given["random_state"], np.random.RandomState):
            del given["random_state"]
        content = {
            "task": self._task,
            "params": given,
            "columns": self._columns,
            "named": hasattr(self, "feature_names_in_"),
            "classes": self.classes_.tolist() if self._task == "classification" else [],
            "names": getattr(self, "_names", []),
        }
        (Path(folder) / ESTIMATOR_FILE).write_text(visible_json(json.loads(json.dumps(content, default=str)), indent=1))

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """A fitted estimator from what ``save`` wrote, or from the model's folder of any study of its task.

        Of a study's folder, the features are the columns that its model takes and the classes their names.

        Raises:
            DataError: The folder holds no model, or one of the other task.
        """
        model = TableModel.load(Path(folder))
        task = "classification" if model.facts.class_names else "regression"
        if task != cls._task:
            raise DataError([Problem("model", str(folder), f"a model of {cls._task}", f"load it as one of {task}")])
        path = Path(folder) / ESTIMATOR_FILE
        names, classes = model.preparation.schema.names(), list(model.facts.class_names)
        content: dict[str, Any] = {"params": {}, "columns": names, "named": True, "classes": classes, "names": classes}
        if path.exists():
            content |= json.loads(path.read_text(encoding="utf-8"))
        loaded = cls(**content["params"])
        loaded.model_, loaded.result_ = model, None
        loaded._columns, loaded.n_features_in_ = list(content["columns"]), len(content["columns"])
        if content["named"]:
            loaded.feature_names_in_ = np.asarray(content["columns"], dtype=object)
        if task == "classification":
            loaded.classes_, loaded._names = np.asarray(content["classes"]), content["names"]
        return loaded

    def _checked(
        self,
        X: Any,  # noqa: N803
        y: Any,
        sample_weight: Any,
    ) -> tuple[pa.Table, NDArray[Any], NDArray[np.float64] | None]:
        """X as a table, y as N values, none of them missing, and weights above 0, by scikit-learn's rules."""
        if y is None:
            raise ValueError(f"This {type(self).__name__} estimator requires y to be passed, but the target y is None")
        table = self._as_table(X, reset=True)
        values = column_or_1d(y.to_pandas() if isinstance(y, pa.Array | pa.ChunkedArray) else y, warn=True)
        if gaps := int(pd.isna(values).sum()):
            raise ValueError(f"Input y contains NaN: {gaps} values are missing")
        if len(values) != table.num_rows:
            raise ValueError(f"X has {table.num_rows} rows, y {len(values)} values; give both of the same rows")
        weights = self._weights(sample_weight, table.num_rows)
        if weights is None:
            return table, np.asarray(values), None
        # A row without weight is not there.
        counts = weights > 0
        return table.filter(pa.array(counts)), np.asarray(values)[counts], weights[counts]

    def _fit(self, table: pa.Table, target: pd.Series[Any], weights: NDArray[np.float64] | None) -> Self:
        """Search; ``target`` has N values and the name of their column, ``weights`` N numbers above 0, or is None."""
        seed = {} if self.random_state is None else {"seed": self._seed()}
        columns, weight = table.column_names, {}
        if weights is not None:
            name = _unused("sample_weight", (*columns, target.name))
            table, weight = table.append_column(name, pa.array(weights)), {"data.weight": name}
        found = search(
            table,
            target,
            metric=self.metric,
            minutes=self.minutes,
            drop=self.drop,
            changes={"data.task": self._task} | weight | seed | dict(self.changes or {}),
            name=self.name,
            home=self.home,
            runner=self.runner,
            record=self.record,
            show=self.show,
        )
        self.model_: TableModel = _require_model(found)
        self.result_: SearchResult | None = found
        self._columns: list[str] = columns
        return self

    def _weights(self, given: Any, n: int) -> NDArray[np.float64] | None:
        """Weights of N rows, ``[N]``; None where all count alike."""
        if given is None:
            return None
        asked = (self.changes or {}).get("data.weight")
        if asked is not None:
            raise ValueError(f"weights are given twice: sample_weight, and data.weight: {asked} among the changes")
        weights = np.asarray(_check_sample_weight(given, np.empty((n, 1)), dtype=np.float64, ensure_non_negative=True))
        return None if (weights == weights[0]).all() else weights

    def _seed(self) -> int:
        if isinstance(self.random_state, int | np.integer):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _predicted(self, X: Any) -> pd.DataFrame:  # noqa: N803
        check_is_fitted(self)
        # Names were compared; where one side has none, columns go by their place.
        return self.model_.predict(self._as_table(X, reset=False).rename_columns(self._columns))

    def _as_table(self, X: Any, *, reset: bool) -> pa.Table:  # noqa: N803
        """X as an Arrow table, its number and names of columns noted or compared."""
        least = 2 if reset else 1
        if hasattr(X, "__arrow_c_stream__") and hasattr(X, "columns"):
            table = frames.as_table(X)[0]
            # Columns of pandas may be called by numbers, which are no names to scikit-learn.
            validate_data(self, X if isinstance(X, pd.DataFrame) else table, reset=reset, skip_check_array=True)
            if table.num_rows < least or not table.num_columns:
                raise ValueError(f"X of shape {table.shape}: at least {least} rows and a column are needed")
            return table
        rows = validate_data(self, X, reset=reset, dtype=None, ensure_all_finite="allow-nan", ensure_min_samples=least)
        return frames.as_table(rows)[0]

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.target_tags.required = True
        return tags


def _has_probabilities(estimator: SearchClassifier) -> bool:
    if hasattr(estimator, "model_") and not estimator.model_.facts.has_probabilities:
        raise AttributeError("trained with a loss without probabilities: take predict, or search with trial.loss")
    return True


class SearchClassifier(ClassifierMixin, _SearchEstimator):
    """The best network that a search finds for labelled rows, as a classifier of scikit-learn.

    Args:
        metric: What is optimised, as ``objective.metric``; ``score`` is accuracy all the same, as of every classifier.
        minutes: That ``fit`` takes, as ``search.minutes``.
        drop: Columns that are no features.
        changes: Keys of the config with their values, such as ``{"search.coarse.max_trials": 8}`` for the budget, or
            ``{"trial.class_weights": "balanced"}``.
        name: The study's; by default the target's.
        home: Folder for studies and their record; by default as the environment says, else ``runs``.
        runner: Where trials run: ``ray``, or ``inline`` (in this process).
        record: False: no record in MLflow, only the study's folder, which is a good deal quicker for small searches.
        show: Whether progress is shown.
        random_state: The search's seed; None: the config's, which is 0.

    Attributes:
        classes_: C classes, in their order.
        model_: The model, raw rows in, predictions out.
        n_features_in_: Columns of X.
        feature_names_in_: Their names, where X had any.
        result_: What was searched and found, of ``search``; None after ``load``.
    """

    _task = "classification"

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:  # noqa: N803
        """Search for the best network.

        Args:
            X: N rows: a NumPy array ``[N, D]``, or a data frame of pandas, Polars or Arrow.
            y: Their N classes: text, whole numbers, or true and false.
            sample_weight: N numbers of at least 0: a row of weight 3 counts as three, in losses, checks and scores
                (``data.weight``); None: all alike.

        Raises:
            ValueError: X or y are no such thing, by scikit-learn's rules.
            InvalidSpecError: The table or a parameter cannot be used; every mistake found.
            CheckFailedError: No model came out: a step of the recipe failed; says which, and why.
            OutsideError: Ray broke, or MLflow cannot be reached.
        """
        table, values, weights = self._checked(X, y, sample_weight)
        check_classification_targets(values)
        classes, index = np.unique(values, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(f"y has one class only, {classes[0]!r}; a classifier needs at least two classes")
        texts = np.asarray([str(one) for one in classes], dtype=object)
        if len(set(texts)) < len(texts) or not all(text.strip() for text in texts):
            texts = np.asarray([f"class {at}" for at in range(len(classes))], dtype=object)
        self._fit(table, pd.Series(texts[index], name=_name_of(y), dtype="str"), weights)
        self.classes_, self._names = classes, texts.tolist()
        return self

    @available_if(_has_probabilities)  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """Probability of each class, ``[N, C]``, in the order of ``classes_``.

        Raises:
            NotFittedError, ValueError, DataError: As ``predict``.
        """
        found = self._predicted(X)
        shares: NDArray[np.float64] = found[[f"probability_{name}" for name in self._names]].to_numpy()
        return shares


def _has_interval(estimator: SearchRegressor) -> bool:
    if hasattr(estimator, "model_") and not estimator.model_.facts.prediction_interval:
        raise AttributeError('fit with changes={"model.prediction_interval": 0.9}, or another share of rows')
    return True


class SearchRegressor(RegressorMixin, _SearchEstimator):
    """The best network that a search finds for rows with a number, as a regressor of scikit-learn.

    Args:
        metric: What is optimised, as ``objective.metric``; ``score`` is R² all the same, as of every regressor.
        minutes: That ``fit`` takes.
        drop: As ``SearchClassifier``, and likewise the others.
        changes: Keys of the config with their values.
        name: The study's.
        home: Folder for studies and their record.
        runner: Where trials run.
        record: Whether MLflow has the study.
        show: Whether progress is shown.
        random_state: The search's seed.

    Attributes:
        model_: The model, and likewise the others of ``SearchClassifier``, but for ``classes_``.
    """

    _task = "regression"

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:  # noqa: N803
        """Search for the best network.

        Args:
            X: N rows, as ``SearchClassifier.fit``.
            y: Their N finite numbers.
            sample_weight: As ``SearchClassifier.fit``.

        Raises:
            ValueError, InvalidSpecError, CheckFailedError, OutsideError: As ``SearchClassifier.fit``.
        """
        table, column, weights = self._checked(X, y, sample_weight)
        values = column.astype(np.float64)
        if not np.isfinite(values).all():
            raise ValueError("Input y contains NaN or infinity; y is a finite number in each row")
        return self._fit(table, pd.Series(values, name=_name_of(y)), weights)

    @available_if(_has_interval)  # type: ignore[untyped-decorator]
    def predict_interval(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """Lower and upper end for each row, ``[N, 2]``, where ``model.prediction_interval`` was asked for.

        Raises:
            NotFittedError, ValueError, DataError: As ``predict``.
        """
        ends: NDArray[np.float64] = self._predicted(X)[["lower", "upper"]].to_numpy()
        return ends


def _unused(name: str, names: Sequence[Any]) -> str:
    """The name, longer where there is such a one."""
    while name in names:
        name += "_"
    return name


def _name_of(y: Any) -> str:
    return str(getattr(y, "name", None) or frames.TARGET)


def _require_model(found: SearchResult) -> TableModel:
    if "model" not in found.places:
        raise CheckFailedError(
            f"no model came out: the study {found.study_id} {found.result.status}: {found.result.reason}"
        )
    return found.model
