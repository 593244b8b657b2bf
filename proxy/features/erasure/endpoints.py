"""/admin/erasures: the lines of the journal in a shared vault that no master key has signed."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from proxy.api.admin_tools import AdminTools
from proxy.features.erasure.erasure import Erasure
from proxy.features.erasure.journal import JournalLine
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
        return reply(_shown(await self._erasure.list_unsigned()))

    @endpoint("POST", "/admin/erasures/accept", UnsignedLines)
    async def accept_lines(self, request: Request) -> Response:
        """Let the unsigned lines count, and erase what they name"""
        lines = await self._erasure.list_unsigned()
        shown = _shown(lines)
        act = await self._admin_tools.audit_row(
            request, "erasures.accepted", "", "", subjects=shown.unsigned[:100]
        )
        await self._admin_tools.store.write(*audit.insert_statements(act))
        # These alone: a stranger may add others meanwhile.
        await self._erasure.accept_lines(lines)
        return reply(shown)


def _shown(lines: Iterable[JournalLine]) -> UnsignedLines:
    return UnsignedLines([line.subject for line in lines])
