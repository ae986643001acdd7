"""The training loop, over a population, as a generator that yields one record per epoch.

Whoever iterates decides whether to go on, and may drop members between two records::

    training = PopulationTraining(configs, dataset, order_seed=0)
    for record in training.epochs():
        training.keep([k for k, loss in enumerate(record.validation_loss) if loss < 1.0])
        if record.epoch == 10 or training.size == 0:
            break

Members see the same batches in the same order: the order of epoch e follows from ``order_seed`` and e alone, so
it needs no place in a checkpoint and any two populations can be compared like with like.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from trainables.clipping import Clipping
from trainables.config import TrialConfig
from trainables.data.dataset import Dataset
from trainables.losses import ChanceScale, Loss, count_outputs, make_loss
from trainables.metrics import MetricName
from trainables.network import PopulationNetwork, Trace
from trainables.optimizers import make_optimizer
from trainables.recorded_step import RECORDED_UP_TO, RecordedStep
from trainables.records import EpochPoint
from trainables.regularization import Penalties
from trainables.row_tensors import RowTensors, to_tensors
from trainables.schedules import Schedule
from trainables.scores import SCORES
from trainables.seeds import derive_seed

# Inputs of the training rows that are gathered at a time, in bytes: 8 MB is every row of a small table at once, and of
# a large one a copy that costs next to nothing beside the table itself, in eight trials at once as well.
GATHERED_BYTES = 8 * 2**20
# Activations of one evaluation chunk, in numbers: 4 million float32 are 16 MB, well inside any machine's memory
# and large enough that a chunk's cost is arithmetic and not overhead. On a GPU that takes 128 MB.
EVALUATION_CHUNK, EVALUATION_CHUNK_GPU = 4_000_000, 32_000_000


@dataclass(frozen=True)
class EpochRecord:
    """What one epoch did to each member; every tuple has K entries, in the order of the population.

    Attributes:
        epoch: Epochs trained so far, from 1.
        train_loss: Mean over the epoch's rows, by weight, of the loss before each update, without penalties.
        validation_loss: Loss on all validation rows, after the epoch.
        validation_score: The metric on all validation rows, after the epoch.
    """

    epoch: int
    train_loss: tuple[float, ...]
    validation_loss: tuple[float, ...]
    validation_score: tuple[float, ...]

    def of(self, member: int) -> EpochPoint:
        """What the epoch did to one member."""
        return EpochPoint(
            self.epoch, self.train_loss[member], self.validation_loss[member], self.validation_score[member]
        )


class PopulationTraining:
    """A population, its optimiser and its place in the data.

    Args:
        configs: One per member, of one structure.
        dataset: Training rows, and validation rows for the records.
        order_seed: Decides the order of rows in each epoch; the same for all populations of a study.
        max_epochs: Length of the whole training, which a schedule may span.
        metric: Score in the records; by default that of the dataset's task.
        device: torch device.
        dtype: Type of parameters and data.
    """

    def __init__(
        self,
        configs: Sequence[TrialConfig],
        dataset: Dataset,
        *,
        order_seed: int,
        max_epochs: int | None = None,
        metric: MetricName | None = None,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.configs = list(configs)
        self.order_seed, self.max_epochs = order_seed, max_epochs
        self.metric: MetricName = metric or ("accuracy" if dataset.task == "classification" else "rmse")
        self.device, self.dtype = device, dtype
        self.epoch = 0
        self.train_rows = to_tensors(dataset.train, device, dtype)
        self.validation_rows = to_tensors(dataset.validation, device, dtype)
        self._scaling = dataset.scaling
        n_outputs = count_outputs(configs[0].loss, dataset.n_outputs)
        self.network = PopulationNetwork(configs, dataset.n_inputs, n_outputs, device=device, dtype=dtype)
        parameters, n_weights = self.network.parameters, self.network.n_weights
        self.optimizer = make_optimizer(configs, parameters, n_weights)
        rows = self.train_rows
        self.loss = make_loss(configs, rows.targets, dataset.n_outputs, dtype, rows.weights)
        self.penalties = Penalties(configs, n_weights, like=parameters)
        self.clipping = Clipping(configs, like=parameters)
        # One generator for the population's dropout masks; its state is part of a checkpoint.
        self.masks = torch.Generator(device=device)
        self.masks.manual_seed(derive_seed("masks", *(config.seed for config in configs)))
        self.schedule = Schedule(configs, total=self._schedule_units(), device=device)
        self._scheduled_at = -1
        self._begin_steps()

    @property
    def size(self) -> int:
        """K, the members still in the population."""
        return self.network.size

    @property
    def batch_rows(self) -> int:
        """Rows of a full batch."""
        wanted, available = self.configs[0].batch_size, len(self.train_rows)
        return available if wanted == "full" else min(wanted, available)

    @property
    def steps_per_epoch(self) -> int:
        """Parameter updates of an epoch."""
        return len(self._batch_sizes())

    @torch.no_grad()
    def step(self, batch: RowTensors) -> Tensor:
        """One parameter update of every member on one batch.

        Args:
            batch: B rows.

        Returns:
            ``[K]``: mean loss over the batch before the update, without penalties. Not yet read back from the
            device, so that steps do not wait for each other.
        """
        if not self.schedule.is_constant:
            self._follow_schedule()
        self.optimizer.steps += 1
        return self._train_on(batch) if self._recorded is None else self._recorded.run(self._train_on, batch)

    def _train_on(self, batch: RowTensors) -> Tensor:
        """The part of a step that happens on the device."""
        trace, gradient = Trace(), self._gradient
        outputs = self.network(batch.inputs, mode="train", masks=self.masks, trace=trace)
        losses, slope = self.loss.mean_and_slope(outputs, batch.targets, batch.weights)
        self.network.backward(trace, slope, out=gradient)
        self.penalties.add_gradient(gradient, self.network.parameters)
        self.clipping.apply(gradient)
        self.optimizer.update(gradient)
        return losses

    def _begin_steps(self) -> None:
        """Make anew what steps of these members need."""
        self._gradient = torch.empty_like(self.network.parameters)
        numbers = self.network.parameters.numel() + self.size * self.batch_rows * sum(self.network.layer_sizes[1:])
        records = self.train_rows.inputs.is_cuda and numbers <= RECORDED_UP_TO
        self._recorded = RecordedStep(self.masks) if records else None

    def _follow_schedule(self) -> None:
        now = self.epoch if self.schedule.unit == "epochs" else self.optimizer.steps
        if now != self._scheduled_at:
            self.optimizer.scale_rate(self.schedule.factor(now))
            self._scheduled_at = now

    def _schedule_units(self) -> int | None:
        """Length of the whole training in the schedule's unit, if it is known."""
        if self.max_epochs is None or self.configs[0].schedule.unit == "epochs":
            return self.max_epochs
        return self.max_epochs * self.steps_per_epoch

    def batches(self, epoch: int) -> Iterator[RowTensors]:
        """The batches of ``epoch`` (from 1), B rows each, the last one possibly smaller.

        Rows are gathered for as many whole batches as ``GATHERED_BYTES`` holds, and for at least one: a batch is a view
        of them, and no trial copies a large table. A batch of all rows that is larger than that is the table itself, in
        its own order, which a mean over all rows does not depend on.
        """
        rows, sizes = self.train_rows, self._batch_sizes()
        at_once = max(1, GATHERED_BYTES // (rows.inputs[0].nbytes * sizes[0]))
        if len(sizes) == 1 and rows.inputs.nbytes > GATHERED_BYTES:
            yield rows
            return
        order = torch.randperm(
            len(rows), generator=torch.Generator().manual_seed(derive_seed(self.order_seed, "epoch", epoch))
        ).to(self.device)
        start = 0
        for first in range(0, len(sizes), at_once):
            group = sizes[first : first + at_once]
            gathered = rows.take(order[start : start + sum(group)])
            start += sum(group)
            for end, size in zip(itertools.accumulate(group), group, strict=True):
                yield gathered.take(slice(end - size, end))

    def _batch_sizes(self) -> list[int]:
        """Rows of each batch of an epoch: full ones, and what is left."""
        full, left = divmod(len(self.train_rows), self.batch_rows)
        sizes = [self.batch_rows] * full + ([left] if left else [])
        if left == 1 and full and self.network.normalization is not None:
            # One row has no variance to normalise by: it joins the batch before it.
            sizes[-2:] = [self.batch_rows + 1]
        return sizes

    def steps(self) -> Iterator[Tensor]:
        """Train step by step, wrapping around the data; yields the losses ``[K]`` of each step."""
        while True:
            for batch in self.batches(self.epoch + 1):
                yield self.step(batch)
            self.epoch += 1

    def epochs(self, after_step: Callable[[], None] | None = None) -> Iterator[EpochRecord]:
        """Train epoch by epoch, without end; yields a record after each.

        Args:
            after_step: Called after every parameter update, for whoever looks at what happens within an epoch.
        """
        while True:
            total = torch.zeros(self.size, dtype=self.dtype, device=self.device)
            for batch in self.batches(self.epoch + 1):
                total += self.step(batch) * batch.total_weight
                if after_step is not None:
                    after_step()
            self.epoch += 1
            loss, score = self.evaluate(self.validation_rows)
            yield EpochRecord(
                epoch=self.epoch,
                train_loss=tuple((total / self.train_rows.total_weight).tolist()),
                validation_loss=tuple(loss.tolist()),
                validation_score=tuple(score.tolist()),
            )

    @torch.no_grad()
    def evaluate(self, rows: RowTensors) -> tuple[Tensor, Tensor]:
        """Loss and score of every member on ``rows``, without dropout and penalties.

        Returns:
            Mean loss ``[K]`` and score ``[K]``.
        """
        outputs, loss = self._outputs_and_loss(rows)
        return loss, SCORES[self.metric](outputs, rows.targets, self._scaling, rows.weights)

    @torch.no_grad()
    def scores(self, rows: RowTensors, metrics: Sequence[MetricName]) -> dict[MetricName, Tensor]:
        """Several scores of every member on ``rows``, ``[K]`` each, from one evaluation."""
        outputs = self.outputs(rows.inputs)
        return {name: SCORES[name](outputs, rows.targets, self._scaling, rows.weights) for name in metrics}

    @torch.no_grad()
    def loss_as_trained(self, rows: RowTensors) -> Tensor:
        """Loss ``[K]`` on ``rows`` as a batch of training has it, but without dropout and penalties.

        Batch normalisation goes by the rows' own statistics: an untrained network has no running ones yet.
        """
        return self.loss.mean(self.network(rows.inputs, mode="measure"), rows.targets, rows.weights)

    @torch.no_grad()
    def outputs(self, inputs: Tensor) -> Tensor:
        """Outputs of every member in evaluation, in chunks that bound the memory: ``[N, D]`` -> ``[K, N, C]``."""
        n = self._chunk_rows()
        if len(inputs) <= n:
            return self.network(inputs)
        outputs = inputs.new_empty(self.size, len(inputs), self.network.layer_sizes[-1])
        for start in range(0, len(inputs), n):
            outputs[:, start : start + n] = self.network(inputs[start : start + n])
        return outputs

    def _outputs_and_loss(self, rows: RowTensors) -> tuple[Tensor, Tensor]:
        """Outputs ``[K, N, C]`` and mean loss ``[K]``: by chunks, since a loss takes as much memory as its outputs."""
        outputs, n = self.outputs(rows.inputs), self._chunk_rows()
        if len(rows) <= n:
            return outputs, self.loss.mean(outputs, rows.targets, rows.weights)
        total, weight = (
            torch.zeros(self.size, dtype=self.dtype, device=self.device),
            torch.zeros((), device=self.device),
        )
        for start in range(0, len(rows), n):
            part, own = rows.take(slice(start, start + n)), outputs[:, start : start + n]
            share = self.loss.total_weight(part.targets, part.weights)
            total += self.loss.mean(own, part.targets, part.weights) * share
            weight = weight + share
        return outputs, total / weight

    def _chunk_rows(self) -> int:
        chunk = EVALUATION_CHUNK_GPU if self.train_rows.inputs.is_cuda else EVALUATION_CHUNK
        return max(1, chunk // (self.size * max(self.network.layer_sizes)))

    @torch.no_grad()
    def penalty(self) -> Tensor:
        """What the penalties add to each member's loss, ``[K]``."""
        return self.penalties.value(self.network.parameters)

    def keep(self, members: Sequence[int]) -> None:
        """Drop every member but ``members``, given by index; the others go on as if nothing had happened."""
        if list(members) == list(range(self.size)):
            return
        index = torch.tensor(list(members), dtype=torch.long, device=self.device)
        self.configs = [self.configs[k] for k in members]
        self.network.keep(index)
        self.optimizer.keep(index, self.network.parameters)
        for part in (self.loss, self.penalties, self.clipping, self.schedule):
            part.keep(index)
        self._scheduled_at = -1
        self._begin_steps()


def chance_scale(config: TrialConfig, dataset: Dataset) -> ChanceScale:
    """What losses on the training rows are read by."""
    rows, loss = _train_rows_and_loss(config, dataset)
    return loss.scales(rows.targets, rows.weights)[0]


def frequency_baseline(config: TrialConfig, dataset: Dataset) -> float | None:
    """Loss on the training rows of a network that knows the classes' frequencies and nothing else, if there is one."""
    rows, loss = _train_rows_and_loss(config, dataset)
    return loss.frequency_baseline(rows.targets, rows.weights)


def _train_rows_and_loss(config: TrialConfig, dataset: Dataset) -> tuple[RowTensors, Loss]:
    rows = to_tensors(dataset.train, "cpu", torch.float32)
    return rows, make_loss([config], rows.targets, dataset.n_outputs, torch.float32, rows.weights)
