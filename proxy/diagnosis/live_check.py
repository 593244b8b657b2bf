"""`voxgate check --live`: every key of every cloud engine speaks one short sentence."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import structlog
from msgspec.structs import replace

from policies import price
from policies.language import base
from policies.routing import Model
from proxy.catalogue.catalogue import Catalogue
from proxy.config.config_toml import Config
from proxy.config.finding import Finding, ok, wrong
from proxy.engines.cloud_engine import CloudEngine
from proxy.engines.engine_list import open_engines
from proxy.engines.provider_key import ProviderKey
from proxy.engines.registry import EngineConfigError, InProcessSpec, Registry
from proxy.telemetry.metrics import Metrics
from speech_engine import (
    ANY_LANGUAGE,
    Audio,
    EngineError,
    EngineFailed,
    EngineVoice,
    Finished,
    ModelInfo,
    Segment,
    Speak,
    SpeechJob,
    Started,
    Voice,
    VoiceNotFound,
)
from speech_engine.host.engine_stream import SlotStream

LONGEST_S = 60.0
_log = structlog.get_logger()
_SENTENCE = "Hello, this is a test."
_IN_ANY_LANGUAGE = "1, 2, 3."


class LiveResults(NamedTuple):
    """One finding for each key, and the models that the engines named."""

    findings: list[Finding]
    models: dict[str, tuple[ModelInfo, ...]]


async def check_live(config: Config, registry: Registry) -> LiveResults:
    """Let each key speak. The providers' charge is in no account's usage."""
    cloud = {name: section for name, section in config.engines.items() if _is_cloud(config, registry, name)}
    only = replace(config, engines=cloud)
    findings: list[Finding] = []
    models: dict[str, tuple[ModelInfo, ...]] = {}
    async with open_engines(registry, only, Metrics().engines) as engines:
        catalogue = Catalogue(only, engines)
        for name, engine in engines.items():
            if isinstance(engine, CloudEngine) and engine.keys:
                findings += [await _try(catalogue, engine, key) for key in engine.keys]
                models[name] = engine.models()
            else:
                findings.append(wrong("live", engine.reason, name=name))
    none = [ok("live", "no engine of the cloud is configured", name="none")]
    return LiveResults(findings or none, {name: known for name, known in models.items() if known})


def _is_cloud(config: Config, registry: Registry, name: str) -> bool:
    try:
        spec = registry.engine(name, config.engines[name], config.data)
    except EngineConfigError:
        return False  # the findings of the configuration say why
    return isinstance(spec, InProcessSpec) and spec.is_guarded


async def _try(catalogue: Catalogue, engine: CloudEngine, key: ProviderKey) -> Finding:
    name = f"{engine.name} key {key.number}" if len(engine.keys) > 1 else engine.name
    try:
        async with asyncio.timeout(LONGEST_S):
            found = await _speak(catalogue, engine.name, key)
    except TimeoutError:
        return wrong("live", f"It was silent for {LONGEST_S:g} s.", name=name)
    except EngineError as error:
        return wrong("live", error.reason or type(error).__name__, name=name)
    return ok("live", found, name=name)


async def _speak(catalogue: Catalogue, engine: str, key: ProviderKey) -> str:
    """Speak the sentence, and describe the result. Raise EngineError."""
    if not key.welcome.models:
        raise EngineFailed(key.reason or "It names no model.")
    info = key.welcome.models[0]
    job = _job(info, _voice(catalogue, engine, key))
    loop = asyncio.get_running_loop()
    began = loop.time()
    first_ms, audio_bytes, rate_hz, units = 0.0, 0, info.sample_rate_hz, None
    speech = SlotStream(key.engine, key.slots, Speak(job), _log)
    try:
        while (event := await speech.next_event()) is not None:
            match event:
                case Started(sample_rate_hz=stated_hz):
                    rate_hz = stated_hz
                case Audio(pcm=pcm):
                    first_ms = first_ms or (loop.time() - began) * 1000
                    audio_bytes += len(pcm)
                case Finished(units=counted):
                    units = counted
    finally:
        await speech.close()
    seconds = audio_bytes / 2 / rate_hz
    if not seconds:
        raise EngineFailed("It gave no audio.")
    parts = [f"{engine}/{info.id}", f"{seconds:.2f} s of audio", f"first byte after {first_ms:.0f} ms"]
    if units is not None:
        parts.append(f"{units:g} units")
    if (rate := catalogue.rate(Model(engine, info))) is not None:
        micro = price.micro_usd(rate, seconds=seconds, characters=len(_text(info)), units=units)
        parts.append(f"${micro / 1e6:.6f}")
    return ", ".join(parts)


def _voice(catalogue: Catalogue, engine: str, key: ProviderKey) -> Voice:
    """Return the first voice that the configuration binds, else the engine's first voice."""
    bound = (
        binding.voice
        for voice in catalogue.voices()
        for binding in voice.bindings
        if binding.engine == engine
    )
    voice = next(bound, None) or next((EngineVoice(voice.id) for voice in key.welcome.voices), None)
    if voice is None:
        raise VoiceNotFound("It names no voice; bind one of its own in [voices.NAME].")
    return voice


def _job(info: ModelInfo, voice: Voice) -> SpeechJob:
    tag = "en" if _speaks_english(info) else info.languages[0].tag
    text = _text(info)
    return SpeechJob(
        id="check_live",
        tenant="check",
        model=info.id,
        voice=voice,
        segments=(Segment(text, 0, len(text)),),
        language=tag,
        deadline_s=LONGEST_S,
    )


def _text(info: ModelInfo) -> str:
    return _SENTENCE if _speaks_english(info) else _IN_ANY_LANGUAGE


def _speaks_english(info: ModelInfo) -> bool:
    tags = {language.tag for language in info.languages}
    return not tags or ANY_LANGUAGE in tags or "en" in {base(tag) for tag in tags}
