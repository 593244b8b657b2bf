"""What is read of good, strange and hostile manifests, in the test's process and in a confined one."""

import random

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from proxy.features.marks.findings import ManifestFinding, ManifestJob
from proxy.features.marks.manifest_child import read_manifest
from speech_engine.host.confinement import has_call_filter, has_landlock
from tests.faults.hostile_uploads import listener
from tests.features.marks.signed_files import WHEN, Signatory, beside, elsewhere, signatory, signed
from tests.proxy.audio.recordings.clips import KINDS, encoded, sine, wav
from tests.proxy.helpers.alone import answer_alone
from tests.sound import tone
from tests.tables import each_row

WAV = wav(tone(440, 1.0))
_WAIT_S = 60.0


@pytest.fixture(scope="module")
def us() -> Signatory:
    return signatory("voxgate")


def read(data: bytes, manifest: bytes | None = None, certificate: bytes | None = None) -> ManifestFinding:
    return read_manifest(ManifestJob(data, manifest, certificate))


def read_alone(data: bytes, manifest: bytes | None, certificate: bytes | None) -> ManifestFinding:
    """What a new process says of a file."""
    job = msgspec.msgpack.encode(ManifestJob(data, manifest, certificate))
    answer = answer_alone("proxy.features.marks.manifest_child", job)
    return msgspec.msgpack.decode(answer, type=ManifestFinding)


def test_it_says_who_signed_when_and_with_what_and_is_confined(us: Signatory) -> None:
    file = signed(WAV, "audio/wav", us)
    found = read(file, certificate=us.leaf)
    assert read_alone(file, None, us.leaf) == msgspec.structs.replace(found, lacks=_lacks())
    assert (found.state, found.signed_by_us) == ("trusted", True)
    assert (found.issuer, found.generated_at, found.model) == ("voxgate", WHEN, "ana")
    assert found.source_type == "trainedAlgorithmicMedia"


@each_row(("kind", "media_type"), [("mp3", "audio/mpeg"), ("flac", "audio/flac"), ("m4a", "audio/mp4")])
def test_it_reads_every_format_that_holds_one(kind: str, media_type: str, us: Signatory) -> None:
    file = encoded(KINDS[kind], sine(440, 1.0))
    assert read(file, certificate=us.leaf).state == "not_present"
    assert read(signed(file, media_type, us), certificate=us.leaf).state == "trusted"


@each_row("kind", ["ogg opus", "webm opus", "aac", "mp3", "flac", "wav"])
def test_it_reads_a_manifest_beside_any_file(kind: str, us: Signatory) -> None:
    file = WAV if kind == "wav" else encoded(KINDS[kind], sine(440, 1.0))
    manifest = beside(file, us)
    assert read(file, manifest, us.leaf).state == "trusted"
    changed = file[:-50] + bytes([file[-50] ^ 1]) + file[-49:]
    assert read(changed, manifest, us.leaf).state == "invalid"
    assert read(file + b"more", manifest, us.leaf).state == "invalid"


def test_our_name_in_a_strangers_certificate_is_not_our_key(us: Signatory) -> None:
    stranger = signatory("voxgate")
    found = read(signed(WAV, "audio/wav", stranger), certificate=us.leaf)
    assert (found.state, found.signed_by_us, found.issuer) == ("valid", False, "voxgate")
    # Our certificate in the chain makes no difference: the key that signed is the first one's.
    chained = Signatory(stranger.leaf, stranger.root + us.leaf, stranger.key)
    assert not read(signed(WAV, "audio/wav", chained), certificate=us.leaf).signed_by_us


def test_other_curves_are_known_too() -> None:
    larger = signatory("voxgate", ec.SECP384R1())
    assert read(signed(WAV, "audio/wav", larger, algorithm="es384"), certificate=larger.leaf).signed_by_us


def test_what_is_damaged_proves_nothing(us: Signatory) -> None:
    file = signed(WAV, "audio/wav", us)
    for damaged in (file[:-1500], file[:-1], file[:1000] + b"\xff\xff" + file[1002:]):
        assert read(damaged, certificate=us.leaf) == ManifestFinding("invalid")


def test_no_change_of_a_manifest_makes_a_fault(us: Signatory) -> None:
    manifest, chance = beside(WAV, us), random.Random(7)
    for number in range(12):
        changed = bytearray(manifest)
        for _ in range(chance.randrange(1, 9)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        cut = chance.choice((len(changed), chance.randrange(len(changed))))
        # A crash of the process would be an error here, and some are read in one.
        found = (read if number % 6 else read_alone)(WAV, bytes(changed[:cut]), us.leaf)
        assert found.state == "invalid" or bytes(changed[:cut]) == manifest or not found.signed_by_us


def test_a_manifest_elsewhere_is_never_asked_for(us: Signatory) -> None:
    with listener() as (address, was_called):
        assert read(elsewhere(WAV, address, us), certificate=us.leaf).state == "not_present"
        assert not was_called()


def test_what_is_no_recording_has_none() -> None:
    for data in (b"", b"x", b"RIFF", b"ID3", b"\xff\xfb", bytes(1000), b"fLaC" + bytes(100)):
        assert read(data).state in ("not_present", "invalid")
        assert read(data, b"no manifest").state == "invalid"


def test_words_of_a_stranger_are_short_and_printable(us: Signatory) -> None:
    found = read(signed(WAV, "audio/wav", us, agent="a\x1b[31m\n" + "b" * 1000))
    assert found.model is not None
    assert found.model.isprintable()
    assert len(found.model) <= 200


def _lacks() -> tuple[str, ...]:
    return (*(() if has_landlock() else ("landlock",)), *(() if has_call_filter() else ("seccomp",)))
