"""What is refused of a model's files by their sizes alone. The files have no numbers, and torch is away."""

import math
import struct
from pathlib import Path
from typing import get_args

import pytest

from plugins.f5tts.model_format import (
    MODEL_FORMAT,
    SAMPLE_S,
    STEPS,
    read_vocabulary,
    stated_version,
    written_languages,
)
from plugins.f5tts.plugin import F5Settings, Version, missing
from proxy.features.models.importing import choose_file
from speech_engine.model_files import FolderContents, ModelFacts, UnusableModel, check_model
from speech_engine.model_files.safetensors import header_of
from tests.checkpoints import Called, Stored, archive
from tests.features.models.test_conversion import converted
from tests.tables import each_row

DIM, INNER, TEXT, LAYERS = 64, 128, 32, 2
BLOCK, WORDS = "transformer.transformer_blocks.", "transformer.text_embed."
CHARACTERS = [" ", *"abcdefg"]

Shapes = dict[str, tuple[int, ...]]


def _network(characters: int) -> Shapes:
    return {
        f"{WORDS}text_embed.weight": (characters + 1, TEXT),
        **{f"{WORDS}text_blocks.{layer}.pwconv1.weight": (2 * TEXT, TEXT) for layer in range(LAYERS)},
        "transformer.rotary_embed.inv_freq": (16,),
        "transformer.proj_out.weight": (100, DIM),
        "transformer.input_embed.proj.weight": (DIM, 200 + TEXT),
        "transformer.input_embed.conv_pos_embed.conv1d.0.weight": (DIM, 4, 31),
        "transformer.time_embed.time_mlp.0.weight": (DIM, 256),
        "transformer.norm_out.linear.weight": (2 * DIM, DIM),
        **{f"{BLOCK}{layer}.attn.to_{part}.weight": (DIM, DIM) for layer in range(LAYERS) for part in "qkv"},
        **{f"{BLOCK}{layer}.attn_norm.linear.weight": (6 * DIM, DIM) for layer in range(LAYERS)},
        **{f"{BLOCK}{layer}.ff.ff.0.0.weight": (INNER, DIM) for layer in range(LAYERS)},
    }


VOCODER: Shapes = {
    "backbone.embed.weight": (32, 100, 7),
    "backbone.convnext.0.pwconv1.weight": (96, 32),
    "backbone.convnext.0.pwconv2.weight": (32, 96),
    "head.out.weight": (1026, 32),
    "head.istft.window": (1024,),
}


class Model:
    """The files of a small model that is right, until a test changes one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.characters = list(CHARACTERS)
        self.shapes = _network(len(CHARACTERS))
        self.vocoder = dict(VOCODER)

    def write(self) -> None:
        text = "".join(f"{each}\n" for each in self.characters)
        (self.folder / "vocab.txt").write_text(text, encoding="utf-8")
        _write_shapes(self.folder / "model.safetensors", self.shapes)
        _write_shapes(self.folder / "vocos.safetensors", self.vocoder)

    def facts(self) -> ModelFacts:
        self.write()
        return check_model(MODEL_FORMAT, self.folder)

    def refusal(self) -> str:
        with pytest.raises(UnusableModel) as refused:
            self.facts()
        return str(refused.value)


def _write_shapes(path: Path, shapes: Shapes) -> None:
    head = header_of((name, "F32", shape) for name, shape in shapes.items())
    with path.open("wb") as file:
        file.write(head)
        # A hole in the file: its numbers are never read.
        file.truncate(len(head) + sum(4 * math.prod(shape) for shape in shapes.values()))


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return Model(tmp_path)


def test_a_whole_model_tells_no_language_and_the_memory_of_a_step(model: Model) -> None:
    facts = model.facts()
    assert facts.languages == ()
    assert facts.extra_gb == pytest.approx(0.5 + 12 * 2 * 64 * 93.75 * 3 * DIM * 4 / 1e9)


def test_the_vocabulary_of_another_model_is_refused(model: Model) -> None:
    model.characters += ["x", "y"]
    assert "it has 10 lines, but the model has 8 characters" in model.refusal()
    del model.characters[7:]
    assert "it has 7 lines, but the model has 8 characters" in model.refusal()


@pytest.mark.parametrize(
    "characters", [[*CHARACTERS[1:], "h"], [*CHARACTERS[:-1], "a"], ["", *CHARACTERS, ""]]
)
def test_a_vocabulary_without_a_space_or_with_two_lines_alike_is_refused(
    model: Model, characters: list[str]
) -> None:
    model.characters = characters
    assert "vocab.txt: it must have one character on each line" in model.refusal()


def test_the_last_line_of_a_vocabulary_need_not_end_and_lines_may_end_as_on_windows(model: Model) -> None:
    model.write()
    (model.folder / "vocab.txt").write_bytes("\r\n".join(CHARACTERS).encode())
    found = read_vocabulary(FolderContents(MODEL_FORMAT.files, model.folder))
    assert list(found) == CHARACTERS
    assert list(found.values()) == list(range(len(CHARACTERS)))


@pytest.mark.parametrize(
    ("name", "shape", "says"),
    [
        (f"{WORDS}text_embed.weight", (9, 0), "is empty"),
        (f"{WORDS}text_embed.weight", (9, 5000), "an absurd text width: 5,000"),
        ("transformer.proj_out.weight", (100, 8), "an absurd dim: 8; 16 to 4,096"),
        ("transformer.proj_out.weight", (80, DIM), "proj_out.weight has the shape (80, 64)"),
        ("transformer.proj_out.weight", (100, 72), "its widths do not fit each other"),
        ("transformer.rotary_embed.inv_freq", (15,), "its widths do not fit each other"),
        ("transformer.rotary_embed.inv_freq", (1,), "an absurd width of a head: 2"),
        (f"{BLOCK}0.ff.ff.0.0.weight", (100, DIM), "its widths do not fit each other"),
        (f"{BLOCK}1.ff.ff.0.0.weight", (64, DIM), "ff.ff.0.0.weight has the shape"),
        (f"{BLOCK}1.attn.to_v.weight", (32, DIM), "attn.to_v.weight has the shape"),
        (f"{BLOCK}500.x", (1,), "an absurd layers: 501"),
        (f"{BLOCK}2.x", (1,), "no tensor transformer.transformer_blocks.2.attn_norm"),
        (f"{WORDS}text_blocks.64.x", (1,), "an absurd text layers: 65"),
        ("transformer.input_embed.proj.weight", (DIM, 300), "input_embed.proj.weight has the shape"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(
    model: Model, name: str, shape: tuple[int, ...], says: str
) -> None:
    model.shapes[name] = shape
    assert says in model.refusal()


@pytest.mark.parametrize(
    ("name", "shape", "says"),
    [
        ("backbone.embed.weight", (32, 80, 7), "backbone.embed.weight has the shape (32, 80, 7)"),
        ("backbone.embed.weight", (5000, 100, 7), "an absurd width of Vocos"),
        ("backbone.convnext.0.pwconv2.weight", (32, 95), "pwconv2.weight has the shape"),
        ("backbone.convnext.99.x", (1,), "an absurd layers of Vocos: 100"),
        ("head.out.weight", (514, 32), "head.out.weight has the shape"),
    ],
)
def test_another_vocoder_is_refused(model: Model, name: str, shape: tuple[int, ...], says: str) -> None:
    model.vocoder[name] = shape
    assert says in model.refusal()


def test_weights_of_other_networks_are_refused_by_name(model: Model) -> None:
    model.vocoder = {"head.out.weight": (1026, 32)}
    assert "these are not the weights of Vocos" in model.refusal()
    model.shapes = {"transformer.layers.0.weight": (1,)}
    assert "it is no F5-TTS model" in model.refusal()


@pytest.mark.parametrize("name", ["model.safetensors", "vocab.txt", "vocos.safetensors"])
def test_a_missing_file_is_named(model: Model, name: str) -> None:
    model.write()
    (model.folder / name).unlink()
    with pytest.raises(UnusableModel, match=name):
        check_model(MODEL_FORMAT, model.folder)


def test_its_files_are_found_in_one_folder() -> None:
    names = ["config.yaml", "model_1200000.pt", "pytorch_model.bin", "vocab.txt"]
    found = [choose_file(Path("x"), names, file, "") for file in MODEL_FORMAT.files]
    assert found == ["model_1200000.pt", "vocab.txt", "pytorch_model.bin"]


def test_of_a_training_checkpoint_only_what_speaks_is_taken(tmp_path: Path) -> None:
    weights, _, vocoder = MODEL_FORMAT.files
    one = Stored("0", "F32", 1, (1,), (1,))
    state = dict.fromkeys(("ema_model.transformer.proj_out.weight", "initted", "step"), one)
    numbers = {"0": struct.pack("<f", 1)}
    path = archive(tmp_path / "model_1.pt", {"ema_model_state_dict": state, "optimizer": {}}, numbers)
    assert list(converted(path, weights)) == ["transformer.proj_out.weight"]
    heard = dict.fromkeys(("feature_extractor.mel_spec.window", "head.out.weight"), one)
    assert list(converted(archive(tmp_path / "vocos.bin", heard, numbers), vocoder)) == ["head.out.weight"]


def test_a_pickle_that_names_a_function_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "model_1.pt", {"ema_model_state_dict": Called("os system", ("id",))}, {})
    with pytest.raises(UnusableModel, match=r"os\.system"):
        converted(path, MODEL_FORMAT.files[0])


@each_row(
    ("letters", "tags", "written"),
    [
        ("abc", ("pt", "en-NG", "th"), ("pt", "en-NG")),
        # The published vocabulary has some letters of most scripts.
        ("aกขงจต", ("th", "en"), ("en",)),
        ("กคชดบพมลแเ", ("th", "en"), ("th",)),
    ],
)
def test_a_language_that_the_vocabulary_cannot_write_is_known(
    letters: str, tags: tuple[str, ...], written: tuple[str, ...]
) -> None:
    assert written_languages(tags, dict.fromkeys(letters, 0)) == written


def test_an_engine_without_a_model_says_how_to_get_one(tmp_path: Path) -> None:
    assert "models import" in missing(F5Settings())[0].do
    assert missing(F5Settings(model_path=str(tmp_path))) == ()


@pytest.mark.parametrize(
    ("tensor", "told"),
    [
        # What F5TTS_Base has beside the network, and what no model of v0 has.
        ("mel_spec.mel_stft.mel_scale.fb", "v0"),
        (f"{BLOCK}0.attn.q_norm.weight", "v1"),
        ("transformer.more", ""),
    ],
)
def test_a_model_that_tells_its_version_is_not_taken_for_the_other(
    model: Model, tensor: str, told: str
) -> None:
    model.shapes[tensor] = (4,)
    model.facts()
    contents = FolderContents(MODEL_FORMAT.files, model.folder)
    assert stated_version(contents) == told
    for version in get_args(Version):
        lacks = missing(F5Settings(model_path=str(model.folder), version=version))
        assert [each.do for each in lacks] == ([] if told in ("", version) else [f'set version = "{told}"'])


def test_the_version_that_a_pickle_tells_is_kept(tmp_path: Path) -> None:
    one = Stored("0", "F32", 1, (1,), (1,))
    names = ("ema_model.transformer.proj_out.weight", "ema_model.mel_spec.mel_stft.spectrogram.window")
    state = {"ema_model_state_dict": dict.fromkeys(names, one)}
    path = archive(tmp_path / "model_1200000.pt", state, {"0": struct.pack("<f", 1)})
    assert "mel_spec.mel_stft.spectrogram.window" in converted(path, MODEL_FORMAT.files[0])


def test_a_vocabulary_may_begin_with_a_mark_of_its_byte_order(model: Model) -> None:
    model.write()
    path = model.folder / "vocab.txt"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    check_model(MODEL_FORMAT, model.folder)
    assert list(read_vocabulary(FolderContents(MODEL_FORMAT.files, model.folder))) == CHARACTERS


def test_one_checkpoint_is_three_models_by_their_steps() -> None:
    assert MODEL_FORMAT.variants == ("", "-turbo", "-hd")
    assert STEPS == {"": 16, "-turbo": 7, "-hd": 32}
    assert SAMPLE_S == (3.0, 12.0)
