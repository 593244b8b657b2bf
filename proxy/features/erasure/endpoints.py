"""/admin/erasures: the lines of the journal in a shared vault that no master key has signed."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from proxy.api.admin_tools import AdminTools
from proxy.features.erasure.erasure import Erasure
from proxy.http.replies import reply
from proxy.http.resource import Resource, endpoint
from proxy.storage import audit


class UnsignedLines(msgspec.Struct, frozen=True):
    """What the `unsigned` lines would erase."""

    unsigned: list[str]


class ErasureLines(Resource):
    def __init__(self, erasure: Erasure, admin_tools: AdminTools) -> None:
        self._erasure = erasure
        self._admin_tools = admin_tools

    @endpoint("GET", "/admin/erasures", UnsignedLines)
    async def show_journal(self, _request: Request) -> Response:
        """The lines of the journal of erasures that no key has signed"""
        return reply(await self._unsigned())

    @endpoint("POST", "/admin/erasures/accept", UnsignedLines)
    async def accept_lines(self, request: Request) -> Response:
        """Let the unsigned lines count, and erase what they name"""
        lines = await self._unsigned()
        act = await self._admin_tools.audit_row(
            request, "erasures.accepted", "", "", subjects=lines.unsigned[:100]
        )
        await self._admin_tools.store.write(*audit.insert_statements(act))
        await self._erasure.accept_lines()
        return reply(lines)

    async def _unsigned(self) -> UnsignedLines:
        lines, store = self._erasure.lines, self._admin_tools.store
        unsigned = [] if lines is None else await lines.list_unsigned(store)
        return UnsignedLines([line.subject for line in unsigned])
