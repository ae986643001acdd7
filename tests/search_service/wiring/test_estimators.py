"""Estimators: what scikit-learn asks of one, tables of every kind, and a folder without pickle."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from sklearn.utils.estimator_checks import estimator_checks_generator

from search_service import CheckFailedError, InvalidSpecError, SearchClassifier, SearchRegressor, Settings
from search_service.wiring import unrecorded
from trainables.errors import DataError
from trainables.model import TableModel

# A search of a quarter of a second, the same each time.
TINY = {
    "trial.network": {"hidden_sizes": [8]},
    "search_space": {"network.dropout": {"low": 0.0, "high": 0.1}},
    "checks": {
        "on_fail": "warn",
        "overfit_small_sample": {"max_steps": 1, "rows": 2},
        "learning_rates": {"steps": 10, "starts": 1, "candidates": [0.03]},
    },
    "search.coarse": {"max_trials": 16, "max_epochs": 12},
    "search.refined": {"max_trials": 1, "max_epochs": 12},
    "search.max_cycles": 1,
    "search.noise_seeds": 0,
    "search.early_stopping": False,
    "search.population_size": 16,
    "finalists": {"top": 1, "seeds": 1, "folds": None, "baselines": False},
    "model": {"refit": False, "register": False},
}

# What does not apply of scikit-learn's checks. Their point is asked below on a table that can be divided.
_FEW = (
    "it fits on a class with one or two rows, of which training, validation and test rows need one each: fit refuses "
    "with InvalidSpecError, which says so"
)
_OTHER_ROWS = (
    "a row of weight 2 and a row that stands there twice are as good for a loss, but are divided into other training, "
    "validation and test rows, and batches"
)
_OF_WEIGHTS = {"check_sample_weight_equivalence_on_dense_data": _OTHER_ROWS}
DOES_NOT_APPLY = {
    SearchClassifier: dict.fromkeys(
        [
            "check_dict_unchanged",
            "check_dont_overwrite_parameters",
            "check_f_contiguous_array_estimator",
            "check_fit2d_1feature",
            "check_fit2d_predict1d",
            "check_methods_sample_order_invariance",
            "check_methods_subset_invariance",
        ],
        _FEW,
    )
    | _OF_WEIGHTS,
    SearchRegressor: _OF_WEIGHTS,
}
# Asked only where arrays of other libraries are taken for computing (SCIPY_ARRAY_API); here they become tables.
NOT_ASKED = "check_array_api"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def settings(home):
    return {"home": home, "runner": "inline", "record": False, "changes": TINY}


def table(rows=120):
    random = np.random.default_rng(0)
    a = random.normal(size=rows)
    frame = pd.DataFrame(
        {
            "a": a,
            "town": np.where(random.uniform(size=rows) > 0.5, "Bonn", None),
            "day": [datetime.date(2026, 1, 1) + datetime.timedelta(int(i)) for i in random.integers(0, 300, rows)],
        }
    )
    return frame, pd.Series(a, name="amount")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [SearchClassifier, SearchRegressor])
def test_e1_it_is_an_estimator_by_scikit_learns_own_checks(kind, settings):
    asked, failed = 0, dict[str, str]()
    for estimator, check in estimator_checks_generator(kind(**settings)):
        name = check.func.__name__
        if name.startswith(NOT_ASKED):
            continue
        asked += 1
        try:
            check(estimator)
        except Exception as error:
            failed[name] = repr(error)
    assert asked > 45
    # Neither one more, nor one that has come to hold and is still listed.
    assert failed.keys() == DOES_NOT_APPLY[kind].keys(), failed
    assert all("rows of each class" in said for name, said in failed.items() if name not in _OF_WEIGHTS)


def test_e1_what_the_checks_ask_on_too_few_rows_holds_on_enough(settings):
    random = np.random.default_rng(1)
    X = np.asfortranarray(random.normal(size=(90, 1)))  # noqa: N806
    y = np.where(X[:, 0] > 0.3, 10, 9)
    estimator = SearchClassifier(**settings)
    before = estimator.get_params()
    assert estimator.fit(X, y) is estimator
    assert estimator.get_params() == before
    after = dict(vars(estimator))
    shares, order = estimator.predict_proba(X), random.permutation(90)
    assert np.array_equal(estimator.predict_proba(X[order]), shares[order])
    assert np.array_equal(np.vstack([estimator.predict_proba(X[i : i + 1]) for i in range(90)]), shares)
    assert vars(estimator).keys() == after.keys()
    assert all(vars(estimator)[key] is value for key, value in after.items())
    with pytest.raises(ValueError, match="Reshape your data"):
        estimator.predict(X[0])
    # By size, not as text, and of their own type.
    assert estimator.classes_.tolist() == [9, 10]
    assert (estimator.classes_[shares.argmax(axis=1)] == estimator.predict(X)).all()
    assert estimator.score(X, y) > 0.85


@pytest.mark.parametrize("made", [lambda frame: frame, pa.Table.from_pandas], ids=["pandas", "Arrow"])
def test_e1_tables_go_in_as_they_are(made, settings):
    frame, amount = table()
    given = made(frame)
    regressor = SearchRegressor(**settings).fit(given, amount)
    assert regressor.n_features_in_ == 3
    assert regressor.feature_names_in_.tolist() == ["a", "town", "day"]
    assert regressor.model_.facts.target == "amount"
    assert regressor.score(given, amount) > 0.5
    with pytest.raises(ValueError, match="feature names should match"):
        regressor.predict(made(frame[["town", "a", "day"]]))
    with pytest.raises(ValueError, match="missing"):
        regressor.predict(made(frame[["a", "town"]]))


def test_e1_numbers_have_ends_where_they_were_asked_for(settings, tmp_path):
    frame, amount = table()
    asked = settings | {"changes": TINY | {"model": TINY["model"] | {"prediction_interval": 0.8}}}
    regressor = SearchRegressor(**asked).fit(frame, amount)
    ends, said = regressor.predict_interval(frame), regressor.predict(frame)
    assert ends.shape == (len(frame), 2)
    assert ((ends[:, 0] < said) & (said < ends[:, 1])).all()
    regressor.save(tmp_path / "kept")
    assert np.array_equal(SearchRegressor.load(tmp_path / "kept").predict_interval(frame), ends)
    assert not hasattr(SearchRegressor(**settings).fit(frame, amount), "predict_interval")


def test_e1_parameters_reach_the_search_and_clones_are_equal(settings):
    frame, amount = table()
    y = (amount > 0).to_numpy()
    asked = settings | {"metric": "roc_auc", "drop": ["town"], "name": "mine", "random_state": 7}
    first = SearchClassifier(**asked).fit(frame, y)
    spec = first.result_.spec
    assert (spec.objective.metric, spec.data.drop, spec.name, spec.seed) == ("roc_auc", ("town",), "mine", 7)
    assert first.classes_.tolist() == [False, True]
    second = clone(first)
    with pytest.raises(NotFittedError):
        second.predict(frame)
    assert np.array_equal(second.fit(frame, y).predict_proba(frame), first.predict_proba(frame))
    # Where classes say no probabilities, there is no such method.
    hinge = clone(first).set_params(metric=None, changes=TINY | {"trial.loss": "hinge"}).fit(frame, y)
    assert set(hinge.predict(frame)) == {False, True}
    assert not hasattr(hinge, "predict_proba")


@pytest.mark.parametrize("labels", [["", "x"], [" a", "a"], ["NA", "null"], ["1.0", "1"], ["$5", "$1,000"]], ids=str)
def test_e1_classes_are_what_y_says_whatever_they_look_like(labels, settings):
    a = table()[0][["a"]]
    y = np.asarray(labels)[(a["a"] > 0).astype(int)]
    fitted = SearchClassifier(**settings).fit(a, y)
    assert set(fitted.classes_) == set(labels)
    assert fitted.score(a, y) > 0.9
    assert fitted.score(a, fitted.classes_[fitted.predict_proba(a).argmax(axis=1)]) == 1


def test_e1_cross_validation_takes_it(settings):
    frame, amount = table()
    assert (cross_val_score(SearchRegressor(**settings), frame, amount, cv=2) > 0.3).all()


def test_e1_a_folder_without_pickle_is_the_same_estimator(settings, tmp_path):
    frame, amount = table()
    y = np.where(amount > 0, 2, 1)
    fitted = SearchClassifier(**settings, random_state=np.random.RandomState(0)).fit(frame, y)
    fitted.save(tmp_path / "model")
    assert {path.suffix for path in (tmp_path / "model").iterdir()} == {".json", ".skops", ".pt"}
    loaded = SearchClassifier.load(tmp_path / "model")
    assert loaded.classes_.tolist() == [1, 2]
    assert loaded.feature_names_in_.tolist() == list(frame)
    assert loaded.get_params()["changes"] == TINY
    assert np.array_equal(loaded.predict(frame), fitted.predict(frame))
    assert np.array_equal(loaded.predict_proba(frame), fitted.predict_proba(frame))
    # It is a model as any other, and a study's model is an estimator, with names for classes.
    said = TableModel.load(tmp_path / "model").predict(frame)["prediction"]
    assert said.tolist() == [str(one) for one in fitted.predict(frame)]
    of_study = SearchClassifier.load(fitted.result_.places["model"])
    assert of_study.predict(frame).tolist() == said.tolist()
    with pytest.raises(DataError, match="load it as one of classification"):
        SearchRegressor.load(tmp_path / "model")


def test_e1_without_a_model_fit_says_which_step_failed_and_why(settings):
    frame, amount = table()
    stopped = TINY | {"checks": {"overfit_small_sample": {"max_steps": 1}}}
    with pytest.raises(CheckFailedError, match="step 2"):
        SearchClassifier(**settings | {"changes": stopped}).fit(frame, amount > 0)
    with pytest.raises(InvalidSpecError, match="max_trials"):
        SearchRegressor(**settings | {"changes": TINY | {"search.coarse.trials": 3}}).fit(frame, amount)
    with pytest.raises(ValueError, match="NaN"):
        SearchRegressor(**settings).fit(frame, amount.mask(amount > 1))
    with pytest.raises(ValueError, match="both of the same rows"):
        SearchRegressor(**settings).fit(frame, amount[:20])


def test_e1_a_search_without_record_leaves_a_folder_that_can_be_recorded_later(settings, tmp_path):
    frame, amount = table()
    found = SearchRegressor(**settings | {"home": tmp_path}).fit(frame, amount).result_
    assert not (tmp_path / "mlflow.db").exists()
    assert not {"record", "page", "open_record"} & found.places.keys()
    assert found.places["sync"] == f"search-service sync {found.study_id}"
    assert unrecorded(Settings(home=tmp_path)) == [found.study_id]


def test_e1_rows_that_weigh_more_are_learnt_and_rows_without_weight_are_not_there(settings):
    random = np.random.default_rng(2)
    X = random.normal(size=(600, 2))  # noqa: N806
    y = np.where(X[:, 0] > 0, "up", "down")
    wrong = random.permutation(600) < 280
    told = np.where(wrong, np.where(y == "up", "down", "up"), y)
    # All labels are as they were but for those of the rows that weigh a hundredth.
    light = SearchClassifier(**settings).fit(X, told, sample_weight=np.where(wrong, 0.01, 1.0))
    assert light.score(X, y) > 0.9
    assert light.score(X, y) > SearchClassifier(**settings).fit(X, told).score(X, y) + 0.1
    third = np.where(np.arange(600) < 30, "sideways", told)
    absent = SearchClassifier(**settings).fit(X, third, sample_weight=(third != "sideways").astype(float))
    assert absent.classes_.tolist() == ["down", "up"]
    assert absent.n_features_in_ == 2
    assert absent.predict_proba(X).shape == (600, 2)


def test_e1_equal_weights_are_none_and_weights_of_two_places_are_refused(settings):
    frame, amount = table()
    plain = SearchRegressor(**settings).fit(frame, amount).predict(frame)
    assert np.array_equal(
        SearchRegressor(**settings).fit(frame, amount, np.full(len(frame), 7.0)).predict(frame), plain
    )
    frame["sample_weight"] = np.linspace(0.1, 1, len(frame))
    weighted = SearchRegressor(**settings).fit(frame, amount, np.linspace(1, 2, len(frame)))
    assert weighted.feature_names_in_.tolist() == ["a", "town", "day", "sample_weight"]
    assert np.isfinite(weighted.predict(frame)).all()
    twice = SearchRegressor(**settings | {"changes": TINY | {"data.weight": "sample_weight"}})
    with pytest.raises(ValueError, match="given twice"):
        twice.fit(frame, amount, np.linspace(1, 2, len(frame)))
    with pytest.raises(ValueError, match="[Nn]egative"):
        SearchRegressor(**settings).fit(frame, amount, np.linspace(-1, 2, len(frame)))
