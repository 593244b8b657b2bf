"""Checks of a saved voice against the engines: does an engine have this voice, and must models know the words
of a recording?"""

from __future__ import annotations

from collections.abc import Container

from policies import routing
from proxy.catalogue.catalogue import Catalogue
from proxy.config.reader import names_hint
from proxy.errors import InvalidRequest, UpstreamFailed


def check_binding(catalogue: Catalogue, engine: str, voice: str) -> str:
    """Check a voice against its engine's list. Return "", or a warning if the list cannot confirm it.

    Raises InvalidRequest for an unknown engine or voice, and UpstreamFailed if the engine is not up.
    """
    if engine not in catalogue.live:
        known = [name for name, _ in catalogue.live.items()]
        raise InvalidRequest(
            f"There is no engine '{engine[:80]}'. {names_hint(engine, known, 'engines')}",
            param="bindings",
        )
    live = catalogue.live[engine]
    if not live.models():
        raise UpstreamFailed(f"The engine '{engine}' is not available right now.", retry_after_s=5.0)
    listed, unlisted = [info.id for info in live.voices()], live.unlisted_voices
    if voice in listed or voice in (unlisted or ()):
        return ""
    if live.tries_unknown_voices:
        return f"'{engine}' lists a new voice after its first use, and '{voice[:80]}' is not in its list."
    if unlisted is None:
        return f"'{engine}' does not list all its voices, and '{voice[:80]}' is not in its list."
    raise InvalidRequest(
        f"Invalid value for 'bindings.{engine}': '{engine}' has no voice '{voice[:80]}'. "
        f"{names_hint(voice, listed, 'voices')}",
        param=f"bindings.{engine}",
        code="voice_not_found",
    )


def needs_text(catalogue: Catalogue, providers: Container[str] | None, *, is_local_only: bool) -> bool:
    """Tell whether all models that could speak with a recording need its words.

    Local models may have the recording, and other models unless `is_local_only`: those of `providers`, or all
    if it is None. False while an engine has not been up yet: it may have a model that needs no words.
    """
    if not all(engine.models() for _, engine in catalogue.live.items()):
        return False
    return routing.needs_text(
        model.info
        for model in catalogue.models()
        if model.info.is_local
        or (not is_local_only and (providers is None or (model.info.runner or model.engine) in providers))
    )
