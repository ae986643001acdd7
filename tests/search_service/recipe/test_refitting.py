"""B, the last act: the model has learnt from training and validation rows, unless that went wrong."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import accuracy_score, log_loss

from search_service.folder import layout
from search_service.recipe import finalists, refitting
from search_service.records.finalists import Finalist
from search_service.runners.base import run_here
from search_service.runners.inline import InlineRunner
from search_service.spec.study_spec import parse
from tests.plans import make_plan, plain
from trainables import calibration, checkpoint
from trainables.data.dataset import Rows
from trainables.records import EpochPoint
from trainables.row_tensors import to_tensors
from trainables.training import PopulationTraining


def spec_of(**changes):
    asked = {"name": "x", "data": {"source": "digits"}, "finalists": {"top": 2, "seeds": 3, "baselines": False}}
    # What becomes of one network is the matter here; of several, test_averaging.py.
    model = {"average": "none"} | changes.pop("model", {})
    return parse(asked | changes | {"model": model})


@pytest.fixture(scope="module")
def rounds(digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rounds")
    plan = make_plan(folder / "round", max_trials=4, max_epochs=12, space=make_plan(folder).space)
    return [InlineRunner().run_round(plan, digits[0], lambda event: None)]


@pytest.fixture(scope="module")
def final(rounds, digits, tmp_path_factory):
    return finalists.run(spec_of(), rounds, *digits, tmp_path_factory.mktemp("finalists"))


def trained(configs, dataset, epochs):
    """Networks at the end of so many epochs, by hand, and the validation scores there."""
    training = PopulationTraining(configs, dataset, order_seed=spec_of().seed, max_epochs=epochs, metric="accuracy")
    *_, last = itertools.islice(training.epochs(), epochs)
    return training, last.validation_score


def test_b_its_length_is_the_whole_or_the_seeds_mean_best_epoch_whichever_ends_better(final, digits):
    winner = final.winner
    best = [1 + int(np.argmax([point.validation_score for point in curve])) for curve in winner.curves]
    shorter = round(np.mean(best))
    assert shorter < 12
    configs = [winner.config.replace({"seed": seed}) for seed in winner.seeds]
    expected = {
        shorter: pytest.approx(np.mean(trained(configs, digits[0], shorter)[1])),
        12: pytest.approx(np.mean([curve[-1].validation_score for curve in winner.curves])),
    }
    assert dict(final.refit.lengths) == expected
    assert dict(final.refit.lengths)[final.refit.epochs] == max(score for _, score in final.refit.lengths)
    assert final.refit.epochs_spent == final.refit.epochs + 3 * shorter


def test_b_the_model_is_the_winner_trained_on_both_kinds_of_rows(final, digits):
    dataset, test_rows = digits
    assert final.refit.rows == len(dataset.train) + len(dataset.validation)
    assert final.refit.seed == final.winner.seeds[final.exported]
    # By hand, on a table put together by hand: the same network.
    both = dataclasses.replace(
        dataset,
        train=Rows(
            np.vstack([dataset.train.inputs, dataset.validation.inputs]),
            np.hstack([dataset.train.targets, dataset.validation.targets]),
        ),
    )
    config = final.winner.config.replace({"seed": final.refit.seed})
    training, _ = trained([config], both, final.refit.epochs)
    path, member = final.network
    assert (path.name, member) == (layout.REFIT, 0)
    model = checkpoint.load(path, dataset)
    assert model.network.parameters.equal(training.network.parameters)
    # What is said of it is what scikit-learn says.
    outputs = model.outputs(to_tensors(test_rows, "cpu", model.dtype).inputs)[0]
    predicted, p = outputs.argmax(dim=1).numpy(), outputs.double().softmax(dim=1).numpy()
    assert final.model_test_score == final.refit.test_metrics["accuracy"]
    assert final.model_test_score == pytest.approx(accuracy_score(test_rows.targets, predicted))
    assert final.refit.test_metrics["log_loss"] == pytest.approx(log_loss(test_rows.targets, p, labels=range(10)))


def test_b_without_it_the_model_is_the_seed_of_the_best_validation_score_and_nothing_else_changes(
    final, rounds, digits, tmp_path
):
    without = finalists.run(spec_of(model={"refit": False}), rounds, *digits, tmp_path)
    assert without.refit is None
    assert without.network == (tmp_path / "winner.pt", without.exported)
    assert without.model_test_score == without.test_scores[without.exported]
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["test_predictions.npz", "winner.pt"]
    assert (without.finalists, without.test_scores) == (final.finalists, final.test_scores)


# A rate at which weights overflow, and one at which nothing is learnt.
@pytest.mark.parametrize("rate", [1e30, 1e-9])
def test_b_a_training_that_went_wrong_is_no_model(final, digits, tmp_path, rate):
    lost = dataclasses.replace(final.winner, config=final.winner.config.replace({"optimizer.lr": rate}))
    refit, networks = refitting.run(spec_of(), lost, final.exported, digits[0], tmp_path)
    assert networks == []
    assert (refit.checkpoint, refit.test_metrics) == (None, {})
    assert not list(tmp_path.glob("*.pt"))
    fallen_back = dataclasses.replace(final, refit=refit)
    assert fallen_back.network == (final.checkpoint, final.exported)
    assert fallen_back.model_test_score == final.test_scores[final.exported]


def test_b_where_it_went_wrong_simpler_models_have_learnt_from_no_more_rows_than_the_model(wine, tmp_path, monkeypatch):
    plan = make_plan(tmp_path / "round", max_trials=2, max_epochs=3, space=make_plan(tmp_path).space)
    rounds = [InlineRunner().run_round(plan, wine[0], lambda event: None)]

    def compared(name, **changes):
        asked = spec_of(data={"source": "wine"}, finalists={"top": 1, "seeds": 1}, **changes)
        final = finalists.run(asked, rounds, *wine, tmp_path / name)
        return [(baseline.name, baseline.rows, baseline.test) for baseline in final.baselines]

    for name in ("with", "without", "wrong"):
        (tmp_path / name).mkdir()
    both, alone = compared("with"), compared("without", model={"refit": False})
    assert both != alone
    monkeypatch.setattr(refitting, "_went_well", lambda *arguments: False)
    assert compared("wrong") == alone


def test_b_the_model_has_the_temperature_of_its_twin_that_does_not_know_the_validation_rows(rounds, digits, tmp_path):
    dataset, test_rows = digits
    asked = {"top": 2, "seeds": 3, "baselines": False, "calibration": "temperature"}
    final = finalists.run(spec_of(finalists=asked), rounds, dataset, test_rows, tmp_path)
    twins, model = checkpoint.load(final.checkpoint, dataset), checkpoint.load(final.network[0], dataset)
    validation = twins.validation_rows
    outputs = twins.outputs(validation.inputs)[final.exported]
    assert final.calibration.temperature == calibration.fit_temperature(outputs, validation.targets)
    tests = to_tensors(test_rows, "cpu", model.dtype)
    p = (model.outputs(tests.inputs)[0].double() / final.calibration.temperature).softmax(dim=1).numpy()
    assert final.calibration.log_loss_after == pytest.approx(log_loss(tests.targets, p, labels=range(10)))


@pytest.mark.parametrize(
    "model", [{"refit": True}, {"refit": False}, {"refit": True, "average": 2}], ids=["refit", "seed", "average"]
)
def test_b_by_log_loss_the_model_is_judged_by_the_probabilities_that_it_gives(rounds, digits, tmp_path, model):
    """It was judged, and compared with others, without the temperature that it is handed over with."""
    dataset, test_rows = digits
    finalists_ = {"top": 1, "seeds": 2, "baselines": False, "calibration": "temperature"}
    asked = spec_of(finalists=finalists_, objective={"metric": "log_loss"}, model=model)
    done = [dataclasses.replace(rounds[0], plan=dataclasses.replace(rounds[0].plan, metric="log_loss"))]
    final = finalists.run(asked, done, dataset, test_rows, tmp_path)
    assert final.calibration.temperature != 1
    assert final.model_test_score == pytest.approx(final.calibration.log_loss_after, rel=1e-6)
    with np.load(tmp_path / layout.TEST_PREDICTIONS) as kept:
        p = softmax(kept["outputs"].astype(float), axis=1)
        assert final.model_test_score == pytest.approx(log_loss(kept["targets"], p, labels=range(10)), rel=1e-5)


def curve(*scores):
    return tuple(EpochPoint(epoch, 0.1, 0.1, score) for epoch, score in enumerate(scores, start=1))


@pytest.mark.parametrize(
    ("metric", "curves", "expected"),
    [
        ("accuracy", [curve(0.5, 0.9, 0.8), curve(0.5, 0.6, 0.7)], 2.5),
        ("rmse", [curve(0.5, 0.9, 0.8), curve(0.5, 0.6, 0.1)], 2.0),
        # The first of equals; NaN is no score, and who never had one says nothing.
        ("accuracy", [curve(0.5, 0.9, 0.9, math.nan), curve(math.nan, math.nan)], 2.0),
    ],
)
def test_b_the_mean_best_epoch_by_hand(metric, curves, expected):
    assert refitting.mean_best_epoch(curves, metric) == expected


@pytest.mark.parametrize(
    ("metric", "curves", "expected"),
    [
        # Best at its end; at its best after 2 epochs and worse ever after; and the same of an error.
        ("accuracy", [curve(0.5, 0.7, 0.8, 0.9)], 4),
        ("accuracy", [curve(0.5, 0.9, 0.8, 0.7)], 2),
        ("rmse", [curve(0.5, 0.3, 0.4, 0.48)], 2),
        # By less than the noise, which is 0.15 here, any curve is best somewhere.
        ("accuracy", [curve(0.5, 0.9, 0.8, 0.8)], 4),
        # Whoever ends without a loss says nothing of the end; nobody does where all have.
        ("accuracy", [curve(0.5, 0.7, 0.8, math.nan)], 3),
    ],
)
def test_b_the_likely_length_by_hand(metric, curves, expected):
    finalist = Finalist("r1-000", plain(), (0,), (0.9,), tuple(curves), None, None, ())
    assert refitting.likely_length(finalist, metric, lambda score: 0.15) == expected


def test_e3_without_time_to_compare_it_is_as_long_as_was_said(final, digits, tmp_path):
    shorter = min(epochs for epochs, _ in final.refit.lengths)
    asked = []

    def run_tasks(to_do, listen):
        asked.extend(task.name for task in to_do)
        return run_here(to_do, listen)

    arguments = (spec_of(), final.winner, final.exported, digits[0], tmp_path, run_tasks)
    refit, (model,) = refitting.run(*arguments, allowed="shorter")
    assert (refit.epochs, refit.lengths, refit.epochs_spent) == (shorter, (), shorter)
    assert asked == [f"refit-{shorter}-1"]
    assert checkpoint.load(model.networks, digits[0]).epoch == shorter


def test_b_rows_that_follow_others_keep_their_weights():
    inputs, weights = np.ones((2, 3), np.float32), np.array([1, 2], np.float32)
    rows = Rows(inputs, np.array([0, 1]), weights).followed_by(Rows(2 * inputs, np.array([1, 1]), 3 * weights))
    assert rows.inputs[:, 0].tolist() == [1, 1, 2, 2]
    assert rows.targets.tolist() == [0, 1, 1, 1]
    assert rows.weights.tolist() == [1, 2, 3, 6]
    assert Rows(inputs, np.array([0, 1])).followed_by(Rows(inputs, np.array([0, 1]))).weights is None
