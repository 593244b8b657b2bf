"""What `voxgate engines prove` tells of one voice: is it alike, and does it drift in a long text?

The imports inside functions are slow, and `voxgate --help` needs none of them.
"""

from __future__ import annotations

import base64
import io
import json
import wave
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from proxy.cli.proof_sentences import proof_sentences
from proxy.cli.sound import ServerClient
from proxy.errors import CommandRefused
from proxy.feature_list import feature_modules

if TYPE_CHECKING:
    from proxy.config.config_toml import Config

_LONG = 10
"""The sentences of the long text, whose first and last one are compared."""
_OTHERS = 3


def prove_voice(config: Config, client: ServerClient, body: dict[str, Any], export: bytes) -> dict[str, Any]:
    """Compare a long text's first and tenth sentence with each other, and with the recording in an export.

    Without a comparer or a recording there is the loudness alone. Raise CommandRefused.
    """
    import asyncio

    texts = proof_sentences(body["language"])[:_LONG]
    answer = speak(client, {**body, "input": " ".join(texts)})
    first, tenth = cut_sentences(base64.b64decode(answer["audio_base64"]), answer["words"] or [], texts)
    others = _speak_others(client, {**body, "input": texts[0]}) if export else {}
    sounds, found = [first, tenth, *others.values()], None
    for module in feature_modules("likeness"):
        found = found or asyncio.run(module.likeness(config, export, sounds))
    before, after = loudness(first), loudness(tenth)
    report: dict[str, Any] = {"loudness_lufs": [before, after]}
    if before is not None and after is not None:
        report["loudness_drift_db"] = round(after - before, 1)
    if found is not None:
        scores = [each["score"] for each in found["spoken"]]
        report |= {
            "comparer": found["halves"]["comparer"],
            "likeness": scores[:2],
            "halves": found["halves"]["score"],
            "others": dict(zip(others, scores[2:], strict=True)),
        }
        if None not in scores[:2]:
            report["likeness_drift"] = round(scores[1] - scores[0], 3)
    return report


def speak(client: ServerClient, body: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON of an answer whose sound is a WAV. Wrong words are not said again."""
    answer = io.BytesIO()
    whole = {**body, "check": "behind", "response_format": "json", "audio_format": "wav"}
    client.fetch(answer, "POST", "/v1/audio/speech", json=whole)
    found: dict[str, Any] = json.loads(answer.getvalue())
    return found


def cut_sentences(wav: bytes, words: Sequence[dict[str, Any]], texts: Sequence[str]) -> tuple[bytes, bytes]:
    """Return the first and the last sentence of a text's sound. Raise CommandRefused without its words."""
    second, last = len(texts[0]) + 1, len(" ".join(texts[:-1])) + 1
    starts = [
        min([w["start_seconds"] for w in words if w["source_start"] >= at], default=0)
        for at in (second, last)
    ]
    if not 0 < starts[0] <= starts[1]:
        raise CommandRefused("the times of the words are unknown, so no sentence can be cut out")
    with wave.open(io.BytesIO(wav)) as sound:
        rate_hz, pcm = sound.getframerate(), sound.readframes(sound.getnframes())
    ends = [2 * round(each * rate_hz) for each in starts]
    return _wav(pcm[: ends[0]], rate_hz), _wav(pcm[ends[1] :], rate_hz)


def loudness(wav: bytes) -> float | None:
    from speech_engine.loudness import Meter, lufs

    with wave.open(io.BytesIO(wav)) as sound:
        meter = Meter(sound.getframerate())
        meter.feed(sound.readframes(sound.getnframes()))
    level = lufs(meter.powers)
    return None if level is None else round(level, 1)


def keep_proof(config: Config, report: dict[str, Any]) -> None:
    """Keep what was found beside the models of the engine, for `voxgate models list`."""
    from proxy.engines import registry
    from proxy.engines.engine_models import StoredModel
    from proxy.hosts.stored_models import PROOF, ModelStore, model_names

    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    text = json.dumps({"at": at, "engine": report["engine"], "data": report["data"]})
    section = config.engines[report["engine"]]
    plugin = registry.load().plugins("engine").get(section.plugin)
    names = model_names(section, plugin.model_format if plugin else None, config.data)
    for model in ModelStore(config.data).every():
        if isinstance(model, StoredModel) and model.is_current and model.manifest.name in names:
            new = model.folder / f".{PROOF}"
            try:
                new.write_text(text, encoding="utf-8")
                new.replace(model.folder / PROOF)
            except OSError as error:
                report["not_proved"].append(f"models list will not show this: {error}")


def _speak_others(client: ServerClient, body: dict[str, Any]) -> dict[str, bytes]:
    """Return the same sentence in voices of the catalogue, with which the likeness of strangers is known."""
    answer = io.BytesIO()
    client.fetch(answer, "GET", "/v1/audio/voices", params={"language": body["language"], "limit": 50})
    found: dict[str, bytes] = {}
    for voice in json.loads(answer.getvalue())["data"]:
        if len(found) == _OTHERS or "quality" in voice or not voice.get("engines"):
            continue
        for model in dict.fromkeys([body["model"], *_models_of(client, voice["engines"])]):
            try:
                made = speak(client, {**body, "model": model, "voice": voice["id"]})
            except CommandRefused:
                continue
            found[voice["id"]] = base64.b64decode(made["audio_base64"])
            break
    return found


def _models_of(client: ServerClient, engines: Sequence[str]) -> list[str]:
    answer = io.BytesIO()
    client.fetch(answer, "GET", "/v1/models")
    names = [each["id"] for each in json.loads(answer.getvalue())["data"]]
    return [name for name in names if name.partition("/")[0] in engines and "/" in name]


def _wav(pcm: bytes, rate_hz: int) -> bytes:
    from proxy.audio.formats import wav_header

    return wav_header(len(pcm) // 2, rate_hz) + pcm
