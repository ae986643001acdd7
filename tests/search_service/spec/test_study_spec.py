"""D2: configs are validated before anything starts, all mistakes at once: path, value, rule, nearest valid name."""

from __future__ import annotations

import contextlib
import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_service import wiring
from search_service.errors import InvalidSpecError
from search_service.space.ranges import Choices, NumericRange
from search_service.spec.study_spec import StudySpec, parse

VALID = {"name": "x", "data": {"source": "digits"}}


def mistakes(changes: dict) -> dict[str, str]:
    """Path -> rule and fix of every mistake of the valid config with ``changes``."""
    raw = copy.deepcopy(VALID) | changes
    with pytest.raises(InvalidSpecError) as error:
        parse(raw)
    return {p.path: f"{p.rule} | {p.fix}" for p in error.value.problems}


WHEN, DROPOUT = "search_space.optimizer.momentum.when.", "search_space.network.dropout.when."
POINT = "search.points_to_evaluate.0."


def when(leaf, condition, **others):
    """A search space with a condition on ``leaf``."""
    ranges = {
        "optimizer.name": {"choices": ["sgd", "nesterov"]},
        "network.init": {"choices": ["auto", "gaussian"]},
        "optimizer.momentum": {"low": 0.5, "high": 0.9},
        "network.dropout": {"low": 0.0, "high": 0.4},
    }
    wanted = {"optimizer.name", leaf}
    return {
        "search_space": {name: ranges[name] for name in wanted} | others | {leaf: ranges[leaf] | {"when": condition}}
    }


def layers(**ranges):
    return {"search_space": {f"network.{leaf}": given for leaf, given in ranges.items()}}


def points(*given):
    return {
        "search_space": {
            "optimizer.name": {"choices": ["sgd", "nesterov"]},
            "optimizer.momentum": {"low": 0.5, "high": 0.9, "when": {"optimizer.name": "nesterov"}},
            "batch_size": {"low": 8, "high": 64, "step": 8},
            "network.depth": {"low": 1, "high": 2},
            "network.width": {"low": 4, "high": 16},
        },
        "search": {"points_to_evaluate": list(given)},
    }


def test_the_smallest_config_is_enough():
    spec = parse(VALID)
    assert parse(VALID | {"search": {"coarse": {"max_trials": 8}}}).search.coarse.max_epochs == 9
    assert spec.metric == "accuracy"
    assert (spec.finalists.folds, spec.finalists.calibration, spec.finalists.baselines) == (None, "none", True)
    assert parse(VALID | {"trial": {"loss": "mse"}}).metric == "rmse"
    assert (spec.model.register, spec.model.refit) == (True, True)
    assert parse(VALID | {"model": {"register": False}}).model.register is False


@pytest.mark.parametrize(
    ("changes", "path", "words"),
    [
        ({"trial": None}, "trial", "remove the line"),
        ({"seed": 2**63}, "seed", "below"),
        ({"objective": {"target": 1.5}}, "objective.target", "at most 1"),
        ({"objective": {"metric": "macro_f1", "target": 97}}, "objective.target", "at most 1, as macro_f1 is"),
        ({"objective": {"metric": "roc_auc", "target": 0}}, "objective.target", "above 0"),
        (
            {"trial": {"loss": "mse"}, "objective": {"metric": "r2", "target": 1.1}},
            "objective.target",
            "at most 1, as r2 is",
        ),
        (
            {"trial": {"loss": "hinge"}, "objective": {"metric": "log_loss"}},
            "objective.metric",
            "gives no probabilities",
        ),
        ({"search": {"warm_start": ""}}, "search.warm_start", "at least 1 characters"),
        ({"search": {"warm_start": "a\0b"}}, "search.warm_start", "U+0000"),
        ({"experiment": ""}, "experiment", "at least 1 characters"),
        ({"experiment": "../../up"}, "experiment", "it holds /"),
        ({"search": {"max_total_epochs": 0}}, "search.max_total_epochs", "at least 1"),
        ({"search": {"patience_trials": 0}}, "search.patience_trials", "at least 1"),
        ({"search": {"patience_minutes": 0}}, "search.patience_minutes", "above 0"),
        ({"search": {"noise_seeds": 1}}, "search.noise_seeds", "one score has no spread"),
        ({"search": {"noise_seeds": -1}}, "search.noise_seeds", "at least 0"),
        ({"finalists": {"folds": 1}}, "finalists.folds", "at least 2"),
        ({"finalists": {"folds": 1}}, "finalists.folds", "or null for none"),
        ({"calibration": "temperature"}, "calibration", "write finalists.calibration"),
        ({"model": {"calibration": "temperature"}}, "model.calibration", "write finalists.calibration"),
        ({"data": {"source": "digits", "group": "a", "time": "b"}}, "data", "remove one of the two"),
        ({"data": {"source": "digits", "validation_fraction": 0.9}}, "data", "lower one of the two"),
        ({"finalists": {"folds": 21}}, "finalists.folds", "at most 20"),
        ({"finalists": {"baselines": "yes"}}, "finalists.baselines", "true or false"),
        ({"objective": {"metric": "AUC"}}, "objective.metric", "did you mean roc_auc?"),
        ({"search": {"n_trials": 50}}, "search.n_trials", "search.coarse.max_trials and search.refined.max_trials"),
        ({"search_space": {"optimizer.lr": {"type": "uniform"}}}, "search_space.optimizer.lr.type", "a range"),
        ({"search_space": {"optimizer.lr": {"min": 1e-4, "max": 1}}}, "search_space.optimizer.lr.min", "write low"),
        ({"search_space": {"optimizer.lr": {"min": 1e-4, "max": 1}}}, "search_space.optimizer.lr.max", "write high"),
        ({"search_space": {"optimizer.lr": [0.1, 0.01]}}, "search_space.optimizer.lr", "{low: 0.01, high: 0.1}"),
        ({"batch_size": 32}, "batch_size", "write trial.batch_size"),
        ({"max_trials": 3}, "max_trials", "search.coarse.max_trials and search.refined.max_trials"),
        ({"trial": {"hidden_layers": [64]}}, "trial.hidden_layers", "write trial.network.hidden_sizes"),
        ({"search": {"n_jobs": 2}}, "search.n_jobs", "write search.max_concurrent_trials"),
        ({"trial": {"optimizer": {"type": "adam"}}}, "trial.optimizer.type", "one of: "),
        ({"objective": {"direction": "max"}}, "objective.direction", "objective.metric says which way is better"),
        ({"data": {"source": "digits", "test_size": 0.2}}, "data.test_size", "did you mean test_fraction?"),
        ({"data": {"source": "digits", "csv": {"sep": ";"}}}, "data.csv.sep", "did you mean delimiter?"),
        ({"data": {"source": "digits", "columns": {"a": "cat"}}}, "data.columns.a", "did you mean categorical?"),
        ({"data": {"source": "digits", "drop": "city"}}, "data.drop", "write [city]"),
        ({"data": {"source": "digits", "drop": 2024}}, "data.drop", 'write ["2024"]'),
        ({"data": {"source": "digits", "csv": {"null_values": "?"}}}, "data.csv.null_values", 'write ["?"]'),
        ({"data": {"source": "digits", "csv": {"null_values": -9}}}, "data.csv.null_values", 'write ["-9"]'),
        ({"trial": {"network": {"hidden_sizes": "64,64"}}}, "trial.network.hidden_sizes", "write [64,64]"),
        ({"trial": {"optimizer": "adam"}}, "trial.optimizer", "write trial.optimizer.name: adam"),
        ({"search_space": {"optimizer.lr": [1e-4, 0.1]}}, "search_space.optimizer.lr", "{low: 0.0001, high: 0.1}"),
        ({"search": {"sampler": "bayes"}}, "search.sampler", "did you mean tpe?"),
        ({"search": {"sampler": "CMA-ES"}}, "search.sampler", "did you mean cma_es?"),
        ({"trial": {"optimizer": {"name": "AdamW"}}}, "trial.optimizer.name", "did you mean adamw?"),
        ({"trial": {"optimizer": {"learning_rate": 1}}}, "trial.optimizer.learning_rate", "did you mean lr?"),
        ({"trial": {"network": {"activation": "swish"}}}, "trial.network.activation", "did you mean silu?"),
        ({"trial": {"network": {"init": "he"}}}, "trial.network.init", "did you mean kaiming?"),
        ({"search_space": {"wd": {"low": 1, "high": 2}}}, "search_space.wd", "did you mean optimizer.weight_decay?"),
        ({"objective": {"second": "paramters"}}, "objective.second", "did you mean parameters?"),
        ({"objective": {"second": "parameters"}, "trial": {}}, "objective.second", "search network.hidden_sizes"),
        (
            {
                "objective": {"second": "parameters"},
                "search_space": {"network.activation": {"choices": ["relu", "elu"]}},
            },
            "objective.second",
            "nothing of network.hidden_sizes or network.normalization is searched",
        ),
        ({"model": {"average": 1}}, "model.average", "at least 2"),
        ({"model": {"average": 3}, "trial": {"loss": "hinge"}}, "model.average", "no probabilities to be averaged"),
        ({"model": {"average": 3}, "finalists": {"top": 1, "seeds": 1}}, "model.average", "is one network"),
        ({"finalists": {"prefer": "simple"}}, "finalists.prefer", "did you mean simplest?"),
        ({"finalists": {"calibration": "temprature"}}, "finalists.calibration", "did you mean temperature?"),
        (
            {"trial": {"loss": "hinge"}, "finalists": {"calibration": "temperature"}},
            "finalists.calibration",
            "gives no probabilities",
        ),
        (
            {"trial": {"loss": "mse"}, "finalists": {"calibration": "temperature"}},
            "finalists.calibration",
            "remove it",
        ),
        (
            {"objective": {"metric": "mae"}, "trial": {"loss": "hinge"}},
            "objective.metric",
            "use accuracy or balanced_accuracy or macro_f1",
        ),
        ({"trial": {"network": {"hidden_sizes": [65536, 65536]}}}, "trial.network", "at most 200,000,000 weights"),
        ({"search": {"coarse": {"max_trails": 8}}}, "search.coarse.max_trails", "did you mean max_trials?"),
        ({"search_space": {"optimizer": {"lr": {}}}}, "search_space.optimizer", "write optimizer.lr: ..."),
        (
            {"search_space": {"network.activation": {"low": 0, "high": 1}}},
            "search_space.network.activation",
            "write {choices: [...]}",
        ),
        (
            {"search_space": {"optimizer.lr": {"low": 0.1, "high": 1, "choices": [1]}}},
            "search_space.optimizer.lr.low",
            "not both",
        ),
        (
            {"search_space": {"network.dropout": {"low": 0, "high": 0.4, "step": 5}}},
            "search_space.network.dropout.step",
            "at most high",
        ),
        ({"serch": {}}, "serch", "did you mean search?"),
        ({"data": {"source": "t.csv", "targett": "y"}}, "data.targett", "did you mean target?"),
        ({"data": {"source": "t.csv", "columns": {"a": "numbr"}}}, "data.columns.a", "did you mean numeric?"),
        ({"data": {"source": "t.csv", "columns": {"a": {"kid": "date"}}}}, "data.columns.a.kid", "did you mean kind?"),
        ({"data": {"source": "t.csv", "columns": {"a": {"kind": "dat"}}}}, "data.columns.a.kind", "did you mean date?"),
        ({"data": {"source": "t.csv", "columns": {"a": {"null_values": 9}}}}, "data.columns.a.null_values", "a list"),
        ({"data": {"source": "t.csv", "columns": {"a": {"thousands": ";"}}}}, "data.columns.a.thousands", "one of"),
        ({"data": {"source": "t.csv", "columns": {"a": 5}}}, "data.columns.a", "keys and values"),
        ({"data": {"source": "t.csv", "csv": {"delimiter": ";;"}}}, "data.csv.delimiter", "at most 1"),
        ({"data": {"source": "t.csv", "split": "grouped"}}, "data", "needs group"),
        ({"data": {"source": "t.csv", "split": "time"}}, "data", "needs time"),
        ({"data": {"source": "t.csv", "group": "a", "time": "b"}}, "data", "group or time, not both"),
        ({"data": {"source": "t.csv", "target": "a", "weight": "a"}}, "data", "a has two roles"),
        ({"data": {"source": "t.csv", "target": "a", "drop": ["a"]}}, "data", "a has two roles"),
        ({"data": {"source": "t.csv", "preparation": {"numeric": "log"}}}, "data.preparation.numeric", "one of"),
        ({"data": {"source": "t.csv", "preparation": {"one_hot_limit": 0}}}, "data.preparation.one_hot_limit", "1"),
        (
            {"data": {"source": "digits", "task": "regression"}, "objective": {"metric": "accuracy"}},
            "objective.metric",
            "data.task: regression says",
        ),
        ({"model": {"regster": False}}, "model.regster", "did you mean register?"),
        ({"model": {"register": "no"}}, "model.register", "true or false"),
        ({"trial": {"network": {"hiden_sizes": [3]}}}, "trial.network.hiden_sizes", "did you mean hidden_sizes?"),
        ({"trial": {"optimizer": {"name": "adma"}}}, "trial.optimizer.name", "did you mean adam"),
        ({"trial": {"optimizer": {"lr": -1}}}, "trial.optimizer.lr", "above 0"),
        ({"trial": {"optimizer": {"lr": float("nan")}}}, "trial.optimizer.lr", "number"),
        ({"trial": {"optimizer": {"lr": float("inf")}}}, "trial.optimizer.lr", "number"),
        ({"trial": {"optimizer": {"lr": True}}}, "trial.optimizer.lr", "a number"),
        ({"trial": {"network": {"dropout": 1}}}, "trial.network.dropout", "below 1"),
        ({"trial": {"network": {"hidden_sizes": [64, 0]}}}, "trial.network.hidden_sizes.1", "at least 1"),
        ({"trial": {"network": {"hidden_sizes": 64}}}, "trial.network.hidden_sizes", "a list"),
        ({"trial": {"batch_size": 0}}, "trial.batch_size", "full"),
        ({"trial": {"batch_size": "all"}}, "trial.batch_size", "full"),
        ({"trial": {"optimizer": {"momentum": 0.5}}}, "trial.optimizer.momentum", "momentum or nesterov only"),
        (
            {"trial": {"network": {"negative_slope": 0.1}}},
            "trial.network.negative_slope",
            "exists for network.activation leaky_relu only",
        ),
        ({"trial": {"optimizer": {"name": "adam", "rho": 0.9}}}, "trial.optimizer.rho", "adadelta only"),
        (
            {"trial": {"schedule": {"name": "cosine", "every": 3}}},
            "trial.schedule.every",
            "exists for schedule.name step only",
        ),
        ({"trial": {"schedule": {"name": "cosin"}}}, "trial.schedule.name", "did you mean cosine?"),
        ({"trial": {"network": {"dropconnect": 1.0}}}, "trial.network.dropconnect", "below 1"),
        ({"trial": {"clipping": {"norm": 0}}}, "trial.clipping.norm", "above 0"),
        ({"trial": {"label_smoothing": -0.1}}, "trial.label_smoothing", "at least 0"),
        ({"trial": {"loss": "hinge", "label_smoothing": 0.1}}, "trial.label_smoothing", "exists for loss"),
        ({"trial": {"loss": "mse", "class_weights": "balanced"}}, "trial.class_weights", "exists for loss"),
        ({"trial": {"class_weights": [1, -1]}}, "trial.class_weights.1", "above 0"),
        (
            {"trial": {"network": {"normalization": "batch_norm"}, "batch_size": 1}},
            "trial.batch_size",
            "variance is 0",
        ),
        (
            {
                "trial": {"network": {"normalization": "batch_norm"}},
                "search_space": {"batch_size": {"low": 1, "high": 64, "log": True}},
            },
            "search_space.batch_size",
            "variance is 0",
        ),
        (
            {
                "trial": {"batch_size": 1},
                "search_space": {"network.normalization": {"choices": ["none", "batch_norm"]}},
            },
            "search_space.network.normalization",
            "leave out batches of 1",
        ),
        (
            {"search_space": {"schedule.end": {"low": 0, "high": 0.5}, "schedule.name": {"choices": ["none", "step"]}}},
            "search_space.schedule.end",
            "used when schedule.name is cosine or linear",
        ),
        (
            {"search_space": {"batch_size": {"choices": [True, 32]}}},
            "search_space.batch_size.choices.0",
            "whole number",
        ),
        (
            {"search_space": {"batch_size": {"choices": [16.0, 32]}}},
            "search_space.batch_size.choices.0",
            "whole number",
        ),
        (
            {"search_space": {"clipping": {"choices": [None, 1]}}},
            "search_space.clipping",
            "write clipping.value: ...",
        ),
        ({"trial": {"class_weights": [0, 1]}}, "trial.class_weights.0", "above 0"),
        ({"trial": {"schedule": {"warmup": 9}}}, "trial.schedule.warmup", "fewer epochs than a training"),
        (
            {"search_space": {"schedule.warmup": {"choices": ["a", 3]}}},
            "search_space.schedule.warmup.choices.0",
            "whole number",
        ),
        (
            {"search_space": {"schedule.warmup": {"low": 0, "high": 50}}},
            "search_space.schedule.warmup",
            "fewer epochs than a training",
        ),
        ({"search_space": {"clipping.norm": {"low": 0, "high": 5}}}, "search_space.clipping.norm.low", "above 0"),
        ({"search": {"coarse": {"max_trials": "10", "max_epochs": 3}}}, "search.coarse.max_trials", "whole number"),
        ({"search": {"refined": {"max_trials": 9, "max_epochs": 2}}}, "search.refined.max_epochs", "trains longer"),
        ({"schema_version": 2}, "schema_version", "one of: 1"),
        ({"comparison": {"optimizers": ["sgd", "adma"]}}, "comparison.optimizers.1", "did you mean adam"),
        ({"comparison": {"optimizers": []}}, "comparison.optimizers", "at least 1 values"),
        ({"comparison": {"optimizers": ["sgd", "sgd"]}}, "comparison.optimizers", "remove the repeated ones"),
        ({"comparison": {"rates": [0.1, 0]}}, "comparison.rates.1", "above 0"),
        ({"comparison": {"rates": [0.1, 0.1]}}, "comparison.rates", "remove the repeated ones"),
        ({"comparison": {"epoch": 3}}, "comparison.epoch", "did you mean epochs?"),
        ({"comparison": {"seeds": 0}}, "comparison.seeds", "at least 1"),
        ({"name": "a/../b"}, "name", "letters"),
        ({"data": {}}, "data", "exactly one of source"),
        ({"data": {"source": "a.csv", "train": "b.csv"}}, "data", "exactly one of source"),
        ({"data": {"source": "digits", "test": "b.csv"}}, "data", "train file"),
        ({"data": {"source": "digits", "test_fraction": 0.9}}, "data", "below 1"),
        ({"data": {"source": "digits", "traget": "y"}}, "data.traget", "did you mean target?"),
        ({"objective": {"metric": "rmse"}, "trial": {"loss": "hinge"}}, "objective.metric", "use accuracy"),
        ({"search_space": {"optimizer.lr": {"low": 1, "high": 1}}}, "search_space.optimizer.lr", "low below high"),
        (
            {"search_space": {"optimizer.lr": {"low": 0, "high": 1, "log": True}}},
            "search_space.optimizer.lr.low",
            "log",
        ),
        ({"search_space": {"optimizer.lr": {"low": -1, "high": 1}}}, "search_space.optimizer.lr.low", "above 0"),
        ({"search_space": {"lr": {"low": 0.1, "high": 1}}}, "search_space.lr", "did you mean optimizer.lr?"),
        ({"search_space": {"seed": {"low": 0, "high": 9}}}, "search_space.seed", "can be searched"),
        ({"search_space": {"batch_size": {"low": 1.5, "high": 9}}}, "search_space.batch_size", "whole numbers"),
        (
            {"search_space": {"optimizer.momentum": {"low": 0.1, "high": 0.9}}},
            "search_space.optimizer.momentum",
            "used when optimizer.name is momentum",
        ),
        (
            {"search_space": {"network.activation": {"choices": ["relu", "tanhh"]}}},
            "search_space.network.activation.choices.1",
            "did you mean tanh?",
        ),
        ({"search_space": {"optimizer.lr": {"choices": []}}}, "search_space.optimizer.lr.choices", "at least 1"),
        ({"search_space": {"optimizer.lr": {"choices": [0.1, 0.1]}}}, "search_space.optimizer.lr.choices", "differ"),
        ({"search_space": {"optimizer.lr": {"choices": ["a"]}}}, "search_space.optimizer.lr.choices.0", "a number"),
        ({"search_space": {"optimizer.lr": {"low": 0.1, "hgh": 1}}}, "search_space.optimizer.lr.hgh", "high?"),
        (
            {"search_space": {"optimizer.lr": {"low": 0.1, "high": 1, "log": True, "step": 0.1}}},
            "search_space.optimizer.lr.step",
            "no step",
        ),
        (when("optimizer.momentum", {"optimizer.name": ["sgd"]}), f"{WHEN}optimizer.name", "momentum or nesterov"),
        (
            when("network.dropout", {"optimizer.nam": ["sgd"]}),
            f"{DROPOUT}optimizer.nam",
            "did you mean optimizer.name?",
        ),
        (when("network.dropout", {"network.dropout": [0]}), f"{DROPOUT}network.dropout", "cannot depend on itself"),
        (when("network.dropout", {"seed": [0]}), f"{DROPOUT}seed", "a leaf of trial"),
        (when("network.dropout", {"optimizer.name": ["sgdd", "nesterov"]}), f"{DROPOUT}optimizer.name", "mean sgd?"),
        (when("network.dropout", {"optimizer.name": []}), f"{DROPOUT}optimizer.name", "at least 1 values"),
        (when("network.dropout", ["sgd"]), "search_space.network.dropout.when", "keys and values"),
        (when("network.dropout", {"network.init": ["zeros"]}), f"{DROPOUT}network.init", "would never be used"),
        (when("network.dropout", {"network.width": [8]}), f"{DROPOUT}network.width", "name network.depth"),
        (
            when("network.dropout", {"optimizer.lr": [0.1]}),
            f"{DROPOUT}optimizer.lr",
            "choices, a step or whole numbers",
        ),
        (
            when("network.dropout", {"batch_size": [4, 64]}, batch_size={"low": 8, "high": 64}),
            f"{DROPOUT}batch_size",
            "8",
        ),
        (
            when(
                "network.dropout",
                {"batch_size": 8},
                batch_size={"low": 8, "high": 64, "when": {"network.dropout": 0.1}},
            ),
            "search_space.batch_size.when.network.dropout",
            "give network.dropout choices or a step",
        ),
        (
            when(
                "network.init",
                {"batch_size": 8},
                batch_size={"choices": [8, 64], "when": {"network.init": ["zeros"]}},
            ),
            "search_space.batch_size.when",
            "batch_size and network.init wait for each other",
        ),
        (layers(depth={"low": 0, "high": 4}), "search_space.network.depth.low", "from 1 to 100"),
        (layers(depth={"low": 1, "high": 101}), "search_space.network.depth.high", "from 1 to 100"),
        (layers(depth={"low": 1.5, "high": 4}), "search_space.network.depth", "whole numbers"),
        (layers(width={"choices": [8, "x"]}), "search_space.network.width.choices.1", "from 1 to 65536"),
        (
            layers(width={"low": 8, "high": 16}, hidden_sizes={"choices": [[8], [16]]}),
            "search_space.network.width",
            "both say what the layers are",
        ),
        (
            layers(width={"low": 8, "high": 16}) | {"trial": {"network": {"hidden_sizes": []}}},
            "search_space.network.width",
            "a linear model has no width",
        ),
        (
            layers(depth={"low": 1, "high": 9}, width={"low": 8, "high": 65536}),
            "search_space.network.depth",
            "at most 200,000,000 weights",
        ),
        (layers(widht={"low": 8, "high": 16}), "search_space.network.widht", "did you mean network.width?"),
        (points({"optimizer.name": "sgdd"}), f"{POINT}optimizer.name", "within search_space.optimizer.name"),
        (points({"network.dropout": 0.1}), f"{POINT}network.dropout", "a leaf that is searched"),
        (points({"optimizer.nam": "sgd"}), f"{POINT}optimizer.nam", "did you mean optimizer.name?"),
        (points({"optimizer.lr": -1}), f"{POINT}optimizer.lr", "above 0"),
        (points({"batch_size": 12}), f"{POINT}batch_size", "within search_space.batch_size"),
        (points({"batch_size": True}), f"{POINT}batch_size", "within search_space.batch_size"),
        (points({"optimizer.momentum": 0.6}), f"{POINT}optimizer.momentum", "give optimizer.name too"),
        (
            points({"optimizer.momentum": 0.6, "optimizer.name": "sgd"}),
            f"{POINT}optimizer.momentum",
            "used when optimizer.name is nesterov, here sgd",
        ),
        (points({"network.hidden_sizes": [8, 8, 8]}), f"{POINT}network.hidden_sizes", "network.depth 1 – 2"),
        (points({"network.hidden_sizes": [8], "network.depth": 1}), f"{POINT}network.hidden_sizes", "remove one"),
        ({"search": {"minutes": 0}}, "search.minutes", "above 0"),
        ({"search": {"minutes": 5, "max_cycles": 2}}, "search.max_cycles", "search.minutes: 5 decides it"),
        ({"search": {"minutes": 5, "refined": {"max_trials": 9}}}, "search.refined.max_trials", "remove it"),
        ({"search": {"minutes": 5, "time_budget_s": 300}}, "search.time_budget_s", "search.minutes: 5 decides it"),
        ({"search": {"deterministic": True, "minutes": 5}}, "search.minutes", "lets nothing go by the clock"),
        ({"search": {"deterministic": True, "time_budget_s": 5}}, "search.time_budget_s", "or search.deterministic"),
        ({"search": {"deterministic": True, "patience_minutes": 5}}, "search.patience_minutes", "remove it"),
        ({"search": {"brackets": 0}}, "search.brackets", "at least 1"),
        ({"search": {"brackets": 6}}, "search.brackets", "at most 5"),
        ({"search": {"bracket": 2}}, "search.bracket", "did you mean brackets?"),
        (points({}), "search.points_to_evaluate.0", "at least 1 values"),
        (
            points(*[{"optimizer.lr": 0.1}] * 24),
            "search.points_to_evaluate",
            "fewer than search.coarse.max_trials (24)",
        ),
    ],
)
def test_each_mistake_has_its_path_rule_and_fix(changes, path, words):
    found = mistakes(changes)
    assert path in found, found
    assert words in found[path]


def test_of_a_section_with_a_contradiction_the_two_keys_are_shown():
    """The whole section was, cut off."""
    with pytest.raises(InvalidSpecError) as error:
        parse({"name": "x", "data": {"source": "digits", "group": "a", "time": "b", "split_seed": 3}})
    assert [problem.value for problem in error.value.problems] == [{"group": "a", "time": "b"}]


def test_e3_beside_minutes_stand_epochs_and_as_many_points_as_anybody_likes():
    search = {"minutes": 5, "coarse": {"max_epochs": 40}} | points(*[{"optimizer.lr": 0.1}] * 30)["search"]
    assert parse(VALID | {"search": search}).search.minutes == 5
    assert parse(VALID | {"search": {"minutes": 5, "time_budget_s": None}}).search.minutes == 5


def test_a_second_objective_needs_something_that_changes_it():
    for second, leaf, choices in (
        ("parameters", "network.hidden_sizes", [[8], [16, 16]]),
        ("prediction_time", "network.activation", ["relu", "gelu"]),
    ):
        asked = {"objective": {"second": second}, "search_space": {leaf: {"choices": choices}}}
        assert parse(VALID | asked).objective.second == second
    assert parse(VALID).objective.second is None


def test_a_target_of_a_metric_without_a_bound_may_be_any_number():
    assert parse(VALID | {"objective": {"metric": "log_loss", "target": 1.5}}).objective.target == 1.5
    asked = {"trial": {"loss": "mse"}, "objective": {"metric": "mae", "target": 40.0}}
    assert parse(VALID | asked).metric == "mae"
    assert parse(VALID | {"trial": {"loss": "hinge"}, "objective": {"metric": "roc_auc"}}).metric == "roc_auc"


def test_all_mistakes_at_once_across_sections():
    found = mistakes(
        {
            "trial": {"optimizer": {"lr": "fast"}},
            "search_space": {"lr": {"low": 1, "high": 2}, "network.dropout": {"low": 0.5, "high": 1.5}},
            "finalists": {"top": 0},
            "extra": 1,
        }
    )
    assert set(found) == {
        "trial.optimizer.lr",
        "search_space.lr",
        "search_space.network.dropout.high",
        "finalists.top",
        "extra",
    }


@pytest.mark.parametrize("raw", [None, [], "digits", 3, {"name": "x"}, {"name": "x", "data": "digits"}])
def test_what_is_no_config_at_all(raw):
    with pytest.raises(InvalidSpecError) as error:
        parse(raw)
    assert error.value.problems


def test_ranges_as_the_search_uses_them():
    spec = parse(
        VALID
        | {
            "search_space": {
                "optimizer.lr": {"low": 1e-4, "high": 1e-1, "log": True},
                "batch_size": {"low": 16, "high": 128, "log": True},
                "network.dropout": {"low": 0.0, "high": 0.55, "step": 0.2},
                "network.hidden_sizes": {"choices": [[32], [64, 64]]},
            }
        }
    )
    space = spec.space()
    assert space["optimizer.lr"] == NumericRange(1e-4, 1e-1, log=True)
    assert space["batch_size"].integer
    assert space["network.dropout"].high == pytest.approx(0.4)  # The last value that the steps reach.
    assert space["network.hidden_sizes"] == Choices(((32,), (64, 64)))


def test_a_conditional_range_is_allowed_when_its_choice_is_searched():
    spec = parse(
        VALID
        | {
            "search_space": {
                "optimizer.name": {"choices": ["momentum", "adam"]},
                "optimizer.momentum": {"low": 0.5, "high": 0.99},
            }
        }
    )
    assert set(spec.space()) == {"optimizer.name", "optimizer.momentum"}


def test_a_spec_survives_json_and_its_schema_is_complete():
    spec = parse(VALID | {"search_space": {"optimizer.lr": {"low": 1e-4, "high": 0.1, "log": True}}})
    assert parse(json.loads(spec.model_dump_json(exclude_unset=True))) == spec
    schema = StudySpec.model_json_schema()
    assert schema["additionalProperties"] is False
    assert set(schema["required"]) == {"name", "data"}


def test_everything_on_the_slides_can_be_searched_over():
    ranges = {
        "network.activation": {"choices": ["relu", "leaky_relu", "gelu"]},
        "network.negative_slope": {"low": 0.001, "high": 0.3, "log": True},
        "network.normalization": {"choices": ["none", "batch_norm"]},
        "network.dropconnect": {"low": 0.0, "high": 0.3},
        "optimizer.name": {"choices": ["nesterov", "rmsprop", "adadelta"]},
        "optimizer.alpha": {"low": 0.9, "high": 0.999},
        "schedule.name": {"choices": ["none", "step", "cosine"]},
        "schedule.factor": {"low": 0.1, "high": 0.5},
        "schedule.warmup": {"low": 0, "high": 5},
        "regularization.l1": {"low": 1e-6, "high": 1e-2, "log": True},
        "clipping.norm": {"choices": [None, 0.5, 1.0]},
        "clipping.value": {"low": 0.1, "high": 10.0, "log": True},
        "label_smoothing": {"low": 0.0, "high": 0.2},
        "class_weights": {"choices": ["none", "balanced"]},
    }
    spec = parse(VALID | {"search_space": ranges})
    assert set(spec.space()) == set(ranges)


@pytest.mark.parametrize(
    ("trial", "path", "words"),
    [
        ({"loss": "binary_cross_entropy"}, "trial.loss", "a loss for 10 classes"),
        ({"class_weights": [1.0, 2.0]}, "trial.class_weights", "10 weights, one for each class in this order: 0, 1,"),
        # 1077 rows in batches of 64 are 17 steps, nine times.
        ({"schedule": {"unit": "steps", "warmup": 153}}, "trial.schedule.warmup", "fewer than the 153 steps"),
    ],
)
def test_losses_weights_and_steps_must_fit_the_table(trial, path, words):
    with pytest.raises(InvalidSpecError) as error:
        wiring.prepare(parse(VALID | {"trial": trial}))
    (problem,) = error.value.problems
    assert problem.path == path
    assert words in problem.rule
    assert (", …" in problem.rule) == ("class" in problem.rule)


TARGETS = {"words": ["no", "yes"] * 30, "numbers": [i * 7919 % 1009 for i in range(60)]}


@pytest.mark.parametrize(
    ("target", "changes", "loss", "metric"),
    [
        ("words", {}, "cross_entropy", "accuracy"),
        ("numbers", {}, "mse", "rmse"),
        ("numbers", {"objective": {"metric": "r2"}}, "mse", "r2"),
        ("numbers", {"trial": {"loss": "huber"}}, "huber", "rmse"),
        ("words", {"trial": {"loss": "hinge"}}, "hinge", "accuracy"),
    ],
)
def test_the_loss_follows_from_the_target_unless_it_is_given(tmp_path, target, changes, loss, metric):
    rows = "".join(f"{i},{value}\n" for i, value in enumerate(TARGETS[target]))
    (tmp_path / "t.csv").write_text("a,y\n" + rows)
    raw = {"name": "x", "data": {"source": str(tmp_path / "t.csv"), "target": "y"}} | changes
    study = wiring.prepare(parse(raw))
    assert study.spec.trial.loss == loss
    assert study.spec.metric == metric
    assert study.dataset.task == study.spec.trial.task


def test_d2_what_is_for_the_other_task_is_refused_with_the_reason(tmp_path):
    (tmp_path / "t.csv").write_text("a,y\n" + "".join(f"{i},{v}\n" for i, v in enumerate(TARGETS["numbers"])))
    data = {"source": str(tmp_path / "t.csv"), "target": "y"}
    for changes, path in (
        ({"trial": {"label_smoothing": 0.1}}, "trial.label_smoothing"),
        ({"search_space": {"label_smoothing": {"low": 0, "high": 0.2}}}, "search_space.label_smoothing"),
    ):
        with pytest.raises(InvalidSpecError) as error:
            wiring.prepare(parse({"name": "x", "data": data} | changes))
        (problem,) = error.value.problems
        assert problem.path == path
        assert "this is regression: the target has 60 different numbers" in problem.rule


def test_d7_settings_say_which_tables_may_be_read(tmp_path, monkeypatch):
    from search_service.settings import Settings

    monkeypatch.setenv("SEARCH_SERVICE_DATA_FOLDERS", f"{tmp_path / 'in'}, https://tables.example/")
    assert Settings().allowed_sources == (str(tmp_path / "in"), "https://tables.example/")
    (tmp_path / "t.csv").write_text("a,y\n1,x\n")
    spec = parse({"name": "x", "data": {"source": str(tmp_path / "t.csv"), "target": "y"}})
    with pytest.raises(InvalidSpecError, match="a table within"):
        wiring.prepare(spec, settings=Settings())
    with pytest.raises(InvalidSpecError, match="a table within"):
        wiring.inspect(spec, settings=Settings())
    monkeypatch.delenv("SEARCH_SERVICE_DATA_FOLDERS")
    assert Settings().allowed_sources is None


def test_c1_a_condition_is_one_value_or_several_and_may_name_what_is_not_searched():
    spec = parse(VALID | when("optimizer.momentum", {"optimizer.name": "nesterov", "network.init": ["auto"]}))
    expected = (("optimizer.name", ("nesterov",)), ("network.init", ("auto",)))
    assert spec.space()["optimizer.momentum"] == NumericRange(0.5, 0.9, when=expected)


def test_c1_conditions_can_keep_batch_norm_from_batches_of_one():
    space = {
        "network.normalization": {"choices": ["none", "batch_norm"]},
        "batch_size": {"choices": [1, 32], "when": {"network.normalization": "none"}},
    }
    assert parse(VALID | {"search_space": space}).space()["batch_size"].when
    assert "search_space.batch_size" in mistakes({"search_space": space, "trial": {"batch_size": 1}})


def test_c1_depth_and_width_are_a_width_for_each_layer():
    spec = parse(VALID | layers(depth={"low": 1, "high": 3}, width={"low": 8, "high": 64, "log": True}))
    space = spec.space()
    assert list(space) == ["network.depth", "network.width_1", "network.width_2", "network.width_3"]
    assert [space[f"network.width_{i}"].when for i in (1, 2, 3)] == [
        (("network.depth", (1, 2, 3)),),
        (("network.depth", (2, 3)),),
        (("network.depth", (3,)),),
    ]
    assert space["network.width_1"].integer
    assert set(parse(VALID | layers(width={"choices": [8, 16]})).space()) == {f"network.width_{i}" for i in (1, 2, 3)}


def test_c5_points_are_said_in_the_leaves_that_are_searched():
    asked = points(
        {"network.hidden_sizes": [4, 16], "optimizer.lr": 0.5},
        {"network.width": 8, "batch_size": 16},
        {"optimizer.name": "nesterov", "optimizer.momentum": 0.6},
    )
    assert parse(VALID | asked).points() == [
        {"network.depth": 2, "network.width_1": 4, "network.width_2": 16, "optimizer.lr": 0.5},
        {"network.width_1": 8, "network.width_2": 8, "batch_size": 16},
        {"optimizer.name": "nesterov", "optimizer.momentum": 0.6},
    ]


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["auto", "digits", "network.dropout", "optimizer.lr", "min", "adam", {"low": 0, "high": 1}]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
_PATHS = sorted(
    {
        (section, key)
        for section, content in StudySpec.model_validate(VALID).model_dump().items()
        for key in (content if isinstance(content, dict) and content else [None])
    },
    key=str,
)


@settings(max_examples=150)
@given(st.sampled_from(_PATHS), _ANYTHING)
def test_e2_whatever_stands_at_a_key_is_a_spec_or_a_clear_mistake(path, value):
    section, key = path
    raw = copy.deepcopy(VALID)
    if key is None:
        raw[section] = value
    else:
        raw[section] = {**raw.get(section, {}), key: value} if section in raw else {key: value}
    try:
        parse(raw)
    except InvalidSpecError as error:
        assert all(problem.path and problem.rule and problem.fix for problem in error.problems)


@given(_ANYTHING)
def test_e2_whatever_a_config_is_it_is_a_spec_or_a_clear_mistake(value):
    for raw in (value, VALID | {"search_space": {"network.dropout": value}}, VALID | {"trial": {"optimizer": value}}):
        with contextlib.suppress(InvalidSpecError):
            parse(raw)


def test_columns_are_said_by_a_kind_or_by_keys_and_read_back_as_they_were():
    given = {
        "zip": "categorical",
        "price": {"kind": "numeric", "thousands": "."},
        "when": {"format": "%d.%m.%Y"},
        "age": {"null_values": [-999, "?"]},
    }
    spec = parse({"name": "t", "data": {"source": "t.csv", "target": "y", "columns": given}})
    assert [column.meant for column in spec.data.columns.values()] == ["categorical", "numeric", "date", None]
    document = spec.model_dump(mode="json", exclude_unset=True)
    assert document["data"]["columns"] == given
    assert parse(document) == spec
