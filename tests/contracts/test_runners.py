"""One contract for every runner: the same plan gives the same trials, scores and fates."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
import pytest
import ray

from search_service.errors import RunnerError
from search_service.records.events import TrialFinished, TrialProgressed
from search_service.records.round_plan import Resources
from search_service.records.rounds import RoundResult, TrialStatus
from search_service.runners.base import Runner, Task
from search_service.runners.book import RoundBook
from search_service.runners.cohort import CohortTraining
from search_service.runners.inline import InlineRunner
from search_service.runners.nodes import versions
from search_service.runners.ray_tune import RayTuneRunner, cluster
from search_service.runners.registry import RUNNERS
from search_service.space.ranges import Choices, NumericRange
from tests.answering import answering
from tests.plans import make_plan
from trainables.config import TrialConfig

LAYERS = {
    "network.depth": NumericRange(1, 2, integer=True),
    "network.width_1": NumericRange(4, 16, integer=True),
    "network.width_2": NumericRange(4, 16, integer=True, when=(("network.depth", (2,)),)),
}


@pytest.fixture(params=["inline", "ray"])
def runner(request) -> Runner:
    return InlineRunner() if request.param == "inline" else request.getfixturevalue("ray_runner")


def run(runner, plan, dataset):
    events = []
    result = runner.run_round(plan, dataset, events.append)
    return result, events


def journal(folder, name):
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


@dataclass(frozen=True)
class Round:
    """A round that several tests look at."""

    result: RoundResult
    events: list
    folder: Path


@pytest.fixture(scope="module")
def of_both(ray_runner, digits, tmp_path_factory):
    """The same round by both runners, for changes of the plan."""

    def both(**changes):
        rounds = {}
        for name, runner in (("inline", InlineRunner()), ("ray", ray_runner)):
            folder = tmp_path_factory.mktemp(name)
            rounds[name] = Round(*run(runner, make_plan(folder, **changes), digits[0]), folder)
        return rounds

    return both


@pytest.fixture(scope="module")
def plain_rounds(of_both):
    return of_both()


@pytest.fixture(scope="module")
def whole_rounds(of_both):
    """Without early stopping."""
    return of_both(early_stopping=False, population_size=2)


@pytest.fixture(params=["inline", "ray"])
def plain_round(request, plain_rounds):
    return plain_rounds[request.param]


def test_every_trial_asked_for_ends_once_and_is_told(plain_round):
    result, events = plain_round.result, plain_round.events
    assert [trial.trial_id for trial in result.trials] == [f"r1-{i:03d}" for i in range(8)]
    finished = [event.trial for event in events if isinstance(event, TrialFinished)]
    assert sorted(finished, key=lambda t: t.trial_id) == list(result.trials)
    assert all(isinstance(event, (TrialFinished, TrialProgressed)) for event in events)
    assert result.stop_reason == "all 8 trials done"
    assert {trial.status for trial in result.trials} == {TrialStatus.COMPLETED, TrialStatus.PRUNED}


def test_c2_trials_end_at_rungs_and_curves_have_no_gaps(plain_round):
    for trial in plain_round.result.trials:
        assert trial.epochs == (6 if trial.status is TrialStatus.COMPLETED else 2)
        assert [point.epoch for point in trial.curve] == list(range(1, trial.epochs + 1))
        assert trial.score == max(point.validation_score for point in trial.curve)
        assert trial.worker


def test_journals_hold_what_was_asked_decided_and_told(plain_round):
    result = plain_round.result
    asked, rungs, told = (journal(plain_round.folder, f"{name}.jsonl") for name in ("asked", "rungs", "told"))
    assert (
        {entry["trial"] for entry in asked} == {entry["trial"] for entry in told} == {t.trial_id for t in result.trials}
    )
    stopped = {entry["trial"] for entry in rungs if not entry["goes_on"]}
    assert stopped == {trial.trial_id for trial in result.trials if trial.status is TrialStatus.PRUNED}
    for entry, trial in zip(sorted(told, key=lambda e: e["trial"]), result.trials, strict=True):
        assert TrialConfig.model_validate(entry["config"]) == trial.config


def test_e1_when_and_how_long_each_trial_was_trained_is_written_down(plain_round):
    told = {entry["trial"]: entry["times"] for entry in journal(plain_round.folder, "told.jsonl")}
    for trial in plain_round.result.trials:
        assert asdict(trial.times) == told[trial.trial_id]
        # A training of six epochs is shorter than a round; half a second is for clocks and rounding.
        assert 0 < trial.times.seconds <= trial.times.ended_at - trial.times.began_at + 0.5
        assert time.time() - 3600 < trial.times.began_at


def test_a_trial_whose_loss_is_not_finite_is_diverged_and_the_round_goes_on(runner, digits, tmp_path):
    base = TrialConfig().replace({"network.hidden_sizes": (16,), "optimizer.name": "sgd"})
    rates = Choices((0.1, 1e30))
    result, _ = run(runner, make_plan(tmp_path, base=base, space={"optimizer.lr": rates}, max_trials=10), digits[0])
    for trial in result.trials:
        if trial.values["optimizer.lr"] == 1e30:
            assert trial.status is TrialStatus.DIVERGED
            assert trial.epochs == 1
            assert "not finite in epoch 1" in trial.reason
        else:
            assert trial.status in (TrialStatus.COMPLETED, TrialStatus.PRUNED)
    assert 0 < result.count(TrialStatus.DIVERGED) < 10


@pytest.mark.parametrize("name", ["inline", "ray"])
def test_without_early_stopping_every_trial_is_trained_to_the_end(whole_rounds, name):
    assert [trial.epochs for trial in whole_rounds[name].result.trials] == [6] * 8


def test_cohorts_of_several_trials(digits, tmp_path):
    space = {"optimizer.lr": NumericRange(1e-4, 1e-1, log=True), "network.hidden_sizes": Choices(((8,), (16,)))}
    plan = make_plan(tmp_path, space=space, population_size=4, max_trials=10)
    result, _ = run(InlineRunner(), plan, digits[0])
    assert len(result.trials) == 10
    asked = [json.loads(line) for line in (tmp_path / "asked.jsonl").read_text().splitlines()]
    sizes: dict[str, list] = {}
    for entry in asked:
        sizes.setdefault(entry["cohort"], []).append(entry["values"]["network.hidden_sizes"])
    assert sorted(map(len, sizes.values())) == [2, 4, 4]
    assert all(len({tuple(size) for size in cohort}) == 1 for cohort in sizes.values())
    assert {trial.status for trial in result.trials} == {TrialStatus.COMPLETED, TrialStatus.PRUNED}


def test_c2_what_is_left_of_cohorts_goes_on_together_and_learns_what_it_would_have_alone(runner, digits, tmp_path):
    changes = {"space": {"optimizer.lr": NumericRange(1e-4, 1e-1, log=True)}, "max_trials": 40, "max_epochs": 9}
    # Rungs at 1 and 3: of eight, two or three are left after the first.
    plan = make_plan(tmp_path, population_size=8, grace_period=1, **changes)
    result, events = run(runner, plan, digits[0])
    merged, asked = journal(tmp_path, "merged.jsonl"), journal(tmp_path, "asked.jsonl")
    cohort_of = {entry["trial"]: entry["cohort"] for entry in asked}
    assert any(len({cohort_of[trial] for trial in entry["trials"]}) > 1 for entry in merged)
    assert all(len(entry["trials"]) <= 8 for entry in merged)
    assert len(result.trials) == 40
    told = [event.trial.trial_id for event in events if isinstance(event, TrialFinished)]
    assert sorted(told) == [trial.trial_id for trial in result.trials]
    progressed = Counter((e.trial_id, e.epoch) for e in events if isinstance(e, TrialProgressed))
    assert set(progressed.values()) == {1}
    alone = make_plan(tmp_path / "alone", early_stopping=False, **changes)
    whole = {trial.trial_id: trial for trial in InlineRunner().run_round(alone, digits[0], lambda event: None).trials}
    went_on = {trial for entry in merged for trial in entry["trials"]}
    assert went_on
    for trial in result.trials:
        assert [point.epoch for point in trial.curve] == list(range(1, trial.epochs + 1))
        for point, expected in zip(trial.curve, whole[trial.trial_id].curve, strict=False):
            assert point.train_loss == pytest.approx(expected.train_loss, rel=1e-4)
            assert point.validation_loss == pytest.approx(expected.validation_loss, rel=1e-4)
    assert not (tmp_path / "paused").exists()


def test_d6_what_is_left_of_a_cohort_fails_if_it_cannot_be_kept_and_the_round_ends(
    ray_runner, digits, tmp_path, monkeypatch
):
    def full(book, report, saved):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(RoundBook, "pause", full)
    space = {"optimizer.lr": NumericRange(1e-4, 1e-1, log=True)}
    plan = make_plan(tmp_path, space=space, population_size=8, grace_period=1, max_trials=24, max_epochs=3)
    result, _ = run(ray_runner, plan, digits[0])
    failed = [trial for trial in result.trials if trial.status is TrialStatus.FAILED]
    assert len(result.trials) == 24
    assert failed
    assert all("could not be kept: [Errno 28] No space left" in trial.reason for trial in failed)


def test_c1_layers_are_as_deep_and_wide_as_drawn(digits, tmp_path):
    result, _ = run(InlineRunner(), make_plan(tmp_path, space=LAYERS, population_size=2, max_epochs=2), digits[0])
    for trial in result.trials:
        widths = [trial.values[f"network.width_{i}"] for i in range(1, trial.values["network.depth"] + 1)]
        assert list(trial.config.network.hidden_sizes) == widths
        assert trial.status is TrialStatus.COMPLETED
    assert {len(trial.config.network.hidden_sizes) for trial in result.trials} == {1, 2}


def test_c4_no_trial_is_started_after_the_deadline_or_the_target(runner, digits, tmp_path):
    late, _ = run(runner, make_plan(tmp_path / "late", deadline=0.0), digits[0])
    assert late.trials == ()
    assert late.stop_reason == "the time budget is spent"
    easy = make_plan(tmp_path / "easy", target=0.2, early_stopping=False, max_concurrent_trials=1)
    done, _ = run(runner, easy, digits[0])
    assert len(done.trials) < 8
    assert "the target accuracy 0.2 is reached" in done.stop_reason
    before, _ = run(runner, make_plan(tmp_path / "before", target=0.2, best_before=0.9), digits[0])
    assert before.trials == ()


@pytest.mark.parametrize(
    ("rule", "words"), [({"epochs_left": 10}, "epochs are spent"), ({"patience_trials": 3}, "patience")]
)
def test_c4_a_round_that_a_rule_ends_finishes_what_is_under_way(digits, tmp_path, rule, words):
    result, events = run(InlineRunner(), make_plan(tmp_path, max_trials=40, max_epochs=4, **rule), digits[0])
    assert words in result.stop_reason
    assert 3 <= len(result.trials) < 40
    asked, told = ((tmp_path / f"{name}.jsonl").read_text().splitlines() for name in ("asked", "told"))
    assert len(asked) == len(told) == len(result.trials)
    assert sum(isinstance(event, TrialFinished) for event in events) == len(result.trials)
    assert {trial.status for trial in result.trials} <= {TrialStatus.COMPLETED, TrialStatus.PRUNED}


def test_regression_and_smaller_is_better(diabetes, tmp_path):
    base = TrialConfig(loss="mse").replace({"network.hidden_sizes": (8,)})
    result, _ = run(InlineRunner(), make_plan(tmp_path, base=base, metric="rmse"), diabetes[0])
    completed = [trial.score for trial in result.trials if trial.status is TrialStatus.COMPLETED]
    assert result.best.score == min(completed)
    assert 30 < result.best.score < 200


# ---- inline and ray side by side -------------------------------------------------------------------------------


def comparable(result, epochs=None):
    return [
        (trial.trial_id, trial.config, [point for point in trial.curve if epochs is None or point.epoch <= epochs])
        for trial in result.trials
    ]


def test_d1_the_same_trials_and_scores_inline_and_on_ray(whole_rounds):
    """Without early stopping nothing depends on who is first: bit for bit the same."""
    assert comparable(whole_rounds["inline"].result) == comparable(whole_rounds["ray"].result)


@pytest.mark.parametrize("brackets", [1, 2])
def test_d1_the_same_fates_too_when_trials_run_in_the_same_order(brackets, ray_runner, digits, tmp_path):
    changes = {"max_concurrent_trials": 1, "brackets": brackets, "grace_period": 1}
    inline, _ = run(InlineRunner(), make_plan(tmp_path / "inline", **changes), digits[0])
    on_ray, _ = run(ray_runner, make_plan(tmp_path / "ray", **changes), digits[0])
    assert comparable(inline) == comparable(on_ray)
    assert [(t.status, t.reason) for t in inline.trials] == [(t.status, t.reason) for t in on_ray.trials]


def test_d1_under_asha_and_in_parallel_the_same_trials_have_the_same_scores_where_both_trained(plain_rounds):
    inline, on_ray = plain_rounds["inline"].result, plain_rounds["ray"].result
    assert comparable(inline, epochs=2) == comparable(on_ray, epochs=2)
    assert not any(math.isnan(trial.score) for trial in on_ray.trials)


def test_e1_a_cluster_that_is_asked_for_is_used_or_refused_whatever_ray_this_process_has(ray_runner, digits, tmp_path):
    ray_runner.run_round(make_plan(tmp_path, max_trials=1, max_epochs=1), digits[0], [].append)
    with answering({}) as place:
        for address, words in (("127.0.0.1:9", "cannot be reached"), (place, "end it with ray.shutdown()")):
            with pytest.raises(RunnerError, match=re.escape(words)):
                RayTuneRunner(address=address)
    # By another of its names it is the same one.
    port = ray.get_runtime_context().gcs_address.rpartition(":")[2]
    RayTuneRunner(address=f"localhost:{port}").close()
    assert ray.is_initialized()


def test_d1_a_round_keeps_no_more_than_the_checkpoints_it_needs(ray_runner, digits, tmp_path):
    """The latest of each cohort under way, none afterwards."""
    # Rungs at 1, 2, 4 and 8.
    plan = make_plan(tmp_path, max_trials=6, max_epochs=8, grace_period=1, rung_spacing=2.0, reduction_factor=1.5)
    kept = []

    def look(event):
        kept.append([path.name for path in (tmp_path / "checkpoints").glob("*") if path.suffix == ""])

    result = ray_runner.run_round(plan, digits[0], look)
    assert max(trial.epochs for trial in result.trials) == 8
    assert 1 <= max(map(len, kept)) <= 2
    assert not (tmp_path / "checkpoints").exists()


# ---- tasks -----------------------------------------------------------------------------------------------------


def rows_seen(dataset, *, factor, home=None):
    """What a task is: a function of a module."""
    if home is not None:
        begun = home / "begun"
        if not begun.exists():
            begun.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    if factor == 13:
        raise ValueError("thirteen brings bad luck")
    return len(dataset.train) * factor, os.getpid()


def test_d1_tasks_return_what_their_functions_do_in_their_order(runner, digits):
    tasks = [Task(f"task {n}", rows_seen, (digits[0],), {"factor": n}, effort=n) for n in range(6)]
    done = []
    results = runner.run_tasks(tasks, Resources(), lambda task, result, times: done.append((task, times)))
    assert [rows for rows, _ in results] == [len(digits[0].train) * n for n in range(6)]
    assert sorted(task.name for task, _ in done) == [task.name for task in tasks]
    in_order = [times for _, times in sorted(done, key=lambda item: item[0].name)]
    assert all(str(process) in times.worker for (_, process), times in zip(results, in_order, strict=True))
    assert all(times.seconds >= 0 and times.began_at > time.time() - 600 for _, times in done)


def test_d1_what_a_task_raises_is_raised_and_the_runner_goes_on(runner, digits):
    tasks = [Task(f"{n}", rows_seen, (digits[0],), {"factor": n}) for n in (13, 1)]
    with pytest.raises(ValueError, match="bad luck"):
        runner.run_tasks(tasks, Resources(), lambda task, result, times: None)
    ((rows, _),) = runner.run_tasks(tasks[1:], Resources(), lambda task, result, times: None)
    assert rows == len(digits[0].train)


def test_d6_a_task_whose_worker_is_killed_is_done_again(ray_runner, digits, tmp_path):
    tasks = [Task(f"{n}", rows_seen, (digits[0],), {"factor": n, "home": tmp_path if n == 1 else None}) for n in (1, 2)]
    results = ray_runner.run_tasks(tasks, Resources(), lambda task, result, times: None)
    assert [rows for rows, _ in results] == [len(digits[0].train) * n for n in (1, 2)]
    assert (tmp_path / "begun").exists()


def niceness():
    return os.nice(0)


def test_d1_workers_of_a_ray_of_the_study_stand_back_no_more_than_it_does(runner):
    (found,) = runner.run_tasks([Task("any", niceness)], Resources(), lambda *told: None)
    assert found == os.nice(0)


def test_d1_a_ray_of_the_study_has_only_the_programs_that_trials_need(ray_runner):
    """A monitor for machines, a reader of logs and a dashboard without pages were half of what its start takes."""
    ray_runner._start()
    below = psutil.Process().children()
    assert {"gcs_server", "raylet"} <= {process.name() for process in below}
    assert not [part for process in below for part in process.cmdline() if re.search(r"/ray/.*\.py$", part)]


def test_d1_a_study_is_sized_for_the_workers_of_the_cluster_that_it_joins(ray_runner):
    ray_runner.run_tasks([Task("any", niceness)], Resources(), lambda *told: None)
    joined = RUNNERS["ray"].joined
    assert [joined(Resources(cpus_per_trial=cpus)) for cpus in (0.5, 1, 2, 4)] == [4, 2, 1, 1]
    assert [joined(Resources(max_concurrent_trials=most)) for most in (1, 8)] == [1, 2]


def test_e5_what_a_node_of_a_cluster_lacks_is_said_when_it_is_joined(ray_runner, digits, monkeypatch):
    ray_runner.run_tasks([Task("any", rows_seen, (digits[0],), {"factor": 1})], Resources(), lambda *told: None)
    cluster.require_able_nodes()
    here, driver = versions(), os.getpid()

    def of_a_node():
        return here if os.getpid() == driver else here | {"host": "node-1", "torch": "2.9.1"}

    monkeypatch.setattr(cluster, "versions", of_a_node)
    words = f"the cluster cannot train: node-1: torch 2.9.1, and {here['torch']} on this machine; install torch=="
    with pytest.raises(RunnerError, match=re.escape(words)):
        cluster.require_able_nodes()


# ---- the workers -----------------------------------------------------------------------------------------------


def test_d1_workers_stay_from_one_round_to_the_next_and_give_their_cpus_back(ray_runner, digits, tmp_path):
    """Tune ends its workers with a fit, and keeps placement groups until its controller is collected."""
    rounds = [run(ray_runner, make_plan(tmp_path / f"{n}", early_stopping=False), digits[0])[0] for n in range(3)]
    # The first round may be over before the second worker has started. Were they ended with a fit, there would be three
    # at least.
    assert len({trial.worker for result in rounds for trial in result.trials}) == 2
    ray_runner.release()
    deadline = time.monotonic() + 30
    while ray.available_resources().get("CPU") != 2 and time.monotonic() < deadline:
        time.sleep(0.1)  # Ray's own view of the cluster is renewed now and then.
    assert ray.available_resources().get("CPU") == 2


class Nap(CohortTraining):
    """Takes a third of a second whatever there is to do; every process but the first takes four seconds to start."""

    def __init__(self, cohort, plan, *others, **more):
        begun = plan.folder / f"process-{os.getpid()}"
        if not begun.exists():
            begun.touch()
            try:
                (plan.folder / "first").touch(exist_ok=False)
            except FileExistsError:
                time.sleep(4)
        super().__init__(cohort, plan, *others, **more)

    def advance(self):
        time.sleep(0.3)
        return super().advance()


def test_d1_ray_uses_both_workers_again_and_again_though_trials_are_shorter_than_their_start(
    ray_runner, digits, tmp_path
):
    """Tune gave every free worker to the trial for which another was starting, and threw that one away."""
    # Its workers have the CPUs.
    ray_runner.release()
    runner = RayTuneRunner(train=Nap)
    plan = make_plan(tmp_path, early_stopping=False, max_trials=90, max_epochs=1, grace_period=1)
    result, _ = run(runner, plan, digits[0])
    runner.close()
    by_worker = Counter(trial.worker for trial in result.trials)
    assert len(by_worker) == 2
    # The second one's start takes a third of this round on a busy machine.
    assert min(by_worker.values()) >= 10
