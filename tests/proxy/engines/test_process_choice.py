"""Which process a job goes to: the least busy one, and one is kept for the others while several speak."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import pytest

from proxy.engines.process_choice import OTHERS_S, ProcessChoice


class Busy(NamedTuple):
    """A process with these jobs."""

    tenants: Counter[str]

    @property
    def running(self) -> int:
        return self.tenants.total()


@pytest.mark.parametrize(
    ("jobs", "others_ago_s", "chosen"),
    [
        (["", ""], 1.0, 0),
        (["a", ""], OTHERS_S, 1),
        (["a", ""], 1.0, 0),
        (["aaaa", ""], 1.0, 0),
        (["aaaa", "b"], 1.0, 0),
        (["aaa", "a"], 1.0, 1),
        (["b", ""], 1.0, 1),
        (["bb", "b"], 1.0, 1),
        (["aa", "a", ""], 1.0, 1),
        (["aa", "", ""], 1.0, 1),
        (["aaa"], 1.0, 0),
    ],
)
def test_an_account_leaves_one_process_to_the_others(
    jobs: list[str], others_ago_s: float, chosen: int
) -> None:
    now = 100.0
    choice = ProcessChoice(lambda: now)
    processes = [Busy(Counter(each)) for each in jobs]
    choice.choose(processes, "b")
    now += others_ago_s
    assert choice.choose(processes, "a") is processes[chosen]
    assert repr(choice) == "<ProcessChoice for a>"


def test_an_account_that_is_alone_has_all_processes() -> None:
    choice = ProcessChoice()
    processes = [Busy(Counter("a")), Busy(Counter())]
    assert [choice.choose(processes, "a") for _ in range(3)] == [processes[1]] * 3
