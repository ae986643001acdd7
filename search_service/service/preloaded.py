"""Imports that reading a table needs, for the process that readers are forked from (``reading.py``).

Packages here import what takes long only where it is used, by which commands start sooner. A reader that is forked
without it would import it each time: two seconds for what then takes a third of one. Only imports: whatever starts
threads must not have run before a fork.
"""

# ruff: noqa: F401 (they are there to be imported)

from __future__ import annotations

import pandas as pd
import pyarrow.csv
import pyarrow.dataset
import pyarrow.feather
import pyarrow.json
import pyarrow.parquet
import scipy.stats
import sklearn.compose
import sklearn.datasets
import sklearn.impute
import sklearn.model_selection
import sklearn.pipeline
import sklearn.preprocessing
import sklearn.tree

from search_service.recipe import plan_document, planning
from search_service.wiring import planning as wiring_planning
from search_service.wiring import preparing
from trainables.data import dataset, encoders, written_dates
