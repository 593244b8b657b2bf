"""What is taken for a model of Kokoro, and what is refused before any runtime sees it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plugins.kokoro.model_format import MODEL_FORMAT, read_model
from proxy.features.models.changes import hold_change_lock
from proxy.features.models.import_order import ImportOrder
from proxy.features.models.importing import import_model
from proxy.hosts.stored_models import ModelRefused, ModelStore
from speech_engine.model_files import FolderContents, ModelManifest
from tests import onnx_bytes as onnx
from tests.plugins.kokoro import hostile, tiny
from tests.tables import each_row

Change = Callable[[Path], object]


def imported(folder: Path, source: Path) -> ModelManifest:
    store = ModelStore(folder / "data")
    with hold_change_lock(store, lambda: None):
        order = ImportOrder(source, "kokoro", "kokoro", "Apache-2.0")
        return import_model(store, MODEL_FORMAT, order, lambda *_: None).manifest


def test_a_folder_as_it_is_downloaded_is_imported_with_its_languages(tmp_path: Path) -> None:
    made = imported(tmp_path, tiny.model(tmp_path / "mine"))
    assert made.languages == ("en-US", "en-GB", "pt-BR")
    assert [file.name for file in made.files] == ["model.onnx", "voices.npz", "config.json"]
    assert made.parameters > 510 * 256 * len(tiny.VOICES)


def test_other_exports_call_the_tokens_otherwise(tmp_path: Path) -> None:
    assert imported(tmp_path, tiny.model(tmp_path / "mine", tokens="input_ids")).licence == "Apache-2.0"


@each_row(
    ("lengths", "found"),
    [
        (tiny.Lengths(), "units_0"),
        (None, ""),
        # Nothing tells which of two is right.
        (tiny.Lengths(times=2), ""),
    ],
)
def test_the_lengths_of_sounds_are_found_by_the_operators_that_make_them(
    tmp_path: Path, lengths: tiny.Lengths | None, found: str
) -> None:
    folder = tiny.stored(tmp_path / "mine", lengths=lengths)
    assert read_model(FolderContents(MODEL_FORMAT.files, folder)).names.lengths == found


def test_a_network_that_learned_thai_is_imported_with_its_voice_and_words(tmp_path: Path) -> None:
    made = imported(tmp_path, tiny.thai(tmp_path / "mine"))
    assert made.languages == ("th",)
    assert [file.role for file in made.files] == ["model", "voices", "config", "words"]
    folder = tmp_path / "data" / "models" / made.name / made.digest
    model = read_model(FolderContents(MODEL_FORMAT.files, folder))
    assert [voice.name for voice in model.voices] == ["tf_som"]
    assert model.names == ("input_ids", "ref_s", "audio", "durations", "")
    assert model.words == tiny.WORDS
    assert np.load(folder / "voices.npz")["tf_som"].shape == (510, 1, 256)
    again = imported(tmp_path, tmp_path / "mine")
    assert again.digest == made.digest


@each_row(
    ("outputs", "names"),
    [
        # The only sound, at any place.
        ({"durations": onnx.INT64, "wave": onnx.FLOAT}, ("wave", "durations")),
        # One of several by its name, with lengths in 32 bits.
        ({"hidden": onnx.FLOAT, "waveform": onnx.FLOAT, "lengths": 6}, ("waveform", "lengths")),
        # Two may be the lengths, so neither is.
        ({"audio": onnx.FLOAT, "ids": onnx.INT64, "lengths": onnx.INT64}, ("audio", "")),
        ({"first": onnx.FLOAT, "second": onnx.FLOAT}, ("first", "")),
    ],
)
def test_the_sound_and_the_lengths_are_found_among_the_outputs(
    tmp_path: Path, outputs: dict[str, int], names: tuple[str, str]
) -> None:
    folder = tiny.stored(tmp_path / "mine")
    inputs = [
        onnx.value("tokens", onnx.INT64, 1, "n"),
        onnx.value("style", onnx.FLOAT, 1, 256),
        onnx.value("speed", onnx.FLOAT, 1),
    ]
    nodes = [onnx.node("Identity", "style", name) for name in outputs]
    values = [onnx.value(name, type_, "t") for name, type_ in outputs.items()]
    (folder / "model.onnx").write_bytes(onnx.model(onnx.graph(nodes, [], inputs, values)))
    found = read_model(FolderContents(MODEL_FORMAT.files, folder)).names
    assert (found.sound, found.lengths) == names
    assert found.inner == ""


def _numbered(count: int) -> dict[str, str]:
    """So many words. A table that has them all would be made by every process that reads the tests."""
    return {f"{number:x}": "a" for number in range(count)}


WORDS_AT_FAULT: dict[str, tuple[Any, str]] = {
    "no table": (["สวัสดี"], "must be a table of at most"),
    "no words": ({}, "must be a table of at most"),
    "a million words": (lambda: _numbered(1_000_000), "more than 8,388,608 bytes"),
    "too many words": (lambda: _numbered(200_001), "at most 200,000 words"),
    "a word of 10,000 letters": ({"ก" * 10_000: "/kaː˧/"}, "is too long, or has no sounds"),
    "very many sounds": ({"กา": "/ka˧/" * 500}, "is too long, or has no sounds"),
    "no sounds": ({"กา": ""}, "is too long, or has no sounds"),
    "a number for sounds": ({"กา": 7}, "is too long, or has no sounds"),
    "sounds outside the alphabet": (
        {"กา": "/kaː˧/", "ขา": "/ﷺ/"},
        "is a sound that config.json does not have",
    ),
    "no words for a Thai voice": (None, "words.json is missing"),
}


@each_row("name", WORDS_AT_FAULT)
def test_words_that_make_no_sense_are_refused(tmp_path: Path, name: str) -> None:
    words, reason = WORDS_AT_FAULT[name]
    if callable(words):
        words = words()
    with pytest.raises(ModelRefused) as refused:
        imported(tmp_path, tiny.thai(tmp_path / "mine", words=words))
    assert reason in str(refused.value)


def test_an_array_that_is_none_or_too_large_is_refused(tmp_path: Path) -> None:
    source = tiny.thai(tmp_path / "mine")
    (source / "tf_som.npy").write_bytes(b"no array")
    with pytest.raises(ModelRefused, match=r"tf_som is no \.npy file"):
        imported(tmp_path, source)
    (source / "tf_som.npy").rename(source / "thai_som.npy")
    with pytest.raises(ModelRefused, match="its voices is missing"):
        imported(tmp_path, source)


def test_the_parts_of_the_whole_number_network_are_taken_under_their_own_names(tmp_path: Path) -> None:
    source = tiny.model(tmp_path / "mine", {"af_heart": 0.0, "am_echo": 100.0})
    (source / "kokoro-v1.0.onnx").write_bytes(hostile.RIGHT["an LSTM"])
    (source / "kokoro-v1.0.onnx").rename(source / "joined.onnx")
    (source / "voices-v1.0.bin").rename(source / "voices_en.npz")
    (source / "config.json").unlink()
    (source / "vocab.json").write_text(json.dumps({"vocab": tiny.config()["vocab"]}))
    assert imported(tmp_path, source).languages == ("en-US",)


def config(**changes: object) -> Change:
    return lambda folder: (folder / "config.json").write_text(json.dumps({**tiny.config(), **changes}))


def voices(**arrays: np.ndarray[Any, Any]) -> Change:
    def change(folder: Path) -> None:
        with (folder / "voices-v1.0.bin").open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]

    return change


def network(data: bytes) -> Change:
    return lambda folder: (folder / "kokoro-v1.0.onnx").write_bytes(data)


def graph(tokens: int = onnx.INT64, speed: int = onnx.FLOAT, *more: bytes, node: bytes = b"") -> Change:
    """A network that says only what goes in and out."""
    inputs = [
        onnx.value("tokens", tokens, 1, "n"),
        onnx.value("style", onnx.FLOAT, 1, 256),
        onnx.value("speed", speed, 1),
        *more,
    ]
    nodes = [onnx.node("Identity", "style", "audio"), *([node] if node else ())]
    return network(onnx.model(onnx.graph(nodes, [], inputs, [onnx.value("audio", onnx.FLOAT, "t")])))


STYLES = np.zeros((510, 1, 256), np.float32)
EVIL: dict[str, tuple[Change, str]] = {
    "no table of symbols": (config(vocab=[]), "vocab must be a table"),
    "a symbol of two letters": (config(vocab={"ab": 1}), "single symbols"),
    "a number beyond the table": (config(vocab={"a": 10**9}), "below n_token"),
    "a number that no table has": (config(n_token=None, vocab={"a": 1 << 20}), "below n_token"),
    "very many symbols": (config(n_token=10**9), "n_token is 1000000000"),
    "styles of another size": (voices(af=np.zeros((510, 1, 128), np.float32)), "the shape (510, 1, 128)"),
    "too many styles": (voices(af=np.zeros((600, 1, 256), np.float32)), "up to 511 styles"),
    "styles of another type": (voices(af=np.zeros((5, 1, 256))), "32-bit floats"),
    "a voice of no known kind": (voices(af=STYLES, wizard=STYLES), "wizard is no name of a voice"),
    "no voice that can be read": (voices(zf_xiaobei=STYLES), "no voice of a language that this engine"),
    "an array of pickles": (voices(af=np.array([{}], object)), "not made of plain numbers"),
    "a network that is none": (network(b"\x80\x04K\x01."), "model.onnx"),
    "tokens of another type": (graph(onnx.FLOAT), "its input 'tokens' is missing or has another type"),
    "a speed in whole numbers": (graph(speed=6), "its input 'speed' is missing or has another type"),
    "an input too many": (graph(onnx.INT64, onnx.FLOAT, onnx.value("sid", 7, 1)), "it has an input 'sid'"),
    "another library": (graph(node=onnx.node("Shell", "style", "x", domain="evil")), "of another library"),
}


@each_row("name", EVIL)
def test_an_evil_or_broken_file_is_refused(tmp_path: Path, name: str) -> None:
    change, reason = EVIL[name]
    source = tiny.model(tmp_path / "mine", {"af_heart": 0.0})
    change(source)
    with pytest.raises(ModelRefused) as refused:
        imported(tmp_path, source)
    assert reason in str(refused.value)
    assert [each for each in (tmp_path / "data" / "models").iterdir() if each.is_dir()] == []
