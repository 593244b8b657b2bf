"""Speech in an own voice with its recordings in a folder and in a bucket: `python -m bench.vault`.

Two real servers take turns, with the sample in the engine's memory. Then each puts and reads a recording. The
bucket is that of moto, on this machine.
"""

from __future__ import annotations

import asyncio
import secrets
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path

from proxy.config.sections import VaultSection
from proxy.feature_list import open_store
from proxy.file_store.vault import Vault
from tests import speech_clips
from tests.faults.test_voice_canary import CONFIG, make
from tests.proxy.file_store import buckets
from tests.proxy.file_store.vaults import key_text
from tests.server import running

ROUNDS, PUTS, BYTES = 400, 100, 480_000
_SETTINGS = '[vault]\nmaster_key = "file:key"\n{}\n'
_KEYS = 'access_key = "file:key"\nsecret_key = "file:key"\nregion = "us-east-1"'


def settings(name: str, folder: Path) -> str:
    if name == "folder":
        return _SETTINGS.format(f'folder = "{folder}/shared"')
    bucket = buckets.section()
    return _SETTINGS.format(f'store = "{bucket.store}"\nendpoint = "{bucket.endpoint}"\n{_KEYS}')


def speech_ms(folder: Path) -> dict[str, float]:
    took: dict[str, list[float]] = {"folder": [], "bucket": []}
    with ExitStack() as stack:
        clients = {}
        for name in took:
            (folder / name).mkdir()
            (folder / name / "key").write_text(key_text())
            server = stack.enter_context(running(folder / name, CONFIG + settings(name, folder)))
            secret = server.mint_key("bench", plan="creator").secret
            voice = make(server, secret, speech_clips.wav(), "Ana")
            clients[name] = stack.enter_context(server.client(secret)), voice
        for _ in range(ROUNDS):
            for name, (client, voice) in clients.items():
                text = f"Good morning, {secrets.token_hex(4)}."
                body = {"model": "tts-1", "voice": voice, "input": text, "response_format": "wav"}
                began = time.perf_counter()
                client.post("/v1/audio/speech", json=body).raise_for_status()
                took[name].append(time.perf_counter() - began)
    return {name: 1000 * statistics.median(each) for name, each in took.items()}


async def _timed(work: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await work()
    return 1000 * (time.perf_counter() - began)


async def vault_ms(folder: Path) -> dict[str, tuple[float, float]]:
    async with open_store("sqlite", folder) as store:
        places = {
            "bucket": buckets.section(),
            "folder": VaultSection(key_text(), folder=f"{folder}/x"),
        }
        vaults = {name: Vault(store, section, folder) for name, section in places.items()}
        took: dict[str, list[tuple[float, float]]] = {name: [] for name in vaults}
        for number in range(PUTS):
            plain = secrets.token_bytes(BYTES)
            for name, vault in vaults.items():
                account = f"acc_{name}{number % 5}"
                put = await _timed(lambda: vault.put(account, plain))  # noqa: B023 - it is called in this turn
                digest = await vault.put(account, plain)
                read = await _timed(lambda: vault.open(account, digest))  # noqa: B023 - as above
                took[name].append((put, read))
    return {
        name: (statistics.median(p for p, _ in each), statistics.median(r for _, r in each))
        for name, each in took.items()
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        p50 = speech_ms(Path(folder))
        figures = ", ".join(f"{name} {ms:.1f} ms" for name, ms in p50.items())
        print(f"own voice, warm sample, p50: {figures}; bucket to folder {p50['bucket'] / p50['folder']:.3f}")
        for name, (put, read) in asyncio.run(vault_ms(Path(folder))).items():
            print(f"a recording of {BYTES // 1000} kB, p50: {name} put {put:.1f} ms, read {read:.1f} ms")


if __name__ == "__main__":
    main()
