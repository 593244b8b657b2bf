"""Interruptions and losses at random moments: the charge is that of the sound that the client got."""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.features.admin.verify import verify
from tests.features.sockets.utterances.charges import TEXT, check_rows
from tests.features.sockets.utterances.rig import RATE_HZ, Rig, rig
from tests.features.sockets.utterances.test_endings import config, two
from tests.proxy.api.scripted import spoken
from tests.speech_engine.host import simulated_time
from tests.tables import each_row, soak

End = Literal["interrupt", "lose"]
_MOMENTS = st.tuples(st.floats(0.0, 16.0), st.sampled_from(["interrupt", "lose"]), st.floats(0.0, 1.0))


async def play(folder: Path, per: str, is_provider: bool, moments: list[tuple[float, End, float]]) -> None:
    engines = two(*spoken(4.0), billed_on_submit=is_provider)
    async with rig(folder, config(per=per, allowance=1_000_000), engines=engines, plan="paid") as one:
        for after_s, end, share in moments:
            await end_one(one, per, is_provider, after_s, end, share)
        assert (await verify(one.server.worker.store)).is_clean


async def end_one(one: Rig, per: str, is_provider: bool, after_s: float, end: End, share: float) -> None:
    speech = await one.begin(TEXT)
    speech.utterance.end()
    await asyncio.sleep(after_s)
    of, is_whole = f"{speech.utterance.id}-", speech.task.done()
    if end == "interrupt":
        told = await speech.interrupt()
        rows = await one.check(told, of)
        assert told.text_spoken + told.text_remaining == TEXT
    else:
        await speech.lose(share)
        rows = await one.rows(of)
    assert "<MemoryHolds 0 live" in repr(one.server.worker.ledger)
    check_rows(rows, per, len(rows) if is_provider else 0)
    sent_s = sum(row.samples for row in rows) / RATE_HZ
    if end == "interrupt" or is_whole:
        assert sent_s == pytest.approx(speech.ear.seconds, abs=1e-6)
    else:
        whole_s = sum(row.samples for row in rows if row.outcome == "finished") / RATE_HZ
        assert sent_s == pytest.approx(whole_s + share * (speech.ear.seconds - whole_s), abs=0.02)


@pytest.mark.parametrize("examples", [2, *soak(5)])
@each_row("per", ["second", "character"])
@each_row("is_provider", [False, True], ids=["local", "provider"])
def test_the_charge_is_that_of_the_sound_that_the_client_got(
    tmp_path: Path, per: str, is_provider: bool, examples: int
) -> None:
    @given(st.lists(_MOMENTS, min_size=10, max_size=10))
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    def ended(moments: list[tuple[float, End, float]]) -> None:
        with TemporaryDirectory(dir=tmp_path) as folder:
            simulated_time.run(play(Path(folder), per, is_provider, moments), 4096.0)

    ended()
