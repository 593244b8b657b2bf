"""When an operator is told: what is trouble, one mail after a minute of it, and one after its end."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from policies.alerts import (
    CONFIRMED_AFTER_US,
    Alert,
    Trouble,
    alert_changes,
    budget_troubles,
    disk_troubles,
    engine_troubles,
)
from policies.tasks import SECOND_US
from tests.tables import each_row

HALF = CONFIRMED_AFTER_US // 2
A, B = Trouble("engine_failed", "a"), Trouble("budget_used", "b, day")


@each_row(
    ("state", "refused", "ids"),
    [
        ("ready", [], []),
        ("starting", [], []),
        ("unloaded", [], []),
        ("failed", [], ["engine_failed:a"]),
        ("resting", [], ["engine_failed:a"]),
        ("resting", [1], ["key_refused:a, key 1"]),
        ("ready", [2, 3], ["key_refused:a, key 2", "key_refused:a, key 3"]),
        ("waiting", [], ["device_memory:a"]),
    ],
)
def test_an_engine_in_trouble(state: str, refused: list[int], ids: list[str]) -> None:
    assert [each.id for each in engine_troubles("a", state, refused)] == ids


@each_row(
    ("usd", "of_usd", "kinds"),
    [
        (7.99, 10.0, []),
        (8.0, 10.0, ["budget_near"]),
        (10.0, 10.0, ["budget_near", "budget_used"]),
        (0.0, 0.0, ["budget_near", "budget_used"]),
    ],
)
def test_a_budget_in_trouble(usd: float, of_usd: float, kinds: list[str]) -> None:
    assert [each.kind for each in budget_troubles("a", "day", usd, of_usd)] == kinds


@each_row(("free", "total", "number"), [(5, 100, 0), (4, 100, 1), (0, 100, 1), (0, 0, 0)])
def test_a_disk_in_trouble(free: int, total: int, number: int) -> None:
    assert len([*disk_troubles(free, total)]) == number


class Life:
    """Looks at given moments, with what is stored between them."""

    def __init__(self) -> None:
        self.known: dict[str, Alert] = {}

    def look(self, now: int, *found: Trouble, starting: Sequence[str] = ()) -> list[str]:
        """Look, and return what is mailed."""
        mailed = []
        for change in alert_changes([*self.known.values()], found, now, starting):
            if change.step in ("end", "drop"):
                del self.known[change.alert.id]
            else:
                self.known[change.alert.id] = change.alert
            if change.step in ("send", "end"):
                mailed.append(f"{change.step} {change.alert.id}")
        return mailed


@each_row(
    ("found", "mailed"),
    [
        ([[A], [A], [], []], []),
        ([[A], [A], [A], [A], [A]], [(2, "send")]),
        ([[A], [], [A], [A], [A]], [(4, "send")]),
        ([[A], [A], [A], [], [], [], []], [(2, "send"), (5, "end")]),
        ([[A], [A], [A], [], [A], [], [A], [], [], []], [(2, "send"), (9, "end")]),
    ],
    ids=["short", "lasting", "begun anew", "over", "comes and goes"],
)
def test_one_mail_after_a_minute_and_one_after_its_end(
    found: list[list[Trouble]], mailed: list[tuple[int, str]]
) -> None:
    life = Life()
    seen = [(turn, step) for turn, each in enumerate(found) for step in life.look(turn * HALF, *each)]
    assert seen == [(turn, f"{step} {A.id}") for turn, step in mailed]


def test_an_engine_that_starts_is_no_end() -> None:
    life = Life()
    for turn in range(3):
        life.look(turn * HALF, A, B)
    for turn in range(3, 9):
        ended = life.look(turn * HALF, starting=["a"])
        assert ended == ([f"end {B.id}"] if turn == 5 else [])
    assert life.look(9 * HALF, A) == []


@given(st.lists(st.tuples(st.integers(1, 100), st.sets(st.sampled_from([A, B]))), max_size=60))
def test_mails_alternate_and_follow_the_trouble(turns: list[tuple[int, set[Trouble]]]) -> None:
    life, now, is_sent = Life(), 0, {A: False, B: False}
    # Since when each is found, or not found.
    since = dict.fromkeys((A, B), (False, 0))
    for pause_s, found in turns:
        now += pause_s * SECOND_US
        mailed = life.look(now, *found)
        for each in (A, B):
            if since[each][0] is not (each in found):
                since[each] = each in found, now
            is_new = is_sent[each] is not (each in found) and now - since[each][1] >= CONFIRMED_AFTER_US
            step = "send" if each in found else "end"
            assert [mail for mail in mailed if mail.endswith(each.id)] == [f"{step} {each.id}"] * is_new
            is_sent[each] ^= is_new
