"""The engine as its host creates it: what it says of its model."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import msgspec

from plugins.xtts.plugin import XttsSettings
from plugins.xtts.worker import model_info
from speech_engine import Context, ModelInfo
from speech_engine.host.log import HostLogger
from speech_engine.model_files import ModelManifest
from speech_engine.model_files.manifest import MANIFEST, digest_of
from speech_engine.worker_module import worker_engine
from tests.plugins.xtts.in_environment.rig import rig


async def _described(folder: Path) -> ModelInfo:
    settings = XttsSettings(model_path=str(folder))
    _, create = worker_engine("plugins.xtts.worker")
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
