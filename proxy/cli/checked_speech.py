"""How well speech is heard, in `voxgate say --heard`, `voxgate voices heard` and `voxgate engines prove`.

The imports inside functions are slow, and `voxgate --help` needs none of them.
"""

from __future__ import annotations

import base64
import io
import json
import os
import platform
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import msgspec
import typer

from proxy import __version__
from proxy.cli.admin_requests import refuse_new_data
from proxy.cli.proof_sentences import LANGUAGES, proof_sentences
from proxy.cli.sound import ServerClient, SoundRequest, write_answer
from proxy.cli.voice_proof import keep_proof, prove_voice, speak
from proxy.commands.command import Command, CommandContext, CommandResult, Group
from proxy.commands.tables import Grid, Line, Part
from proxy.errors import CommandRefused
from proxy.feature_list import feature_modules

if TYPE_CHECKING:
    from proxy.config.config_toml import Config
    from speech_engine.model_manifest import ModelManifest

_SPEECH, _VOICES = "/v1/audio/speech", "/v1/audio/voices"
_FIRST_SOUNDS = 3  # sentences whose first sound is measured
_MOST_VOICES = 3
"""At most this many voices are tried, until a model speaks with one of them."""


def write_checked(server_client: ServerClient, sound_request: SoundRequest, to: BinaryIO) -> dict[str, Any]:
    """Write an answer that comes as JSON with its report. Raise CommandRefused."""
    answer = io.BytesIO()
    server_client.fetch(answer, "POST", sound_request.path, **sound_request.body)
    report = json.loads(answer.getvalue())
    size = to.write(base64.b64decode(report["audio_base64"]))
    facts = {"engine": report["model_used"], "voice": report["voice_used"], "language": report["language"]}
    return {**facts, "substitute": report.get("substitute"), "bytes": size, "check": report.get("check")}


def _first_sound_ms(server_client: ServerClient, body: dict[str, Any]) -> float:
    """Return how long a listener waits for the first sound of a sentence that is not checked."""
    events_body = {**body, "check": "off", "response_format": "pcm", "stream_format": "sse"}
    start_s = time.monotonic()
    next(
        (event for event in server_client.spoken_events(_SPEECH, json=events_body) if "audio" in event), None
    )
    return 1000 * (time.monotonic() - start_s)


def measure_speech(
    server_client: ServerClient, model: str, voice: str, language: str
) -> tuple[dict[str, Any], bytes]:
    """Speak the sentences of a language. Return the report of how they are heard, and the sound of the last
    one. Raise CommandRefused."""
    words = wrong = unsure = unchecked = 0
    sound = ""
    wrong_words, seconds, texts = list[dict[str, Any]](), 0.0, proof_sentences(language)
    body = {"model": model, "voice": voice, "language": language}
    first_sounds_ms = [
        _first_sound_ms(server_client, {**body, "input": text}) for text in texts[:_FIRST_SOUNDS]
    ]
    start_s = time.monotonic()
    for text in texts:
        answer = speak(server_client, {**body, "input": text})
        check = answer.get("check", {})
        seconds, sound = seconds + answer["duration_seconds"], answer["audio_base64"]
        if not check.get("checked_s"):
            unchecked += 1
            continue
        words += len(text.split())
        wrong += _count_words(check.get("wrong", ()))
        unsure += _count_words(check.get("unsure", ()))
        wrong_words += [{"text": text, **each} for each in check.get("wrong", ())]
    report = {
        "model": model,
        "voice": voice,
        "language": language,
        "sentences": len(texts),
        "unchecked": unchecked,
        "words": words,
        "wrong_per_thousand": round(1000 * wrong / words, 1) if words else None,
        "unsure_per_thousand": round(1000 * unsure / words, 1) if words else None,
        "first_sound_ms": round(median(first_sounds_ms)),
        "seconds": round(seconds, 1),
        "realtime_factor": round(seconds / (time.monotonic() - start_s), 2),
        "wrong": wrong_words,
    }
    return report, base64.b64decode(sound)


def _count_words(found: Any) -> int:
    return sum(max(1, len(each["wanted"].split())) for each in found)


def _show_reports(answer: dict[str, Any]) -> list[Part]:
    columns = (
        *("model", "voice", "language", "words", "wrong ‰", "unsure ‰", "first sound", "processor", "alike"),
        "unchecked",
    )
    rows = [
        (
            each["model"],
            each["voice"],
            each["language"],
            str(each["words"]),
            "" if each["wrong_per_thousand"] is None else f"{each['wrong_per_thousand']}",
            "" if each["unsure_per_thousand"] is None else f"{each['unsure_per_thousand']}",
            f"{each['first_sound_ms']} ms",
            f"{used:.2f} s/s" if (used := each.get("processor_per_second")) else "",
            f"{alike['answer']} {alike['score'] or ''}" if (alike := each.get("likeness")) else "",
            str(each["unchecked"] or ""),
        )
        for each in answer["data"]
    ]
    wrong = [
        Line(f"{each['language']}: heard {word['heard']!r}, not {word['wanted']!r}: {word['text']}", "red")
        for each in answer["data"]
        for word in each["wrong"]
    ]
    return [*_proof_lines(answer), Grid(columns, rows), *_long_text_lines(answer), *wrong]


def _long_text_lines(answer: dict[str, Any]) -> Iterator[Line]:
    for each in answer["data"]:
        if (found := each.get("long_text")) is None:
            continue
        first, tenth = found["loudness_lufs"]
        yield Line(f"{each['model']}: {each['realtime_factor']} s a second; {first}, then {tenth} LUFS")
        if "likeness" in found:
            others = ", ".join(f"{name} {score}" for name, score in found["others"].items())
            alike = " and ".join(map(str, found["likeness"]))
            yield Line(f"alike: {alike}; halves of the recording: {found['halves']}; {others}")


def _proof_lines(answer: dict[str, Any]) -> Iterator[Line]:
    if machine := answer.get("machine"):
        yield Line(f"voxgate {answer['version']}, engine {answer['engine']} ({answer['plugin']}), {machine}")
        for name, digest in answer["digests"].items():
            agreed = answer["agreements"].get(name)
            terms = f", {agreed['by']} agreed to its terms on {agreed['at'][:10]}" if agreed else ""
            yield Line(f"{name} {digest}{terms}")
        yield from (Line(each, "yellow") for each in answer["not_proved"])


VOICE_CHECK = Group("voices", "")


@VOICE_CHECK.command("heard", _show_reports)
def measure_voice(
    here: CommandContext,
    voice: Annotated[str, typer.Argument(metavar="VOICE", help="A voice, by its id.")],
    language: Annotated[str | None, typer.Option(help="A language; else that of the voice.")] = None,
    model: Annotated[str | None, typer.Option(help="A model; else server.default_model.")] = None,
) -> CommandResult:
    """Speak 20 sentences of a voice, and show how many are wrong.

    It is charged as any speech. The command sends the key in VOXGATE_KEY. Without it, it sends the key that
    make serve made.
    """
    server = here.server()

    def write(server_client: ServerClient, _request: SoundRequest, _to: BinaryIO) -> dict[str, Any]:
        known = language or _get_json(server_client, f"{_VOICES}/{voice}")["language"]
        tag = known or server.default_language
        if not proof_sentences(tag):
            raise _no_sentences(tag)
        report, _ = measure_speech(server_client, model or server.default_model, voice, tag)
        return {"data": [report]}

    return CommandResult(write_answer(server, SoundRequest(_SPEECH, {}, "json", None), io.BytesIO(), write))


def prove(
    here: CommandContext,
    engine: Annotated[str, typer.Argument(metavar="ENGINE", help="An engine of the configuration.")],
    voice: Annotated[
        str | None, typer.Option(help="A voice, by its id: in its language, is it alike, and does it drift?")
    ] = None,
) -> CommandResult:
    """Report how 20 sentences of each model and language are heard.

    The report is made to be published. It is charged as any speech, with the key in VOXGATE_KEY. Without it,
    the command sends the key that make serve made.
    """
    from proxy.processes.admin_client import ask_once

    refuse_new_data(config := here.config())
    row = next((each for each in ask_once(config, "GET", "engines")["data"] if each["name"] == engine), None)
    if row is None:
        raise CommandRefused(f"there is no engine {engine!r}; see voxgate engines")
    manifests = _stored_manifests(config)
    report: dict[str, Any] = {
        "version": __version__,
        "engine": engine,
        "plugin": row["plugin"],
        "digests": {each.name: each.digest for each in manifests},
        "agreements": {
            each.name: msgspec.to_builtins(each.agreement) for each in manifests if each.agreement
        },
        "voice": voice or "",
        "machine": _machine_text(),
        "not_proved": [],
        "data": [],
    }

    def write(server_client: ServerClient, _request: SoundRequest, _to: BinaryIO) -> dict[str, Any]:
        asked = voice and _get_json(server_client, f"{_VOICES}/{voice}")
        for model, spoken in row["languages"].items():
            tags = [each["tag"] for each in spoken]
            if asked:
                language = asked["language"] or here.server().default_language
                if not proof_sentences(language):
                    raise _no_sentences(language)
                _prove_one(config, server_client, report, model, language, [asked])
                continue
            for language in LANGUAGES if "*" in tags else [each for each in tags if proof_sentences(each)]:
                query = {"engine": engine, "language": language, "limit": _MOST_VOICES}
                voices = _get_json(server_client, _VOICES, params=query)["data"]
                _prove_one(config, server_client, report, model, language, voices)
        keep_proof(config, report)
        return report

    return CommandResult(
        write_answer(here.server(), SoundRequest(_SPEECH, {}, "json", None), io.BytesIO(), write)
    )


def _no_sentences(tag: str) -> CommandRefused:
    return CommandRefused(f"there are no sentences in {tag!r}; there are: {', '.join(LANGUAGES)}")


def _processor_s(config: Config, engine: str) -> float | None:
    """Return the processor seconds that the hosts of an engine have used, or None without hosts."""
    from proxy.processes.admin_client import ask_once

    (row,) = [each for each in ask_once(config, "GET", "engines")["data"] if each["name"] == engine]
    used_s: float | None = row["figures"].get("processor_seconds")
    return used_s


def _prove_one(
    config: Config,
    server_client: ServerClient,
    report: dict[str, Any],
    model: str,
    language: str,
    voices: Sequence[dict[str, Any]],
) -> None:
    """Add how a model is heard in a language, with the first of the voices that it can speak with."""
    why = "it has no voice"
    for voice in voices:
        before_s = _processor_s(config, report["engine"])
        try:
            found, wav = measure_speech(server_client, model, voice["id"], language)
        except CommandRefused as refused:
            if not refused.code:
                raise
            why = str(refused)
            continue
        after_s = _processor_s(config, report["engine"])
        if before_s is not None and after_s is not None:
            found["processor_per_second"] = round((after_s - before_s) / found["seconds"], 3)
        export = io.BytesIO()
        if "quality" in voice:
            server_client.fetch(export, "GET", f"{_VOICES}/{voice['id']}/export")
            found["likeness"] = _likeness(config, export.getvalue(), wav)
        if report["voice"]:
            body = {"model": model, "voice": voice["id"], "language": language}
            found["long_text"] = prove_voice(config, server_client, body, export.getvalue())
        report["data"].append(found)
        return
    report["not_proved"].append(f"{model} in {language}: {why}")


def _likeness(config: Config, export: bytes, wav: bytes) -> dict[str, Any] | None:
    """Return how similar a voice's speech is to its recording, or None without a comparer."""
    import asyncio

    compared = [asyncio.run(module.likeness(config, export, [wav])) for module in feature_modules("likeness")]
    found: dict[str, Any] | None = next((each["spoken"][0] for each in compared if each), None)
    return found


def _get_json(server_client: ServerClient, path: str, **more: Any) -> dict[str, Any]:
    answer = io.BytesIO()
    server_client.fetch(answer, "GET", path, **more)
    found: dict[str, Any] = json.loads(answer.getvalue())
    return found


def _stored_manifests(config: Config) -> list[ModelManifest]:
    """Return the manifests of the stored models in use."""
    from proxy.engines.engine_models import StoredModel
    from proxy.hosts.stored_models import ModelStore

    every = ModelStore(config.data).every()
    return [each.manifest for each in every if isinstance(each, StoredModel) and each.is_current]


def _machine_text() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    load = f"load {os.getloadavg()[0]:.1f}"
    return ", ".join([names[0] if names else platform.machine(), f"{os.cpu_count()} cores", load])


PROVE = Command("prove", prove, _show_reports)
