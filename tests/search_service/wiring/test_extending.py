"""21: a study that is over is given more: none of its trials is trained again, and it stays as it is."""

from __future__ import annotations

import hashlib
import json
import shutil

import pytest
from mlflow import MlflowClient

from search_service import wiring
from search_service.errors import DataError, StudyBusyError
from search_service.folder import extending, layout
from search_service.folder.study_folder import StudyFolder
from search_service.records.events import TrialFinished
from search_service.records.results import StudyStatus
from search_service.settings import Settings
from search_service.spec.study_spec import parse
from tests.search_service.test_study import SMALL

SEARCH = SMALL["search"] | {"sampler": "random"}


def run(study, home, listen=lambda event: None, *, record=False):
    return wiring.run(study, settings=Settings(home=home), runner="inline", listeners=[listen], record=record).result


def begun(home, *, record=False, **search):
    return run(wiring.prepare(parse(SMALL | {"search": SEARCH | search})), home, record=record)


def more(home, study_id, **given):
    return wiring.extend(study_id, settings=Settings(home=home), **given)


def content(folder) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def curves(result, rounds=slice(None)):
    return [[(trial.trial_id, trial.curve) for trial in done.trials] for done in result.rounds[rounds]]


@pytest.fixture(scope="module")
def over(tmp_path_factory):
    """A home with a study that is over, in its record, too."""
    home = tmp_path_factory.mktemp("home")
    return home, begun(home, record=True)


@pytest.fixture
def copied(over, tmp_path):
    """The same in a home of one's own, without the record."""
    home, result = over
    shutil.copytree(home / "studies" / result.study_id, tmp_path / "studies" / result.study_id)
    return tmp_path, result


@pytest.fixture(scope="module")
def extended(over):
    """By 9 trials, of which the config's rounds of 6 and 4 make 5 and 4."""
    home, result = over
    before = content(home / "studies" / result.study_id)
    return run(more(home, result.study_id, trials=9), home, record=True), before


def test_21_an_extended_study_has_all_trials_and_trains_none_of_them_again(over, extended):
    (_, first), (second, _) = over, extended
    assert second.status is StudyStatus.COMPLETED
    assert [len(done.trials) for done in second.rounds] == [6, 4, 5, 4]
    # When and how long each was trained, too.
    assert [done.trials for done in second.rounds[:2]] == [done.trials for done in first.rounds]
    assert [done.plan.limits.max_epochs for done in second.rounds] == [4, 6, 4, 6]
    assert [decision.stop for decision in second.decisions] == [False, True]
    assert second.decisions[0].reason.startswith(first.decisions[0].reason)
    assert f"study {first.study_id} was extended by 9 trials" in second.decisions[0].reason
    assert second.seconds > first.seconds
    known = {trial.trial_id for done in second.rounds for trial in done.trials}
    assert {finalist.trial_id for finalist in second.finalists.finalists} <= known


def test_21_what_is_extended_stays_as_it_is(over, extended):
    (home, first), (_, before) = over, extended
    assert content(home / "studies" / first.study_id) == before


def test_21_the_record_has_a_run_for_each_and_says_what_was_extended(over, extended):
    (home, first), (second, _) = over, extended
    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("small").experiment_id], max_results=1000)
    studies = {run.data.tags["study_id"]: run for run in runs if run.data.tags["kind"] == "study"}
    assert studies.keys() == {first.study_id, second.study_id}
    assert studies[second.study_id].data.tags["extends"] == first.study_id
    assert "extends" not in studies[first.study_id].data.tags
    rounds = [run for run in runs if run.data.tags["kind"] == "round"]
    of_second = {run.info.run_id for run in rounds if run.data.tags["study_id"] == second.study_id}
    trials = [run for run in runs if run.data.tags["kind"] == "trial"]
    assert sum(run.data.tags["mlflow.parentRunId"] in of_second for run in trials) == 19


def test_21_its_report_says_first_that_the_test_rows_are_met_again(over, extended):
    (home, first), (second, _) = over, extended
    texts = [(home / "studies" / one.study_id / layout.REPORT).read_text() for one in (first, second)]
    assert "(rows used once)" in texts[0] and "Goes on from" not in texts[0]
    assert "(rows used before, by the study that this one extends)" in texts[1]
    said = f"**Goes on from** the end of the study {first.study_id}. The model of that one has met the same test rows."
    assert texts[1].index(said) < texts[1].index("**Why it ended.**")
    result = json.loads((home / "studies" / second.study_id / layout.RESULT).read_text())
    assert result["extends"] == first.study_id


def test_21_minutes_go_to_further_cycles_and_what_was_extended_may_be_again(over, extended):
    home, _ = over
    second, _ = extended
    third = run(more(home, second.study_id, minutes=0.1), home)
    assert [done.trials for done in third.rounds[:4]] == [done.trials for done in second.rounds]
    assert len(third.rounds) >= 6
    assert all("the minutes" in decision.reason for decision in third.decisions[2:])
    # How busy the machine is meanwhile is another matter: against hanging only.
    assert third.seconds - second.seconds < 6 + 120


def test_21_what_began_with_an_earlier_studys_trials_is_extended_with_them(over):
    home, first = over
    spec = parse(SMALL | {"search": SMALL["search"] | {"warm_start": first.study_id}})
    warm = run(wiring.prepare(spec, settings=Settings(home=home)), home)
    again = run(more(home, warm.study_id, trials=4), home)
    assert [done.trials for done in again.rounds[:2]] == [done.trials for done in warm.rounds]
    assert all(done.plan.sampling.past for done in again.rounds)


def test_d6_an_extended_study_that_is_killed_goes_on_to_the_same_end(copied):
    home, first = copied

    class Killed(BaseException):
        pass

    def die(event):
        if isinstance(event, TrialFinished) and event.trial.trial_id == "r3-001":
            raise Killed

    calm = run(more(home, first.study_id, trials=5), home)
    study = more(home, first.study_id, trials=5)
    with pytest.raises(Killed):
        run(study, home, die)
    after = run(wiring.prepare_again(study.folder.path.name, settings=Settings(home=home)), home)
    assert curves(after) == curves(calm)
    assert after.finalists.test_scores == calm.finalists.test_scores


def test_21_the_command_says_what_of_the_time_is_that_of_the_study_before(copied, called):
    home, first = copied
    done = called("extend", first.study_id, "--trials", "4", "--runner", "inline", "--home", home)
    assert done.returncode == 0, done.stderr
    taken = StudyFolder(home / "studies" / first.study_id).seconds
    assert f" s, {taken:.0f} s of it before it was extended" in done.stdout


def test_21_more_takes_the_place_of_the_epochs_that_had_ended_the_study(tmp_path):
    """Of its first round one trial is left, of its refined one nothing."""
    first = begun(tmp_path, max_total_epochs=1, population_size=1)
    assert [len(done.trials) for done in first.rounds] == [1, 0]
    second = run(more(tmp_path, first.study_id, trials=4), tmp_path)
    assert [len(done.trials) for done in second.rounds] == [1, 0, 2, 2]


def test_21_more_takes_the_place_of_the_seconds_that_had_ended_the_study(tmp_path):
    first = begun(tmp_path, time_budget_s=3600)
    (tmp_path / "studies" / first.study_id / "elapsed.json").write_text('{"seconds": 3601}')
    second = run(more(tmp_path, first.study_id, trials=4), tmp_path)
    assert [len(done.trials) for done in second.rounds] == [6, 4, 2, 2]
    assert "time budget" not in second.reason
    assert second.seconds > 3601


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "one of the two"),
        ({"trials": 4, "minutes": 1.0}, "one of the two"),
        ({"trials": 1}, "2 or more"),
        ({"trials": 10**9}, "at most"),
        ({"minutes": 0.0}, "above 0"),
        ({"minutes": float("inf")}, "at most"),
        ({"minutes": float("nan")}, "above 0"),
    ],
)
def test_21_what_cannot_be_given_is_refused_and_leaves_nothing(copied, given, said):
    home, first = copied
    with pytest.raises(DataError, match=said):
        more(home, first.study_id, **given)
    assert [path.name for path in (home / "studies").iterdir()] == [first.study_id]


@pytest.mark.parametrize(
    ("ending", "said"),
    [
        (None, "a study that is over.*go on with it: search-service run --study"),
        ('{"status": "failed", "reason": "step 1"}', "that has found a model; this one has ended, failed: step 1"),
    ],
)
def test_21_only_a_study_that_has_found_a_model_is_extended(copied, ending, said):
    home, first = copied
    path = home / "studies" / first.study_id / "ended.json"
    path.unlink() if ending is None else path.write_text(ending)
    with pytest.raises(DataError, match=f"(?s){said}"):
        more(home, first.study_id, trials=4)
    with pytest.raises(DataError, match="a study under"):
        more(home, "another", trials=4)


def test_d6_only_a_study_that_is_over_is_told_to_its_record_again(copied):
    home, first = copied
    (home / "studies" / first.study_id / "ended.json").unlink()
    with pytest.raises(DataError, match="(?s)a study that is over.*which goes on with it and records it"):
        wiring.sync(first.study_id, settings=Settings(home=home))


def test_21_a_study_that_somebody_works_on_is_left_alone(copied):
    home, first = copied
    with StudyFolder(home / "studies" / first.study_id).lock(), pytest.raises(StudyBusyError):
        more(home, first.study_id, trials=4)


def test_21_a_copy_that_is_cut_short_is_no_study(copied, monkeypatch):
    home, first = copied
    folder = home / "studies" / first.study_id

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(extending.shutil, "copytree", full)
    with pytest.raises(OSError, match="No space left"):
        extending.extend(StudyFolder(folder), home / "studies" / "new", trials=4)
    assert [path.name for path in (home / "studies").iterdir()] == [first.study_id]


def test_d6_a_study_of_a_service_that_leaves_its_networks_to_the_table_goes_on_and_is_extended(tmp_path):
    """A service writes the config down as it was submitted: it was read another way by whoever went on."""
    search = SEARCH | {"coarse": {"max_trials": 6, "max_epochs": 2}, "refined": {"max_trials": 2, "max_epochs": 2}}
    finalists = {"top": 1, "seeds": 2, "folds": None}
    submitted = {"name": "open", "data": {"source": "wine"}, "search": search, "finalists": finalists}
    folder = tmp_path / "studies" / "open-1"
    folder.mkdir(parents=True)
    (folder / "spec.json").write_text(json.dumps(submitted), encoding="utf-8")
    settings, seen = Settings(home=tmp_path), []

    def stop(event):
        seen.append(event)
        if sum(isinstance(event, TrialFinished) for event in seen) == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(wiring.prepare_again("open-1", settings=settings), tmp_path, stop)
    result = run(wiring.prepare_again("open-1", settings=settings), tmp_path)
    assert result.status is StudyStatus.COMPLETED
    assert "network.hidden_sizes" in json.loads((folder / "spec.json").read_text(encoding="utf-8"))["search_space"]
    again = run(more(tmp_path, "open-1", trials=2), tmp_path)
    assert curves(again)[:2] == curves(result)
