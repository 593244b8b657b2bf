"""Loaded voices: each loaded once, within so many bytes, kept while in use, and forgotten with its file."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any

import pytest

from plugins.rvc import voices
from plugins.rvc.checkpoint import RvcVoice, load_voice
from plugins.rvc.voice_rules import VoiceConfig, VoiceLayout
from plugins.rvc.worker import USUAL
from speech_engine import Trained
from speech_engine.errors import EngineBusy, EngineFailed, VoiceNotFound
from speech_engine.model_files import UnusableModel
from tests.plugins.rvc.in_environment.rig import TENANT, Rig, in_pieces, recording, running
from tests.plugins.rvc.tiny import layout, voice_file

# isort: split
import torch
from safetensors.torch import save

USUAL_BUT_WIDE = USUAL._replace(config=VoiceConfig(*USUAL.config[:13], 1024, *USUAL.config[14:]))


class Loads:
    """Counts what is loaded, and may hold it up."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, *told: Any) -> RvcVoice:
        self.count += 1
        assert torch.is_grad_enabled()  # it is not the model's thread in a step
        return load_voice(*told)


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> Loads:
    made = Loads()
    monkeypatch.setattr(voices, "load_voice", made)
    return made


def narrowed(rig: Rig, most: int) -> None:
    rig.engine.voices_on_loan._most_bytes = most
    rig.engine.voices_on_loan.loaded_models._most_bytes = most


def files(count: int) -> list[bytes]:
    return [voice_file(layout(), seed) for seed in range(count)]


def test_many_jobs_at_once_load_a_voice_once(loads: Loads) -> None:
    async def run() -> None:
        async with running(slots=8) as rig:
            voice = rig.bring(files(1)[0])
            await asyncio.gather(*(rig.convert(voice, recording(1.0)) for _ in range(6)))
            await rig.convert(voice, recording(1.0))
        assert loads.count == 1

    asyncio.run(run())


def test_the_longest_unused_goes_first_and_one_in_use_stays(loads: Loads) -> None:
    async def run() -> None:
        async with running() as rig:
            lent = rig.engine.voices_on_loan
            one, two, three, four = [rig.bring(file) for file in files(4)]
            async with lent.lend(rig.job(one, b""), one) as voice:
                size = voice.nbytes
            # For two of them. The estimate has the norms of the weights, which are folded.
            narrowed(rig, int(size * 2.9))
            assert lent.loaded_models.bytes >= size
            async with AsyncExitStack() as used:
                await used.enter_async_context(lent.lend(rig.job(one, b""), one))
                for each in (two, three):
                    async with lent.lend(rig.job(each, b""), each):
                        pass
                assert lent.loaded_models.names() == [f"{TENANT}/{each.digest}" for each in (one, three)]
                async with lent.lend(rig.job(three, b""), three):
                    waiting = asyncio.create_task(rig.convert(four, recording(0.5)))
                    await asyncio.sleep(0.05)
                    assert not waiting.done()
                # Now one is free, and goes.
                await waiting
                assert lent.loaded_models.names()[0] == f"{TENANT}/{one.digest}"
                assert lent.loaded_models.bytes <= size * 2.9
            assert loads.count == 4

    asyncio.run(run())


def test_who_gets_no_room_until_the_deadline_is_told_so_and_has_not_worked_meanwhile() -> None:
    marks: list[str] = []

    @contextmanager
    def waiting() -> Iterator[None]:
        marks.append("waits")
        yield

    async def run() -> None:
        async with running(waiting=waiting) as rig:
            lent = rig.engine.voices_on_loan
            one, two = [rig.bring(file) for file in files(2)]
            async with lent.lend(rig.job(one, b""), one) as voice:
                narrowed(rig, int(voice.nbytes * 1.5))
                assert marks == []
                with pytest.raises(EngineBusy, match="no room"):
                    await rig.convert(two, recording(0.5), deadline_s=0.0)
                assert marks == ["waits"]
            await rig.convert(two, recording(0.5), deadline_s=0.0)

    asyncio.run(run())


def test_a_voice_larger_than_all_room_is_refused_at_once() -> None:
    async def run() -> None:
        async with running() as rig:
            narrowed(rig, 1000)
            with pytest.raises(EngineFailed, match="voices_mb"):
                await rig.convert(rig.bring(files(1)[0]), recording(0.5))

    asyncio.run(run())


def test_a_dropped_voice_is_gone_in_every_form(loads: Loads) -> None:
    async def run() -> None:
        async with running() as rig:
            file = files(1)[0]
            voice = rig.bring(file)
            await rig.convert(voice, recording(0.5))
            lent = rig.engine.voices_on_loan
            assert lent.loaded_models.bytes
            rig.sample_cache.drop([voice.digest])
            assert (lent.loaded_models.names(), lent.loaded_models.bytes) == ([], 0)
            with pytest.raises(VoiceNotFound):
                await rig.convert(voice, recording(0.5))
            rig.bring(file)
            await rig.convert(voice, recording(0.5))
            assert loads.count == 2

    asyncio.run(run())


def test_a_voice_that_is_dropped_while_it_loads_or_sounds_leaves_nothing() -> None:
    async def run() -> None:
        async with running() as rig:
            file, pcm = files(1)[0], recording(20.0)
            for waits_s in (0.0, 0.3):
                voice = rig.bring(file)
                job = rig.job(voice, pcm)
                task = asyncio.create_task(rig.hubert_input(job, in_pieces(pcm)))
                await asyncio.sleep(waits_s)
                # As the host does it: the loan cancels the job.
                loan = rig.sample_cache.lend(job, task.cancel)
                rig.sample_cache.drop([voice.digest])
                with pytest.raises(asyncio.CancelledError):
                    await task
                loan.end()
                lent = rig.engine.voices_on_loan
                await lent.loaded_models.close()  # what is being loaded comes to nobody
                assert lent.loaded_models.bytes == 0
                assert lent.loaded_models.names() == []
                assert "0 jobs, 0 of" in repr(rig.engine.batch)

    asyncio.run(run())


def test_a_drop_waits_until_no_voice_is_loaded_from_its_bytes_any_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, gate = threading.Event(), threading.Event()

    def slow(*told: Any) -> RvcVoice:
        begun.set()
        assert gate.wait(60.0)
        return load_voice(*told)

    async def run() -> None:
        async with running() as rig:
            voice = rig.bring(files(1)[0])
            monkeypatch.setattr(voices, "load_voice", slow)
            # Its client leaves: nobody is there whose end could be waited for.
            task = asyncio.create_task(rig.convert(voice, recording(0.5)))
            await asyncio.to_thread(begun.wait, 60.0)
            task.cancel()
            await asyncio.wait([task])
            (forgotten,) = rig.sample_cache.drop([voice.digest])
            dropping = asyncio.ensure_future(forgotten)
            await asyncio.sleep(0)
            assert not dropping.done()
            gate.set()
            await dropping
            await rig.engine.voices_on_loan.loaded_models.close()
            assert rig.engine.voices_on_loan.loaded_models.bytes == 0

    asyncio.run(run())


def test_a_card_without_memory_for_a_voice_forgets_those_of_nobody_and_is_then_busy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    most = 1

    async def run() -> None:
        async with running() as rig:
            loaded_models, pcm = rig.engine.voices_on_loan.loaded_models, recording(0.5)

            def small_card(*told: Any) -> RvcVoice:
                if len(loaded_models.names()) > most:
                    raise torch.OutOfMemoryError
                return load_voice(*told)

            monkeypatch.setattr(voices, "load_voice", small_card)
            one, two, three = [rig.bring(file) for file in files(3)]
            await rig.convert(one, pcm)
            await rig.convert(two, pcm)
            assert loaded_models.names() == [f"{TENANT}/{two.digest}"]
            async with rig.engine.voices_on_loan.lend(rig.job(two, b""), two):
                with pytest.raises(EngineBusy, match="no memory"):
                    await rig.convert(three, pcm)
            await rig.convert(three, pcm)

    asyncio.run(run())


@pytest.mark.parametrize(("of", "says"), [(layout(initial=24), "divided"), (USUAL_BUT_WIDE, "several times")])
def test_a_file_that_breaks_the_rules_is_refused_before_its_network_is_built(
    of: VoiceLayout, says: str
) -> None:
    about = {
        "format": "rvc",
        "version": of.version,
        "f0": "1",
        "sample_rate_hz": str(of.rate_hz),
        "config": json.dumps(of.config),
    }
    with pytest.raises(UnusableModel, match=says):
        load_voice(bytes(save({}, about)), "cpu")


def test_a_voice_of_the_operator_is_loaded_once_for_all_accounts(loads: Loads) -> None:
    async def run() -> None:
        async with running() as rig:
            pcm = recording(0.5)
            voice = Trained(rig.bring(files(1)[0], "").digest, is_operators=True)
            made = [(await rig.convert(voice, pcm, tenant=each))[0] for each in ("acc_1", "acc_2")]
            assert made[0] == made[1]
            assert loads.count == 1

    asyncio.run(run())


def test_what_one_account_brought_is_loaded_for_no_other(loads: Loads) -> None:
    async def run() -> None:
        async with running() as rig:
            file, pcm = files(1)[0], recording(0.5)
            voice = rig.bring(file)
            await rig.convert(voice, pcm)
            with pytest.raises(VoiceNotFound):
                await rig.convert(voice, pcm, tenant="acc_2")
            rig.bring(file, "acc_2")
            await rig.convert(voice, pcm, tenant="acc_2")
        assert loads.count == 2

    asyncio.run(run())


@pytest.mark.parametrize("file", [b"", b"nothing", files(1)[0][:-10]])
def test_a_broken_file_fails_its_job_alone(file: bytes) -> None:
    async def run() -> None:
        async with running() as rig:
            with pytest.raises(EngineFailed, match="broken"):
                await rig.convert(rig.bring(file), recording(0.5))
            await rig.convert(rig.bring(files(1)[0]), recording(0.5))

    asyncio.run(run())


def test_a_voice_that_cannot_be_loaded_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with running() as rig:
            voice = rig.bring(files(1)[0])
            told: list[Trained] = []

            def broken(*_told: Any) -> RvcVoice:
                told.append(voice)
                raise MemoryError

            with monkeypatch.context() as patch:
                patch.setattr(voices, "load_voice", broken)
                with pytest.raises(MemoryError):
                    await rig.convert(voice, recording(0.5))
            assert told
            await rig.convert(voice, recording(0.5))

    asyncio.run(run())
