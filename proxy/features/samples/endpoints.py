"""GET /v1/audio/samples/{digest}.mp3: a sample of a voice, from memory. Nothing is spoken for it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from proxy.access.callers import caller_or_none
from proxy.errors import NotFound, RangeNotSatisfiable
from proxy.features.samples.shown import ROOT, ShownSamples
from proxy.http.ranges import RANGE, requested_range
from proxy.http.resource import Resource, endpoint

MEDIA_TYPE = "audio/mpeg"
_AGE = "max-age=31536000, immutable"


class SampleEndpoints(Resource):
    def __init__(self, samples: ShownSamples, *, is_public: bool) -> None:
        self._samples = samples
        self._is_public = is_public

    @endpoint(
        "GET",
        f"{ROOT}/{{digest}}.mp3",
        media=(MEDIA_TYPE,),
        access="open",
        failures=(NotFound, RangeNotSatisfiable),
        request_headers=(RANGE,),
        pace="sample",
    )
    async def get_sample(self, request: Request) -> Response:
        """The sample of a voice, at the address that the voice has

        Without a key, only voices that the front or the public catalogue shows have one.
        """
        has_key = caller_or_none(request.scope) is not None
        sees_all = has_key or self._is_public
        sample = self._samples.find_sample(request.path_params["digest"], sees_all=sees_all)
        if sample is None:
            raise NotFound("There is no such sample, or it needs an API key.")
        part = requested_range(request.headers.get("range"), len(sample.sound))
        headers = {
            "accept-ranges": "bytes",
            "cache-control": f"{'private' if has_key else 'public'}, {_AGE}",
        }
        if part is None:
            return Response(sample.sound, headers=headers, media_type=MEDIA_TYPE)
        headers["content-range"] = f"bytes {part.start}-{part.stop - 1}/{len(sample.sound)}"
        return Response(sample.sound[part.start : part.stop], 206, headers, MEDIA_TYPE)
