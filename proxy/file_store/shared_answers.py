"""Stored answers of several machines with one database and one vault.

A claim is a row, whose lease its owner renews until the settlement is written. The answer is sealed and
uploaded before the settlement commits, and is valid only if the usage row of its request says `finished`. A
claim that may have lapsed fails its answer, so that no request is charged twice.
"""

from __future__ import annotations

import asyncio
import errno
import math
import os
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Self

import structlog
from msgspec.structs import replace

from proxy.config.sections import Server
from proxy.file_store import sealing
from proxy.file_store.answers import (
    STORED_S,
    AnswerRecording,
    Head,
    StoredAnswer,
    StoredAnswers,
    answer_name,
    read_head,
)
from proxy.file_store.locked_files import Lock
from proxy.file_store.objects import VaultAway
from proxy.file_store.once import Once
from proxy.file_store.sealed_file import SealedFileReader
from proxy.file_store.vault import Vault, VaultFailed
from proxy.storage import answer_claims, tombstones, usage
from proxy.storage.answer_claims import LEASE_S, Claim
from proxy.storage.disk_names import ANSWERS
from proxy.storage.store import StorageFailed, StorageUnreachable, Store, until_written
from proxy.telemetry.background import RepeatingTask
from proxy.telemetry.metrics import Metrics

RENEW_S = 6.0
_RETRY_S = 1.0
_SETTLES_S = 15.0
"""A settlement that begins so long before the end of the lease commits before it ends, or never."""
UPLOAD_S = 2.0
_MOST_BYTES = 16 * 1024 * 1024
"""A larger answer could not be uploaded in time, and it is sealed in memory."""
_OBJECTS_S = 2 * 86_400.0
_TRIES = 3
_SWEEP_S = 60 * 60.0

_log = structlog.get_logger()


class Lease:
    """The lease of a claim. Its owner renews it until `end`."""

    def __init__(self, store: Store, claim: Claim, began: float) -> None:
        """`began` is a moment before the lease, by the clock of the loop."""
        self.claim = claim
        self.store = store
        self._until = self._end_of(began)
        self._renewing = asyncio.create_task(self._repeat())

    def check_lease(self) -> None:
        """Raise StorageUnreachable if another machine may answer the request, or soon may."""
        if asyncio.get_running_loop().time() >= self._until:
            raise StorageUnreachable("the claim of a request with an Idempotency-Key may have lapsed")

    async def renew(self) -> None:
        """Renew once. Raises StorageFailed."""
        began = asyncio.get_running_loop().time()
        is_ours = await answer_claims.renew(self.store, self.claim)
        self._until = self._end_of(began) if is_ours else -math.inf

    async def end(self) -> None:
        self._renewing.cancel()
        await asyncio.wait([self._renewing])

    async def _repeat(self) -> None:
        pause_s = RENEW_S
        while self._until > 0:
            await asyncio.sleep(pause_s)
            pause_s = RENEW_S
            try:
                await self.renew()
            except StorageFailed as error:
                _log.warning("answer.claim.failed", request=self.claim.request, reason=str(error))
                pause_s = _RETRY_S

    @staticmethod
    def _end_of(began: float) -> float:
        return began + LEASE_S - _SETTLES_S


class SharedRecording(AnswerRecording):
    """An answer that goes to its client, and to the vault when it is complete."""

    def __init__(self, lock: Lock | None, path: Path, most_bytes: int, lease: Lease, vault: Vault) -> None:
        head = Head(lease.claim.request, bytes.fromhex(lease.claim.body_digest))
        super().__init__(lock, head, most_bytes, lease.store)
        self._path = path
        self._lease: Lease | None = lease
        self._vault = vault
        self._claim = lease.claim

    def add(self, data: bytes) -> None:
        if self._lease is not None:
            self._lease.check_lease()
        super().add(data)

    async def complete(self, tail: bytes = b"", name: str | None = None) -> None:
        """Return when the answer is in the vault, or will not be. Raises StorageFailed if the claim may have
        lapsed: then the answer must not be settled."""
        lease = self._lease
        assert lease is not None
        lease.check_lease()
        content = self.content
        if content is None:
            await super().complete(tail, name)
        if not self.is_given_up:
            try:
                async with asyncio.timeout(UPLOAD_S):
                    await self._upload(content and content + tail)
            except TimeoutError:
                self.give_up(OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)))
            except (OSError, StorageFailed) as error:
                self.give_up(OSError(errno.EIO, str(error)))
        if not self.is_given_up:
            await self._write_place(lease)
        lease.check_lease()

    async def _upload(self, content: bytes | None) -> None:
        """Upload these bytes; None means those of the local file. Raises OSError and StorageFailed."""
        if content is None:
            content = await asyncio.to_thread(self._path.read_bytes)
        account, id_ = self._claim.account, self._claim.id
        key, wrapped = await self._vault.new_row_key(account, id_)
        sealed = await asyncio.to_thread(sealing.seal, content, key, account, id_)
        self._claim = replace(
            self._claim,
            voices=self.voices,
            object=f"{ANSWERS}/{secrets.token_hex(16)}",
            wrapped=wrapped,
            size=len(content),
        )
        await self._vault.objects.put(self._claim.object, sealed)

    async def _write_place(self, lease: Lease) -> None:
        """Write the object of the answer into the claim. This may take longer than the upload, since the
        settlement would wait for the database as well."""
        is_noted = False

        async def note() -> None:
            nonlocal is_noted
            is_noted = await answer_claims.write_answer(self._store, self._claim)

        await until_written(note, _TRIES)
        if not is_noted:
            # A voice was erased, or the lease is lost.
            self.give_up()
            await lease.renew()

    async def _close(self, keep: bool) -> None:
        # The file was only for the upload, so it is removed.
        await super()._close(False)
        lease, self._lease = self._lease, None
        if lease is None:
            return
        await lease.end()
        self.is_stored = keep and bool(self._claim.object) and not self.is_given_up
        if not self.is_stored:
            # If this fails, the claim lapses by itself, and the object goes after two days.
            with suppress(StorageFailed):
                await answer_claims.drop(self._store, self._claim)
                if self._claim.object and self.failure is None:
                    await self._vault.objects.remove(self._claim.object)


class SharedAnswer(StoredAnswer):
    """A whole answer in the vault. It is read in parts."""

    def __init__(self, head: Head, first: bytes, reader: SealedFileReader) -> None:
        self.head = head
        self._first = first
        self._reader = reader

    @classmethod
    async def open(cls, claim: Claim, vault: Vault) -> Self:
        """Read the head and the first part. Raises VaultFailed."""
        key = vault.row_key(claim.account, claim.id, claim.wrapped)
        reader = await SealedFileReader.open(
            vault.objects, claim.object, claim.size, key, claim.account, claim.id
        )
        file = BytesIO(await reader.next_part())
        head = read_head(file)
        if head is None or head.request != claim.request:
            raise VaultFailed("it is another one")
        return cls(head, file.read(), reader)

    async def next_chunk(self) -> bytes:
        """Return the next bytes, b"" after the last ones. Raises VaultFailed."""
        first, self._first = self._first, b""
        return first or await self._reader.next_part()

    def close(self) -> None:
        """Do nothing: no file is open."""


class SharedAnswers(StoredAnswers):
    """The stored answers of all machines with one database and one vault."""

    def __init__(self, store: Store, root: Path, megabytes: int, workers: int, vault: Vault) -> None:
        super().__init__(store, root, megabytes, workers)
        self._vault = vault

    @asynccontextmanager
    async def claim(self, once: Once) -> AsyncIterator[StoredAnswer | AnswerRecording]:
        name = answer_name(once)
        async with AsyncExitStack() as closing:
            # This machine may have stored the answer before it shared a vault.
            stored = await self._open_stored(self._folder.root / name, once)
            found = stored or await self._claim_or_open(name, once)
            if isinstance(found, StoredAnswer):
                closing.callback(found.close)
                yield found
                return
            closing.push_async_callback(found.end)
            recording = await self._record_shared(found)
            closing.push_async_callback(self._end_recording, recording)
            yield recording

    async def sweep(self) -> None:
        room, stored_us = self._folder.bytes_after_sweep, round(STORED_S * 1_000_000)
        for claim in await answer_claims.list_stale(self._store, stored_us, room):
            await self._remove(claim)
        for each in await self._vault.objects.list(f"{ANSWERS}/"):
            if each.modified < time.time() - _OBJECTS_S:
                await self._vault.objects.remove(each.name)
        await super().sweep()

    async def remove_voice(self, voice: str, *, is_late: bool) -> None:
        await super().remove_voice(voice, is_late=is_late)
        for claim in await answer_claims.list_of_voice(self._store, voice):
            await self._remove(claim)

    async def _remove(self, claim: Claim) -> None:
        # The row comes last: it has the name of the object.
        if claim.object:
            await self._vault.objects.remove(claim.object)
        await answer_claims.drop(self._store, claim)

    async def _claim_or_open(self, name: str, once: Once) -> StoredAnswer | Lease:
        new = Claim(id=name, account=once.account, request=once.request, body_digest=once.digest.hex())
        for _ in range(_TRIES):
            began = asyncio.get_running_loop().time()
            if await answer_claims.add(self._store, new):
                return Lease(self._store, new, began)
            before = await answer_claims.get(self._store, name)
            if before is None:
                continue  # it was released meanwhile
            if (stored := await self._open_claimed(before, once)) is not None:
                return stored
            if before.is_leased:
                break
            began = asyncio.get_running_loop().time()
            ours = replace(new, fence=before.fence)
            if await answer_claims.take_over(self._store, ours):
                return Lease(self._store, replace(new, fence=before.fence + 1), began)
        raise once.under_way_failure()

    async def _open_claimed(self, claim: Claim, once: Once) -> StoredAnswer | None:
        """Return the answer of a claim, or None if there is none to believe. Raises IdempotencyKeyReused, and
        StorageFailed if the vault is away: another answer would be charged again."""
        if not claim.object:
            return None
        started = await usage.find_finished(self._store, claim.request, claim.account)
        if started is None or await self._store.now() - started > STORED_S * 1_000_000:
            return None
        if claim.voices and await tombstones.list_erased(self._store, claim.voices):
            return None
        once.check_digest(bytes.fromhex(claim.body_digest))
        try:
            return await SharedAnswer.open(claim, self._vault)
        except VaultAway:
            raise
        except VaultFailed as error:
            _log.warning("answer.read.failed", request=claim.request, reason=str(error))
            return None

    async def _record_shared(self, lease: Lease) -> SharedRecording:
        path = self._folder.root / lease.claim.request  # no other request writes this file
        failure: OSError | None = None
        try:
            lock = await self._folder.lock_file(path)
        except OSError as error:
            lock, failure = None, error
        most_bytes = min(self._folder.largest_bytes, _MOST_BYTES)
        recording = SharedRecording(lock, path, most_bytes, lease, self._vault)
        if lock is None:
            recording.give_up(failure)
        return recording


@asynccontextmanager
async def open_answers(
    store: Store, data: Path, server: Server, vault: Vault, metrics: Metrics
) -> AsyncIterator[StoredAnswers]:
    place, most, workers = data / "idempotency", server.idempotency_mb, server.workers
    if store.is_shared and vault.is_shared:
        answers: StoredAnswers = SharedAnswers(store, place, most, workers, vault)
    else:
        answers = StoredAnswers(store, place, most, workers)
    # Answers are deleted after a day even if no requests come.
    sweeping = RepeatingTask("sweep of kept answers", answers.sweep, _SWEEP_S, metrics, tidies=True)
    async with aclosing(sweeping):
        yield answers
