"""Which of the finalists' networks predict together, and the files that they are kept in.

Why: finalists × seeds are trained anyway, to be compared. The mean of some of them is better than the best alone, at
the price of their size and time to predict. Validation rows choose, greedily (``trainables/averaging.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from search_service.folder import layout
from search_service.recipe.finalist_training import TrainedFinalist, networks_of
from search_service.recipe.refitting import Refitted
from search_service.records.finalists import Average, AveragedNetwork, Finalist
from search_service.spec.study_spec import StudySpec
from trainables import averaging, checkpoint
from trainables.averaging import MEANINGS
from trainables.data.dataset import Dataset
from trainables.metrics import METRICS
from trainables.prediction_time import prediction_ms
from trainables.row_tensors import RowTensors

# Networks of an average at most, where nobody says: the ninth of equals lessens a variance by a hundredth.
AT_MOST = 8
# Validation rows that choose at most: 16 networks' outputs of 26 classes are then 133 MB.
MOST_ROWS = 40_000


@dataclass(frozen=True)
class AveragedMember:
    """A network that was chosen.

    Attributes:
        finalist: Whose it is.
        seed: Which of its networks.
        share: What it counts for.
        networks: Its population, packed.
        place: Its index there.
    """

    finalist: Finalist
    seed: int
    share: float
    networks: bytes
    place: int


@dataclass(frozen=True)
class Choice:
    """The networks that are to predict together.

    Attributes:
        members: The largest share first.
        validation_score: Of their mean.
        best_validation_score: Of the best network alone.
        outputs: Of their mean, of at most ``MOST_ROWS`` validation rows, ``[N, C]``.
    """

    members: tuple[AveragedMember, ...]
    validation_score: float
    best_validation_score: float
    outputs: Tensor


def at_most(spec: StudySpec) -> int:
    """Networks that may be averaged; 1 where none are to be."""
    asked = spec.model.average
    if asked == "none" or spec.trial.loss not in MEANINGS:
        return 1
    if asked == "auto":
        # Who asks for little does not want several times as much.
        return 1 if spec.finalists.prefer == "simplest" or spec.objective.second is not None else AT_MOST
    return asked


def choose(spec: StudySpec, trained: Sequence[TrainedFinalist], dataset: Dataset, device: str) -> Choice | None:
    """The networks whose mean is best on validation rows; None where that is one network, or none may be averaged.

    Args:
        spec: How many there may be.
        trained: The finalists, the winner first.
        dataset: The validation rows choose.
        device: torch device.
    """
    most = at_most(spec)
    losses = {each.finalist.config.loss for each in trained}
    # Outputs of two losses are not alike.
    if most == 1 or len(losses) > 1 or sum(len(each.networks) for each in trained) < 2:
        return None
    outputs, rows = [], None
    for each in trained:
        training = networks_of(each, dataset, device)
        rows = training.validation_rows.spread(MOST_ROWS)
        outputs.append(training.outputs(rows.inputs))
    assert rows is not None
    of_all, meaning = torch.cat(outputs), MEANINGS[trained[0].finalist.config.loss]
    found, score = averaging.choose(of_all, rows, spec.metric, meaning, scaling=dataset.scaling, at_most=most)
    if len(found) < 2:
        return None
    every = [
        partial(AveragedMember, each.finalist, seed, networks=networks, place=place)
        for each in trained
        for seed, (networks, place) in zip(each.finalist.seeds, each.networks, strict=True)
    ]
    members = [every[m](share=share) for m, share in found.items()]
    alone = min((s for each in trained for s in each.finalist.scores), key=METRICS[spec.metric].rank)
    said = averaging.mean(of_all[list(found)], torch.tensor(list(found.values())), meaning)
    return Choice(tuple(sorted(members, key=lambda member: -member.share)), score, alone, said)


def trained_again(members: Sequence[AveragedMember], refitted: Sequence[Refitted]) -> tuple[AveragedMember, ...]:
    """The members as they are after they were trained again, without those that went wrong."""
    found = {(each.finalist.trial_id, each.seed): each for each in refitted}
    kept = [(m, found[key]) for m in members if (key := (m.finalist.trial_id, m.seed)) in found]
    whole = sum(member.share for member, _ in kept)
    return tuple(
        replace(member, share=member.share / whole, networks=new.networks, place=new.place) for member, new in kept
    )


def keep(
    choice: Choice,
    members: Sequence[AveragedMember],
    winner: Finalist,
    dataset: Dataset,
    folder: Path,
    tests: RowTensors,
) -> tuple[Average, Tensor]:
    """Write the networks of an average into the study's folder.

    Args:
        choice: Which were chosen, for the record.
        members: The same, or what became of them when they were trained again.
        winner: The finalist that would be the model alone.
        dataset: Rows that they were trained on.
        folder: The study's.
        tests: Test rows, on the device to compute on.

    Returns:
        The average, without scores on test rows, and what it says of them, ``[N, C]``.
    """
    kept: list[AveragedNetwork] = []
    said = []
    for number, networks in enumerate(dict.fromkeys(member.networks for member in members), start=1):
        own = [member for member in members if member.networks == networks]
        training = checkpoint.load(networks, dataset, device=str(tests.inputs.device))
        training.keep([member.place for member in own])
        said.append(training.outputs(tests.inputs))
        path = folder / layout.average(number)
        checkpoint.save(training, path)
        kept += [
            AveragedNetwork(member.finalist.trial_id, member.seed, member.share, path, place)
            for place, member in enumerate(own)
        ]
    shapes = dataset.n_inputs, training.network.layer_sizes[-1]
    times = {f.trial_id: prediction_ms(f.config.network, *shapes) for f in (winner, *(m.finalist for m in members))}
    average = Average(
        tuple(sorted(kept, key=lambda network: -network.share)),
        validation_score=choice.validation_score,
        best_validation_score=choice.best_validation_score,
        parameters=sum(member.finalist.parameters for member in members),
        prediction_ms=sum(times[member.finalist.trial_id] for member in members),
        alone_ms=times[winner.trial_id],
    )
    shares = torch.tensor([network.share for network in kept])
    return average, averaging.mean(torch.cat(said), shares, MEANINGS[winner.config.loss])
