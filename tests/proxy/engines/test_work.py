"""Clones, deletions and conversions reach every engine, wherever it runs, the way that speech does."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest

from policies.breaker import Breaker
from proxy.engines.in_process import InProcessEngine
from proxy.engines.providers.cloud_engine import CloudEngine
from proxy.engines.providers.provider_key import ProviderKey, ProviderPace
from proxy.hosts.hosted import HostedEngine
from speech_engine import (
    Audio,
    CloneInfo,
    CloneList,
    CloneRequest,
    ClonesListed,
    Convert,
    Engine,
    EngineError,
    EngineFailed,
    EngineStumbled,
    EngineUnauthorized,
    Event,
    FindClone,
    Finished,
    Hear,
    HearJob,
    ListClones,
    ReadSounds,
    SoundsRead,
    SpeechJob,
    Started,
    UnsupportedText,
    VoiceMade,
    VoiceNotFound,
    Work,
)
from speech_engine.host.slots import Slots
from speech_engine.testing.recordings import PcmRecording
from tests.features.transcriptions.ears import Ears
from tests.proxy.engines.keys import RecordedMetrics
from tests.proxy.hosts.host_rig import hosted
from tests.speech_engine.host import fakes
from tests.speech_engine.host.fakes import clone, delete, job
from tests.tables import each_row
from tests.waiting import soon

SOUNDS = ReadSounds(id="work_3", tenant="acc_1", deadline_s=5.0, texts=("un", "deux"), language="fr")
PLACES = ("in process", "cloud", "hosted")
AnyEngine = InProcessEngine | CloudEngine | HostedEngine


class Voiceless(fakes.FakeEngine):
    """It speaks, and can do nothing else."""


def cloud(*engines: Engine, queue: int = 4) -> CloudEngine:
    metrics = RecordedMetrics()
    keys = [
        ProviderKey("cloud", number, each, Slots(each.slots, queue), ProviderPace(None), metrics)
        for number, each in enumerate(engines, 1)
    ]
    return CloudEngine("cloud", keys, metrics)


@asynccontextmanager
async def placed(place: str, engine: Engine) -> AsyncIterator[AnyEngine]:
    if place == "in process":
        yield InProcessEngine(engine, 4)
    elif place == "cloud":
        yield cloud(engine)
    else:
        with fakes.short_folder() as folder:
            async with fakes.host(engine, folder / "1"), hosted(folder / "1") as voice:
                yield voice


@each_row("place", PLACES)
async def test_a_voice_is_made_and_deleted(place: str) -> None:
    studio = fakes.Studio()
    async with placed(place, studio) as engine:
        assert await fakes.read(engine.open(clone("anna"))) == [VoiceMade("anna"), Finished()]
        assert studio.voices_made == ["anna"]
        assert await fakes.read(engine.open(delete("anna"))) == [Finished()]
        with pytest.raises(VoiceNotFound):
            await fakes.read(engine.open(delete("anna")))
        assert (await engine.health()).running == 0


@each_row("place", PLACES)
async def test_clones_are_found_and_listed(place: str) -> None:
    studio = fakes.Studio()
    studio.voices_made += ["anna", "anton", "ben"]
    find = FindClone(id="work_1", tenant="acc_1", deadline_s=5.0, name="anna")
    nobody = msgspec.structs.replace(find, name="nobody")
    names = ListClones(id="work_2", tenant="acc_1", deadline_s=5.0, prefix="an")
    async with placed(place, studio) as engine:
        assert await fakes.read(engine.open(find)) == [VoiceMade("anna"), Finished()]
        assert await fakes.read(engine.open(nobody)) == [Finished()]
        (listed, _) = await fakes.read(engine.open(names))
    assert listed == ClonesListed(CloneList((CloneInfo("anna", "anna"), CloneInfo("anton", "anton"))))


@each_row("place", PLACES)
async def test_sounds_of_words_are_read(place: str) -> None:
    async with placed(place, fakes.Studio()) as engine:
        answer = await fakes.read(engine.open(SOUNDS))
        assert answer == [SoundsRead(("fr: un", "fr: deux")), Finished()]
        assert (await engine.health()).running == 0


@each_row("place", PLACES)
async def test_a_recording_is_converted(place: str) -> None:
    async with placed(place, fakes.Studio()) as engine:
        events = await fakes.read(engine.open(Convert(job()), pcm=PcmRecording(bytes(9_000))))
    assert (events[0], events[-1]) == (Started(fakes.RATE_HZ), Finished())
    assert b"".join(event.pcm for event in events if isinstance(event, Audio)) == bytes(9_000)


@each_row("place", PLACES)
async def test_recordings_of_one_account_leave_half_of_the_slots_to_others(place: str) -> None:
    go = asyncio.Event()
    ears = Ears(go.wait, Finished())
    async with placed(place, ears) as engine, asyncio.TaskGroup() as group:

        def hear(number: int, tenant: str) -> None:
            work = Hear(HearJob(id=f"hear_{number}", tenant=tenant, model="m"))
            group.create_task(fakes.read(engine.open(work, pcm=PcmRecording(bytes(2)))))

        for number in range(7):
            hear(number, "acc_1")
        await soon(lambda: ears.open == 4)
        hear(7, "acc_2")
        await soon(lambda: ears.open > 4)
        assert [job.tenant for job in ears.jobs] == [*["acc_1"] * 4, "acc_2"]
        go.set()
    assert len(ears.jobs) == 8


@each_row("place", PLACES)
@each_row("work", [clone("anna"), delete("anna"), SOUNDS], ids=["clone", "delete", "sounds"])
async def test_work_that_an_engine_cannot_do_is_a_failure(place: str, work: Work) -> None:
    async with placed(place, Voiceless()) as engine:
        with pytest.raises(EngineFailed, match="cannot do this work"):
            await fakes.read(engine.open(work))
        assert (await engine.health()).running == 0


async def test_at_a_provider_a_clone_waits_for_no_slot_of_speech() -> None:
    engine = cloud(fakes.Studio(), queue=0)
    held = [await engine.keys[0].slots.enter("z", 60.0) for _ in range(engine.slots)]
    assert isinstance((await fakes.read(engine.open(clone("anna"))))[0], VoiceMade)
    for turn in held:
        engine.keys[0].slots.leave(turn)


class Refusing(fakes.Studio):
    def __init__(self, error: EngineError) -> None:
        super().__init__()
        self.asked = 0
        self._error = error

    async def clone(self, request: CloneRequest) -> str:
        self.asked += 1
        raise self._error


@pytest.mark.parametrize("error", [EngineStumbled("x"), EngineUnauthorized("wrong key")])
async def test_a_clone_is_never_repeated_and_never_given_to_another_key(error: EngineError) -> None:
    one, two = Refusing(error), fakes.Studio()
    engine = cloud(one, two)
    with pytest.raises(type(error)):
        await fakes.read(engine.open(clone("anna")))
    assert (one.asked, two.voices_made) == (1, [])
    assert engine.state == "ready"


async def test_a_clone_is_no_probe_of_an_open_breaker() -> None:
    engine = cloud(fakes.Studio())
    opened = Breaker(faults=5, open_s=0.001, since=0.0)
    engine.keys[0].breaker = opened
    await fakes.read(engine.open(clone("anna")))
    assert engine.keys[0].breaker == opened


class Fussy(fakes.Studio):
    """Refuses a recording after its beginning."""

    async def convert(self, job: SpeechJob, pcm: AsyncIterator[bytes]) -> AsyncGenerator[Event, None]:
        await anext(pcm)
        yield Started(fakes.RATE_HZ)
        raise UnsupportedText("It is silent.")


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield bytes(9_600)


@each_row("place", PLACES)
async def test_who_refuses_a_recording_that_still_comes_says_why(place: str) -> None:
    async with placed(place, Fussy()) as engine:
        for pcm in (endless(), PcmRecording(bytes(3_000_000))):
            with pytest.raises(UnsupportedText, match="It is silent"):
                await fakes.read(engine.open(Convert(job()), pcm=pcm))
        assert (await engine.health()).running == 0
