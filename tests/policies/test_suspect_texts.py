"""Which text is known to have killed a host, and for how long."""

from hypothesis import given
from hypothesis import strategies as st

from policies.host_health import MOST_TEXTS, QUARANTINE_S, SUSPECT_S, SuspectTexts
from tests.tables import each_row

A, B, C = b"a", b"b", b"c"


def test_all_that_ran_are_suspects_and_only_the_one_that_kills_alone_is_refused() -> None:
    texts = SuspectTexts()
    assert texts.note_death([A, B, C], 0.0) is None
    assert texts.verdicts(1.0) == ((A, B, C), ())
    assert texts.note_spoken(B)
    assert texts.note_death([C], 2.0) == C
    assert texts.verdicts(3.0) == ((A,), (C,))


def test_one_death_alone_is_not_enough() -> None:
    texts = SuspectTexts()
    assert texts.note_death([A], 0.0) is None
    assert texts.note_spoken(A)
    assert texts.note_death([A], 1.0) is None
    assert texts.note_death([A], 2.0) == A


@each_row(
    ("running", "others", "is_alone", "refused"),
    [
        ([A], 0, True, A),
        ([A], 0, False, None),
        ([A], 1, True, None),
        ([A, B], 0, True, None),
        ([], 1, True, None),
    ],
)
def test_a_text_that_ran_alone_for_a_death_elsewhere_is_refused_at_its_first_one_here(
    running: list[bytes], others: int, is_alone: bool, refused: bytes | None
) -> None:
    texts = SuspectTexts()
    assert texts.note_death(running, 0.0, others=others, is_alone=is_alone) == refused
    assert texts.verdicts(1.0) == ((), (A,)) if refused else (tuple(running), ())


def test_verdicts_of_others_come_in_place_of_all_known_ones() -> None:
    texts = SuspectTexts()
    texts.note_death([A], 0.0)
    texts.replace([(B, False, 1.0), (C, True, 2.0)])
    assert texts.verdicts(0.5) == ((B,), (C,))
    assert texts.verdicts(1.5) == ((), (C,))


def test_a_suspect_that_dies_among_others_stays_a_suspect() -> None:
    texts = SuspectTexts()
    texts.note_death([A, B], 0.0)
    assert texts.note_death([A, C], 1.0) is None
    assert texts.verdicts(1.0) == ((B, A, C), ())


def test_verdicts_expire() -> None:
    texts = SuspectTexts()
    texts.note_death([A, B], 0.0)
    texts.note_death([A], 1.0)
    assert texts.verdicts(SUSPECT_S) == ((), (A,))
    assert texts.verdicts(1.0 + QUARANTINE_S) == ((), ())
    assert texts.note_death([B], SUSPECT_S + 1.0) is None, "the first death is forgotten"


@given(st.lists(st.lists(st.binary(min_size=1, max_size=1), min_size=1, max_size=4), max_size=60))
def test_nothing_is_both_and_a_text_is_refused_only_after_it_died_alone(deaths: list[list[bytes]]) -> None:
    texts, alone = SuspectTexts(), set[bytes]()
    for now, running in enumerate(deaths):
        if len(running) == 1:
            alone.add(running[0])
        texts.note_death(running, float(now))
    suspects, refused = texts.verdicts(float(len(deaths)))
    assert set(refused) <= alone
    assert len(set(suspects)) == len(suspects)


def test_the_memory_is_bounded() -> None:
    texts = SuspectTexts()
    for number in range(MOST_TEXTS + 5):
        texts.note_death([b"x", number.to_bytes(4)], 0.0)
    alone, _ = texts.verdicts(0.0)
    assert len(alone) == MOST_TEXTS
