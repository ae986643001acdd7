"""What others make of the same rows: RealMLP, CatBoost and LightGBM with the settings that they come with.

Each learns from the training rows of the division that ``search-service run TABLE`` would take, stops or chooses its
best epoch on the validation rows, and is scored on the test rows by the metric of that study. The three are no part of
the project and are installed for this alone:

    pip install pytabkit catboost lightgbm
    python bench/others.py ../shared/data/cpu_act.parquet:usr ../shared/data/tables/*.parquet

Where no target is named it is the table's last column. RealMLP is ``RealMLP_TD``, the defaults that were tuned on 118
tables (Holzmüller et al. 2024), with 256 epochs; the boosted trees get 2 000 rounds at most, and stop after 100 without
a better validation loss.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from from_tables import last_column
from numpy.typing import NDArray
from sklearn import metrics

from search_service import wiring
from search_service.settings import Settings
from search_service.spec.study_spec import StudySpec, parse
from trainables.data.files import Files
from trainables.data.parts import Part, as_part, divide

ROUNDS, PATIENCE = 2_000, 100


class Division:
    """The rows of a study, as its table has them."""

    def __init__(self, source: str, target: str) -> None:
        starting = wiring.config_of(source, [f"data.target={target}"], settings=Settings())
        study = wiring.prepare(parse(starting.plain))
        self.spec: StudySpec = study.spec
        self.task = self.spec.trial.task
        config, classes, self._schema = self.spec.data, study.dataset.class_names, study.table.preparation.schema
        # A study keeps prepared rows only.
        files = Files.read(config, None, self.task)
        given = {place: as_part(t, files, config, classes, self.task, place) for place, t in files.tables.items()}
        parts = divide(config, given, classes, self.task)
        self.classes = len(classes)
        self.categories = [column.name for column in self._schema.columns if column.kind not in ("numeric", "date")]
        self.train, self.validation, self.test = (self._frame(parts[name]) for name in ("train", "validation", "test"))

    def _frame(self, part: Part) -> tuple[pd.DataFrame, NDArray[Any]]:
        """Columns as they are, categories as texts and dates as days, and the targets."""
        frame = self._schema.typed(part.table, "data")
        for name in frame:
            if name in self.categories:
                frame[name] = frame[name].astype(str)
            elif frame[name].dtype.kind == "M":
                frame[name] = (frame[name] - pd.Timestamp(0)) / pd.Timedelta(days=1)
        return frame, part.targets

    def score(self, said: NDArray[Any]) -> float:
        """Test score of numbers ``[N]``, or of probabilities ``[N, C]``."""
        true, metric = self.test[1], self.spec.metric
        if metric == "rmse":
            return float(np.sqrt(np.mean((said - true) ** 2)))
        if metric == "roc_auc":
            return float(metrics.roc_auc_score(true, said[:, 1] if self.classes == 2 else said, multi_class="ovr"))
        named = said.argmax(axis=1)
        if metric == "macro_f1":
            return float(metrics.f1_score(true, named, average="macro"))
        return float(metrics.accuracy_score(true, named))


def realmlp(rows: Division, epochs: int) -> NDArray[Any]:
    """RealMLP with its tuned defaults."""
    from pytabkit import RealMLP_TD_Classifier, RealMLP_TD_Regressor

    regression = rows.task == "regression"
    known = {"device": "cpu", "random_state": 0, "n_cv": 1, "n_refit": 0, "n_epochs": epochs, "verbosity": 0}
    if rows.spec.metric == "roc_auc":
        # As its documentation says for what needs good probabilities.
        known |= {"use_ls": False, "val_metric_name": "1-auc_ovr"}
    model = (RealMLP_TD_Regressor if regression else RealMLP_TD_Classifier)(**known)
    (x, y), (x_validation, y_validation) = rows.train, rows.validation
    # It takes no gaps; a column without any value is nothing.
    medians = x.median(numeric_only=True).fillna(0.0)
    x, x_validation, tests = x.fillna(medians), x_validation.fillna(medians), rows.test[0].fillna(medians)
    both = pd.concat([x, x_validation], ignore_index=True)
    chosen = np.arange(len(x), len(both))
    model.fit(both, np.concatenate([y, y_validation]), val_idxs=chosen, cat_col_names=rows.categories)
    found = model.predict(tests) if regression else model.predict_proba(tests)
    return np.asarray(found)


def catboost(rows: Division, epochs: int) -> NDArray[Any]:
    """CatBoost with its own defaults."""
    from catboost import CatBoostClassifier, CatBoostRegressor

    regression = rows.task == "regression"
    model = (CatBoostRegressor if regression else CatBoostClassifier)(
        iterations=ROUNDS, early_stopping_rounds=PATIENCE, random_seed=0, verbose=False, allow_writing_files=False
    )
    model.fit(*rows.train, eval_set=rows.validation, cat_features=rows.categories)
    return np.asarray(model.predict(rows.test[0]) if regression else model.predict_proba(rows.test[0]))


def lightgbm(rows: Division, epochs: int) -> NDArray[Any]:
    """LightGBM with its own defaults."""
    from lightgbm import LGBMClassifier, LGBMRegressor, early_stopping

    regression = rows.task == "regression"
    parts = []
    for x, y in (rows.train, rows.validation, rows.test):
        kinds = {name: pd.CategoricalDtype(sorted(set(rows.train[0][name]))) for name in rows.categories}
        parts.append((x.astype(kinds), y))
    (x, y), validation, (tests, _) = parts
    model = (LGBMRegressor if regression else LGBMClassifier)(n_estimators=ROUNDS, random_state=0, verbose=-1)
    model.fit(x, y, eval_set=[validation], callbacks=[early_stopping(PATIENCE, verbose=False)])
    return np.asarray(model.predict(tests) if regression else model.predict_proba(tests))


OTHERS = {"realmlp": realmlp, "catboost": catboost, "lightgbm": lightgbm}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", metavar="FILE[:TARGET]")
    parser.add_argument("--only", action="append", choices=OTHERS, help="one of them; repeat it for more")
    parser.add_argument("--epochs", type=int, default=256, help="of RealMLP")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of torch")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    chosen = asked.only or list(OTHERS)
    print(f"{'table':<22} {'metric':>8}  " + "  ".join(f"{name:>9} minutes" for name in chosen), flush=True)
    for table in asked.tables:
        source, _, target = table.partition(":")
        rows = Division(source, target or last_column(source))
        cells = []
        for name in chosen:
            started = time.perf_counter()
            score = rows.score(OTHERS[name](rows, asked.epochs))
            cells.append(f"{score:>9.5g} {(time.perf_counter() - started) / 60:>7.1f}")
        print(f"{Path(source).stem:<22} {rows.spec.metric:>8}  " + "  ".join(cells), flush=True)


if __name__ == "__main__":
    main()
