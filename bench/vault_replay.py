"""The time of a replay from this machine, a shared folder and a bucket: `python -m bench.vault_replay`.

Three workers on one PostgreSQL take turns in this process. The bucket is that of moto, on this machine.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

from tests.databases import postgres
from tests.proxy.api.inside import Inside, inside
from tests.proxy.api.scripted import Scripted, spoken
from tests.proxy.file_store import buckets
from tests.proxy.file_store.idempotent import BODY, CONFIG

ROUNDS = 300
SECONDS = (1.0, 10.0)
_KEY = {"idempotency-key": "bench"}
_TEXT = "So many words take ten seconds to say. " * 5


def vaults(folder: Path) -> Mapping[str, str]:
    bucket = buckets.section()
    keys = 'access_key = "file:key"\nsecret_key = "file:key"\nregion = "us-east-1"\n'
    return {
        "this machine": "",
        "folder": f'folder = "{folder}/shared"',
        "bucket": f'store = "{bucket.store}"\nendpoint = "{bucket.endpoint}"\n{keys}',
    }


async def replay_s(server: Inside, body: Mapping[str, object]) -> float:
    began = time.perf_counter()
    sent = await server.raw_speech(body, headers=_KEY)
    took = time.perf_counter() - began
    assert (b"x-voxgate-replayed", b"true") in sent[0]["headers"]
    return took


async def measure(url: str, folder: Path, seconds: float) -> str:
    took: dict[str, list[float]] = {}
    body = {**BODY, "input": _TEXT}
    async with AsyncExitStack() as stack:
        servers: dict[str, Inside] = {}
        for number, (name, vault) in enumerate(vaults(folder).items()):
            place = folder / f"{seconds}-{number}"
            place.mkdir()
            (place / "key").write_text(buckets.section().master_key)
            text = f'{CONFIG}\n[storage]\nurl = "{url}"\n[vault]\nmaster_key = "file:key"\n{vault}\n'
            text = text.replace("idempotency_mb = 1", "idempotency_mb = 64")
            opened = inside(
                place, text, {"one": Scripted(*spoken(seconds))}, name=f"bench-{seconds}-{number}"
            )
            servers[name] = await stack.enter_async_context(opened)
            await servers[name].raw_speech(body, headers=_KEY)
        for _ in range(ROUNDS):
            for name, server in servers.items():
                took.setdefault(name, []).append(await replay_s(server, body))
    p50 = {name: 1000 * statistics.median(each) for name, each in took.items()}
    figures = ", ".join(f"{name} {ms:.2f} ms" for name, ms in p50.items())
    return f"{48 * seconds:.0f} kB, p50: {figures}; bucket to folder {p50['bucket'] / p50['folder']:.2f}"


def main() -> None:
    with postgres() as server, tempfile.TemporaryDirectory() as folder:
        url = server.url(search_path=server.new_schema())
        for seconds in SECONDS:
            print(asyncio.run(measure(url, Path(folder), seconds)))


if __name__ == "__main__":
    main()
