"""D4, D6: one suite for the store on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from search_service.service import migrations
from search_service.service.states import State, Wanted
from search_service.service.store import (
    ConflictError,
    NewStudy,
    NotFoundError,
    NotYoursError,
    QuotaError,
    Store,
    leases,
    make_engine,
    now,
)
from search_service.service.tables import Base
from tests.databases import new_database, postgresql_server


@pytest.fixture(scope="module")
def postgresql():
    with postgresql_server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'service.db'}"
    return new_database(request.getfixturevalue("postgresql"))


@pytest.fixture
def store(url):
    opened = Store(url)
    migrations.upgrade(opened.engine)
    yield opened
    opened.close()


def new(number: int = 0, **changes) -> NewStudy:
    given = {
        "study_id": f"digits-{number}",
        "name": "digits",
        "owner": "ada",
        "spec": {"name": "digits"},
        "digest": "d",
    }
    return NewStudy(**given | {"metric": "accuracy"} | changes)


def trial(number: int, score: float | None, **changes) -> dict:
    entry = {
        "type": "trial_finished",
        "trial": f"r1-{number:03d}",
        "round": 1,
        "status": "completed",
        "reason": "trained",
        "score": score,
        "best_epoch": 2,
        "epochs": 9,
        "values": {"optimizer.lr": 0.1},
        "worker": "a:1",
    }
    return entry | changes


STARTED = {"type": "study_started", "metric": "accuracy", "page": "/#/experiments/1"}
ROUND = {"type": "round_started", "round": 1, "step": 4, "max_trials": 24}


def test_migrations_make_exactly_the_tables_that_the_code_knows(store):
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    assert migrations.is_current(store.engine)


def test_an_upgrade_may_be_run_again_and_by_several_at_once(url):
    engines = [make_engine(url) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(migrations.upgrade, engines))
    assert all(migrations.is_current(engine) for engine in engines)
    for engine in engines:
        engine.dispose()


def test_studies_of_an_earlier_version_get_what_was_planned_from_their_events(url, store):
    store.add_study(new())
    store.add_study(new(1))
    store.take_in("digits-0", [STARTED, ROUND, ROUND | {"round": 2, "max_trials": 8}], begin=0, end=300)
    with store.engine.begin() as connection:
        connection.execute(sqlalchemy.text("ALTER TABLE studies DROP COLUMN planned"))
        connection.execute(sqlalchemy.text("UPDATE alembic_version SET version_num = '0001'"))
    assert not migrations.is_current(store.engine)
    migrations.upgrade(store.engine)
    assert migrations.is_current(store.engine)
    assert [store.study(f"digits-{number}").planned for number in range(2)] == [32, 0]


def test_a_database_that_was_never_upgraded_is_not_current(url):
    engine = make_engine(url)
    assert not migrations.is_current(engine)
    engine.dispose()


def test_a_study_is_there_as_it_was_entered(store):
    row, is_new = store.add_study(new(spec={"name": "digits", "data": {"source": "digits"}}, priority=3))
    assert is_new
    found = store.study(row.id, whole=True)
    assert (found.state, found.wanted, found.priority, found.attempt) == (State.PENDING, Wanted.RUN, 3, 0)
    assert found.spec == {"name": "digits", "data": {"source": "digits"}}
    assert found.submitted_at.tzinfo is not None
    assert abs((datetime.now(UTC) - found.submitted_at).total_seconds()) < 60
    with pytest.raises(NotFoundError, match="there is no study other"):
        store.study("other")


def test_one_key_is_one_study_and_another_submission_under_it_is_refused(store):
    first, _ = store.add_study(new(0, idempotency_key="k"))
    again, is_new = store.add_study(new(1, idempotency_key="k"))
    assert (again.id, is_new) == (first.id, False)
    with pytest.raises(ConflictError, match="used for another submission"):
        store.add_study(new(2, idempotency_key="k", digest="other"))
    # Keys are the caller's own: another may use the same one.
    other, is_new = store.add_study(new(3, idempotency_key="k", owner="grace"))
    assert is_new
    assert other.id == "digits-3"


def test_of_many_submissions_at_once_with_one_key_one_is_a_study(store):
    gate = threading.Barrier(8)

    def submit(number: int) -> tuple[str, bool]:
        gate.wait()
        row, is_new = store.add_study(new(number, idempotency_key="k"))
        return row.id, is_new

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(submit, range(8)))
    assert len({study_id for study_id, _ in found}) == 1
    assert sum(is_new for _, is_new in found) == 1
    assert store.studies()[1] == 1


def test_lists_filter_sort_and_page(store):
    for number in range(7):
        store.add_study(new(number, name="wine" if number % 2 else "digits_100%", priority=number))
    page, total = store.studies(limit=3, offset=1, sort="priority")
    assert ([row.priority for row in page], total) == ([5, 4, 3], 7)
    page, total = store.studies(sort="priority", descending=False, limit=2)
    assert [row.priority for row in page] == [0, 1]
    assert store.studies(name="WIN")[1] == 3
    # A sign of SQL's patterns is an ordinary letter.
    assert store.studies(name="100%")[1] == 4
    assert store.studies(name="%in%")[1] == 0
    assert store.studies(states=[State.PENDING, State.FAILED])[1] == 7
    assert store.studies(states=[State.FAILED])[1] == 0
    assert store.studies(owner="nobody")[1] == 0


def test_the_next_study_is_the_most_urgent_one_then_the_oldest_and_no_more_than_may_run(store):
    for number, priority in enumerate((0, 5, 5, -1)):
        store.add_study(new(number, priority=priority))
    begun = [store.begin_next(3) for _ in range(4)]
    assert [one and one[0].id for one in begun] == ["digits-1", "digits-2", "digits-0", None]
    row, attempt = begun[0]
    assert (attempt.number, attempt.job_id, attempt.submitted) == (1, "digits-1-1", False)
    assert store.study(row.id).state == State.CHECKING
    assert [row.id for row in store.active()] == ["digits-0", "digits-1", "digits-2"]


def test_two_replicas_that_ask_for_the_next_study_get_different_ones(store):
    for number in range(6):
        store.add_study(new(number))
    with ThreadPoolExecutor(6) as pool:
        begun = list(pool.map(lambda _: store.begin_next(100), range(6)))
    assert len({row.id for row, _ in begun if row}) == 6


def test_events_are_entered_once_and_say_how_a_study_stands(store):
    store.add_study(new())
    store.begin_next(1)
    entries = [STARTED, ROUND, trial(0, 0.5), trial(1, None, status="diverged"), trial(2, 0.9, status="pruned")]
    store.take_in("digits-0", entries, begin=0, end=500)
    # The other replica has read the same lines.
    store.take_in("digits-0", entries, begin=0, end=500)
    row = store.study("digits-0")
    assert (row.state, row.round, row.step, row.trials) == (State.SEARCHING, 1, 4, 3)
    assert (row.best_trial, row.best_score, row.page, row.events) == ("r1-002", 0.9, "/#/experiments/1", 5)
    assert row.planned == 24
    assert [event.number for event in store.events("digits-0", after=2)] == [3, 4, 5]
    assert [event.type for event in store.events("digits-0", types=["round_started"])] == ["round_started"]
    assert store.events("digits-0", limit=1)[0].content == STARTED
    found, total = store.trials("digits-0")
    assert ([one.trial_id for one in found], total) == (["r1-002", "r1-000", "r1-001"], 3)
    assert store.trials("digits-0", status="diverged")[1] == 1
    assert store.trial("digits-0", "r1-000").leaves == {"optimizer.lr": 0.1}


def test_the_best_trial_is_of_those_that_were_trained_furthest(store):
    """As a study's own report has it: who was stopped at the first rung with a lucky score is not the best."""
    store.add_study(new())
    store.begin_next(1)
    lucky = trial(0, 0.95, status="pruned") | {"epochs": 3}
    trials = [lucky, trial(1, 0.8) | {"epochs": 27}, trial(2, 0.9) | {"epochs": 27}, trial(3, 0.85) | {"epochs": 27}]
    store.take_in("digits-0", [STARTED, ROUND, *trials], begin=0, end=500)
    row = store.study("digits-0")
    assert (row.best_trial, row.best_score) == ("r1-002", 0.9)


def test_a_study_that_is_over_has_the_scores_of_what_it_hands_over(store):
    """Of the winner's trainings, and of the model: what the study itself prints, and what stands in its report."""
    store.add_study(new())
    store.begin_next(1)
    final = {"type": "finalists_finished", "winner": "r1-000", "score": 0.88, "test_score": 0.86}
    store.take_in("digits-0", [STARTED, ROUND, trial(0, 0.9), trial(1, 0.91), final], begin=0, end=500)
    row = store.study("digits-0")
    assert (row.best_trial, row.best_score, row.test_score) == ("r1-000", 0.88, 0.86)
    packed = {"type": "model_packed", "folder": "model", "test_score": 0.89}
    store.take_in("digits-0", [packed], begin=500, end=600)
    assert store.study("digits-0").test_score == 0.89


def test_the_page_in_the_record_is_the_last_that_was_told(store):
    store.add_study(new())
    step = {"type": "step_started", "step": 1, "name": "initial loss", "cycle": 1, "page": "/#/experiments/1/runs/2"}
    store.take_in("digits-0", [STARTED, step, ROUND], begin=0, end=300)
    assert store.study("digits-0").page == "/#/experiments/1/runs/2"


def test_what_is_smaller_is_better_where_the_metric_says_so(store):
    store.add_study(new(metric="rmse"))
    store.begin_next(1)
    entries = [STARTED | {"metric": "rmse"}, trial(0, 3.0), trial(1, 2.0), trial(2, 2.5)]
    store.take_in("digits-0", entries, begin=0, end=10)
    assert store.study("digits-0").best_trial == "r1-001"
    assert [one.score for one in store.trials("digits-0")[0]] == [2.0, 2.5, 3.0]


def test_what_may_be_wanted_depends_on_the_state(store):
    for number in range(3):
        store.add_study(new(number))
    # One that waits is cancelled at once.
    assert store.want("digits-2", Wanted.CANCEL).state == State.CANCELLED
    assert store.want("digits-2", Wanted.CANCEL).state == State.CANCELLED
    with pytest.raises(ConflictError, match="has ended: cancelled"):
        store.want("digits-2", Wanted.STOP)
    assert store.want("digits-2", Wanted.RUN).state == State.PENDING
    # So is one that is to stop and has nothing yet; asked again, nothing changes.
    assert [store.want("digits-2", Wanted.STOP).state for _ in range(2)] == [State.CANCELLED] * 2
    assert store.want("digits-2", Wanted.RUN).state == State.PENDING
    with pytest.raises(ConflictError, match="has not ended"):
        store.want("digits-2", Wanted.RUN)
    store.begin_next(1)
    stopping = store.want("digits-0", Wanted.STOP)
    assert (stopping.state, stopping.wanted) == (State.STOPPING, Wanted.STOP)
    # Whoever is in a hurry may cancel what is stopping, and not the other way round.
    assert store.want("digits-0", Wanted.CANCEL).wanted == Wanted.CANCEL
    assert store.want("digits-0", Wanted.STOP).wanted == Wanted.CANCEL
    with pytest.raises(ConflictError, match="cancel it first"):
        store.delete_study("digits-0")


def test_an_attempt_that_ends_leaves_its_study_as_told(store):
    store.add_study(new())
    _, attempt = store.begin_next(1)
    store.note_attempt(attempt, submitted=True)
    assert store.end_attempt(attempt, "it died", state=State.PENDING, fruitless=1)
    _, again = store.begin_next(1)
    assert (again.number, again.job_id) == (2, "digits-0-2")
    # Somebody who still looks at the first changes nothing.
    assert not store.end_attempt(attempt, "it died", state=State.INTERRUPTED)
    # What a log holds after a crash may be anything; PostgreSQL takes no NUL.
    ended = {"state": State.COMPLETED, "result": {"best": None}, "report": "text\0", "reason": "\0good"}
    assert store.end_attempt(again, "do\0ne", **ended)
    assert not store.end_attempt(again, "done", **ended)
    found = store.study("digits-0", whole=True)
    assert (found.report, found.reason, found.result) == ("text", "good", {"best": None})
    assert [(one.number, one.outcome) for one in store.attempts("digits-0")] == [(1, "it died"), (2, "done")]
    assert store.attempt("digits-0").number == 2
    assert store.attempt("digits-0", 1).submitted
    with pytest.raises(NotFoundError, match="no attempt 3"):
        store.attempt("digits-0", 3)
    with pytest.raises(ConflictError, match="submit its config as a new study"):
        store.want("digits-0", Wanted.RUN)


def test_a_study_that_is_to_wait_is_not_begun_before(store):
    store.add_study(new())
    _, attempt = store.begin_next(1)
    store.end_attempt(attempt, "it died", state=State.PENDING, not_before=now() + timedelta(hours=1))
    assert store.begin_next(1) is None
    store.want("digits-0", Wanted.CANCEL)
    store.want("digits-0", Wanted.RUN)
    assert store.begin_next(1) is not None


def test_a_study_that_is_deleted_takes_everything_along(store):
    store.add_study(new())
    _, attempt = store.begin_next(1)
    store.take_in("digits-0", [STARTED, trial(0, 0.5)], begin=0, end=10)
    store.end_attempt(attempt, "done", state=State.COMPLETED)
    store.delete_study("digits-0")
    with store.engine.connect() as connection:
        for table in ("studies", "attempts", "events", "trials"):
            assert connection.execute(sqlalchemy.text(f"SELECT count(*) FROM {table}")).scalar() == 0


def test_counts_name_every_state(store):
    store.add_study(new())
    counts = store.counts()
    assert counts.pop("pending") == 1
    assert set(counts) == {str(state) for state in State} - {"pending"}
    assert set(counts.values()) == {0}


def test_progress_is_of_those_that_are_there(store):
    store.add_study(new())
    assert store.progress(["digits-0", "gone"]) == {"digits-0": (0, State.PENDING)}


def test_a_dataset_is_known_by_its_bytes(store):
    _, is_new = store.add_dataset("ab" * 32, name="a.csv", size=3_000_000_000, owner="ada")
    assert is_new
    again, is_new = store.add_dataset("ab" * 32, name="b.csv", size=3_000_000_000, owner="grace")
    assert (again.name, again.bytes, is_new) == ("a.csv", 3_000_000_000, False)
    assert store.datasets()[1] == 1
    with pytest.raises(NotFoundError, match="upload it first"):
        store.dataset("cd" * 32)


def test_a_token_is_known_by_its_digest_until_it_is_revoked(store):
    store.add_token("ci", "submit", "d" * 64)
    assert store.token("d" * 64).name == "ci"
    assert store.token("e" * 64) is None
    with pytest.raises(ConflictError, match="choose another name"):
        store.add_token("ci", "read", "e" * 64)
    revoked = store.revoke_token("ci").revoked_at
    assert revoked is not None
    assert store.revoke_token("ci").revoked_at == revoked
    assert store.token("d" * 64).revoked_at == revoked
    with pytest.raises(NotFoundError, match="no token 'other'"):
        store.revoke_token("other")


def test_a_lease_has_one_holder_until_it_runs_out_or_is_given_up(store):
    assert store.lease("reconciler", "a", 60)
    assert store.lease("reconciler", "a", 60)
    assert not store.lease("reconciler", "b", 60)
    assert store.lease("something else", "b", 60)
    store.give_up_lease("reconciler", "b")
    assert not store.lease("reconciler", "b", 60)
    store.give_up_lease("reconciler", "a")
    assert store.lease("reconciler", "b", 60)


def test_e1_a_lease_runs_out_by_the_clock_of_whoever_waits_for_it(store, monkeypatch):
    """A holder that was killed, and a clock that was set back or ahead: nobody waits for longer than the lease."""
    seconds = [1000.0]
    monkeypatch.setattr(leases.time, "monotonic", lambda: seconds[0])
    assert store.lease("reconciler", "a", 60)
    # An hour later by the wall, so that it had run out long ago, or an hour earlier, so that it would for an hour more.
    for hours in (1, -1):
        clock = lambda hours=hours: datetime.now(UTC) + timedelta(hours=hours)  # noqa: E731
        with monkeypatch.context() as patched:
            patched.setattr(leases, "now", clock)
            assert not store.lease("reconciler", "b", 60)
    seconds[0] += 59
    assert not store.lease("reconciler", "b", 60)
    # The holder lives: what b has seen is not what stands there any more.
    assert store.lease("reconciler", "a", 60)
    seconds[0] += 59
    assert not store.lease("reconciler", "b", 60)
    seconds[0] += 60
    assert store.lease("reconciler", "b", 60)
    assert not store.lease("reconciler", "a", 60)


def test_e1_a_study_waits_no_longer_than_it_may_when_the_clock_is_set_back(store):
    store.add_study(new())
    _, attempt = store.begin_next(1)
    store.end_attempt(attempt, "it died", state=State.PENDING, not_before=now() + timedelta(hours=1))
    assert store.begin_next(1, longest_wait_s=4000) is None
    assert store.begin_next(1, longest_wait_s=300) is not None


def refuse():
    raise OSError("the disk has gone")


def test_e1_an_upload_goes_when_nobody_needs_it_and_has_its_share_of_the_disk(store):
    for name, owner in (("a.csv", "ada"), ("b.csv", "grace")):
        assert store.add_dataset(name, name=name, size=700, owner=owner, most_bytes=1000)[1]
    with pytest.raises(QuotaError, match="dataset delete ID"):
        store.add_dataset("c.csv", name="c.csv", size=301, owner="ada", most_bytes=1000)
    # What is there already takes no more room.
    assert not store.add_dataset("a.csv", name="a.csv", size=700, owner="ada", most_bytes=1000)[1]
    with pytest.raises(NotYoursError, match="grace's"):
        store.delete_dataset("b.csv", caller="ada")
    with pytest.raises(NotFoundError, match=r"no dataset other\.csv"):
        store.delete_dataset("other.csv")
    store.add_study(new(spec={"data": {"source": "/home/datasets/a.csv"}}))
    with pytest.raises(ConflictError, match="study digits-0 reads dataset"):
        store.delete_dataset("a.csv", caller="ada")
    _, attempt = store.begin_next(1)
    store.end_attempt(attempt, "stopped", state=State.CANCELLED)
    with pytest.raises(ConflictError, match="can be resumed"):
        store.delete_dataset("a.csv", caller="ada")
    store.delete_study("digits-0")
    with pytest.raises(OSError, match="the disk"):
        store.delete_dataset("a.csv", caller="ada", remove=refuse)
    # It is entered for as long as its file is there.
    assert store.has_dataset("a.csv")
    store.delete_dataset("a.csv", caller="ada")
    assert not store.has_dataset("a.csv")
    assert store.add_dataset("c.csv", name="c.csv", size=301, owner="ada", most_bytes=1000)[1]


def test_e1_uploads_at_once_stay_within_the_quota(store):
    gate = threading.Barrier(6)

    def enter(number: int) -> bool:
        gate.wait()
        try:
            return store.add_dataset(f"{number}.csv", name="t", size=400, owner="ada", most_bytes=1000)[1]
        except QuotaError:
            return False

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(enter, range(6))) == 2


def test_of_many_who_want_a_lease_at_once_one_gets_it(store):
    gate = threading.Barrier(8)

    def take(number: int) -> bool:
        gate.wait()
        return store.lease("reconciler", f"replica-{number}", 60)

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(take, range(8))) == 1


def test_many_may_write_at_once(store):
    for number in range(8):
        store.add_study(new(number))
        store.begin_next(100)

    def write(number: int) -> None:
        for step in range(20):
            store.take_in(f"digits-{number}", [trial(step, step / 20)], begin=step, end=step + 1)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    assert {row.trials for row in store.studies()[0]} == {20}
