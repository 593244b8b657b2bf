"""The signed manifests that lie beside answers. Their path is open: clips are checked without a key."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from proxy.errors import NotFound, UpstreamFailed
from proxy.features.marks.manifests import ROOT, Manifests
from proxy.features.marks.signer import SignerUnavailable
from proxy.http.resource import Resource, answers

MEDIA_TYPE = "application/c2pa"

_RETRY_S = 5.0
# Whoever has the address has the manifest, and a later signature may bring a time stamp.
_HEADERS = {"cache-control": "public, max-age=300", "access-control-allow-origin": "*"}


class ManifestEndpoint(Resource):
    def __init__(self, manifests: Manifests) -> None:
        self._manifests = manifests

    @answers("GET", f"{ROOT}/{{id}}", media=(MEDIA_TYPE,), access="open", failures=(NotFound, UpstreamFailed))
    async def get_manifest(self, request: Request) -> Response:
        """The signed manifest (C2PA) of an answer, from the address in its header Link"""
        id_ = request.path_params["id"]
        try:
            manifest = await self._manifests.find(id_)
        except SignerUnavailable:
            raise UpstreamFailed(
                "The manifest cannot be signed right now.",
                code="manifest_unavailable",
                retry_after_s=_RETRY_S,
            ) from None
        if manifest is None:
            raise NotFound("There is no manifest under this address, or its answer is not whole yet.")
        return Response(manifest, headers=_HEADERS, media_type=MEDIA_TYPE)
