"""A study's model as MLflow loads and serves it ("models from code"): copied into the model, run where it is served.

There, this project is not installed: ``trainables`` lies beside it in the model, ``search_service`` does not. What
cannot be predicted answers HTTP 400 with the column, the row and what to do.
"""

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc import PythonModel, PythonModelContext

from trainables.errors import DataError
from trainables.model import TableModel


class ServedModel(PythonModel):
    """A ``TableModel`` behind MLflow's interface."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the model; nothing in its folder can run code."""
        self._model = TableModel.load(Path(context.artifacts["model"]))

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """See ``TableModel.predict``."""
        try:
            return self._model.predict(model_input)
        except DataError as error:
            raise MlflowException(str(error), error_code=INVALID_PARAMETER_VALUE) from error


mlflow.models.set_model(ServedModel())
