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


@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
def test_b5_populations_of_one_epoch_go_on_as_one_as_they_would_have_apart(digits, tmp_path, optimizer):
    leaves = {
        "optimizer.name": optimizer,
        "network.normalization": "batch_norm",
        "regularization.l2": 1e-4,
        "clipping.norm": 1.0,
        "schedule.name": "cosine",
        "schedule.unit": "steps",
    }
    apart = []
    for first, kept in ((1, [2, 0]), (4, [1]), (7, [0, 2])):
        configs = [plain(seed=k).replace(leaves | {"optimizer.lr": 0.01 / k}) for k in range(first, first + 3)]
        training = PopulationTraining(configs, digits[0], order_seed=7, max_epochs=4)
        list(itertools.islice(training.epochs(), 2))
        training.keep(kept)
        checkpoint.save(training, tmp_path / f"{first}.pt")
        apart.append(training)
    merged = checkpoint.merge([tmp_path / f"{first}.pt" for first in (1, 4, 7)], digits[0])
    assert merged.configs == [config for training in apart for config in training.configs]
    assert merged.epoch == 2
    together = list(itertools.islice(merged.epochs(), 2))
    parts = [list(itertools.islice(training.epochs(), 2)) for training in apart]
    for epoch, record in enumerate(together):
        for name in ("train_loss", "validation_loss", "validation_score"):
            expected = [value for part in parts for value in getattr(part[epoch], name)]
            assert getattr(record, name) == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_b5_the_same_populations_draw_the_same_dropout_masks_whenever_they_are_merged(digits, tmp_path):
    for first in (1, 3):
        configs = [plain(seed=k).replace({"network.dropout": 0.5}) for k in (first, first + 1)]
        training = PopulationTraining(configs, digits[0], order_seed=7)
        next(training.epochs())
        checkpoint.save(training, tmp_path / f"{first}.pt")
    paths = [tmp_path / "1.pt", tmp_path / "3.pt"]
    one, other = (next(checkpoint.merge(paths, digits[0]).epochs()) for _ in range(2))
    assert one == other
    assert len(set(one.train_loss)) == 4


def test_d1_what_a_gpu_saved_goes_on_here_with_masks_of_its_own(digits, tmp_path):
    training = PopulationTraining([plain().replace({"network.dropout": 0.5})], digits[0], order_seed=7)
    checkpoint.save(training, tmp_path / "here.pt")
    content = torch.load(tmp_path / "here.pt", weights_only=True)
    # A CUDA generator's state: its seed and offset, 16 bytes.
    content |= {"masks": torch.zeros(16, dtype=torch.uint8), "masks_of": "cuda"}
    torch.save(content, tmp_path / "there.pt")
    one, other = (next(checkpoint.load(tmp_path / "there.pt", digits[0]).epochs()) for _ in range(2))
    assert one == other != next(checkpoint.load(tmp_path / "here.pt", digits[0]).epochs())


def test_a_file_that_does_not_say_whose_masks_it_has_is_of_a_cpu(digits, tmp_path):
    training = PopulationTraining([plain().replace({"network.dropout": 0.5})], digits[0], order_seed=7)
    next(training.epochs())
    checkpoint.save(training, tmp_path / "now.pt")
    content = torch.load(tmp_path / "now.pt", weights_only=True)
    del content["masks_of"]
    torch.save(content, tmp_path / "then.pt")
    assert next(checkpoint.load(tmp_path / "then.pt", digits[0]).epochs()) == next(training.epochs())


@pytest.mark.parametrize(
    ("changes", "says"), [({"order_seed": 8}, "order_seed is 8, and 7"), ({}, "epoch is 2, and 1")]
)
def test_b5_populations_that_differ_in_rows_or_epoch_are_not_made_one(digits, tmp_path, changes, says):
    for name, epochs, settings in (("one", 1, {}), ("other", 1 if changes else 2, changes)):
        training = PopulationTraining([plain()], digits[0], **({"order_seed": 7} | settings))
        list(itertools.islice(training.epochs(), epochs))
        checkpoint.save(training, tmp_path / f"{name}.pt")
    with pytest.raises(ValueError, match=says):
        checkpoint.merge([tmp_path / "one.pt", tmp_path / "other.pt"], digits[0])
