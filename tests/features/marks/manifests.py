"""Manifests as others see them: the C2PA project's own reader."""

import io
from typing import Any

import c2pa
import msgspec

MEDIA_TYPES = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "application/octet-stream",
}


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
    """What it says of a file, its sidecar if it has one, and the roots to trust, in PEM."""
    trust = {"trust_anchors": anchors} if anchors else {}
    context = c2pa.Context.from_dict({"trust": trust, "verify": {"remote_manifest_fetch": False}})
    try:
        reader = c2pa.Reader(
            MEDIA_TYPES[format_], io.BytesIO(body), manifest_data=manifest or None, context=context
        )
    except c2pa.C2paError.ManifestNotFound:
        return Reading("None")
    return Reading(str(reader.get_validation_state()), msgspec.json.decode(reader.json()))
