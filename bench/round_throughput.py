"""A round of 512 configurations on digits, two layers of 64, TPE, ASHA: from start to answer, against what people use.

    ours, recorded        configurations as populations on Ray Tune, every trial in MLflow
    ours                  the same, recording nothing
    ours, one by one      the same with populations of one
    stock, reused         Ray Tune, OptunaSearch, ASHAScheduler on torch.nn; actors reused, recording nothing
    stock, as its docs    the same with MLflowLoggerCallback, actors not reused: on 32 configurations, scaled to 512
    bare loop             torch.nn networks in a Python loop, a process per core, no tuner: the epochs of ours again

All train with AdamW, batches of 64, on the same rows, look at the validation rows after every epoch, stop by the same
rule (first rung at epoch 3, one in 3 goes on, at most 27 epochs) and use all cores. Each is a process of its own, timed
from its start to its end: what an import or a start of Ray takes is in it. Stock is one Tune trial per configuration.

    python bench/round_throughput.py                      # about ten minutes on two cores
    python bench/round_throughput.py --trials 128 --only "ours, recorded" "stock, reused"
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

TRIALS, MAX_EPOCHS, GRACE, ETA, HIDDEN, BATCH = 512, 27, 3, 3, (64, 64), 64
SCALED_FROM = 32
LR, DECAY = (1e-4, 1e-1), (1e-4, 1.0)


# ---- ours ------------------------------------------------------------------------------------------------------


def ours(trials: int, *, recorded: bool, population: int | str = "auto") -> dict[str, Any]:
    """A round as the service runs it."""
    from reports import Reports

    from search_service.recorders.background import BackgroundRecorder
    from search_service.records.asha_rules import AshaRules
    from search_service.records.events import RoundFinished, RoundStarted, StudyStarted, TrialFinished
    from search_service.records.round_plan import Limits, Resources, RoundPlan, Sampling
    from search_service.records.steps import Step
    from search_service.runners.ray_tune import RayTuneRunner
    from search_service.space.ranges import NumericRange
    from search_service.spec.study_spec import parse
    from search_service.study import summarize
    from search_service.wiring import prepare
    from trainables.config import TrialConfig
    from trainables.process import prepare_process

    prepare_process()
    runner = RayTuneRunner()
    runner.prepare(Resources())
    marks = {"imports": time.time()}
    study = prepare(parse({"name": "throughput", "data": {"source": "digits"}}))
    base = TrialConfig(batch_size=BATCH).replace(
        {"network.hidden_sizes": HIDDEN, "network.dropout": 0.0, "optimizer.name": "adamw", "schedule.name": "none"}
    )
    space = {
        "optimizer.lr": NumericRange(*LR, log=True),
        "optimizer.weight_decay": NumericRange(*DECAY, log=True),
    }
    reports = Reports()
    with tempfile.TemporaryDirectory() as folder:
        plan = RoundPlan(
            number=1, step=Step.COARSE_SEARCH, cycle=1,
            space=space, base=base, metric="accuracy", sampling=Sampling("tpe"),
            population_size=population, asha=AshaRules(GRACE, ETA, ETA), limits=Limits(trials, MAX_EPOCHS), seed=0,
            folder=Path(folder, "round"),
        )  # fmt: skip
        recorder = None
        if recorded:
            from search_service.recorders.mlflow.recorder import MlflowRecorder

            recorder = BackgroundRecorder(MlflowRecorder(f"sqlite:///{folder}/mlflow.db", Path(folder, "artifacts")))
            summary = summarize(study.spec, study.table)
            recorder.record(StudyStarted("throughput", study.spec, summary, {}))
            recorder.record(RoundStarted(plan, ()))

        def listen(event: object) -> None:
            reports.listen(event)
            if isinstance(event, TrialFinished) and recorder is not None:
                recorder.record(event)

        runner._prepared()
        marks["data, Ray's start"] = time.time()
        result = runner.run_round(plan, study.dataset, listen)
        marks["until the first report (Tune's start, training to the first rung)"] = reports.first
        marks["training from the first report to the last"] = reports.last
        marks["Ray Tune's end"] = time.time()
        if recorder is not None:
            recorder.record(RoundFinished(result))
            assert recorder.wait(60).is_complete
            recorder.close()
            marks["what was still to be recorded, and the round's figures"] = time.time()
        runner.close()
        marks["Ray's end"] = time.time()
    assert result.best is not None
    return {
        "best": result.best.score,
        "epochs": reports.epochs,
        "rate": reports.rate,
        "sizes": [str(size) for size in result.sizes],
        "marks": marks,
        "configs": [
            (t.config.optimizer.lr, t.config.optimizer.weight_decay, t.epochs) for t in result.trials if t.epochs
        ],
    }


# ---- what people write -----------------------------------------------------------------------------------------


def digits() -> tuple[Any, Any]:
    """Training and validation rows as tensors, those of ours."""
    import torch

    from search_service.spec.study_spec import parse
    from search_service.wiring import prepare
    from trainables.row_tensors import to_tensors

    dataset = prepare(parse({"name": "throughput", "data": {"source": "digits"}})).dataset

    return to_tensors(dataset.train, "cpu", torch.float32), to_tensors(dataset.validation, "cpu", torch.float32)


def train(config: dict[str, float], rows: tuple[Any, Any], max_epochs: int = MAX_EPOCHS) -> Iterator[dict[str, float]]:
    """A torch.nn network as anybody writes it; a dictionary of metrics per epoch."""
    import torch
    from torch import nn

    torch.set_num_threads(1)
    train_rows, validation = rows
    sizes = (train_rows.inputs.shape[1], *HIDDEN, 10)
    layers: list[nn.Module] = []
    for fan_in, fan_out in itertools.pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
    network = nn.Sequential(*layers[:-1])
    optimizer = torch.optim.AdamW(network.parameters(), lr=config["lr"], weight_decay=config["weight_decay"])
    loss_of = nn.CrossEntropyLoss()
    for _ in range(max_epochs):
        total = 0.0
        for batch in torch.randperm(len(train_rows)).split(BATCH):
            loss = loss_of(network(train_rows.inputs[batch]), train_rows.targets[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        with torch.no_grad():
            outputs = network(validation.inputs)
            score = (outputs.argmax(1) == validation.targets).float().mean().item()
            loss = loss_of(outputs, validation.targets).item()
        yield {"train_loss": total / len(train_rows), "validation_loss": loss, "score": score}


def stock(trials: int, *, reused: bool) -> dict[str, Any]:
    """Ray Tune as its docs show it."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
    import optuna
    import ray
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler
    from ray.tune.search.optuna import OptunaSearch

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    rows = digits()
    ray.init("local", include_dashboard=False, logging_level="error", log_to_driver=False)

    class Reused(tune.Trainable):
        def setup(self, config: dict[str, Any], rows: Any) -> None:
            self._rows = rows
            self.reset_config(config)

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self._epochs = train(new_config, self._rows)
            return True

        def step(self) -> dict[str, Any]:
            return next(self._epochs)

        def save_checkpoint(self, checkpoint_dir: str) -> None:
            """Nothing: a search does not need one."""

    def trainable(config: dict[str, Any], rows: Any) -> None:
        for metrics in train(config, rows):
            tune.report(metrics)

    callbacks = []
    with tempfile.TemporaryDirectory() as folder:
        if not reused:
            from ray.tune.logger.mlflow import MLflowLoggerCallback

            callbacks = [MLflowLoggerCallback(tracking_uri=f"sqlite:///{folder}/mlflow.db", experiment_name="stock")]
        tuner = tune.Tuner(
            tune.with_parameters(Reused if reused else trainable, rows=rows),
            param_space={"lr": tune.loguniform(*LR), "weight_decay": tune.loguniform(*DECAY)},
            tune_config=tune.TuneConfig(
                metric="score",
                mode="max",
                search_alg=OptunaSearch(seed=0),
                scheduler=ASHAScheduler(max_t=MAX_EPOCHS, grace_period=GRACE, reduction_factor=ETA),
                num_samples=trials,
                max_concurrent_trials=os.cpu_count(),
                reuse_actors=reused,
            ),
            run_config=tune.RunConfig(storage_path=folder, verbose=0, callbacks=callbacks),
        )
        results = tuner.fit()
        answer = {
            "best": results.get_best_result().metrics["score"],
            "epochs": sum(result.metrics["training_iteration"] for result in results),
        }
        ray.shutdown()
    return answer


def bare_loop(configs: list[tuple[float, float, int]]) -> dict[str, Any]:
    """The same configurations for the same epochs; only the training is timed, in every core at once."""
    cores = os.cpu_count() or 1
    with ProcessPoolExecutor(cores, get_context("spawn")) as pool:
        parts = list(pool.map(_loop, [configs[core::cores] for core in range(cores)]))
    epochs = sum(of_core for of_core, _, _ in parts)
    # From when the first began to when the last ended.
    seconds = max(end for _, _, end in parts) - min(begin for _, begin, _ in parts)
    return {"best": float("nan"), "epochs": epochs, "rate": epochs / seconds}


def _loop(configs: list[tuple[float, float, int]]) -> tuple[int, float, float]:
    rows = digits()
    for _ in train({"lr": 1e-3, "weight_decay": 0.0}, rows, 2):
        pass
    started = time.time()
    for lr, decay, epochs in configs:
        for _ in train({"lr": lr, "weight_decay": decay}, rows, epochs):
            pass
    return sum(epochs for _, _, epochs in configs), started, time.time()


# ---- the clock -------------------------------------------------------------------------------------------------

VARIANTS: dict[str, Callable[[int], dict[str, Any]]] = {
    "ours, recorded": lambda trials: ours(trials, recorded=True),
    "ours": lambda trials: ours(trials, recorded=False),
    "ours, one by one": lambda trials: ours(trials, recorded=False, population=1),
    "stock, reused": lambda trials: stock(trials, reused=True),
    "stock, as its docs": lambda _: stock(SCALED_FROM, reused=False),
}


def timed(variant: str, trials: int) -> tuple[float, dict[str, Any]]:
    """Seconds of a process of its own, and what it says."""
    began = time.time()
    command = [sys.executable, __file__, "--variant", variant, "--trials", str(trials)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    seconds = time.time() - began
    return seconds, json.loads(done.stdout.splitlines()[-1]) | {"began": began}


def show_phases(said: dict[str, Any]) -> None:
    """Where the time of ours went."""
    before = said["began"]
    for name, when in said["marks"].items():
        print(f"    {when - before:>6.1f} s  {name}")
        before = when
    for size in said["sizes"]:
        print(f"    {size}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=TRIALS)
    parser.add_argument("--only", nargs="*", choices=[*VARIANTS, "bare loop"], help="some of them")
    parser.add_argument("--variant", choices=VARIANTS, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.variant:
        print(json.dumps(VARIANTS[asked.variant](asked.trials)))
        return
    seconds: dict[str, float] = {}
    answers: dict[str, dict[str, Any]] = {}
    print(f"{'':<20} {'seconds':>8} {'epochs':>7} {'epochs/s, steady':>17} {'best':>7}")
    for name in [name for name in VARIANTS if not asked.only or name in asked.only]:
        seconds[name], answers[name] = timed(name, asked.trials)
        if name == "stock, as its docs":
            seconds[name] *= asked.trials / SCALED_FROM
        said = answers[name]
        rate = f"{said['rate']:.0f}" if "rate" in said else ""
        print(f"{name:<20} {seconds[name]:>8.1f} {said['epochs']:>7} {rate:>17} {said['best']:>7.4f}", flush=True)
        if "marks" in said:
            show_phases(said)
    if "ours" in answers and (not asked.only or "bare loop" in asked.only):
        loop = bare_loop(answers["ours"]["configs"])
        print(f"{'bare loop':<20} {'':>8} {loop['epochs']:>7} {loop['rate']:>17.0f}")
        print(f"ours / bare loop, epochs/s in the steady state: {answers['ours']['rate'] / loop['rate']:.2f}")
    for ours_, theirs in (
        ("ours, recorded", "stock, as its docs"),
        ("ours, recorded", "stock, reused"),
        ("ours", "stock, reused"),
    ):
        if ours_ in seconds and theirs in seconds:
            print(f"{theirs} / {ours_}: {seconds[theirs] / seconds[ours_]:.1f}")


if __name__ == "__main__":
    main()
