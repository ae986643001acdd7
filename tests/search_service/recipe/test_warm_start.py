"""C5: what an earlier study may teach a new one, by hand and from one study to the next."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient

from search_service import wiring
from search_service.errors import InvalidSpecError
from search_service.folder.study_folder import StudyFolder
from search_service.recipe import warm_start
from search_service.recipe.warm_start import lesson
from search_service.recorders.mlflow import history as mlflow_history
from search_service.records.earlier import EarlierStudy, EarlierTrial
from search_service.records.events import RoundStarted, TrialFinished
from search_service.records.rounds import TrialStatus
from search_service.settings import Settings
from search_service.space.ranges import Choices, NumericRange
from search_service.spec.study_spec import parse
from search_service.wiring import preparing
from tests.plans import make_plan
from trainables.config import TrialConfig

SPACE = {
    "optimizer.lr": NumericRange(1e-4, 1e-1, log=True),
    "network.hidden_sizes": Choices(((8,), (16, 8))),
    "optimizer.name": Choices(("adamw", "momentum")),
    "optimizer.momentum": NumericRange(0.5, 0.9, step=0.1),
}


def earlier(**changes) -> EarlierTrial:
    parameters = {"optimizer.lr": 0.01, "network.hidden_sizes": [8], "optimizer.name": "adamw"}
    trial = EarlierTrial("r1-000", parameters, TrialStatus.COMPLETED, 0.9, 9, 9)
    parameters |= changes.pop("parameters", {})
    return dataclasses.replace(trial, **changes)


def taught(*trials: EarlierTrial):
    study = EarlierStudy("old-1", "accuracy", "classification", "rows", trials)
    # One rung, at epoch 3.
    plan = make_plan(Path("unused"), space=SPACE, base=TrialConfig(), max_epochs=9, grace_period=3)
    return lesson(study, plan, "rows")


@pytest.mark.parametrize(
    ("changes", "values"),
    [
        ({}, {"optimizer.lr": 0.01, "network.hidden_sizes": (8,), "optimizer.name": "adamw"}),
        (
            {"parameters": {"optimizer.name": "momentum", "optimizer.momentum": 0.7}},
            {
                "optimizer.lr": 0.01,
                "network.hidden_sizes": (8,),
                "optimizer.name": "momentum",
                "optimizer.momentum": 0.7,
            },
        ),
    ],
)
def test_c5_a_trial_teaches_with_the_values_that_are_searched_here(changes, values):
    found = taught(earlier(**changes))
    assert [(p.values, p.state, p.score, p.epochs) for p in found.trials] == [(values, "completed", 0.9, 9)]
    assert found.sentence == "warm start: 1 of 1 trials of old-1 teach the sampler"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"status": TrialStatus.DIVERGED, "score": math.nan}, "has no score"),
        ({"status": TrialStatus.FAILED}, "has no score"),
        ({"max_epochs": 27, "epochs": 27}, "had 27 epochs to train for, not 9"),
        ({"status": TrialStatus.PRUNED, "epochs": 5}, "was stopped at epoch 5, which is no rung"),
        ({"parameters": {"optimizer.lr": 0.5}}, "lies outside the range of optimizer.lr"),
        ({"parameters": {"network.hidden_sizes": [8, 8]}}, "lies outside the range of network.hidden_sizes"),
        ({"parameters": {"optimizer.name": "momentum"}}, "does not have optimizer.momentum"),
        # Not a value that the steps of the range reach.
        (
            {"parameters": {"optimizer.name": "momentum", "optimizer.momentum": 0.75}},
            "lies outside the range of optimizer.momentum",
        ),
    ],
)
def test_c5_a_trial_that_cannot_be_compared_teaches_nothing_and_that_is_said(changes, why):
    found = taught(earlier(**changes), earlier())
    assert len(found.trials) == 1
    assert found.sentence == f"warm start: 1 of 2 trials of old-1 teach the sampler; 1 {why}"


def test_c5_a_trial_stopped_at_a_rung_of_this_round_teaches_as_stopped():
    (past,) = taught(earlier(status=TrialStatus.PRUNED, epochs=3)).trials
    assert (past.state, past.epochs) == ("pruned", 3)


# ---- from one study to the next --------------------------------------------------------------------------------

SPEC = {
    "name": "first",
    "data": {"source": "wine"},
    "trial": {"network": {"hidden_sizes": [8], "dropout": 0.1}, "optimizer": {"lr": 0.01}, "batch_size": 16},
    "search_space": {
        "optimizer.weight_decay": {"low": 1e-3, "high": 1.0, "log": True},
        "network.hidden_sizes": {"choices": [[8], [12, 8]]},
    },
    "search": {
        "coarse": {"max_trials": 8, "max_epochs": 4},
        "refined": {"max_trials": 4, "max_epochs": 6},
        "grace_period": 2,
        "max_cycles": 1,
        # Measured sizes differ from run to run, and with them who reaches a rung first: two studies are compared here.
        "population_size": 2,
    },
    "finalists": {"top": 1, "seeds": 1, "baselines": False},
    "model": {"register": False},
}


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> Settings:
    return Settings(home=tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def first(settings):
    return wiring.run(wiring.prepare(parse(SPEC)), settings=settings, runner="inline").result


def changed(study, **changes):
    search = SPEC["search"] | {"warm_start": study if isinstance(study, str) else study.study_id}
    return parse(SPEC | {"name": "second", "search": search} | changes)


def test_c5_the_record_gives_back_what_the_study_found(settings, first):
    found = mlflow_history.read_study(settings.record_uri, first.study_id)
    assert (found.metric, found.task, found.fingerprint) == ("accuracy", "classification", first.data.fingerprint)
    by_id = {trial.trial_id: trial for trial in found.trials}
    for done in first.rounds:
        for trial in done.trials:
            again = by_id.pop(trial.trial_id)
            assert (again.status, again.epochs, again.max_epochs) == (
                trial.status,
                trial.epochs,
                done.plan.limits.max_epochs,
            )
            assert again.score == trial.score
            assert TrialConfig().replace(again.parameters) == trial.config
    assert by_id == {}
    assert mlflow_history.read_study(settings.record_uri, "nothing") is None


def test_c5_a_trial_without_a_score_and_a_round_that_never_began_do_not_hide_what_was_optimised(
    settings, first, tmp_path
):
    """The metric was that of whichever trial came first, and nothing if this had failed before its first epoch."""
    home = Settings(home=tmp_path / "home")
    shutil.copytree(settings.home, home.home)
    client = MlflowClient(home.record_uri)
    study = mlflow_history.find_study(client, first.study_id)
    (done, *_) = mlflow_history._children(client, study, "round")
    for kind, parent in (("round", study), ("trial", done)):
        tags = {"kind": kind, "mlflow.parentRunId": parent.info.run_id, "status": "failed"}
        client.create_run(study.info.experiment_id, tags=tags, run_name="r9-999")
    found = mlflow_history.read_study(home.record_uri, first.study_id)
    assert found.metric == "accuracy"
    assert next(mlflow_history._children(client, done, "trial")).info.run_name == "r9-999"


def test_c5_a_second_study_learns_from_the_first_and_begins_with_its_best(settings, first):
    events = []
    study = wiring.prepare(changed(first), settings=settings)
    second = wiring.run(study, settings=settings, runner="inline", listeners=[events.append]).result
    best = max((t for t in first.rounds[1].trials if t.epochs == 6), key=lambda t: t.score)
    tried = second.rounds[0].trials[0]
    assert {leaf: tried.config[leaf] for leaf in tried.values} == {leaf: best.config[leaf] for leaf in tried.values}
    # Each round learns from the trials of equal length, and numbers its own from 0.
    started = [event for event in events if isinstance(event, RoundStarted)]
    for event, done, length in zip(started, second.rounds, (4, 6), strict=True):
        old = {t.trial_id for d in first.rounds for t in d.trials if d.plan.limits.max_epochs == length}
        assert {past.trial_id for past in event.plan.sampling.past} <= old
        assert (
            f"warm start: {len(event.plan.sampling.past)} of 12 trials of {first.study_id} teach"
            in event.sentences[-2:][0 if event.plan.number == 1 else 1]
        )
        assert [trial.number for trial in done.trials] == list(range(len(done.trials)))
    assert len(started[0].plan.sampling.past) == 8
    client = MlflowClient(settings.record_uri)
    runs = client.search_runs([client.get_experiment_by_name("second").experiment_id])
    note = next(r.data.tags["mlflow.note.content"] for r in runs if r.info.run_name == "4 coarse search")
    assert f"8 of 12 trials of {first.study_id} teach the sampler; 4 had 6 epochs to train for, not 4" in note
    assert f"tried first: trial {best.trial_id} of {first.study_id}" in note
    # Its record can be completed afterwards: it was told that its first round would not be what it began with.
    folder = StudyFolder(Path(second.rounds[0].plan.folder).parent)
    again = wiring.sync(second.study_id, settings=settings).result
    assert [done.trials for done in again.rounds] == [done.trials for done in second.rounds]
    assert '"status":"failed"' not in (folder.path / "report.html").read_text(encoding="utf-8")
    # And it goes on wherever the record of the first has gone.
    assert preparing.taught(folder, study.spec, Settings(home=folder.path / "nowhere")).study_id == first.study_id
    # What it had learnt is kept for a process that goes on with it.
    kept = json.loads((Path(second.rounds[0].plan.folder).parent / "done" / "warm-start.json").read_text())
    assert len(kept["trials"]) == 12


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "the id of a study in the record at"),
        ({"objective": {"metric": "macro_f1"}}, "optimised macro_f1; this one optimised accuracy"),
        ({"data": {"source": "diabetes"}}, "a study of regression, as this one is"),
        (
            {"search_space": {"optimizer.weight_decay": {"low": 1e-9, "high": 1e-8}}},
            "12 of its 12 lie outside the range of optimizer.weight_decay",
        ),
        (
            {"search_space": {"optimizer.name": {"choices": ["momentum"]}, "optimizer.lr": {"low": 0.01, "high": 0.1}}},
            "lie outside the range of optimizer.name",
        ),
    ],
)
def test_c5_a_study_that_cannot_teach_is_one_mistake_before_anything_starts(settings, first, changes, words):
    before = sorted(settings.home.glob("studies/*"))
    with pytest.raises(InvalidSpecError, match=words) as refused:
        wiring.prepare(changed(first if changes else "nothing", **changes), settings=settings)
    (problem,) = refused.value.problems
    assert problem.path == warm_start.KEY
    assert problem.fix
    assert sorted(settings.home.glob("studies/*")) == before


def test_c5_a_record_that_is_not_there_is_not_made(tmp_path):
    with pytest.raises(InvalidSpecError, match="the id of a study in the record at"):
        wiring.prepare(changed("old"), settings=Settings(home=tmp_path / "home"))
    assert list(tmp_path.iterdir()) == []


def test_d6_a_warm_started_study_that_is_cut_short_goes_on_with_what_it_had_learnt(settings, first):
    def interrupt(event):
        if isinstance(event, TrialFinished) and event.trial.trial_id == "r2-001":
            raise KeyboardInterrupt

    spec = changed(first, name="third")
    with pytest.raises(KeyboardInterrupt):
        wiring.run(wiring.prepare(spec, settings=settings), settings=settings, runner="inline", listeners=[interrupt])
    (folder,) = settings.home.glob("studies/third-*")
    again = wiring.prepare_again(folder.name, settings=settings)
    result = wiring.run(again, settings=settings, runner="inline").result
    calm = wiring.run(wiring.prepare(spec, settings=settings), settings=settings, runner="inline").result
    assert [t.trial_id for done in result.rounds for t in done.trials] == [
        t.trial_id for done in calm.rounds for t in done.trials
    ]
    assert [done.plan.sampling.past for done in result.rounds] == [done.plan.sampling.past for done in calm.rounds]
