"""A target of numbers is transformed and scaled for networks, and everything that is said of it is in its own units."""

import numpy as np
import pandas as pd
import pytest
import sklearn.preprocessing
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainables.data.config import DataConfig
from trainables.data.dataset import load, read
from trainables.errors import DataError
from trainables.metrics import METRICS
from trainables.scores import SCORES
from trainables.target_scaling import TargetScaling, choose, skewness
from trainables.trivial import TrivialPredictor

TRANSFORMS = ("none", "sqrt", "log")


@pytest.mark.parametrize("transform", TRANSFORMS)
@given(values=st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=20).filter(lambda found: np.std(found) > 1e-3))
def test_a2_what_is_scaled_comes_back(transform, values):
    own = np.array(values)
    scaling = TargetScaling.fit(own, transform=transform)
    scaled = scaling.apply(own)
    assert scaling.restore(scaled) == pytest.approx(own, rel=1e-6, abs=1e-6 * np.abs(own).max())
    assert scaling.restore(torch.from_numpy(scaled)).numpy() == pytest.approx(scaling.restore(scaled), rel=1e-12)


def test_a2_the_transforms_are_the_square_root_and_the_logarithm_with_their_sign_then_standardised():
    own, weights = np.array([-8.0, 0.0, 1.0, 100.0]), np.array([1.0, 2.0, 1.0, 3.0], np.float32)
    signed = {"none": own, "sqrt": np.sign(own) * abs(own) ** 0.5, "log": np.sign(own) * np.log(1 + abs(own))}
    for transform, expected in signed.items():
        reference = sklearn.preprocessing.StandardScaler().fit(expected[:, None], sample_weight=weights)
        scaled = TargetScaling.fit(own, weights, transform).apply(own)
        assert scaled == pytest.approx(reference.transform(expected[:, None])[:, 0], rel=1e-12)


def test_a2_a_network_that_diverges_says_a_finite_number():
    outputs = torch.tensor([-1e30, 1e30])
    said = TargetScaling(2.0, 3.0, "log").restore(outputs)
    assert said.isfinite().all()
    assert (said.sign().tolist(), said.abs().min().item() > 1e38) == ([-1.0, 1.0], True)


def test_d2_auto_takes_the_square_root_of_what_has_a_long_tail_and_no_values_below_zero():
    random = np.random.default_rng(0)
    prices = random.lognormal(size=5000)
    assert skewness(prices) == pytest.approx(float(pd.Series(prices).skew()), rel=1e-2)
    assert choose(prices) == "sqrt"
    assert choose(prices - 1) == choose(-prices) == choose(random.normal(5.0, size=5000)) == "none"
    assert choose(np.zeros(3)) == "none"


@pytest.fixture
def skewed(tmp_path):
    """The path of a table whose target has a few very large values, and the target."""
    random = np.random.default_rng(1)
    x = random.normal(size=(400, 3))
    target = np.exp(x @ [1.0, -0.5, 0.3] + 0.3 * random.normal(size=400)) * 1000
    pd.DataFrame(x, columns=list("abc")).assign(price=target).to_csv(tmp_path / "prices.csv", index=False)
    return str(tmp_path / "prices.csv"), target


def test_d2_what_auto_did_is_said_and_none_undoes_it(skewed):
    path, target = skewed
    found = read(DataConfig(source=path, target="price"))
    (note,) = [note for note in found.notes if note.startswith("target price: ")]
    assert "square root" in note
    assert "data.target_transform: none" in note
    plain = read(DataConfig(source=path, target="price", target_transform="none"))
    assert not any("square root" in note for note in plain.notes)
    for loaded, transform in ((found, "sqrt"), (plain, "none")):
        dataset = loaded.dataset
        assert dataset.scaling.transform == transform
        rows = [*dataset.train.targets, *dataset.validation.targets, *loaded.test_rows.targets]
        assert np.sort(dataset.scaling.restore(np.array(rows))) == pytest.approx(np.sort(target), rel=1e-4)
        assert dataset.train.targets.std() == pytest.approx(1, rel=1e-5)
    # A study that began by an earlier edition of the rules goes on by it.
    assert read(DataConfig(source=path, target="price"), rules=3).dataset.scaling.transform == "none"


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_a11_who_ignores_the_inputs_says_the_mean_in_the_targets_own_units(skewed, transform):
    path, _ = skewed
    dataset, _ = load(DataConfig(source=path, target="price", target_transform=transform))
    said, true = (dataset.scaling.restore(part.targets) for part in (dataset.train, dataset.validation))
    expected = np.sqrt(np.mean((true - said.mean()) ** 2))
    trivial = TrivialPredictor.of(dataset)
    assert trivial.constant_score("rmse", dataset.validation) == pytest.approx(expected, rel=1e-4)
    expected = np.mean(np.abs(true - np.median(said)))
    assert trivial.constant_score("mae", dataset.validation) == pytest.approx(expected, rel=1e-3)


def test_a11_a_perfect_network_has_no_error_whatever_the_transform():
    targets = torch.randn(20, generator=torch.Generator().manual_seed(0))
    for transform in TRANSFORMS:
        for name in ("rmse", "mae", "r2"):
            score = SCORES[name](targets.view(1, -1, 1), targets, TargetScaling(1.0, 2.0, transform)).item()
            assert score == (1.0 if METRICS[name].at_most_1 else 0.0)


def test_c1_classes_are_not_transformed(tmp_path):
    path = tmp_path / "t.csv"
    pd.DataFrame({"a": range(40), "y": ["no", "yes"] * 20}).to_csv(path, index=False)
    with pytest.raises(DataError) as refused:
        load(DataConfig(source=str(path), target="y", target_transform="log"))
    (problem,) = refused.value.problems
    assert (problem.path, problem.value) == ("data.target_transform", "log")
    assert "the target is text" in problem.rule
    assert load(DataConfig(source=str(path), target="y", target_transform="none"))[0].task == "classification"
