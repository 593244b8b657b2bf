"""An account with one of each thing, and a key of each role: what the tests of access ask with.

All of it goes over HTTP, so that the same rows hold inside the test's process and over several workers.
"""

import json
import re
from collections.abc import Awaitable, Callable, Iterator
from ipaddress import ip_address
from itertools import count
from typing import Any, NamedTuple

import httpx2

from tests import speech_clips
from tests.features.own_voices.trained_files import tone_voice
from tests.proxy.api.inside import TONE, Inside
from tests.waiting import soon

ROLES = ("nobody", "invented", "revoked", "closed", "owner", "stranger", "admin")
WITHOUT_A_KEY = ("nobody", "invented", "revoked", "closed")
DEAD = ("revoked", "closed")
"""Their keys were real. One that is tried often is soon not looked at any more, but answered by a 429."""
OTHERS = ("stranger", "admin")
"""Those who have a key, and nothing of the owner's."""

CONFIG = (
    TONE.replace("[server]", '[server]\ntrusted_proxies = ["127.0.0.1"]\nidempotency_mb = 16')
    + '[plans.cached]\ncache = true\nconsent = "waived"\n[webhooks]\non = true\nallow = ["127.0.0.1"]\n'
)
TEXT = "For the owner alone."

Administer = Callable[[str, str, Any], Awaitable[httpx2.Response]]
"""Asks as the operator: method, path behind /admin, body."""


class Action(NamedTuple):
    """One request about an object; `{id}` is its id, and `{sample}` that of the voice's clip. With a `file`,
    the body is a form with a recording in this field."""

    method: str
    path: str
    body: dict[str, Any] | None = None
    objects: tuple[str, ...] = ("voice", "mix", "cast")
    file: str = ""


_VOICES, _CONSENTS, _SPEECH = "/v1/audio/voices", "/v1/audio/voice_consents", "/v1/audio/speech"
_HOOKS = "/v1/webhook_endpoints"
_SAY = {"model": "tts-1", "voice": "{id}", "input": "[Ana] Hi."}
_MIX = [{"id": "{id}"}, {"id": "alloy"}]

ACTIONS = {
    "read": Action("GET", f"{_VOICES}/{{id}}"),
    "read short": Action("GET", "/v1/voices/{id}"),
    "change": Action("POST", f"{_VOICES}/{{id}}", {"description": "changed"}),
    "change short": Action("POST", "/v1/voices/{id}", {"description": "changed"}),
    "export": Action("GET", f"{_VOICES}/{{id}}/export"),
    "export short": Action("GET", "/v1/voices/{id}/export"),
    "model": Action("GET", f"{_VOICES}/{{id}}/model", objects=("voice",)),
    "model short": Action("GET", "/v1/voices/{id}/model", objects=("voice",)),
    "recordings": Action("GET", f"{_VOICES}/{{id}}/samples", objects=("voice",)),
    "recordings short": Action("GET", "/v1/voices/{id}/samples", objects=("voice",)),
    "one more recording": Action(
        "POST", f"{_VOICES}/{{id}}/samples", {"emotion": "happy"}, ("voice",), file="file"
    ),
    "preview": Action("GET", f"{_VOICES}/{{id}}/preview", objects=("voice", "cast")),
    "preview short": Action("GET", "/v1/voices/{id}/preview", objects=("voice", "cast")),
    "receipt": Action("GET", f"{_VOICES}/erasures/{{id}}", objects=("erased",)),
    "receipt short": Action("GET", "/v1/voices/erasures/{id}", objects=("erased",)),
    "page behind voice": Action("GET", f"{_VOICES}?after={{id}}"),
    "read consent": Action("GET", f"{_CONSENTS}/{{id}}", objects=("consent",)),
    "rename consent": Action("POST", f"{_CONSENTS}/{{id}}", {"name": "x"}, ("consent",)),
    "page behind consent": Action("GET", f"{_CONSENTS}?after={{id}}", objects=("consent",)),
    "page behind usage": Action("GET", "/v1/usage?after={id}", objects=("request",)),
    "read history": Action("GET", "/v1/history/{id}", objects=("request",)),
    "hear history": Action("GET", "/v1/history/{id}/content", objects=("request",)),
    "page behind history": Action("GET", "/v1/history?after={id}", objects=("request",)),
    "read lexicon": Action("GET", "/v1/lexicons/{id}", objects=("lexicon",)),
    "speak": Action("POST", _SPEECH, _SAY, ("voice", "cast")),
    "speak from the cache": Action("POST", _SPEECH, {**_SAY, "input": TEXT, "cache": True}, ("voice",)),
    "speak a mix of it": Action("POST", _SPEECH, {**_SAY, "voice": {"mix": _MIX}}, ("voice",)),
    "speak with lexicon": Action(
        "POST", _SPEECH, {**_SAY, "voice": "alloy", "lexicon": "{id}"}, ("lexicon",)
    ),
    "cast of it": Action("POST", _VOICES, {"name": "cast of {id}", "cast": {"A": "{id}"}}, ("voice",)),
    "mix of it": Action("POST", _VOICES, {"name": "mix of {id}", "mix": _MIX}, ("voice",)),
    "voice with consent": Action(
        "POST", _VOICES, {"name": "by {id}", "consent": "{id}"}, ("consent",), file="audio_sample"
    ),
    "read webhook": Action("GET", f"{_HOOKS}/{{id}}", objects=("webhook",)),
    "page behind webhook": Action("GET", f"{_HOOKS}?after={{id}}", objects=("webhook",)),
    "change webhook": Action("POST", f"{_HOOKS}/{{id}}", {"name": "changed"}, ("webhook",)),
    "its new secret": Action("POST", f"{_HOOKS}/{{id}}/rotate_secret", {}, ("webhook",)),
    "its deliveries": Action("GET", f"{_HOOKS}/{{id}}/deliveries", objects=("webhook",)),
    "resend": Action("POST", "/v1/webhook_deliveries/{id}/resend", objects=("delivery",)),
    # What takes away comes last, so that one world is enough for all rows.
    "delete history": Action("DELETE", "/v1/history/{id}", objects=("request",)),
    "delete webhook": Action("DELETE", f"{_HOOKS}/{{id}}", objects=("webhook",)),
    "delete lexicon": Action("DELETE", "/v1/lexicons/{id}", objects=("lexicon",)),
    "say words of recording": Action(
        "POST", f"{_VOICES}/{{id}}/samples/{{sample}}", {"ref_text": "Hello."}, objects=("voice",)
    ),
    "delete recording": Action("DELETE", f"{_VOICES}/{{id}}/samples/{{sample}}", objects=("voice",)),
    "delete consent": Action("DELETE", f"{_CONSENTS}/{{id}}", objects=("free consent",)),
    "delete": Action("DELETE", f"{_VOICES}/{{id}}"),
}
"""Every way to name an object, in an order in which the owner succeeds with all."""


class AccessWorld(NamedTuple):
    """The owner has a voice with a clip, a mix, a cast, two consents, an erased voice, a lexicon, a request
    that is kept, and a webhook with a delivery that failed.

    Each request comes from an address of its own, since dead keys of one address are soon not looked at.
    """

    client: httpx2.AsyncClient
    keys: dict[str, str]
    objects: dict[str, str]
    addresses: Iterator[int]

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no list may show to others."""
        return (*self.objects.values(), "blend", "talk", "Xanthippe", "Ana Secret")

    async def ask(
        self, role: str, method: str, path: str, body: Any = None, *, file: str = "", once: str = ""
    ) -> httpx2.Response:
        sent = {"x-forwarded-for": str(ip_address("10.0.0.0") + next(self.addresses))}
        if once:
            sent["idempotency-key"] = once
        if self.keys[role]:
            sent["authorization"] = f"Bearer {self.keys[role]}"
        if not file:
            return await self.client.request(method, path, headers=sent, json=body)
        files = {file: ("a.wav", speech_clips.wav(), "audio/wav")}
        return await self.client.request(method, path, headers=sent, data=body, files=files)

    async def act(self, action: Action, id_: str, role: str) -> httpx2.Response:
        text = json.dumps(action.body).replace("{id}", id_)
        path, body = action.path.replace("{id}", id_), json.loads(text)
        path = path.replace("{sample}", self.objects["clip"])
        return await self.ask(role, action.method, path, body, file=action.file)


async def make_world(client: httpx2.AsyncClient, administer: Administer) -> AccessWorld:
    world = AccessWorld(client, {"nobody": "", "invented": "sk-" + "0" * 48}, {}, count(1))
    for account, plan in (("owner", "cached"), ("stranger", "cached"), ("ops", "cached"), ("gone", "cached")):
        made = await administer("POST", "accounts", {"name": account, "plan": plan})
        assert made.is_success, made.text
    for role, account in (("owner", "owner"), ("stranger", "stranger"), ("admin", "ops")):
        world.keys[role] = (await _mint(administer, account, role))["key"]
    revoked = await _mint(administer, "owner", "speech")
    await administer("DELETE", f"keys/{revoked['id']}", None)
    closed = await _mint(administer, "gone", "speech")
    await administer("DELETE", "accounts/gone", None)
    world.keys.update(revoked=revoked["key"], closed=closed["key"])
    world.objects.update(await _objects(world))
    return world


async def _mint(administer: Administer, account: str, role: str) -> dict[str, str]:
    body = {"account": account, "role": "admin" if role == "admin" else "speech"}
    made: dict[str, str] = (await administer("POST", "keys", body)).json()
    return made


async def _objects(world: AccessWorld) -> dict[str, str]:
    """Make one of each thing that an account owns."""

    async def make(method: str, path: str, body: Any, *, file: str = "") -> httpx2.Response:
        answer = await world.ask("owner", method, path, body, file=file)
        assert answer.is_success, answer.text
        return answer

    agreed = {"name": "Ana", "language": "pt-BR", "statement": "Ana agreed on paper."}
    consents = [(await make("POST", _CONSENTS, agreed)).json()["id"] for _ in range(2)]
    sample = {"name": "Ana Secret", "consent": consents[0]}
    voice = (await make("POST", _VOICES, sample, file="audio_sample")).json()["id"]
    clip = (await make("POST", f"{_VOICES}/{voice}/samples", {"emotion": "happy"}, file="file")).json()["id"]
    model = {"file": ("a.json", tone_voice(), "application/json")}
    head = {"authorization": f"Bearer {world.keys['owner']}"}
    brought = await world.client.post(
        "/v1/audio/voice_models", headers=head, data={"voice": voice}, files=model
    )
    assert brought.is_success, brought.text
    mix = {"name": "blend", "mix": [{"id": "alloy"}, {"id": "tone/slow"}]}
    cast = {"name": "talk", "cast": {"Ana": "alloy"}}
    mixed, casted = [(await make("POST", _VOICES, body)).json()["id"] for body in (mix, cast)]
    erased = (await make("POST", _VOICES, {"name": "Gone"}, file="audio_sample")).json()["id"]
    await make("DELETE", f"{_VOICES}/{erased}", None)
    await make("PUT", "/v1/lexicons/secret-words", {"words": {"Xanthippe": "zan tippy"}})
    say = {"model": "tts-1", "voice": voice, "input": TEXT, "cache": True, "history": True}
    request = (await make("POST", _SPEECH, say)).headers["x-request-id"]
    await soon(lambda: world.ask("owner", "GET", f"/v1/history/{request}"), lambda found: found.is_success)
    told = {"name": "Ana Secret", "url": "http://127.0.0.1:9/", "event_types": ["webhook.test"]}
    webhook = (await make("POST", _HOOKS, told)).json()["id"]
    await world.ask("owner", "POST", f"{_HOOKS}/{webhook}/test", {})
    (delivery,) = (await make("GET", f"{_HOOKS}/{webhook}/deliveries", None)).json()["data"]
    return {
        "webhook": webhook,
        "delivery": delivery["id"],
        "voice": voice,
        "clip": clip,
        "mix": mixed,
        "cast": casted,
        "consent": consents[0],
        "free consent": consents[1],
        "erased": erased,
        "lexicon": "secret-words",
        "request": request,
    }


async def world_inside(server: Inside) -> AccessWorld:
    """Make the world in a worker without a port."""
    transport = httpx2.ASGITransport(app=server.worker.public, client=("127.0.0.1", 1))
    client = httpx2.AsyncClient(transport=transport, base_url="http://voxgate.test", timeout=30.0)
    return await make_world(client, server.administer)


def never_was(id_: str) -> str:
    """Return an id of the same form that nobody has."""
    return id_[:-8] + ("0" * 8 if not id_.endswith("0" * 8) else "1" * 8)


_GUESS = re.compile(r"Did you mean [^?]*\? ")


def said(answer: httpx2.Response, id_: str) -> tuple[int, str, dict[str, str]]:
    """What an answer tells whoever asked, without what differs between any two answers, such as guesses that
    follow from the name alone."""
    own = ("x-request-id", "openai-processing-ms", "content-length", "date", "x-ratelimit-remaining-requests")
    headers = {name: value for name, value in answer.headers.items() if name not in own}
    return answer.status_code, _GUESS.sub("", answer.text.replace(id_, "ID")), headers
