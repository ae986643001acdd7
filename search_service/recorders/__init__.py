"""Who writes down what happens: ``mlflow`` for people and programs, ``memory`` for tests and notebooks."""

import os

# Of MLflow, before anything here imports it. Said here because more than one file does.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
# A bar for every folder that is copied would run through the progress display.
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
# The default retries for four minutes; a server that is gone should say so while somebody still watches.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "4")
