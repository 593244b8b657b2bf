"""Places and turns at the signer, with scripted processes: who is let in, who waits, what is dropped."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from proxy.config.sections import Config
from proxy.features.marks.certificate import read_certificate
from proxy.features.marks.clip_facts import ClipSpeaker
from proxy.features.marks.manifest import ManifestFacts
from proxy.features.marks.section import MarkingSection
from proxy.features.marks.signer import (
    MOST_OF_ACCOUNT,
    MOST_PLACES,
    Signer,
    SignerUnavailable,
    SoundFile,
)
from proxy.features.marks.signing import MOST_BODY_BYTES, Signed, SignRequest, Unsigned
from proxy.features.marks.signing_queue import FILE_GONE, LARGE_BYTES, FileSource, SigningQueue
from proxy.helpers.limiter import FairLimiter
from proxy.speech.speech_stream import FileSink
from tests.features.marks.certificates import make_chain
from tests.features.marks.signed_bytes import InMemory, embed
from tests.tables import each_row
from tests.waiting import soon

FACTS = ManifestFacts(1_790_000_000_000_000, (ClipSpeaker("xtts/en", ""),))
STAMPER = "http://127.0.0.1:1/"

Answer = Callable[[SignRequest, FileSink | None], Awaitable[Signed | Unsigned]]


class Room:
    """All processes, and what they answer."""

    def __init__(self) -> None:
        self.asked: list[SignRequest] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.answer: Answer = self.sign
        self.is_stamped = True

    async def ask(
        self,
        request: SignRequest,
        within_s: float,
        sources: Sequence[FileSource] = (),
        sink: FileSink | None = None,
    ) -> Signed | Unsigned:
        del within_s, sources
        self.asked.append(request)
        await self.may_answer.wait()
        return await self.answer(request, sink)

    async def sign(self, request: SignRequest, sink: FileSink | None) -> Signed:
        if sink is not None:
            await sink.add(b"signed")
        return Signed(b"manifest", is_stamped=bool(request.timestamp_url) and self.is_stamped)


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Room:
    made = Room()
    monkeypatch.setattr(SigningQueue, "sign", lambda _lane, *asked: made.ask(*asked))
    return made


@pytest.fixture
async def signer(room: Room, tmp_path: Path) -> AsyncIterator[Signer]:
    made = Signer(CollectorRegistry())
    revise(made, tmp_path)
    yield made
    room.may_answer.set()
    await made.close()


def revise(signer: Signer, data: Path, section: MarkingSection | None = None) -> None:
    signer.revise(Config(features={"marking": section or MarkingSection()}, data=str(data)))


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def shown(places: int, under_way: int = 0) -> str:
    return (
        f"<Signer, {under_way} under way, <FairLimiter for files to sign, {places} of {MOST_PLACES} taken>>"
    )


async def test_an_account_and_all_have_so_many_places_and_each_is_given_back_once(signer: Signer) -> None:
    mine = [await signer.take_place("mine") for _ in range(MOST_OF_ACCOUNT)]
    with pytest.raises(SignerUnavailable):
        await signer.take_place("mine")
    others = [await signer.take_place(f"other {number}") for number in range(MOST_PLACES - MOST_OF_ACCOUNT)]
    with pytest.raises(SignerUnavailable):
        await signer.take_place("one more")
    for _ in range(3):
        mine[0].give_back()
    assert repr(signer) == shown(MOST_PLACES - 1)
    await signer.take_place("one more")
    for place in (*mine, *others):
        place.give_back()
    assert repr(signer) == shown(1)


async def test_what_is_being_signed_keeps_its_place(signer: Signer, room: Room) -> None:
    place = await signer.take_place("mine")
    room.may_answer.clear()
    signing = asyncio.create_task(embed(signer, FACTS, b"sound", account="mine", place=place))
    await turns()
    place.give_back()
    assert repr(signer) == shown(1, under_way=1)
    room.may_answer.set()
    assert (await signing).data == b"signed"
    await turns()
    assert repr(signer) == shown(0)


class Sized(InMemory):
    """A file that says how large it is."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size

    @property
    def size(self) -> int:
        return self._size


async def test_a_file_beyond_the_most_is_refused_and_a_parent_beyond_it_is_left_out(
    signer: Signer, room: Room
) -> None:
    parent = SoundFile(InMemory(bytes(2)), "audio/wav")
    too_long = SoundFile(Sized(MOST_BODY_BYTES + 1), "audio/wav")
    assert await signer.embed(FACTS, too_long, InMemory()) is None
    assert room.asked == []
    for size, stored in ((MOST_BODY_BYTES - 1, 0), (MOST_BODY_BYTES - 2, 2)):
        await signer.embed(FACTS, SoundFile(Sized(size), "audio/wav"), InMemory(), parent)
        assert room.asked[-1].parent_bytes == stored
    assert [request.file_bytes for request in room.asked] == [MOST_BODY_BYTES - 1, MOST_BODY_BYTES - 2]


async def test_a_parent_that_cannot_be_signed_with_is_left_out(signer: Signer, room: Room) -> None:
    async def without_parents(request: SignRequest, sink: FileSink | None) -> Signed | Unsigned:
        return Unsigned("a broken parent") if request.parent_bytes else await room.sign(request, sink)

    room.answer = without_parents
    parent = SoundFile(InMemory(b"parent"), "audio/wav")
    assert (await embed(signer, FACTS, b"sound", parent=parent)).data == b"signed"
    assert [bool(request.parent_bytes) for request in room.asked] == [True, False]


@each_row(("answer", "signed", "failed"), [(Unsigned("a broken parent"), 2, 1), (FILE_GONE, 1, 0)])
async def test_a_file_that_is_gone_is_not_signed_again_and_another_fails_once(
    answer: Unsigned, signed: int, failed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_request: SignRequest, _sink: FileSink | None) -> Unsigned:
        return answer

    room, registry = Room(), CollectorRegistry()
    room.answer = refuse
    monkeypatch.setattr(SigningQueue, "sign", lambda _lane, *asked: room.ask(*asked))
    signer = Signer(registry)
    revise(signer, tmp_path)
    room.may_answer.clear()
    parent = SoundFile(InMemory(b"parent"), "audio/wav")
    signing = asyncio.create_task(embed(signer, FACTS, b"sound", parent=parent))
    await soon(lambda: room.asked)
    # What fails counts, also where nobody waits for it any more.
    signing.cancel()
    room.may_answer.set()
    await soon(lambda: repr(signer) == shown(0))
    await signer.close()
    assert len(room.asked) == signed
    assert (registry.get_sample_value("voxgate_manifests_total", {"result": "failed"}) or 0) == failed


async def test_a_stamper_that_fails_rests_and_a_new_one_is_asked_at_once(
    signer: Signer, room: Room, tmp_path: Path
) -> None:
    revise(signer, tmp_path, MarkingSection(timestamp_url=STAMPER))
    room.is_stamped = False
    room.may_answer.clear()
    # The second waits for its turn at the same process, and finds that the stamper failed the first.
    signing = [asyncio.create_task(signer.sign_digest(FACTS, bytes(32))) for _ in range(2)]
    await turns()
    room.may_answer.set()
    await asyncio.gather(*signing)
    assert [request.timestamp_url for request in room.asked] == [STAMPER, ""]
    assert not signer.can_stamp
    # The same stamper goes on resting, whatever else is new.
    revise(signer, tmp_path, MarkingSection(timestamp_url=STAMPER))
    assert not signer.can_stamp
    revise(signer, tmp_path, MarkingSection(timestamp_url=f"{STAMPER}other"))
    assert signer.can_stamp


async def test_a_stamp_that_came_lets_the_stamper_go_on(signer: Signer, room: Room, tmp_path: Path) -> None:
    revise(signer, tmp_path, MarkingSection(timestamp_url=STAMPER))
    assert (await signer.sign_digest(FACTS, bytes(32))).is_stamped
    assert signer.can_stamp
    # What nobody asked for, and has no place, waits for no stamper.
    await embed(signer, FACTS, b"sound")
    assert room.asked[-1].timestamp_url == ""


async def test_a_new_certificate_signs_from_its_revision_on(
    signer: Signer, room: Room, tmp_path: Path
) -> None:
    await signer.sign_digest(FACTS, bytes(32))
    made = make_chain()
    revise(signer, tmp_path, MarkingSection(certificate=made.chain, certificate_key=made.key))
    await signer.sign_digest(FACTS, bytes(32))
    assert room.asked[0].chain != room.asked[1].chain == read_certificate(made.chain, made.key).chain


@pytest.fixture
async def lane() -> AsyncIterator[SigningQueue]:
    made = SigningQueue(has_network=False)
    yield made
    await made.close()


async def test_only_one_large_file_waits_with_the_small_ones(lane: SigningQueue) -> None:
    had: list[str] = []
    may_go = asyncio.Event()

    async def have(name: str, size: int) -> None:
        async with lane.turn_of(None, size):
            await may_go.wait()
            had.append(name)

    sizes = {"first": LARGE_BYTES + 1, "second": LARGE_BYTES + 1, "small": LARGE_BYTES}
    having = []
    for name, size in sizes.items():
        having.append(asyncio.create_task(have(name, size)))
        await turns()
    may_go.set()
    await asyncio.gather(*having)
    assert had == ["first", "small", "second"]


async def test_files_of_one_account_go_one_by_one(lane: SigningQueue) -> None:
    places = FairLimiter("files", places=4, of_account=2, at_once=4)
    async with lane.turn_of(places.reserve_place("mine"), 1):
        waiting = asyncio.create_task(lane.turn_of(places.reserve_place("mine"), 1).__aenter__())
        await turns()
        assert not waiting.done()
        waiting.cancel()
        await asyncio.wait([waiting])
