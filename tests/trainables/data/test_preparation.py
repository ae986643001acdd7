"""Preparation: each kind against scikit-learn or a closed form, nothing from rows that it was not fitted on."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.preprocessing import QuantileTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from trainables.data import preparation
from trainables.data.config import ColumnConfig, PreparationConfig
from trainables.data.kinds import infer
from trainables.data.preparation import Preparation
from trainables.errors import DataError

N = 400


def fit(columns, targets=None, task="regression", kinds=None, **config):
    table = pa.table(columns)
    inferred = infer(table, {name: ColumnConfig(kind=kind) for name, kind in (kinds or {}).items()}, "data")
    targets = np.arange(float(table.num_rows)) if targets is None else targets
    fitted, rows = preparation.fit(table, inferred, PreparationConfig(**config), targets, task)
    return fitted, rows


@pytest.fixture
def random():
    return np.random.default_rng(0)


def test_numbers_are_standardised_with_the_median_and_a_flag_where_missing(random):
    values = random.normal(5, 3, N)
    values[::10] = np.nan
    fitted, rows = fit({"a": pa.array(values), "b": random.normal(size=N)}, numeric="standard")
    filled = np.where(np.isnan(values), np.nanmedian(values), values)
    assert rows[:, 0] == pytest.approx(StandardScaler().fit_transform(filled.reshape(-1, 1))[:, 0], rel=1e-5)
    assert fitted.feature_names == ("a", "b", "missingindicator_a")
    assert np.array_equal(rows[:, 2], np.isnan(values))
    without, _ = fit({"a": pa.array(values), "b": random.normal(size=N)}, missing_flags=False)
    assert without.feature_names == ("a", "b")


def test_quantiles_and_logarithm(random):
    skewed = random.lognormal(0, 2, N)
    _, rows = fit({"a": skewed, "b": skewed}, numeric="quantile", log=["b"])
    reference = QuantileTransformer(n_quantiles=N, output_distribution="normal").fit_transform(skewed.reshape(-1, 1))
    assert rows[:, 1] == pytest.approx(reference[:, 0], abs=1e-5)
    logged = np.log1p(skewed).reshape(-1, 1)
    assert rows[:, 0] == pytest.approx(StandardScaler().fit_transform(logged)[:, 0], abs=1e-5)


def test_c3_piecewise_linear_places_are_those_of_the_formula_between_the_thresholds_of_a_tree(random):
    values, classes = random.normal(size=N), random.integers(0, 3, N)
    values[:3] = np.nan
    fitted, rows = fit({"a": pa.array(values)}, classes, "classification", numeric="ple", bins=6, bin_rows=20)
    filled = np.where(np.isnan(values), np.nanmedian(values), values)
    tree = DecisionTreeClassifier(max_leaf_nodes=6, min_samples_leaf=20, random_state=0).fit(filled[:, None], classes)
    edges = [filled.min(), *sorted(t for t in tree.tree_.threshold if t != -2), filled.max()]
    assert len(edges) == 7

    def place(value, low, high):
        return 0 if value < low else 1 if value > high else (value - low) / (high - low)

    expected = np.array([[place(v, low, high) for low, high in itertools.pairwise(edges)] for v in filled])
    assert rows[:, 1:7] == pytest.approx(expected - expected.mean(axis=0), abs=1e-6)
    assert fitted.feature_names == ("a", *(f"a bin {n}" for n in range(1, 7)), "missingindicator_a")
    assert fitted.bins == (1, 2, 3, 4, 5, 6)
    # Beside its bins stands the number, and no value leads far away.
    assert rows[:, 0] == pytest.approx(smoothly_clipped(filled), abs=1e-6)
    far = fitted.transform(pa.table({"a": [1e30, -1e30]}))
    assert abs(far).max() <= 3.0001


def smoothly_clipped(values):
    low, middle, high = np.percentile(values, [25, 50, 75])
    spread = high - low or (values.max() - values.min()) / 2
    x = (values - middle) / spread
    return x / np.sqrt(1 + (x / 3) ** 2)


def test_c3_robust_scaling_goes_by_half_the_range_where_most_values_are_one(random):
    mostly = np.where(random.random(N) < 0.9, 7.0, random.normal(7, 3, N))
    _, rows = fit({"a": mostly, "b": random.standard_t(1, N)}, numeric="robust")
    assert rows[:, 0] == pytest.approx(smoothly_clipped(mostly), abs=1e-6)
    assert abs(rows).max() <= 3


def parts_of(fitted):
    parts = {}
    for part, _, names in fitted.encoder.transformers_:
        for name in names:
            parts.setdefault(name, []).append(part)
    return parts


def test_c3_auto_takes_bins_where_rows_are_enough_and_columns_not_too_many(random):
    rows = 2_048
    many = {f"n{i}": random.normal(size=rows) for i in range(300)}
    columns = {"a": many["n0"], "flag": random.integers(0, 2, rows), "on": random.random(rows) < 0.5}
    kinds = {"flag": "numeric"}
    # Between two values there is nothing that a bin could add.
    of_columns = {"a": ["robust", "bins"], "flag": ["robust"], "on": ["standard"]}
    # Something that there is to learn.
    targets = many["n0"] ** 2
    assert parts_of(fit(columns, targets, kinds=kinds)[0]) == of_columns
    fewer = {name: values[1:] for name, values in columns.items()}
    assert parts_of(fit(fewer, targets[1:], kinds=kinds)[0])["a"] == ["standard"]
    assert not fit(many, targets)[0].bins
    # 1 024 numbers between 100 columns.
    some = fit({name: many[name] for name in list(many)[:100]}, targets)[0]
    assert 300 < len(some.bins) <= 1_000


@pytest.mark.parametrize(
    ("task", "strength", "has_bins"),
    [
        ("classification", 0.0, False),
        ("classification", 3.0, True),
        ("regression", 0.0, False),
        ("regression", 1.0, True),
    ],
)
def test_e1_auto_leaves_bins_out_where_they_teach_nothing_but_noise(random, task, strength, has_bins):
    """Of 3.8 % positives and a weak signal: with 135 bins a linear model knew new rows less than their mean."""
    rows = 4_000
    columns = {name: random.normal(size=rows) for name in "abcde"}
    told = strength * columns["a"] + random.normal(size=rows)
    targets = (told > np.quantile(told, 0.96)).astype(np.int64) if task == "classification" else told
    fitted, prepared = fit(columns, targets, task)
    assert bool(fitted.bins) == has_bins
    assert prepared.shape[1] == len(fitted.feature_names)
    assert [note.startswith("numbers have no bins beside them") for note in fitted.notes] == [True] * (not has_bins)
    # As the second edition of the rules had it, by which studies go on that began so; the first had no bins at all.
    table, schema = pa.table(columns), fitted.schema
    of_second, of_first = (
        preparation.fit(table, schema, PreparationConfig(), targets, task, rules)[0] for rules in (2, 1)
    )
    assert of_second.bins
    assert not of_first.bins
    if not has_bins:
        assert fitted.feature_names == of_first.feature_names


def test_auto_takes_quantiles_for_heavy_tails_only(random):
    pixel = np.where(random.random(N) < 0.95, 0.0, random.integers(1, 17, N))
    fitted, _ = fit(
        {"heavy": random.standard_t(1, N), "light": random.normal(size=N), "flat": random.random(N), "pixel": pixel}
    )
    parts = {name: part for part, _, names in fitted.encoder.transformers_ for name in names}
    assert parts == {"heavy": "quantile", "light": "standard", "flat": "standard", "pixel": "standard"}
    # Whatever comes later, it stays within what was seen.
    far = fitted.transform(pa.table({"heavy": [1e30], "light": [0.0], "flat": [0.5], "pixel": [0]}))
    assert abs(far).max() < 6


def test_preparation_can_be_switched_off(random):
    values = random.normal(5, 3, N)
    assert fit({"a": values}, numeric="none")[1][:, 0] == pytest.approx(values, rel=1e-6)
    assert fit({"a": values}, numeric="none", log=["a"])[1][:, 0] == pytest.approx(
        np.sign(values) * np.log1p(abs(values)), rel=1e-5
    )


def test_categories_one_column_each_missing_is_one_and_the_unseen_is_none():
    fitted, rows = fit({"town": ["Bonn", "Kiel", None, "Bonn"] * 5, "n": [1, 2, 3, 4] * 5})
    assert fitted.feature_names == ("n", "town_(missing)", "town_Bonn", "town_Kiel")
    assert rows[:3, 1:].tolist() == [[0, 1, 0], [0, 0, 1], [1, 0, 0]]
    assert fitted.transform(pa.table({"town": ["Ulm"], "n": [1]}))[0, 1:].tolist() == [0, 0, 0]


def test_e1_categories_that_no_training_row_had_are_found_by_column(random):
    """Of few categories, of many by mean target, and of none where they are hashed; a gap is no category."""
    columns = {"few": ["a", "b", "c"] * 100, "many": [f"v{i % 60}" for i in range(300)], "x": random.normal(size=300)}
    rows = pa.table({"few": ["a", "d", None, "e"], "many": ["v1", "v99", "v98", None], "x": [0.0, 1.0, None, 99.0]})
    for kind, expected in (("target", {"few": (2, "d"), "many": (2, "v99")}), ("hash", {"few": (2, "d")})):
        fitted, _ = fit(columns, high_cardinality=kind, one_hot_limit=10)
        assert fitted.unseen(rows) == expected
        assert fitted.unseen(pa.table(columns)) == {}


def test_many_categories_by_mean_target_out_of_fold(random):
    """Pure noise has nothing to leak through: a row's own target is no part of its feature."""
    codes = [f"code {i}" for i in random.integers(0, 200, N)]
    targets = random.normal(size=N)
    fitted, rows = fit({"code": codes}, targets, one_hot_limit=10)
    assert rows.shape == (N, 1)
    assert abs(np.corrcoef(rows[:, 0], targets)[0, 1]) < 0.2
    leaky = fitted.transform(pa.table({"code": codes}))
    assert np.corrcoef(leaky[:, 0], targets)[0, 1] > 0.5
    unseen = fitted.transform(pa.table({"code": ["never seen"]}))
    assert np.isfinite(unseen).all()


@pytest.mark.parametrize(("classes", "width"), [(2, 1), (4, 4)])
def test_many_categories_for_classes(random, classes, width):
    codes = random.integers(0, 50, N)
    fitted, rows = fit({"code": codes}, codes % classes, "classification", {"code": "categorical"}, one_hot_limit=10)
    assert rows.shape == (N, width)
    # Each code is always of one class: its encoding tells which, on rows that were not fitted on as well.
    later = fitted.transform(pa.table({"code": codes}))
    assert (later.argmax(axis=1) == codes % classes).mean() == 1 or (width == 1 and len(np.unique(later > 0)) == 2)


def test_many_categories_hashed_take_unseen_values_too(random):
    codes = [f"code {i}" for i in random.integers(0, 200, N)]
    fitted, rows = fit({"code": codes}, one_hot_limit=10, high_cardinality="hash", hash_columns=8)
    assert rows.shape == (N, 8)
    assert (abs(rows).sum(axis=1) == 1).all()
    assert abs(fitted.transform(pa.table({"code": ["never seen"]}))).sum() == 1
    assert fitted.feature_names[:2] == ("code #0", "code #1")


def test_dates_become_days_and_the_cycles_that_vary():
    days = pd.date_range("2024-01-01", periods=366, freq="D")
    fitted, rows = fit({"d": pa.array(days)}, numeric="none")
    assert fitted.feature_names == ("d days", "d year sin", "d year cos", "d week sin", "d week cos")
    assert rows[:, 0] == pytest.approx((days - pd.Timestamp(0)).days)
    assert np.hypot(rows[:, 1], rows[:, 2]) == pytest.approx(1, abs=1e-6)
    # 31 December is next to 1 January, and Sunday to Monday.
    assert np.linalg.norm(rows[0, 1:3] - rows[365, 1:3]) < 0.02
    assert rows[7, 3:] == pytest.approx(rows[0, 3:], abs=1e-6)
    hours, _ = fit({"t": pa.array(pd.date_range("2024-01-01", periods=24, freq="h"))})
    assert "t day sin" in hours.feature_names
    gaps = fitted.transform(pa.table({"d": pa.array([None], pa.timestamp("us"))}))
    assert gaps[0, 1:].tolist() == [0, 0, 0, 0]
    assert np.isfinite(gaps).all()


def mixed(random, n=N):
    return {
        "a": random.normal(size=n),
        "heavy": random.standard_t(1, n),
        "town": random.choice(["Bonn", "Kiel", "Ulm"], n),
        "code": [f"c{i}" for i in random.integers(0, 90, n)],
        "yes": random.random(n) < 0.5,
        "day": pa.array(pd.date_range("2024-01-01", periods=n, freq="7h")),
    }


def test_a_saved_preparation_gives_the_same_numbers_and_holds_no_pickle(tmp_path, random):
    for high, numeric in (("target", "tails"), ("hash", "ple")):
        fitted, _ = fit(mixed(random), high_cardinality=high, log=["a"], numeric=numeric)
        fitted.save(tmp_path)
        again = Preparation.load(tmp_path)
        table = pa.table(mixed(random, 50))
        assert np.array_equal(again.transform(table), fitted.transform(table))
        assert again.feature_names == fitted.feature_names
        assert again.schema == fitted.schema
    assert b"pickle" not in (tmp_path / "preparation.skops").read_bytes()


def test_d7_a_preparation_that_would_run_code_is_refused(tmp_path, random):
    import functools

    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    fitted, _ = fit(mixed(random))
    fitted.save(tmp_path)
    skops.io.dump(functools.partial(print, "ran"), tmp_path / "preparation.skops")
    with pytest.raises(UntrustedTypesFoundException):
        Preparation.load(tmp_path)


def test_tables_larger_than_what_is_fitted_on_are_prepared_in_chunks(random, monkeypatch):
    columns = mixed(random)
    whole, rows = fit(columns)
    monkeypatch.setattr(preparation, "CHUNK_ROWS", 7)
    assert np.array_equal(whole.transform(pa.table(columns)), whole.transform(pa.table(columns).slice(0, N)))
    monkeypatch.setattr(preparation, "FIT_ROWS", 100)
    part, sampled = fit(columns)
    assert sampled.shape[0] == N
    # 100 evenly spread rows know the mean of 400 to a few tenths of a deviation.
    assert abs(sampled[:, 0].mean()) < 0.3
    assert sampled[:, 0] == pytest.approx(part.transform(pa.table(columns))[:, 0], abs=1e-6)
    assert rows.shape[0] == N


def test_names_that_would_meet_keep_the_part_that_made_them():
    fitted, _ = fit({"a_x": [1, 2, 3, 4], "a": ["x", "y", "x", "y"]})
    assert fitted.feature_names == ("standard__a_x", "category__a_x", "category__a_y")


def test_d2_rows_of_another_kind_are_refused(random):
    fitted, _ = fit(mixed(random))
    with pytest.raises(DataError, match="lacks code, yes"):
        fitted.transform(pa.table(mixed(random)).drop_columns(["code", "yes"]))


@pytest.mark.parametrize("task", ["regression", "classification"])
@pytest.mark.parametrize(
    "config",
    [
        {"numeric": "ple", "bins": 5, "bin_rows": 10, "one_hot_limit": 5},
        {"numeric": "quantile", "log": ["b"], "one_hot_limit": 5, "high_cardinality": "hash", "hash_columns": 4},
        {"numeric": "none", "missing_flags": False},
    ],
    ids=str,
)
def test_each_feature_is_of_the_column_that_it_changes_with(random, config, task):
    """The oracle: rows with another row's value in one column, and which of the prepared features differ."""
    days = pd.Timestamp("2020-01-01") + pd.to_timedelta(random.integers(0, 2_000 * 24, N), unit="h")
    columns = {
        "a": pa.array([None if n % 9 == 0 else float(value) for n, value in enumerate(random.normal(size=N))]),
        "a_b": random.normal(size=N),
        "b": random.lognormal(size=N),
        "when": pa.array(days.to_numpy()),
        "yes": random.random(N) < 0.5,
        "few": random.choice(["x", "y", "z"], N),
        "a_few": random.choice(["x", "y"], N),
        "many": random.choice([f"v{n}" for n in range(9)], N),
        "more": random.choice([f"w{n}" for n in range(8)], N),
        "words": [" ".join(random.choice(["red", "green", "blue", "old", "new"], 3)) for _ in range(N)],
    }
    targets = random.normal(size=N) if task == "regression" else random.integers(0, 3, N)
    fitted, _ = fit(columns, targets, task, kinds={"words": "text"}, **config)
    assert len(fitted.sources) == len(fitted.feature_names)
    table = pa.table(columns)
    before = fitted.transform(table)
    # Of a few words most hashes are of none.
    varies = before.std(axis=0) > 0
    for place, name in enumerate(columns):
        other = table.set_column(place, name, table.column(name).take(pa.array(random.permutation(N))))
        changed = (fitted.transform(other) != before).any(axis=0)
        assert changed.any()
        assert (np.array([source == name for source in fitted.sources]) & varies).tolist() == changed.tolist()
