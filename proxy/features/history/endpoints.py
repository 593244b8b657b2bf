"""/v1/history: what an account asked for and heard. A key or a person sees all entries of the account."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from policies.price import Operation
from policies.tasks import SECOND_US
from proxy.access.callers import caller_of
from proxy.audio.formats import MEDIA_TYPES
from proxy.config import credits
from proxy.errors import Conflict, InvalidRequest, NotFound, RangeNotSatisfiable
from proxy.features.history.records import (
    HISTORY,
    EntryFilter,
    HistoryRow,
    HistoryStore,
    SealedRequest,
)
from proxy.features.history.section import MEGABYTE, HistorySection
from proxy.file_store.sealed_blobs import BlobRange, StoredFile
from proxy.file_store.vault import VaultFailed
from proxy.http.endpoint import Query
from proxy.http.lists import PAGE, SINCE, UNTIL, Listing, query_time_micros, read_page
from proxy.http.ranges import RANGE, file_reply
from proxy.http.replies import reply, struct_from
from proxy.http.resource import Resource, endpoint
from proxy.speech.answer_check import CheckReport
from proxy.storage.rows import LAST_MOMENT
from proxy.storage.store import Row
from proxy.storage.stored_days import StoredDays
from speech_engine.redacted import Redacted

ROOT = "/v1/history"
_MOST_SHOWN_CHARACTERS = 200
_FILTERS = (Query("voice", "Only what this voice spoke, by its id."), SINCE, UNTIL)


class StoredSound(msgspec.Struct, frozen=True):
    """The sound of an entry, at its `/content`. WAV and PCM are stored as FLAC."""

    format: str
    media_type: str
    bytes: int


class HistoryEntry(Redacted, msgspec.Struct, frozen=True, kw_only=True):
    """A request that was kept; its `id` is the request's. `model` is what answered, as `x-voxgate-engine`.
    `credits` were charged, and `refunded` of them given back later; like `outcome`, they are null once their
    usage is deleted. `text` is the beginning of the text, or all of a single entry. `check` is what came of a
    check, and `sound` is null if none is stored."""

    object: Literal["history.entry"] = "history.entry"
    id: str
    created_at: int
    expires_at: int
    operation: Operation
    outcome: str | None
    error: str | None
    model: str
    voice: str
    language: str
    format: str
    characters: int
    seconds: float
    credits: float | None
    refunded: float | None
    tag: str
    text: str
    check: CheckReport | None
    sound: StoredSound | None


class WholeEntry(HistoryEntry, frozen=True, kw_only=True):
    """An entry with its `request`: the body that asks for the same once more. That of a conversion lacks the
    recording, and that of a transcription has its text. It is null if it cannot be opened any more."""

    request: dict[str, Any] | None


class HistoryList(Listing, frozen=True, kw_only=True):
    """The newest first. Entries stay for `days` on the account's plan, 0 for none; the oldest go when there
    is more than `account_mb`."""

    data: list[HistoryEntry]
    days: float
    account_mb: int
    used_mb: float


class DeletedEntry(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["history.entry"] = "history.entry"
    deleted: Literal[True] = True


class DeletedHistory(msgspec.Struct, frozen=True, kw_only=True):
    """How many entries are gone."""

    object: Literal["history"] = "history"
    deleted: int


class History(Resource):
    def __init__(self, store: HistoryStore, section: HistorySection, stored: StoredDays) -> None:
        self._store = store
        self._section = section
        self._stored = stored

    @endpoint("GET", ROOT, HistoryList, queries=(*_FILTERS, *PAGE), failures=(InvalidRequest,), pace="list")
    async def list_history(self, request: Request) -> Response:
        """The account's requests that were kept, the newest first"""
        caller, store = caller_of(request.scope), self._store
        place_of = partial(HISTORY.place_of, store.store, caller.account)
        filter_ = msgspec.structs.asdict(_filter(request))
        read = partial(HISTORY.page, store.store, caller.account, listed_params=filter_)
        listed = await read_page(request, place_of, read)
        used_bytes = await store.used_bytes(caller.account)
        shown = {each.id: each for each, _ in await self._shown_entries(request, listed.rows)}
        return await listed.list_response(
            HistoryList,
            lambda row: shown[row.id],
            days=self._stored.us_of(caller.plan) / (86_400 * SECOND_US),
            account_mb=self._section.account_mb,
            used_mb=round(used_bytes / MEGABYTE, 3),
        )

    @endpoint("DELETE", ROOT, DeletedHistory, queries=_FILTERS, failures=(InvalidRequest,))
    async def delete_history(self, request: Request) -> Response:
        """Delete the account's entries, all or those of a filter"""
        account = caller_of(request.scope).account
        return reply(DeletedHistory(deleted=await self._store.remove_filtered(account, _filter(request))))

    @endpoint("GET", f"{ROOT}/{{id}}", WholeEntry, failures=(NotFound,))
    async def get_history_entry(self, request: Request) -> Response:
        """One entry with its whole text and its request"""
        ((shown, body),) = await self._shown_entries(request, [await self._find_entry(request)])
        return reply(struct_from(WholeEntry, shown, text=_text(body), request=body or None))

    @endpoint("DELETE", f"{ROOT}/{{id}}", DeletedEntry, failures=(NotFound,))
    async def delete_history_entry(self, request: Request) -> Response:
        """Delete an entry with its sound"""
        row = await self._find_entry(request)
        await self._store.remove([row.id])
        return reply(DeletedEntry(id=row.id))

    @endpoint(
        "GET",
        f"{ROOT}/{{id}}/content",
        media=tuple(dict.fromkeys(MEDIA_TYPES.values())),
        failures=(NotFound, Conflict, RangeNotSatisfiable),
        request_headers=(RANGE,),
    )
    async def get_history_content(self, request: Request) -> Response:
        """The sound of an entry, or a range of it"""
        row = await self._find_entry(request)
        if not row.digest:
            raise Conflict("Of this entry the text alone is stored.", param="id")
        sound = StoredFile(self._store, row.account, [BlobRange(row.digest, 0, row.sound_bytes)])
        name, media_type = f"{row.id}.{row.sound_format}", MEDIA_TYPES[row.sound_format]
        return file_reply(sound, name, media_type, request.headers.get("range"))

    async def _find_entry(self, request: Request) -> HistoryRow:
        """Return the entry that a path names. Another account's is as unknown as none."""
        account, id_ = caller_of(request.scope).account, request.path_params["id"]
        row = await HISTORY.get(self._store.store, account, id_) if id_.isprintable() else None
        if row is None:
            raise NotFound(
                f"The history entry '{id_[:80]}' does not exist.", param="id", code="history_entry_not_found"
            )
        return row

    async def _shown_entries(
        self, request: Request, rows: Sequence[HistoryRow]
    ) -> list[tuple[HistoryEntry, dict[str, Any]]]:
        """Return entries with their bodies. An empty body cannot be opened any more."""
        usage = await self._store.usage_of([row.id for row in rows])
        stored_us = self._stored.us_of(caller_of(request.scope).plan)
        # In a thread: a list may have a thousand texts.
        requests = await asyncio.to_thread(lambda: [self._request(row) for row in rows])
        return [
            (_entry(row, usage.get(row.id, {}), stored_us, sealed), sealed.body)
            for row, sealed in zip(rows, requests, strict=True)
        ]

    def _request(self, row: HistoryRow) -> SealedRequest:
        try:
            return self._store.vault.open_record(row.account, row.id, row.record, SealedRequest)
        except VaultFailed:
            return SealedRequest({})


def _text(body: dict[str, Any]) -> str:
    """Return the text of a body: `input` of speech, or `text` of a transcription."""
    return str(body.get("input") or body.get("text", ""))


def _entry(row: HistoryRow, usage: Row, stored_us: int, sealed: SealedRequest) -> HistoryEntry:
    sound = None
    if row.digest:
        sound = StoredSound(row.sound_format, MEDIA_TYPES[row.sound_format], row.sound_bytes)
    return struct_from(
        HistoryEntry,
        row,
        created_at=row.created // SECOND_US,
        expires_at=(row.created + stored_us) // SECOND_US,
        outcome=usage.get("outcome"),
        error=usage.get("error"),
        credits=credits.to_credits(usage["credits"]) if usage else None,
        refunded=credits.to_credits(usage["refunded"]) if usage else None,
        text=_text(sealed.body)[:_MOST_SHOWN_CHARACTERS],
        check=sealed.check,
        sound=sound,
    )


def _filter(request: Request) -> EntryFilter:
    """Read a query. Raises InvalidRequest."""
    voice = request.query_params.get("voice") or None
    if voice is not None and not voice.isprintable():
        raise InvalidRequest("Invalid value for 'voice': it must be the id of a voice.", param="voice")
    since, until = query_time_micros(request, "since"), query_time_micros(request, "until")
    return EntryFilter(voice, since or 0, LAST_MOMENT if until is None else until)
