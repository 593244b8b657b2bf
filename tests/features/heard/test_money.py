"""What a checked answer costs, whatever its verdicts are and whenever its client leaves."""

import asyncio
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from policies.price import MICRO
from proxy.features.admin.verify import verify
from proxy.features.heard.free_room import FREE_SHARE
from proxy.features.heard.made_part import RESULTS, MadePart
from proxy.speech_steps.check_totals import CheckResult, PartVerdict
from proxy.storage.usage import CheckSums, UsageRow
from speech_engine.text.said import words_of
from tests.features.heard.test_checked_parts import (
    GAP_S,
    PAID,
    WRONG,
    Rehearsed,
    ScriptedCheck,
    play,
    stage,
)
from tests.proxy.api.inside import Inside
from tests.proxy.api.scripted import RATE_HZ

__all__ = ["stage"]

pytestmark = pytest.mark.both_stores

ROOM_S = 3.0
KINDS = ("heard", "heard", "behind")
Tries = tuple[CheckResult, ...]


class CheckByText(ScriptedCheck):
    """What it thinks of each try of a sentence is in the sentence. `best` has what it thought of parts."""

    def __init__(self) -> None:
        super().__init__()
        self.best: dict[int, CheckResult] = {}

    async def verdict_on(self, made: MadePart) -> PartVerdict:
        spoken = words_of(made.job.segments[0].spoken).tokens
        tries = [word for word in spoken if word in RESULTS]
        result: CheckResult = tries[min(made.again, len(tries) - 1)]
        best = self.best.setdefault(made.part.start, result)
        self.best[made.part.start] = min(best, result, key=RESULTS.index)
        return WRONG if result == "wrong" else PartVerdict(result)


SENTENCES = st.lists(st.lists(st.sampled_from(RESULTS), min_size=1, max_size=3), min_size=1, max_size=4)


async def speak(server: Inside, sentences: list[list[str]], stays: int, **more: Any) -> UsageRow:
    """Speak to a client that leaves after so many pieces. Return its row."""
    text = " ".join(f"This sentence of the text is {' and '.join(tries)} today." for tries in sentences)
    leaves, left = asyncio.Event(), stays

    async def leave(message: Any) -> None:
        nonlocal left
        left -= bool(message.get("body"))
        if not left:
            leaves.set()

    body = {"model": "all", "voice": "both", "input": text, "response_format": "pcm"}
    await server.raw_speech({**body, **more}, leaves, leave)
    return (await server.usage())[0]


async def test_the_charge_is_what_was_not_wrong_whenever_a_client_leaves(stage: Any, store_url: str) -> None:
    config, check = f'[storage]\nurl = "{store_url}"\n{PAID}', CheckByText()
    engines = [Rehearsed(play(1.0)) for _ in range(2)]
    outcomes: dict[str, int] = defaultdict(int)
    free_s, charged_s = [0.0], [0.0]
    async with stage(check, *engines, config=config, plan="paid", room_s=ROOM_S) as server:
        loop = asyncio.get_running_loop()

        @given(
            sentences=SENTENCES, stays=st.sampled_from((1, 2, 5, 9, 999, 999)), kind=st.sampled_from(KINDS)
        )
        # Something is free, whatever else is drawn. Three sentences of a second are longer with their pauses.
        @example(sentences=[["wrong"]], stays=999, kind="behind")
        @example(sentences=[["wrong"]] * 3, stays=999, kind="heard")
        def holds(sentences: list[list[str]], stays: int, kind: str) -> None:
            check.best.clear()
            sent = speak(server, sentences, stays, check=kind)
            row = asyncio.run_coroutine_threadsafe(sent, loop).result(20.0)
            outcomes[row.outcome] += 1
            expect_charged(row, [check.best[start] for start in sorted(check.best)])
            sums = CheckSums.of_column(row.checked)
            assert sums is not None
            free_s.append(sums.free_s)
            assert sum(free_s) <= ROOM_S + FREE_SHARE * sum(charged_s) + 0.01
            charged_s.append(sums.checked_s + sums.unchecked_s - sums.free_s)

        await asyncio.to_thread(holds)
        assert set(outcomes) == {"finished", "left"}
        assert sum(free_s) > 0
        assert (await verify(server.worker.store)).is_clean


def expect_charged(row: UsageRow, best: list[CheckResult]) -> None:
    check = CheckSums.of_column(row.checked)
    assert check is not None
    charged_s = row.samples / RATE_HZ - check.free_s
    assert row.credits == pytest.approx(charged_s * MICRO, abs=1_000), (best, row.outcome)
    wrong = best.count("wrong")
    assert check.free_s <= (1.0 + GAP_S) * wrong + 1e-6, best
    if row.outcome == "finished":
        assert check.wrong == wrong
        assert row.samples / RATE_HZ == pytest.approx(len(best) * (1.0 + GAP_S) - GAP_S)
