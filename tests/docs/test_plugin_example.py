"""The engine in docs/engines.md keeps the contract, and does what the page says once it is installed."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
import structlog

from speech_engine import Context, Engine
from speech_engine.testing import EngineContract
from tests.docs import pages
from tests.docs.pages import ROOT
from tests.faults import plugin_folders
from tests.server import running
from tests.sound import decoded

_BLOCK = pages.blocks(ROOT / "docs" / "engines.md", "python")[0]


def test_it_is_listed_and_speaks_when_it_is_installed(tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    packages.mkdir()
    plugin_folders.install(packages, "beep", _BLOCK.text)
    config = '[server]\ndefault_model = "beep/standard"\n[engines.beep]\nbeeps = 4\n'
    with running(tmp_path, config, environ=plugin_folders.environ(packages)) as server:
        listed = server.cli("engines").stdout
        answer = server.speech("Any text.", model="beep/standard", voice="beep/beep", response_format="wav")
    assert "beep/standard" in listed
    assert decoded(answer.content, "wav").seconds == pytest.approx(0.4, abs=0.01)


class TestTheContract(EngineContract):
    voice = "beep"

    def engine(self) -> AbstractAsyncContextManager[Engine]:
        module: dict[str, Any] = {}
        exec(compile(_BLOCK.text, _BLOCK.where, "exec"), module)  # noqa: S102 - the page's own code
        (plugin,) = module["voxgate_register"]()
        created: AbstractAsyncContextManager[Engine] = plugin.create(
            "beep", plugin.settings(), Context(structlog.get_logger())
        )
        return created
