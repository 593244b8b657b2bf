"""A voice of a recording on a real server: nothing of it lies in plain, and nothing at all once erased."""

import json
import socket
from pathlib import Path

import pytest

from tests import speech_clips
from tests.databases import postgres
from tests.faults.hostile_uploads import decoders
from tests.server import ALONE, Server, live_server, running
from tests.tables import soak
from tests.waiting import until

pytestmark = pytest.mark.slow

CONFIG = ALONE + '[cache]\non = true\n[plans.creator]\nconsent = "waived"\n'
NAME = "Canary Bartholomew Featherstone"
WORDS = "the words of the canary's sample"
FLAC = b"fLaC\0\0\0\x22"
"""How a kept recording would begin in plain. Its first four letters alone may stand in any sealed text."""

server = live_server(CONFIG)


def pieces(recording: bytes) -> list[bytes]:
    """What betrays the recording: pieces of its sound, and what names the person."""
    body = recording[44:]
    sound = [body[at : at + 48] for at in range(len(body) // 4, len(body), len(body) // 5)]
    return [piece for piece in sound if len(set(piece)) > 16] + [FLAC, NAME.encode(), WORDS.encode()]


def places(server: Server, wanted: list[bytes], *more: Path) -> list[tuple[Path, bytes]]:
    """The files with a piece in it: of the data folder, of the server's log and its runtime folder."""
    folders = (server.data, server.log.parent, (server.data / "run").resolve(), *more)
    files = {path for folder in folders for path in folder.rglob("*") if path.is_file()}
    return [(path, piece) for path in files for piece in _pieces_in(path, wanted)]


def _pieces_in(path: Path, wanted: list[bytes]) -> list[bytes]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []  # a lock, or a part that has its place now: the server works meanwhile
    return [piece for piece in wanted if piece in content]


def make(server: Server, secret: str, recording: bytes, name: str = NAME) -> str:
    with server.client(secret) as client:
        answer = client.post(
            "/v1/audio/voices",
            data={"name": name, "ref_text": WORDS, "description": name, "type": "audio_sample"},
            files={"audio_sample": ("sample.wav", recording, "audio/wav")},
            headers={"idempotency-key": f"make {name}"},
        )
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def speak(server: Server, secret: str, voice: str, key: str) -> int:
    body = {"model": "tts-1", "voice": voice, "input": "Hello.", "response_format": "wav"}
    with server.client(secret) as client:
        return client.post("/v1/audio/speech", json=body, headers={"idempotency-key": key}).status_code


def test_a_recording_and_a_name_are_nowhere_in_plain_and_nowhere_once_erased(server: Server) -> None:
    recording = speech_clips.wav()
    wanted = pieces(recording)
    assert len(wanted) > 4
    secret = server.mint_key("canary", plan="creator").secret
    voice = make(server, secret, recording)
    assert [speak(server, secret, voice, key) for key in ("one", "two")] == [200, 200]
    assert speak(server, secret, NAME, "three") == 200
    sealed = [path for path in (server.data / "voices").rglob("*") if path.is_file()]
    assert len(sealed) == 1
    ciphertext = sealed[0].read_bytes()[1000:1100]
    assert places(server, wanted) == []
    cached = [path for path in (server.data / "cache").rglob("*") if path.is_file()]

    with server.client(secret) as client:
        deleted = client.delete(f"/v1/audio/voices/{voice}")
        assert deleted.status_code == 200, deleted.text
        receipt = client.get(f"/v1/audio/voices/erasures/{voice}").json()
        assert receipt["completed"] is not None, json.dumps(receipt)
        assert client.delete(f"/v1/audio/voices/{voice}").status_code == 404
    assert places(server, [*wanted, ciphertext]) == []
    assert not any(path.exists() for path in cached)
    assert [path for path in (server.data / "idempotency").glob("*") if path.is_file()] == []
    assert speak(server, secret, voice, "one") == 400
    # The id is a pseudonym: nothing but the journal, the tombstone and the usage has it.
    until(lambda: places(server, [voice.encode()]) != [])
    named = {path.name for path, _ in places(server, [voice.encode()])}
    assert named <= {"erasures.log", "voxgate.db", "voxgate.db-wal"}


def test_a_consent_is_nowhere_in_plain_and_nowhere_once_erased(server: Server) -> None:
    recording = speech_clips.wav("f3")
    wanted = pieces(recording)
    secret = server.mint_key("consenting", plan="creator").secret
    with server.client(secret) as client:
        made = client.post(
            "/v1/audio/voice_consents",
            data={"name": NAME, "language": "en"},
            files={"recording": (f"{NAME}.wav", recording, "audio/wav")},
        )
        assert made.status_code == 200, made.text
        (sealed,) = [path for path in (server.data / "voices").rglob("*") if path.is_file()]
        ciphertext = sealed.read_bytes()[1000:1100]
        assert places(server, wanted) == []
        assert client.delete(f"/v1/audio/voice_consents/{made.json()['id']}").status_code == 200
    assert places(server, [*wanted, ciphertext]) == []


def test_the_files_of_postgresql_have_nothing_in_plain(tmp_path: Path) -> None:
    recording = speech_clips.wav()
    with postgres() as database:
        environ = {"VOXGATE_STORAGE__URL": database.url()}
        with running(tmp_path, CONFIG, environ=environ) as server:
            secret = server.mint_key("canary", plan="creator").secret
            voice = make(server, secret, recording)
            assert speak(server, secret, NAME, "one") == 200
            with server.client(secret) as client:
                assert client.delete(f"/v1/audio/voices/{voice}").status_code == 200
        database.stop()
        assert places(server, pieces(recording), database.folder) == []
        # The pseudonym is there: what was looked at are the files of this database.
        assert places(server, [voice.encode()], database.folder) != []


@pytest.mark.parametrize("moment", ["it is decoded", *soak("half of it came")])
def test_an_upload_that_is_killed_leaves_nothing_in_plain(tmp_path: Path, moment: str) -> None:
    recording = speech_clips.wav()
    wanted = pieces(recording)
    # What any library would write for a while lies there, too.
    (tmp_path / "temporary").mkdir()
    with running(tmp_path, CONFIG, environ={"TMPDIR": str(tmp_path / "temporary")}) as server:
        secret = server.mint_key("canary", plan="creator").secret
        with server.client(secret) as client:
            request = client.build_request(
                "POST",
                "/v1/audio/voices",
                data={"name": NAME},
                files={"audio_sample": ("sample.wav", recording + bytes(4_000_000), "audio/wav")},
            )
            body = request.read()
        with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) as raw:
            head = (
                f"POST /v1/audio/voices HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {secret}\r\n"
                f"content-type: {request.headers['content-type']}\r\ncontent-length: {len(body)}\r\n\r\n"
            )
            if moment == "it is decoded":
                raw.sendall(head.encode() + body)
                until(lambda: decoders(server) != [])
            else:
                raw.sendall(head.encode() + body[: len(body) // 2])
            server.process.kill()
            server.process.wait()
        assert places(server, wanted) == []
