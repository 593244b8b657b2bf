"""The account's voices: listed without those that belong to tenants, made of recordings, and taken away."""

import io
import wave

import msgspec
import pytest
import structlog

from fakes.minimax.account import SYSTEM_VOICES, UNUSED_S, Account
from plugins.minimax.engine import create
from plugins.minimax.plugin import MinimaxSettings
from proxy.config.sections import Upstream
from proxy.engines.http.upstream_http import open_http
from speech_engine import (
    CloneInfo,
    CloneNameUsed,
    CloneRequest,
    CloneSample,
    Context,
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
from tests.tables import each_row


def _recording(seconds: float) -> CloneSample:
    sink = io.BytesIO()
    with wave.open(sink, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(24_000)
        file.writeframes(tone(300, seconds))
    return CloneSample(sink.getvalue())


NAME = "voxgate-1a2b-3c4d5e6f"


def _request(seconds: float = 12.0, name: str = NAME) -> CloneRequest:
    return CloneRequest(name=name, samples=(_recording(seconds),), language="pt-BR", denoise=True)


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
        persons = [voice.id for voice in running.engine.voices() if voice.is_cloned]
    assert persons == ["nigerian-male-1"]
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
        upload, clone, forget, first_use = running.provider.seen
        file_id = clone.json["file_id"]
        assert (forget.path, forget.json) == (
            "/v1/files/delete",
            {"file_id": file_id, "purpose": "voice_clone"},
        )
        assert running.fake.account.files == {}
        assert (running.fake.account.fees, running.fake.account.listed()) == (1, [id_])
        await collect(running.engine, speech_job("Olá.", voice=EngineVoice(id_)))
    assert b'name="purpose"\r\n\r\nvoice_clone' in upload.body
    assert f'filename="{NAME}.wav"'.encode() in upload.body
    assert upload.path == "/v1/files/upload"
    assert (clone.path, clone.json) == (
        "/v1/voice_clone",
        {"file_id": file_id, "voice_id": id_, "language_boost": "Portuguese", "need_noise_reduction": True},
    )
    assert file_id > 2**53
    assert file_id != int(float(file_id))
    assert id_ == NAME
    assert first_use.json == {
        "model": "speech-2.8-turbo",
        "text": "Hi.",
        "stream": False,
        "output_format": "hex",
        "voice_setting": {"speed": 1.0, "vol": 1.0, "pitch": 0, "voice_id": NAME},
        "audio_setting": {"sample_rate": 24000, "format": "mp3", "channel": 1, "bitrate": 32000},
        "language_boost": "auto",
    }
    assert running.fake.unknown == []


async def test_after_a_lost_answer_the_clone_is_found_and_speaks_once() -> None:
    async with rig() as running:
        running.provider.fail("truncated", path="voice_clone")
        with pytest.raises(EngineError):
            await running.engine.clone(_request())
        assert (running.fake.account.fees, running.fake.account.listed()) == (0, [])
        assert await running.engine.find_clone(NAME) == NAME
        assert (running.fake.account.fees, running.fake.account.listed()) == (1, [NAME])


async def test_a_clone_that_was_never_made_is_not_found_and_costs_nothing() -> None:
    async with rig() as running:
        running.provider.fail("5xx", path="voice_clone", status=502)
        with pytest.raises(EngineError):
            await running.engine.clone(_request())
        assert await running.engine.find_clone(NAME) is None
        assert running.fake.account.fees == 0


async def test_an_id_that_we_have_taken_ourselves_is_ours() -> None:
    async with rig() as running:
        running.provider.fail("truncated", path="voice_clone")
        with pytest.raises(EngineError):
            await running.engine.clone(_request())
        assert await running.engine.clone(_request()) == NAME
        assert (running.fake.account.fees, list(running.fake.account.voices)) == (1, [NAME])


async def test_an_id_whose_voice_is_gone_can_never_be_used_again() -> None:
    async with rig() as running:
        await running.engine.clone(_request())
        await running.engine.delete_voice(NAME)
        with pytest.raises(CloneNameUsed):
            await running.engine.clone(_request())
        assert await running.engine.clone(_request(name=f"{NAME}-b")) == f"{NAME}-b"


async def test_our_clones_are_listed_by_their_beginning() -> None:
    account = Account()
    account.add("nigerian-male-1")
    async with rig(account) as running:
        await collect(running.engine, speech_job("Hi.", voice=EngineVoice("nigerian-male-1")))
        await running.engine.clone(_request())
        await running.engine.clone(_request(name="voxgate-ffff-1"))
        listed = await running.engine.list_clones("voxgate-1a2b-")
    assert listed.clones == (CloneInfo(NAME, NAME),)
    assert (listed.slots_left, listed.additions_left) == (None, None)


async def test_an_outage_is_no_answer_to_where_a_clone_is() -> None:
    async with rig() as running:
        running.provider.fail("5xx", path="t2a_v2")
        with pytest.raises(EngineStumbled):
            await running.engine.find_clone(NAME)


async def test_two_accounts_know_nothing_of_one_another() -> None:
    other = Account()
    async with rig(others={"other-key": other}) as running:
        await running.engine.clone(_request())
        assert other.voices == {}
        second = msgspec.convert({"api_key": "other-key", "base_url": running.at.url}, MinimaxSettings)
        async with open_http(Upstream()) as http:
            context = Context(structlog.get_logger(), http=http)
            async with create("minimax", second, context) as stranger:
                assert await stranger.find_clone(NAME) is None
                assert await stranger.clone(_request()) == NAME
                await stranger.delete_voice(NAME)
        assert list(running.fake.account.voices) == [NAME]


@pytest.mark.parametrize("seconds", [9.0, 301.0])
async def test_a_recording_of_the_wrong_length_is_the_users_to_mend(seconds: float) -> None:
    async with rig() as running:
        assert "10 seconds to 5 minutes" in await _unusable(running, _request(seconds))
        assert running.fake.account.voices == {}


@each_row(
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
        await _unusable(running, CloneRequest(name=NAME, samples=samples))
        assert running.provider.seen == []


async def test_a_clone_is_never_tried_again_by_itself() -> None:
    async with rig() as running:
        running.provider.fail("5xx", path="voice_clone", status=500)
        with pytest.raises(EngineFailed):
            await running.engine.clone(_request())
        assert [seen.path for seen in running.provider.seen] == [
            "/v1/files/upload",
            "/v1/voice_clone",
            "/v1/files/delete",
        ]
        assert running.fake.account.files == {}


async def test_a_recording_that_cannot_be_deleted_does_not_spoil_the_voice() -> None:
    async with rig() as running:
        running.provider.fail("5xx", path="files/delete")
        assert await running.engine.clone(_request()) == NAME


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


async def test_a_clone_has_spoken_once_so_a_week_without_use_does_not_end_it() -> None:
    now = 1000.0
    account = Account(clock=lambda: now)
    async with rig(account) as running:
        used = await running.engine.clone(_request())
        running.provider.fail("truncated", path="voice_clone")
        with pytest.raises(EngineError):
            await running.engine.clone(_request(name="voxgate-never-used"))
        now += UNUSED_S + 1
        await collect(running.engine, speech_job("Hi.", voice=EngineVoice(used)))
        assert await running.engine.find_clone("voxgate-never-used") is None
        with pytest.raises(CloneNameUsed):
            await running.engine.clone(_request(name="voxgate-never-used"))


def test_no_repr_tells_a_name_or_what_was_said() -> None:
    sample = CloneSample(b"secret", text="said in private")
    shown = repr(CloneRequest(name="Ana", samples=(sample,))) + repr(sample)
    assert "Ana" not in shown
    assert "secret" not in shown
    assert "private" not in shown
