"""Colours and their contrast."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.contrast import DARK, LEAST_CONTRAST, LIGHT, accent_of, contrast, least_contrast

COLOURS = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [("#000000", "#ffffff", 21.0), ("#ffffff", "#ffffff", 1.0), ("#767676", "#ffffff", 4.54)],
)
def test_the_contrast_is_that_of_wcag(one: str, other: str, expected: float) -> None:
    assert contrast(one, other) == contrast(other, one) == pytest.approx(expected, abs=0.01)


@given(COLOURS, st.sampled_from((LIGHT, DARK)))
def test_a_text_can_be_read_on_its_soft_ground(colour: str, scheme: object) -> None:
    found = accent_of(colour, scheme)  # type: ignore[arg-type]  # one of two schemes
    assert contrast(found.deep, found.soft) >= LEAST_CONTRAST
    assert found.colour == colour


def test_our_own_colours_pass() -> None:
    assert least_contrast("#5636d6", LIGHT) >= LEAST_CONTRAST
    assert least_contrast("#ab99ff", DARK) >= LEAST_CONTRAST
    assert least_contrast("#ab99ff", LIGHT) < LEAST_CONTRAST
