"""The engine as its host creates it: what it says of its models, and the contract of engines."""

import asyncio
import shutil
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from plugins.f5tts.plugin import F5Settings
from plugins.f5tts.worker import best_sample
from speech_engine import Context, ModelInfo, Sample
from speech_engine.errors import UnusableSample
from speech_engine.host.log import HostLogger
from speech_engine.model_files import UnusableModel
from speech_engine.plugin import worker_plugin
from speech_engine.testing.contract import EngineContract
from speech_engine.testing.verdicts import RuleVerdict, verdicts
from tests.plugins.f5tts.in_environment.rig import rig, write_manifest


async def _described(folder: Path) -> tuple[ModelInfo, ...]:
    _, create = worker_plugin("plugins.f5tts.worker")
    settings = F5Settings(model_path=str(folder), width=20)
    async with create("f5tts", settings, Context(HostLogger("f5tts"))) as engine:
        found: tuple[ModelInfo, ...] = engine.models()
        return found


def test_a_checkpoint_is_three_models_with_its_languages() -> None:
    infos = asyncio.run(_described(rig().folder))
    assert [info.id for info in infos] == ["mine", "mine-turbo", "mine-hd"]
    for info in infos:
        assert [language.tag for language in info.languages] == ["en", "pt"]
        assert info.needs_sample_text
        assert info.sample_s == (3.0, 12.0)


@pytest.mark.parametrize(
    ("languages", "says"),
    [((), "import it again, with its languages: --language pt"), (("en", "th"), "it lacks letters of th")],
)
def test_a_model_without_a_language_that_it_can_write_is_refused(
    tmp_path: Path, languages: tuple[str, ...], says: str
) -> None:
    folder = Path(shutil.copytree(rig().folder, tmp_path / "model"))
    write_manifest(folder, languages)
    with pytest.raises(UnusableModel, match=says):
        asyncio.run(_described(folder))


def test_the_longest_recording_whose_words_are_known_is_heard() -> None:
    samples = [
        Sample("a", "Hi.", seconds=4.0),
        Sample("b", "", seconds=9.0),
        Sample("c", "Yes.", seconds=6.0),
    ]
    assert best_sample(samples).digest == "c"
    with pytest.raises(UnusableSample, match="must know the words"):
        best_sample(samples[1:2])


def test_it_keeps_the_contract_of_engines() -> None:
    found = asyncio.run(_verdicts(rig().folder))
    assert len(found) > 15
    assert [verdict for verdict in found if verdict.broken] == []


async def _verdicts(model: Path) -> list[RuleVerdict]:
    _, create = worker_plugin("plugins.f5tts.worker")
    # Less weight is warmed up sooner.
    settings = F5Settings(model_path=str(model), slots=4, rows=4, width=20)
    context = Context(HostLogger("f5tts"), samples=EngineContract.recordings)
    async with create("f5tts", settings, context) as shared:

        def opened() -> AbstractAsyncContextManager[Any]:
            return nullcontext(shared)

        return [verdict async for verdict in verdicts(opened)]
