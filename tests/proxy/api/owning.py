"""Voices and consents of accounts inside a worker, as clients send them."""

from typing import Any

import httpx2

from proxy.storage import accounts, api_key, key_records
from proxy.storage.key_records import NewKeyRecord
from tests import speech_clips
from tests.proxy.api.inside import Inside
from tests.replies import json_of


async def new_key(server: Inside, name: str, plan: str = "unlimited") -> str:
    """The key of a new account."""
    account = await accounts.create(server.worker.store, name=name, plan=plan)
    secret = api_key.mint()
    await key_records.create(server.worker.store, secret, NewKeyRecord(account=account.id))
    return secret.reveal()


async def agree(server: Inside, key: str | None = None, **more: object) -> dict[str, Any]:
    """A consent by statement."""
    body = {"name": "Ana", "language": "pt-BR", "statement": "Ana agreed on paper.", **more}
    return json_of(await server.ask("POST", "/v1/audio/voice_consents", key=key, body=body))


async def send(
    server: Inside,
    fields: dict[str, Any],
    sample: bytes | None = None,
    key: str | None = None,
    path: str = "/v1/audio/voices",
    file: str = "audio_sample",
    once: str | None = None,
) -> httpx2.Response:
    """A form with a recording, as SDKs send it; with an Idempotency-Key."""
    data = speech_clips.wav() if sample is None else sample
    async with server.client(key, **({} if once is None else {"idempotency-key": once})) as client:
        files = {file: ("../../etc/passwd\r\n.wav", data, "text/html")}
        return await client.post(path, data=fields, files=files, timeout=30.0)


async def clone(server: Inside, name: str = "Ana", key: str | None = None, **fields: Any) -> dict[str, Any]:
    """A voice of a recording, with a consent."""
    consent = await agree(server, key)
    return json_of(await send(server, {"name": name, "consent": consent["id"], **fields}, key=key))
