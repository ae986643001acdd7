"""D1: a study whose trials are given a GPU uses it wherever networks are trained, without Ray and with it."""

from __future__ import annotations

import pytest

from search_service import wiring
from search_service.folder.study_folder import StudyFolder
from search_service.recorders.memory import MemoryRecorder
from search_service.records.results import StudyStatus
from search_service.runners import replaying
from search_service.runners.inline import InlineRunner
from search_service.runners.ray_tune import RayTuneRunner
from search_service.spec.study_spec import parse
from search_service.study import run_study
from trainables.training import PopulationTraining

SPEC = {
    "name": "on-a-gpu",
    "data": {"source": "digits"},
    "trial": {"network": {"hidden_sizes": [32], "dropout": 0.1}, "batch_size": 64},
    "search_space": {"network.dropout": {"low": 0.0, "high": 0.5}},
    "search": {
        "coarse": {"max_trials": 32, "max_epochs": 6},
        "refined": {"max_trials": 16, "max_epochs": 9},
        "max_cycles": 1,
        "population_size": 8,
        "gpus_per_trial": 0.5,
    },
    "finalists": {"top": 2, "seeds": 2},
}


def run(runner, folder):
    memory = MemoryRecorder()
    study = wiring.prepare(parse(SPEC))
    result = run_study(
        study.spec, study.table, runner, memory.record, study_id="on-a-gpu-1", folder=folder, versions={}
    )
    return study, result


@pytest.fixture
def devices(monkeypatch):
    """Where populations of this process were made."""
    seen = []
    begin = PopulationTraining.__init__

    def watched(self, *arguments, **options):
        begin(self, *arguments, **options)
        seen.append(self.device)

    monkeypatch.setattr(PopulationTraining, "__init__", watched)
    return seen


def test_d1_every_network_of_a_study_is_trained_there(tmp_path, devices):
    study, result = run(InlineRunner(), tmp_path)
    assert result.status is StudyStatus.COMPLETED
    assert result.finalists.test_mean > 0.9
    # The untrained loss of step 1, and the model that is packed from its checkpoint: nothing is trained in either.
    assert devices.count("cpu") == 2
    assert devices.count("cuda") > 6
    compared = list(replaying.replay(StudyFolder(tmp_path), study.dataset, device="cuda"))
    assert len(compared) == 48
    assert max(trial.difference for trial in compared) < 1e-3


def test_d1_two_cohorts_share_a_gpu_under_ray(tmp_path):
    runner = RayTuneRunner()
    try:
        _, result = run(runner, tmp_path)
    finally:
        runner.close()
    assert result.status is StudyStatus.COMPLETED
    assert result.finalists.test_mean > 0.9
    workers = {trial.worker for found in result.rounds for trial in found.trials}
    assert len(workers) >= 2
