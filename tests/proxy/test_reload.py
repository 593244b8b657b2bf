"""What a reload takes on, and what it leaves for a restart."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from proxy.reload import NEEDS_RESTART, merge
from proxy.sections import Config, EngineSection, Server, VoiceSection

_OTHER: dict[str, Any] = {
    "host": "0.0.0.0",
    "port": 9,
    "workers": 2,
    "data": "x",
    "drain_s": 1.0,
    "first_audio_s": 1.0,
    "public_catalogue": True,
    "default_model": "x",
    "default_voice": "x",
    "fill_missing": True,
    "cors_origins": ("https://x",),
    "metrics": "",
    "dev_key": True,
}


@pytest.mark.parametrize("field", Server.__struct_fields__)
def test_each_setting_of_the_server_is_taken_on_or_named(field: str) -> None:
    running = Config()
    read = Config(server=msgspec.structs.replace(Server(), **{field: _OTHER[field]}))
    reload = merge(running, read)
    if field in NEEDS_RESTART:
        assert (reload.changed, reload.needs_restart) == ((), (f"server.{field}",))
        assert reload.config.server == running.server
    else:
        assert (reload.changed, reload.needs_restart) == ((f"server.{field}",), ())
        assert reload.config.server == read.server


_LATE = Config(
    engines={"late": EngineSection("tone")},
    models={"m": ("late/standard",)},
    voices={"v": VoiceSection(bindings={"late": "x"})},
)


def test_models_and_voices_are_taken_on() -> None:
    read = msgspec.structs.replace(_LATE, engines={})
    reload = merge(Config(), read)
    assert (reload.changed, reload.needs_restart) == (("models", "voices"), ())
    assert (reload.config.models, reload.config.voices) == (read.models, read.voices)


def test_models_and_voices_of_other_engines_wait_for_them() -> None:
    running = Config(engines={"espeak": EngineSection("espeak")}, models={"tts-1": ("espeak/standard",)})
    reload = merge(running, _LATE)
    assert (reload.changed, reload.needs_restart) == ((), ("engines", "models", "voices"))
    assert reload.config == running


def test_an_unchanged_file_changes_nothing() -> None:
    assert merge(Config(), Config()) == (Config(), (), ())
