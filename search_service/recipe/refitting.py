"""After the winner is known: its configuration once more, on training and validation rows together.

Why: the validation rows have chosen; what is left of them to learn would be thrown away. What no row is left for is to
say when to stop, so that is settled before, on the training rows alone: as long as the winner's seeds were trained, or
only as long as they took to their best, in the mean. A network cannot be taken from the middle of a training here, as
the seeds' were: where a schedule still has a large rate it is as good as its last steps happen to make it, and nothing
can choose. So both lengths are compared by the validation score at their end, each on a schedule that spans it. Where
there is no time for that, the curves of the winner's seeds say which of the two is likely the better one.
What is fitted to data beside the network, the preparation and the scale of a target, stays that of the training rows:
it is part of what was chosen.
No rows are held out any more, so that a training that went wrong shows only on the rows that it has learnt from: it is
not used unless its score there is better than halfway between the winner's worst seed and the trivial predictor.
Source: Goodfellow, Bengio and Courville 2016, "Deep Learning", algorithm 7.2; scikit-learn's ``refit``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from search_service.folder import layout
from search_service.recipe import populations, tasks
from search_service.recipe.tasks import RunTasks, Trained
from search_service.records.curves import best, score_at
from search_service.records.finalists import Finalist, Refit
from search_service.runners.base import Task, run_here
from search_service.spec.study_spec import StudySpec
from trainables import checkpoint
from trainables.config import TrialConfig
from trainables.data.dataset import Dataset
from trainables.metrics import METRICS, MetricName
from trainables.process import device_for
from trainables.records import EpochPoint
from trainables.trivial import TrivialPredictor

# Lengths that a refit may have: as long as the winner's seeds were trained, or only as long as they took to their best;
# of both, the better one is found out.
Lengths = Literal["both", "whole", "shorter"]


@dataclass(frozen=True)
class Refitted:
    """A network that was trained again.

    Attributes:
        finalist: Whose configuration it has.
        seed: Its own.
        networks: Its population, packed.
        place: Its index there.
    """

    finalist: Finalist
    seed: int
    networks: bytes
    place: int


def run(
    spec: StudySpec,
    winner: Finalist,
    member: int,
    dataset: Dataset,
    folder: Path,
    run_tasks: RunTasks = run_here,
    others: Sequence[tuple[Finalist, int]] = (),
    allowed: Lengths = "both",
) -> tuple[Refit, list[Refitted]]:
    """Train the winner again, and what else is part of the model.

    Args:
        spec: What was asked.
        winner: What to train; one of its networks has a score, at least.
        member: Index of the seed to begin from.
        dataset: Rows that it was trained on and chosen by.
        folder: The winner's network is written here.
        run_tasks: Where they are trained.
        others: More networks: finalists and seeds of theirs.
        allowed: Lengths that there is time for.

    Returns:
        What was done, without test scores, and the networks that went well, the winner's first; none if that did not.
    """
    whole = len(winner.curves[0])
    epochs, lengths = _settled(spec, winner, dataset, run_tasks, allowed)

    def length_of(finalist: Finalist) -> int:
        """As the winner's was settled: the whole, or what its own seeds took to their best."""
        return whole if epochs == whole else shorter_length(finalist, spec.metric)

    seed = winner.seeds[member]
    wanted = [(winner, seed), *((f, s) for f, s in others if (f.trial_id, s) != (winner.trial_id, seed))]
    pieces = list(_refit_tasks(spec, wanted, dataset, length_of))
    done = tasks.run_once([task for task, _ in pieces], RefitRecord, folder, run_tasks)
    well = {
        (finalist.trial_id, seed): Refitted(finalist, seed, networks or b"", place)
        for (_, own), (record, networks) in zip(pieces, done, strict=True)
        for place, (finalist, seed) in enumerate(own)
        if _went_well(spec, finalist, record.last[place], dataset)
    }
    refitted = [well[key] for f, s in wanted if (key := (f.trial_id, s)) in well]
    model = well.get((winner.trial_id, seed))
    found = Refit(
        epochs=epochs,
        lengths=tuple(sorted(lengths.items())),
        rows=done[0][0].rows,
        seed=seed,
        epochs_spent=sum(length_of(finalist) for finalist, _ in wanted)
        + len(winner.seeds) * sum(length for length in lengths if length != whole),
        checkpoint=None if model is None else folder / layout.REFIT,
    )
    if model is None or found.checkpoint is None:
        return found, []
    training = checkpoint.load(model.networks, dataset, device=device_for(spec.search.gpus_per_trial))
    training.keep([model.place])
    checkpoint.save(training, found.checkpoint)
    return found, refitted


def _settled(
    spec: StudySpec, winner: Finalist, dataset: Dataset, run_tasks: RunTasks, allowed: Lengths
) -> tuple[int, dict[int, float]]:
    """Epochs of the training, and those that were considered with the mean score of the winner's seeds at their end."""
    whole, shorter = len(winner.curves[0]), shorter_length(winner, spec.metric)
    if allowed == "shorter":
        return shorter, {}
    scores = {whole: _mean([curve[-1].validation_score for curve in winner.curves])}
    if allowed == "both" and shorter < whole:
        scores[shorter] = _mean(_last_scores(spec, winner, dataset, shorter, run_tasks))
    return min(scores, key=lambda length: METRICS[spec.metric].rank(scores[length])), scores


def shorter_length(finalist: Finalist, metric: MetricName) -> int:
    """Epochs that its seeds took to their best, in the mean; one of them has a score, at least."""
    return max(1, round(mean_best_epoch(finalist.curves, metric)))


def likely_length(finalist: Finalist, metric: MetricName, noise: Callable[[float], float]) -> int:
    """Epochs of its refit, as far as that can be said before the two lengths are compared.

    The shorter one where its seeds have scored better there than at their end by more than a standard error: the epoch
    was chosen for its score, so that by something less it often does.

    Args:
        finalist: Whose; one of its seeds has a score, at least.
        metric: What scores are.
        noise: Standard error of a validation score, for its rows.
    """
    whole, shorter = len(finalist.curves[0]), shorter_length(finalist, metric)
    there, at_end = (_mean([score_at(curve, length) for curve in finalist.curves]) for length in (shorter, whole))
    if not math.isfinite(at_end):
        return shorter
    return shorter if METRICS[metric].better(there, at_end) and abs(there - at_end) > noise(there) else whole


def _went_well(spec: StudySpec, finalist: Finalist, last: EpochPoint, dataset: Dataset) -> bool:
    metric = METRICS[spec.metric]
    worst = max((score for score in finalist.scores if math.isfinite(score)), key=metric.rank, default=math.nan)
    trivial = TrivialPredictor.of(dataset).constant_score(spec.metric, dataset.validation)
    halfway = (worst + trivial) / 2
    return math.isfinite(last.train_loss) and metric.better(last.validation_score, halfway)


def _refit_tasks(
    spec: StudySpec,
    wanted: Sequence[tuple[Finalist, int]],
    dataset: Dataset,
    length_of: Callable[[Finalist], int],
) -> Iterator[tuple[Task, list[tuple[Finalist, int]]]]:
    """Networks of one structure and length together, as many as one worker should train."""
    groups: dict[tuple[object, ...], list[tuple[Finalist, int]]] = {}
    for finalist, seed in wanted:
        groups.setdefault((length_of(finalist), finalist.config.structure), []).append((finalist, seed))
    number = 0
    for own in groups.values():
        epochs, size = length_of(own[0][0]), tasks.members_per_task(own[0][0].config, dataset)
        for start in range(0, len(own), size):
            piece = own[start : start + size]
            configs = [finalist.config.replace({"seed": seed}) for finalist, seed in piece]
            number += 1
            arguments = {"spec": spec, "configs": configs, "epochs": epochs}
            seconds = tasks.effort(configs, dataset, epochs)
            yield Task(f"refit-{epochs}-{number}", train, (dataset,), arguments, effort=seconds), piece


def _last_scores(spec: StudySpec, winner: Finalist, dataset: Dataset, epochs: int, run_tasks: RunTasks) -> list[float]:
    """Validation scores of the winner's seeds at the end of a training of so many epochs."""
    configs = [winner.config.replace({"seed": seed}) for seed in winner.seeds]
    to_do = [
        Task(
            f"length-{epochs}-{number}",
            last_scores,
            (dataset,),
            {"spec": spec, "configs": piece, "epochs": epochs},
            effort=tasks.effort(piece, dataset, epochs),
        )
        for number, piece in enumerate(tasks.pieces_of(configs, dataset))
    ]
    return list(itertools.chain.from_iterable(run_tasks(to_do, tasks.nobody)))


# ---- in a worker -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RefitRecord:
    """What was seen of networks trained again: the last epoch of each, and how many rows they learnt from."""

    last: tuple[EpochPoint, ...]
    rows: int


def last_scores(dataset: Dataset, *, spec: StudySpec, configs: Sequence[TrialConfig], epochs: int) -> list[float]:
    """Train, and score at the end."""
    _, records = populations.trained(spec, configs, dataset, epochs)
    return list(records[-1].validation_score)


def train(dataset: Dataset, *, spec: StudySpec, configs: Sequence[TrialConfig], epochs: int) -> Trained:
    """Train on all training and validation rows."""
    rows = dataset.with_validation_rows_trained()
    training, records = populations.trained(spec, configs, rows, epochs)
    last = tuple(records[-1].of(member) for member in range(len(configs)))
    return Trained(RefitRecord(last, len(rows.train)), checkpoint.packed(training))


def mean_best_epoch(curves: Sequence[Sequence[EpochPoint]], metric: MetricName) -> float:
    """Epochs after which networks were at their best, in the mean over those that ever had a score."""
    found = (best(curve, metric) for curve in curves)
    return _mean([point.epoch for point in found if point is not None])


def _mean(values: Sequence[float]) -> float:
    """Mean of those that are numbers; NaN if none is."""
    able = [value for value in values if math.isfinite(value)]
    return sum(able) / len(able) if able else math.nan
