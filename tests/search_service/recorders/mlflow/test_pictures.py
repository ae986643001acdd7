"""E1: a picture that cannot be drawn costs the picture and not the study; its run says so."""

from __future__ import annotations

import math
from pathlib import Path

from matplotlib.figure import Figure

from search_service.recorders.mlflow.pictures import LEFT_OUT, log_picture
from search_service.recorders.mlflow.store import open_client
from tests import made_once


def draw(top: float) -> Figure:
    figure = Figure()
    figure.subplots().set_ylim(0, top)
    return figure


def test_e1_a_picture_that_cannot_be_drawn_is_left_out_and_noted_once(tmp_path):
    client = open_client(f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.create_experiment("pictures", artifact_location=Path(tmp_path, "artifacts").as_uri())
    run = client.create_run(experiment).info.run_id
    with made_once.afresh():
        for _ in range(2):
            log_picture(client, run, "rungs.png", lambda: draw(math.nan))
        log_picture(client, run, "history.png", lambda: draw(1.0))
    assert [file.path for file in client.list_artifacts(run)] == ["history.png"]
    noted = client.get_run(run).data.tags[LEFT_OUT]
    assert noted == "rungs.png: ValueError: Axis limits cannot be NaN or Inf"
