"""An MLflow server that also takes whole runs: ``mlflow server --app-name search-service``.

MLflow's own, with one route more. A study's trials end by the dozen, and MLflow's three calls for each cost its server
many times the CPU of rows in an INSERT (docs/performance/cluster.md). What checks hosts and origins comes before this
route as it comes before MLflow's own.
"""

from __future__ import annotations

from http import HTTPStatus

from flask import Response, jsonify, request
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.server import app as _flask
from mlflow.server.fastapi_app import app
from mlflow.server.handlers import _get_tracking_store, catch_mlflow_exception
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.utils.validation import _validate_metric_name, _validate_param_name, _validate_tag_name
from pydantic import ValidationError

from search_service.recorders.mlflow.bulk import FORM, PATH, WholeRuns, write

__all__ = ["app"]

# A trial of 10 000 epochs has 3 MB of values; more than this at once no client of ours sends.
MOST_BYTES = 64 * 2**20


def _form() -> Response:
    """Whether whole runs can be written, and in which form."""
    return jsonify(FORM if isinstance(_get_tracking_store(), SqlAlchemyStore) else {})


def _write() -> tuple[Response, HTTPStatus]:
    """Write whole runs, all or none."""
    request.max_content_length = MOST_BYTES
    store = _get_tracking_store()
    if not isinstance(store, SqlAlchemyStore):
        raise MlflowException("Whole runs can be written to a database only.", INVALID_PARAMETER_VALUE)
    try:
        told = WholeRuns.model_validate_json(request.get_data(cache=False))
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise MlflowException(f"{place}: {first['msg']}", INVALID_PARAMETER_VALUE) from error
    for run in told.runs:
        for metric in {value.key for value in run.metrics}:
            _validate_metric_name(metric)
        for param in run.params:
            _validate_param_name(param)
        for tag in run.tags:
            _validate_tag_name(tag)
    write(store, told.experiment_id, told.runs)
    return jsonify({}), HTTPStatus.OK


_flask.add_url_rule(PATH, "whole_runs_form", _form, methods=["GET"])
_flask.add_url_rule(PATH, "whole_runs", catch_mlflow_exception(_write), methods=["POST"])
