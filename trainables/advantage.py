"""Whether a model is better than the predictor that ignores its inputs, or may only seem so on these rows.

Both predict the same rows, which are drawn again and again (a paired bootstrap): what the difference of the scores does
then is what it would do on other rows like these. It goes for every metric alike, also where rows of a class are few.
Source: Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapter 6.
"""

from __future__ import annotations

import torch
from torch import Tensor

from trainables.data.dataset import Dataset
from trainables.metrics import METRICS, MetricName
from trainables.records import Advantage
from trainables.row_tensors import RowTensors
from trainables.scores import SCORES, trivial_outputs

# Times that rows are drawn: a standard error is then known to 7 % (1 / sqrt(2 · 100)).
DRAWS = 100
# Of more rows, this many are drawn, and the error is scaled: ten times as many would take ten times as long.
MOST_ROWS = 20_000


def over_trivial(outputs: Tensor, tests: RowTensors, dataset: Dataset, metric: MetricName, seed: int = 0) -> Advantage:
    """By how much a model is better than ignoring the inputs.

    Args:
        outputs: The model's, of the test rows, ``[N, C]``.
        tests: The N rows.
        dataset: Its training rows say what ignoring the inputs is.
        metric: The score.
        seed: Decides which rows are drawn.
    """
    outputs, targets = outputs.cpu().unsqueeze(0), tests.targets.cpu()
    weights = None if tests.weights is None else tests.weights.cpu()
    known = torch.as_tensor(dataset.train.targets)
    train_weights = None if dataset.train.weights is None else torch.as_tensor(dataset.train.weights)
    n = len(targets)
    trivial = trivial_outputs(known, n, dataset.n_outputs, train_weights)
    sign = 1.0 if METRICS[metric].mode == "max" else -1.0

    def difference(rows: Tensor | slice) -> float:
        own = None if weights is None else weights[rows]
        model, other = (
            SCORES[metric](of[:, rows], targets[rows], dataset.target_scale, own).item() for of in (outputs, trivial)
        )
        return sign * (model - other)

    generator = torch.Generator().manual_seed(seed)
    drawn = min(n, MOST_ROWS)
    differences = torch.tensor(
        [difference(torch.randint(n, (drawn,), generator=generator)) for _ in range(DRAWS)], dtype=torch.float64
    )
    # A draw without any row of a class has no AUC.
    finite = differences[differences.isfinite()]
    error = float(finite.std()) if len(finite) > 1 else float("inf")
    return Advantage(difference(slice(None)), error * (drawn / n) ** 0.5, n)
