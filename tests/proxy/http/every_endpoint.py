"""Every operation of a worker that serves all there is: who may call it, and a lawful request of it.

The list is that of the OpenAPI document. A request has the smallest body that its schema allows; `BODIES` and
`FORMS` have what a schema cannot say, and `OBJECTS` what the names in a path stand for.
"""

import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import httpx2

from proxy.features.console.files import console
from proxy.storage import accounts, api_key, key_records
from proxy.storage.key_records import NewKeyRecord
from proxy.storage.store import Statement
from tests import speech_clips
from tests.features.own_voices.trained_files import tone_voice
from tests.features.payments.shop import Shop, shop
from tests.features.users.people import Person, user_of
from tests.proxy.api.access_world import AccessWorld, world_inside
from tests.proxy.audio.recordings.clips import wav
from tests.proxy.http.described import Document, operations
from tests.replies import json_of
from tests.sound import tone
from tests.waiting import soon

Access = Literal["open", "key", "session", "admin", "host"]

OBJECTS = {
    "voices": "voice",
    "erasures": "erased",
    "samples": "clip",
    "voice_consents": "consent",
    "consents": "consent",
    "webhook_endpoints": "webhook",
    "webhook_deliveries": "delivery",
    "lexicons": "lexicon",
    "requests": "request",
    "history": "request",
    "models": "model",
    "jobs": "job",
    "steps": "step",
    "files": "file",
    "batches": "batch",
    "keys": "key",
    "sessions": "session",
    "users": "user",
    "orders": "order",
    "sign-ins": "sign_in",
    "manifests": "manifest",
    "console": "build",
    "front": "build",
    "accounts": "account",
}
"""The object that a name in a path stands for, by the word before it."""

_SAY = {"model": "tts-1", "voice": "alloy", "input": "Hello there."}
_CONSENT = {"name": "Ana", "language": "pt-BR", "statement": "Ana agreed on paper."}
_CAST = {"name": "{operation}", "cast": {"Ana": "alloy"}}
_HOOK = {"name": "every", "url": "http://127.0.0.1:9/", "event_types": ["webhook.test"]}
BODIES: dict[str, Any] = {
    "SpeechBody": _SAY,
    "JobBody": _SAY,
    "RouteQuestion": _SAY,
    "NewVoice": _CAST,
    "NewSavedVoice": _CAST,
    "ConsentBody": _CONSENT,
    "AccountConsentBody": _CONSENT | {"account": "owner"},
    "NewWebhook": _HOOK,
    "LexiconBody": {"words": {"nginx": "engine x"}},
    "MeChange": {"preferred_voice": None},
    "NewSignIn": {"address": "new@example.org"},
    "Confirmation": {"token": "x"},
    "BatchBody": {"input_file_id": "{file}", "endpoint": "/v1/audio/speech", "completion_window": "24h"},
    "NewOrderBody": {"provider": "stripe", "pack": "small"},
    "Closing": {"address": "{address}"},
    "NewInvitation": {"address": "new@example.org"},
    "HostAnnouncement": {"address": "gpu1:7070", "machine": f"mch_{1:024x}", "engines": ["tone"]},
    "AccountChange": {"plan": "cached"},
    "Recloning": {"reclone": True},
    "NewClone": {"engine": "tone"},
    "AgainBody": {"steps": [1]},
    "OwnVoicesOrder": {"language": "zu", "agree": True},  # no gallery has it, so nothing is fetched
}
"""Lawful bodies, by the names of their schemas."""
_LINE = {"custom_id": "a", "method": "POST", "url": "/v1/audio/speech", "body": {**_SAY, "model": "tone"}}
LINES = ("lines.jsonl", json.dumps(_LINE).encode())
_REFERENCE = {"model": "tone/standard", "voice": "alloy", "consent": "true"}
QUERIES = {"compare_payments": "since=2026-01-01"}
"""What follows the path of an operation that needs it. One that ends with `_of` is about an account."""
LAST = ("close_me", "sign_out_user", "remove_user", "close_account")
"""Each takes away what the others need."""
FORMS: dict[str, tuple[dict[str, str], str]] = {
    "bring_voice_model": ({"voice": "{voice}"}, "file"),
    "bring_saved_voice_model": ({"voice": "{voice}"}, "file"),
    "create_conversion": (_REFERENCE, "file"),
    "create_file": ({"purpose": "batch"}, "file"),
    **dict.fromkeys(("create_transcription", "create_translation"), ({"model": "tone/ears"}, "file")),
    **dict.fromkeys(
        ("add_voice_sample", "add_voice_sample_by_short_path", "add_saved_voice_sample"),
        ({"emotion": "sad"}, "file"),
    ),
    **dict.fromkeys(("detect_marks", "check_content_provenance", "admin_detect_marks"), ({}, "file")),
    **dict.fromkeys(("judge_recording", "judge_recording_for_operator"), ({}, "audio_sample")),
}
"""The texts of the operations that take forms alone, and the field of their file."""


class Sent(NamedTuple):
    """A request, for a client of httpx."""

    method: str
    path: str
    more: Mapping[str, Any]


class Operation(NamedTuple):
    """An operation of the document, as `described` has it."""

    id: str
    method: str
    path: str
    access: Access
    schema: Document | None

    @property
    def schema_name(self) -> str:
        """The name of the schema of its body, or of the first of several; "" if it has none."""
        schema = self.schema or {}
        first = next(iter(schema.get("anyOf", ())), schema)
        return str(first.get("$ref", "")).rpartition("/")[2]

    def request(self, document: Document, objects: Mapping[str, str]) -> Sent:
        """A lawful request of it. `objects` are those of a world, by the names in `OBJECTS`."""
        objects = {**objects, "operation": self.id}
        if self.access == "admin":
            objects["key"] = objects["other key"]
        path = re.sub(r"([^/{}]+)/{\w+}", lambda found: _named(found, objects), self.path)
        path = path.replace("{path}", "head.js")
        if query := QUERIES.get(self.id, "account=owner" if self.id.endswith("_of") else ""):
            path = f"{path}?{query}"
        if self.id in FORMS:
            fields, name = FORMS[self.id]
            files = {name: _file(self.id)}
            return Sent(self.method, path, {"data": _filled(fields, objects), "files": files})
        if self.schema is None:
            return Sent(self.method, path, {})
        body = BODIES.get(self.schema_name)
        if body is None:
            body = smallest(document, self.schema)
        return Sent(self.method, path, {"json": _filled(body, objects)})


def every_operation(document: Document) -> list[Operation]:
    """All operations, those that take something away at the end."""
    found = [_operation(each) for each in operations(document)]
    return sorted(found, key=lambda each: (each.id in LAST, each.method == "DELETE"))


Build = Callable[[Document, Document], Any]


def built(document: Document, schema: Document, of_type: Build, choose: Callable[[list[Any]], Any]) -> Any:
    """A value that a schema allows: of each type as `of_type` makes it, and of several the chosen one."""

    def value(part: Document) -> Any:
        return built(document, part, of_type, choose)

    if "$ref" in schema:
        return value(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    if "allOf" in schema:
        return {name: each for part in schema["allOf"] for name, each in value(part).items()}
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        return choose([value(each) for each in choices])
    if "const" in schema or "enum" in schema:
        return choose(schema.get("enum", [schema.get("const")]))
    return of_type(document, schema)


def smallest(document: Document, schema: Document) -> Any:
    """The smallest value that a schema allows, by its types, bounds and choices alone."""
    return built(document, schema, _smallest_of_type, lambda values: values[0])


def _smallest_of_type(document: Document, schema: Document) -> Any:
    match schema.get("type"):
        case "object":
            needed = {name: schema["properties"][name] for name in schema.get("required", ())}
            return {name: smallest(document, of) for name, of in needed.items()}
        case "array":
            return [smallest(document, schema["items"])] * schema.get("minItems", 0)
        case "integer" | "number":
            return schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
        case "boolean":
            return False
        case "null":
            return None
    return "x" * max(1, schema.get("minLength", 1))


class Everything(NamedTuple):
    """A worker with all that can be served, and one of each thing."""

    shop: Shop
    world: AccessWorld
    person: Person
    document: Document
    objects: dict[str, str]
    host_key: str

    @property
    def operations(self) -> list[Operation]:
        return every_operation(self.document)

    async def call(self, operation: Operation, network: str = "192.0.2.1", **headers: str) -> httpx2.Response:
        """Send its lawful request as one who may, from a client of this network. `headers` replace those that
        say who it is."""
        sent = operation.request(self.document, self.objects)
        app = self.shop.server.worker.public
        transport = httpx2.ASGITransport(app=app, client=(network, 4000))
        async with httpx2.AsyncClient(transport=transport, base_url="http://voxgate.test") as client:
            return await client.request(
                sent.method, sent.path, headers=headers or self.proof(operation), **sent.more
            )

    def proof(self, operation: Operation) -> dict[str, str]:
        """The headers of one who may call an operation."""
        if operation.access == "session":
            page = {"sec-fetch-site": "same-origin", "sec-fetch-dest": "empty"}
            return {"cookie": f"__Host-voxgate={self.person.cookie}", **page}
        keys = {"key": self.world.keys["owner"], "admin": self.world.keys["admin"], "host": self.host_key}
        return {"authorization": f"Bearer {keys[operation.access]}"} if operation.access in keys else {}


_SECOND_SESSION = "INSERT INTO sessions VALUES ('ses_second', :user, 'no digest', 1, 1)"
_MORE = """
[plans.cached]
cache = true
consent = "waived"
history_days = 7
one_shot = true
keys = 1000
[webhooks]
on = true
allow = ["127.0.0.1"]
[mail]
url = "{mail}"
from = "voices@example.org"
[alerts]
mail = ["ops@example.org"]
"""


@asynccontextmanager
async def everything_served(
    folder: Path, mail: str = "smtp://127.0.0.1:9", more: str = "", **options: Any
) -> AsyncIterator[Everything]:
    """Opens it, with more of a configuration. The options are those of `inside`."""
    people = '[users]\nsign_up = "open"\n'
    async with shop(folder, _MORE.format(mail=mail) + more, people=people, **options) as selling:
        world = await world_inside(selling.server)
        try:
            yield await _everything(selling, world)
        finally:
            await world.client.aclose()


async def _everything(selling: Shop, world: AccessWorld) -> Everything:
    server, store = selling.server, selling.server.worker.store
    owner = await accounts.get(store, "owner")
    assert owner is not None
    someone = await user_of(server, owner, "ada@example.org")
    document = json_of(await server.ask("GET", "/openapi.json", key=""))
    host = api_key.mint()
    await key_records.create(store, host, NewKeyRecord(account=owner.id, role="host"))
    keys = [await key_records.create(store, api_key.mint(), NewKeyRecord(account=owner.id)) for _ in range(2)]
    await store.write(Statement(_SECOND_SESSION, {"user": someone.user}))
    objects = {
        **world.objects,
        "account": owner.id,
        "address": someone.address,
        "build": console().build,
        "key": keys[0].id,
        "other key": keys[1].id,
        "manifest": "req_1-0",
        "model": "tts-1",
        "session": "ses_second",
        "sign_in": "sin_0",
        "step": "0",
        "user": someone.user,
    }
    made = Everything(selling, world, someone, document, objects, host.reveal())
    # A batch needs the file before it.
    for name in ("create_job", "create_file", "create_batch", "create_order"):
        (operation,) = (each for each in made.operations if each.id == name)
        answer = await made.call(operation)
        assert answer.is_success, answer.text
        objects[name.partition("_")[2]] = answer.json()["id"]
    job = objects["job"]
    await soon(
        lambda: world.ask("owner", "GET", f"/v1/jobs/{job}"), lambda found: found.json()["status"] == "done"
    )
    return made


def _operation(described: Document) -> Operation:
    content = described.get("requestBody", {}).get("content", {})
    json_body = content.get("application/json", {}).get("schema")
    path, method = described["path"], described["method"].upper()
    return Operation(described["operationId"], method, path, _access(described), json_body)


def _access(described: Document) -> Access:
    security = described.get("security")
    if security is None:
        role = re.search(r"role `(admin|host)`", described.get("description", ""))
        return "key" if role is None else ("admin" if role[1] == "admin" else "host")
    return "open" if {} in security else "session"


def _named(found: re.Match[str], objects: Mapping[str, str]) -> str:
    return f"{found[1]}/{objects[OBJECTS[found[1]]]}"


def _filled(value: Any, objects: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _filled(each, objects) for name, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, objects) for each in value]
    is_name = isinstance(value, str) and value[:1] == "{" and value[1:-1] in objects
    return objects[value[1:-1]] if is_name else value


def _file(operation: str) -> tuple[str, bytes]:
    if operation == "create_file":
        return LINES
    if "model" in operation:
        return "a.json", tone_voice()
    # To look for a mark takes ten times as long as the recording.
    return "a.wav", speech_clips.wav() if re.search("sample|judge", operation) else wav(tone(440, 0.3))
