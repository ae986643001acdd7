"""B, step 6 and the last act: the reason is a sentence, and test rows are used once, for the winner."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from search_service.recipe import finalists, qualifying, seed_noise, step6_repeat
from search_service.recipe.finalist_training import FinalistTraining, FoldRecord, TrainedFinalist, at_common_epoch
from search_service.records.checks import LearningRatesResult
from search_service.records.finalists import Cycle, Finalist, SeedNoise
from search_service.records.rounds import RoundResult, TrialResult, TrialStatus
from search_service.runners.inline import InlineRunner
from search_service.spec.study_spec import parse
from tests.plans import make_plan, plain
from trainables import checkpoint
from trainables.data.dataset import Rows
from trainables.losses import ChanceScale
from trainables.metrics import METRICS
from trainables.records import EpochPoint
from trainables.row_tensors import to_tensors
from trainables.training import PopulationTraining


def spec_of(**changes):
    return parse({"name": "x", "data": {"source": "digits"}} | changes)


def round_of(tmp_path, *scores, epochs=6):
    trials = tuple(
        TrialResult(
            trial_id=f"r1-{i:03d}", number=i, config=plain(seed=i), values={}, status=TrialStatus.COMPLETED,
            reason="", curve=(EpochPoint(epochs, 0.1, 0.1, score),), metric="accuracy",
        )
        for i, score in enumerate(scores)
    )  # fmt: skip
    return RoundResult(make_plan(tmp_path), trials, "", 1.0)


def scale_of(config):
    return ChanceScale(least=0.0, chance=math.log(10))


def cycle_of(tmp_path, coarse, refined):
    rates = LearningRatesResult(3, "learning rates", True, "", "", {}, {})
    return Cycle(rates, round_of(tmp_path, coarse), round_of(tmp_path, *([] if refined is None else [refined])))


@pytest.mark.parametrize(
    ("cycles", "changes", "time_is_up", "stop", "words"),
    [
        (
            [(0.5, 0.9)],
            {},
            False,
            False,
            "validation accuracy 0.9, 0.4 better than the coarse round, more than the noise",
        ),
        ([(0.5, 0.9), (0.9, 0.905)], {}, False, True, "no further improvement"),
        ([(0.9, 0.9)], {}, False, True, "the same as the coarse round"),
        ([(0.9, 0.8)], {}, False, True, "0.1 worse than the coarse round"),
        ([(0.3, 0.5), (0.5, 0.9)], {}, False, True, "all 2 cycles are done"),
        ([(0.5, 0.9)], {"objective": {"target": 0.9}}, False, True, "the target is reached"),
        ([(0.9, 0.85)], {}, False, True, "0.05 worse than the coarse round (noise: ±0.019"),
        (
            [(0.95, None)],
            {"objective": {"target": 0.9}},
            False,
            True,
            "the target is reached: validation accuracy 0.95",
        ),
        ([(0.95, None)], {}, False, True, "the refined round brought nothing"),
        ([(0.5, 0.9)], {"search": {"time_budget_s": 60}}, True, True, "the time budget of 60 s is spent"),
    ],
)
def test_b6_decides_and_says_why(tmp_path, cycles, changes, time_is_up, stop, words):
    history = [cycle_of(tmp_path, *scores) for scores in cycles]
    decision = step6_repeat.run(spec_of(**changes), history, 360, scale_of=scale_of, time_is_up=time_is_up)
    assert decision.stop is stop
    assert words in decision.reason


@pytest.mark.parametrize(
    ("gains", "expected"),
    [
        ([0.1], 0.05),  # One gain has no trend: half of it.
        ([0.1, 0.05], 0.025),
        ([0.1, 0.01], 0.001),
        ([0.05, 0.1], 0.1),  # What has grown is not expected to grow further.
        ([-0.1, 0.1], 0.05),
        ([0.1, -0.01], 0.0),
        ([0.0], 0.0),
    ],
)
def test_c4_the_gain_of_another_cycle_is_extrapolated(gains, expected):
    assert step6_repeat.expected_gain(gains) == pytest.approx(expected)


def decided(tmp_path, *scores, measured=None, **changes):
    history = [cycle_of(tmp_path, *pair) for pair in scores]
    return step6_repeat.run(
        spec_of(search={"max_cycles": 9} | changes),
        history,
        360,
        scale_of=scale_of,
        time_is_up=False,
        measured=measured,
    )


def test_c4_a_cycle_whose_refined_round_brought_nothing_counts_by_its_coarse_round(tmp_path):
    """As in a study that ran out of time and was given more: it got nan worse."""
    decision = decided(tmp_path, (0.5, None), (0.5, 0.9), max_cycles=2)
    assert decision.gain == pytest.approx(0.4)
    assert "nan" not in decision.reason


def test_c4_an_expected_gain_below_noise_ends_the_search(tmp_path):
    # One standard error of 0.9 over 360 rows is 0.0158.
    decision = decided(tmp_path, (0.88, 0.9))
    assert decision.stop
    assert "no further improvement to expect" in decision.reason
    assert "another cycle is expected to bring 0.01 (noise: ±0.016" in decision.reason
    assert (decision.gain, decision.expected_gain) == (pytest.approx(0.02), pytest.approx(0.01))
    assert decision.noise == pytest.approx(METRICS["accuracy"].standard_error(0.9, 360))
    assert not decided(tmp_path, (0.86, 0.9)).stop
    # A tenth of the gain before: a tenth of it is what is expected next.
    shrinking = decided(tmp_path, (0.3, 0.7), (0.7, 0.74))
    assert shrinking.stop
    assert shrinking.expected_gain == pytest.approx(0.004)


def test_c4_noise_measured_with_other_seeds_counts_where_it_is_larger(tmp_path):
    spread = SeedNoise("r2-003", (0.84, 0.9, 0.96))
    assert spread.of_difference == pytest.approx(np.sqrt(2) * 0.06)
    decision = decided(tmp_path, (0.86, 0.9), measured=spread)
    assert decision.stop
    assert decision.noise == spread.of_difference
    assert "r2-003's trainings, 3 seeds" in decision.reason
    calm = decided(tmp_path, (0.86, 0.9), measured=SeedNoise("r2-003", (0.9, 0.9, 0.9)))
    assert calm == decided(tmp_path, (0.86, 0.9))
    # Of one score there is no spread to speak of.
    assert calm == decided(tmp_path, (0.86, 0.9), measured=SeedNoise("r2-003", (0.9, math.nan, math.nan)))


def test_c4_the_epochs_budget_ends_the_search(tmp_path):
    decision = decided(tmp_path, (0.5, 0.9), max_total_epochs=12)
    assert decision.stop
    assert "the budget of 12 epochs is spent (12 were trained)" in decision.reason
    assert not decided(tmp_path, (0.5, 0.9), max_total_epochs=13).stop


def test_c4_noise_is_measured_by_training_the_best_again(outcome, digits):
    spec, result, _, _ = outcome
    measured = seed_noise.measure(spec, result, digits[0])
    assert measured.trial_id == result.best.trial_id
    assert len(set(measured.scores)) > 1
    assert all(score == pytest.approx(result.best.score, abs=0.05) for score in measured.scores)
    assert measured == seed_noise.measure(spec, result, digits[0])
    assert 0 < measured.std < 0.03


def test_b6_smaller_is_better_for_rmse(tmp_path):
    spec = spec_of(trial={"loss": "mse"})
    assert not step6_repeat.run(
        spec,
        [cycle_of(tmp_path, 60.0, 50.0)],
        360,
        scale_of=scale_of,
        time_is_up=False,
    ).stop
    assert step6_repeat.run(
        spec,
        [cycle_of(tmp_path, 50.0, 60.0)],
        360,
        scale_of=scale_of,
        time_is_up=False,
    ).stop


def test_standard_errors_match_simulation():
    random = np.random.default_rng(0)
    n, runs = 400, 4000
    accuracies = (random.random((runs, n)) < 0.9).mean(axis=1)
    assert METRICS["accuracy"].standard_error(0.9, n) == pytest.approx(accuracies.std(), rel=0.05)
    rmses = np.sqrt((random.normal(0, 3, (runs, n)) ** 2).mean(axis=1))
    assert METRICS["rmse"].standard_error(3.0, n) == pytest.approx(rmses.std(), rel=0.05)
    assert METRICS["accuracy"].standard_error(1.0, 50) == METRICS["roc_auc"].standard_error(1.0, 50) == 1 / 50
    errors = np.abs(random.normal(0, 3, (runs, n)))
    assert METRICS["mae"].standard_error(errors.mean(), n) == pytest.approx(errors.mean(axis=1).std(), rel=0.05)
    losses = random.exponential(0.7, (runs, n)).mean(axis=1)
    assert METRICS["log_loss"].standard_error(0.7, n) == pytest.approx(losses.std(), rel=0.05)
    # Exponential scores, as Hanley and McNeil have them: the area is a/(a + 1) with a the ratio of the means.
    negative, positive = random.exponential(1.0, (500, n // 2)), random.exponential(4.0, (500, n // 2))
    labels = np.repeat([0, 1], n // 2)
    areas = [roc_auc_score(labels, np.concatenate(pair)) for pair in zip(negative, positive, strict=True)]
    assert np.mean(areas) == pytest.approx(0.8, abs=0.005)
    assert METRICS["roc_auc"].standard_error(0.8, n) == pytest.approx(np.std(areas), rel=0.1)


def test_standard_errors_of_rare_classes_match_simulation():
    """Where 4 of 100 rows are positive, an area is known far less well than where 50 are."""
    random = np.random.default_rng(0)
    n, few = 1_000, 40
    labels = np.repeat([0, 1], [n - few, few])
    areas = [
        roc_auc_score(labels, np.concatenate([random.exponential(1.0, n - few), random.exponential(4.0, few)]))
        for _ in range(1_000)
    ]
    error = METRICS["roc_auc"].standard_error(0.8, n, shares=(0.96, 0.04))
    assert error == pytest.approx(np.std(areas), rel=0.1)
    assert error > 2 * METRICS["roc_auc"].standard_error(0.8, n)
    right = (random.random((4_000, n)) < 0.7).astype(float)
    balanced = (right[:, labels == 0].mean(axis=1) + right[:, labels == 1].mean(axis=1)) / 2
    found = METRICS["balanced_accuracy"].standard_error(0.7, n, shares=(0.96, 0.04))
    assert found == pytest.approx(balanced.std(), rel=0.05)


@pytest.fixture(scope="module")
def outcome(digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("finalists")
    dataset, test_rows = digits
    plan = make_plan(folder / "round", max_trials=6, space=make_plan(folder).space)
    result = InlineRunner().run_round(plan, dataset, lambda event: None)
    spec = spec_of(finalists={"top": 2, "seeds": 3})
    return spec, result, finalists.run(spec, [result], dataset, test_rows, folder), folder


def test_finalists_are_the_best_of_those_that_went_furthest_from_fresh_seeds(outcome):
    _, result, final, _ = outcome
    assert {f.trial_id for f in final.finalists} == {trial.trial_id for trial in result.ranked[:2]}
    assert all(len(f.scores) == 3 for f in final.finalists)
    searched = {trial.config.seed for trial in result.trials}
    assert not searched & set(final.winner.seeds)
    assert final.winner.mean == max(f.mean for f in final.finalists)
    assert final.winner.std == pytest.approx(np.std(final.winner.scores, ddof=1))


def test_the_score_of_a_seed_is_that_of_the_weights_kept(outcome, digits):
    """The checkpoint holds the winner's networks at their best epochs: they score what the record says."""
    _, _, final, _ = outcome
    dataset, test_rows = digits
    networks = checkpoint.load(final.checkpoint, dataset)
    assert networks.evaluate(networks.validation_rows)[1].tolist() == pytest.approx(list(final.winner.scores))
    again = networks.evaluate(to_tensors(test_rows, "cpu", networks.dtype))[1].tolist()
    assert again == pytest.approx(list(final.test_scores))
    assert final.winner.scores[final.exported] == max(final.winner.scores)
    assert final.trivial_test_score < 0.2 < final.test_mean


def divided(dataset, folds):
    """Divisions of training and validation rows, as a cross-validation has them; every other one has fewer inputs."""
    inputs, targets = (
        np.concatenate([getattr(dataset.train, name), getattr(dataset.validation, name)])
        for name in ("inputs", "targets")
    )
    for fold in range(folds):
        held_out = np.arange(len(targets)) % folds == fold
        columns = slice(None) if fold % 2 == 0 else slice(0, 60)
        parts = (Rows(np.ascontiguousarray(inputs[rows][:, columns]), targets[rows]) for rows in (~held_out, held_out))
        train, validation = parts
        yield dataclasses.replace(dataset, train=train, validation=validation)


def test_b_with_folds_the_mean_over_folds_and_seeds_chooses_and_the_own_division_is_tested(outcome, digits, tmp_path):
    spec, result, without, _ = outcome
    dataset, test_rows = digits
    final = finalists.run(spec, [result], dataset, test_rows, tmp_path, divided(dataset, 3))
    own = {finalist.trial_id: finalist for finalist in without.finalists}
    for finalist in final.finalists:
        assert [len(scores) for scores in finalist.fold_scores] == [3, 3, 3]
        everything = [score for fold in finalist.fold_scores for score in fold]
        assert finalist.mean == pytest.approx(np.mean(everything))
        assert finalist.std == pytest.approx(np.std(everything, ddof=1))
        # Each fold is judged on a third, of which it is trained on two.
        assert finalist.overlap == pytest.approx(1 / 2, rel=0.01)
        # Networks of the study's own division are what they are without folds.
        assert finalist.scores == own[finalist.trial_id].scores
        assert finalist.validation_metrics == own[finalist.trial_id].validation_metrics
    by_folds = sorted(final.finalists, key=lambda finalist: -np.mean(finalist.fold_scores))
    assert [finalist.trial_id for finalist in final.finalists] == [finalist.trial_id for finalist in by_folds]
    networks = checkpoint.load(final.checkpoint, dataset)
    assert networks.evaluate(networks.validation_rows)[1].tolist() == pytest.approx(list(final.winner.scores))
    assert final.winner.scores[final.exported] == max(final.winner.scores)
    # A fold by itself: the same configuration and seed, trained on it.
    fold = list(divided(dataset, 3))[1]
    alone = PopulationTraining(
        [final.winner.config.replace({"seed": final.winner.seeds[2]})],
        fold, order_seed=spec.seed, max_epochs=6, metric="accuracy",
    )  # fmt: skip
    best = max(record.validation_score[0] for record in itertools.islice(alone.epochs(), 6))
    # Dropout's masks are drawn for the population: alone it is another training, some rows better or worse.
    assert final.winner.fold_scores[1][2] == pytest.approx(best, abs=0.03)


def test_b_every_metric_is_recorded_for_finalists_and_winner(outcome, digits):
    _, _, final, _ = outcome
    dataset, test_rows = digits
    networks = checkpoint.load(final.checkpoint, dataset)
    names = {"accuracy", "balanced_accuracy", "macro_f1", "roc_auc", "log_loss"}
    for rows, found in (
        (networks.validation_rows, final.winner.validation_metrics),
        (to_tensors(test_rows, "cpu", networks.dtype), final.test_metrics),
    ):
        assert set(found) == names
        p = networks.outputs(rows.inputs).double().softmax(dim=2).numpy()
        losses = [log_loss(rows.targets, own, labels=range(10)) for own in p]
        assert found["log_loss"] == pytest.approx(np.mean(losses))
        areas = [roc_auc_score(rows.targets, own, multi_class="ovr") for own in p]
        assert found["roc_auc"] == pytest.approx(np.mean(areas))
    assert all(set(finalist.validation_metrics) == names for finalist in final.finalists)
    assert final.test_metrics["accuracy"] == pytest.approx(final.test_mean)
    assert final.winner.validation_metrics["accuracy"] == pytest.approx(final.winner.mean)
    assert final.trivial_test_metrics["accuracy"] == final.trivial_test_score
    assert final.trivial_test_metrics["roc_auc"] == 0.5
    assert [baseline.name for baseline in final.baselines] == ["linear", "boosting"]
    assert final.baselines[0].test["accuracy"] > 0.9
    assert final.calibration is None


def test_b_calibration_of_a_network_is_by_its_validation_rows(outcome, digits, tmp_path):
    _, result, without, _ = outcome
    dataset, test_rows = digits
    asked = {"top": 2, "seeds": 3, "calibration": "temperature", "baselines": False}
    spec = spec_of(finalists=asked, model={"refit": False, "average": "none"})
    final = finalists.run(spec, [result], dataset, test_rows, tmp_path)
    assert final.baselines == ()
    assert final.test_scores == without.test_scores
    networks = checkpoint.load(final.checkpoint, dataset)
    own, tests = networks.validation_rows, to_tensors(test_rows, "cpu", networks.dtype)
    outputs = networks.outputs(own.inputs)[final.exported].double()
    around = [final.calibration.temperature * factor for factor in (0.98, 1.0, 1.02)]
    losses = [log_loss(own.targets, (outputs / t).softmax(dim=1).numpy(), labels=range(10)) for t in around]
    assert min(losses) == losses[1]
    p = networks.outputs(tests.inputs)[final.exported].double().softmax(dim=1).numpy()
    assert final.calibration.log_loss_before == pytest.approx(log_loss(tests.targets, p, labels=range(10)))


def test_test_rows_cannot_reach_any_other_step(digits):
    dataset, test_rows = digits
    rows = {row.tobytes() for row in np.vstack([dataset.train.inputs, dataset.validation.inputs])}
    assert not any(row.tobytes() in rows for row in test_rows.inputs)
    assert not hasattr(dataset, "test")


def test_a_configuration_is_no_finalist_twice(outcome, tmp_path):
    spec, result, _, _ = outcome
    twice = qualifying.qualify(spec, [result, result], noise=lambda score: 0.0, size=lambda trial: 1.0)[0]
    assert len({trial.config.replace({"seed": 0}) for trial in twice}) == len(twice) == 2


def test_an_empty_round_has_no_best(tmp_path):
    empty = round_of(tmp_path)
    assert empty.best is None
    assert math.isnan(step6_repeat._best_score(empty))


def finalist_of(name, scores, *, parameters=100, best_epoch=3, fold_scores=()):
    curve = tuple(EpochPoint(epoch, 0.1, 0.1, 1.0 if epoch == best_epoch else 0.5) for epoch in range(1, 7))
    return Finalist(
        name, plain(), tuple(range(len(scores))), scores, (curve,) * len(scores), None, None, (),
        parameters=parameters, fold_scores=fold_scores,
    )  # fmt: skip


def test_b_contenders_are_those_that_the_seeds_cannot_tell_from_the_best():
    best = finalist_of("a", (0.97, 0.98, 0.99), parameters=900)
    close = finalist_of("b", (0.98, 0.97, 0.985), parameters=400)
    worse = finalist_of("c", (0.90, 0.911, 0.92), parameters=10)
    assert finalists.contenders([best, close, worse]) == [best, close]
    assert finalists.contenders([best]) == [best]
    single = [finalist_of(name, (score,)) for name, score in (("a", 0.9), ("b", 0.1))]
    assert finalists.contenders(single) == single


def test_b_the_simplest_has_the_fewest_parameters_then_the_fewest_epochs_then_the_best_mean():
    large = finalist_of("a", (0.9,), parameters=900, best_epoch=1)
    slow = finalist_of("b", (0.9,), parameters=400, best_epoch=5)
    quick = finalist_of("c", (0.9,), parameters=400, best_epoch=4)
    again = finalist_of("d", (0.9,), parameters=400, best_epoch=4)
    assert finalists.simplest([large, slow, quick, again], "accuracy") is quick
    assert finalists.simplest([large, slow], "accuracy") is slow


def test_b_preferring_the_simplest_changes_who_wins_and_is_tested(outcome, digits, tmp_path):
    _, result, _, _ = outcome
    dataset, test_rows = digits
    narrow = dataclasses.replace(result.ranked[0], trial_id="narrow")
    narrow = dataclasses.replace(narrow, config=narrow.config.replace({"network.hidden_sizes": (12,)}))
    rounds = [dataclasses.replace(result, trials=(*result.trials, narrow))]
    asked = {"top": 2, "seeds": 2, "baselines": False}
    best, simplest = (
        finalists.run(spec_of(finalists=asked | {"prefer": prefer}), rounds, dataset, test_rows, tmp_path / prefer)
        for prefer in ("best", "simplest")
        if (tmp_path / prefer).mkdir() is None
    )
    assert {f.trial_id: f.parameters for f in best.finalists} == {
        best.winner.trial_id: 64 * 16 + 16 + 16 * 10 + 10, "narrow": 64 * 12 + 12 + 12 * 10 + 10,
    }  # fmt: skip
    assert best.contenders == simplest.contenders == (best.winner.trial_id, "narrow")
    assert best.winner.trial_id != simplest.winner.trial_id == "narrow"
    assert simplest.alike == (best.winner.trial_id,)
    assert checkpoint.load(simplest.checkpoint, dataset).configs[0].network.hidden_sizes == (12,)


def test_e1_folds_and_seeds_are_scored_at_one_epoch_and_not_each_at_its_luckiest():
    restless, calm = ((0.5, 0.9, 0.5), (0.9, 0.5, 0.5)), ((0.6, 0.7, 0.8), (0.8, 0.9, 0.6))
    # Two seeds of two folds each; the means by epoch are 0.7, 0.75 and 0.6.
    assert at_common_epoch([restless, calm], "accuracy") == ((0.9, 0.7), (0.5, 0.9))
    # Of an error the least; an epoch that one has no score of is none.
    assert at_common_epoch([((3.0, 1.0, math.nan),), ((2.0, 2.0, 0.0),)], "rmse") == ((1.0, 2.0),)
    assert np.isnan(at_common_epoch([((math.nan, math.nan),)], "accuracy")).all()
    assert at_common_epoch([(), ()], "accuracy") == ()


def test_d6_folds_that_an_earlier_version_has_begun_are_compared_by_their_best_scores(tmp_path, digits):
    trials = round_of(tmp_path, 0.9).trials
    training = FinalistTraining(spec_of(finalists={"top": 1, "seeds": 1, "folds": 2}), trials, digits[0])
    (done,) = (task.call() for task in training.tasks())
    by_version = {
        "earlier": [[FoldRecord((0.7,))], [FoldRecord((0.9,), ((0.1, 0.9),))]],
        "today": [[FoldRecord((0.7,), ((0.7, 0.6),))], [FoldRecord((0.9,), ((0.1, 0.9),))]],
    }
    scores = {
        version: training.finalists([(done.record, done.network)], folds)[0].finalist.fold_scores
        for version, folds in by_version.items()
    }
    assert scores == {"earlier": ((0.7,), (0.9,)), "today": ((0.6,), (0.9,))}


def test_b_folds_by_time_share_more_rows_than_others_and_are_told_apart_as_seldom(tmp_path, digits):
    """Fold i is trained on i blocks of time and judged on one: 1/i, and not 1/(k - 1)."""
    training = FinalistTraining(spec_of(finalists={"top": 1, "seeds": 1}), round_of(tmp_path, 0.9).trials, digits[0])
    (done,) = (task.call() for task in training.tasks())

    def overlap(*of_folds: float) -> float:
        folds = [[FoldRecord((0.9,), ((0.9,),), of_fold)] for of_fold in of_folds]
        return training.finalists([(done.record, done.network)], folds)[0].finalist.overlap

    assert overlap(1 / 1, 1 / 2, 1 / 3, 1 / 4, 1 / 5) == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4 + 1 / 5) / 5)
    # In studies of earlier versions it was not written down.
    assert overlap(0.0, 0.0, 0.0) == 1 / 2
    assert overlap() == 0.0


def test_e1_where_folds_choose_the_winner_its_seeds_alone_are_averaged():
    """Two wider networks looked better on few validation rows, and took its place: 0.656 for 0.665 of test ROC AUC."""
    fold = ((0.9, 0.9), (0.7, 0.7))
    trained = [TrainedFinalist(finalist_of(name, (0.5, 0.5), fold_scores=fold), ()) for name in "ab"]
    assert finalists._may_be_averaged(trained) == trained[:1]
    without = [TrainedFinalist(finalist_of(name, (0.5, 0.1)), ()) for name in "ab"]
    assert finalists._may_be_averaged(without) == without


def test_e1_a_linear_network_that_is_the_same_from_all_seeds_is_compared_over_the_folds():
    """Over the seeds, whose means over the folds do not differ, any difference was one beyond chance."""
    folds = (0.62, 0.66, 0.64, 0.61, 0.67)
    best = finalist_of("a", (0.6, 0.6), fold_scores=tuple((score, score) for score in folds))
    close = finalist_of(
        "b",
        (0.6, 0.6),
        fold_scores=tuple((s - d, s - d) for s, d in zip(folds, (0, 3e-3, 1e-3, 4e-3, -2e-3), strict=True)),
    )
    far = finalist_of(
        "c",
        (0.6, 0.6),
        fold_scores=tuple((s - d, s - d) for s, d in zip(folds, (0.05, 0.06, 0.04, 0.05, 0.06), strict=True)),
    )
    assert finalists.contenders([best, close, far]) == [best, close]
    assert best.units == pytest.approx(folds)
    low, high = best.interval
    # Five folds, of which each is judged on a quarter of the rows that it is trained on.
    reach = 2.776 * np.std(folds, ddof=1) * math.sqrt(1 / 5 + 1 / 4)
    assert (low, high) == pytest.approx((0.64 - reach, 0.64 + reach), rel=1e-3)
