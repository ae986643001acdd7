"""A population to a file and back, exactly: training that goes on from the file gives the same bits.

Populations of one structure that are in the same epoch can be brought back as one: what each member has, it keeps, and
the rows come in the same order for all. Only the dropout masks are drawn anew, since a population draws them together.

The file is a ``torch.save`` of plain tensors and text, so it is read with ``weights_only=True`` and can run no code.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from trainables.config import TrialConfig
from trainables.data.dataset import Dataset
from trainables.seeds import derive_seed
from trainables.training import PopulationTraining

# Raised when the meaning of the file changes; older files are then refused instead of misread.
FORMAT = 2


def packed(training: PopulationTraining) -> bytes:
    """Everything that decides how ``training`` goes on, as the bytes of a file."""
    content = {
        "format": FORMAT,
        "configs": [config.model_dump_json(exclude_unset=True) for config in training.configs],
        "order_seed": training.order_seed,
        "max_epochs": training.max_epochs,
        "metric": training.metric,
        "dtype": str(training.dtype).removeprefix("torch."),
        "epoch": training.epoch,
        "network": training.network.snapshot(),
        "optimizer_steps": training.optimizer.steps,
        "optimizer_state": training.optimizer.state,
        "masks": training.masks.get_state(),
        "masks_of": training.masks.device.type,
    }
    whole = io.BytesIO()
    torch.save(content, whole)
    return whole.getvalue()


def save(training: PopulationTraining, path: Path) -> None:
    """Write what ``packed`` gives, or leave the previous file as it was."""
    # In memory first: what torch says of a full disk is a RuntimeError like any other of its own.
    whole = packed(training)
    # Written beside and then renamed: a reader sees the old file or the new one, never half of one.
    unfinished = path.with_name(path.name + ".unfinished")
    try:
        unfinished.write_bytes(whole)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
    unfinished.replace(path)


def is_whole(path: Path) -> bool:
    """Whether a file can be brought back; not after a power cut, or if somebody changed it."""
    try:
        _read(path)
    # What torch says of half a file is an exception of any kind.
    except Exception:
        return False
    return True


def load(saved: Path | bytes, dataset: Dataset, *, device: str = "cpu") -> PopulationTraining:
    """Bring back a population on the dataset that it was trained on.

    Args:
        saved: A file that ``save`` wrote, or what ``packed`` gave.
        dataset: The same rows; they are not part of the file.
        device: Where to go on. Of another kind than where it was saved, it draws other dropout masks from there on.

    Raises:
        ValueError: The file is of another format.
    """
    return _bring_back(_read(saved), dataset, device)


def merge(parts: Sequence[Path | bytes], dataset: Dataset, *, device: str = "cpu") -> PopulationTraining:
    """Bring back several populations as one, their members in the order of ``parts``.

    Args:
        parts: Saved or packed populations of one structure, on the same rows in the same order, in the same epoch.
        dataset: The rows, as for ``load``.
        device: Any device, since the dropout generator is a new one.

    Raises:
        ValueError: A file is of another format, or they cannot be one population.
    """
    first, *others = contents = [_read(part) for part in parts]
    for part, other in zip(parts[1:], others, strict=True):
        for key in ("order_seed", "max_epochs", "metric", "dtype", "epoch", "optimizer_steps"):
            if other[key] != first[key]:
                raise ValueError(f"{_name(part)}: {key} is {other[key]!r}, and {first[key]!r} in {_name(parts[0])}")
    merged = first | {
        "configs": [text for content in contents for text in content["configs"]],
        "network": [torch.cat(tensors) for tensors in zip(*(c["network"] for c in contents), strict=True)],
        "optimizer_state": {
            name: torch.cat([content["optimizer_state"][name] for content in contents])
            for name in first["optimizer_state"]
        },
        "masks": None,
    }
    return _bring_back(merged, dataset, device)


def _name(saved: Path | bytes) -> str:
    return "a population in memory" if isinstance(saved, bytes) else str(saved)


def _read(saved: Path | bytes) -> dict[str, Any]:
    source = io.BytesIO(saved) if isinstance(saved, bytes) else saved
    content: dict[str, Any] = torch.load(source, map_location="cpu", weights_only=True)
    if content.get("format") != FORMAT:
        raise ValueError(f"{_name(saved)}: checkpoint format {content.get('format')!r}, this version reads {FORMAT}")
    return content


def _bring_back(content: dict[str, Any], dataset: Dataset, device: str) -> PopulationTraining:
    training = PopulationTraining(
        [TrialConfig.model_validate_json(text) for text in content["configs"]],
        dataset,
        order_seed=content["order_seed"],
        max_epochs=content["max_epochs"],
        metric=content["metric"],
        device=device,
        dtype=getattr(torch, content["dtype"]),
    )
    training.epoch = content["epoch"]
    # In place: layers and optimiser are views of, or refer to, these very tensors.
    training.network.restore(content["network"])
    training.optimizer.steps = content["optimizer_steps"]
    for name, value in content["optimizer_state"].items():
        training.optimizer.state[name].copy_(value)
    # A file without "masks_of" is of a time when all that came back so were of CPUs.
    if content["masks"] is not None and content.get("masks_of", "cpu") == training.masks.device.type:
        training.masks.set_state(content["masks"])
    else:
        # The members' seeds and the epoch: the same populations draw the same masks again.
        training.masks.manual_seed(derive_seed("masks", training.epoch, *(config.seed for config in training.configs)))
    return training
