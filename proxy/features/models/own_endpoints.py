"""/admin/own_voices: the model that speaks in people's own voices: its terms and its fetch, for the page."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from policies.language import base_tag
from proxy.api.admin_tools import AdminTools, actor_of
from proxy.engines.registry import Registry
from proxy.errors import Conflict, NotFound
from proxy.features.models.fetch_note import OWN_NOTE, FetchNote, note_path, read_note
from proxy.features.models.listing import GalleryModel, open_galleries
from proxy.http.body import LanguageTag, read_body
from proxy.http.endpoint import Query
from proxy.http.replies import reply
from proxy.http.resource import Resource, endpoint
from proxy.storage import audit

_PATH = "/admin/own_voices"


class OwnVoicesOffer(msgspec.Struct, frozen=True, kw_only=True):
    """The model that speaks a language in people's own voices, and its terms. `megabytes` are still to be
    fetched, in about `seconds`. When it is `ready`, a restart lets the server use it. Other `languages` have
    such a model, too."""

    language: str
    languages: list[str]
    name: str
    title: str
    licences: list[str]
    terms: str
    terms_page: str
    megabytes: int
    seconds: int
    state: Literal["none", "fetching", "failed", "ready"]
    part: float
    fault: str
    command: str


class OwnVoicesOrder(msgspec.Struct, frozen=True, kw_only=True):
    """The language. To `agree` is to accept the terms and the licences of the model."""

    language: LanguageTag
    agree: Literal[True]


class OwnVoicesFetch(Resource):
    """`running` has the process of the last fetch, which ends by itself."""

    def __init__(
        self, admin_tools: AdminTools, registry: Registry, running: set[asyncio.subprocess.Process]
    ) -> None:
        self._admin_tools = admin_tools
        self._config = admin_tools.config
        self._registry = registry
        self._running = running

    @endpoint(
        "GET", _PATH, OwnVoicesOffer, queries=(Query("language", "Such as `pt`."),), failures=(NotFound,)
    )
    async def get_own_voices(self, request: Request) -> Response:
        """What speaks in people's own voices, and how far its fetch is"""
        tag = request.query_params.get("language") or self._config.server.default_language
        return reply(await asyncio.to_thread(self._offer, self._find(tag), tag))

    @endpoint("POST", _PATH, OwnVoicesOffer, body=OwnVoicesOrder, status=202, failures=(NotFound, Conflict))
    async def fetch_own_voices(self, request: Request) -> Response:
        """Agree to the terms of what speaks in people's own voices, and fetch it"""
        order = await read_body(request, OwnVoicesOrder)
        listed = self._find(order.language)
        if (await asyncio.to_thread(self._offer, listed, order.language)).state == "fetching":
            raise Conflict("It is being fetched.")
        act = await self._admin_tools.audit_row(request, "terms.agreed", listed.name, "")
        await self._admin_tools.store.write(*audit.insert_statements(act))
        await asyncio.to_thread(FetchNote(self._config.data, [listed], OWN_NOTE).write_note)
        accepted = [word for licence in listed.entry.to_accept for word in ("--accept", licence)]
        is_file = await asyncio.to_thread(Path(self._config.source).is_file)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "proxy", "voices", "own", order.language),
            *("--agreed-by", actor_of(request), *accepted, "--json"),
            *(("--config", self._config.source) if is_file else ()),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,  # the note has its fault
        )
        self._running.add(process)
        return reply(await asyncio.to_thread(self._offer, listed, order.language), 202)

    def _find(self, tag: str) -> GalleryModel:
        listed = open_galleries(self._registry).own_voice(tag)
        if listed is None:
            raise NotFound(f"No gallery has a model that speaks '{tag[:35]}' in people's own voices.")
        return listed

    def _offer(self, listed: GalleryModel, tag: str) -> OwnVoicesOffer:
        # Imported here: it loads what reads models, and a worker needs that for this page alone.
        from proxy.features.models.own_voices import need_of

        need, entry = need_of(self._config, self._registry, listed), listed.entry
        note = read_note(note_path(self._config.data, OWN_NOTE))
        state: Literal["none", "fetching", "failed", "ready"] = "none" if any(need) else "ready"
        if note is not None:
            state = "failed" if note.fault else "fetching"
        return OwnVoicesOffer(
            language=base_tag(tag),
            languages=open_galleries(self._registry).own_languages,
            name=listed.name,
            title=entry.title,
            licences=list(dict.fromkeys(filter(None, (entry.licence, entry.basis)))),
            terms=entry.terms,
            terms_page=entry.terms_page,
            megabytes=round(need.model_mb + need.environment_mb),
            seconds=need.fetch_s,
            state=state,
            part=0.0 if note is None else note.part,
            fault="" if note is None else note.fault,
            command=listed.command_of(f"voices own {tag}"),
        )


async def end_fetches(running: set[asyncio.subprocess.Process]) -> None:
    """End the processes with the server. What has come stays, and the next fetch goes on with it."""
    for process in running:
        if process.returncode is None:
            process.terminate()
        await process.wait()
