"""The process that reads the C2PA manifest of one upload: `python -m proxy.features.marks.manifest_child`.

It reads a `ManifestJob` from its pipe and answers with a `ManifestFinding`. The library parses files of
strangers, so this process is confined as the decoder is. It fetches no address that a file names.
"""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import c2pa
import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.hashes import SHA256

from proxy.features.marks.claim_signature import is_signed_with
from proxy.features.marks.findings import ManifestFinding, ManifestJob, ManifestState
from proxy.features.marks.source_file import media_type
from proxy.helpers.job_confinement import confine_job
from speech_engine.host.child_pipe import pipe_of_one_thread

MOST_CPU_S = 10
_MEMORY_MB = 256
_MOST_TEXT = 200
_OFFLINE = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}}
# Whom the library trusts does not count: a manifest is `trusted` if our own key signed it.
_STATES: dict[str, ManifestState] = {"Valid": "valid", "Trusted": "valid"}
_MISSING = (c2pa.C2paError.ManifestNotFound, c2pa.C2paError.RemoteManifest, c2pa.C2paError.NotSupported)
_REMOTE = "Remote:"
_MAKING = ("c2pa.created", "c2pa.opened")
_EDITED = "c2pa.edited"


def main() -> None:
    pipe = pipe_of_one_thread()
    _warm_up()
    lacks = confine_job(MOST_CPU_S, _MEMORY_MB)
    job = msgspec.msgpack.decode(pipe.read() or b"", type=ManifestJob)
    try:
        found = msgspec.structs.replace(read_manifest(job), lacks=lacks)
    except MemoryError:
        found = ManifestFinding("invalid")
    pipe.write(msgspec.msgpack.encode(found))


def read_manifest(job: ManifestJob) -> ManifestFinding:
    """Read the manifest beside a file, or else inside it. A damaged one is invalid."""
    context = c2pa.Context.from_dict(_OFFLINE)
    try:
        with c2pa.Reader(
            media_type(job.data), BytesIO(job.data), manifest_data=job.manifest, context=context
        ) as reader:
            return _finding(reader, job)
    except c2pa.C2paError as error:
        # A file may say that its manifest is at an address. It is not fetched, so the file has none.
        is_missing = isinstance(error, _MISSING) or str(error).startswith(_REMOTE)
        return ManifestFinding("not_present" if is_missing and job.manifest is None else "invalid")
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return ManifestFinding("invalid")  # a manifest that says odd things


def _finding(reader: c2pa.Reader, job: ManifestJob) -> ManifestFinding:
    state = _STATES.get(str(reader.get_validation_state()), "invalid")
    if state == "invalid":
        return ManifestFinding("invalid")
    claims_json = json.loads(reader.json())
    label = claims_json["active_manifest"]
    manifest = claims_json["manifests"][label]
    signature = manifest.get("signature_info") or {}
    action = _making_action(manifest)
    is_ours = job.certificate is not None and is_signed_with(
        _manifest_store(reader, label), label, job.certificate
    )
    return ManifestFinding(
        "trusted" if is_ours else "valid",
        issuer=_short_text(signature.get("issuer")),
        generated_at=_short_text(signature.get("time") or action.get("when")),
        model=_short_text(_agent(action)),
        source_type=_short_text(str(action.get("digitalSourceType") or "").rpartition("/")[2]),
        signed_by_us=is_ours,
    )


def _making_action(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the action that made the sound, or the edit of its parent. It is empty if there is none."""
    for assertion in manifest.get("assertions", ()):
        if str(assertion.get("label", "")).startswith("c2pa.actions"):
            actions = [dict(each) for each in assertion["data"]["actions"]]
            begun = next((each for each in actions if each.get("action") in _MAKING), None)
            if begun is None:
                continue
            edits = (each for each in actions if each.get("action") == _EDITED and _agent(each))
            return begun if _agent(begun) else {**begun, **next(edits, {})}
    return {}


def _agent(action: dict[str, Any]) -> object:
    agent = action.get("softwareAgent")
    return agent.get("name") if isinstance(agent, dict) else agent


def _manifest_store(reader: c2pa.Reader, label: str) -> bytes:
    """Return the whole store: the library gives it for the address of any box in it."""
    store = BytesIO()
    reader.resource_to_stream(f"self#jumbf=/c2pa/{label}/c2pa.signature", store)
    return store.getvalue()


def _short_text(value: object) -> str | None:
    """Return a short text without control characters, or None if there is none."""
    if not isinstance(value, str):
        return None
    return "".join(letter for letter in value[:_MOST_TEXT] if letter.isprintable()) or None


def _warm_up() -> None:
    """Load the modules that Python loads at the first use and the first error: once confined, it cannot."""
    for data in (b"RIFF\0\0\0\0WAVE", b"no recording"):
        read_manifest(ManifestJob(data, None, None))
    ECDSA(SHA256())  # it loads more with its first object
    msgspec.msgpack.encode(ManifestFinding())


if __name__ == "__main__":
    main()
