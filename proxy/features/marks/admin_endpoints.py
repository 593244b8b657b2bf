"""POST /admin/marks/detect: was this recording spoken here? The command line asks it, server or not."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from proxy.api_admin.admin_tools import CONTROL
from proxy.errors import MarksUnavailable, NoPlace
from proxy.features.marks.checker import ProvenanceChecker
from proxy.features.marks.endpoints import FILES, DetectedMarks, MarkDetection
from proxy.http.body import BODY_FAILURES
from proxy.http.endpoint import Endpoint, json
from proxy.http.replies import reply


class OperatorDetection:
    """The operator's detection, with a turn of its own."""

    def __init__(self, checker: ProvenanceChecker) -> None:
        self._detection = MarkDetection(checker)

    async def detect(self, request: Request) -> Response:
        return reply(await self._detection.detected(request, CONTROL))


def routes(checker: ProvenanceChecker) -> list[Endpoint]:
    return [
        Endpoint(
            "POST",
            "/admin/marks/detect",
            OperatorDetection(checker).detect,
            "admin_detect_marks",
            "Tell whether a recording has this server's inaudible mark or C2PA manifest",
            json(DetectedMarks),
            files=tuple(FILES),
            failures=(*BODY_FAILURES, NoPlace, MarksUnavailable),
        )
    ]
