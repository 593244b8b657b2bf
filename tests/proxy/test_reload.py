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


def test_models_and_voices_are_taken_on_while_engines_wait() -> None:
    read = Config(
        engines={"late": EngineSection("tone")},
        models={"m": ("late/standard",)},
        voices={"v": VoiceSection(bindings={"late": "x"})},
    )
    reload = merge(Config(), read)
    assert (reload.changed, reload.needs_restart) == (("models", "voices"), ("engines",))
    assert reload.config.engines == {}
    assert reload.config.models == read.models


def test_an_unchanged_file_changes_nothing() -> None:
    assert merge(Config(), Config()) == (Config(), (), ())
