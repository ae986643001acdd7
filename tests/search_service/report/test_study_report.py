"""The report and the JSON document say what was found, in words and numbers that hold."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from search_service import wiring
from search_service.recorders.memory import MemoryRecorder
from search_service.records.finalists import Finalist, FinalistsResult, Refit
from search_service.report.documents import StudyDocument
from search_service.report.importance import importance
from search_service.report.looking_back import describe_contenders
from search_service.report.study_report import (
    counted,
    describe,
    describe_interval,
    describe_model,
    format_value,
    report,
)
from search_service.report.worth import worth
from search_service.runners.inline import InlineRunner
from search_service.spec.study_spec import parse
from search_service.study import run_study
from tests.plans import plain
from trainables.records import Advantage, Baseline

SPEC = {
    "name": "small",
    "data": {"source": "diabetes"},
    "trial": {"loss": "mse", "network": {"hidden_sizes": [8]}, "optimizer": {"lr": 0.01}},
    "search": {"coarse": {"max_trials": 3, "max_epochs": 4}, "refined": {"max_trials": 2, "max_epochs": 6}},
    "finalists": {"top": 1, "seeds": 1},
}


def run(spec, folder):
    study = wiring.prepare(spec)
    listen = MemoryRecorder().record
    return run_study(spec, study.table, InlineRunner(), listen, study_id="s", folder=folder, versions={})


def test_the_report_of_a_regression_in_its_own_units(tmp_path):
    spec = parse(SPEC)
    result = run(spec, tmp_path)
    text = report(spec, result)
    assert "# small: completed" in text
    # Of one seed there is no spread, and 0 would be a false one.
    assert f"| {result.finalists.test_mean:.4g} |" in text and "± 0 |" not in text
    assert "trained from one fresh seed, so that nobody knows what another one would change:" in text
    refit = result.finalists.refit
    assert f"| **test, the model** (rows used once) | **{refit.test_metrics['rmse']:.4g}** |" in text
    rows = f"{refit.rows} training and validation rows together"
    assert f"The model is the winner trained once more, on {rows}, for {refit.epochs} epochs" in text
    assert all(check.summary in text for check in result.checks)
    assert result.reason in text
    document = StudyDocument.of(spec, result, {"folder": "x"}).plain()
    assert document["best"]["metric"] == "rmse"
    assert 30 < document["best"]["test_mean"] < 100
    assert document["best"]["model"]["is_refit"]
    assert document["best"]["model"]["test_score"] == refit.test_metrics["rmse"]
    assert document["places"] == {"folder": "x"}
    json.dumps(document, allow_nan=False)


def test_a_failed_study_has_a_report_without_an_answer(tmp_path):
    spec = parse(SPEC | {"trial": SPEC["trial"] | {"network": {"init": "zeros"}}})
    result = run(spec, tmp_path)
    text = report(spec, result)
    assert "# small: failed" in text
    assert "FAILED" in text
    assert "*To do: set trial.network.init: auto" in text
    document = StudyDocument.of(spec, result, {}).plain()
    assert document["best"] is None
    assert document["rounds"] == []
    json.dumps(document, allow_nan=False)


def test_a12_a13_the_report_reads_gradients_and_curves_of_checks_and_finalists(tmp_path):
    deep = {"hidden_sizes": [8] * 8, "activation": "sigmoid"}
    # With on_fail: warn it goes on although it cannot memorise.
    spec = parse(SPEC | {"trial": SPEC["trial"] | {"network": deep}, "checks": {"on_fail": "warn"}})
    result = run(spec, tmp_path)
    text = report(spec, result).split("## Gradients and fit")[1]
    assert "| step 1, initial loss | vanishing in layers 1 to" in text
    assert "| step 2, overfit a small sample | " in text
    if result.finalists is not None:
        winner = result.finalists.winner
        where = f"finalist {winner.trial_id} (gradients: first seed)"
        assert f"| {where} | {winner.health.verdict.summary} | {winner.fit.summary} |" in text
    document = StudyDocument.of(spec, result, {}).plain()
    assert document["checks"][0]["gradient_health"]["name"] == "vanishing"
    assert document["checks"][0]["gradient_health"]["layers"][0] == 1


def test_a12_a13_a_winner_says_how_it_trained(tmp_path):
    spec = parse(SPEC)
    result = run(spec, tmp_path)
    winner = result.finalists.winner
    best = StudyDocument.of(spec, result, {}).plain()["best"]
    assert best["fit"]["name"] in ("underfitting", "good fit", "overfitting")
    assert best["gradient_health"]["name"] == "healthy"
    assert winner.fit.summary in report(spec, result)
    assert "curves read" in result.decisions[-1].reason
    text = report(spec, result)
    assert f"- Round 1 ended: {result.rounds[0].stop_reason}" in text
    assert f"(gain {result.decisions[-1].gain:.2g}, expected of another cycle " in text
    # What a failed check says is not called healthy below it.
    assert "| step 1, initial loss | gradients and activations are healthy" in text
    failed = replace(result, checks=(replace(result.checks[0], passed=False), *result.checks[1:]))
    assert "| step 1, initial loss |" not in report(spec, failed)
    # The schedule's last epoch has little left of the rate.
    assert winner.learning_rates[0] == winner.config.optimizer.lr > 5 * winner.learning_rates[-1]


def baseline(name, model, rmse, **fields):
    return Baseline(name, model, test={"rmse": rmse}, **fields)


def finalists_of(metric, scores, baselines):
    finalist = Finalist("r1-000", plain(), (1, 2, 3), scores, ((),), None, None, ())
    return FinalistsResult((finalist,), metric, scores, 0, {metric: 0.0}, Path("x"), 1.0, baselines=tuple(baselines))


def test_b_the_report_says_how_long_the_model_was_trained_and_why():
    refit = Refit(9, ((9, 51.25), (27, 53.5)), 1200, 7, 36, Path("x"), {"rmse": 50.0})
    final = replace(finalists_of("rmse", (49.0, 50.0, 51.0), []), refit=refit)
    assert describe_model(final) == (
        "the winner trained once more, on 1,200 training and validation rows together, for 9 epochs "
        "(of two lengths that were tried: validation rmse 51.25 at the end of 9, 53.5 of 27)"
    )


def test_b_the_report_says_where_the_model_is_not_trained_again():
    final = finalists_of("rmse", (49.0, 50.0, 51.0), [])
    assert describe_model(final) == "the network of the seed with the best validation score"
    lost = replace(final, refit=Refit(3, ((3, 0.5),), 1200, 7, 3, None))
    assert describe_model(lost).endswith(
        "score: trained again on 1,200 training and validation rows together, it did not learn them"
    )


@pytest.mark.parametrize(
    ("ridge", "boosting", "words"),
    [
        (60.0, 55.0, "Yes: test rmse 50 ± 1 is better than the best baseline, boosting (55)"),
        (
            50.5,
            55.0,
            "No: test rmse 50 ± 1 is not better, within its seeds' noise, than ridge (50.5), which is simpler",
        ),
        (50.5, 40.0, "than ridge (50.5), which is simpler, and boosting (40) is the best baseline"),
        (60.0, 50.9, "than boosting (50.9), which is simpler"),
        (60.0, 40.0, "No: test rmse 50 ± 1 is worse than boosting (40), which is simpler"),
    ],
)
def test_b_the_report_says_whether_a_network_of_earlier_versions_was_worth_it(ridge, boosting, words):
    given = [baseline("linear", "ridge", ridge), baseline("boosting", "boosting", boosting)]
    assert words in worth(finalists_of("rmse", (49.0, 50.0, 51.0), given))
    # The same of a score of which more is better.
    turned = [Baseline(b.name, b.model, test={"r2": -b.test["rmse"]}) for b in given]
    verdicts = [
        worth(finalists_of(*asked))
        for asked in (("rmse", (49.0, 50.0, 51.0), given), ("r2", (-49.0, -50.0, -51.0), turned))
    ]
    first, second = (verdict.replace("-", "").replace("rmse", "r2") for verdict in verdicts)
    assert first == second


@pytest.mark.parametrize(
    ("ridge", "boosting", "words"),
    [
        (
            (10, 2),
            (5, 2),
            "Yes: the model's test rmse 49 is better than the best baseline, boosting (54), by 5 ± 2 on the",
        ),
        ((10, 2), (-5, 2), "No: the model's test rmse 49 is worse than boosting (44), by 5 ± 2 on the same 200 rows"),
        (
            (-1, 0.1),
            (-5, 2),
            "No: the model's test rmse 49 is worse than boosting (44), by 5 ± 2 on the same 200 rows, and also than "
            "ridge (48), which is simpler",
        ),
        (
            (-1, 0.1),
            (-5, 3),
            "worse than ridge (48), by 1 ± 0.1 on the same 200 rows; boosting (44) is the best baseline",
        ),
        (
            (1, 2),
            (5, 2),
            "It cannot be told: the model's test rmse 49 is better than ridge (50) by 1 ± 2, which 200 rows",
        ),
        (
            (1, 2),
            (-1, 3),
            "It cannot be told: the model's test rmse 49 is worse than boosting (48) by 1 ± 3, which 200 rows leave to "
            "chance; nor can it be told from ridge (50), which is simpler",
        ),
        ((1, 2), (0, 3), "the model's test rmse 49 is as good as boosting (49) on these 200 rows; nor can it be told"),
        ((10, 2), (-5, 3), "It cannot be told: the model's test rmse 49 is worse than boosting (44) by 5 ± 3, which"),
    ],
)
def test_b_the_report_says_whether_the_model_was_worth_it_row_by_row(ridge, boosting, words):
    given = [
        baseline(name, model, 49.0 + lead, lead=Advantage(lead, error, 200))
        for name, model, (lead, error) in (("linear", "ridge", ridge), ("boosting", "boosting", boosting))
    ]
    assert words in worth(finalists_of("rmse", (49.0, 50.0, 51.0), given))


def test_b_a_clear_loss_by_another_metric_is_said_and_an_unclear_one_is_not():
    leads = {"accuracy": Advantage(0.01, 0.002, 360), "log_loss": Advantage(-0.24, 0.05, 360)}
    leads["roc_auc"] = Advantage(-0.001, 0.002, 360)
    scores = {"accuracy": 0.96, "log_loss": 0.1, "roc_auc": 0.999}
    boosting = Baseline("boosting", "boosting", test=scores, lead=leads["accuracy"], leads=leads)
    said = worth(finalists_of("accuracy", (0.97,), [boosting]))
    assert said.startswith("Yes: ")
    assert said.endswith("on the same 360 rows; but boosting is ahead by log_loss (0.1 against 0.34)")


def test_b_the_interval_of_the_headline_holds_what_rows_and_seeds_leave_open():
    final = replace(finalists_of("rmse", (49.0, 50.0, 51.0), []), rows_error=2.0)
    # A standard deviation of 1 over the seeds beside an error of 2 of the rows.
    half = 1.96 * math.sqrt(1 + 4)
    assert final.test_interval == pytest.approx((final.model_test_score - half, final.model_test_score + half))
    assert describe_interval(final) == f", 95 % interval {49 - half:.4g} to {49 + half:.4g}"
    assert replace(final, rows_error=None).test_interval is None
    sure = replace(finalists_of("accuracy", (0.99, 0.99), []), rows_error=0.01)
    assert sure.test_interval == pytest.approx((0.99 - 0.0196, 1.0))
    low, _ = replace(finalists_of("r2", (0.01, 0.01), []), rows_error=0.1).test_interval
    assert low < 0


def test_b_what_is_no_better_than_ignoring_the_inputs_is_said_first():
    final = finalists_of("rmse", (49.0,), [baseline("linear", "ridge", 60.0, lead=Advantage(11.0, 1.0, 200))])
    assert worth(replace(final, over_trivial=Advantage(5.0, 1.0, 200))).startswith("Yes")
    useless = replace(final, over_trivial=Advantage(0.5, 1.0, 200))
    assert worth(useless).startswith("No: test rmse 49 is no better than the 0 of ignoring the inputs")


def test_b_baselines_that_are_missing_are_not_compared_with():
    missing = Baseline("linear", "ridge", unavailable="too expensive")
    assert worth(finalists_of("rmse", (50.0, 50.0), [missing])) is None
    assert worth(finalists_of("rmse", (50.0, 50.0), [missing, baseline("boosting", "boosting", 60.0)])).startswith(
        "Yes"
    )


def test_b_report_and_document_hold_every_metric_the_baselines_and_the_folds(tmp_path):
    spec = parse(SPEC | {"finalists": {"top": 1, "seeds": 2, "folds": 2}})
    result = run(spec, tmp_path)
    final = result.finalists
    text = report(spec, result)
    assert f"| validation, over 2 folds × 2 seeds | {final.winner.mean:.4g} ± {final.winner.std:.2g} |" in text
    section = text.split("## Every metric, and simpler models")[1]
    assert "| test | rmse | mae | r2 |" in section
    for model, scores in (
        ("the model", final.model_test_metrics),
        ("the network, mean over 2 seeds", final.test_metrics),
        ("ridge regression", final.baselines[0].test),
        ("gradient boosting", final.baselines[1].test),
        ("ignoring the inputs", final.trivial_test_metrics),
    ):
        cells = " | ".join(f"{scores[name]:.4g}" for name in ("rmse", "mae", "r2"))
        assert f"| {model} | {cells} |" in section
    assert f"**Was it worth it?** {worth(final)}." in section
    best = StudyDocument.of(spec, result, {}).plain()["best"]
    assert best["test_metrics"]["mae"] == final.test_metrics["mae"]
    assert [b["name"] for b in best["baselines"]] == ["linear", "boosting"]
    assert best["validation_folds"] == [list(scores) for scores in final.winner.fold_scores]
    assert best["worth"] == worth(final)
    answers = {"Yes": "better", "It cannot be told": "cannot be told", "No": "not better"}
    assert best["verdict"] == answers[best["worth"].partition(":")[0]]
    assert best["calibration"] is None
    json.dumps(best, allow_nan=False)


def test_what_is_switched_off_is_not_shown_and_auto_says_what_it_chose():
    shown = describe(plain())
    assert shown["network.init"] == "auto (kaiming)"
    off = {"network.dropout", "network.dropconnect", "network.normalization", "clipping.norm", "schedule.unit", "seed"}
    assert not off & set(shown)
    assert describe(plain().replace({"network.dropout": 0.2, "schedule.warmup": 2})).keys() >= {
        "network.dropout",
        "schedule.warmup",
        "schedule.unit",
    }


def test_numbers_as_people_read_them():
    assert counted(1, "trial") == "1 trial"
    assert counted(0, "trial") == "0 trials"
    assert format_value(0.00123456) == "0.001235"
    assert format_value((64, 64)) == "[64, 64]"
    assert format_value("relu") == "relu"
    assert format_value(math.pi) == "3.142"


def test_b_finalists_have_their_intervals_and_those_like_the_winner_are_named(tmp_path):
    spec = parse(SPEC | {"finalists": {"top": 3, "seeds": 3, "baselines": False}})
    result = run(spec, tmp_path)
    final = result.finalists
    text = report(spec, result)
    low, high = final.winner.interval
    assert low < final.winner.mean < high
    assert f"| validation, 95 % confidence interval | {low:.4g} to {high:.4g} |" in text
    for finalist in final.finalists:
        (line,) = [line for line in text.splitlines() if line.startswith(f"| {finalist.trial_id} | ")]
        cells = [cell.strip() for cell in line.split("|")]
        assert cells[4] == f"{finalist.parameters:,}" == "97"
        told = {final.contenders[0]: "best mean"} | dict.fromkeys(final.contenders[1:], "no")
        assert cells[6] == told.get(finalist.trial_id, "yes")
    assert f"{describe_contenders(final, 'best')}." in text
    best = StudyDocument.of(spec, result, {}).plain()["best"]
    assert best["validation_interval"] == [low, high]
    assert best["alike"] == list(final.alike)
    assert best["parameters"] == 10 * 8 + 8 + 8 + 1


def test_b_what_is_said_of_contenders():
    one, two = (Finalist(name, plain(), (0,), (50.0,), ((),), None, None, ()) for name in ("r1-000", "r1-001"))
    final = FinalistsResult((one, two), "rmse", (50.0,), 0, {}, Path("x"), 1.0, contenders=("r1-000", "r1-001"))
    single = "With a single seed nothing can be told apart; "
    tied = "r1-000 won, which the search had ahead of r1-001 with the same mean"
    assert describe_contenders(final, "best") == single + tied
    ahead = replace(final, finalists=(replace(one, scores=(49.0,)), two))
    assert describe_contenders(ahead, "best") == f"{single}won by the best mean, r1-000"
    one, two = (replace(finalist, seeds=(0, 1), scores=(50.0, 50.0)) for finalist in (one, two))
    swapped = replace(final, finalists=(two, one))
    words = (
        "Cannot be told from the best (paired t-test over the seeds, 5 %): r1-001; won by the simplest, r1-001, rather"
    )
    assert describe_contenders(swapped, "simplest").startswith(words)
    alone = replace(final, finalists=(one, two), contenders=("r1-000",))
    assert describe_contenders(alone, "simplest").startswith("Every other finalist is worse by more than chance")


def test_b_the_report_has_the_trials_that_no_other_beats_in_both_objectives(tmp_path):
    second = {"objective": {"second": "parameters"}}
    shapes = {"network.hidden_sizes": {"choices": [[4], [8], [64, 64]]}}
    asked = {"coarse": {"max_trials": 6, "max_epochs": 2}, "refined": {"max_trials": 8, "max_epochs": 3}}
    budget = {"search": asked | {"early_stopping": False, "max_cycles": 1}}
    spec = parse(SPEC | second | budget | {"search_space": shapes, "finalists": {"top": 5, "seeds": 1}})
    result = run(spec, tmp_path)
    final = result.finalists
    section = report(spec, result).split("## Score and parameters")[1].split("\n## ")[0]
    assert section.startswith("\n\nOf 8 trials that were trained to the end")
    again = {finalist.trial_id: finalist for finalist in final.finalists}
    assert set(again) == {point.trial_id for point in final.pareto.optimal[:5]}
    for point in final.pareto.optimal:
        finalist = again[point.trial_id]
        assert finalist.parameters == point.second
        cells = [point.trial_id, f"{point.score:.4g}", f"{point.second:,g}", f"{finalist.mean:.4g}"]
        assert f"| {' | '.join(cells)} |" in section
    document = StudyDocument.of(spec, result, {}).plain()["best"]["pareto"]
    assert document["second"] == "parameters"
    assert len(document["points"]) == 8
    json.dumps(document, allow_nan=False)


def test_c6_the_report_says_what_mattered_in_each_round_or_why_that_is_unknown(tmp_path):
    rounds = {"coarse": {"max_trials": 12, "max_epochs": 4}, "refined": {"max_trials": 2, "max_epochs": 6}}
    decay = {"optimizer.weight_decay": {"low": 1e-4, "high": 1.0, "log": True}}
    spec = parse(SPEC | {"search": rounds | {"max_cycles": 1}, "search_space": decay})
    result = run(spec, tmp_path)
    section = report(spec, result).split("## What mattered")[1].split("\n## ")[0]
    found = importance(result.rounds[0])
    assert "| hyperparameter | round 1 |" in section
    assert len(found.shares) == 2
    assert all(f"| {leaf} | {share:.0%} |" in section for leaf, share in found.shares.items())
    assert f"round 1 at epoch {found.epoch}:" in section
    assert "- Round 2: 2 of 2 trials can be compared, and it takes 10 to tell" in section
    first, second = (done["importance"] for done in StudyDocument.of(spec, result, {}).plain()["rounds"])
    assert first == {"shares": found.shares, "epoch": found.epoch, "trials": found.trials, "reason": ""}
    assert second["shares"] == {}
