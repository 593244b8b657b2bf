"""What a checked answer costs, whatever its verdicts are and whenever its client leaves."""

import asyncio
import random
from typing import Any

import pytest

from policies.price import MICRO
from proxy.features.heard.made_part import MadePart
from proxy.ledger.verify import verify
from proxy.speech.part_check import CheckResult, PartVerdict
from proxy.storage.usage import CheckSums
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
from tests.proxy.api.scripted import RATE_HZ

__all__ = ["stage"]

pytestmark = pytest.mark.both_stores

RESULTS: tuple[CheckResult, ...] = ("right", "unsure", "wrong", "unchecked")


class CheckByText(ScriptedCheck):
    """What it thinks of a sentence is in it."""

    async def verdict_on(self, made: MadePart) -> PartVerdict:
        self.made.append(made)
        spoken = words_of(made.job.segments[0].spoken).tokens
        (result,) = [each for each in RESULTS if each in spoken]
        return WRONG if result == "wrong" else PartVerdict(result)


async def test_the_charge_is_what_was_not_wrong_whenever_a_client_leaves(stage: Any, store_url: str) -> None:
    chance = random.Random(8)
    config = f'[storage]\nurl = "{store_url}"\n{PAID}'
    async with stage(CheckByText(), Rehearsed(play(1.0)), config=config, plan="paid", room_s=1e6) as server:
        for _ in range(12):
            results = chance.choices(RESULTS, k=chance.randint(1, 4))
            text = " ".join(f"This is the sentence that is {result} in this text." for result in results)
            leaves, stays = asyncio.Event(), chance.choice((1, 2, 5, 9, 99))

            async def leave(message: Any, left: list[int] = [stays], leaves: Any = leaves) -> None:  # noqa: B006
                left[0] -= bool(message.get("body"))
                if not left[0]:
                    leaves.set()

            body = {"model": "all", "voice": "ana", "input": text, "response_format": "pcm"}
            await server.raw_speech({**body, "check": "heard"}, leaves, leave)
            row = (await server.usage())[0]
            check = CheckSums.of_column(row.checked)
            assert check is not None
            free = [result == "wrong" for result in results]
            if row.outcome == "finished":
                gaps = [GAP_S] * (len(results) - 1) + [0.0]
                lengths = [1.0 + gap for gap in gaps]
                assert check.free_s == pytest.approx(
                    sum(s for s, is_ in zip(lengths, free, strict=True) if is_)
                )
                assert check.wrong == sum(free)
            charged_s = row.samples / RATE_HZ - check.free_s
            assert row.credits == pytest.approx(charged_s * MICRO, abs=1_000), (results, row.outcome)
        assert {row.outcome for row in await server.usage()} == {"finished", "left"}
        assert (await verify(server.worker.store)).is_clean
