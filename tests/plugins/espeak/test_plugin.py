"""The front: what the server learns without loading anything."""

import subprocess
import sys

import msgspec
import pytest

from plugins.espeak import plugin, worker
from plugins.espeak.plugin import EspeakSettings
from speech_engine import Hosted
from tests.tables import each_row


def test_front_and_worker_register_the_same_engine() -> None:
    (front,), (back,) = plugin.voxgate_register(), worker.voxgate_register()
    assert front.create == Hosted("plugins.espeak.worker", memory_mb=2048, keeps_one_core=True)
    assert not isinstance(back.create, Hosted)
    assert (front.kind, front.name, front.settings) == (back.kind, back.name, back.settings)


def test_the_front_loads_neither_the_worker_nor_the_library() -> None:
    asked = "import sys, plugins.espeak.plugin; print(sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", asked], capture_output=True, text=True, timeout=60, check=True
    )
    assert "plugins.espeak.plugin" in done.stdout
    assert "plugins.espeak.worker" not in done.stdout
    assert "espeakng_loader" not in done.stdout


@each_row("section", [{"volume": 201}, {"intonation": -1}, {"word_gap_ms": 2001}, {"voice": "f3"}])
def test_settings_refuse_what_is_out_of_range_or_unknown(section: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(section, EspeakSettings)
