"""The steps have one list; the service's page, which cannot import it, has the same."""

from __future__ import annotations

import json
import re
from pathlib import Path

import search_service
from search_service.records.events import StepStarted
from search_service.records.steps import Step


def test_the_page_of_the_service_names_the_steps_that_there_are():
    page = Path(search_service.__file__).parent / "service" / "page" / "shared.js"
    (listed,) = re.findall(r"const STEPS = \{(.*?)\};", page.read_text(), re.DOTALL)
    assert [int(number) for number in re.findall(r"(\d): ", listed)] == [int(step) for step in Step]


def test_a_step_is_its_number_in_json_and_in_texts():
    assert json.dumps({"step": Step.COARSE_SEARCH}) == '{"step": 4}'
    assert f"{Step.COARSE_SEARCH} {Step.COARSE_SEARCH.title}" == "4 coarse search"
    assert len({step.title for step in Step}) == len(Step)
    assert StepStarted.of(Step.LEARNING_RATES, 2) == StepStarted(3, "learning rates", 2)
