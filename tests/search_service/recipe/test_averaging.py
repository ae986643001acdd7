"""B, the last act: the model is the mean of several of the finalists' networks, chosen by validation rows alone."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from scipy.special import softmax
from sklearn.metrics import accuracy_score, log_loss

from search_service.recipe import averaging, finalists
from search_service.report.study_report import describe_model, model_in_short
from search_service.runners.inline import InlineRunner
from search_service.spec.study_spec import parse
from tests.plans import make_plan
from trainables import averaging as means
from trainables import calibration, checkpoint
from trainables.row_tensors import to_tensors

FINALISTS = {"top": 2, "seeds": 3, "baselines": False}


def spec_of(**changes):
    return parse({"name": "x", "data": {"source": "digits"}, "finalists": FINALISTS} | changes)


@pytest.fixture(scope="module")
def rounds(digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rounds")
    plan = make_plan(folder / "round", max_trials=4, max_epochs=6, space=make_plan(folder).space)
    return [InlineRunner().run_round(plan, digits[0], lambda event: None)]


@pytest.fixture(scope="module")
def final(rounds, digits, tmp_path_factory):
    return finalists.run(spec_of(), rounds, *digits, tmp_path_factory.mktemp("average"))


@pytest.fixture(scope="module")
def without_refit(rounds, digits, tmp_path_factory):
    asked = FINALISTS | {"calibration": "temperature"}
    spec = spec_of(model={"refit": False}, finalists=asked)
    return finalists.run(spec, rounds, *digits, tmp_path_factory.mktemp("plain"))


def outputs_of(average, dataset, inputs):
    """Of each of its networks, ``[M, N, C]``, by the files of their populations."""
    loaded = {n.checkpoint: checkpoint.load(n.checkpoint, dataset) for n in average.networks}
    return torch.stack([loaded[n.checkpoint].outputs(inputs)[n.place] for n in average.networks]).double().numpy()


def mean_of(average, outputs):
    return np.average(softmax(outputs, axis=2), axis=0, weights=[n.share for n in average.networks])


def test_b_the_networks_are_those_whose_mean_is_best_on_validation_rows(without_refit, digits):
    dataset, average = digits[0], without_refit.average
    rows = dataset.validation
    said = mean_of(average, outputs_of(average, dataset, torch.from_numpy(rows.inputs)))
    assert average.validation_score == pytest.approx(accuracy_score(rows.targets, said.argmax(axis=1)))
    every = [score for finalist in without_refit.finalists for score in finalist.scores]
    assert average.best_validation_score == max(every)
    assert average.validation_score >= max(every)
    assert {(n.trial_id, n.seed) for n in average.networks} <= {
        (finalist.trial_id, seed) for finalist in without_refit.finalists for seed in finalist.seeds
    }
    assert average.parameters == sum(
        finalist.parameters
        for network in average.networks
        for finalist in without_refit.finalists
        if finalist.trial_id == network.trial_id
    )


@pytest.mark.parametrize("of", ["final", "without_refit"])
def test_b_its_test_scores_are_those_of_the_mean_by_hand(of, digits, request):
    dataset, tests = digits
    found = request.getfixturevalue(of)
    said = mean_of(found.average, outputs_of(found.average, dataset, torch.from_numpy(tests.inputs)))
    assert found.model_test_score == pytest.approx(accuracy_score(tests.targets, said.argmax(axis=1)))
    # By the probabilities that it gives: those of the mean, with its temperature where it has one.
    given = said ** (1 / (1.0 if found.calibration is None else found.calibration.temperature))
    given /= given.sum(axis=1, keepdims=True)
    assert found.average.test_metrics["log_loss"] == pytest.approx(
        log_loss(tests.targets, given, labels=range(10)), rel=1e-4
    )
    # The network that would be the model without is known, too, and everything that is judged is the mean.
    alone = checkpoint.load(found.network[0], dataset).outputs(torch.from_numpy(tests.inputs))[found.network[1]]
    assert found.network_test_score == pytest.approx(accuracy_score(tests.targets, alone.argmax(dim=1)))
    assert f"{found.network_test_score:.4g} of the winner's network alone" in describe_model(found)
    # On a terminal the scores stand above it.
    assert model_in_short(found).startswith(describe_model(found).partition(",")[0].partition(".")[0])
    costs = f"{found.average.parameters:,} parameters, and {found.winner.parameters:,} in the winner's network alone"
    assert model_in_short(found).endswith(f"{costs}, which model.average: none would give")


def test_b_each_is_trained_again_on_all_rows_from_its_own_seed(final, without_refit, digits):
    assert [n.seed for n in final.average.networks] == [n.seed for n in without_refit.average.networks]
    assert final.average.validation_score == without_refit.average.validation_score
    network = final.average.networks[0]
    training = checkpoint.load(network.checkpoint, digits[0])
    own = training.configs[network.place]
    config = next(f.config for f in final.finalists if f.trial_id == network.trial_id)
    assert own == config.replace({"seed": network.seed})
    # The winner's network among them is the very one that it would be alone.
    seed = final.winner.seeds[final.exported]
    same = [n for n in final.average.networks if (n.trial_id, n.seed) == (final.winner.trial_id, seed)]
    alone = checkpoint.load(final.refit.checkpoint, digits[0])
    for n in same:
        of_average = checkpoint.load(n.checkpoint, digits[0]).network.parameters[n.place]
        torch.testing.assert_close(of_average, alone.network.parameters[0], rtol=1e-3, atol=1e-4)


def test_b_its_temperature_is_that_of_the_mean_of_the_networks_that_do_not_know_the_rows(without_refit, digits):
    dataset, average = digits[0], without_refit.average
    rows = to_tensors(dataset.validation, "cpu", torch.float32)
    outputs = torch.from_numpy(outputs_of(average, dataset, rows.inputs))
    mean = means.mean(outputs, torch.tensor([n.share for n in average.networks]), "logits")
    expected = calibration.fit_temperature(mean, rows.targets)
    assert without_refit.calibration.temperature == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, averaging.AT_MOST),
        ({"model": {"average": 3}}, 3),
        ({"model": {"average": "none"}}, 1),
        ({"trial": {"loss": "hinge"}}, 1),
        ({"finalists": FINALISTS | {"prefer": "simplest"}}, 1),
        ({"objective": {"second": "parameters"}, "search_space": {"network.width": {"low": 8, "high": 32}}}, 1),
    ],
)
def test_b_who_asks_for_little_gets_one_network(changes, expected):
    assert averaging.at_most(spec_of(**changes)) == expected


def test_b_one_network_is_no_average(rounds, digits, tmp_path):
    alone = finalists.run(spec_of(finalists=FINALISTS | {"top": 1, "seeds": 1}), rounds, *digits, tmp_path)
    assert alone.average is None
    assert alone.model_test_score == alone.refit.test_metrics["accuracy"]


def test_b_a_network_that_goes_wrong_when_it_is_trained_again_is_left_out_and_the_others_count_for_more(final):
    finalist = final.winner
    members = [
        averaging.AveragedMember(finalist, seed, share, b"", 0) for seed, share in ((1, 0.5), (2, 0.25), (3, 0.25))
    ]
    well = [averaging.Refitted(finalist, 1, b"new", 0), averaging.Refitted(finalist, 3, b"new", 1)]
    kept = averaging.trained_again(members, well)
    assert [(m.seed, m.share, m.networks, m.place) for m in kept] == [
        (1, pytest.approx(2 / 3), b"new", 0),
        (3, pytest.approx(1 / 3), b"new", 1),
    ]


def test_b_files_that_were_moved_are_found(final, tmp_path):
    from search_service.study import _in_folder

    for path in final.checkpoints:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    moved = _in_folder(dataclasses.replace(final), tmp_path)
    assert {path.parent for path in moved.checkpoints} == {tmp_path}
    assert all(path.exists() for path in moved.checkpoints)
