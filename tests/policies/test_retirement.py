"""When models end: what is soon, and when a list has nothing left."""

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from policies.retirement import WARNED_DAYS, find_retirement, parse_day
from tests.tables import each_row

TODAY = date(2026, 11, 21)
END = date(2027, 1, 6)


@each_row(
    ("days", "models", "ends"),
    [
        ({}, None, None),
        ({"one": None}, None, None),
        ({"one": TODAY + timedelta(WARNED_DAYS + 1)}, None, None),
        ({"one": TODAY + timedelta(WARNED_DAYS)}, ["one"], TODAY + timedelta(WARNED_DAYS)),
        ({"one": END, "two": None}, ["one"], None),
        ({"one": END, "two": END + timedelta(400)}, ["one"], END + timedelta(400)),
        ({"one": END, "two": TODAY}, ["two", "one"], END),
    ],
)
def test_a_list_ends_with_its_last_model(
    days: dict[str, date | None], models: list[str] | None, ends: date | None
) -> None:
    found = find_retirement(days, TODAY)
    assert (None if found is None else [name for name, _ in found.models]) == models
    if found is not None:
        assert found.ends == ends


@given(st.dictionaries(st.text(max_size=3), st.none() | st.dates(), max_size=4), st.dates())
def test_a_list_with_a_model_that_stays_never_ends(days: dict[str, date | None], today: date) -> None:
    found = find_retirement({**days, "that stays": None}, today)
    assert found is None or not found.has_ended(today)


@each_row(
    ("text", "day"),
    [("2027-01-06", END), ("", None), ("soon", None), ("2027-13-06", None), ("20270106", None)],
)
def test_only_a_day_is_a_day(text: str, day: date | None) -> None:
    assert parse_day(text) == day
