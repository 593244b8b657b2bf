"""The mark `spread` keeps the promises of every mark, and its plugin is light."""

import subprocess
import sys
from contextlib import AbstractAsyncContextManager

import pytest
import structlog

from plugins.spread.plugin import SpreadSettings, voxgate_register
from plugins.spread.stream import create
from speech_engine import Context, Mark, MarkKey
from speech_engine.testing.marks import MarkContract
from tests.plugins.spread.clips import spoken

pytestmark = pytest.mark.slow


class TestSpread(MarkContract):
    def mark(self) -> AbstractAsyncContextManager[Mark]:
        return create("spread", SpreadSettings(), Context(structlog.get_logger()))

    def speech(self) -> bytes:
        return spoken(1, least_s=5)[0].tobytes()


def test_the_plugin_gives_a_mark() -> None:
    (plugin,) = voxgate_register()
    assert (plugin.kind, plugin.name) == ("mark", "spread")


def test_registering_loads_nothing() -> None:
    program = (
        "import sys; from plugins.spread.plugin import voxgate_register; voxgate_register(); "
        "sys.exit('numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_no_repr_tells_a_secret() -> None:
    key = MarkKey("key_1", b"not for anybody's eyes")
    assert repr(key) == "<MarkKey key_1>"
