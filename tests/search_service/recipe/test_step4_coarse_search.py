"""B step 4: learning rates are searched where step 3 saw the loss fall, and what is said of it is so."""

from __future__ import annotations

import pytest

from search_service.recipe.step4_coarse_search import _learning_rates
from search_service.records.checks import LearningRatesResult
from search_service.space.ranges import Choices, NumericRange

WITHIN, ELSEWHERE = "where step 3 saw the loss fall within the range so far", "as it was: step 3 saw the loss fall"


def works(low, high):
    return LearningRatesResult(3, "learning rates", True, "", "", {}, {}, low=low, high=high, best=high)


@pytest.mark.parametrize(
    ("given", "searched", "why"),
    [
        (None, NumericRange(1e-3, 0.1, log=True), "where step 3 saw the loss fall"),
        (NumericRange(1e-4, 0.05, log=True), NumericRange(1e-3, 0.05, log=True), WITHIN),
        (Choices((1e-5, 0.01, 10.0)), Choices((0.01,)), WITHIN),
        (Choices((1e-5, 10.0)), Choices((1e-5, 10.0)), ELSEWHERE),
        # It only touches what works.
        (NumericRange(0.1, 10.0, log=True), NumericRange(0.1, 10.0, log=True), ELSEWHERE),
        # Values on the range's own steps.
        (NumericRange(0.0, 1.0, step=0.03), NumericRange(0.03, 0.09, step=0.03), WITHIN),
        (NumericRange(0.0, 1.0, step=0.5), NumericRange(0.0, 1.0, step=0.5), ELSEWHERE),
    ],
)
def test_b_rates_that_do_not_work_are_not_searched(given, searched, why):
    found, said = _learning_rates(works(1e-3, 0.1), given)
    assert found == searched
    assert said.startswith(why)
