"""A worker whose account has the most of everything, is sent largest requests; a neighbour speaks beside.

`fill` gives the account as many rows as it may have, or a lot where nothing bounds them.
"""

import asyncio
import gc
import json
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest
from structlog.testing import capture_logs

from proxy.access.admission import MOST_A_MINUTE
from proxy.features.jobs.core.steps import Steps
from proxy.features.monitoring.loop_watch import LOGGED_S, LoopHold, watch_loop
from proxy.storage import accounts, api_key, key_records
from proxy.storage.key_records import NewKeyRecord
from proxy.storage.store import Statement, Store
from proxy.storage.turns import MOST_ROWS
from tests.features.own_voices.trained_files import tone_voice
from tests.features.users.people import user_of
from tests.proxy.http.every_endpoint import Everything, Sent, everything_served
from tests.proxy.http.largest import ENTRIES, Row, body_of, lines, recording
from tests.proxy.http.largest_cost import MOST_STAYS_BYTES, Felt, Meter, grown_bytes, in_use_bytes
from tests.waiting import LIMIT_S

_REMOTE_S = 0.3
"""What another thread may keep from the loop: less sure, see `LoopHold`."""
_PIECE = 64 * 1024
_ANSWERED_S = 5 * LIMIT_S
"""An answer that waits uses no processor, and has no end without this."""
_ANSWERS = 20
_LOOKS = 5
_PURGES = frozenset({"put_lexicon", "put_lexicon_of", "delete_lexicon", "delete_voice"})
_OF_THE_LARGEST = frozenset(
    {
        *(
            "create_batch",
            "get_file",
            "get_file_content",
            "delete_file",
            "get_batch",
            "cancel_batch",
            "get_job",
        ),
        *("retry_job", "list_job_steps", "list_job_steps_of", "delete_job"),
    }
)
"""They are about the file and the batch that were made before; all others, about small and ended ones."""


def _field(value: Any) -> str:
    if isinstance(value, str):
        return value
    return httpx2.Request("POST", "http://voxgate.test", json=value).content.decode()


class Rig:
    """Sends largest requests to a worker, beside a neighbour."""

    def __init__(
        self, served: Everything, neighbour: str, second_user: str, amount: "Amount", meter: Meter
    ) -> None:
        self.served = served
        self._meter = meter
        self._neighbour_cpu_s = 0.0
        self._second_user = second_user
        self._neighbour = neighbour
        self._amount = amount
        self._new = count()
        self._own: dict[str, str] = {}
        self._uploaded, self._jobs, self._levels = "", list[str](), dict[int, int]()
        self._warm: Mapping[int, int] = {}
        self._warm_in_use = 0
        self.units = 0
        self.is_stuck = False

    def encoded(self, row: Row) -> httpx2.Request:
        """A request, ready to be sent."""
        own = self._own if row.operation.id in _OF_THE_LARGEST else {}
        if row.operation.id in ("sign_out_user", "remove_user"):
            own = {"user": self._second_user}
        objects = {**self.served.objects, **own, "new": f"{next(self._new):04}{'v' * 90}"}
        sent = row.operation.request(self.served.document, objects)
        path = self._path(row, sent)
        headers = self.served.proof(row.operation)
        url = f"http://voxgate.test{path}"
        if row.schema is None and not row.files:
            return httpx2.Request(sent.method, url, headers=headers)
        body = body_of(self.served.document, row, objects)
        if not row.files:
            body |= dict.fromkeys(row.shape.files, self._uploaded)
            request = httpx2.Request(sent.method, url, headers=headers, json=body)
            if not row.shape.more:
                return request
            raw = request.read()[:-1] + b',"unknown":' + row.shape.more + b"}"
            headers |= {"content-type": "application/json"}
            return httpx2.Request(sent.method, url, headers=headers, content=raw)
        fields = {name: _field(value) for name, value in body.items() if value is not None}
        files = row.shape.files or {row.files[0]: ("lines.jsonl", self._file(row.operation.id))}
        return httpx2.Request(sent.method, url, headers=headers, data=fields, files=files)

    def _path(self, row: Row, sent: Sent) -> str:
        described = self.served.document["paths"][row.operation.path][row.operation.method.lower()]
        limits = [each["description"] for each in described.get("parameters", ()) if each["name"] == "limit"]
        most = [f"limit={found[1]}" for each in limits if (found := re.search(r"1 to (\d+)", each))]
        cut = ["cut=true"] if "CutForm" in str(row.schema) else []
        return ("&" if "?" in sent.path else "?").join([sent.path, *most, *cut])

    def _file(self, operation: str) -> bytes:
        if operation == "create_file":
            return lines(self._amount.lines)
        if "model" in operation:
            return tone_voice()
        long = "consent" in operation or "mark" in operation or "provenance" in operation
        return recording(54, 2) if long else recording(29, 3)

    async def prepare(self, row: Row) -> None:
        """Make what a request will delete, if others have deleted it."""
        if row.operation.id in _PURGES:
            await fill_clips(self.served, self._amount.clips, next(self._new))
        while self._jobs:
            # An account may have so many steps that wait.
            headers = {"authorization": f"Bearer {self.served.world.keys['owner']}"}
            url = f"http://voxgate.test/v1/jobs/{self._jobs.pop()}"
            await self.send(httpx2.Request("DELETE", url, headers=headers))
        for name, data in () if row.files else row.shape.files.values():
            await self._upload(name, data)

    async def _upload(self, name: str, data: bytes) -> None:
        (operation,) = (each for each in self.served.operations if each.id == "create_file")
        fields = {"purpose": "batch" if name.endswith(".jsonl") else "user_data"}
        headers, files = self.served.proof(operation), {"file": (name, data)}
        url = "http://voxgate.test/v1/files"
        status, said = await self.send(httpx2.Request("POST", url, headers=headers, data=fields, files=files))
        # A file that is no batch's is refused here, and the request that would have named it is told so.
        self._uploaded = str(json.loads(said)["id"]) if status == 200 else "file-none"

    async def meet_neighbour(self) -> None:
        """Find out what an answer to the neighbour costs."""
        request, before = self.neighbours_request(), self._meter.cpu_s()
        for _ in range(_ANSWERS):
            await self.send(request)
        self._neighbour_cpu_s = (self._meter.cpu_s() - before) / _ANSWERS

    async def stays_since_start(self) -> int:
        """The bytes that stay of all that was answered since the first answer."""
        return await self._stays(self._warm)

    async def warm(self, *rows: Row) -> None:
        """Send the first requests, which load what stays for good."""
        self._file("create_file")
        for row in rows:
            await self.prepare(row)
            self.note(row, *await self.send(self.encoded(row)))
        self._warm, self._warm_in_use = self._meter.memory(), in_use_bytes()

    def in_use_since_start(self) -> int:
        """The bytes of those that stay which are allocated: the others are free, in pages with some that are
        not, or stacks of threads."""
        gc.collect()
        return in_use_bytes() - self._warm_in_use

    async def _stays(self, before: Mapping[int, int]) -> int:
        """The bytes that stay: what the last answers have had is given back a moment later."""
        least = grown_bytes(before, self._meter.memory(is_collected=False))
        for _ in range(_LOOKS):
            if least > MOST_STAYS_BYTES:
                await self.send(self.neighbours_request())
                least = min(least, grown_bytes(before, self._meter.memory()))
        return least

    async def send(self, request: httpx2.Request) -> tuple[int, bytes]:
        """Send it without a client library, which would cost more than some answers."""
        raw, answer, said = request.read(), dict[str, Any](), bytearray()
        pieces = [raw[at : at + _PIECE] for at in range(0, len(raw), _PIECE)] or [b""]

        async def receive() -> dict[str, Any]:
            await asyncio.sleep(0)
            piece = pieces.pop(0) if pieces else b""
            return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

        async def send(message: Any) -> None:
            await asyncio.sleep(0)
            answer.update(message)
            if len(said) < _PIECE:
                said.extend(message.get("body", b""))

        scope = {
            "type": "http",
            "method": request.method,
            "path": request.url.path,
            "raw_path": request.url.raw_path,
            "query_string": request.url.query,
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "client": ("192.0.2.1", 4000),
        }
        try:
            async with asyncio.timeout(_ANSWERED_S):
                await self.served.shop.server.worker.public(scope, receive, send)
        except TimeoutError:
            self.is_stuck = True
            raise
        return answer["status"], bytes(said)

    def note(self, row: Row, status: int, said: bytes) -> None:
        """Later requests are about the largest things that earlier ones have made."""
        if status < 300 and row.operation.id in ("create_file", "create_batch", "create_job"):
            made = json.loads(said)["id"]
            if row.shape.name and row.operation.id != "create_file":
                self._jobs.append(made)
            elif row.operation.id == "create_batch":
                self._own["batch"] = self._own["job"] = made
            elif row.operation.id == "create_file":
                self._own["file"] = made
            else:
                self._own.setdefault("job", made)

    def neighbours_request(self) -> httpx2.Request:
        body = {"model": "tts-1", "voice": "alloy", "input": "Yes.", "response_format": "pcm"}
        headers = {"authorization": f"Bearer {self._neighbour}"}
        return httpx2.Request("POST", "http://voxgate.test/v1/audio/speech", headers=headers, json=body)

    async def feel(self, request: httpx2.Request, *, is_alone: bool = False) -> Felt:
        """Send a request while the neighbour speaks again and again, or alone."""
        holds, is_over, answered = list[LoopHold](), asyncio.Event(), 0

        async def neighbour() -> None:
            nonlocal answered
            said = self.neighbours_request()
            while not (is_over.is_set() or is_alone):
                status, _ = await self.send(said)
                assert status == 200
                answered += 1
                await asyncio.sleep(0.001)

        self.units, self._meter.longest_commit_s = 0, 0.0
        # An allocator's level goes up and down: what stays is above the highest that there was.
        levels = self._levels
        levels.update({pid: max(at, levels.get(pid, 0)) for pid, at in self._meter.memory().items()})
        memory, cpu_s = {**levels}, -self._meter.cpu_s()
        with capture_logs() as logs:
            async with watch_loop(holds.append):
                beside = asyncio.create_task(neighbour())
                await asyncio.sleep(0.03)
                before, gone = answered, self.units
                answer, began_s = asyncio.create_task(self.send(request)), time.process_time()
                try:
                    # Processor seconds, which the neighbour uses too: the machine may be busy.
                    while not answer.done() and time.process_time() - began_s < LIMIT_S:
                        await asyncio.wait((answer,), timeout=1.0)
                    assert answer.done(), "no answer"
                    status, said = answer.result()
                    during, units = answered - before, self.units - gone
                    await asyncio.sleep(0.03)
                finally:
                    answer.cancel()
                    is_over.set()
                    await beside
        cpu_s += self._meter.cpu_s() - answered * self._neighbour_cpu_s
        stays = await self._stays(memory)
        held = [log for log in logs if log["event"] == "commit.held"]
        shown = [f"{log['statement']}: {log['held_ms']} ms, {log['rows']} rows" for log in held]
        return Felt(
            status,
            said,
            tuple(f"loop {hold.held_s * 1000:.0f} ms: {hold.step}" for hold in holds if _is_ours(hold)),
            tuple(text for log, text in zip(held, shown, strict=True) if log["rows"] <= MOST_ROWS),
            tuple(text for log, text in zip(held, shown, strict=True) if log["rows"] > MOST_ROWS),
            units,
            during,
            max((hold.held_s for hold in holds if _is_of_product(hold)), default=0.0),
            self._meter.longest_commit_s,
            max(0.0, cpu_s),
            stays,
        )


def _is_ours(hold: LoopHold) -> bool:
    most = _REMOTE_S if hold.is_by_another else LOGGED_S
    return hold.held_s > most and _is_of_product(hold)


def _is_of_product(hold: LoopHold) -> bool:
    return not hold.step.startswith(("tests.", "httpx2."))


class Amount(NamedTuple):
    """How much of a thing there is."""

    history: int
    usage: int
    others: int
    clips: int
    lines: int


SOME = Amount(history=1100, usage=1000, others=50, clips=1100, lines=900)
MOST = Amount(history=10_000, usage=20_000, others=999, clips=5_000, lines=19_000)
"""The other jobs have a few of the 20,000 steps that may wait."""


async def copies(store: Store, table: str, only: str, number: int, **changed: str) -> None:
    """Copy the first row so many times; `changed` has SQL for columns, in which `x` is the copy's number."""
    rows = await store.read(f"SELECT * FROM {table} WHERE {only} LIMIT 1")
    assert rows, table
    values = [changed.get(name, name) for name in rows[0]]
    await store.write(
        Statement(
            f"""
            INSERT INTO {table} ({", ".join(rows[0])})
            WITH RECURSIVE numbers (x) AS (
                SELECT CAST(1 AS BIGINT) UNION ALL SELECT x + 1 FROM numbers WHERE x < {number}
            )
            SELECT {", ".join(values)} FROM (SELECT * FROM {table} WHERE {only} LIMIT 1) AS one, numbers
            """
        )
    )


def _named(name: str) -> str:
    return f"CAST({name} AS TEXT) || x"


async def fill(served: Everything, amount: Amount, second_user: str) -> None:
    store, objects = served.shop.server.worker.store, served.objects
    owner = f"account = '{objects['account']}'"
    (granted,) = (each for each in served.operations if each.id == "grant_credits")
    assert (await served.call(granted)).is_success
    whole = {"words": ENTRIES}
    assert (await served.world.ask("owner", "PUT", "/v1/lexicons/secret-words", whole)).is_success
    earlier = {"id": _named("id"), "created": "created - x"}
    await copies(store, "history", owner, amount.history, **earlier, digest="''")
    await copies(
        store, "usage", owner, amount.usage, id=_named("id"), started="started - x", voice="'v' || (x % 1000)"
    )
    await copies(
        store, "entries", owner, amount.others, id=_named("id"), at="at - x", reference=_named("reference")
    )
    await copies(store, "audit", "1 = 1", amount.history, id=_named("id"), at="at - x")
    await copies(store, "jobs", f"{owner} AND state = 'done' AND kind = 'speech'", amount.others, **earlier)
    await copies(store, "keys", f"{owner} AND kind = 'key'", amount.others, **earlier, hash=_named("hash"))
    for user in (objects["user"], second_user):
        only, new = f"user_id = '{user}'", {"id": _named("id"), "hash": _named("hash")}
        await copies(store, "sessions", only, amount.others, **new)
    await copies(store, "accounts", "name = 'stranger'", amount.others, **earlier, name=_named("name"))
    await copies(
        store, "orders", owner, amount.others, **earlier, checkout=_named("checkout"), state="'expired'"
    )
    cast = f"{owner} AND kind = 'cast'"
    await copies(store, "voices", cast, amount.others, **earlier, name=_named("name"))
    await copies(store, "lexicons", owner, min(49, amount.others), name=_named("name"))
    await copies(
        store, "webhook_deliveries", owner, amount.history, **earlier, event=_named("event"), state="'done'"
    )


async def fill_clips(served: Everything, number: int, time: int) -> None:
    """Stored answers, spoken with a lexicon by an own voice."""
    store, only = (
        served.shop.server.worker.store,
        f"account = '{served.objects['account']}' ORDER BY voice DESC",
    )
    new = f"recording || '-{time}-' || x"
    await copies(store, "clips", only, number, recording=new, has_lexicon="1", name=_named("name"))


@asynccontextmanager
async def rig(folder: Path, amount: Amount, url: str = "", **options: Any) -> AsyncIterator[Rig]:
    """Opens a worker whose account has as much as `amount`. Its jobs do not begin by themselves."""
    with pytest.MonkeyPatch.context() as patches:
        for class_ in MOST_A_MINUTE:
            patches.setitem(MOST_A_MINUTE, class_, 10**6)
        more = f'[storage]\nurl = "{url}"\n' if url else ""
        async with everything_served(folder, more=more, **options) as served:
            server = served.shop.server
            for kind in server.worker.task_kinds:
                if isinstance(kind, Steps):
                    kind.most_at_once = 0
            owner = await accounts.get(server.worker.store, served.objects["account"])
            assert owner is not None
            second = await user_of(server, owner, "second@example.org")
            await fill(served, amount, second.user)
            neighbour = await accounts.create(server.worker.store, name="neighbour", plan="unlimited")
            secret = api_key.mint()
            await key_records.create(server.worker.store, secret, NewKeyRecord(account=neighbour.id))
            made = Rig(served, secret.reveal(), second.user, amount, Meter(patches))
            write = server.worker.store.write

            async def counted(*statements: Statement) -> Any:
                made.units += 1
                return await write(*statements)

            patches.setattr(server.worker.store, "write", counted)
            await made.meet_neighbour()
            gc.collect()
            gc.freeze()
            try:
                yield made
            finally:
                gc.unfreeze()
