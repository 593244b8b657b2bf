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


class JournalState(msgspec.Struct, frozen=True):
    """What the `unsigned` lines would erase, and how many lines are `missing` under the newest key."""

    unsigned: list[str]
    missing: int


class ErasureLines(Resource):
    def __init__(self, erasure: Erasure, admin_tools: AdminTools) -> None:
        self._erasure = erasure
        self._admin_tools = admin_tools

    @endpoint("GET", "/admin/erasures", JournalState)
    async def show_journal(self, _request: Request) -> Response:
        """The lines of the journal of erasures that no key has signed"""
        return reply(await self._state())

    @endpoint("POST", "/admin/erasures/accept", JournalState)
    async def accept_lines(self, request: Request) -> Response:
        """Let the unsigned lines count, and erase what they name"""
        state = await self._state()
        act = await self._admin_tools.audit_row(
            request, "erasures.accepted", "", "", subjects=state.unsigned[:100]
        )
        await self._admin_tools.store.write(*audit.insert_statements(act))
        await self._erasure.accept_lines()
        return reply(state)

    async def _state(self) -> JournalState:
        lines, store = self._erasure.lines, self._admin_tools.store
        if lines is None:
            return JournalState([], 0)
        unsigned = [line.subject for line in await lines.list_unsigned(store)]
        return JournalState(unsigned, sum([len(each) async for each in lines.missing(store)]))
