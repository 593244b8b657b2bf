"""Which process a job goes to: the least busy one, and one is kept for the others while several speak."""

from collections import Counter
from functools import partial
from typing import NamedTuple

from proxy.hosts.process_choice import OTHERS_S, ProcessChoice, jobs_of_another
from tests.tables import each_row


class Busy(NamedTuple):
    """A process with these jobs."""

    tenants: Counter[str]
    place: str = ""
    of_another: float = 0.0

    @property
    def load(self) -> float:
        return self.tenants.total() + self.of_another


@each_row(
    ("jobs", "others_ago_s", "patient", "impatient"),
    [
        (["", ""], 1.0, 0, 0),
        (["a", ""], OTHERS_S, 1, 1),
        (["a", ""], 1.0, 0, 0),
        (["aa", ""], 1.0, None, 1),
        (["aaaa", "b"], 1.0, None, 1),
        (["aa", "bb"], 1.0, 0, 0),
        (["aaa", "a"], 1.0, 1, 1),
        (["b", ""], 1.0, 1, 1),
        (["bb", "b"], 1.0, 1, 1),
        (["aa", "ab", ""], 1.0, None, 2),
        (["aa", "a", ""], 1.0, 1, 1),
        (["aa", "", ""], 1.0, 1, 1),
        (["aaa"], 1.0, 0, 0),
    ],
)
def test_an_account_leaves_one_process_to_the_others_while_its_own_have_room_soon(
    jobs: list[str], others_ago_s: float, patient: int | None, impatient: int
) -> None:
    now = 100.0
    choice = ProcessChoice(lambda: now)
    processes = [Busy(Counter(each)) for each in jobs]
    choice.note("b")
    now += others_ago_s
    choice.note("a")
    chosen = choice.choose(processes, "a", 2, is_patient=True)
    assert chosen is (None if patient is None else processes[patient])
    assert choice.choose(processes, "a", 2, is_patient=False) is processes[impatient]


def test_an_account_that_is_alone_has_all_processes() -> None:
    choice = ProcessChoice()
    processes = [Busy(Counter("a")), Busy(Counter())]
    for _ in range(3):
        choice.note("a")
        assert choice.choose(processes, "a", 1, is_patient=True) is processes[1]


def test_another_that_comes_meanwhile_is_one_of_the_others() -> None:
    choice = ProcessChoice()
    processes = [Busy(Counter("a")), Busy(Counter())]
    choice.note("a")
    choice.note("b")
    assert choice.choose(processes, "a", 1, is_patient=True) is None


@each_row(
    ("jobs", "own", "sharers", "counted"),
    [(10, 1, 4, 3.0), (9, 9, 4, 0.0), (1, 2, 4, 0.0), (6, 0, 1, 0.0), (6, 0, 0, 0.0), (6, 2, 2, 4.0)],
)
def test_a_worker_counts_what_another_has_on_average(
    jobs: int, own: int, sharers: int, counted: float
) -> None:
    assert jobs_of_another(jobs, own, sharers) == counted


def test_a_process_that_others_use_is_busy() -> None:
    processes = [Busy(Counter("a"), "gpu1", of_another=3.0), Busy(Counter("aa"), "gpu2", of_another=1.0)]
    assert ProcessChoice().choose(processes, "a", 8, is_patient=True) is processes[1]


def test_a_voice_stays_with_one_of_the_idle_processes_elsewhere_and_voices_are_spread() -> None:
    choice, counts = ProcessChoice(), Counter[str]()
    processes = [Busy(Counter(), f"gpu{number}") for number in range(4)]
    for number in range(100):
        one, other = (
            choice.choose(order, "a", 8, is_patient=True, voice=partial(str, f"voice {number}"))
            for order in (processes, processes[::-1])
        )
        assert one is not None
        assert one is other
        counts[one.place] += 1
    assert min(counts[each.place] for each in processes) > 10
