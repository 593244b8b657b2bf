"""Where other words are refused, all but a match waits until an operator has accepted the consent."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest

from proxy.features.consents.rules import phrase
from proxy.storage.rows import new_id
from proxy.storage.store import Statement
from speech_engine import Transcript
from speech_engine.hearing import TranscriptSegment
from tests import speech_clips
from tests.features.clones.test_served import provider
from tests.features.consents.test_word_checks import (
    CONFIG,
    DENIED,
    PHRASE,
    REFUSES,
    consent,
    heard_words,
    new_voice,
)
from tests.features.own_voices.trained_files import tone_voice
from tests.features.transcriptions.ears import Ears, said, whole
from tests.proxy.api.inside import TONE, Inside, envelope, inside
from tests.proxy.api.owning import agree, send
from tests.replies import json_of
from tests.tables import each_row
from tests.tones import of_seconds

PATH = "/v1/audio/voice_consents"
USES = ("speech", "conversion", "training")
MINIMAX = '[engines.minimax]\napi_key = "key"\nbase_url = "{}"\n'
CODES = {"consent_waits": 403, "consent_words_differ": 403, "consent_not_heard_yet": 409}


class Given(NamedTuple):
    """A consent, and a voice that was made with it before its words counted."""

    server: Inside
    id: str
    voice: str

    async def form(
        self, path: str, file: str, data: bytes, by: str | None = None, **fields: Any
    ) -> httpx2.Response:
        async with self.server.client(by) as client:
            return await client.post(path, data=fields, files={file: data})

    async def voice_of_recording(self) -> httpx2.Response:
        return await send(self.server, {"name": new_id("a"), "consent": self.id})

    async def voice_by_an_operator(self) -> httpx2.Response:
        fields = {"name": new_id("b"), "consent": self.id, "account": self.server.account.id}
        return await send(self.server, fields, key=self.server.admin_key, path="/admin/voices")

    async def sample(self) -> httpx2.Response:
        path = f"/v1/audio/voices/{self.voice}/samples"
        return await self.form(path, "file", speech_clips.wav(), emotion="sad")

    async def cut(self) -> httpx2.Response:
        path = f"/v1/audio/voices/{self.voice}/samples?cut=true"
        return await self.form(path, "file", speech_clips.wav(), language="en")

    async def clone(self) -> httpx2.Response:
        return await self.server.ask("POST", f"/v1/audio/voices/{self.voice}", body={"engines": ["minimax"]})

    async def clone_by_an_operator(self) -> httpx2.Response:
        return await self.server.administer("POST", f"voices/{self.voice}/clones", {"engine": "minimax"})

    async def training(self) -> httpx2.Response:
        body = {"kind": "training", "voice": self.voice, "model": "tone", "steps": 20}
        return await self.server.ask("POST", "/v1/jobs", body=body)

    async def trained_file(self) -> httpx2.Response:
        fields = {"name": new_id("c"), "consent": self.id, "format": "tone"}
        return await self.form("/v1/audio/voice_models", "file", tone_voice(), **fields)

    async def trained_file_of_a_voice(self) -> httpx2.Response:
        return await self.form(
            "/v1/audio/voice_models", "file", tone_voice(), voice=self.voice, format="tone"
        )

    async def trained_file_by_an_operator(self) -> httpx2.Response:
        fields = {
            "name": new_id("d"),
            "consent": self.id,
            "format": "tone",
            "account": self.server.account.id,
        }
        return await self.form("/admin/voice_models", "file", tone_voice(), self.server.admin_key, **fields)

    async def conversion(self) -> httpx2.Response:
        fields = {"model": "tone/standard", "voice": "alloy", "consent": self.id}
        return await self.form("/v1/audio/conversions", "file", of_seconds(0.5), **fields)

    async def conversion_job(self) -> httpx2.Response:
        fields = {"kind": "conversion", "model": "tone/standard", "voice": "alloy", "consent": self.id}
        return await self.form("/v1/jobs", "file", of_seconds(3.0), **fields)

    async def speech_of_a_recording(self) -> httpx2.Response:
        fields = {"model": "tone/standard", "input": "Hello.", "consent": self.id}
        return await self.form("/v1/audio/speech", "reference_audio", speech_clips.wav(), **fields)


Door = Callable[[Given], Awaitable[httpx2.Response]]
DOORS: tuple[Door, ...] = (
    Given.voice_of_recording,
    Given.voice_by_an_operator,
    Given.sample,
    Given.cut,
    Given.clone,
    Given.clone_by_an_operator,
    Given.training,
    Given.trained_file,
    Given.trained_file_of_a_voice,
    Given.trained_file_by_an_operator,
    Given.conversion,
    Given.conversion_job,
    Given.speech_of_a_recording,
)
OF_A_VOICE = (
    Given.sample,
    Given.cut,
    Given.clone,
    Given.clone_by_an_operator,
    Given.training,
    Given.trained_file_of_a_voice,
)
"""The doors that take the consent of a voice, and not that of the request."""
STATED = (Given.conversion, Given.conversion_job, Given.speech_of_a_recording)
"""The doors that take `true` in place of an id."""


async def refusals(
    given: Given, doors: tuple[Callable[[Given], Awaitable[httpx2.Response]], ...] = DOORS
) -> dict[str, str]:
    """What each door says of the consent; "" if it says nothing of it."""
    found = {}
    for door in doors:
        answer = await door(given)
        code = envelope(answer)["code"] if answer.status_code >= 400 else ""
        assert code not in CODES or answer.status_code == CODES[code], answer.text
        assert answer.status_code < 500, answer.text
        found[door.__name__] = code if code in CODES else ""
    return found


def all_say(code: str) -> dict[str, str]:
    return {door.__name__: code for door in DOORS}


async def decide(server: Inside, words: str, accepted: int | None = None) -> None:
    sql = "UPDATE consents SET words = :words, accepted = CAST(:accepted AS BIGINT)"
    await server.worker.store.write(Statement(sql, {"words": words, "accepted": accepted}))


@pytest.mark.slow
async def test_each_verdict_at_each_door(tmp_path: Path) -> None:
    text = TONE + REFUSES + MINIMAX
    async with provider() as minimax, inside(tmp_path, text.format(minimax.url)) as server:
        fields = {"name": "Ana", "language": "en", "uses[]": [*USES]}
        recorded = json_of(await send(server, fields, path=PATH, file="recording"))["id"]
        await decide(server, "match")
        voice = json_of(await send(server, {"name": "Ana", "consent": recorded}))["id"]
        given = Given(server, recorded, voice)
        assert await refusals(given) == all_say("")
        for words, accepted, code in (
            ("unsure", None, "consent_waits"),
            ("unchecked", None, "consent_waits"),
            ("differs", None, "consent_words_differ"),
            ("differs", 1, "consent_words_differ"),
        ):
            await decide(server, words, accepted)
            assert await refusals(given) == all_say(code), (words, accepted)
        assert (await server.speech(voice=voice)).status_code == 200, "voices that exist stay"
        for words in ("unsure", "unchecked"):
            await decide(server, words, accepted=1)
            assert await refusals(given, (Given.clone, Given.training)) == {"clone": "", "training": ""}
        stated = given._replace(id=(await agree(server, uses=[*USES]))["id"])
        own = tuple(door for door in DOORS if door not in OF_A_VOICE)
        assert set((await refusals(stated, own)).values()) == {"consent_waits"}
        assert set((await refusals(given._replace(id="true"), STATED)).values()) == {"consent_waits"}


async def test_what_is_only_stated_counts_where_no_consent_is_required(tmp_path: Path) -> None:
    async with inside(tmp_path, f'{TONE}{REFUSES}[plans.open]\nconsent = "waived"\n', plan="open") as server:
        assert set((await refusals(Given(server, "true", ""), STATED)).values()) == {""}


@pytest.mark.both_stores
async def test_an_operator_accepts_what_waits(tmp_path: Path, store_url: str) -> None:
    text = f'{TONE}{REFUSES}[storage]\nurl = "{store_url}"\n'
    async with inside(tmp_path, text) as server:
        waiting, other = (await agree(server))["id"], (await agree(server))["id"]
        sql = "UPDATE consents SET words = 'match' WHERE id = :id"
        await server.worker.store.write(Statement(sql, {"id": other}))
        listed = (await server.administer("GET", "consents?waits=true")).json()["data"]
        assert [(each["id"], each["accepted_at"]) for each in listed] == [(waiting, None)]
        refused = await send(server, {"name": "Ana", "consent": waiting})
        assert (refused.status_code, envelope(refused)["code"]) == (403, "consent_waits")
        assert (await server.ask("POST", f"/admin/consents/{waiting}/accept")).status_code == 403
        for id_ in (waiting, waiting, other):
            accepted = json_of(await server.administer("POST", f"consents/{id_}/accept"))
            assert (accepted["id"], accepted["accepted_at"] is None) == (id_, id_ == other)
        assert (await server.administer("GET", "consents?waits=true")).json()["data"] == []
        assert (await send(server, {"name": "Ana", "consent": waiting})).status_code == 200
        acts = (await server.administer("GET", "audit")).json()["data"]
        assert [each["subject"] for each in acts if each["action"] == "consent.accepted"] == [waiting]
        await decide(server, "differs")
        no_more = await server.administer("POST", f"consents/{other}/accept")
        assert no_more.status_code == 409
        assert (await server.administer("POST", "consents/cons_0/accept")).status_code == 404
        unknown = await server.administer("GET", "consents?waits=no")
        assert (unknown.status_code, envelope(unknown)["param"]) == (400, "waits")


async def test_nothing_waits_where_words_are_only_on_record(tmp_path: Path) -> None:
    async with inside(tmp_path, TONE) as server:
        id_ = (await agree(server))["id"]
        assert (await server.administer("GET", "consents?waits=true")).json()["data"] == []
        assert (await send(server, {"name": "Ana", "consent": id_})).status_code == 200


@each_row(
    ("sent", "heard", "text", "words"),
    [
        ("en", "en", PHRASE, "match"),
        ("en-GB", "en", PHRASE, "match"),
        ("en", "en", DENIED, "differs"),
        ("th", "en", DENIED, "unsure"),
        ("pt", "en", phrase("pt", "voxgate"), "unsure"),
        ("en", "", PHRASE, "unsure"),
    ],
)
async def test_the_language_that_is_heard_must_be_the_one_that_was_sent(
    tmp_path: Path, sent: str, heard: str, text: str, words: str
) -> None:
    """A model that is told a wrong language may translate what it hears into the phrase of that language."""
    segment = TranscriptSegment(start_s=0.0, end_s=1.0, text=text, language=heard)
    ears = Ears(*whole(Transcript((segment,), 1.0)), hears_well=("en", "pt"))
    async with inside(tmp_path, CONFIG + REFUSES, engines={"scripted": ears}) as server:
        assert await heard_words(server, await consent(server, sent)) == words
        assert [(job.language, job.languages[0]) for job in ears.jobs] == [("", sent[:2])]


async def test_used_up_minutes_are_no_way_round(tmp_path: Path) -> None:
    ears = Ears(*whole(said(PHRASE)), hears_well=("en",))
    async with inside(tmp_path, CONFIG + REFUSES, engines={"scripted": ears}) as server:
        first = await consent(server)
        assert await heard_words(server, first) == "match"
        await server.worker.store.write(Statement("UPDATE free_hearing SET seconds = 600"))
        late = await consent(server)
        assert await heard_words(server, late) == "unchecked"
        assert await new_voice(server, late) == (403, "consent_waits")
        assert await new_voice(server, first) == (200, "")
