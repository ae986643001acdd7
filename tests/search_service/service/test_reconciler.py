"""D4, D6: what is wanted and what is there are made to agree, whatever dies in between."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from search_service.errors import RunnerError, StudyBusyError
from search_service.folder import layout
from search_service.folder.study_folder import StudyFolder
from search_service.service import migrations
from search_service.service import reconciler as reconciling
from search_service.service.reconciler import Reconciler
from search_service.service.settings import ServiceSettings
from search_service.service.states import State, Wanted
from search_service.service.store import NewStudy, Store, now
from tests.contracts.test_stores import ROUND, STARTED, trial
from tests.services import ScriptedJobs, write_events


class Workshop:
    """A store, jobs and a reconciler, and what happens between two of its rounds."""

    def __init__(self, home, **changes) -> None:
        self.settings = ServiceSettings(**{"home": home, "max_running": 2, "restart_delay_s": 0} | changes)
        self.store, self.jobs = Store(self.settings.store_url), ScriptedJobs()
        migrations.upgrade(self.store.engine)
        self.reconciler = Reconciler(self.store, self.jobs, self.settings)

    def submit(self, number: int = 0, priority: int = 0) -> str:
        spec = {"name": "digits", "data": {"source": "digits"}}
        new = NewStudy(f"digits-{number}", "digits", "ada", spec, priority=priority, metric="accuracy")
        return self.store.add_study(new)[0].id

    def folder(self, study_id: str):
        return self.settings.home.absolute() / "studies" / study_id

    def state(self, study_id: str) -> str:
        return self.store.study(study_id).state

    def finish(self, study_id: str, status: str = "completed", reason: str = "good enough") -> None:
        """As a job does when its study is over."""
        folder = StudyFolder(self.folder(study_id))
        folder.end(status, reason)
        (folder.path / layout.RESULT).write_text(json.dumps({"best": None}))
        self.jobs.end(self.store.attempt(study_id).job_id)


@pytest.fixture
def workshop(tmp_path):
    made = Workshop(tmp_path)
    yield made
    made.store.close()


def test_a_study_is_begun_followed_and_finished(workshop):
    study = workshop.submit()
    workshop.reconciler.reconcile()
    (job,) = workshop.jobs.submitted
    assert job.job_id == "digits-0-1"
    assert job.command[-6:-1] == ["--study", study, "--home", str(workshop.settings.home), "--runner"]
    assert json.loads((workshop.folder(study) / "spec.json").read_text())["data"] == {"source": "digits"}
    write_events(workshop.folder(study), STARTED, ROUND, trial(0, 0.9))
    workshop.reconciler.reconcile()
    assert workshop.state(study) == State.SEARCHING
    workshop.finish(study)
    workshop.reconciler.reconcile()
    row = workshop.store.study(study, whole=True)
    assert (row.state, row.reason, row.result, row.trials) == (State.COMPLETED, "good enough", {"best": None}, 1)
    assert workshop.store.attempt(study).ended_at is not None
    # Nothing is left to do.
    workshop.reconciler.reconcile()
    assert len(workshop.jobs.submitted) == 1


def test_the_folder_of_a_job_is_told_which_tables_it_may_read(workshop):
    workshop.submit()
    workshop.reconciler.reconcile()
    environment = workshop.jobs.submitted[0].environment
    assert environment["SEARCH_SERVICE_DATA_FOLDERS"].split(",")[0] == str(workshop.settings.home / "datasets")


def test_no_more_run_than_may_and_the_most_urgent_come_first(workshop):
    for number, priority in enumerate((0, 0, 7, 0)):
        workshop.submit(number, priority)
    workshop.reconciler.reconcile()
    assert [job.job_id for job in workshop.jobs.submitted] == ["digits-2-1", "digits-0-1"]
    workshop.finish("digits-0")
    workshop.reconciler.reconcile()
    assert [job.job_id for job in workshop.jobs.submitted][2:] == ["digits-1-1"]


def test_a_failed_check_is_the_end(workshop):
    study = workshop.submit()
    workshop.reconciler.reconcile()
    workshop.finish(study, "failed", "step 2: it cannot memorise")
    workshop.reconciler.reconcile()
    assert (workshop.state(study), len(workshop.jobs.submitted)) == (State.FAILED, 1)


def test_a_job_that_dies_is_started_again_and_one_that_dies_too_often_is_not(workshop):
    study = workshop.submit()
    workshop.reconciler.reconcile()
    (workshop.folder(study) / "digits-0-3.log").write_text("one\n\nout of memory\n")
    for attempt in (1, 2):
        workshop.jobs.end(f"{study}-{attempt}", 1)
        workshop.reconciler.reconcile()
        assert workshop.state(study) == State.CHECKING
        assert workshop.jobs.submitted[-1].job_id == f"{study}-{attempt + 1}"
    workshop.jobs.end(f"{study}-3", 1)
    workshop.reconciler.reconcile()
    row = workshop.store.study(study)
    assert row.state == State.INTERRUPTED
    assert row.reason.startswith("its job died 3 times without finishing a trial (exit code 1): one | out of memory")
    # Somebody mends the cause and asks again: it has all its attempts back.
    workshop.store.want(study, Wanted.RUN)
    workshop.reconciler.reconcile()
    assert (workshop.state(study), workshop.jobs.submitted[-1].job_id) == (State.CHECKING, f"{study}-4")
    workshop.jobs.end(f"{study}-4", 1)
    workshop.reconciler.reconcile()
    assert workshop.state(study) == State.CHECKING


def test_e1_a_reason_has_no_traceback_and_no_path_of_the_home(workshop):
    study = workshop.submit()
    workshop.reconciler.reconcile()
    log = f"""Step 1     fine
Traceback (most recent call last):
  File "/usr/lib/python3.11/x.py", line 3, in f
    raise ValueError

ValueError: no such thing as {workshop.settings.home}/studies/{study}/x

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/usr/lib/python3.11/y.py", line 4, in g
RuntimeError: it broke
"""
    for attempt in (1, 2, 3):
        (workshop.folder(study) / f"{study}-{attempt}.log").write_text(log)
        workshop.jobs.end(f"{study}-{attempt}", 1)
        workshop.reconciler.reconcile()
    reason = workshop.store.study(study).reason
    said = f"Step 1     fine | ValueError: no such thing as studies/{study}/x | RuntimeError: it broke"
    assert reason == f"its job died 3 times without finishing a trial (exit code 1): {said}"


def test_deaths_between_which_trials_were_finished_do_not_add_up(workshop):
    study = workshop.submit()
    workshop.reconciler.reconcile()
    write_events(workshop.folder(study), STARTED)
    for attempt in range(1, 6):
        write_events(workshop.folder(study), trial(attempt, 0.5))
        workshop.reconciler.reconcile()
        workshop.jobs.end(f"{study}-{attempt}", 1)
        workshop.reconciler.reconcile()
    assert (workshop.state(study), workshop.store.study(study).trials) == (State.CHECKING, 5)


def test_a_config_that_cannot_be_used_any_more_is_not_tried_again(workshop):
    study = workshop.submit()
    workshop.reconciler.reconcile()
    (workshop.folder(study) / "digits-0-1.log").write_text("the table has changed\n")
    workshop.jobs.end(f"{study}-1", 2)
    workshop.reconciler.reconcile()
    row = workshop.store.study(study)
    assert (row.state, row.reason) == (State.FAILED, "the job could not begin: the table has changed")


def test_a_cluster_that_lost_its_head_gets_the_study_again(workshop):
    study = workshop.submit()
    workshop.reconciler.reconcile()
    workshop.jobs.forget()
    workshop.reconciler.reconcile()
    assert [job.job_id for job in workshop.jobs.submitted] == [f"{study}-2"]


def test_a_job_that_the_cluster_forgot_and_that_still_runs_is_let_finish(workshop):
    study = workshop.submit()
    workshop.reconciler.reconcile()
    workshop.jobs.forget()
    with StudyFolder(workshop.folder(study)).lock():
        workshop.reconciler.reconcile()
        assert workshop.jobs.submitted == []
    workshop.reconciler.reconcile()
    assert [job.job_id for job in workshop.jobs.submitted] == [f"{study}-2"]


def test_while_the_cluster_cannot_be_reached_nothing_is_lost(workshop):
    running, waiting = workshop.submit(0), workshop.submit(1)
    workshop.jobs.break_off(unreachable=True)
    for _ in range(3):
        with pytest.raises(RunnerError, match="does not answer"):
            workshop.reconciler.reconcile()
    workshop.jobs.break_off(unreachable=False)
    workshop.reconciler.reconcile()
    assert sorted(job.job_id for job in workshop.jobs.submitted) == [f"{running}-1", f"{waiting}-1"]


def test_a_service_killed_between_entering_an_attempt_and_submitting_it_submits_it_later(workshop):
    study = workshop.submit()
    workshop.store.begin_next(1)
    workshop.reconciler.reconcile()
    assert [job.job_id for job in workshop.jobs.submitted] == [f"{study}-1"]


def test_a_service_killed_between_submitting_and_noting_it_starts_no_second_job(workshop):
    study = workshop.submit()
    workshop.reconciler.reconcile()
    workshop.store.note_attempt(workshop.store.attempt(study), submitted=False)
    workshop.reconciler.reconcile()
    assert len(workshop.jobs.submitted) == 1


def test_cancelling_interrupts_once_and_resuming_goes_on(workshop):
    study = workshop.submit()
    workshop.reconciler.reconcile()
    workshop.store.want(study, Wanted.CANCEL)
    workshop.reconciler.reconcile()
    workshop.reconciler.reconcile()
    assert workshop.jobs.cancelled == [f"{study}-1"]
    workshop.jobs.end(f"{study}-1", 130)
    workshop.reconciler.reconcile()
    assert workshop.state(study) == State.CANCELLED
    workshop.store.want(study, Wanted.RUN)
    workshop.reconciler.reconcile()
    assert workshop.jobs.submitted[-1].job_id == f"{study}-2"


def test_stopping_asks_the_job_and_a_resumed_study_is_not_asked_again(workshop):
    study = workshop.submit()
    workshop.reconciler.reconcile()
    workshop.store.want(study, Wanted.STOP)
    workshop.reconciler.reconcile()
    assert (workshop.folder(study) / layout.STOP).exists()
    write_events(workshop.folder(study), STARTED, ROUND)
    workshop.reconciler.reconcile()
    assert workshop.state(study) == State.STOPPING
    # It dies while it ends: the next job ends it.
    workshop.jobs.end(f"{study}-1", 1)
    workshop.reconciler.reconcile()
    assert (workshop.folder(study) / layout.STOP).exists()
    workshop.store.want(study, Wanted.CANCEL)
    workshop.jobs.end(f"{study}-2", 130)
    workshop.reconciler.reconcile()
    workshop.store.want(study, Wanted.RUN)
    workshop.reconciler.reconcile()
    assert not (workshop.folder(study) / layout.STOP).exists()


def test_a_line_that_is_being_written_is_left_for_the_next_look(workshop):
    study = workshop.submit()
    workshop.reconciler.reconcile()
    path = workshop.folder(study) / "events.jsonl"
    write_events(workshop.folder(study), STARTED)
    with path.open("a") as file:
        file.write('{"type": "round_sta')
    workshop.reconciler.reconcile()
    assert workshop.store.study(study).events == 1
    with path.open("a") as file:
        file.write('rted", "round": 1, "step": 4, "max_trials": 8}\n')
    workshop.reconciler.reconcile()
    assert workshop.store.study(study).round == 1


@pytest.mark.parametrize(
    "content", ["no JSON\n", '{"type": "finalists_finished"}\n', '{"type": "trial_finished"}\n', "[1]\n"]
)
def test_a_study_with_a_broken_file_keeps_nobody_waiting_and_can_be_ended(workshop, content):
    broken, fine = workshop.submit(0), workshop.submit(1)
    workshop.reconciler.reconcile()
    (workshop.folder(broken) / "events.jsonl").write_text(content)
    workshop.finish(fine)
    workshop.store.want(broken, Wanted.CANCEL)
    waiting = workshop.submit(2)
    with pytest.raises((ValueError, KeyError, TypeError, AttributeError)) as trouble:
        workshop.reconciler.reconcile()
    assert broken in str(trouble.value.__notes__)
    assert workshop.state(fine) == State.COMPLETED
    assert workshop.state(waiting) == State.CHECKING
    assert workshop.jobs.cancelled == [f"{broken}-1"]
    workshop.jobs.end(f"{broken}-1", 130)
    with pytest.raises((ValueError, KeyError, TypeError, AttributeError)):
        workshop.reconciler.reconcile()
    assert workshop.state(broken) == State.CANCELLED


def test_a_file_that_lost_its_end_is_said(workshop):
    study = workshop.submit()
    workshop.reconciler.reconcile()
    write_events(workshop.folder(study), STARTED, trial(0, 0.5))
    workshop.reconciler.reconcile()
    path = workshop.folder(study) / "events.jsonl"
    path.write_text(path.read_text()[:10])
    with pytest.raises(ValueError, match="shorter than what was read"):
        workshop.reconciler.reconcile()


def test_a_line_longer_than_a_chunk_is_read(workshop, monkeypatch):
    monkeypatch.setattr(reconciling, "CHUNK_BYTES", 100)
    study = workshop.submit()
    workshop.reconciler.reconcile()
    write_events(workshop.folder(study), STARTED, trial(0, 0.5, reason="x" * 1000), trial(1, 0.6))
    workshop.reconciler.reconcile()
    assert workshop.store.study(study).trials == 2


def test_trials_that_were_finished_just_before_a_death_count(workshop):
    study = workshop.submit()
    workshop.reconciler.reconcile()
    for attempt in (1, 2):
        workshop.jobs.end(f"{study}-{attempt}", 1)
        workshop.reconciler.reconcile()
    # Nobody looked between the trial and the death.
    write_events(workshop.folder(study), STARTED, trial(0, 0.5))
    workshop.jobs.end(f"{study}-3", 1)
    workshop.reconciler.reconcile()
    assert (workshop.state(study), workshop.store.study(study).fruitless) == (State.CHECKING, 1)


def test_a_job_that_died_is_started_again_after_a_while_and_later_each_time(tmp_path):
    workshop = Workshop(tmp_path, restart_delay_s=100)
    study = workshop.submit()
    workshop.reconciler.reconcile()
    workshop.jobs.end(f"{study}-1", 4)
    workshop.reconciler.reconcile()
    row = workshop.store.study(study)
    assert (row.state, len(workshop.jobs.submitted)) == (State.PENDING, 1)
    assert 90 < (row.not_before - now()).total_seconds() < 101
    # Meanwhile it can be asked to end well, or now.
    assert workshop.store.want(study, Wanted.STOP).state == State.PENDING
    assert workshop.store.want(study, Wanted.CANCEL).state == State.CANCELLED
    assert workshop.store.want(study, Wanted.RUN).not_before is None
    workshop.reconciler.reconcile()
    assert workshop.jobs.submitted[-1].job_id == f"{study}-2"
    workshop.store.close()


def test_one_that_is_cancelled_before_its_job_could_be_submitted_never_runs(workshop):
    study = workshop.submit()
    workshop.jobs.break_off(unreachable=True)
    with pytest.raises(RunnerError):
        workshop.reconciler.reconcile()
    workshop.store.want(study, Wanted.CANCEL)
    workshop.jobs.break_off(unreachable=False)
    workshop.reconciler.reconcile()
    assert (workshop.state(study), workshop.jobs.submitted) == (State.CANCELLED, [])


def test_a_job_that_does_not_end_when_asked_is_made_to(workshop, monkeypatch):
    study = workshop.submit()
    workshop.reconciler.reconcile()
    workshop.store.want(study, Wanted.CANCEL)
    workshop.reconciler.reconcile()
    workshop.reconciler.reconcile()
    assert (workshop.jobs.cancelled, workshop.jobs.killed) == ([f"{study}-1"], [])
    monkeypatch.setattr(reconciling, "CANCEL_WAIT_S", -1)
    workshop.reconciler.reconcile()
    assert workshop.jobs.killed == [f"{study}-1"]


def test_e1_a_job_is_made_to_end_also_when_the_clock_was_set_back(workshop, monkeypatch):
    study = workshop.submit()
    workshop.reconciler.reconcile()
    workshop.store.want(study, Wanted.CANCEL)
    workshop.reconciler.reconcile()
    later = now() + timedelta(hours=1)
    workshop.store.note_attempt(workshop.store.attempt(study), cancelled_at=later)
    workshop.reconciler.reconcile()
    assert workshop.store.attempt(study).cancelled_at < later
    monkeypatch.setattr(reconciling, "CANCEL_WAIT_S", -1)
    workshop.reconciler.reconcile()
    assert workshop.jobs.killed == [f"{study}-1"]


def test_a_second_job_that_found_the_study_busy_is_no_end_and_cancelling_reaches_the_first(workshop):
    study = workshop.submit()
    workshop.reconciler.reconcile()
    with StudyFolder(workshop.folder(study)).lock():
        workshop.jobs.end(f"{study}-1", StudyBusyError.exit_code)
        workshop.store.want(study, Wanted.CANCEL)
        workshop.reconciler.reconcile()
        assert workshop.state(study) == State.CHECKING
        assert (workshop.folder(study) / layout.CANCEL).exists()
    workshop.reconciler.reconcile()
    assert workshop.state(study) == State.CANCELLED


def test_two_replicas_that_see_the_same_death_start_one_job(workshop):
    study = workshop.submit()
    workshop.reconciler.reconcile()
    seen, attempt = workshop.store.study(study), workshop.store.attempt(study)
    workshop.jobs.end(attempt.job_id, 1)
    status = workshop.jobs.status(attempt.job_id, workshop.folder(study))
    workshop.reconciler.reconcile()
    # The other one was in the middle of its round all the while.
    other = Reconciler(workshop.store, workshop.jobs, workshop.settings)
    other._settle(seen, attempt, status)
    workshop.reconciler.reconcile()
    assert [job.job_id for job in workshop.jobs.submitted] == [f"{study}-1", f"{study}-2"]
    assert [one.ended_at is None for one in workshop.store.attempts(study)] == [False, True]


def test_of_two_replicas_one_works_and_the_other_takes_over(workshop, tmp_path):
    other_jobs = ScriptedJobs()
    other = Reconciler(workshop.store, other_jobs, workshop.settings)
    workshop.reconciler._look()
    workshop.submit()
    other._look()
    assert other_jobs.submitted == []
    workshop.reconciler._look()
    assert len(workshop.jobs.submitted) == 1
    workshop.reconciler.close()
    workshop.submit(1)
    other._look()
    assert "digits-1-1" in [job.job_id for job in other_jobs.submitted]
