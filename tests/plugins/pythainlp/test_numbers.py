"""Numbers: what is said is the number that was written, by the library's own way back from words."""

from hypothesis import example, given, settings
from hypothesis import strategies as st
from pythainlp.util import thaiword_to_num

from plugins.pythainlp.plugin import ThaiFrontEnd

FRONT_END = ThaiFrontEnd()


def spoken(text: str) -> str:
    (segment,) = FRONT_END.prepare(text, "th", {})
    return segment.spoken


@settings(deadline=None)
@given(value=st.integers(0, 999_999_999_999))
@example(value=1_000_001)
@example(value=20_000_021)
@example(value=101_000_101)
def test_a_whole_number_comes_back_from_its_words(value: int) -> None:
    said = spoken(str(value) if value < 10**8 else f"{value:,}")
    assert thaiword_to_num(said) == value


@settings(deadline=None)
@given(value=st.integers(0, 999_999_999_999))
def test_separators_and_thai_digits_change_nothing(value: int) -> None:
    separated = f"{value:,}"
    thai = separated.translate(str.maketrans("0123456789", "๐๑๒๓๔๕๖๗๘๙"))
    assert spoken(separated) == spoken(thai)


@settings(deadline=None)
@given(value=st.integers(1, 999_999), fraction=st.from_regex(r"[0-9]{1,6}", fullmatch=True))
def test_decimals_are_said_digit_by_digit(value: int, fraction: str) -> None:
    whole, point, digits = spoken(f"{value}.{fraction} เท่า").removesuffix("เท่า").partition("จุด")
    assert thaiword_to_num(whole) == value
    assert point
    assert digits == "".join(spoken(digit) for digit in fraction)
