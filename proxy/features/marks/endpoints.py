"""POST /v1/audio/marks/detect and /v1/content_provenance_checks: what do marks tell of a recording?

Every key may ask. The answer says which installation's key and which day a mark has, and nothing of accounts.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from proxy.access.callers import caller_of
from proxy.api.admin_tools import CONTROL_ACTOR, AdminTools
from proxy.audio.recordings.recording import UnusableRecording
from proxy.config.fields import missing_parameter
from proxy.errors import (
    Conflict,
    DecodingFailed,
    InvalidRequest,
    MarksUnavailable,
    NoPlace,
)
from proxy.features.marks.checker import ProvenanceChecker
from proxy.features.marks.findings import Examination, ManifestFinding, ManifestState, MarkFinding
from proxy.features.marks.marker import day_of
from proxy.features.marks.ring_source import Ring
from proxy.features.marks.section import SECTION
from proxy.features.marks.stored_rings import StoredRings
from proxy.http.body import connection_of, read_body
from proxy.http.form import MOST_FILE_BYTES, read_form
from proxy.http.replies import reply, struct_from
from proxy.http.resource import Resource, account_of, endpoint, second_path
from proxy.storage import audit
from speech_engine.mark import PAYLOAD_BITS

MOST_MANIFEST_BYTES = 1024 * 1024
_FILES: Mapping[str, int] = {"file": MOST_FILE_BYTES, "manifest": MOST_MANIFEST_BYTES}
_FAILURES = (NoPlace, DecodingFailed, MarksUnavailable)

Technique = Literal["inaudible_mark", "c2pa"]
Outcome = Literal["detected", "not_detected"]


class DetectedMark(msgspec.Struct, frozen=True, kw_only=True):
    """What the detector of one inaudible mark says.

    A mark is there if the score reaches the threshold, which chance does once in a million recordings at
    most. It was found in `seconds` of sound from `begins_s` on. `key` is the id of its key, `day` when it was
    made, in UTC, and `is_ours` tells whether this installation made it. The last two are null if it is too
    weak to read. A mark that has no keys may be anybody's: `key` and `is_ours` are null.
    """

    technique: Literal["inaudible_mark"] = "inaudible_mark"
    plugin: str
    found: bool
    key: str | None
    is_ours: bool | None
    day: str | None
    score: float
    threshold: float
    begins_s: float | None
    seconds: float | None


class DetectedManifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a signed C2PA manifest says: of the file, or of `manifest` beside it.

    `trusted` is signed by this server. `valid` fits the file, but anybody may have signed it. If it is
    `invalid`, nothing in it is told.
    """

    technique: Literal["c2pa"] = "c2pa"
    outcome: Outcome
    validation_state: ManifestState
    signed_by_us: bool
    issuer: str | None
    generated_at: str | None
    model: str | None
    source_type: str | None


class DetectedMarks(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a recording has a mark of this server's keys, or its manifest: `found` rests on `techniques`.

    A mark alone is a hint that helps to find honest copies, as it can be copied onto another sound. The proof
    that this server spoke is a manifest of ours (`signed_by_us`).

    `seconds` were looked at, and `is_cut` is true if the recording is longer. `c2pa` is null without a
    manifest.
    """

    object: Literal["audio.marks"] = "audio.marks"
    found: bool
    techniques: list[Technique]
    seconds: float
    is_cut: bool
    marks: list[DetectedMark]
    c2pa: DetectedManifest | None


class C2paResult(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="c2pa"):
    """A signed manifest, as in OpenAI's API."""

    outcome: Outcome
    validation_state: ManifestState
    issuer: str | None
    generated_at: str | None
    model: str | None


class MarkResult(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="voxgate_mark"):
    """An inaudible mark. OpenAI's API has no such type. Without a `key`, it may be anybody's."""

    outcome: Outcome
    plugin: str
    key: str | None
    is_ours: bool | None
    day: str | None
    generated_at: str | None = None
    model: str | None = None


class ContentProvenanceCheck(msgspec.Struct, frozen=True, kw_only=True):
    """The signals that were looked for in a file, as in OpenAI's API."""

    object: Literal["content_provenance_check"] = "content_provenance_check"
    created_at: int
    results: list[C2paResult | MarkResult]


class MarkDetection(Resource):
    """The handlers that look for marks and manifests in uploads."""

    def __init__(self, checker: ProvenanceChecker) -> None:
        self._checker = checker

    @endpoint(
        "POST",
        "/v1/audio/marks/detect",
        DetectedMarks,
        files=tuple(_FILES),
        failures=_FAILURES,
        also=second_path("/admin/marks/detect", "admin_detect_marks"),
    )
    async def detect_marks(self, request: Request) -> Response:
        """Tell whether a recording has this server's inaudible mark or C2PA manifest

        The operator's search has a turn of its own. The command line asks for it, server or not.
        """
        return reply(await self._detected(request, account_of(request) or CONTROL_ACTOR))

    @endpoint(
        "POST",
        "/v1/content_provenance_checks",
        ContentProvenanceCheck,
        files=tuple(_FILES),
        failures=_FAILURES,
    )
    async def check_content_provenance(self, request: Request) -> Response:
        """The same, as OpenAI's API tells it"""
        examined = await self._examined(request, caller_of(request.scope).account)
        found = _detected_manifest(examined.manifest)
        results: list[C2paResult | MarkResult] = [struct_from(C2paResult, found)]
        for mark in await self._detected_marks(examined):
            results.append(
                struct_from(MarkResult, mark, outcome="detected" if mark.found else "not_detected")
            )
        return reply(ContentProvenanceCheck(created_at=int(time.time()), results=results))

    async def _detected(self, request: Request, account: str) -> DetectedMarks:
        examined = await self._examined(request, account)
        marks = await self._detected_marks(examined)
        manifest = _detected_manifest(examined.manifest)
        techniques: list[Technique] = (
            ["inaudible_mark"] if any(mark.has_our_key for mark in examined.marks) else []
        )
        if manifest.signed_by_us:
            techniques.append("c2pa")
        return DetectedMarks(
            found=bool(techniques),
            techniques=techniques,
            seconds=round(examined.seconds, 2),
            is_cut=examined.is_cut,
            marks=marks,
            c2pa=None if manifest.validation_state == "not_present" else manifest,
        )

    async def _examined(self, request: Request, account: str) -> Examination:
        connection = connection_of(request)
        form = await read_form(connection, files=_FILES, fields=())
        if "file" not in form.files:
            raise missing_parameter("file")
        manifest = form.files.get("manifest")
        # A search takes seconds, and a client that has left needs none.
        with connection.stop_when_client_leaves():
            try:
                return await self._checker.examine(
                    account, form.files["file"].data, None if manifest is None else manifest.data
                )
            except UnusableRecording as error:
                raise InvalidRequest(
                    f"Invalid 'file': {error}.", param="file", code="invalid_audio"
                ) from None

    async def _detected_marks(self, examined: Examination) -> list[DetectedMark]:
        return [await self._detected_mark(mark) for mark in examined.marks]

    async def _detected_mark(self, mark: MarkFinding) -> DetectedMark:
        payload = mark.payload if mark.is_found else None
        # A shorter payload has no room for the installation.
        names_server = mark.payload_bits == PAYLOAD_BITS
        return DetectedMark(
            plugin=mark.plugin,
            found=mark.is_found,
            key=mark.key or None,
            is_ours=await self._checker.is_ours(payload) if payload is not None and names_server else None,
            day=None if payload is None else f"{datetime.fromtimestamp(day_of(payload), UTC):%Y-%m-%d}",
            score=round(mark.score, 2),
            threshold=round(mark.threshold, 2),
            begins_s=round(mark.begin_s, 2) if mark.is_found else None,
            seconds=round(mark.seconds, 2) if mark.is_found else None,
        )


def _detected_manifest(found: ManifestFinding) -> DetectedManifest:
    outcome = "detected" if found.state in ("trusted", "valid") else "not_detected"
    return struct_from(DetectedManifest, found, outcome=outcome, validation_state=found.state)


class RotateRing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The keys to rotate: those of marks."""

    ring: Ring


class RotatedRing(msgspec.Struct, frozen=True):
    file: str
    keys: int
    is_served: bool = False


class RingRotation(Resource):
    def __init__(self, admin_tools: AdminTools, stored: StoredRings | None) -> None:
        self._admin_tools = admin_tools
        self._stored = stored

    @endpoint("POST", "/admin/marking/rotations", RotatedRing, body=RotateRing, failures=(Conflict,))
    async def rotate_ring(self, request: Request) -> Response:
        """Add a new key of marks, which all machines use after 15 seconds"""
        ring, tools = (await read_body(request, RotateRing)).ring, self._admin_tools
        if self._stored is None or SECTION.of(tools.config).keys:
            raise Conflict("The keys are not in the database: see voxgate keys.")
        act = await tools.audit_row(request, "ring.rotated", ring, "")
        number = await self._stored.rotate(ring, audit.insert_statements(act))
        return reply(RotatedRing("The database", number))
