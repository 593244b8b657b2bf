"""Voices of recordings on a real port: killed uploads, forms that break off, a deletion in mid-stream."""

import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from proxy.file_store.objects import is_recording
from tests import server, speech_clips
from tests.server import Server
from tests.waiting import until

pytestmark = pytest.mark.slow

_BOUNDARY = "a7c1"


def agree(live: Server) -> str:
    body = {"name": "Ana", "language": "en", "statement": "Yes."}
    with live.client() as client:
        id_: str = client.post("/v1/audio/voice_consents", json=body).raise_for_status().json()["id"]
        return id_


def form(consent: str, sample: bytes, name: str = "Ana") -> bytes:
    fields = "".join(
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'
        for field, value in (("name", name), ("consent", consent))
    )
    head = (
        f"--{_BOUNDARY}\r\n"
        'Content-Disposition: form-data; name="audio_sample"; filename="../../x\\r\\n.wav"\r\n'
        "Content-Type: audio/wav\r\n\r\n"
    )
    return f"{fields}{head}".encode() + sample + f"\r\n--{_BOUNDARY}--\r\n".encode()


def open_upload(live: Server, length: int) -> socket.socket:
    address = urlsplit(live.url)
    connection = socket.create_connection((address.hostname or "", address.port or 0), timeout=30.0)
    head = (
        f"POST /v1/audio/voices HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {live.key}\r\n"
        f"Content-Type: multipart/form-data; boundary={_BOUNDARY}\r\nContent-Length: {length}\r\n\r\n"
    )
    connection.sendall(head.encode())
    return connection


def own_voices(live: Server) -> list[str]:
    with live.client() as client:
        listed = client.get("/v1/audio/voices?mine=true").raise_for_status().json()["data"]
    return [voice["id"] for voice in listed]


def test_a_form_that_breaks_off_makes_nothing(plain_server: Server) -> None:
    shared = plain_server._replace(key=plain_server.mint_key("former", plan="unlimited").secret)
    whole = form(agree(shared), speech_clips.wav())
    for sent in (whole[:100], whole[: len(whole) // 2], whole[:-20]):
        with open_upload(shared, len(whole)) as upload:
            upload.sendall(sent)
        answer = httpx2.post(
            f"{shared.url}/v1/audio/voices",
            content=sent,
            headers={
                "authorization": f"Bearer {shared.key}",
                "content-type": f"multipart/form-data; boundary={_BOUNDARY}",
            },
        )
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_form")
    assert own_voices(shared) == []


def make(live: Server, consent: str, name: str = "Ana") -> str:
    with live.client() as client:
        data, files = {"name": name, "consent": consent}, {"audio_sample": speech_clips.wav()}
        id_: str = client.post("/v1/audio/voices", data=data, files=files).raise_for_status().json()["id"]
        return id_


def add_clip(live: Server, voice: str, once: str = "clip-1") -> dict[str, object]:
    with live.client() as client:
        path, headers = f"/v1/audio/voices/{voice}/samples", {"idempotency-key": once}
        files, data = {"file": speech_clips.wav("f3")}, {"emotion": "neutral"}
        sent = client.post(path, data=data, files=files, headers=headers)
        clip: dict[str, object] = sent.raise_for_status().json()
        return clip


def test_a_server_that_is_killed_beside_a_new_clip_names_nothing_half(tmp_path: Path) -> None:
    with server.running(tmp_path) as killed:
        voice = make(killed, agree(killed))
        folder = killed.data / "voices"
        with ThreadPoolExecutor(1) as beside:
            adding = beside.submit(add_clip, killed, voice)
            # The recording is there, and its row may be.
            until(lambda: adding.done() or len(_sealed(folder)) == 2)
            os.kill(killed.process.pid, signal.SIGKILL)
            killed.process.wait()
            adding.exception()
    with server.running(tmp_path) as restarted:
        assert restarted.speech("Hello.", voice=voice, model="tone").status_code == 200
        made = add_clip(restarted, voice)
        with restarted.client() as client:
            listed = client.get(f"/v1/audio/voices/{voice}/samples").raise_for_status().json()["data"]
        assert [row["id"] for row in listed[1:]] == [made["id"]]
        assert len(_sealed(folder)) == 2
        assert restarted.speech("Hello.", voice=voice, model="tone").status_code == 200


def _sealed(folder: Path) -> list[Path]:
    return [
        path
        for path in folder.rglob("*")
        if is_recording(f"{path.parent.name}/{path.name}") and path.is_file()
    ]


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_a_server_that_is_killed_in_an_upload_has_nothing_half(tmp_path: Path, share: float) -> None:
    with server.running(tmp_path) as killed:
        whole = form(agree(killed), speech_clips.wav())
        with open_upload(killed, len(whole)) as upload:
            upload.sendall(whole[: round(len(whole) * share)])
            os.kill(killed.process.pid, signal.SIGKILL)
            killed.process.wait()
    with server.running(tmp_path) as restarted:
        made = own_voices(restarted)
        for voice in made:
            assert restarted.speech("Hello.", voice=voice, model="tone").status_code == 200
        folder = restarted.data / "voices"
        # A half file goes after an hour.
        for half in folder.rglob("*.part"):
            half.unlink()
        kept = [path for path in folder.rglob("*") if path.is_file()]
        assert len(kept) <= 1
        sample = speech_clips.wav()
        canary = max(
            (sample[at : at + 100] for at in range(0, len(sample), 100)), key=lambda part: len(set(part))
        )
        assert not [path for path in tmp_path.rglob("*") if path.is_file() and canary in path.read_bytes()]
        assert len(made) <= len(kept)
