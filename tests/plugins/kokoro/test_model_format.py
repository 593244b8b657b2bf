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
    assert read_model(FolderContents(MODEL_FORMAT.files, folder)).lengths == found


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
