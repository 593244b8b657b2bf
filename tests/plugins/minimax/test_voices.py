"""The account's voices: listed without those that belong to tenants, made of recordings, and taken away."""

from __future__ import annotations

import io
import wave

import pytest

from fakes.minimax.account import SYSTEM_VOICES, UNUSED_S, Account
from plugins.minimax.faults import IdTaken
from speech_engine import (
    CloneRequest,
    CloneSample,
    EngineError,
    EngineFailed,
    EngineStumbled,
    EngineUnauthorized,
    EngineVoice,
    UnusableSample,
    VoiceNotFound,
)
from speech_engine.testing import collect
from tests.plugins.minimax.rig import Rig, error_of, rig, speech_job
from tests.sound import tone


def _recording(seconds: float) -> CloneSample:
    sink = io.BytesIO()
    with wave.open(sink, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(24_000)
        file.writeframes(tone(300, seconds))
    return CloneSample(sink.getvalue())


def _request(seconds: float = 12.0) -> CloneRequest:
    return CloneRequest(name="Ana's voice", samples=(_recording(seconds),), language="pt-BR", denoise=True)


async def _unusable(running: Rig, request: CloneRequest) -> str:
    with pytest.raises(UnusableSample) as caught:
        await running.engine.clone(request)
    return caught.value.message


async def test_the_systems_voices_are_listed_and_null_is_none() -> None:
    async with rig() as running:
        assert running.engine.voices() == ()
        await running.engine.refresh()
        (seen,) = running.provider.seen
        listed = running.engine.voices()
    assert seen.json == {"voice_type": "all"}
    assert [voice.id for voice in listed] == list(SYSTEM_VOICES)
    assert listed[0].name == "English expressive narrator"


async def test_the_accounts_own_are_listed_on_request_but_never_what_was_cloned_here() -> None:
    account = Account()
    account.add("nigerian-male-1")
    async with rig(account, own_voices=True) as running:
        cloned = await running.engine.clone(_request())
        for voice in ("nigerian-male-1", cloned):
            await collect(running.engine, speech_job("Hello.", voice=EngineVoice(voice)))
        await running.engine.refresh()
        assert account.listed() == ["nigerian-male-1", cloned]
        assert running.provider.seen[-1].json == {"voice_type": "all"}
        names = {voice.id: voice.name for voice in running.engine.voices()}
    assert set(names) == {*SYSTEM_VOICES, "nigerian-male-1"}
    assert names["nigerian-male-1"] == "nigerian-male-1"


async def test_the_accounts_own_are_known_when_they_are_not_listed() -> None:
    account = Account()
    account.add("nigerian-male-1")
    async with rig(account) as running:
        assert running.engine.unlisted_voices is None
        await collect(running.engine, speech_job("Hello.", voice=EngineVoice("nigerian-male-1")))
        await running.engine.refresh()
        assert [voice.id for voice in running.engine.voices()] == list(SYSTEM_VOICES)
        assert running.engine.unlisted_voices == ("nigerian-male-1",)


async def test_a_known_voice_stays_known_when_nobody_answers() -> None:
    async with rig() as running:
        await running.engine.refresh()
        running.provider.fail("5xx", path="get_voice")
        with pytest.raises(EngineStumbled):
            await running.engine.refresh()
        assert len(running.engine.voices()) == len(SYSTEM_VOICES)


async def test_a_refresh_tells_of_a_key_that_is_refused() -> None:
    async with rig(key="another") as running:
        with pytest.raises(EngineUnauthorized):
            await running.engine.refresh()


async def test_a_clone_speaks_and_is_asked_for_exactly() -> None:
    async with rig() as running:
        id_ = await running.engine.clone(_request())
        upload, clone = running.provider.seen
        (file_id,) = running.fake.account.files
        await collect(running.engine, speech_job("Olá.", voice=EngineVoice(id_)))
    assert b'name="purpose"\r\n\r\nvoice_clone' in upload.body
    assert b'filename="sample.wav"' in upload.body
    assert upload.path == "/v1/files/upload"
    assert (clone.path, clone.json) == (
        "/v1/voice_clone",
        {"file_id": file_id, "voice_id": id_, "language_boost": "Portuguese", "need_noise_reduction": True},
    )
    assert file_id > 2**53
    assert file_id != int(float(file_id))
    assert id_.startswith("voxgate-")
    assert "ana" not in id_.lower()


async def test_an_id_that_is_taken_is_replaced_once() -> None:
    async with rig() as running:
        running.provider.fail("error_in_200", path="voice_clone", code="2039")
        id_ = await running.engine.clone(_request())
        first, second = running.provider.seen[1:]
        assert first.json["voice_id"] != second.json["voice_id"] == id_
        assert first.json["file_id"] == second.json["file_id"]
        running.provider.fail("error_in_200", path="voice_clone", code="2039", count=2)
        with pytest.raises(IdTaken):
            await running.engine.clone(_request())


@pytest.mark.parametrize("seconds", [9.0, 301.0])
async def test_a_recording_of_the_wrong_length_is_the_users_to_mend(seconds: float) -> None:
    async with rig() as running:
        assert "10 seconds to 5 minutes" in await _unusable(running, _request(seconds))
        assert running.fake.account.voices == {}


@pytest.mark.parametrize(
    "samples",
    [
        (),
        (CloneSample(b"x"), CloneSample(b"x")),
        (CloneSample(b"x", "audio/ogg"),),
        (CloneSample(bytes(20 * 1024 * 1024 + 1)),),
    ],
)
async def test_a_recording_that_it_cannot_take_is_not_even_sent(samples: tuple[CloneSample, ...]) -> None:
    async with rig() as running:
        await _unusable(running, CloneRequest(name="x", samples=samples))
        assert running.provider.seen == []


async def test_a_clone_is_never_tried_again_by_itself() -> None:
    async with rig() as running:
        running.provider.fail("5xx", path="voice_clone", status=500)
        with pytest.raises(EngineFailed):
            await running.engine.clone(_request())
        assert len(running.provider.seen) == 2


async def test_an_upload_without_a_number_is_no_upload() -> None:
    async with rig() as running:
        running.provider.fail("garbage", path="files/upload")
        with pytest.raises(EngineError):
            await running.engine.clone(_request())
        assert len(running.provider.seen) == 1


async def test_a_deleted_voice_is_gone_and_its_id_with_it() -> None:
    async with rig() as running:
        id_ = await running.engine.clone(_request())
        await running.engine.delete_voice(id_)
        assert running.provider.seen[-1].json == {"voice_id": id_, "voice_type": "voice_cloning"}
        assert isinstance(
            await error_of(running.engine, speech_job("Hi.", voice=EngineVoice(id_))), VoiceNotFound
        )
        with pytest.raises(VoiceNotFound):
            await running.engine.delete_voice(id_)
        assert not running.fake.account.is_free(id_)


async def test_a_clone_that_nobody_uses_for_a_week_is_gone() -> None:
    now = 1000.0
    async with rig(Account(clock=lambda: now)) as running:
        used, unused = [await running.engine.clone(_request()) for _ in range(2)]
        now += UNUSED_S - 1
        await collect(running.engine, speech_job("Hi.", voice=EngineVoice(used)))
        now += 2
        await collect(running.engine, speech_job("Hi.", voice=EngineVoice(used)))
        error = await error_of(running.engine, speech_job("Hi.", voice=EngineVoice(unused)))
    assert isinstance(error, VoiceNotFound)


def test_no_repr_tells_a_name_or_what_was_said() -> None:
    sample = CloneSample(b"secret", text="said in private")
    shown = repr(CloneRequest(name="Ana", samples=(sample,))) + repr(sample)
    assert "Ana" not in shown
    assert "secret" not in shown
    assert "private" not in shown
