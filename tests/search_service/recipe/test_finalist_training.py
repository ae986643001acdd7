"""D6, E5: finalists are trained in pieces, wherever; what is finished of them is not trained again."""

from __future__ import annotations

import dataclasses
import json
import time

import pytest
import torch

from search_service.recipe import finalists, tasks
from search_service.recipe.finalist_training import FinalistTraining, networks_of
from search_service.records.round_plan import Resources
from search_service.runners.base import Task, run_here
from search_service.runners.inline import InlineRunner
from search_service.spec.study_spec import parse
from tests.plans import make_plan
from trainables import checkpoint
from trainables.config import TrialConfig

SPEC = parse(
    {
        "name": "x",
        "data": {"source": "diabetes"},
        "finalists": {"top": 2, "seeds": 3},
        "trial": {"loss": "mse"},
        "objective": {"metric": "rmse"},
    }
)


@pytest.fixture(scope="module")
def rounds(diabetes, tmp_path_factory):
    base = TrialConfig(loss="mse").replace({"network.hidden_sizes": (128, 128)})
    plan = make_plan(tmp_path_factory.mktemp("round"), max_trials=3, max_epochs=4, base=base, metric="rmse")
    return [InlineRunner().run_round(plan, diabetes[0], lambda event: None)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("inline")


@pytest.fixture(scope="module")
def inline(rounds, diabetes, folder):
    return finalists.run(SPEC, rounds, *diabetes, folder)


def comparable(result):
    """What does not depend on time and place."""
    baselines = tuple(dataclasses.replace(baseline, seconds=0.0) for baseline in result.baselines)
    refit = dataclasses.replace(result.refit, checkpoint=None)
    assert result.average is not None
    networks = tuple(
        dataclasses.replace(network, checkpoint=network.checkpoint.name) for network in result.average.networks
    )
    average = dataclasses.replace(result.average, networks=networks, prediction_ms=0.0, alone_ms=0.0)
    return dataclasses.replace(result, baselines=baselines, refit=refit, average=average, checkpoint=None, seconds=0.0)


def test_how_many_networks_a_task_trains_is_settled_by_their_size(digits):
    sizes = {
        width: tasks.members_per_task(
            TrialConfig(batch_size=128).replace({"network.hidden_sizes": (width, width)}), digits[0]
        )
        for width in (8, 32, 128, 1024)
    }
    assert sizes[8] > sizes[32] > sizes[128] > 1
    assert sizes[1024] == 1


def meet(folder, number):
    """Return when the other one is there, too, which takes a worker for each."""
    folder.mkdir(exist_ok=True)
    (folder / str(number)).touch()
    deadline = time.monotonic() + 300
    while len(list(folder.iterdir())) < 2:
        if time.monotonic() > deadline:
            raise TimeoutError("the other worker has not come")
        time.sleep(0.05)


def test_d1_inline_and_ray_train_the_same_finalists_refit_and_baselines_to_the_bit(
    inline, rounds, diabetes, folder, ray_runner, tmp_path
):
    workers = set()

    def run_tasks(to_do, listen):
        def hear(task, result, times):
            workers.add(times.worker)
            listen(task, result, times)

        return ray_runner.run_tasks(to_do, Resources(), hear)

    # The second worker may take longer to start than all of this takes to train, so that they meet first.
    run_tasks([Task(f"meet-{number}", meet, (tmp_path / "met", number)) for number in range(2)], tasks.nobody)
    on_ray = finalists.run(SPEC, rounds, *diabetes, tmp_path, (), run_tasks)
    assert comparable(on_ray) == comparable(inline)
    # One that waited for long was given back, and another came for it.
    assert len(workers) >= 2
    for name in ("winner.pt", "refit.pt"):
        there, here = (checkpoint.load(path / name, diabetes[0]) for path in (tmp_path, folder))
        assert all(map(torch.equal, there.network.snapshot(), here.network.snapshot()))


def test_the_pieces_of_a_finalist_are_one_population_again(rounds, diabetes, monkeypatch, tmp_path):
    """Cut through its seeds, too."""
    monkeypatch.setattr(tasks, "members_per_task", lambda config, dataset: 2)
    plan = FinalistTraining(SPEC, rounds[0].ranked[:2], diabetes[0])
    to_do = plan.tasks()
    assert [len(task.arguments["members"]) for task in to_do] == [2, 2, 2]
    done = [(trained.record, trained.network) for trained in run_here(to_do, tasks.nobody)]
    for each in plan.finalists(done, ()):
        networks = networks_of(each, diabetes[0], "cpu")
        assert [config.seed for config in networks.configs] == list(plan.seeds)
        scores = networks.evaluate(networks.validation_rows)[1].tolist()
        assert scores == pytest.approx(list(each.finalist.scores))


def test_d6_what_is_finished_of_the_finalists_is_not_trained_again(inline, rounds, diabetes, monkeypatch, tmp_path):
    trained = []

    def dies_after_two(to_do, listen):
        for task in to_do:
            run_here([task], listen)
            trained.append(task.name)
            if len(trained) == 2:
                raise KeyboardInterrupt
        raise AssertionError

    with pytest.raises(KeyboardInterrupt):
        finalists.run(SPEC, rounds, *diabetes, tmp_path, (), dies_after_two)
    left = []

    def goes_on(to_do, listen):
        left.extend(task.name for task in to_do)
        return run_here(to_do, listen)

    again = finalists.run(SPEC, rounds, *diabetes, tmp_path, (), goes_on)
    assert not set(trained) & set(left)
    assert comparable(again) == comparable(inline)
    # A file that is not whole any more is as none.
    (tmp_path / "networks" / f"{trained[0]}.pt").write_bytes(b"half")
    left.clear()
    finalists.run(SPEC, rounds, *diabetes, tmp_path, (), goes_on)
    assert trained[0] in left
    assert trained[1] not in left
    assert json.loads((tmp_path / "done" / f"{trained[1]}.json").read_text())
