"""Training: a voice comes nearer to its recordings, goes on after a kill, and leaves in two forms."""

import asyncio
import atexit
import json
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import pytest

from plugins.rvc import trainer
from plugins.rvc.networks import build_generator, on_meta
from plugins.rvc.pitch import praat_pitch
from plugins.rvc.plugin import RvcSettings
from plugins.rvc.rmvpe import load_rmvpe
from plugins.rvc.trainer import RvcTrainer
from plugins.rvc.training import loop as steps
from plugins.rvc.training.loop import NoNumbers
from plugins.rvc.training.networks import SmallDiscriminator, build, check_beginnings, choose_rate
from plugins.rvc.training.onnx_form import CHECKED_FRAMES, MOST_DIFFERENCE, _Voice, as_onnx, compare
from plugins.rvc.training.recordings import _pieces, _speech, prepare
from plugins.rvc.training.spectrum import SPECTRA, _filters, linear, mel
from plugins.rvc.voice_format import FILES
from speech_engine import training
from speech_engine.host.weights import fill
from speech_engine.model_files import UnusableModel
from speech_engine.trained_files import TrainedFacts
from tests.plugins.rvc.in_environment.rig import recording, running
from tests.plugins.rvc.tiny import LAYOUTS, begin, layout, voice_file, write_model

# isort: split
import numpy as np
import torch
from rvc.lib.rmvpe import E2E
from safetensors.torch import save_file

ORDER = training.TrainingOrder(seed=7, most_steps=30, batch=2, checkpoint_every=10)


@cache
def folder() -> Path:
    """A model's folder with tiny networks to begin with, which decide the sizes."""
    made = write_model(Path(tempfile.mkdtemp(prefix="rvc-train-")))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    save_file(begin(), made / "generator_40k.safetensors")
    return made


@cache
def recordings() -> tuple[training.Recording, ...]:
    return tuple(training.Recording(24_000, recording(8.0, number)) for number in range(4))


@cache
def opened() -> RvcTrainer:
    return RvcTrainer(RvcSettings(model_path=str(folder())), "cpu")


class WindowFeatures:
    """A `TrainingTalk` that keeps what it is told, and stops a training after so many steps."""

    def __init__(self, stops_at: int | None = None, every: int = ORDER.checkpoint_every) -> None:
        self.told: list[training.TrainingProgress] = []
        self.checkpoints: dict[int, bytes] = {}
        self._stops_at = stops_at
        self._every = every

    @property
    def must_stop(self) -> bool:
        steps = [each.step for each in self.told if each.stage == "training"]
        return self._stops_at is not None and bool(steps) and steps[-1] >= self._stops_at

    def progress(self, progress: training.TrainingProgress) -> None:
        self.told.append(progress)

    def is_due(self, step: int) -> bool:
        return step % self._every == 0

    def checkpoint(self, step: int, pieces: Iterable[bytes]) -> None:
        self.checkpoints[step] = b"".join(pieces)


@cache
def trained() -> tuple[training.TrainedVoice, WindowFeatures]:
    talk = WindowFeatures()
    return opened().train(ORDER, recordings(), b"", talk), talk


@pytest.mark.parametrize("seed", [1, 7])
def test_thirty_steps_bring_the_voice_nearer_by_a_quarter(tmp_path: Path, seed: int) -> None:
    shutil.copytree(folder(), tmp_path, dirs_exist_ok=True)
    # The tiniest has so few numbers that it learns half as much in a step.
    save_file(begin(128), tmp_path / "generator_40k.safetensors")
    spoken = [training.Recording(24_000, recording(8.0, number, pauses=False)) for number in range(4)]
    slices, _ = prepare(spoken, opened()._ears, SPECTRA[40_000], lambda _part: None)
    loop = steps.Loop(build(tmp_path, 40_000, "cpu"), slices, msgspec.structs.replace(ORDER, seed=seed))
    before = distance(loop)
    loop.run(WindowFeatures())
    assert len(loop.curve) == 30
    assert distance(loop) < 0.75 * before


def distance(loop: steps.Loop) -> float:
    """Return how far a voice is from all slices, of the same draws: a step's own has others each time, and
    differs by a third with them."""
    with pytest.MonkeyPatch.context() as patched, torch.no_grad():
        patched.setattr(loop, "_move", lambda *_told: True)
        torch.manual_seed(0)
        return float(np.mean([loop._learn(loop._slices) for _ in range(3)]))


def test_a_training_tells_its_steps_and_the_mean_of_the_best() -> None:
    voice, talk = trained()
    assert len(voice.curve) == voice.steps == 30
    means = {step: float(np.mean(voice.curve[step - 25 : step])) for step in (25, 30)}
    assert voice.best_step == min(means, key=lambda step: means[step])
    assert voice.best == pytest.approx(means[voice.best_step])
    stages = [each.stage for each in talk.told]
    assert stages == sorted(stages, key=("preparing", "training", "exporting").index)
    last = [each for each in talk.told if each.stage == "training"][-1]
    assert (last.step, last.of) == (30, 30)
    assert last.eta_s == 0.0


def test_a_later_life_takes_the_same_steps() -> None:
    voice, talk = trained()
    stopping = WindowFeatures(stops_at=13)
    with pytest.raises(training.TrainingStops):
        opened().train(ORDER, recordings(), b"", stopping)
    for checkpoint in (stopping.checkpoints[13], talk.checkpoints[10]):
        again = opened().train(ORDER, recordings(), checkpoint, WindowFeatures())
        assert again.curve == voice.curve
        assert again.voice == voice.voice


def test_who_is_stopped_before_the_first_step_leaves_at_once() -> None:
    class Stopped(WindowFeatures):
        @property
        def must_stop(self) -> bool:
            return len(self.told) >= 2

    talk = Stopped()
    with pytest.raises(training.TrainingStops):
        opened().train(ORDER, recordings(), trained()[1].checkpoints[10], talk)
    # One slice was prepared, and no more.
    assert [each.stage for each in talk.told] == ["preparing", "preparing"]
    assert not talk.checkpoints


def test_another_seed_takes_other_steps() -> None:
    other = training.TrainingOrder(seed=8, most_steps=2, batch=4)
    assert opened().train(other, recordings(), b"", WindowFeatures()).curve != trained()[0].curve[:2]


def test_the_voice_leaves_in_the_layout_of_others_and_comes_back() -> None:
    voice, _ = trained()
    facts: TrainedFacts = FILES.check(BytesIO(voice.voice), len(voice.voice))
    assert facts.words["version"] == "v2"
    assert int(facts.words["features"]) > 1_000
    pth = BytesIO()
    FILES.export(BytesIO(voice.voice), len(voice.voice), "pth", pth)
    read = torch.load(BytesIO(pth.getvalue()), weights_only=True)
    assert read["config"][-1] == 40_000
    assert (read["sr"], read["f0"], read["version"]) == ("40k", 1, "v2")
    assert all(value.dtype == torch.float16 for value in read["weight"].values())
    assert not [name for name in read["weight"] if name.startswith("enc_q.")]


def test_the_voice_converts() -> None:
    voice, _ = trained()

    async def convert() -> tuple[bytes, int]:
        async with running() as rig:
            return await rig.convert(rig.bring(voice.voice), recording(2.0, 1))

    made, rate_hz = asyncio.run(convert())
    assert (rate_hz, len(made)) == (40_000, 2 * 2 * 40_000)
    assert np.frombuffer(made, "<i2").any()


@pytest.mark.parametrize("number", range(len(LAYOUTS)))
def test_onnx_sounds_the_same_at_any_length(number: int) -> None:
    of = LAYOUTS[number]
    file = voice_file(of, number)
    data = as_onnx(file)
    network = _Voice(of)
    from plugins.rvc.checkpoint import read_voice

    _, tensors, _ = read_voice(file)
    fill(network.network, {name: each.float() for name, each in tensors.items()}, "it")
    network.fold()
    for frames in (*CHECKED_FRAMES, 5, 711):
        assert compare(network, data, frames) < MOST_DIFFERENCE


def test_onnx_that_sounds_otherwise_is_not_given_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plugins.rvc.training.onnx_form.compare", lambda *_told: 0.1)
    with pytest.raises(training.TrainingError, match="otherwise"):
        as_onnx(voice_file(layout()))


def test_what_is_no_voice_is_not_exported() -> None:
    with pytest.raises(UnusableModel):
        opened().export(b"nothing", "onnx")
    with pytest.raises(training.TrainingError):
        opened().export(voice_file(layout()), "checkpoint")


SILENCE = bytes(2 * 24_000 * 30)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ((), "have 0 seconds of speech"),
        ((b"",), "recording 1 of 1 is empty or silent"),
        ((recording(30.0), b"", recording(30.0)), "recording 2 of 3 is empty or silent"),
        ((recording(30.0), SILENCE), "recording 2 of 2 is empty or silent"),
        ((recording(5.0),), "have 5 seconds of speech, and 20 are needed"),
        # The slices of it have 20 seconds together, but share some.
        ((recording(18.6),), "have 19 seconds of speech, and 20 are needed"),
    ],
    ids=["none", "empty", "empty-among-others", "silent", "short", "overlapping"],
)
def test_recordings_that_say_too_little_are_refused(given: Sequence[bytes], says: str) -> None:
    with pytest.raises(training.TrainingError, match=says):
        opened().train(ORDER, [training.Recording(24_000, pcm) for pcm in given], b"", WindowFeatures())


def test_a_rate_that_nobody_has_is_refused() -> None:
    order = training.TrainingOrder(seed=1, most_steps=1, sample_rate_hz=44_100)
    with pytest.raises(UnusableModel, match="44100 Hz"):
        opened().train(order, recordings(), b"", WindowFeatures())


def test_a_training_that_is_no_better_ends_early() -> None:
    order = training.TrainingOrder(seed=7, most_steps=400, batch=2, patience=0)
    voice = opened().train(order, recordings(), b"", WindowFeatures())
    assert voice.ended_early
    # The first look at the voice: before it there is none to keep.
    assert voice.steps == voice.best_step == 25
    FILES.check(BytesIO(voice.voice), len(voice.voice))


def test_losses_that_are_no_numbers_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "plugins.rvc.training.loop.losses.kl_loss", lambda *told: told[0].sum() * float("nan")
    )
    with pytest.raises(NoNumbers):
        opened().train(ORDER, recordings(), b"", WindowFeatures())


def test_a_step_without_a_number_is_told_as_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    real = steps.Loop._learn

    def learn(loop: Any, slices: Sequence[Any]) -> float:
        distance = real(loop, slices)
        return float("nan") if len(loop.curve) in (3, 24) else distance

    monkeypatch.setattr(steps.Loop, "_learn", learn)
    order = training.TrainingOrder(seed=7, most_steps=50, batch=2)
    talk = WindowFeatures()
    voice = opened().train(order, recordings(), b"", talk)
    assert voice.curve[3] == voice.curve[2]
    assert np.isfinite([*voice.curve, voice.best, *(each.mel + each.best for each in talk.told)]).all()
    # The look after the 25th step did not end it: the voice became better after that.
    assert (voice.best_step, voice.steps) == (50, 50)


def test_networks_that_begin_without_a_number_train_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps.Loop, "_learn", lambda _loop, _slices: float("inf"))
    with pytest.raises(NoNumbers):
        opened().train(ORDER, recordings(), b"", WindowFeatures())


def test_broken_steps_in_a_row_are_counted_over_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "plugins.rvc.training.loop.losses.kl_loss", lambda *told: told[0].sum() * float("nan")
    )
    stopping = WindowFeatures(stops_at=15)
    with pytest.raises(training.TrainingStops):
        opened().train(ORDER, recordings(), b"", stopping)
    talk = WindowFeatures()
    with pytest.raises(NoNumbers):
        opened().train(ORDER, recordings(), stopping.checkpoints[15], talk)
    assert [each.step for each in talk.told if each.stage == "training"] == [16, 17, 18, 19]


def test_a_device_without_the_memory_takes_fewer_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    real, sizes = steps.Loop._learn, list[int]()

    def learn(loop: Any, slices: Sequence[Any]) -> float:
        sizes.append(len(slices))
        gradients = [each.grad for each in loop._networks.generator.parameters()]
        if len(slices) > 2:
            # What such a step leaves behind.
            for each in loop._networks.generator.parameters():
                each.grad = torch.zeros_like(each)
            raise torch.OutOfMemoryError
        if sizes[-2:] == [4, 2]:
            assert not [each for each in gradients if each is not None]
        return real(loop, slices)

    monkeypatch.setattr(steps.Loop, "_learn", learn)
    order = training.TrainingOrder(seed=7, most_steps=2, batch=4)
    opened().train(order, recordings(), b"", WindowFeatures())
    assert sizes == [4, 2, 2]


def test_a_device_without_the_memory_for_one_slice_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def learn(_loop: Any, _slices: Sequence[Any]) -> float:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(steps.Loop, "_learn", learn)
    with pytest.raises(torch.OutOfMemoryError):
        opened().train(ORDER, recordings(), b"", WindowFeatures())


def test_rmvpe_finds_the_pitch_where_it_is(tmp_path: Path) -> None:
    shutil.copytree(folder(), tmp_path, dirs_exist_ok=True)
    torch.manual_seed(0)
    state = {name: value.contiguous() for name, value in E2E(4, 1, (2, 2)).state_dict().items()}
    save_file(state, tmp_path / "rmvpe.safetensors")
    sound = np.frombuffer(recording(1.5), "<i2")[::3].astype(np.float32)[:16_000] / 32768
    with torch.no_grad():
        found = RvcTrainer(RvcSettings(model_path=str(tmp_path)), "cpu")._ears.pitch(sound)
        expected = load_rmvpe(tmp_path / "rmvpe.safetensors", "cpu")(torch.from_numpy(sound)[None])[0]
    assert found.tolist() == expected.tolist()
    assert opened()._ears.pitch(sound).tolist() == praat_pitch(sound).tolist() != found.tolist()


def test_the_network_to_begin_with_decides_the_sizes() -> None:
    assert choose_rate(folder(), 0) == 40_000
    assert choose_rate(folder(), 48_000) == 48_000
    networks = build(folder(), 40_000, "cpu")
    assert json.dumps(networks.layout.config) == json.dumps(layout().config)
    assert isinstance(networks.discriminator, SmallDiscriminator)
    begun = networks.generator.state_dict()["emb_g.weight"]
    assert begun.shape == (1, 8)


def test_a_network_of_another_kind_is_refused(tmp_path: Path) -> None:
    save_file({"nothing": torch.zeros(2)}, tmp_path / "generator_40k.safetensors")
    with pytest.raises(UnusableModel, match="no generator"):
        build(tmp_path, 40_000, "cpu")


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"nothing": torch.zeros(2)}, "no generator of version 2"),
        ({**begin(), "dec.conv_post.weight": torch.zeros(1, 9, 7)}, "dec.conv_post.weight is not as"),
        ({**begin(), "enc_r.weight": torch.zeros(2)}, "enc_r.weight is not as"),
    ],
    ids=["another", "shape", "more"],
)
def test_what_the_operator_begins_with_is_compared_before_recordings_come(
    tmp_path: Path, changed: dict[str, Any], says: str
) -> None:
    shutil.copytree(folder(), tmp_path, dirs_exist_ok=True)
    save_file(changed, tmp_path / "generator_40k.safetensors")
    with pytest.raises(UnusableModel, match=rf"^generator_40k\.safetensors: .*{says}"):
        RvcTrainer(RvcSettings(model_path=str(tmp_path)), "cpu")


def test_of_full_size_the_discriminator_is_compared_too(tmp_path: Path) -> None:
    with on_meta():
        network = build_generator(layout(is_full=True))
    # Empty numbers of full size: they are compared, never filled in.
    sizes = {name: torch.zeros(tuple(each.shape)) for name, each in network.state_dict().items()}
    save_file(sizes, tmp_path / "generator_40k.safetensors")
    check_beginnings(tmp_path)
    save_file({"nothing": torch.zeros(2)}, tmp_path / "discriminator_40k.safetensors")
    with pytest.raises(UnusableModel, match=r"^discriminator_40k\.safetensors: "):
        check_beginnings(tmp_path)


def test_filters_have_the_area_of_their_width() -> None:
    for sizes in SPECTRA.values():
        filters = _filters(sizes)
        assert filters.shape == (sizes.bands, sizes.fft // 2 + 1)
        step_hz = sizes.rate_hz / sizes.fft
        # Wide triangles have many points; narrow ones are measured coarsely.
        assert np.allclose(filters[-20:].sum(axis=1) * step_hz, 1.0, atol=0.05)


def test_a_spectrum_has_a_frame_for_each_hop() -> None:
    sizes = SPECTRA[40_000]
    found = linear(torch.sin(torch.arange(40_000) * 0.1)[None], sizes)
    assert found.shape == (1, 1025, 100)
    assert mel(found, sizes).shape == (1, 125, 100)
    peak_hz = float(found[0, :, 50].argmax()) * 40_000 / 2048
    assert abs(peak_hz - 0.1 * 40_000 / (2 * np.pi)) < 40


def test_speech_is_found_between_pauses() -> None:
    rate_hz = 40_000
    noise = np.random.default_rng(0).normal(0, 0.1, rate_hz)
    sound = np.concatenate([np.zeros(rate_hz), noise, np.zeros(rate_hz), noise])
    found = list(_speech(sound, rate_hz))
    assert [round(start / rate_hz, 1) for start, _ in found] == [0.9, 2.9]
    pieces = [len(each) / rate_hz for each in _pieces(np.zeros(10 * rate_hz), rate_hz)]
    assert pieces[:3] == [3.0, 3.0, 3.0]
    assert sum(pieces) - 0.3 * (len(pieces) - 1) == pytest.approx(10.0)


def test_the_trainer_is_a_plugin() -> None:
    (plugin,) = trainer.voxgate_register()
    assert (plugin.kind, plugin.name) == ("trainer", "rvc")
