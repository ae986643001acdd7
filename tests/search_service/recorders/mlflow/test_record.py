"""D3: what a reviewer finds in MLflow."""

from __future__ import annotations

import csv
import dataclasses
import json
import re
from pathlib import Path

import pytest
from mlflow import MlflowClient

from search_service.recorders.mlflow.recorder import MlflowRecorder
from search_service.records.events import (
    CheckFinished,
    ComparisonFinished,
    CycleDecided,
    FinalistsFinished,
    ModelPacked,
    RoundFinished,
    StudyFinished,
    StudyStarted,
    TrialFinished,
)
from search_service.records.numbers import score_text
from search_service.records.pareto import ParetoPoint, ParetoSet
from search_service.records.rounds import TrialStatus
from search_service.report.importance import importance
from search_service.report.worth import worth
from search_service.spec import config_file
from search_service.spec.study_spec import parse
from tests import made_once
from tests.stories import SPEC, told_comparison, told_study


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    return told_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    return told_comparison(tmp_path_factory.mktemp("comparison"))


@pytest.fixture(scope="module")
def record(story, tmp_path_factory):
    folder = tmp_path_factory.mktemp("record")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    recorder = MlflowRecorder(uri, folder / "artifacts")
    # Its pictures are looked at: they are of this story.
    with made_once.afresh():
        for event in story.events:
            recorder.record(event)
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("recorded")
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    return client, experiment, {run.data.tags["part"]: run for run in runs}


def history(client, run, key):
    return client.get_metric_history(run.info.run_id, key)


def parent_of(run):
    return run.data.tags.get("mlflow.parentRunId")


def test_d3_the_tree_is_study_then_steps_and_rounds_then_trials(record, story):
    _, experiment, runs = record
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    study = runs["wine-1"]
    assert parent_of(study) is None
    steps = [
        "1 initial loss", "2 overfit a small sample", "3 learning rates", "4 coarse search", "5 refined search",
        "6 repeat", "finalists",
    ]  # fmt: skip
    assert all(parent_of(runs[name]) == study.info.run_id for name in steps)
    trials = [event.trial for event in story.of(TrialFinished)]
    for trial in trials:
        parent = runs["4 coarse search" if trial.trial_id.startswith("r1") else "5 refined search"]
        assert parent_of(runs[trial.trial_id]) == parent.info.run_id
    below = {name for name, run in runs.items() if parent_of(run) == runs["finalists"].info.run_id}
    finalists = {f"finalist {finalist.trial_id}" for finalist in story.of(FinalistsFinished)[0].result.finalists}
    assert below == finalists | {"baseline linear", "baseline boosting", "refit"}
    assert len(runs) == 1 + len(steps) + len(trials) + len(below)
    assert all(run.info.status == "FINISHED" for run in runs.values())


def test_c4_step_6_has_its_numbers(record, story):
    (client, _, runs), (event,) = record, story.of(CycleDecided)
    run = runs["6 repeat"]
    # The seeds by which noise was measured; one diverged.
    history = client.get_metric_history(run.info.run_id, "score_by_seed")
    assert [(one.step, one.value) for one in history] == [(0, 0.9), (2, 0.95)]
    assert run.data.tags["measured_on"] == "r2-000"
    assert run.data.metrics == {
        "score_by_seed": 0.95,
        "gain": event.decision.gain,
        "expected_gain": event.decision.expected_gain,
        "noise": event.decision.noise,
    }


def test_d3_checks_have_measured_expected_and_verdict(record, story):
    _, _, runs = record
    for event in story.of(CheckFinished):
        check = event.check
        run = runs[f"{check.step} {check.name}"]
        assert run.data.tags["verdict"] == ("passed" if check.passed else "failed")
        assert run.data.tags["summary"] == check.summary
        assert check.summary in run.data.tags["mlflow.note.content"]
        for name, value in check.measured.items():
            assert run.data.metrics[f"measured.{name}"] == pytest.approx(value)
        for name, value in check.expected.items():
            assert run.data.metrics[f"expected.{name}"] == pytest.approx(value)


def test_d3_loss_curves_of_a_check_have_the_parameter_update_as_step(record, story):
    client, _, runs = record
    check = next(event.check for event in story.of(CheckFinished) if event.check.step == 2)
    rate, losses = check.curves[0]
    history = client.get_metric_history(runs["2 overfit a small sample"].info.run_id, f"loss.lr_{rate:.3g}")
    assert [(m.step, m.value) for m in history] == list(zip(check.steps, losses, strict=True))


def test_a12_a13_layers_have_metrics_by_step_and_finalists_their_verdicts(record, story):
    client, _, runs = record
    check = next(event.check for event in story.of(CheckFinished) if event.check.step == 2)
    run = runs["2 overfit a small sample"]
    assert run.data.tags["gradient_health"] == check.health.verdict.name
    history = client.get_metric_history(run.info.run_id, "layer_1/gradient_norm")
    expected = [(look.step, look.layers[0].gradient_norm) for look in check.health.history]
    assert [(m.step, m.value) for m in history] == expected
    for finalist in story.of(FinalistsFinished)[0].result.finalists:
        run = runs[f"finalist {finalist.trial_id}"]
        assert run.data.tags["fit"] == finalist.fit.name
        assert run.data.tags["gradient_health"] == finalist.health.verdict.name
        rates = client.get_metric_history(run.info.run_id, "learning_rate")
        assert tuple(m.value for m in rates) == finalist.learning_rates
        assert "gradient_health.png" in [file.path for file in client.list_artifacts(run.info.run_id)]


def test_e1_a_trials_run_lasts_as_long_as_the_trial(record, story):
    _, _, runs = record
    for event in story.of(TrialFinished):
        run, times = runs[event.trial.trial_id], event.trial.times
        assert (run.info.start_time, run.info.end_time) == (round(times.began_at * 1000), round(times.ended_at * 1000))
        assert run.data.metrics["training_seconds"] == pytest.approx(times.seconds)


def test_d3_trials_have_dotted_parameters_and_metrics_with_the_epoch_as_step(record, story):
    client, _, runs = record
    for event in story.of(TrialFinished):
        trial = event.trial
        run = runs[trial.trial_id]
        assert run.data.params["network.activation"] == trial.config.network.activation
        assert float(run.data.params["optimizer.lr"]) == trial.config.optimizer.lr  # To the last digit.
        assert run.data.tags["status"] == trial.status
        history = client.get_metric_history(run.info.run_id, "validation_accuracy")
        assert [(m.step, m.value) for m in history] == [(p.epoch, p.validation_score) for p in trial.curve]
        assert run.data.metrics["score"] == trial.score


@pytest.mark.parametrize(
    ("name", "figure"),
    [
        ("1 initial loss", "activations.png"),
        ("2 overfit a small sample", "small_sample_loss.png"),
        ("3 learning rates", "learning_rates.png"),
        ("4 coarse search", "search_map.png"),
        ("5 refined search", "search_map.png"),
        ("finalists", "finalists.png"),
        ("2 overfit a small sample", "gradient_health.png"),
        ("finalists", "learning_rates.png"),
        *[("5 refined search", f"{name}.png") for name in ("history", "slices", "parallel", "rungs", "importance")],
        *[("wine-1", f"{name}.png") for name in ("search_map", "history", "slices", "parallel", "importance")],
    ],
)
def test_d3_each_step_has_its_figure(record, tmp_path, name, figure):
    client, _, runs = record
    run = runs[name].info.run_id
    assert figure in [file.path for file in client.list_artifacts(run)]
    content = Path(client.download_artifacts(run, figure, str(tmp_path))).read_bytes()
    assert content.startswith(b"\x89PNG")
    assert len(content) > 5_000


def test_d3_the_study_has_its_config_its_answer_and_what_it_takes_to_run_it_again(record, story, tmp_path):
    client, _, runs = record
    run = runs["wine-1"]
    started, final = story.of(StudyStarted)[0], story.of(FinalistsFinished)[0].result
    assert run.data.params["trial.optimizer.lr"] == "0.01"
    assert run.data.params["data.rows.train"] == str(started.data.n_train)
    assert run.data.tags["data.fingerprint"] == started.data.fingerprint
    assert run.data.tags["version.torch"] == "x"
    assert run.data.metrics["test_accuracy"] == pytest.approx(final.model_test_score)
    files = {
        name: Path(client.download_artifacts(run.info.run_id, name, str(tmp_path))).read_text()
        for name in ("spec.json", "report.md", "result.json")
    }
    again = client.download_artifacts(run.info.run_id, "config.yaml", str(tmp_path))
    assert config_file.load(Path(again)) == started.spec
    assert json.loads(files["result.json"])["best"]["trial_id"] == final.winner.trial_id
    assert parse(json.loads(files["spec.json"])) == started.spec
    report = files["report.md"]
    assert "# wine: completed" in report
    assert run.data.tags["reason"] in report
    networks = {file.path for file in client.list_artifacts(run.info.run_id, "winner")}
    assert networks == {"winner/winner.pt", "winner/refit.pt", "winner/average-1.pt"}


def test_d3_every_metric_stands_beside_those_of_simpler_models(record, story):
    _, _, runs = record
    final = story.of(FinalistsFinished)[0].result
    study = runs["wine-1"].data
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "roc_auc", "log_loss"):
        assert study.metrics[f"seeds/test_{name}"] == pytest.approx(final.test_metrics[name])
        # Of the mean of networks that is the model.
        assert study.metrics[f"model/test_{name}"] == pytest.approx(final.average.test_metrics[name])
        assert study.metrics[f"ignoring_inputs/test_{name}"] == pytest.approx(final.trivial_test_metrics[name])
        for baseline in final.baselines:
            own = runs[f"baseline {baseline.name}"].data.metrics
            assert study.metrics[f"baseline/{baseline.name}/test_{name}"] == pytest.approx(baseline.test[name])
            assert own[f"test_{name}"] == pytest.approx(baseline.test[name])
            assert own[f"model_is_better_by/{name}"] == pytest.approx(baseline.leads[name].difference)
        for finalist in final.finalists:
            metrics = runs[f"finalist {finalist.trial_id}"].data.metrics
            assert metrics[f"validation_mean_{name}"] == pytest.approx(finalist.validation_metrics[name])
    assert study.metrics["model/networks"] == len(final.average.networks) > 1
    assert study.metrics["model/alone_test_accuracy"] == pytest.approx(final.network_test_score)
    assert {baseline.name for baseline in final.baselines} == {"linear", "boosting"}
    assert study.tags["worth"] == worth(final)
    assert study.tags["worth"].split(":")[0] in ("Yes", "No", "It cannot be told")
    assert study.metrics["calibration/temperature"] == final.calibration.temperature
    assert study.metrics["calibration/log_loss_after"] == pytest.approx(final.calibration.log_loss_after)


def test_d3_the_study_has_a_dozen_headline_numbers_and_the_rest_in_groups(record, story):
    _, _, runs = record
    final, metrics = story.of(FinalistsFinished)[0].result, runs["wine-1"].data.metrics
    headline = {name: value for name, value in metrics.items() if "/" not in name}
    assert headline == {
        "test_accuracy": pytest.approx(final.model_test_score),
        "test_low": pytest.approx(final.test_interval[0]),
        "test_high": pytest.approx(final.test_interval[1]),
        "baseline": pytest.approx(max(baseline.test["accuracy"] for baseline in final.baselines)),
        "ignoring_inputs": pytest.approx(final.trivial_test_score),
        "score_mean": pytest.approx(final.winner.mean),
        "trials": len(story.of(TrialFinished)),
        "checks_passed": 3,
        "seconds": pytest.approx(story.of(StudyFinished)[0].result.seconds),
    }


def test_d3_the_studys_name_and_the_first_lines_of_its_note_are_the_answer(record, story):
    client, experiment, runs = record
    study, final = runs["wine-1"], story.of(FinalistsFinished)[0].result
    assert study.info.run_name.startswith(f"{final.model_test_score:.4g} wine · worth it: ")
    note = study.data.tags["mlflow.note.content"].splitlines()
    assert note[0].startswith(f"**Test accuracy {final.model_test_score:.4g}** (the model, 95 % interval ")
    assert note[2].startswith(
        "✓ 1 initial loss · ✓ 2 overfit a small sample · ✓ 3 learning rates · 10 trials in 2 rounds"
    )
    keys = re.findall(r"viewStateShareKey=([\w.-]+)", note[2])
    assert keys == ["trials-wine-1", "checks-wine-1", "studies"]
    kinds = dict(zip(keys, ("trial", "check", "study"), strict=True))
    for key, kind in kinds.items():
        state = json.loads(json.loads(experiment.tags[f"mlflow.sharedViewState.{key}"])["state"])
        # The view's filter and order are those of MLflow's own search.
        found = client.search_runs(
            [experiment.experiment_id], state["searchFilter"],
            order_by=[f"{state['orderByKey']} {'ASC' if state['orderByAsc'] else 'DESC'}"],
        )  # fmt: skip
        assert {run.data.tags["kind"] for run in found} == {kind}
        if kind == "trial":
            scores = [run.data.metrics["score"] for run in found]
            assert scores == sorted(scores, reverse=True)
            assert {f"params.`{leaf}`" for leaf in SPEC["search_space"]} <= set(state["selectedColumns"])


def test_d3_the_note_of_a_study_that_runs_says_where_it_is(story, tmp_path):
    recorder = MlflowRecorder(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path / "artifacts")
    client, notes = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}"), []
    for event in story.events:
        if isinstance(event, FinalistsFinished):
            break
        recorder.record(event)
        run = client.get_run(recorder._study.run)
        notes.append(run.data.tags.get("mlflow.note.content", ""))
    assert run.info.run_name == "running wine"
    assert any(note.startswith("**Running.** Step 4, coarse search: 6 trials of at most 4 epochs.") for note in notes)
    assert notes[-1].startswith("**Running.** Finalists.\n\n✓ 1 initial loss · ✓ 2 overfit a small sample")
    best = max((event.trial for event in story.of(TrialFinished)), key=lambda trial: trial.score)
    assert f" · 10 trials in 2 rounds, best {score_text(best.score)} ({best.trial_id})" in notes[-1]
    assert re.search(r"last news 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC$", notes[-1])


def test_d3_the_run_of_the_finalists_says_who_won_by_what_rule(record, story):
    _, _, runs = record
    final, data = story.of(FinalistsFinished)[0].result, runs["finalists"].data
    assert data.tags["winner"] == final.winner.trial_id
    note = data.tags["mlflow.note.content"]
    assert note.startswith(
        f"**{final.winner.trial_id} won**. Test accuracy {final.model_test_score:.4g}, 95 % interval "
    )
    assert final.rule
    assert final.rule in note
    winner = runs[f"finalist {final.winner.trial_id}"].data
    assert (winner.tags["won"], winner.tags["seeds"].split()) == ("true", [str(seed) for seed in final.winner.seeds])


def test_d3_the_table_is_the_data_set_of_the_run(record, story):
    _, _, runs = record
    data = story.of(StudyStarted)[0].data
    (found,) = runs["wine-1"].inputs.dataset_inputs
    assert (found.dataset.name, found.dataset.digest) == ("wine", data.fingerprint[:36])
    assert json.loads(found.dataset.source) == {"source": "wine", "target": data.target}


def test_d3_rounds_have_their_ranges_counts_and_sentences(record, story):
    _, _, runs = record
    for event in story.of(RoundFinished):
        result = event.result
        run = runs[result.plan.name]
        assert run.data.params["range.optimizer.lr"] == str(result.plan.space["optimizer.lr"])
        assert run.data.metrics["trials.completed"] == result.count(TrialStatus.COMPLETED)
        assert run.data.tags["best_trial"] == result.best.trial_id
    assert "where step 3 saw the loss fall" in runs["4 coarse search"].data.tags["mlflow.note.content"]


def test_b_finalists_say_how_sure_their_means_are_and_which_are_as_good(record, story):
    _, _, runs = record
    final = story.of(FinalistsFinished)[0].result
    for finalist in final.finalists:
        data = runs[f"finalist {finalist.trial_id}"].data
        ends = [data.metrics[name] for name in ("score_interval_low", "score_interval_high") if name in data.metrics]
        assert ends == pytest.approx(list(finalist.interval or ()))
        assert data.metrics["parameters"] == finalist.parameters
        assert data.tags["contender"] == str(finalist.trial_id in final.contenders).lower()
    study = runs["wine-1"].data
    assert study.metrics["winner/parameters"] == final.winner.parameters
    assert study.tags.get("alike", "") == " ".join(final.alike)


def test_b_the_trials_by_both_objectives_are_a_table_and_a_picture_of_the_study(story, tmp_path):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    recorder = MlflowRecorder(uri, tmp_path / "artifacts")
    points = (ParetoPoint("r2-000", 0.95, 900.0, True), ParetoPoint("r2-001", 0.9, 950.0, False))
    final = dataclasses.replace(
        story.of(FinalistsFinished)[0].result, pareto=ParetoSet("parameters", points), contenders=("r2-000", "r2-001")
    )
    recorder.record(story.of(StudyStarted)[0])
    recorder.record(FinalistsFinished(final))
    client = MlflowClient(tracking_uri=uri)
    found = client.search_runs([client.get_experiment_by_name("recorded").experiment_id])
    (study,) = [run.info.run_id for run in found if run.data.tags["part"] == "wine-1"]
    files = {name: Path(client.download_artifacts(study, name, str(tmp_path))) for name in ("pareto.csv", "pareto.png")}
    assert files["pareto.csv"].read_text().splitlines() == [
        "trial_id,accuracy,parameters,optimal", "r2-000,0.95,900.0,true", "r2-001,0.9,950.0,false",
    ]  # fmt: skip
    assert files["pareto.png"].read_bytes().startswith(b"\x89PNG")


def test_c6_trials_and_what_mattered_are_on_the_rounds_and_on_the_study(story, tmp_path):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    recorder = MlflowRecorder(uri, tmp_path / "artifacts")
    done = story.of(RoundFinished)[0].result
    # The fixture's rounds are too short to tell what mattered.
    longer = dataclasses.replace(done, trials=done.trials * 3)
    for event in story.events:
        if not isinstance(event, FinalistsFinished | ModelPacked):
            recorder.record(RoundFinished(longer) if isinstance(event, RoundFinished) else event)
    client = MlflowClient(tracking_uri=uri)
    found = client.search_runs([client.get_experiment_by_name("recorded").experiment_id])
    runs = {run.data.tags["part"]: run for run in found}
    shares = importance(longer).shares
    assert set(shares) == set(done.plan.space)
    for leaf, share in shares.items():
        assert runs["4 coarse search"].data.metrics[f"importance.{leaf}"] == pytest.approx(share)
    for name, trials in (("4 coarse search", longer.trials), ("wine-1", [e.trial for e in story.of(TrialFinished)])):
        table = client.download_artifacts(runs[name].info.run_id, "trials.csv", str(tmp_path))
        with Path(table).open() as file:
            rows = list(csv.DictReader(file))
        assert [row["trial_id"] for row in rows] == [trial.trial_id for trial in trials]
        assert [float(row["score"]) for row in rows] == [trial.score for trial in trials]


def test_a14_a_comparison_is_a_run_with_a_run_per_optimiser(comparison, tmp_path):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    recorder = MlflowRecorder(uri, tmp_path / "artifacts")
    for event in comparison.events:
        recorder.record(event)
    client = MlflowClient(tracking_uri=uri)
    found = client.search_runs([client.get_experiment_by_name("recorded").experiment_id])
    runs = {run.data.tags["part"]: run for run in found}
    assert set(runs) == {"optimisers-1", "sgd", "adam"}
    assert all(run.info.status == "FINISHED" for run in found)
    finished = comparison.of(ComparisonFinished)[0]
    result, run = finished.result, runs["optimisers-1"]
    assert run.data.params["comparison.epochs"] == "3"
    assert run.data.params["trial.network.hidden_sizes"] == "[8]"
    assert not [name for name in run.data.params if name.startswith(("search.", "finalists.", "checks."))]
    assert run.data.tags["mlflow.note.content"] == finished.report
    assert run.data.metrics["best_drop"] == pytest.approx(result.best_drop)
    files = ["config.yaml", "loss_curves.png", "loss_slice.png", "paths.html", "report.md", "spec.json"]
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == files
    page = Path(client.download_artifacts(run.info.run_id, "paths.html", str(tmp_path))).read_text()
    assert page == finished.files[2].read_text()
    for outcome in result.outcomes:
        child = runs[outcome.name]
        assert parent_of(child) == run.info.run_id
        assert float(child.data.params["optimizer.lr"]) == outcome.config.optimizer.lr
        for name in ("train_loss", "validation_loss"):
            history = client.get_metric_history(child.info.run_id, name)
            assert [(m.step, m.value) for m in history] == [(p.epoch, getattr(p, name)) for p in outcome.mean_curve]
        metrics = child.data.metrics
        assert metrics["best_score_mean"] == pytest.approx(outcome.best_mean)
        assert metrics["best_score_std"] == pytest.approx(outcome.best_std)
        assert (metrics["divergences"], metrics["divergences_sweep"]) == (0, outcome.diverged_in_sweep)
        assert metrics.get("epochs_to_95") == result.epochs_to_arrive(outcome)
        assert "validation_accuracy" in metrics


def test_diverged_trials_and_open_rounds_have_their_status(story, tmp_path):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    recorder = MlflowRecorder(uri, tmp_path / "artifacts")
    for event in story.events:
        if isinstance(event, TrialFinished):
            broken = dataclasses.replace(event.trial, status=TrialStatus.DIVERGED, reason="the loss was not finite")
            recorder.record(TrialFinished(broken))
            break
        recorder.record(event)
    result = dataclasses.replace(story.of(StudyFinished)[0].result, status="interrupted")
    recorder.record(StudyFinished(result, ""))
    client = MlflowClient(tracking_uri=uri)
    runs = client.search_runs([client.get_experiment_by_name("recorded").experiment_id])
    status = {run.data.tags["part"]: run.info.status for run in runs}
    assert status["r1-000"] == "FAILED"
    assert status["4 coarse search"] == status["wine-1"] == "KILLED"


def test_a_second_study_joins_the_same_experiment(story, tmp_path):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    for name in ("wine-1", "wine-2"):
        recorder = MlflowRecorder(uri, tmp_path / "artifacts")
        recorder.record(dataclasses.replace(story.of(StudyStarted)[0], study_id=name))
    client = MlflowClient(tracking_uri=uri)
    assert len(client.search_runs([client.get_experiment_by_name("recorded").experiment_id])) == 2


def test_names_of_metrics_are_those_that_mlflow_takes(story, tmp_path):
    recorder = MlflowRecorder(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path / "artifacts")
    recorder.record(story.of(StudyStarted)[0])
    check = next(event.check for event in story.of(CheckFinished) if event.check.step == 2)
    large = dataclasses.replace(check, steps=(0, 10), curves=((1e3, (1.0, 0.5)), (1e300, (1.0, 2.0))))
    recorder.record(CheckFinished(large))
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("recorded").experiment_id])
    names = {name for run in runs for name in run.data.metrics if name.startswith("loss.lr_")}
    # A plus sign, as in 1e+03, is none of its characters.
    assert names == {"loss.lr_1e03", "loss.lr_1e300"}
