"""How an utterance ends early: interrupted, left by its client, or by a failure; and what that costs."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from proxy.errors import RateLimited, RequestFailed
from proxy.file_store.master_keys import VaultFailed
from proxy.speech.pipeline import Pipeline
from proxy.storage import accounts
from proxy.storage.audit import Act
from proxy.storage.usage import UsageRow
from speech_engine import Finished, Started, errors
from tests.features.sockets.utterances.rig import PAIR, RATE_HZ, Ear, Rig, Spoken, rig
from tests.proxy.api.scripted import Halt, Scripted, sound, spoken
from tests.speech_engine.host.simulated_time import simulated
from tests.tables import each_row
from tests.waiting import soon

ONE = "This is a sentence of about seventy characters, and takes five seconds. "
PLAN = """
[plans.paid]
allowance = {allowance}
streams = 1
{more}
prices.speech = {{ credits = {credits}, per = "{per}" }}
"""


def config(*, per: str = "second", allowance: int = 1000, credits: float = 1, more: str = "") -> str:
    return PAIR + PLAN.format(per=per, allowance=allowance, credits=credits, more=more)


def two(*script: Any, **model: Any) -> dict[str, Scripted]:
    return {"one": Scripted(*(script or spoken(5.0)), **model), "two": Scripted()}


def outcomes(rows: list[UsageRow]) -> list[str]:
    return [row.outcome for row in rows]


async def test_the_stream_is_one_and_free_again_at_every_end(tmp_path: Path) -> None:
    async with rig(tmp_path, config(), engines=two(*spoken(0.3)), plan="paid") as one:
        speech = await one.begin(ONE)
        with pytest.raises(RateLimited):
            await one.begin()
        await speech.whole()
        lost = await one.begin(ONE)
        await lost.ear.has_sound(0.1)
        await lost.lose(1.0)
        again = await one.begin(ONE)
        await again.interrupt()
        unused = await one.utterances.begin_utterance("req_unused", await one.key_id(), again.settings, Ear())
        await unused.abandon()
        told = await (await one.begin(ONE)).whole()
        assert told.failure is None
        assert "<MemoryHolds 0 live" in repr(one.server.worker.ledger)


@simulated
async def test_an_interruption_charges_the_sound_that_was_sent(tmp_path: Path) -> None:
    async with rig(tmp_path, config(), engines=two(), plan="paid") as one:
        speech = await one.begin(ONE * 3)
        await speech.ear.has_sound(6.0)
        told = await speech.interrupt()
        rows = await one.check(told)
    assert outcomes(rows) == ["finished", "left"]
    assert sum(row.samples for row in rows) / RATE_HZ == pytest.approx(speech.ear.seconds, abs=1e-6)
    assert told.sent_ms == pytest.approx(speech.ear.seconds * 1000, abs=1)
    assert rows[1].credits == -(-rows[1].samples * 1_000_000 // RATE_HZ)
    assert told.text_spoken + told.text_remaining == ONE * 3
    assert told.piece == 1


@simulated
async def test_by_character_an_interruption_charges_the_running_piece_whole(tmp_path: Path) -> None:
    async with rig(tmp_path, config(per="character"), engines=two(), plan="paid") as one:
        speech = await one.begin(ONE * 3)
        await speech.ear.has_sound(4.0)
        await asyncio.sleep(0.01)
        rows = await one.check(await speech.interrupt())
    assert outcomes(rows) == ["left", "left"]
    assert [row.credits for row in rows] == [len(ONE) * 1_000_000, 0]
    assert [row.samples > 0 for row in rows] == [True, False]


@simulated
async def test_a_provider_that_bills_at_once_is_paid_for_the_piece_read_ahead(tmp_path: Path) -> None:
    engines = two(billed_on_submit=True)
    async with rig(tmp_path, config(), engines=engines, plan="paid") as one:
        speech = await one.begin(ONE * 3)
        await speech.ear.has_sound(4.0)
        await asyncio.sleep(0.01)
        assert len(engines["one"].jobs) == 2
        rows = await one.check(await speech.interrupt())
    assert outcomes(rows) == ["left", "left"]
    assert all(row.credits > 5_000_000 for row in rows), "each one is charged for its estimated length"
    assert rows[1].samples == 0


@simulated
async def test_nothing_is_charged_before_an_engine_speaks(tmp_path: Path) -> None:
    halt = Halt()
    async with rig(tmp_path, config(), engines=two(halt), plan="paid") as one:
        speech = await one.begin(ONE * 2)
        await halt.is_there.wait()
        told = await speech.interrupt()
        rows = await one.check(told)
    assert [(row.outcome, row.credits) for row in rows] == [("left", 0)]
    assert (told.text_spoken, told.sent_ms, told.piece) == ("", 0, 0)


@simulated
async def test_an_interruption_before_any_text_says_nothing(tmp_path: Path) -> None:
    async with rig(tmp_path, config(), engines=two(), plan="paid") as one:
        speech = await one.begin()
        await asyncio.sleep(1.0)
        told = await speech.interrupt(played_ms=500)
        assert await one.check(told) == []
    assert (told.text_spoken, told.text_remaining, told.sent_ms) == ("", "", 0)


@simulated
async def test_sound_that_is_on_its_way_is_sent_and_paid(tmp_path: Path) -> None:
    """The session waits for the kernel when the interruption comes."""
    ear, halt = Ear(), Halt(at=3)
    ear.waits = halt
    async with rig(tmp_path, config(), engines=two(), plan="paid") as one:
        speech = await one.begin(ONE * 2, ear=ear)
        await halt.is_there.wait()
        interrupting = asyncio.create_task(speech.utterance.interrupt())
        await asyncio.sleep(1.0)
        assert not interrupting.done()
        halt.goes_on.set()
        told = await interrupting
        rows = await one.check(told)
    assert sum(row.samples for row in rows) / RATE_HZ == pytest.approx(ear.seconds, abs=1e-6)


@simulated
async def test_a_client_that_is_lost_pays_for_its_share_and_never_fails(tmp_path: Path) -> None:
    async with rig(tmp_path, config(), engines=two(), plan="paid") as one:
        speech = await one.begin(ONE * 3)
        await speech.ear.has_sound(8.0)
        await speech.lose(0.5)
        rows = await one.rows()
    assert outcomes(rows) == ["finished", "left"] or outcomes(rows) == ["finished", "left", "left"]
    given_s = speech.ear.seconds - 5.0
    assert rows[1].samples / RATE_HZ == pytest.approx(given_s / 2, abs=0.2)
    assert all(row.samples == 0 for row in rows[2:])


@simulated
async def test_a_client_that_is_lost_while_sound_is_sent_leaves_no_failed_row(tmp_path: Path) -> None:
    ear = Ear()
    ear.waits = asyncio.Event().wait
    async with rig(tmp_path, config(), engines=two(), plan="paid") as one:
        speech = await one.begin(ONE * 3, ear=ear)
        await ear.has_sound(0.05)
        await speech.lose(1.0)
        rows = await one.rows()
        assert "<MemoryHolds 0 live" in repr(one.server.worker.ledger)
    assert set(outcomes(rows)) == {"left"}
    assert rows[0].samples / RATE_HZ == pytest.approx(ear.seconds, abs=0.01)


@simulated
async def test_a_server_that_ends_has_its_client_pay_for_what_was_sent(tmp_path: Path) -> None:
    async with rig(tmp_path, config(), engines=two(), plan="paid") as one:
        speech = await one.begin(ONE)
        await speech.ear.has_sound(2.0)
        speech.task.cancel()
        await asyncio.wait((speech.task,))
        (row,) = await one.rows()
    assert row.outcome == "left"
    assert row.samples / RATE_HZ == pytest.approx(speech.ear.seconds, abs=0.01)


@simulated
async def test_a_failed_piece_is_free_and_ends_the_utterance(tmp_path: Path) -> None:
    times = iter(range(9))

    async def fail_later() -> None:
        if next(times) == 1:
            raise errors.EngineFailed("it broke")

    engines = two(Started(RATE_HZ), *sound(4.0), fail_later, *sound(1.0), Finished())
    async with rig(tmp_path, config(), engines=engines, plan="paid") as one:
        speech = await one.begin(ONE * 4, model="one/m")
        end = await speech.whole()
        rows = await one.check(end)
    assert end.failure is not None
    assert end.failure.status == 503 or end.failure.status == 502
    assert outcomes(rows)[:2] == ["finished", "failed"]
    assert [row.credits for row in rows[1:]] == [0] * (len(rows) - 1)
    assert [each.failure is None for each in speech.ear.ends] == [True, False]
    assert not end.ends_socket


@simulated
async def test_what_was_read_ahead_of_a_piece_that_failed_is_free(tmp_path: Path) -> None:
    times, halt = iter(range(9)), Halt()

    async def fail_second() -> None:
        if next(times) == 1:
            await halt()
            raise errors.EngineFailed("it broke")

    engines = two(Started(RATE_HZ), *sound(4.0), fail_second, *sound(1.0), Finished(), billed_on_submit=True)
    async with rig(tmp_path, config(per="character"), engines=engines, plan="paid") as one:
        speech = await one.begin(ONE, model="one/m")
        for number in (1, 2):
            speech.utterance.flush()
            await speech.ear.has_sound(5.0 * number - 4.9)
            speech.utterance.add(ONE)
        speech.utterance.flush()
        await soon(lambda: len(engines["one"].jobs) == 3)
        halt.goes_on.set()
        end = await speech.whole()
        rows = await one.check(end)
    assert end.failure is not None
    assert outcomes(rows) == ["finished", "failed", "failed"]
    assert [row.credits for row in rows[1:]] == [0, 0]


@simulated
async def test_a_piece_that_fails_ahead_lets_the_one_before_end(tmp_path: Path) -> None:
    times = iter(range(9))

    async def fail_second() -> None:
        if next(times) == 1:
            raise errors.EngineFailed("it broke")

    async with rig(tmp_path, config(), engines=two(fail_second, *spoken(5.0)), plan="paid") as one:
        speech = await one.begin(ONE * 4, model="one/m")
        end = await speech.whole()
        rows = await one.check(end)
    assert outcomes(rows) == ["finished", "failed"]
    assert end.failure is not None
    assert (end.pieces, speech.ear.seconds) == (1, 5.0)


async def test_a_vault_that_cannot_be_opened_says_when_to_try_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise VaultFailed("its key is not there")

    monkeypatch.setattr(Pipeline, "answer", fail)
    async with rig(tmp_path, config(), engines=two(), plan="paid") as one:
        end = await (await one.begin(ONE)).whole()
    assert end.failure is not None
    assert (end.failure.code, end.failure.retry_after_s) == ("vault_unavailable", 30.0)


async def revoked(one: Rig) -> None:
    answer = await one.server.administer("DELETE", f"keys/{await one.key_id()}")
    assert answer.is_success, answer.text


async def suspended(one: Rig) -> None:
    store, account = one.server.worker.store, one.server.account.id
    act = Act(id="aud_1", at=await store.now(), actor="control", action="", subject=account, account=account)
    await accounts.suspend(store, account, act)


@each_row("end_key, code", [(revoked, "invalid_api_key"), (suspended, "account_suspended")])
async def test_a_key_that_is_no_longer_good_ends_it_after_the_piece(
    tmp_path: Path, end_key: Callable[[Rig], Any], code: str
) -> None:
    async with rig(tmp_path, config(), engines=two(*spoken(0.8)), plan="paid") as one:
        speech = await one.begin(ONE)
        speech.utterance.flush()
        await speech.ear.has_sound(0.1)
        await end_key(one)
        speech.utterance.add(ONE)
        end = await speech.whole()
        rows = await one.rows()
    assert outcomes(rows) == ["finished"]
    assert end.failure is not None
    assert (end.failure.code, end.ends_socket, end.pieces) == (code, True, 1)


@simulated
async def test_credits_that_run_out_end_it_after_the_piece_under_way(tmp_path: Path) -> None:
    async with rig(tmp_path, config(allowance=13), engines=two(), plan="paid") as one:
        speech = await one.begin(ONE * 4)
        end = await speech.whole()
        rows = await one.check(end)
    assert end.failure is not None
    assert (end.failure.code, end.ends_socket) == ("insufficient_quota", False)
    assert set(outcomes(rows)) == {"finished"}
    assert len(rows) >= 1


@simulated
async def test_a_hold_of_the_piece_before_does_not_use_up_the_credits(tmp_path: Path) -> None:
    """Each piece is held at a generous estimate of six seconds; both cost ten together."""
    async with rig(tmp_path, config(allowance=12), engines=two(), plan="paid") as one:
        speech = await one.begin(ONE * 2)
        end = await speech.whole()
        rows = await one.check(end)
    assert end.failure is None
    assert outcomes(rows) == ["finished", "finished"]


@asynccontextmanager
async def saved_voice(
    folder: Path, script: Sequence[Any]
) -> AsyncIterator[tuple[Rig, Spoken, Callable[[], Any]]]:
    """An utterance by a saved voice that speaks its first sentence, and a call that erases the voice."""
    voices = config() + '[voices.ben]\none = "v"\n'
    async with rig(folder, voices, engines=two(*script, mixes=True), plan="paid") as one:
        body = {"name": "both", "mix": [{"id": "ana"}, {"id": "ben"}]}
        made = await one.server.ask("POST", "/v1/audio/voices", body=body)
        assert made.is_success, made.text
        voice = made.json()["id"]

        async def erase() -> None:
            erased = await one.server.ask("DELETE", f"/v1/audio/voices/{voice}")
            assert erased.is_success, erased.text

        speech = await one.begin(ONE, voice=voice, model="one/m")
        speech.utterance.flush()
        await speech.ear.has_sound(0.1)
        yield one, speech, erase


async def test_a_saved_voice_that_is_erased_ends_it_after_the_piece(tmp_path: Path) -> None:
    async with saved_voice(tmp_path, spoken(0.3)) as (one, speech, erase):
        await speech.ear.has_ended.wait()
        await erase()
        speech.utterance.add(ONE)
        end = await speech.whole()
        rows = await one.check(end)
    assert end.failure is not None
    assert (end.failure.param, end.ends_socket) == ("voice", False)
    assert outcomes(rows) == ["finished"]


async def test_a_voice_that_is_erased_in_the_middle_breaks_the_piece_off(tmp_path: Path) -> None:
    """As in a request: the sound before is paid, for the fault is not the server's."""

    async def pause() -> None:
        await asyncio.sleep(0.02)

    steps = [step for chunk in sound(60.0) for step in (chunk, pause)]
    async with saved_voice(tmp_path, (Started(RATE_HZ), *steps, Finished())) as (one, speech, erase):
        await erase()
        end = await speech.whole()
        (row,) = await one.check(end)
    assert end.failure is not None
    assert (end.failure.code, end.ends_socket) == ("voice_not_found", False)
    assert (row.outcome, row.error) == ("failed", "voice_not_found")
    assert row.credits == -(-row.samples * 1_000_000 // RATE_HZ) > 0
    (told,) = speech.ear.ends
    assert told.failure is end.failure
    assert 0 < told.bytes <= len(speech.ear.data)


@each_row(
    "more, param",
    [
        ({"voice": {"cast": {"Ana": "ana"}}}, "voice"),
        ({"response_format": "wav"}, "response_format"),
        ({"voice": "nobody"}, "voice"),
        ({"model": "none"}, "model"),
    ],
)
async def test_what_no_utterance_can_have_is_refused_by_name(
    tmp_path: Path, more: dict[str, Any], param: str
) -> None:
    async with rig(tmp_path, engines=two()) as one:
        try:
            speech: Spoken = await one.begin(ONE, **more)
            failure = (await speech.whole()).failure
        except RequestFailed as refused:
            failure = refused
        assert "<MemoryHolds 0 live" in repr(one.server.worker.ledger)
    assert failure is not None
    assert (failure.status, failure.param) in ((400, param), (404, param))


@each_row("most, text, code", [(20_000, "a " * 10_001, "string_above_max_length")])
async def test_too_much_text_is_refused_and_not_added(
    tmp_path: Path, most: int, text: str, code: str
) -> None:
    async with rig(tmp_path, engines=two()) as one:
        speech = await one.begin()
        with pytest.raises(RequestFailed) as refused:
            speech.utterance.add(text)
        assert (refused.value.status, refused.value.code) == (400, code)
        assert str(most) in refused.value.message
        end = await speech.whole()
    assert end.pieces == 0


async def test_the_limit_of_the_plan_counts_all_text(tmp_path: Path) -> None:
    async with rig(tmp_path, config(more="max_characters = 100"), engines=two(), plan="paid") as one:
        speech = await one.begin("Hello. ")
        with pytest.raises(RequestFailed) as refused:
            speech.utterance.add(ONE * 2)
        assert refused.value.code == "text_too_long"
        speech.utterance.add(ONE)
        with pytest.raises(RequestFailed) as refused:
            speech.utterance.add(ONE)
        assert refused.value.code == "text_too_long", "each of the two is short enough"
        await speech.interrupt()
