"""Results as programs read them: what ``--json`` prints, ``result.json`` holds and the service answers.

The models are the schema: the service's OpenAPI document shows it, and clients get it as types. JSON has no word for
NaN and infinity, so they are null, and every number that may be one of them may be null.

Whoever only reads documents, as the service's clients do, waits for no library that makes them: ``of`` imports those.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from search_service.records.checks import CheckResult
from search_service.records.finalists import Average, FinalistsResult, possible
from search_service.records.pareto import ParetoSet
from search_service.records.readings import HealthReading
from search_service.records.results import DataSummary, StudyResult
from search_service.records.rounds import RoundResult, TrialStatus
from search_service.report.worth import Answer, judge
from search_service.spec.study_spec import StudySpec
from trainables.config import TrialConfig
from trainables.records import (
    Advantage,
    Baseline,
    Calibration,
    ColumnImportances,
    PartialDependence,
    PopulationSize,
    PredictionInterval,
    Threshold,
)

# Raised when a key of a document changes its meaning or goes.
DOCUMENT_VERSION = 1

Number = int | float | None
Scores = dict[str, float | None]


class Document(BaseModel):
    """A document, or a part of one. What a newer version adds, an older reader leaves out."""

    model_config = ConfigDict(frozen=True)

    def plain(self) -> dict[str, Any]:
        """Plain data that every reader of JSON takes."""
        plain: dict[str, Any] = json.loads(self.model_dump_json())
        return plain


def finite(value: Any) -> Any:
    """NaN and infinity as None: JSON has no word for them, and strict readers refuse Python's."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(inner) for key, inner in value.items()}
    return [finite(inner) for inner in value] if isinstance(value, list) else value


def searched(config: TrialConfig) -> dict[str, Any]:
    """A configuration as a config's trial section says it, without the seed, which is the training's own."""
    return {key: value for key, value in config.to_plain().items() if key != "seed"}


class HealthDocument(Document):
    """What the gradients say."""

    name: str = Field(description="healthy, vanishing, exploding, saturated or dead.")
    layers: list[int] = Field(description="Layers in question, from 1.")
    summary: str
    remedy: str

    @classmethod
    def of(cls, reading: HealthReading | None) -> HealthDocument | None:
        """Make it of a reading of gradient health, if there is one."""
        if reading is None:
            return None
        verdict = reading.verdict
        return cls(name=verdict.name, layers=list(verdict.layers), summary=verdict.summary, remedy=verdict.remedy)


class CheckDocument(Document):
    """Verdict of step 1, 2 or 3."""

    step: int
    name: str
    cycle: int = Field(description="Repetition of steps 3 to 5, from 1.")
    passed: bool
    summary: str
    advice: str = Field(description="What to do; empty if there is nothing.")
    gradient_health: HealthDocument | None
    measured: dict[str, Number]
    expected: dict[str, Number] = Field(description="By the same names as what was measured.")

    @classmethod
    def of(cls, check: CheckResult) -> CheckDocument:
        """Make it of a check's result."""
        return cls(
            step=check.step,
            name=check.name,
            cycle=check.cycle,
            passed=check.passed,
            summary=check.summary,
            advice=check.advice,
            gradient_health=HealthDocument.of(check.health),
            measured=dict(check.measured),
            expected=dict(check.expected),
        )


class ImportanceDocument(Document):
    """What mattered in a round."""

    shares: Scores = Field(description="By leaf; empty where reason says why.")
    epoch: int | None = Field(description="At which trials were compared.")
    trials: int
    reason: str


class RoundDocument(Document):
    """A round of the search."""

    number: int
    name: str
    cycle: int
    trials: int
    best_score: float | None
    stop_reason: str
    sizes: list[PopulationSize] = Field(description="How many networks were trained as one, by shape, if measured.")
    importance: ImportanceDocument

    @classmethod
    def of(cls, done: RoundResult) -> RoundDocument:
        """Make it of a round's result."""
        from search_service.report.importance import importance

        found = importance(done)
        return cls(
            number=done.plan.number,
            name=done.plan.name,
            cycle=done.plan.cycle,
            trials=len(done.trials),
            best_score=done.best.score if done.best else None,
            stop_reason=done.stop_reason,
            sizes=list(done.sizes),
            importance=ImportanceDocument(
                shares=dict(found.shares), epoch=found.epoch, trials=found.trials, reason=found.reason
            ),
        )


class BaselineDocument(Document):
    """A simpler model and what it reaches."""

    name: str
    model: str
    rows: int = Field(description="Rows that the one of the test scores learnt from: as many as the model.")
    validation_metrics: Scores
    test_metrics: Scores
    note: str
    unavailable: str = Field(description="Why it has no scores; empty if it has.")
    lead: Advantage | None = Field(
        default=None, description="By how much the model is better on the same test rows, and one standard error of it."
    )

    @classmethod
    def of(cls, baseline: Baseline) -> BaselineDocument:
        """Make it of a baseline."""
        return cls(
            name=baseline.name,
            model=baseline.model,
            rows=baseline.rows,
            validation_metrics=dict(baseline.validation),
            test_metrics=dict(baseline.test),
            note=baseline.note,
            unavailable=baseline.unavailable,
            lead=baseline.lead,
        )


class AveragedNetworkDocument(Document):
    """A network that is part of an average."""

    trial_id: str
    seed: int
    share: float


class AverageDocument(Document):
    """The networks whose mean is the model."""

    networks: list[AveragedNetworkDocument]
    validation_score: float | None = Field(description="Of their mean, on the validation rows that chose them.")
    best_validation_score: float | None = Field(description="Of the best network alone.")
    alone_test_score: float | None = Field(description="Of the winner's network alone, on test rows.")
    parameters: int
    prediction_ms: float = Field(description="Milliseconds per 1 000 rows, on one thread.")
    alone_ms: float = Field(description="Those of the winner's network alone.")

    @classmethod
    def of(cls, average: Average, alone_test_score: float) -> AverageDocument:
        """Make it of an average."""
        networks = [
            AveragedNetworkDocument(trial_id=each.trial_id, seed=each.seed, share=each.share)
            for each in average.networks
        ]
        return cls(
            networks=networks,
            validation_score=average.validation_score,
            best_validation_score=average.best_validation_score,
            alone_test_score=alone_test_score,
            parameters=average.parameters,
            prediction_ms=average.prediction_ms,
            alone_ms=average.alone_ms,
        )


class ModelDocument(Document):
    """The network, or the mean of networks, that is handed over."""

    test_score: float | None
    seed: int
    average: AverageDocument | None = Field(description="The networks whose mean it is; null where it is one network.")
    is_refit: bool = Field(description="Whether it has learnt from the validation rows, too.")
    rows: int | None
    epochs: int | None
    lengths: list[tuple[int, float | None]] | None = Field(description="Epochs tried, and the score at their end.")
    test_metrics: Scores | None
    summary: str

    @classmethod
    def of(cls, final: FinalistsResult) -> ModelDocument:
        """Make it of a study's finalists."""
        from search_service.report.study_report import describe_model

        refit, test_metrics = final.refit if final.is_refit else None, final.model_test_metrics
        return cls(
            test_score=final.model_test_score,
            seed=final.winner.seeds[final.exported] if refit is None else refit.seed,
            average=None if final.average is None else AverageDocument.of(final.average, final.network_test_score),
            is_refit=refit is not None,
            rows=None if refit is None else refit.rows,
            epochs=None if refit is None else refit.epochs,
            lengths=None if refit is None else list(refit.lengths),
            test_metrics=None if test_metrics is None else dict(test_metrics),
            summary=describe_model(final),
        )


class FitDocument(Document):
    """How the winner's curves read."""

    name: str
    summary: str


class BestDocument(Document):
    """The winner and what it reaches."""

    trial_id: str
    config: dict[str, Any] = Field(description="As a config's trial section says it.")
    metric: str
    validation_mean: float | None
    validation_std: float | None
    validation_interval: tuple[float | None, float | None] | None = Field(
        description="95 %, over the seeds, or the folds if there are some."
    )
    alike: list[str] = Field(description="Finalists that cannot be told from the best.")
    parameters: int
    validation_folds: list[list[float | None]]
    validation_metrics: Scores
    test_mean: float | None
    test_std: float | None
    test_trivial: float | None
    test_metrics: Scores
    test_metrics_trivial: Scores
    baselines: list[BaselineDocument]
    worth: str | None = Field(description="Whether the network is worth it, against the baselines.")
    verdict: Answer | None = Field(default=None, description="The same in a word; null: nothing to compare with.")
    beats_trivial: bool | None = Field(
        default=None,
        description="Whether the model beats ignoring the inputs, beyond chance; null: not known.",
    )
    model: ModelDocument
    calibration: Calibration | None
    threshold: Threshold | None = Field(
        default=None, description="From which probability on the second of two classes is named; null: from 0.5."
    )
    prediction_interval: PredictionInterval | None = Field(
        default=None,
        description="What holds the true number of a share of new rows, around each prediction; null: not asked for.",
    )
    columns: ColumnImportances | None = Field(
        default=None, description="Which columns the winner's networks go by; null: not measured."
    )
    partial_dependences: list[PartialDependence] = Field(
        default_factory=list, description="What these networks say at the values of the columns that matter most."
    )
    pareto: ParetoSet | None
    seeds: list[int]
    gradient_health: HealthDocument | None
    fit: FitDocument

    @classmethod
    def of(cls, final: FinalistsResult | None) -> BestDocument | None:
        """Make it of a study's finalists, if it came to that."""
        if final is None:
            return None
        winner, found = final.winner, judge(final)
        return cls(
            trial_id=winner.trial_id,
            config=searched(winner.config),
            metric=final.metric,
            validation_mean=winner.mean,
            validation_std=winner.std,
            validation_interval=None if winner.interval is None else possible(final.metric, winner.interval),
            alike=list(final.alike),
            parameters=winner.parameters,
            validation_folds=[list(scores) for scores in winner.fold_scores],
            validation_metrics=dict(winner.validation_metrics),
            test_mean=final.test_mean,
            test_std=final.test_std,
            test_trivial=final.trivial_test_score,
            test_metrics=dict(final.test_metrics),
            test_metrics_trivial=dict(final.trivial_test_metrics),
            baselines=[BaselineDocument.of(baseline) for baseline in final.baselines],
            worth=None if found is None else found.sentence,
            verdict=None if found is None else found.answer,
            beats_trivial=None if final.over_trivial is None else final.over_trivial.is_certain,
            model=ModelDocument.of(final),
            calibration=final.calibration,
            threshold=final.threshold,
            prediction_interval=final.prediction_interval,
            columns=final.columns,
            partial_dependences=list(final.partial_dependences),
            pareto=final.pareto,
            seeds=list(winner.seeds),
            gradient_health=HealthDocument.of(winner.health),
            fit=FitDocument(name=winner.fit.name, summary=winner.fit.summary),
        )


class StudyDocument(Document):
    """A study's result: best configuration, scores, verdicts, counts, places."""

    document_version: int
    study_id: str
    name: str
    status: str
    reason: str
    seconds: float
    data: DataSummary | None
    extends: str = Field(default="", description="Id of the study from whose end it went on; empty if there is none.")
    best: BestDocument | None = Field(description="Null if it did not come to finalists.")
    checks: list[CheckDocument]
    rounds: list[RoundDocument]
    decisions: list[str] = Field(description="Why step 6 repeated or stopped, a cycle each.")
    trials: dict[str, int] = Field(description="How many ended in which way, and in all.")
    places: dict[str, str] = Field(description="Where the record and the files are.")

    @classmethod
    def of(cls, spec: StudySpec, result: StudyResult, places: Mapping[str, str]) -> StudyDocument:
        """Make it of a study.

        Args:
            spec: What was asked.
            result: What the study found.
            places: Where the record and the files are, by name.
        """
        trials = [trial for done in result.rounds for trial in done.trials]
        counts = {str(s): sum(t.status is s for t in trials) for s in TrialStatus if s is not TrialStatus.RUNNING}
        return cls(
            document_version=DOCUMENT_VERSION,
            study_id=result.study_id,
            name=spec.name,
            status=str(result.status),
            reason=result.reason,
            seconds=round(result.seconds, 3),
            data=result.data,
            extends=result.extends,
            best=BestDocument.of(result.finalists),
            checks=[CheckDocument.of(check) for check in result.checks],
            rounds=[RoundDocument.of(done) for done in result.rounds],
            decisions=[decision.reason for decision in result.decisions],
            trials=counts | {"total": len(trials)},
            places=dict(places),
        )
