"""A cloud engine's keys: who is asked again, who rests and for how long, and what tells nothing at all."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

import pytest

from policies.breaker import LONGEST_OPEN_S, MOST_FAULTS
from proxy.engines.providers.cloud_engine import CloudEngine
from speech_engine import (
    Audio,
    ContentRefused,
    Convert,
    EngineBusy,
    EngineCannot,
    EngineError,
    EngineExhausted,
    EngineFailed,
    EngineForbidden,
    EngineLimited,
    EngineStumbled,
    EngineTimeout,
    EngineUnauthorized,
    EngineUnavailable,
    Event,
    Speak,
    SpeechJob,
    Started,
    UnsupportedRequest,
    UnsupportedText,
    VoiceNotFound,
)
from tests.proxy.api.scripted import RATE_HZ, Scripted, spoken
from tests.proxy.engines.keys import (
    SILENT,
    WELL,
    RecordedMetrics,
    Turns,
    cloud_engine,
    count_audio,
    job,
    later,
    speech,
)
from tests.speech_engine.host.fakes import read
from tests.speech_engine.host.simulated_time import simulated
from tests.tables import each_row
from tests.waiting import forever

FAULTY = (EngineFailed("it broke"),)
WHOLE = RATE_HZ // 10 * 2


async def fail(engine: CloudEngine, times: int = 1) -> None:
    """Fail with the texts of two accounts in turn."""
    for number in range(times):
        with pytest.raises(EngineError):
            await count_audio(engine, job(tenant=f"acc_{number % 2}"))


def shorten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("policies.provider_waits._BASE_S", 0.001)


@pytest.mark.parametrize("error", [EngineStumbled("x"), EngineLimited("x", retry_after_s=0.001)])
@simulated
async def test_a_job_that_certainly_did_nothing_is_asked_again(
    error: EngineError, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorten(monkeypatch)
    monkeypatch.setattr("proxy.engines.providers.provider_key._SHORTEST_PAUSE_S", 0.001)
    metrics = RecordedMetrics()
    cloud = Turns([error], [error], WELL)
    assert await count_audio(cloud_engine(cloud, metrics=metrics)) == WHOLE
    assert len(cloud.jobs) == 3
    assert metrics.retries == [f"cloud {type(error).__name__}"] * 2


async def test_three_tries_are_all(monkeypatch: pytest.MonkeyPatch) -> None:
    shorten(monkeypatch)
    cloud = Turns([EngineStumbled("x")])
    with pytest.raises(EngineStumbled):
        await count_audio(cloud_engine(cloud))
    assert len(cloud.jobs) == 3


@each_row(
    "error",
    [
        EngineFailed("x"),
        EngineTimeout("x"),
        EngineUnavailable("x"),
        ContentRefused("x"),
        UnsupportedText("x"),
        VoiceNotFound("x"),
        EngineUnauthorized("x"),
    ],
)
async def test_a_job_that_may_have_cost_something_or_will_not_change_is_not_asked_again(
    error: EngineError,
) -> None:
    cloud, metrics = Turns([error]), RecordedMetrics()
    with pytest.raises(type(error)):
        await count_audio(cloud_engine(cloud, metrics=metrics))
    assert len(cloud.jobs) == 1
    assert metrics.retries == []


async def test_after_audio_nothing_is_asked_again() -> None:
    cloud = Turns([*spoken(0.1)[:-1], EngineStumbled("x")], WELL)
    speaking = speech(cloud_engine(cloud))
    assert isinstance(await speaking.next_event(), Started)
    assert isinstance(await speaking.next_event(), Audio)
    with pytest.raises(EngineStumbled):
        await speaking.next_event()
    assert await speaking.next_event() is None
    assert len(cloud.jobs) == 1


async def test_a_start_without_audio_is_nothing_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    shorten(monkeypatch)
    cloud = Turns([Started(RATE_HZ), EngineStumbled("x")], WELL)
    assert await count_audio(cloud_engine(cloud)) == WHOLE


async def test_a_provider_is_not_waited_for_longer_than_there_is_time() -> None:
    cloud = Turns([EngineLimited("x", retry_after_s=30.0)], WELL)
    with pytest.raises(EngineLimited) as raised:
        await count_audio(cloud_engine(cloud), job(deadline_s=20.0))
    assert raised.value.retry_after_s == 30.0
    assert len(cloud.jobs) == 1


@simulated
async def test_each_try_has_the_time_that_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    shorten(monkeypatch)
    cloud = Turns([lambda: asyncio.sleep(0.2), EngineStumbled("x")], WELL)
    await count_audio(cloud_engine(cloud), job(deadline_s=2.0))
    first, second = cloud.jobs
    assert first.deadline_s == 2.0
    assert 1.79 <= second.deadline_s <= 1.8


@simulated
async def test_a_jobs_wait_for_its_slot_is_taken_off_its_time() -> None:
    cloud = Turns([lambda: asyncio.sleep(0.3), *WELL], WELL, slots=1)
    engine = cloud_engine(cloud)
    await asyncio.gather(count_audio(engine), count_audio(engine))
    assert [each.deadline_s for each in cloud.jobs] == pytest.approx([5.0, 4.7])


async def test_a_key_with_enough_faults_rests_and_is_not_asked() -> None:
    cloud, metrics = Turns(FAULTY), RecordedMetrics()
    engine = cloud_engine(cloud, metrics=metrics)
    await fail(engine, MOST_FAULTS)
    assert (engine.state, engine.reason) == ("resting", "it broke")
    with pytest.raises(EngineUnavailable, match="cloud is resting: it broke") as raised:
        await count_audio(engine)
    assert 1.0 <= (raised.value.retry_after_s or 0.0) <= 5.0
    assert len(cloud.jobs) == MOST_FAULTS
    assert metrics.resting == [(1, True)]
    assert metrics.alarms == []


async def test_one_probe_goes_through_and_closes_it() -> None:
    gate = asyncio.Event()
    cloud, metrics = Turns(*[FAULTY] * MOST_FAULTS, [gate.wait, *WELL]), RecordedMetrics()
    engine = cloud_engine(cloud, metrics=metrics)
    await fail(engine, MOST_FAULTS)
    later(engine)
    cloud.asked.clear()
    probe = asyncio.create_task(count_audio(engine))
    await cloud.asked.wait()
    for _ in range(3):
        with pytest.raises(EngineUnavailable, match="resting"):
            await count_audio(engine)
    gate.set()
    assert await probe == WHOLE
    assert (engine.state, engine.reason) == ("ready", "")
    assert len(cloud.jobs) == MOST_FAULTS + 1
    assert metrics.resting == [(1, True), (1, False)]
    assert not engine.keys[0].wants_look.is_set(), "its provider would be asked every few seconds for ever"
    assert await count_audio(engine) == WHOLE


async def test_a_failed_probe_rests_twice_as_long() -> None:
    engine = cloud_engine(Turns(FAULTY))
    await fail(engine, MOST_FAULTS)
    later(engine)
    await fail(engine, 2)
    assert engine.keys[0].breaker.open_s == 10.0


async def test_many_that_fail_together_are_one_reason_to_rest() -> None:
    cloud = Turns([lambda: asyncio.sleep(0.01), *FAULTY], slots=30)
    engine = cloud_engine(cloud)
    jobs = [job(tenant=f"acc_{number % 2}") for number in range(30)]
    await asyncio.gather(*(count_audio(engine, each) for each in jobs), return_exceptions=True)
    assert len(cloud.jobs) == 30
    assert engine.keys[0].breaker.open_s == 5.0


@pytest.mark.parametrize("error", [EngineBusy("x"), EngineLimited("x", retry_after_s=9.0)])
async def test_a_probe_that_tells_nothing_leaves_it_to_the_next(error: EngineError) -> None:
    cloud = Turns(*[FAULTY] * MOST_FAULTS, [error], WELL)
    engine = cloud_engine(cloud)
    await fail(engine, MOST_FAULTS)
    later(engine)
    with pytest.raises(type(error)):
        await count_audio(engine, job(deadline_s=2.0))
    assert engine.state == "resting"
    assert engine.keys[0].may_try("acc_1")


async def test_a_client_that_leaves_its_probe_leaves_it_to_the_next() -> None:
    cloud = Turns(*[FAULTY] * MOST_FAULTS, SILENT, WELL)
    engine = cloud_engine(cloud)
    await fail(engine, MOST_FAULTS)
    later(engine)
    cloud.asked.clear()
    probe = asyncio.create_task(count_audio(engine))
    await cloud.asked.wait()
    probe.cancel()
    await asyncio.wait([probe])
    assert cloud.open == 0
    assert await count_audio(engine) == WHOLE
    assert engine.state == "ready"


async def test_a_stream_that_its_listener_closes_is_no_fault() -> None:
    engine = cloud_engine(Turns([*spoken(0.1)[:-1], *SILENT]))
    for _ in range(MOST_FAULTS + 1):
        speaking = speech(engine)
        while not isinstance(await speaking.next_event(), Audio):
            pass
        await speaking.close()
    assert engine.keys[0].breaker.faults == 0


async def silent_until(deadline_s: float, engine: CloudEngine) -> None:
    """As the pipeline does it: its clock ends what has come to nothing."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(deadline_s):
            await count_audio(engine, job(deadline_s=deadline_s))


@simulated
async def test_an_engine_that_was_silent_until_its_deadline_has_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("proxy.engines.providers.provider_key._LEAST_SILENCE_S", 0.1)
    engine = cloud_engine(Turns(SILENT))
    await silent_until(0.2, engine)
    assert engine.keys[0].breaker.faults == 1


@simulated
async def test_an_engine_that_rests_after_silences_says_which_setting_bounds_them() -> None:
    engine = cloud_engine(Turns(SILENT))
    for number in range(MOST_FAULTS):
        stream = engine.open(Speak(job(tenant=f"acc_{number}")), lambda _: 4.0)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(read(stream), 4.0)
    assert engine.state == "resting"
    assert engine.reason == "It sent nothing for 4.0 s; silent_s sets how long it may."


class Mute(Scripted):
    """It hears all of a sound, and says nothing."""

    heard = 0

    async def convert(self, job: SpeechJob, pcm: AsyncIterator[bytes]) -> AsyncGenerator[Event, None]:
        yield Started(RATE_HZ)
        async for _ in pcm:
            self.heard += 1
        await forever()


async def _stalls(pieces: int, may_end: asyncio.Event) -> AsyncIterator[bytes]:
    """What another engine speaks, until that falls silent."""
    for _ in range(pieces):
        yield bytes(4_800)
    await may_end.wait()


@pytest.mark.parametrize(("ends", "faults"), [(False, 0), (True, 1)])
@simulated
async def test_an_engine_that_waits_for_what_another_has_to_say_is_not_silent(
    monkeypatch: pytest.MonkeyPatch, ends: bool, faults: int
) -> None:
    monkeypatch.setattr("proxy.engines.providers.provider_key._LEAST_SILENCE_S", 0.1)
    cloud, may_end = Mute(), asyncio.Event()
    engine = cloud_engine(cloud)
    if ends:
        may_end.set()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await read(engine.open(Convert(job(deadline_s=0.2)), pcm=_stalls(3, may_end)))
    assert (cloud.heard, engine.keys[0].breaker.faults) == (3, faults)


@simulated
async def test_a_client_who_left_before_the_deadline_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.engines.providers.provider_key._LEAST_SILENCE_S", 0.1)
    engine = cloud_engine(Turns(SILENT))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await count_audio(engine, job(deadline_s=5.0))
    assert engine.keys[0].breaker.faults == 0


@simulated
async def test_an_engine_that_was_hardly_asked_was_not_silent() -> None:
    engine = cloud_engine(Turns(SILENT))
    await silent_until(0.2, engine)
    assert engine.keys[0].breaker.faults == 0


@simulated
async def test_waiting_in_our_own_line_is_nobodys_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.engines.providers.provider_key._LEAST_SILENCE_S", 0.0)
    cloud = Turns(SILENT, WELL, slots=1)
    engine = cloud_engine(cloud)
    first = asyncio.create_task(count_audio(engine, job(deadline_s=60.0)))
    await cloud.asked.wait()
    for _ in range(MOST_FAULTS):
        with pytest.raises(EngineTimeout, match="No slot"):
            await count_audio(engine, job(deadline_s=0.02))
        await silent_until(0.02, engine)
    assert (engine.state, engine.keys[0].breaker.faults) == ("ready", 0)
    first.cancel()
    await asyncio.wait([first])


async def test_a_full_line_neither_opens_nor_closes_anything() -> None:
    cloud = Turns(SILENT, slots=1)
    engine = cloud_engine(cloud, queue=0)
    first = asyncio.create_task(count_audio(engine))
    await cloud.asked.wait()
    for _ in range(MOST_FAULTS):
        with pytest.raises(EngineBusy):
            await count_audio(engine)
    assert engine.keys[0].breaker.faults == 0
    first.cancel()
    await asyncio.wait([first])


@pytest.mark.parametrize("error", [EngineExhausted("no credit"), EngineUnauthorized("bad key")])
async def test_a_key_that_is_refused_gives_way_to_the_next_at_once(error: EngineError) -> None:
    one, two, metrics = Turns([error]), Turns(WELL), RecordedMetrics()
    engine = cloud_engine(one, two, metrics=metrics)
    for _ in range(3):
        assert await count_audio(engine) == WHOLE
    name = type(error).__name__
    assert (len(one.jobs), len(two.jobs)) == (1, 3)
    assert (engine.state, engine.reason) == ("ready", f"key 1: {error.message}")
    assert metrics.alarms == [f"cloud {name}"]
    assert metrics.resting == [(1, True)]
    assert engine.keys[0].breaker.open_s == LONGEST_OPEN_S


async def test_a_key_that_is_forbidden_a_text_gives_way_for_this_text_alone() -> None:
    one, two = Turns([EngineForbidden("no")], WELL), Turns(WELL)
    engine = cloud_engine(one, two)
    assert [await count_audio(engine) for _ in range(2)] == [WHOLE] * 2
    assert (len(one.jobs), len(two.jobs)) == (2, 1)


async def test_a_text_that_every_key_is_forbidden_is_tried_on_each_once() -> None:
    one, two, metrics = Turns([EngineForbidden("no")]), Turns([EngineForbidden("neither")]), RecordedMetrics()
    engine = cloud_engine(one, two, metrics=metrics)
    with pytest.raises(EngineForbidden, match="neither"):
        await count_audio(engine)
    assert (len(one.jobs), len(two.jobs)) == (1, 1)
    assert (engine.state, metrics.alarms) == ("ready", [])


async def test_when_all_keys_are_refused_it_rests_with_all_reasons() -> None:
    metrics = RecordedMetrics()
    engine = cloud_engine(
        Turns([EngineExhausted("empty")]), Turns([EngineUnauthorized("gone")]), metrics=metrics
    )
    with pytest.raises(EngineUnauthorized):
        await count_audio(engine)
    assert engine.state == "resting"
    assert engine.reason == "key 1: empty; key 2: gone"
    with pytest.raises(EngineUnavailable) as raised:
        await count_audio(engine)
    assert LONGEST_OPEN_S - 60.0 <= (raised.value.retry_after_s or 0.0) <= LONGEST_OPEN_S
    assert metrics.alarms == ["cloud EngineExhausted", "cloud EngineUnauthorized"]


async def test_one_alarm_is_enough_for_many_that_are_refused_together() -> None:
    metrics = RecordedMetrics()
    engine = cloud_engine(
        Turns([lambda: asyncio.sleep(0.01), EngineExhausted("x")], slots=20), metrics=metrics
    )
    await asyncio.gather(*(count_audio(engine) for _ in range(20)), return_exceptions=True)
    assert metrics.alarms == ["cloud EngineExhausted"]


@each_row("kind", [UnsupportedText, UnsupportedRequest, VoiceNotFound, ContentRefused, EngineCannot])
async def test_refusals_of_the_request_say_nothing_of_the_provider(kind: type[EngineError]) -> None:
    error = [kind("x")]
    scripts = [*[error] * MOST_FAULTS, *[FAULTY] * (MOST_FAULTS - 1), error, FAULTY, error, WELL]
    engine = cloud_engine(Turns(*scripts))
    await fail(engine, MOST_FAULTS + MOST_FAULTS)
    assert engine.state == "ready"
    await fail(engine)
    assert engine.state == "resting"
    later(engine)
    await fail(engine)
    assert engine.state == "resting"
    assert await count_audio(engine) == WHOLE
    assert engine.state == "ready"


async def test_its_models_are_those_of_a_key_that_knows_any() -> None:
    class Unasked(Turns):
        def models(self) -> tuple[()]:
            return ()

        def voices(self) -> tuple[()]:
            return ()

    engine = cloud_engine(Unasked(WELL), Turns(WELL))
    assert [model.id for model in engine.models()] == ["m"]
    assert [voice.id for voice in engine.voices()] == ["v"]


async def test_its_health_is_that_of_all_keys() -> None:
    engine = cloud_engine(Turns(WELL, slots=2), Turns(WELL, slots=3))
    health = await engine.health()
    assert (engine.slots, health.slots, health.running, health.waiting) == (5, 5, 0, 0)
