"""A comparison of optimisers as programs read it; see ``documents.py``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from search_service.records.comparison_results import ComparisonResult, OptimizerOutcome
from search_service.report.documents import DOCUMENT_VERSION, Document, Number, searched
from search_service.spec.study_spec import StudySpec


class RateDocument(Document):
    """A learning rate that was tried for an optimiser."""

    rate: float
    loss: float | None
    diverged: int


class OptimizerDocument(Document):
    """An optimiser of a comparison: its row of the table, the rates tried, its curves."""

    name: str
    lr: float | None
    config: dict[str, Any] | None
    validation_mean: float | None
    validation_std: float | None
    epochs_to_95: float | None
    diverged: int
    diverged_in_sweep: int
    rates: list[RateDocument]
    swept: list[str]
    seeds: list[int]
    curves: list[dict[str, list[Number]]] = Field(description="By seed: epochs, losses and scores, as columns.")

    @classmethod
    def of(cls, result: ComparisonResult, outcome: OptimizerOutcome) -> OptimizerDocument:
        """Make it of one outcome of a comparison."""
        config = outcome.config
        return cls(
            name=outcome.name,
            lr=None if config is None else config.optimizer.lr,
            config=None if config is None else searched(config),
            validation_mean=outcome.best_mean,
            validation_std=outcome.best_std,
            epochs_to_95=result.epochs_to_arrive(outcome),
            diverged=outcome.diverged,
            diverged_in_sweep=outcome.diverged_in_sweep,
            rates=[RateDocument(rate=t.rate, loss=t.loss, diverged=t.diverged) for t in outcome.rates],
            swept=list(outcome.swept),
            seeds=list(outcome.seeds),
            curves=[
                {
                    "epoch": [point.epoch for point in curve],
                    "train_loss": [point.train_loss for point in curve],
                    "validation_loss": [point.validation_loss for point in curve],
                    f"validation_{result.metric}": [point.validation_score for point in curve],
                }
                for curve in outcome.curves
            ],
        )


class SliceDocument(Document):
    """How much of the paths the slice through the loss holds."""

    explained: tuple[float, float]
    explained_by_optimizer: dict[str, float]


class ComparisonDocument(Document):
    """A comparison of optimisers: the table in numbers, the rates tried, the curves, the places."""

    document_version: int
    comparison_id: str
    name: str
    status: str
    reason: str
    seconds: float
    metric: str
    start_loss: float | None
    best_drop: float | None
    optimizers: list[OptimizerDocument]
    slice: SliceDocument | None
    places: dict[str, str]

    @classmethod
    def of(cls, spec: StudySpec, result: ComparisonResult, places: Mapping[str, str]) -> ComparisonDocument:
        """Make it of a comparison.

        Args:
            spec: What was asked.
            result: What the comparison found.
            places: Where the record and the files are, by name.
        """
        plane = result.slice
        return cls(
            document_version=DOCUMENT_VERSION,
            comparison_id=result.comparison_id,
            name=spec.name,
            status=str(result.status),
            reason=result.reason,
            seconds=round(result.seconds, 3),
            metric=result.metric,
            start_loss=result.start_loss,
            best_drop=result.best_drop,
            optimizers=[OptimizerDocument.of(result, outcome) for outcome in result.outcomes],
            slice=None
            if plane is None
            else SliceDocument(
                explained=(float(plane.explained[0]), float(plane.explained[1])),
                explained_by_optimizer={path.name: path.explained for path in plane.paths},
            ),
            places=dict(places),
        )
