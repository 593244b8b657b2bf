"""The engine as its host creates it, and its model in the host's batch loop."""

import asyncio
import threading
import time
from array import array
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
import torch
from safetensors.torch import load_file, save_file

from plugins.pocket import worker
from plugins.pocket.codec import pcm_of
from plugins.pocket.model import STEP_S, PocketModel, PocketRow
from plugins.pocket.sizes import RATE_HZ
from plugins.pocket.voices import make_voice
from speech_engine import (
    Audio,
    Context,
    EngineFailed,
    EngineVoice,
    Samples,
    UnsupportedLanguage,
    UnsupportedText,
    VoiceNotFound,
)
from speech_engine.host.batch_loop import BatchLoop
from speech_engine.host.batch_model import BatchSettings, RowStep
from speech_engine.host.log import HostLogger
from speech_engine.model_files import UnusableModel
from tests.plugins.pocket.in_environment.engines import engine, imported, publish, said
from tests.plugins.pocket.in_environment.listeners import (
    LISTENERS,
    MOST_LSB,
    difference,
    job,
    spoken,
    together,
)
from tests.plugins.pocket.in_environment.rig import TEXTS, package, rig, state_for_package
from tests.plugins.pocket.tiny import TINY, TINY_SHARED, write_manifest


def test_many_at_once_sound_as_each_alone() -> None:
    sounds = asyncio.run(together(range(LISTENERS)))
    for number, sound in enumerate(sounds):
        assert difference(sound, asyncio.run(together([number]))[0]) <= MOST_LSB
    assert len(set(sounds)) == LISTENERS


@pytest.mark.parametrize("text", [0, 4])
def test_its_sound_is_the_packages(text: int) -> None:
    tiny, model = rig(), PocketModel()
    row = PocketRow(tiny.model, tiny.join(tiny.decoder(), text, 3))
    pcm = b""
    while not row.decoding.is_over:
        (made,) = model.step([row])
        if made.has_sound:
            pcm += model.sound(row, False)
    pcm += model.sound(row, True)
    state, theirs_model = state_for_package(TINY, tiny.voices[text % 3].state), package(TINY, decodes=True)
    torch.manual_seed(3)
    theirs = theirs_model.generate_audio(state, TEXTS[text])
    assert difference(pcm, pcm_of(theirs)) <= MOST_LSB


class _CountingModel(PocketModel):
    """A model that counts its steps, and takes only as many as a test allows."""

    def __init__(self) -> None:
        super().__init__()
        self.allowed = threading.Semaphore(0)
        self.steps = self.left = 0

    def step(self, rows: Sequence[PocketRow]) -> list[RowStep]:
        self.allowed.acquire()
        self.steps += 1
        return super().step(rows)

    def leave(self, row: PocketRow) -> None:
        self.left += 1
        super().leave(row)


def test_the_first_sound_comes_after_one_step_and_who_leaves_costs_one_more_at_most() -> None:
    asyncio.run(_cancelled())


async def _cancelled() -> None:
    model = _CountingModel()
    async with BatchLoop(model, BatchSettings(), Context(HostLogger("pocket")), STEP_S) as batch:
        events = batch.speak(job(1, TEXTS[4]), spoken(1))
        model.allowed.release()
        try:
            async with asyncio.timeout(30):
                while not isinstance(await anext(events), Audio):
                    pass
                assert model.steps == 1
                leaving = asyncio.create_task(events.aclose())
                # It has said that it leaves before another step is allowed.
                await asyncio.sleep(0)
                model.allowed.release()
                await leaving
            assert model.left == 1
            assert model.steps <= 2
        finally:
            # Whatever failed, the model's thread can end.
            model.allowed.release(1_000)


@pytest.fixture
def _tiny_ones_are_published(monkeypatch: pytest.MonkeyPatch) -> None:
    publish(monkeypatch)


@pytest.mark.usefixtures("_tiny_ones_are_published")
def test_two_models_speak_two_languages_side_by_side(tmp_path: Path) -> None:
    asyncio.run(_two_models(tmp_path))


async def _two_models(folder: Path) -> None:
    paths = [imported(folder, "mine", 0, "en"), imported(folder, "other", 2, "fr")]
    async with engine(paths) as made:
        assert [(info.id, info.languages[0].tag) for info in made.models()] == [
            ("mine", "en"),
            ("other", "fr"),
        ]
        jobs = [job(1, TEXTS[0]), job(1, TEXTS[0], model="other", language="fr-CA")]
        sounds = await asyncio.gather(*(said(made, each) for each in jobs))
        alone = [await said(made, each) for each in jobs]
        assert [difference(*each) <= MOST_LSB for each in zip(sounds, alone, strict=True)] == [True, True]
        assert sounds[0] != sounds[1]
        assert made.loaded_models.names() == ["mine", "other"]
    # With room for one, the longest unused goes.
    async with engine(paths, models_mb=4) as made:
        for each in (*jobs, jobs[0]):
            assert await said(made, each)
            assert made.loaded_models.names() == [each.model]


@pytest.mark.usefixtures("_tiny_ones_are_published")
def test_a_model_in_numbers_of_16_bits_speaks(tmp_path: Path) -> None:
    asyncio.run(_in_16_bits(tmp_path))


async def _in_16_bits(folder: Path) -> None:
    path = imported(folder, "mine", 0, "en")
    file = path / "model.safetensors"
    tensors = {name: each.bfloat16() for name, each in load_file(file).items()}
    file.unlink()  # it is a link to the same in 32 bits
    save_file(tensors, file)
    write_manifest(path, "mine", "en")
    async with engine([path]) as made:
        sound = await said(made, job(1, TEXTS[0]))
    assert len(sound) > RATE_HZ
    assert max(map(abs, array("h", sound))) > 100


@pytest.mark.usefixtures("_tiny_ones_are_published")
def test_what_cannot_be_spoken_is_refused_before_the_first_sound(tmp_path: Path) -> None:
    asyncio.run(_refusals(tmp_path))


async def _refusals(folder: Path) -> None:
    good = job(1, TEXTS[0])
    async with engine([imported(folder, "mine", 0, "en")]) as made:
        for wrong, error in (
            (msgspec.structs.replace(good, language="fr"), UnsupportedLanguage),
            (msgspec.structs.replace(good, voice=EngineVoice("alba")), VoiceNotFound),
            (msgspec.structs.replace(good, voice=Samples(())), VoiceNotFound),
            (msgspec.structs.replace(good, model="another"), EngineFailed),
            (job(1, TEXTS[0], "ก"), UnsupportedText),
        ):
            with pytest.raises(error):
                await anext(made.speak(wrong))
    for number, languages in enumerate(((), ("en", "fr"))):
        with pytest.raises(UnusableModel, match="one language"):
            async with engine([imported(folder, f"wrong-{number}", 0, *languages)]):
                pass
    with pytest.raises(UnusableModel, match="models_mb"):
        async with engine([folder / "mine"], models_mb=1):
            pass


@pytest.mark.usefixtures("_tiny_ones_are_published")
def test_a_voice_is_made_beside_the_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    making, may_end = threading.Event(), threading.Event()
    make = make_voice

    def slow(*arguments: object) -> object:
        making.set()
        assert may_end.wait(30)
        return make(*arguments)  # type: ignore[arg-type]

    async def run() -> None:
        async with engine([imported(tmp_path, "mine", 0, "en")]) as made:
            known = job(0, TEXTS[0])
            before = await said(made, known)
            monkeypatch.setattr(worker, "make_voice", slow)
            waiting = [asyncio.create_task(said(made, job(number, TEXTS[1]))) for number in (1, 1, 1)]
            await asyncio.to_thread(making.wait, 30)
            began = time.monotonic()
            assert difference(await said(made, known), before) <= MOST_LSB
            assert time.monotonic() - began < 30
            assert not any(task.done() for task in waiting)
            making.clear()
            may_end.set()
            sounds = await asyncio.gather(*waiting)
            assert difference(sounds[0], sounds[1]) <= MOST_LSB
            # Whoever waited found what was made.
            assert not making.is_set()

    asyncio.run(run())


def test_a_text_that_does_not_end_fails_alone() -> None:
    tiny, model = rig(TINY_SHARED), PocketModel()
    row = PocketRow(tiny.model, tiny.join(tiny.decoder(), 0, 3))
    row.decoding.is_over = row.decoding.has_failed = True
    with pytest.raises(EngineFailed, match="end of a text"):
        model.sound(row, True)
