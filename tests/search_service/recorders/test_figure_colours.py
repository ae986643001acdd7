"""Colours of the figures, measured: they can be seen on white, and told apart by eyes that lack a kind of cone."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb

from search_service.recorders.figures.style import (
    COLOURS,
    GREY,
    MARK_CONTRAST,
    PALE,
    SCORES,
    TEXT_CONTRAST,
    contrast,
    ink,
)
from search_service.recorders.figures.trials import BROKEN

# What dichromats see, in linear RGB, at full severity: Machado, Oliveira and Fernandes 2009.
EYES = {
    "normal": np.eye(3),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
}
# Distance in CIELAB (CIE 1976) from which on two lines are told apart at a glance; 2 is what can just be noticed.
APART = 20.0


def seen(colour: str, eyes: str) -> np.ndarray:
    """CIELAB of a colour as those eyes see it, ``[3]``."""
    channels = np.array(to_rgb(colour))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    linear = np.clip(EYES[eyes] @ linear, 0, 1)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    ratio = to_xyz @ linear / np.array([0.9505, 1.0, 1.089])
    f = np.where(ratio > 216 / 24389, np.cbrt(ratio), (24389 / 27 * ratio + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def distance(one: str, other: str, eyes: str) -> float:
    return float(np.linalg.norm(seen(one, eyes) - seen(other, eyes)))


def test_the_simulation_finds_what_deuteranopes_confuse():
    """Two blues and purples of an earlier palette, and red and green of the same lightness."""
    assert distance("#0072B2", "#9055C0", "deuteranopia") < 5 < APART < distance("#0072B2", "#9055C0", "normal")
    assert distance("#808000", "#B86A00", "deuteranopia") < APART / 2 < distance("#808000", "#B86A00", "normal")
    assert contrast("#FFFFFF") == pytest.approx(1.0)
    assert contrast("#000000") == pytest.approx(21.0)


@pytest.mark.parametrize("eyes", EYES)
def test_any_two_colours_of_the_palette_are_told_apart(eyes):
    for one, other in itertools.combinations(COLOURS, 2):
        assert distance(one, other, eyes) >= APART, (one, other)


@pytest.mark.parametrize("eyes", EYES)
def test_scores_are_no_grey_and_their_ends_lie_far_apart(eyes):
    scale = [to_hex(SCORES(share)) for share in np.linspace(0, 1, 9)]
    assert min(distance(colour, PALE, eyes) for colour in scale) >= APART
    assert distance(scale[0], scale[-1], eyes) >= 3 * APART
    lightness = [seen(colour, eyes)[0] for colour in scale]
    assert lightness == sorted(lightness, reverse=True), "better is darker, all the way"


def test_everything_drawn_can_be_seen_on_white_and_texts_be_read():
    scale = [to_hex(SCORES(share)) for share in np.linspace(0, 1, 9)]
    for colour in (*COLOURS, *scale, GREY, PALE, BROKEN):
        assert contrast(colour) >= MARK_CONTRAST, colour
        assert contrast(ink(colour)) >= TEXT_CONTRAST
    assert contrast(GREY) >= TEXT_CONTRAST
    assert ink(COLOURS[0]).upper() == COLOURS[0]
