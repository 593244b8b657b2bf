"""Manifests as others see them: the C2PA project's own reader, in a process of its own."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import Any

import msgspec

MEDIA_TYPES = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "application/octet-stream",
}


class Question(msgspec.Struct, frozen=True):
    """A file, its type, its sidecar if it has one, and the roots to trust, in PEM."""

    media_type: str
    body: bytes
    manifest: bytes = b""
    anchors: str = ""


class Reading(msgspec.Struct, frozen=True):
    """What the reader says: `Trusted`, `Valid`, `Invalid`, or `None` without a manifest."""

    state: str
    store: dict[str, Any] = {}

    @property
    def active(self) -> dict[str, Any]:
        manifest: dict[str, Any] = self.store["manifests"][self.store["active_manifest"]]
        return manifest

    @property
    def actions(self) -> list[dict[str, Any]]:
        (actions,) = [
            each["data"]["actions"]
            for each in self.active["assertions"]
            if each["label"].startswith("c2pa.actions")
        ]
        return list(actions)

    def assertion(self, label: str) -> Any:
        return next((each["data"] for each in self.active["assertions"] if each["label"] == label), None)


def read(format_: str, body: bytes, manifest: bytes = b"", anchors: str = "") -> Reading:
    question = msgspec.msgpack.encode(Question(MEDIA_TYPES[format_], body, manifest, anchors))
    program = (sys.executable, "-m", "tests.proxy.provenance.manifests")
    done = subprocess.run(program, input=question, stdout=subprocess.PIPE, check=True)
    return msgspec.msgpack.decode(done.stdout, type=Reading)


def _answer(question: Question) -> Reading:
    import c2pa

    trust = {"trust_anchors": question.anchors} if question.anchors else {}
    context = c2pa.Context.from_dict({"trust": trust, "verify": {"remote_manifest_fetch": False}})
    try:
        reader = c2pa.Reader(
            question.media_type,
            io.BytesIO(question.body),
            manifest_data=question.manifest or None,
            context=context,
        )
    except c2pa.C2paError.ManifestNotFound:
        return Reading("None")
    return Reading(str(reader.get_validation_state()), msgspec.json.decode(reader.json()))


if __name__ == "__main__":
    asked = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Question)
    sys.stdout.buffer.write(msgspec.msgpack.encode(_answer(asked)))
