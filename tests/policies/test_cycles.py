"""Cycles are months from an account's anchor day: they tile time, and the 31st comes back."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from policies.cycles import Cycle, cycle_at
from tests.tables import each_row

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = 86_400_000_000


def micros(text: str) -> int:
    at = datetime.fromisoformat(text).replace(tzinfo=UTC)
    since = at - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def day(moment: int) -> str:
    assert moment % _DAY == 0, "a cycle begins at midnight"
    return datetime.fromtimestamp(moment / 1e6, UTC).date().isoformat()


moments = st.integers(micros("1971-01-01"), micros("2400-01-01"))
anchors = st.integers(1, 31).map(lambda number: micros(f"2024-01-{number:02} 15:30"))


@each_row(
    ("anchor", "now", "start", "end"),
    [
        ("2026-01-01", "2026-01-01", "2026-01-01", "2026-02-01"),
        ("2026-01-15 10:20", "2026-01-15 10:20", "2026-01-15", "2026-02-15"),
        ("2026-01-15 10:20", "2026-02-14 23:59:59.999999", "2026-01-15", "2026-02-15"),
        ("2026-01-15 10:20", "2026-02-15", "2026-02-15", "2026-03-15"),
        ("2026-01-31", "2026-02-27", "2026-01-31", "2026-02-28"),
        ("2026-01-31", "2026-02-28", "2026-02-28", "2026-03-31"),
        ("2026-01-31", "2026-03-30", "2026-02-28", "2026-03-31"),
        ("2026-01-31", "2026-04-30", "2026-04-30", "2026-05-31"),
        ("2024-01-31", "2024-02-29", "2024-02-29", "2024-03-31"),
        ("2024-02-29", "2025-02-28", "2025-02-28", "2025-03-29"),
        ("2024-02-29", "2028-02-28 23:59:59.999999", "2028-01-29", "2028-02-29"),
        ("2026-01-30", "2100-02-28", "2100-02-28", "2100-03-30"),
        ("2026-11-20", "2026-12-31 23:59:59.999999", "2026-12-20", "2027-01-20"),
        ("2026-11-20", "2027-01-01", "2026-12-20", "2027-01-20"),
        ("2026-05-31", "2025-12-31", "2025-12-31", "2026-01-31"),
        ("2026-05-31", "2026-03-01", "2026-02-28", "2026-03-31"),
    ],
)
def test_the_cycle_of_a_moment(anchor: str, now: str, start: str, end: str) -> None:
    cycle = cycle_at(micros(anchor), micros(now))
    assert (day(cycle.start), day(cycle.end)) == (start, end)


def test_the_31st_comes_back_after_every_shorter_month() -> None:
    anchor = micros("2026-01-31 08:00")
    starts = []
    cycle = cycle_at(anchor, anchor)
    for _ in range(13):
        starts.append(day(cycle.start))
        cycle = cycle_at(anchor, cycle.end)
    assert [start[5:] for start in starts] == [
        *("01-31", "02-28", "03-31", "04-30", "05-31", "06-30", "07-31"),
        *("08-31", "09-30", "10-31", "11-30", "12-31", "01-31"),
    ]


@given(anchors, moments)
def test_every_moment_lies_in_its_cycle_of_a_month(anchor: int, now: int) -> None:
    cycle = cycle_at(anchor, now)
    assert cycle.start <= now < cycle.end
    assert 28 * _DAY <= cycle.end - cycle.start <= 31 * _DAY
    assert cycle.start % _DAY == cycle.end % _DAY == 0


@given(anchors, moments)
def test_cycles_tile_time(anchor: int, now: int) -> None:
    cycle = cycle_at(anchor, now)
    assert cycle_at(anchor, cycle.start) == cycle_at(anchor, cycle.end - 1) == cycle
    assert cycle_at(anchor, cycle.end).start == cycle.end
    assert cycle_at(anchor, cycle.start - 1).end == cycle.start


@given(anchors, anchors, moments)
def test_only_the_day_of_the_anchor_counts(anchor: int, hour: int, now: int) -> None:
    same_day = anchor // _DAY * _DAY + hour % _DAY
    assert cycle_at(same_day, now) == cycle_at(anchor, now)


@given(anchors, st.integers(1971, 2399))
def test_a_year_has_twelve(anchor: int, year: int) -> None:
    moment = micros(f"{year}-06-01")
    cycles: set[Cycle] = set()
    first = cycle = cycle_at(anchor, moment)
    for _ in range(12):
        cycles.add(cycle)
        cycle = cycle_at(anchor, cycle.end)
    assert len(cycles) == 12
    assert day(cycle.start) == f"{int(day(first.start)[:4]) + 1}{day(first.start)[4:]}"
