"""`voxgate check --live`: every key of every cloud engine speaks one short sentence."""

from __future__ import annotations

import asyncio

import structlog
from msgspec.structs import replace

import speech_engine
from policies import price
from policies.language import base_tag
from policies.routing import Model
from proxy.catalogue.catalogue import Catalogue
from proxy.config.config_toml import Config
from proxy.config.finding import Finding, ok, wrong
from proxy.engines.engine_list import open_engines
from proxy.engines.providers.cloud_engine import CloudEngine
from proxy.engines.providers.provider_key import ProviderKey
from proxy.engines.registry import EngineConfigError, InProcessSpec, Registry
from proxy.telemetry.metrics import Metrics
from speech_engine.host.engine_stream import SlotStream

LONGEST_S = 60.0
_log = structlog.get_logger()
_SENTENCE = "Hello, this is a test."
_IN_ANY_LANGUAGE = "1, 2, 3."

Models = dict[str, tuple[speech_engine.ModelInfo, ...]]


async def check_live(config: Config, registry: Registry) -> tuple[list[Finding], Models]:
    """Let each key speak. Return a finding for each key, and the models that the engines named.

    The providers' charge is in no account's usage.
    """
    cloud = {name: section for name, section in config.engines.items() if _is_cloud(config, registry, name)}
    cloud_config = replace(config, engines=cloud)
    findings: list[Finding] = []
    models: Models = {}
    async with open_engines(registry, cloud_config, Metrics().engines) as engines:
        catalogue = Catalogue(cloud_config, engines)
        for name, engine in engines.items():
            if isinstance(engine, CloudEngine) and engine.keys:
                findings += [await _try_key(catalogue, engine, key) for key in engine.keys]
                models[name] = engine.models()
            else:
                findings.append(wrong("live", engine.reason, name=name))
    no_engine = [ok("live", "there is no cloud engine to try", name="none")]
    return (findings or no_engine, {name: known for name, known in models.items() if known})


def _is_cloud(config: Config, registry: Registry, name: str) -> bool:
    try:
        spec = registry.engine(name, config.engines[name], config.data)
    except EngineConfigError:
        return False  # the findings of the configuration say why
    return isinstance(spec, InProcessSpec) and spec.is_cloud


async def _try_key(catalogue: Catalogue, engine: CloudEngine, key: ProviderKey) -> Finding:
    name = f"{engine.name} key {key.number}" if len(engine.keys) > 1 else engine.name
    try:
        async with asyncio.timeout(LONGEST_S):
            found = await _speak_sentence(catalogue, engine.name, key)
    except TimeoutError:
        return wrong("live", f"It did not finish within {LONGEST_S:g} s.", name=name)
    except speech_engine.EngineError as error:
        return wrong("live", error.reason or type(error).__name__, name=name)
    return ok("live", found, name=name)


async def _speak_sentence(catalogue: Catalogue, engine: str, key: ProviderKey) -> str:
    if not key.hello.models:
        raise speech_engine.EngineFailed(key.reason or key.refresh_reason or "It names no model.")
    info = key.hello.models[0]
    job = _make_job(info, _choose_voice(catalogue, engine, key))
    loop = asyncio.get_running_loop()
    start_s = loop.time()
    first_ms, audio_bytes, rate_hz, units = 0.0, 0, info.sample_rate_hz, None
    speech = SlotStream(key.engine, key.slots, speech_engine.Speak(job), _log)
    try:
        while (event := await speech.next_event()) is not None:
            match event:
                case speech_engine.Started(sample_rate_hz=stated_hz):
                    rate_hz = stated_hz
                case speech_engine.Audio(pcm=pcm):
                    first_ms = first_ms or (loop.time() - start_s) * 1000
                    audio_bytes += len(pcm)
                case speech_engine.Finished(units=counted):
                    units = counted
    finally:
        await speech.close()
    seconds = audio_bytes / 2 / rate_hz
    if not seconds:
        raise speech_engine.EngineFailed("It gave no audio.")
    parts = [f"{engine}/{info.id}", f"{seconds:.2f} s of audio", f"first byte after {first_ms:.0f} ms"]
    if units is not None:
        parts.append(f"{units:g} units")
    if (rate := catalogue.provider_rate(Model(engine, info))) is not None:
        micro = price.cost_micro_usd(rate, seconds=seconds, characters=len(_sentence_for(info)), units=units)
        parts.append(f"${micro / 1e6:.6f}")
    return ", ".join(parts)


def _choose_voice(catalogue: Catalogue, engine: str, key: ProviderKey) -> speech_engine.Voice:
    """Return the first voice that the configuration binds, else the engine's first voice."""
    bound = (
        binding.voice
        for voice in catalogue.voices()
        for binding in voice.bindings
        if binding.engine == engine
    )
    engine_voices = (speech_engine.EngineVoice(voice.id) for voice in key.hello.voices)
    voice = next(bound, None) or next(engine_voices, None)
    if voice is None:
        raise speech_engine.VoiceNotFound("It names no voice; bind one of its own in [voices.NAME].")
    return voice


def _make_job(info: speech_engine.ModelInfo, voice: speech_engine.Voice) -> speech_engine.SpeechJob:
    tag = "en" if _speaks_english(info) else info.languages[0].tag
    text = _sentence_for(info)
    return speech_engine.SpeechJob(
        id="check_live",
        tenant="check",
        model=info.id,
        voice=voice,
        segments=(speech_engine.Segment(text, 0, len(text)),),
        language=tag,
        deadline_s=LONGEST_S,
    )


def _sentence_for(info: speech_engine.ModelInfo) -> str:
    return _SENTENCE if _speaks_english(info) else _IN_ANY_LANGUAGE


def _speaks_english(info: speech_engine.ModelInfo) -> bool:
    tags = {language.tag for language in info.languages}
    return not tags or speech_engine.ANY_LANGUAGE in tags or "en" in {base_tag(tag) for tag in tags}
