"""B, the last act: temperatures give known factors back, and the calibration error is the one computed by hand."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics
import torch

from trainables.calibration import HIGHEST, calibration_error, fit_temperature, judge

ROWS = 20_000


def calibrated(outputs_of, seed=0):
    """Outputs that mean what they say: classes are drawn by their probabilities."""
    random = np.random.default_rng(seed)
    outputs = random.normal(0, 2, (ROWS, outputs_of))
    if outputs_of == 1:
        targets = (random.random(ROWS) < 1 / (1 + np.exp(-outputs[:, 0]))).astype(int)
    else:
        targets = (outputs + random.gumbel(size=outputs.shape)).argmax(axis=1)
    return torch.from_numpy(outputs), torch.from_numpy(targets)


@pytest.mark.parametrize("outputs_of", [1, 2, 5])
@pytest.mark.parametrize("factor", [0.3, 1.0, 4.0])
def test_b_a_known_factor_is_given_back(outputs_of, factor):
    outputs, targets = calibrated(outputs_of)
    # Fitted on a sample, so up to its noise: 1/√20 000 is 0.7 %.
    assert fit_temperature(outputs * factor, targets) == pytest.approx(factor, rel=0.04)
    own, scaled = fit_temperature(outputs, targets), fit_temperature(outputs * factor, targets)
    assert scaled / own == pytest.approx(factor, rel=1e-3)


def test_b_rows_count_by_their_weight():
    outputs, targets = calibrated(3)
    outputs = torch.where(torch.arange(ROWS).unsqueeze(1) < ROWS // 2, outputs, outputs * 5)
    counts = torch.where(torch.arange(ROWS) < ROWS // 2, 1, 4)
    repeated = outputs.repeat_interleave(counts, dim=0), targets.repeat_interleave(counts)
    expected = fit_temperature(*repeated)
    assert fit_temperature(outputs, targets, counts * 0.1) == pytest.approx(expected, rel=1e-3)
    assert abs(fit_temperature(outputs, targets) / expected - 1) > 0.1
    assert calibration_error(outputs, targets, counts * 0.1) == pytest.approx(calibration_error(*repeated))


def test_b_the_calibration_error_by_hand():
    """Two bins: rows of 0.9 of which half are right, and rows of 0.6 that are all right."""
    p = torch.tensor([[0.9, 0.1]] * 4 + [[0.4, 0.6]] * 6).double()
    targets = torch.tensor([0, 0, 1, 1] + [1] * 6)
    expected = 0.4 * abs(0.5 - 0.9) + 0.6 * abs(1.0 - 0.6)
    assert calibration_error(p.log(), targets) == pytest.approx(expected)
    # In one bin for all, rights and wrongs of different rows make up for each other.
    assert calibration_error(p.log(), targets, bins=1) == pytest.approx(abs(0.8 - 0.72))
    one_output = (p[:, 1] / p[:, 0]).log().unsqueeze(1)
    assert calibration_error(one_output, targets) == pytest.approx(expected)


def test_b_a_temperature_mends_probabilities_on_rows_that_it_has_not_seen():
    outputs, targets = calibrated(4)
    half = ROWS // 2
    temperature = fit_temperature(outputs[:half] * 3, targets[:half])
    found = judge(temperature, outputs[half:] * 3, targets[half:])
    p = (outputs[half:] * 3).softmax(dim=1).numpy()
    assert found.log_loss_before == pytest.approx(sklearn.metrics.log_loss(targets[half:], p))
    best = sklearn.metrics.log_loss(targets[half:], outputs[half:].softmax(dim=1).numpy())
    assert found.log_loss_after == pytest.approx(best, rel=1e-2)
    assert found.error_before > 0.1
    assert found.error_after < 0.02


def test_b_rows_that_are_all_right_cannot_tell_and_rows_that_are_all_wrong_say_nothing_is_sure():
    outputs = torch.tensor([[2.0, 0.0], [0.5, 0.0]])
    assert fit_temperature(outputs, torch.tensor([0, 0])) == 1.0
    assert fit_temperature(outputs, torch.tensor([1, 1])) == pytest.approx(HIGHEST, rel=1e-3)
