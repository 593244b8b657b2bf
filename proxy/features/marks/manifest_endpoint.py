"""/v1/audio/manifests: the signed manifests of answers, for everybody who knows their addresses."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from proxy.errors import NotFound, UpstreamFailed
from proxy.features.marks.manifests import ROOT, Manifests
from proxy.features.marks.signer import SignerUnavailable
from proxy.http.resource import Resource, endpoint

_C2PA = "application/c2pa"

_RETRY_S = 5.0
# A client that knows the address may read. The age is short, because a later signature may have a time stamp.
_HEADERS = {"cache-control": "public, max-age=300", "access-control-allow-origin": "*"}


class ManifestEndpoint(Resource):
    """The signed manifests of answers. Their path needs no key, because anyone may check a clip."""

    def __init__(self, manifests: Manifests) -> None:
        self._manifests = manifests

    @endpoint("GET", f"{ROOT}/{{id}}", media=(_C2PA,), access="open", failures=(NotFound, UpstreamFailed))
    async def get_manifest(self, request: Request) -> Response:
        """The signed manifest (C2PA) of an answer, from the address in its header Link"""
        id_ = request.path_params["id"]
        try:
            manifest = await self._manifests.find_manifest(id_)
        except SignerUnavailable:
            raise UpstreamFailed(
                "The manifest cannot be signed right now.",
                code="manifest_unavailable",
                retry_after_s=_RETRY_S,
            ) from None
        if manifest is None:
            raise NotFound("There is no manifest under this address, or its answer is not whole yet.")
        return Response(manifest, headers=_HEADERS, media_type=_C2PA)
