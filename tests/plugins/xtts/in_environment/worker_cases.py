"""The engine as its host creates it: what it says of its model, and the contract of engines."""

import asyncio
import shutil
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from typing import Any

import msgspec
import pytest

from plugins.xtts.plugin import XttsSettings
from plugins.xtts.worker import model_info
from speech_engine import Context, ModelInfo
from speech_engine.host.log import HostLogger
from speech_engine.model_files import ModelManifest
from speech_engine.model_manifest import MANIFEST, digest_of
from speech_engine.plugin import worker_plugin
from speech_engine.testing.contract import EngineContract
from speech_engine.testing.verdicts import RuleVerdict, verdicts
from tests.plugins.xtts.in_environment.rig import rig


async def _described(folder: Path) -> ModelInfo:
    settings = XttsSettings(model_path=str(folder))
    _, create = worker_plugin("plugins.xtts.worker")
    async with create("xtts", settings, Context(HostLogger("xtts"))) as engine:
        info: ModelInfo = engine.models()[0]
        return info


def test_an_imported_model_speaks_the_languages_for_which_it_was_imported(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(rig().folder, tmp_path / "model"))
    assert len(asyncio.run(_described(folder)).languages) > 10
    manifest = ModelManifest(
        name="mine",
        engine="xtts",
        digest=digest_of("xtts", ()),
        files=(),
        licence="CPML",
        languages=("pt", "zh"),
    )
    (folder / MANIFEST).write_bytes(msgspec.json.encode(manifest))
    info = asyncio.run(_described(folder))
    assert info.id == "mine"
    assert [language.tag for language in info.languages] == ["pt", "zh"]


def test_models_that_differ_only_at_their_end_have_other_digests(tmp_path: Path) -> None:
    digests = set()
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        for name in ("config.json", "vocab.json"):
            (folder / name).write_text("{}")
        (folder / "model.safetensors").write_bytes(bytes(20 * 2**20) + bytes([number]))
        digests.add(model_info(folder, ("en",), None).digest)
    assert len(digests) == 2


@pytest.mark.parametrize("is_fresh", [False, pytest.param(True, marks=pytest.mark.soak)])
def test_it_keeps_the_contract_of_engines(is_fresh: bool) -> None:
    found = asyncio.run(_verdicts(rig().folder, is_fresh=is_fresh))
    assert len(found) > 15
    assert [verdict for verdict in found if verdict.broken] == []


async def _verdicts(model: Path, *, is_fresh: bool) -> list[RuleVerdict]:
    """Of an engine that all rules share, or of one for each rule."""
    _, create = worker_plugin("plugins.xtts.worker")
    # Fewer rows are warmed up sooner.
    settings = XttsSettings(model_path=str(model), slots=4, rows=4, width=4)
    context = Context(HostLogger("xtts"), samples=EngineContract.recordings)
    async with create("xtts", settings, context) as shared:

        def opened() -> AbstractAsyncContextManager[Any]:
            return create("xtts", settings, context) if is_fresh else nullcontext(shared)

        return [verdict async for verdict in verdicts(opened)]
