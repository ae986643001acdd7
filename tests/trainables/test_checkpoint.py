"""A population saved and loaded goes on bit for bit, dropout masks included."""

from __future__ import annotations

import itertools
import pickle

import pytest
import torch

from tests.plans import plain
from trainables import checkpoint
from trainables.optimizers import OPTIMIZERS
from trainables.training import PopulationTraining


@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
def test_going_on_from_a_file_gives_the_same_bits(digits, tmp_path, optimizer):
    leaves = {
        "optimizer.name": optimizer,
        "network.dropout": 0.3,
        "network.dropconnect": 0.1,
        "network.normalization": "batch_norm",
        "regularization.l2": 1e-4,
        "clipping.norm": 1.0,
        "schedule.name": "cosine",
        "schedule.unit": "steps",
        "label_smoothing": 0.1,
    }
    configs = [plain(seed=k).replace(leaves | {"optimizer.lr": 10.0**-k}) for k in range(1, 5)]
    training = PopulationTraining(configs, digits[0], order_seed=7, max_epochs=4)
    list(itertools.islice(training.epochs(), 2))
    training.keep([0, 2, 3])
    checkpoint.save(training, tmp_path / "population.pt")
    loaded = checkpoint.load(tmp_path / "population.pt", digits[0])
    assert loaded.configs == training.configs
    straight, resumed = (list(itertools.islice(t.epochs(), 2)) for t in (training, loaded))
    assert straight == resumed
    assert torch.equal(training.network.parameters, loaded.network.parameters)


def test_a_checkpoint_is_data_and_can_run_no_code(digits, tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("executed",))

    torch.save({"format": 1, "configs": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(pickle.UnpicklingError):
        checkpoint.load(tmp_path / "evil.pt", digits[0])


def test_another_format_is_refused(digits, tmp_path):
    torch.save({"format": 99}, tmp_path / "new.pt")
    with pytest.raises(ValueError, match="format 99"):
        checkpoint.load(tmp_path / "new.pt", digits[0])
