"""The process that signs: what it signs is found valid by others, and its end is nobody's trouble."""

import asyncio
import hashlib
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from structlog.testing import capture_logs

from proxy.config.sections import Config
from proxy.errors import NoDiskSpace, ReaderTooSlow
from proxy.features.marks.clip_facts import ClipSpeaker
from proxy.features.marks.manifest import ManifestFacts
from proxy.features.marks.section import TEST_CERTIFICATE, MarkingSection
from proxy.features.marks.signer import (
    Signer,
    SignerUnavailable,
    SoundFile,
)
from proxy.features.marks.signing_queue import LARGE_BYTES
from speech_engine.host.confinement import has_call_filter, has_landlock
from tests.features.marks.manifests import read
from tests.features.marks.signed_bytes import InMemory, embed
from tests.features.marks.time_stamper import time_stamper
from tests.proxy.audio.recordings.clips import KINDS, encoded, sine, wav
from tests.sound import tone

pytestmark = pytest.mark.slow

FACTS = ManifestFacts(1_790_000_000_000_000, (ClipSpeaker("xtts/en", ""),), ("spread", "3f2a91c0"))
WAV = wav(tone(440, 1.0))
CHILD = "proxy.features.marks.signing_child"
WAIT_S = 120.0


class Rig:
    """A signer with a data folder of its own."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.registry = CollectorRegistry()
        self.signer = Signer(self.registry, within_s=60.0, stamp_within_s=2.0)
        self.revise(MarkingSection())

    def revise(self, section: MarkingSection) -> None:
        self.signer.revise(Config(features={"marking": section}, data=str(self.data)))

    @property
    def metrics(self) -> str:
        return generate_latest(self.registry).decode()

    async def child(self) -> psutil.Process:
        """The process, which is there after a first signature."""
        await self.signer.sign_digest(FACTS, bytes(32))
        (child,) = children()
        return child


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    rig = Rig(tmp_path)
    try:
        async with asyncio.timeout(WAIT_S):
            yield rig
    finally:
        await rig.signer.close()
        assert not children()


def children(parent: int | None = None) -> list[psutil.Process]:
    return [child for child in psutil.Process(parent).children() if CHILD in _command(child)]


def _command(process: psutil.Process) -> list[str]:
    with suppress(psutil.Error):
        return list(process.cmdline())
    return []


async def test_a_digest_is_enough_for_the_manifest_of_any_file(rig: Rig) -> None:
    body = os.urandom(10_000)
    signed = await rig.signer.sign_digest(FACTS, hashlib.sha256(body).digest())
    for format_ in ("mp3", "opus", "aac", "flac", "wav", "pcm"):
        assert read(format_, body, signed.data).state == "Valid"
    assert read("mp3", body[:-1] + bytes([body[-1] ^ 1]), signed.data).state == "Invalid"
    assert read("mp3", body + b"x", signed.data).state == "Invalid"
    assert 'voxgate_manifests_total{result="plain"} 1.0' in rig.metrics


async def test_a_manifest_says_what_made_the_sound_and_nothing_of_its_user(rig: Rig) -> None:
    reading = read("pcm", b"x", (await rig.signer.sign_digest(FACTS, hashlib.sha256(b"x").digest())).data)
    (generator,) = reading.active["claim_generator_info"]
    assert generator["name"] == "voxgate"
    (created,) = reading.actions
    assert created["action"] == "c2pa.created"
    assert created["when"] == "2026-09-21T14:13:20Z"
    assert created["softwareAgent"] == {"name": "xtts/en"}
    assert created["digitalSourceType"].endswith("/trainedAlgorithmicMedia")
    assert reading.assertion("org.voxgate.mark") == {"plugin": "spread", "key": "3f2a91c0"}
    assert {each["label"] for each in reading.active["assertions"]} <= {
        *("c2pa.actions.v2", "org.voxgate.mark", "c2pa.hash.data"),
    }


async def test_rules_are_no_trained_model_and_all_who_spoke_are_named(rig: Rig) -> None:
    facts = ManifestFacts(
        0, (ClipSpeaker("espeak/standard", "", is_trained=False), ClipSpeaker("xtts/en", ""))
    )
    reading = read("pcm", b"x", (await rig.signer.sign_digest(facts, hashlib.sha256(b"x").digest())).data)
    assert reading.state == "Valid"
    assert [each["softwareAgent"]["name"] for each in reading.actions] == ["espeak/standard", "xtts/en"]
    assert [each["digitalSourceType"].rpartition("/")[2] for each in reading.actions] == [
        "algorithmicMedia",
        "trainedAlgorithmicMedia",
    ]


@pytest.mark.parametrize("format_", ["wav", "mp3", "flac"])
async def test_a_file_with_its_manifest_inside_is_valid_and_plays(rig: Rig, format_: str) -> None:
    body = WAV if format_ == "wav" else encoded(KINDS[format_], sine(440, 1.0, KINDS[format_].rate_hz))
    media_type = {"wav": "audio/wav", "mp3": "audio/mpeg", "flac": "audio/flac"}[format_]
    signed = await embed(rig.signer, FACTS, body, media_type)
    assert read(format_, signed.data).state == "Valid"
    at = signed.data.find(body[-400:-200])
    tampered = signed.data[:at] + bytes([signed.data[at] ^ 1]) + signed.data[at + 1 :]
    assert read(format_, tampered).state == "Invalid"
    assert read(format_, body).state == "None"


async def test_the_manifest_of_a_provider_stays_in_ours(rig: Rig) -> None:
    mp3 = encoded(KINDS["mp3"], sine(440, 1.0))
    theirs = (await embed(rig.signer, FACTS, mp3, "audio/mpeg")).data
    ours = await embed(rig.signer, FACTS, WAV, parent=SoundFile(InMemory(theirs), "audio/mpeg"))
    reading = read("wav", ours.data)
    assert ours.has_parent
    assert reading.state == "Valid"
    assert len(reading.store["manifests"]) == 2
    (ingredient,) = reading.active["ingredients"]
    assert ingredient["relationship"] == "parentOf"
    assert ingredient["active_manifest"] in reading.store["manifests"]
    assert reading.actions[0]["action"] == "c2pa.opened"


async def test_a_parent_that_cannot_be_read_is_left_out(rig: Rig) -> None:
    ours = await embed(rig.signer, FACTS, WAV, parent=SoundFile(InMemory(b"x" * 99), "audio/wav"))
    assert not ours.has_parent
    assert read("wav", ours.data).state == "Valid"


async def test_the_test_certificate_is_private_stays_and_can_be_trusted(rig: Rig) -> None:
    digest = hashlib.sha256(b"x").digest()
    first = await rig.signer.sign_digest(FACTS, digest)
    file = rig.data / TEST_CERTIFICATE
    assert file.stat().st_mode & 0o777 == 0o600
    stored = file.read_text()
    rig.revise(MarkingSection())
    second = await rig.signer.sign_digest(FACTS, digest)
    assert file.read_text() == stored
    root = stored.split("-----END CERTIFICATE-----\n")[1] + "-----END CERTIFICATE-----\n"
    for signed in (first, second):
        assert read("pcm", b"x", signed.data).state == "Valid"
        assert read("pcm", b"x", signed.data, root).state == "Trusted"


@pytest.mark.clock
async def test_a_file_with_a_place_waits_for_its_turn_however_long_that_takes(rig: Rig) -> None:
    child = await rig.child()
    places = [await rig.signer.take_place("one") for _ in range(2)]
    child.suspend()
    first, second = (
        asyncio.create_task(embed(rig.signer, FACTS, WAV, account="one", place=place)) for place in places
    )
    await asyncio.sleep(0.05)  # the first one has its turn, and the second one waits for it
    rig.signer.within_s = -0.9  # and no time for a time stamp either
    with pytest.raises(SignerUnavailable):
        await embed(rig.signer, FACTS, WAV, account="one")
    rig.signer.within_s = 60.0
    child.resume()
    for signed in (await first, await second):
        assert read("wav", signed.data).state == "Valid"


async def test_no_place_is_given_where_nothing_could_sign(rig: Rig) -> None:
    rig.revise(MarkingSection(certificate="nonsense", certificate_key="nonsense"))
    with pytest.raises(SignerUnavailable):
        await rig.signer.take_place("one")
    assert repr(rig.signer).endswith("0 of 64 taken>>")


class Gone(InMemory):
    """A file of which half is gone when it is read, or for which there is no room when it comes."""

    async def pieces(self) -> AsyncIterator[bytes]:
        yield self.data[:1000]
        raise ReaderTooSlow("gone")

    async def add(self, data: bytes) -> None:
        del data
        raise NoDiskSpace("full")


@pytest.mark.parametrize(
    ("source", "sink", "raises"),
    [(Gone(WAV), InMemory(), SignerUnavailable), (InMemory(WAV), Gone(), NoDiskSpace)],
    ids=["source", "sink"],
)
async def test_a_file_that_is_gone_leaves_the_process_to_others(
    rig: Rig, source: InMemory, sink: InMemory, raises: type[Exception]
) -> None:
    child = await rig.child()
    with pytest.raises(raises), capture_logs() as logs:
        await rig.signer.embed(FACTS, SoundFile(source, "audio/wav"), sink)
    assert not [line for line in logs if line["log_level"] == "error"]
    assert read("wav", (await embed(rig.signer, FACTS, WAV)).data).state == "Valid"
    assert children() == [child]


async def test_a_process_killed_with_half_a_file_begins_with_it_again(rig: Rig) -> None:
    child, sink = await rig.child(), InMemory()
    add = sink.add

    async def kill_and_add(data: bytes) -> None:
        sink.add = add  # type: ignore[method-assign]  # once
        child.kill()
        child.wait()
        await add(data)

    sink.add = kill_and_add  # type: ignore[method-assign]  # a kill in the middle
    large = wav(bytes(3 * LARGE_BYTES))
    await rig.signer.embed(FACTS, SoundFile(InMemory(large), "audio/wav"), sink)
    assert read("wav", sink.data).state == "Valid"
    assert len(sink.data) > len(large)


async def test_nothing_is_signed_with_a_certificate_that_is_none(rig: Rig) -> None:
    rig.revise(MarkingSection(certificate="nonsense", certificate_key="nonsense"))
    with pytest.raises(SignerUnavailable):
        await rig.signer.sign_digest(FACTS, bytes(32))
    assert 'voxgate_manifests_total{result="failed"} 1.0' in rig.metrics
    rig.revise(MarkingSection())
    assert (await rig.signer.sign_digest(FACTS, bytes(32))).data


async def test_a_time_stamper_that_is_away_costs_its_stamp_alone(rig: Rig) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        rig.revise(MarkingSection(timestamp_url=f"http://127.0.0.1:{closed.getsockname()[1]}/"))
        signed = await rig.signer.sign_digest(FACTS, bytes(32))
    assert not signed.is_stamped
    assert not rig.signer.can_stamp
    assert 'voxgate_manifests_total{result="unstamped"} 1.0' in rig.metrics


async def test_a_time_stamper_that_never_answers_is_asked_once_and_left_alone(rig: Rig) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(0)
        rig.revise(MarkingSection(timestamp_url=f"http://127.0.0.1:{silent.getsockname()[1]}/"))
        for _ in range(3):
            assert not (await rig.signer.sign_digest(FACTS, bytes(32))).is_stamped
        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):
            silent.accept()


async def test_nobody_else_waits_for_a_time_stamper(rig: Rig) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        rig.revise(MarkingSection(timestamp_url=f"http://127.0.0.1:{silent.getsockname()[1]}/"))
        stamping = asyncio.create_task(rig.signer.sign_digest(FACTS, bytes(32)))
        query, _ = await asyncio.to_thread(silent.accept)
        with query:
            for child in children():
                child.suspend()  # so it stays in its wait, whatever the machine does meanwhile
            signed = await embed(rig.signer, FACTS, WAV)
            assert not stamping.done()
            assert read("wav", signed.data).state == "Valid"
            assert 'voxgate_manifests_total{result="plain"} 1.0' in rig.metrics
            for child in children():
                child.resume()
            assert not (await stamping).is_stamped


async def test_the_process_has_no_files_no_programs_and_no_network(rig: Rig) -> None:
    if not (has_landlock() and has_call_filter()):
        pytest.skip("this kernel has no landlock or no seccomp")
    signed = await rig.signer.sign_digest(FACTS, bytes(32))
    assert signed.lacks == ()


def test_the_library_stays_in_the_process_which_ends_with_its_worker(
    tmp_path: Path,
) -> None:
    program = (sys.executable, "-m", "tests.features.marks.signing_program", str(tmp_path))
    with subprocess.Popen(program, stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        loaded = next(line for line in worker.stdout if line in (b"light\n", b"loaded\n"))
        assert loaded == b"light\n"
        line = next(line for line in worker.stdout if line.startswith(b"child"))
        child = psutil.Process(int(line.split()[1]))
        worker.kill()
    _, alive = psutil.wait_procs([child], timeout=WAIT_S)
    assert not alive


async def test_a_time_stamper_proves_when_it_was_signed(rig: Rig) -> None:
    with time_stamper() as stamper:
        rig.revise(MarkingSection(timestamp_url=stamper.url))
        signed = await rig.signer.sign_digest(FACTS, hashlib.sha256(b"x").digest())
        inside = await embed(rig.signer, FACTS, WAV, place=await rig.signer.take_place("one"))
    assert signed.is_stamped
    assert inside.is_stamped
    for reading in (read("pcm", b"x", signed.data), read("wav", inside.data)):
        assert reading.state == "Valid"
        assert datetime.fromisoformat(reading.active["signature_info"]["time"]) > datetime(
            2026, 1, 1, tzinfo=UTC
        )
    assert 'voxgate_manifests_total{result="stamped"} 2.0' in rig.metrics
    assert 'voxgate_manifests_total{result="plain"}' not in rig.metrics


async def test_a_time_stamper_that_refuses_costs_its_stamp_alone(rig: Rig) -> None:
    with time_stamper() as stamper:
        stamper.is_refusing = True
        rig.revise(MarkingSection(timestamp_url=stamper.url))
        assert not (await rig.signer.sign_digest(FACTS, bytes(32))).is_stamped
        assert stamper.asked == 1
