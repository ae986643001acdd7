"""How good the default network is without any search: TrialConfig() as it stands, on tables of your own.

Trains the default on each table from several seeds (one population), scores the rows that were split off for testing
once, after the last epoch, and prints mean ± standard deviation over the seeds. Regression scores are printed in the
target's own units.

    python bench/default_network.py letter.csv:class california_housing.csv:medianHouseValue:mse
"""

from __future__ import annotations

import argparse
import itertools
import time

import numpy as np
import torch

from trainables.config import TrialConfig
from trainables.data.config import DataConfig
from trainables.data.dataset import load
from trainables.process import prepare_process
from trainables.row_tensors import to_tensors
from trainables.training import PopulationTraining


def scores(source: str, target: str, loss: str, epochs: int, seeds: int) -> tuple[str, list[float], float]:
    """Metric, test score of each seed, seconds."""
    configs = [TrialConfig(loss=loss, seed=seed) for seed in range(seeds)]
    dataset, test_rows = load(DataConfig(source=source, target=target), configs[0].task)
    started = time.perf_counter()
    training = PopulationTraining(configs, dataset, order_seed=0, max_epochs=epochs)
    for _ in itertools.islice(training.epochs(), epochs):
        pass
    own = training.evaluate(to_tensors(test_rows, training.device, torch.float32))[1].tolist()
    return training.metric, own, time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", metavar="FILE:TARGET[:LOSS]", help="a loss is cross_entropy if not given")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=5)
    chosen = parser.parse_args()
    prepare_process()
    print(f"{'table':<28} {'metric':>8} {'test, mean ± std over seeds':>28} {'seconds':>8}")
    for table in chosen.tables:
        source, target, *loss = table.split(":")
        metric, own, seconds = scores(source, target, *(loss or ["cross_entropy"]), chosen.epochs, chosen.seeds)
        text = f"{np.mean(own):.5g} ± {np.std(own, ddof=1):.2g}"
        print(f"{source.split('/')[-1]:<28} {metric:>8} {text:>28} {seconds:>8.0f}", flush=True)


if __name__ == "__main__":
    main()
