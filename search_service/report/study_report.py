"""A study's result as what a person reads; what a program reads is in ``documents.py``."""

from __future__ import annotations

from collections import Counter
from typing import Any

from search_service.records.finalists import Average, Decision, Finalist, FinalistsResult
from search_service.records.numbers import mean_text, score_text, spread_text
from search_service.records.readings import FitReading, HealthReading
from search_service.records.results import DataSummary, StudyResult
from search_service.records.rounds import TrialStatus
from search_service.report.columns import columns_section
from search_service.report.looking_back import compare_finalists, describe_pareto, format_interval, what_mattered
from search_service.report.partial_dependence import partial_dependence_section
from search_service.report.worth import not_compared, worth
from search_service.space.ranges import as_written
from search_service.spec.study_spec import StudySpec
from trainables.config import TrialConfig
from trainables.initialization import resolve
from trainables.records import Calibration, PredictionInterval
from trainables.visible import visible_lines

# Of a round with layers of many widths, shapes that are worth a line each; the document has them all.
MOST_SHAPES = 3


def report(spec: StudySpec, result: StudyResult) -> str:
    """Markdown: the answer first, then how it came about."""
    lines = [f"# {spec.name}: {result.status}", ""]
    if result.finalists is not None:
        lines += _answer(spec, result.finalists, result.extends)
    if result.extends:
        met = " The model of that one has met the same test rows." if result.finalists is not None else ""
        lines += [f"**Goes on from** the end of the study {result.extends}.{met}", ""]
    lines += [f"**Why it ended.** {result.reason}", ""]
    if result.data is not None:
        lines += ["## Data", "", *(f"- {sentence}" for sentence in describe_data(result.data)), ""]
    lines += ["## Checks", ""]
    for check in result.checks:
        verdict = "passed" if check.passed else "FAILED"
        advice = f" *To do: {check.advice}.*" if check.advice else ""
        lines.append(
            f"- **Step {check.step}, {check.name}** (cycle {check.cycle}): {verdict}. {check.summary}.{advice}"
        )
    if result.rounds:
        lines += [
            "",
            "## Rounds",
            "",
            "| round | trials | completed | stopped early | diverged | failed | best | seconds |",
        ]
        lines.append("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for done in result.rounds:
        counts = [
            done.count(s) for s in (TrialStatus.COMPLETED, TrialStatus.PRUNED, TrialStatus.DIVERGED, TrialStatus.FAILED)
        ]
        best = f"{score_text(done.best.score)} ({done.best.trial_id})" if done.best else "none"
        cells = [f"{done.plan.number}: {done.plan.name}", len(done.trials), *counts, best, f"{done.seconds:.1f}"]
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    lines += ["", *(f"- Round {done.plan.number} ended: {done.stop_reason}" for done in result.rounds)]
    lines += [
        f"- Round {done.plan.number} trained {size}" for done in result.rounds for size in done.sizes[:MOST_SHAPES]
    ]
    lines += [f"- Step 6, cycle {d.cycle}: {d.reason}{_in_numbers(d)}" for d in result.decisions] + [""]
    lines += what_mattered(result.rounds)
    lines += _readings(result)
    return visible_lines("\n".join(lines))


def _in_numbers(decision: Decision) -> str:
    """What step 6 compared; nothing where it had nothing to compare."""
    if decision.gain is None or decision.expected_gain is None or decision.noise is None:
        return ""
    expected = f"expected of another cycle {spread_text(decision.expected_gain)}"
    return f" (gain {spread_text(decision.gain)}, {expected}, noise {spread_text(decision.noise)})"


def describe_data(data: DataSummary) -> list[str]:
    """The table in sentences; what is suspicious last, each marked."""
    kinds = ", ".join(f"{n} {kind}" for kind, n in data.columns.items())
    task = f"{data.n_outputs} classes" if data.task == "classification" else "a number"
    because = f" ({data.task_reason})" if data.task_reason else ""
    return [
        f"{data.source}: {data.n_train} training, {data.n_validation} validation and {data.n_test} test rows",
        f"{kinds} {'column' if sum(data.columns.values()) == 1 else 'columns'}, {data.n_inputs} features once "
        f"prepared; predicting {data.target}, {task}{because}",
        *data.notes,
        *(f"⚠ {warning}" for warning in data.warnings),
    ]


def _readings(result: StudyResult) -> list[str]:
    """Gradient health wherever it was looked at, and how the finalists' curves read."""
    # A check that has failed says why itself, also where this reading sees nothing wrong.
    rows: list[tuple[str, HealthReading, FitReading | None]] = [
        (f"step {check.step}, {check.name}", health, None)
        for check in result.checks
        if (health := check.health) and (check.passed or not health.verdict.is_healthy)
    ]
    finalists = result.finalists.finalists if result.finalists else ()
    rows += [(f"finalist {f.trial_id} (gradients: first seed)", f.health, f.fit) for f in finalists]
    if not rows:
        return []
    lines = [
        "## Gradients and fit",
        "",
        "| network | gradient health | loss curves | to do |",
        "| --- | --- | --- | --- |",
    ]
    for where, health, fit in rows:
        to_do = "; ".join(text for text in (health.verdict.remedy, fit.remedy if fit else "") if text)
        lines.append(f"| {where} | {health.verdict.summary} | {fit.summary if fit else '—'} | {to_do or '—'} |")
    return [*lines, ""]


def _answer(spec: StudySpec, final: FinalistsResult, extends: str) -> list[str]:
    winner, used = final.winner, "rows used before, by the study that this one extends" if extends else "rows used once"
    validation = f"validation, over {trainings(winner)}" if winner.fold_scores else "validation"
    interval = format_interval(winner, final.metric)
    # Two lines: MLflow folds a note after four.
    verdict = f" **Worth it?** {worth(final) or not_compared(final)}."
    lines = [
        f"**Test {final.metric} {score_text(final.model_test_score)}** (the model{describe_interval(final)}; ignoring "
        f"the inputs gives {score_text(final.trivial_test_score)}).{verdict}",
        "",
        f"The model is {describe_model(final)}. The best configuration was found in trial {winner.trial_id}; "
        f"{describe_seeds(winner)}:",
        "",
        "| | " + final.metric + " |",
        "| --- | --- |",
        f"| **test, the model** ({used}) | **{score_text(final.model_test_score)}** |",
        f"| test, the networks of its seeds | {mean_text(final.test_mean, final.test_std, len(final.test_scores))} |",
        f"| test, predictor that ignores its inputs | {score_text(final.trivial_test_score)} |",
        f"| {validation} | {mean_text(winner.mean, winner.std, len(winner.units))} |",
        *([f"| validation, 95 % confidence interval | {interval} |"] if winner.interval else []),
        "",
        "| hyperparameter | value |",
        "| --- | --- |",
        *(f"| {leaf} | {format_value(value)} |" for leaf, value in describe(winner.config).items()),
        "",
    ]
    return [
        *lines,
        *compare_finalists(final, spec.finalists.prefer),
        *_comparison(final),
        *columns_section(final.columns),
        *partial_dependence_section(final.partial_dependences, spec.data.target),
        *describe_pareto(final),
    ]


def describe_seeds(winner: Finalist) -> str:
    """What the winner's scores are the mean of."""
    if len(winner.seeds) == 1:
        return "trained from one fresh seed, so that nobody knows what another one would change"
    return f"mean ± standard deviation over {len(winner.seeds)} fresh seeds"


def describe_interval(final: FinalistsResult) -> str:
    """``, 95 % interval 0.95 to 0.99``: what other rows and other seeds leave open; empty where it is not known."""
    if final.test_interval is None:
        return ""
    low, high = final.test_interval
    return f", 95 % interval {score_text(low)} to {score_text(high)}"


def describe_model(final: FinalistsResult) -> str:
    """Which network is the model, or which are, in a clause."""
    if final.average is not None:
        return _describe_average(final, final.average)
    refit = final.refit
    if refit is None:
        return "the network of the seed with the best validation score"
    rows = f"{refit.rows:,} training and validation rows together"
    if refit.checkpoint is None:
        return f"the network of the seed with the best validation score: trained again on {rows}, it did not learn them"
    return f"the winner trained once more, on {rows}, for {counted(refit.epochs, 'epoch')}{_why_so_long(final)}"


def model_in_short(final: FinalistsResult) -> str:
    """The same where scores stand beside it: what is averaged and what it costs, and not what it brings."""
    if final.average is None:
        return describe_model(final)
    return (
        f"{_averaged(final.average)}{_again(final)}: {final.average.parameters:,} parameters, and "
        f"{final.winner.parameters:,} in the winner's network alone, which model.average: none would give"
    )


def _averaged(average: Average) -> str:
    counts = Counter(network.trial_id for network in average.networks)
    of_trials = ", ".join(f"{count} of {trial_id}" for trial_id, count in counts.items())
    return f"the mean of {counted(len(average.networks), 'network')} ({of_trials})"


def _again(final: FinalistsResult) -> str:
    """On what the networks have learnt once more, if they have."""
    if final.refit is None or not final.is_refit:
        return ""
    return f", trained once more on {final.refit.rows:,} training and validation rows together"


def _describe_average(final: FinalistsResult, average: Average) -> str:
    """What is averaged, what it brings and what it costs."""
    again = _again(final)
    if again and final.refit is not None:
        again += f", the winner's for {counted(final.refit.epochs, 'epoch')}{_why_so_long(final)}"
    return (
        f"{_averaged(average)}{again}. On the validation rows that "
        f"chose them their {final.metric} was {score_text(average.validation_score)}, and "
        f"{score_text(average.best_validation_score)} of the best network alone; on test rows it is "
        f"{score_text(final.model_test_score)}, and {score_text(final.network_test_score)} of the winner's network "
        f"alone. They have {average.parameters:,} parameters, where that one has "
        f"{final.winner.parameters:,}, and take as much longer to predict; model.average: none "
        "leaves it at that one"
    )


def _why_so_long(final: FinalistsResult) -> str:
    """Why the refit has the length that it has."""
    if final.refit is None or len(final.refit.lengths) < 2:
        return ""
    scores = dict(final.refit.lengths)
    chosen = scores.pop(final.refit.epochs)
    ((other, score),) = scores.items()
    ends = f"validation {final.metric} {score_text(chosen)} at the end of {final.refit.epochs}"
    return f" (of two lengths that were tried: {ends}, {score_text(score)} of {other})"


def _comparison(final: FinalistsResult) -> list[str]:
    """Every metric on test rows: the model, the winner, what simpler models reach, and what ignores the inputs."""
    names = list(final.trivial_test_metrics)
    of_models = {} if final.model_test_metrics is None else {"the model": final.model_test_metrics}
    of_models |= {f"the network, mean over {counted(len(final.winner.seeds), 'seed')}": final.test_metrics}
    of_models |= {baseline.model: baseline.test for baseline in final.baselines}
    of_models["ignoring the inputs"] = final.trivial_test_metrics
    lines = ["## Every metric, and simpler models", "", "| test | " + " | ".join(names) + " |"]
    lines.append("| --- |" + " --- |" * len(names))
    for model, scores in of_models.items():
        cells = [score_text(scores[name]) if name in scores else "—" for name in names]
        lines.append(f"| {model} | " + " | ".join(cells) + " |")
    lines.append("")
    if (verdict := worth(final)) is not None:
        lines += [f"**Was it worth it?** {verdict}.", ""]
    for baseline in final.baselines:
        if baseline.unavailable or baseline.note:
            missing = f"not available ({baseline.unavailable})" if baseline.unavailable else baseline.note
            lines += [f"- {baseline.model}: {missing}"]
    if final.calibration is not None:
        lines += [f"- {describe_calibration(final.calibration)}"]
    if final.threshold is not None:
        lines += [f"- {describe_threshold(final)}"]
    if final.prediction_interval is not None:
        lines += [f"- {describe_prediction_interval(final.prediction_interval)}"]
    return [*lines, ""]


def describe_calibration(found: Calibration) -> str:
    """What a temperature does, in a clause."""
    if found.temperature == 1:
        return "temperature 1: no validation row is wrong, so nothing says how sure the model may be"
    losses = f"log loss {score_text(found.log_loss_before)} → {score_text(found.log_loss_after)}"
    errors = f"expected calibration error {found.error_before:.2%} → {found.error_after:.2%}"
    return f"temperature {found.temperature:.3g} for the model, on test rows: {losses}, {errors}"


def describe_threshold(final: FinalistsResult) -> str:
    """From which probability on the second class is named, why, and what that does; empty where it is 0.5."""
    found = final.threshold
    if found is None:
        return ""
    named = f"{found.class_name!r} is predicted from a probability of {found.probability:.3g} on"
    # Of the scores that a threshold changes the one that it was chosen by, or else the first.
    by = next(iter(found.test)) if found.chosen_by is None else found.chosen_by
    on_tests = f"on test rows {by} {score_text(found.test_at_half[by])} at 0.5 → {score_text(found.test[by])}"
    if found.chosen_by is None or found.validation is None:
        return f"{named}, as model.threshold says: {on_tests}"
    before, best = found.validation
    why = f"where validation {by} is best ({score_text(before)} at 0.5 → {score_text(best)})"
    others = "; simpler models have thresholds of their own" if final.baselines else ""
    return f"{named}, {why}; {on_tests}{others}"


def describe_prediction_interval(found: PredictionInterval) -> str:
    """How far a true number is from the prediction, and what of the test rows that holds."""
    return (
        f"{100 * found.share:.4g} % of new rows are to lie within ± {score_text(found.half_width)} of their "
        f"prediction; of {found.rows:,} test rows {100 * found.covered:.1f} % do, by widths that the other half of "
        "them sets"
    )


def trainings(finalist: Finalist) -> str:
    """What its mean is over: ``5 seeds``, or ``4 folds × 5 seeds``."""
    seeds = counted(len(finalist.seeds), "seed")
    return f"{counted(len(finalist.fold_scores), 'fold')} × {seeds}" if finalist.fold_scores else seeds


def counted(n: int, noun: str) -> str:
    """``1 trial``, ``2 trials``."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def describe(config: TrialConfig) -> dict[str, Any]:
    """The leaves of a configuration that a person wants to see: without the seed and what is switched off."""
    shown = {k: value for k, value in config.flat().items() if k != "seed" and not _is_off(k, value, config)}
    if config.network.init == "auto":
        shown["network.init"] = f"auto ({resolve(config.network)})"
    return shown


def _is_off(leaf: str, value: Any, config: TrialConfig) -> bool:
    if leaf == "schedule.unit":
        return config.schedule.name == "none" and not config.schedule.warmup
    # No hyperparameter is of interest at 0 but one that was searched, and a range in log space never ends there.
    return value is None or value == "none" or (isinstance(value, (int, float)) and value == 0)


def format_value(value: Any) -> str:
    """A hyperparameter's value with as many digits as mean something."""
    if isinstance(value, float):
        return score_text(value)
    return as_written(value)
