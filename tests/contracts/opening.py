"""A record that is opened in a process which imports no more than that takes."""

from __future__ import annotations

from search_service.recorders.mlflow.recorder import MlflowRecorder


def open_store(uri: str) -> bool:
    """Make its tables, if need be."""
    MlflowRecorder(uri)
    return True
