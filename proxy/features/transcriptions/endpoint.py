"""POST /v1/audio/transcriptions and /v1/audio/translations: what is said in a recording, as a text."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from functools import partial
from typing import Any

import msgspec
from starlette.types import Receive, Scope, Send

from policies.plans import Terms
from proxy import errors
from proxy.access.callers import Caller
from proxy.api.answering import MOST_LAST_BYTES, TAG, Answering
from proxy.api.speech import RECORDING_FAILURES
from proxy.api.speech_answers import AudioError
from proxy.api.speech_headers import SOME_ANSWER_HEADERS
from proxy.features.history.records import HistoryRow
from proxy.features.history.writing import HistoryEntries
from proxy.features.transcriptions import formats
from proxy.features.transcriptions.form import (
    FILE,
    HearRequest,
    TranscriptionForm,
    TranslationForm,
    read_request,
)
from proxy.features.transcriptions.formats import TextDelta, TextDone, TranscriptBuilder
from proxy.features.transcriptions.hearing import (
    LEAST_S,
    HearCall,
    Hearing,
    HearTotals,
    failure_of,
    highest_charge,
    hold_request,
    settling,
)
from proxy.features.transcriptions.uploads import Uploads
from proxy.file_store.once import digest_of_fields
from proxy.http.connection import Connection, RawHeader, Settle
from proxy.http.endpoint import Endpoint
from proxy.http.idempotency import KEY_HEADER
from proxy.http.replies import encode_json
from proxy.ledger import Hold, Ledger, Outcome, Payer
from proxy.speech.speaking import Speaking
from proxy.speech.usage_tag import TAG_HEADER, read_tag
from speech_engine import EngineError
from speech_engine.hearing import HEARING_HZ, Task
from speech_engine.pcm import PcmInMemory

TRANSCRIPTIONS, TRANSLATIONS = "/v1/audio/transcriptions", "/v1/audio/translations"
_MEDIA_TYPES = {"json": "application/json", "verbose_json": "application/json"}
_TEXT, _EVENTS = "text/plain; charset=utf-8", "text/event-stream; charset=utf-8"

HEADERS = {
    "x-voxgate-engine": "The `engine/model` that heard; after a fallback, the one that really did.",
    "x-voxgate-language": "The language that was heard, if the model tells it.",
}
_SOME_HEADERS = {"x-voxgate-ignored": "The fields of the request that change nothing here."} | {
    name: meaning
    for name, meaning in SOME_ANSWER_HEADERS.items()
    if name == "x-voxgate-replayed" or name.startswith("x-ratelimit")
}


class Transcriptions:
    """The endpoint of one task, an ASGI app: it must see a client leave and break off an answer."""

    def __init__(
        self,
        task: Task,
        speaking: Speaking,
        answering: Answering,
        hearing: Hearing,
        uploads: Uploads,
        ledger: Ledger,
        entries: HistoryEntries,
    ) -> None:
        self._task: Task = task
        self._entries = entries
        self._admission = speaking.admission
        self._answering = answering
        self._hearing = hearing
        self._uploads = uploads
        self._ledger = ledger

    def endpoint(self) -> Endpoint:
        path, name, summary = TRANSLATIONS, "create_translation", "A recording in English"
        answers: dict[str, tuple[type[msgspec.Struct], ...]] = {
            "application/json": (formats.TranscriptText, formats.VerboseTranscript),
            "text/plain": (),
        }
        if self._task == "transcribe":
            path, name = TRANSCRIPTIONS, "create_transcription"
            summary = "A recording written down: JSON, a text, subtitles, or server-sent events"
            answers["text/event-stream"] = (TextDelta, TextDone, AudioError)
        return Endpoint(
            "POST",
            path,
            self,
            name,
            summary,
            answers,
            form=TranscriptionForm if self._task == "transcribe" else TranslationForm,
            files=(FILE,),
            failures=RECORDING_FAILURES,
            request_headers=(KEY_HEADER, TAG),
            headers=HEADERS,
            some_headers=_SOME_HEADERS,
            is_direct=True,
            pace="own",
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection, state = Connection(scope, receive, send), scope["state"]
        caller: Caller = state["caller"]
        # Before the body: a request that is refused for its body counts, too.
        terms, state["rate"] = await self._admission.admit(caller)
        with self._uploads.take(caller.account) as place:
            form, file = await self._uploads.read_upload(connection, place)
            request = read_request(form, self._task)
            hear = partial(self._hear, state, terms, request, file)
            digest = partial(digest_of_fields, (self._task, request.form), file)
            await self._answering.answer_once(connection, state, terms, digest, hear)

    async def _hear(
        self, state: dict[str, Any], terms: Terms, request: HearRequest, file: bytes, connection: Connection
    ) -> None:
        caller: Caller = state["caller"]
        tag = read_tag(connection.headers(TAG_HEADER.encode()), request.form.tag)
        models = self._hearing.find_models(request, terms)
        payer = Payer(account=caller.account, key=caller.key, anchor=caller.anchor, terms=terms)
        # `of_job` leaves out the limits of streams.
        limited_payer = payer if request.form.stream else payer.of_job()
        await self._ledger.check_affordable(limited_payer, highest_charge(models, terms, LEAST_S))
        recording = await self._uploads.decode_upload(payer, file)
        self._hearing.rates.check_wait(models[0].name, caller.account, recording.seconds)
        call = HearCall(
            id=state["request_id"],
            caller=caller,
            terms=terms,
            request=request,
            models=models,
            recording=recording,
        )
        totals = HearTotals(call)
        hold = await self._ledger.hold(hold_request(call, tag, is_stream=request.form.stream))
        state["is_recorded"] = True
        write = self._write_events if request.form.stream else self._write_whole

        def outcome_if_cancelled() -> Outcome:
            """If the client left before any bytes were sent, no text counts as given."""
            share = connection.sent_share  # None: the client did not leave
            totals.given_s = 0.0 if share == 0.0 else totals.given_s
            return "failed" if share is None else "left"

        try:
            with connection.stop_when_client_leaves():
                async with settling(hold, totals, outcome_if_cancelled):
                    await write(call, totals, connection, partial(_settle, hold, totals))
        finally:
            if request.form.history and totals.given_s:
                self._keep_history(call, totals, tag)

    def _keep_history(self, call: HearCall, totals: HearTotals, tag: str) -> None:
        """Keep the text, and what was heard of a recording that is in memory."""
        spent, pcm, form = totals.settlement(), call.recording.pcm, call.request.form
        entry = HistoryRow(
            id=call.id,
            account=call.caller.account,
            operation=spent.kind,
            model="" if totals.model is None else totals.model.name,
            voice="",
            language=spent.language,
            format=spent.format,
            characters=len(totals.text),
            seconds=round(call.recording.seconds, 3),
            tag=tag,
            voices="",
        )
        body = {"model": form.model, "response_format": spent.format, "text": totals.text}
        sound = pcm.whole if isinstance(pcm, PcmInMemory) else b""
        self._entries.keep_request(entry, body, call.terms.plan, sound, HEARING_HZ)

    async def _write_whole(
        self, call: HearCall, totals: HearTotals, connection: Connection, settle: Settle
    ) -> None:
        builder, began = TranscriptBuilder(), time.monotonic()
        async with aclosing(self._hearing.transcripts(call, totals, goes_whole=True)) as found:
            async for transcript in found:
                builder.add_segments(transcript.segments)
        totals.text, totals.language, totals.given_s = (
            builder.whole_text,
            builder.language,
            call.recording.seconds,
        )
        totals.first_ms = round((time.monotonic() - began) * 1000)
        hear_request, seconds = call.request, call.recording.seconds
        body = await asyncio.to_thread(
            formats.transcript_body,
            builder,
            hear_request.format,
            seconds,
            hear_request.task,
            hear_request.form.timestamp_granularities,
        )
        media_type = _MEDIA_TYPES.get(call.request.format, _TEXT)
        connection.set_head(
            200, [*_headers(call, totals, media_type), (b"content-length", b"%d" % len(body))]
        )
        last_start = max(0, len(body) - MOST_LAST_BYTES)
        for start in range(0, last_start, MOST_LAST_BYTES):
            await connection.send(body[start : min(last_start, start + MOST_LAST_BYTES)])
        await connection.end(body[last_start:], settle)

    async def _write_events(
        self, call: HearCall, totals: HearTotals, connection: Connection, settle: Settle
    ) -> None:
        builder, began = TranscriptBuilder(), time.monotonic()
        try:
            async with aclosing(self._hearing.transcripts(call, totals, goes_whole=False)) as found:
                async for transcript in found:
                    delta = builder.add_segments(transcript.segments)
                    if not delta:
                        continue
                    if totals.first_ms is None:
                        totals.first_ms = round((time.monotonic() - began) * 1000)
                        totals.language = builder.language
                        connection.set_head(200, _headers(call, totals, _EVENTS))
                    totals.text += delta
                    await connection.send(_event(TextDelta(delta=delta)))
                    totals.given_s = transcript.segments[-1].end_s
        except (EngineError, errors.RequestFailed) as error:
            if totals.first_ms is not None:
                await connection.send(_event(AudioError(error=failure_of(error).body().error)))
            raise
        if totals.first_ms is None:
            connection.set_head(200, _headers(call, totals, _EVENTS))
        totals.given_s = call.recording.seconds
        usage = formats.DurationUsage(round(call.recording.seconds, 3))
        done = TextDone(text=builder.whole_text, languages=builder.languages, usage=usage)
        await connection.end(_event(done), settle)


async def _settle(hold: Hold, totals: HearTotals) -> None:
    await hold.settle("finished", totals.settlement())


def _headers(call: HearCall, totals: HearTotals, media_type: str) -> list[RawHeader]:
    headers = [(b"content-type", media_type.encode()), (b"x-accel-buffering", b"no")]
    if totals.model is not None:
        headers.append((b"x-voxgate-engine", totals.model.name.encode()))
    if totals.language:
        headers.append((b"x-voxgate-language", totals.language.encode()))
    if call.request.ignored:
        headers.append((b"x-voxgate-ignored", ", ".join(call.request.ignored).encode()))
    return headers


def _event(value: TextDelta | TextDone | AudioError) -> bytes:
    return b"data: " + encode_json(value) + b"\n\n"
