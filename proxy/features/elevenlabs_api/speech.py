"""The four text-to-speech calls: audio, or JSON with the times of characters, whole or as it is spoken."""

from __future__ import annotations

from base64 import b64encode

from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from proxy.access.callers import Caller
from proxy.api.answering import Answering, AnswerWriter, write_end, write_report
from proxy.api.speech_headers import answer_headers
from proxy.features.elevenlabs_api.alignment import CharacterAlignment, LetterTimes, alignment_of, word_spans
from proxy.features.elevenlabs_api.failures import PREFIX
from proxy.features.elevenlabs_api.fields import FieldReader, TextBody
from proxy.features.elevenlabs_api.shapes import JsonChunk, Times
from proxy.http.connection import Connection
from proxy.http.endpoint import Endpoint
from proxy.http.replies import encode_json
from proxy.speech import speech_request
from proxy.speech.answer import Answer
from proxy.speech.speaking import Speaking

_HEADERS = {"request-id": "The id of the request.", "character-cost": "The characters of its text."}


class _TextToSpeech:
    """An ASGI app, as `SpeechEndpoint` is. Without a `writer` the answer is audio."""

    def __init__(
        self, reader: FieldReader, speaking: Speaking, answering: Answering, writer: AnswerWriter | None
    ) -> None:
        self._reader = reader
        self._speaking = speaking
        self._answering = answering
        self._writer = writer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        extra_headers = [(b"request-id", scope["state"]["request_id"].encode())]

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *extra_headers]
            await send(message)

        connection, state = Connection(scope, receive, send_with_headers), scope["state"]
        caller: Caller = state["caller"]
        # Before the body: a request that is refused for its body counts, too.
        terms, state["rate"] = await self._speaking.admission.admit(caller)
        raw = await connection.body(speech_request.MAX_BODY_BYTES)
        body = speech_request.parse(TextBody, raw, most_bytes=speech_request.MAX_BODY_BYTES)
        fields = self._reader.read_fields(scope["path_params"]["voice"], Request(scope).query_params, body)
        if fields.language:
            fields = await self._reader.check_fields(state["request_id"], caller, fields, terms)
        request = fields.speech_request(body.text)
        extra_headers.append((b"character-cost", b"%d" % len(request.text)))
        await self._answering.speak(state, request, terms, connection, writer=self._writer)


async def _write_timed(connection: Connection, answer: Answer) -> None:
    size = await answer.collect_file()
    times, text = _AnswerTimes(answer), answer.call.request.text
    alignment = times.last_alignment() if text else None
    await write_report(connection, answer, Times(alignment, alignment), size)


async def _write_lines(connection: Connection, answer: Answer) -> None:
    times = _AnswerTimes(answer)
    connection.set_head(200, answer_headers(answer, "application/x-ndjson"))
    while (data := await answer.next_chunk()) is not None:
        await connection.send(_line(data, times.known_alignment()), answer.run_ahead)
    last = answer.last_bytes()
    await write_end(connection, answer, _line(last, times.last_alignment()))


def _line(data: bytes, alignment: CharacterAlignment | None) -> bytes:
    return encode_json(JsonChunk(b64encode(data).decode(), alignment, alignment)) + b"\n"


class _AnswerTimes:
    """The alignments of one answer, from the words that its engine tells or that were computed."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._text = answer.call.request.text
        self._letters = LetterTimes()
        self._words_sent = 0

    def known_alignment(self) -> CharacterAlignment | None:
        """Return the characters before the last known word, whose end is not known yet."""
        words = (self._answer.speech.words or ())[self._words_sent :]
        if len(words) < 2:
            return None
        self._words_sent += len(words) - 1
        known = word_spans(words[:-1], words[-1].start_seconds)
        return alignment_of(self._letters.time_words(self._text, known))

    def last_alignment(self) -> CharacterAlignment | None:
        """Return all other characters, or null if nothing tells when they are heard."""
        words, end_s = self._answer.speech.words, self._answer.seconds
        if words is None:
            return None
        timed = self._letters.time_words(self._text, word_spans(words[self._words_sent :], end_s))
        return alignment_of(timed.joined(self._letters.time_rest(self._text, end_s * 1000)))


_WRITERS = {
    "/stream/with-timestamps": ("stream_with_timestamps", AnswerWriter(_write_lines, goes_whole=False)),
    "/with-timestamps": ("convert_with_timestamps", AnswerWriter(_write_timed, goes_whole=True)),
    "/stream": ("stream", None),
    "": ("convert", None),
}
"""The name and the writer of each endpoint by the end of its path. The longer paths come first: the id of a
voice may have slashes."""


def speech_endpoints(reader: FieldReader, speaking: Speaking, answering: Answering) -> list[Endpoint]:
    return [
        Endpoint(
            "POST",
            f"{PREFIX}/v1/text-to-speech/{{voice:path}}{path}",
            _TextToSpeech(reader, speaking, answering, writer),
            name,
            "Text to speech",
            {},
            headers=_HEADERS,
            pace="own",
        )
        for path, (name, writer) in _WRITERS.items()
    ]
