"""Whether a table has too little to learn for the bins that its numbers would get.

A few hundred inputs more are so many chances to learn noise. A linear model with bins that does worse on rows which it
has not seen than their mean does has learnt nothing else (docs/decisions/data.md).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trainables.data.targets import Task
from trainables.metrics import balanced_rows

# Training rows, as many of equally frequent classes as say the same, below which it is looked: with more, what there is
# shows beside a few hundred inputs.
BELOW = 10_000
# Of the look, and of its linear model: scikit-learn's own.
FOLDS, RIDGE = 5, 1.0


def of_bins(
    inputs: NDArray[np.float32], targets: NDArray[np.int64] | NDArray[np.float64], task: Task, rows: int
) -> tuple[str, ...]:
    """Why a table does without bins, in a sentence; nothing where they stay.

    Args:
        inputs: Training rows, prepared with bins, ``[N, D]``.
        targets: ``[N]``.
        task: Whether targets are class indices, which are told as 0 and 1 each.
        rows: Training rows, of which N were fitted on.
    """
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import KFold, cross_val_predict

    classes = task == "classification"
    truth = np.eye(int(targets.max()) + 1)[targets] if classes else targets.astype(np.float64).reshape(-1, 1)
    if balanced_rows(truth.mean(axis=0).tolist() if classes else (), rows) >= BELOW:
        return ()
    divisions = KFold(FOLDS, shuffle=True, random_state=0)
    told = cross_val_predict(Ridge(RIDGE), inputs, truth, cv=divisions).reshape(truth.shape)
    explained = 1 - ((told - truth) ** 2).sum() / ((truth - truth.mean(axis=0)) ** 2).sum()
    # A target that does not vary is refused elsewhere.
    if explained > 0 or not np.isfinite(explained):
        return ()
    return (
        "numbers have no bins beside them (data.preparation.numeric: auto): on training rows it had not seen, a linear "
        f"model with bins did worse than the mean (it explains {explained:.1%})",
    )
