"""The signs of life of a host at work: they come from within a step, which may take a processor long."""

import asyncio
from typing import Any

import pytest

from plugins.rvc import model
from plugins.rvc.checkpoint import RvcVoice, load_voice
from plugins.rvc.conversion import SOURCE_HZ, work_of
from plugins.rvc.retrieval import Neighbours
from plugins.rvc.voice_rules import VoiceConfig, VoiceLayout
from plugins.rvc.worker import USUAL
from speech_engine.host.windows import SoundWindow
from tests.plugins.rvc.in_environment.rig import MOST_LSB, difference, recording, running
from tests.plugins.rvc.in_environment.seeing import seen
from tests.plugins.rvc.tiny import LAYOUTS, layout, voice_file

# isort: split
import torch
from safetensors.torch import load

HEAVY = (torch.nn.Conv1d, torch.nn.ConvTranspose1d, torch.nn.Linear)


@pytest.mark.parametrize("which", range(len(LAYOUTS)))
def test_a_step_gives_a_sign_after_each_of_its_layers(which: int) -> None:
    silent: list[str] = []
    longest = heavy = 0

    def tick() -> None:
        silent.clear()

    def see(module: Any, _given: Any) -> None:
        nonlocal longest, heavy
        if isinstance(module, HEAVY):
            silent.append(repr(module))
            longest, heavy = max(longest, len(silent)), heavy + 1

    async def run() -> None:
        async with running(tick=tick) as rig:
            voice = rig.bring(voice_file(LAYOUTS[which], which))
            with seen(see):
                await rig.convert(voice, recording(1.0))

    asyncio.run(run())
    assert heavy > 50
    assert longest == 1


def test_loading_gives_signs() -> None:
    signs = 0

    def tick() -> None:
        nonlocal signs
        signs += 1

    file = voice_file(layout("v1"), vectors=40_000)
    load_voice(file, "cpu", tick=tick)
    assert signs > len(load(file)) + 40_000 // 20_000


def test_a_search_gives_a_sign_for_each_part_of_what_is_asked() -> None:
    signs = 0

    def tick() -> None:
        nonlocal signs
        signs += 1

    neighbours = Neighbours(torch.randn(300, 16), "cpu", tick)
    signs = 0
    neighbours.draw(torch.randn(1000, 16), 1.0)
    assert signs >= 1000 // 64


def test_what_a_voice_costs_beyond_a_usual_one_counts_in_the_weight_of_its_windows() -> None:
    def weight(of: VoiceLayout, vectors: int = 0) -> float:
        neighbours = Neighbours(torch.zeros(vectors, 8), "cpu") if vectors else None
        voice = RvcVoice(None, of, neighbours)
        window = SoundWindow(0, bytes(2 * 2 * SOURCE_HZ), 0, 0, SOURCE_HZ, is_last=True)
        return work_of(window, voice.cost).weight

    values: tuple[Any, ...] = (*USUAL.config[:9], "1", [7, 11], [[1, 3, 5]] * 2, *USUAL.config[12:])
    large = USUAL._replace(config=VoiceConfig(*values))
    larger = large._replace(config=VoiceConfig(*large.config[:13], 640, *large.config[14:]))
    assert weight(layout()) == 2.0
    assert weight(USUAL) == pytest.approx(2.0, rel=0.02)
    assert 2.3 < weight(larger) < 4.0
    assert weight(USUAL, 200_000) == pytest.approx(weight(USUAL) + 2 / 3, rel=0.02)


def test_rows_of_a_large_voice_sound_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[int] = []

    def see(module: Any, given: Any) -> None:
        if type(module).__name__.startswith("GeneratorNSF"):
            rows.append(len(given[0]))

    async def run() -> None:
        async with running() as rig:
            voice, pcms = rig.bring(voice_file(layout())), [recording(1.5, number) for number in range(6)]
            with seen(see):
                together = await asyncio.gather(*(rig.convert(voice, pcm) for pcm in pcms))
                assert max(rows) > 1
                rows.clear()
                monkeypatch.setattr(model, "_MOST_OF_A_LAYER", 1)
                apart = await asyncio.gather(*(rig.convert(voice, pcm) for pcm in pcms))
            assert set(rows) == {1}
            for (one, _), (other, _) in zip(together, apart, strict=True):
                assert difference(one, other) <= MOST_LSB

    asyncio.run(run())
