"""A process whose server has few features: `python -m tests.proxy.core_program FOLDER STORE_URL [FEATURE…]`.

No module of another feature can be imported, and none of OUTSIDE. It speaks, falls back and limits,
administers if it has the feature admin, and prints what a client saw, as JSON.
"""

import asyncio
import json
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx2

CONFIG = """
[server]
robot_fallback = true
[storage]
url = "{url}"
[engines.espeak]
hosted = false
[engines.tone]
hosted = false
[engines.broken]
plugin = "tone"
hosted = false
fail = "refuse"
[models]
tts-1 = ["tone/standard"]
falls-back = ["broken/standard", "tone/standard"]
[voices.alloy]
tone = "tone"
broken = "tone"
[plans.few]
rpm = 3
"""
NATURAL = '[engines.kokoro]\nmodel = "kokoro"\n[models]\n"tts-1-hd" = ["kokoro/standard", "tone/standard"]\n'
OUTSIDE = {"proxy.hosts": "models", "proxy.speech_steps": "voice_list", "proxy.text_rules": ""}
"""The folders outside of the core, and for each a feature that imports it."""
FORMATS = ("mp3", "opus", "aac", "flac", "wav", "pcm")


class NoOtherFeatures:
    """Refuses the import of each feature but some."""

    def __init__(self, features: Sequence[str]) -> None:
        self._folders = tuple(f"proxy.features.{name}." for name in features)

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        if name.startswith("proxy.features.") and not f"{name}.".startswith(self._folders):
            raise ImportError(f"{name} is no part of the core")
        return None


async def answers(folder: Path, url: str, features: Sequence[str]) -> dict[str, Any]:
    from proxy import feature_list
    from proxy.app import open_worker
    from proxy.engines import registry
    from proxy.storage import accounts, api_key, key_records
    from proxy.storage.key_records import NewKeyRecord, Role
    from proxy.storage.rows import NEWEST

    for name in feature_list.FEATURES.keys() - features:
        del feature_list.FEATURES[name]
    file = folder / "config.toml"
    file.write_text(CONFIG.format(url=url))
    data = folder / "data"
    data.mkdir(mode=0o700)
    (data / "natural.toml").write_text(NATURAL)
    config = feature_list.load_config(file, {})
    async with open_worker(config, registry.load()) as worker:
        found: dict[str, Any] = {"natural": config.natural}
        secrets: dict[str, str] = {}
        for name, plan in (("ada", "unlimited"), ("bob", "few"), ("root", "unlimited")):
            account = await accounts.create(worker.store, name=name, plan=plan)
            secret = api_key.mint()
            role: Role = "admin" if name == "root" else "speech"
            await key_records.create(worker.store, secret, NewKeyRecord(account=account.id, role=role))
            secrets[name] = secret.reveal()
        transport = httpx2.ASGITransport(app=worker.public)
        async with httpx2.AsyncClient(transport=transport, base_url="http://voxgate.test") as client:

            async def ask(
                method: str, path: str, body: Any = None, name: str = "ada", **headers: str
            ) -> httpx2.Response:
                headers["authorization"] = f"Bearer {secrets[name]}"
                return await client.request(method, path, json=body, headers=headers)

            async def speak(name: str = "ada", **fields: object) -> httpx2.Response:
                body = {"model": "tts-1", "voice": "alloy", "input": "Hello there.", **fields}
                return await ask("POST", "/v1/audio/speech", body, name)

            async def refusal(**fields: Any) -> str:
                answer = await speak(**fields)
                return "" if answer.is_success else str(answer.json()["error"]["code"])

            found["formats"] = {each: len((await speak(response_format=each)).content) for each in FORMATS}
            body = {"model": "tts-1", "voice": "alloy", "input": "Twice.", "response_format": "wav"}
            for _ in range(2):
                answer = await ask("POST", "/v1/audio/speech", body, **{"idempotency-key": "one"})
                found.setdefault("repeated", []).append("x-voxgate-replayed" in answer.headers)
            found["fallback"] = (await speak(model="falls-back")).headers["x-voxgate-engine"]
            found["refused"] = [(await speak("bob")).status_code for _ in range(5)]
            found["background"] = await refusal(background=True)
            form = {"authorization": f"Bearer {secrets['ada']}"}
            upload = await client.post("/v1/audio/speech", files={"file": b"x"}, headers=form)
            found["form"] = upload.status_code
            found["marks"] = (await speak(input="**Hello** there.")).status_code
            found["off"] = [
                await refusal(input_type="ssml", input="<speak>Hi.</speak>"),
                await refusal(voice={"cast": {"ada": "alloy"}}, input="[ada] Hi."),
                await refusal(input="Hello. [pause 1s] There."),
                await refusal(response_format="json"),
                await refusal(check="heard"),
            ]
            found["accounts"] = len(await accounts.list_page(worker.store, NEWEST, 100))
            if "admin" in features:
                found["features"] = (await ask("GET", "/v1")).json()["features"]
                found["voices"] = len((await ask("GET", "/v1/audio/voices")).json()["data"])
                found["listed"] = len((await ask("GET", "/admin/accounts", name="root")).json()["data"])
                found["verified"] = (await ask("GET", "/admin/ledger", name="root")).json()["is_clean"]
                found["closed"] = (await ask("DELETE", "/admin/accounts/bob", name="root")).status_code
                found["after"] = (await speak("bob")).status_code
    return found


if __name__ == "__main__":
    _, folder, url, *features = sys.argv
    sys.meta_path.insert(0, NoOtherFeatures(features))
    for name in [each for each, importer in OUTSIDE.items() if importer not in features]:
        # With None, `import` refuses it, and `find_spec` finds nothing. The type of its values lacks that.
        sys.modules[name] = None  # type: ignore[assignment]
    print(json.dumps(asyncio.run(answers(Path(folder), url, features))))
