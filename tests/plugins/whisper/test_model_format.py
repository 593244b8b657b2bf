"""What is taken for a model of Whisper, and what is refused before any library sees it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plugins.whisper.model_format import MODEL_FORMAT
from proxy.engines.registry import load
from proxy.features.models.changes import hold_change_lock
from proxy.features.models.import_order import ImportOrder
from proxy.features.models.importing import import_model
from proxy.features.models.listing import open_galleries
from proxy.features.models.natural import Layer
from proxy.features.models.natural_voices import with_speech
from proxy.hosts.stored_models import ModelRefused, ModelStore
from speech_engine.model_files import ModelManifest
from tests.commands import command
from tests.plugins.whisper import tiny
from tests.tables import each_row

Change = Callable[[Path], object]


def imported(folder: Path, source: Path) -> ModelManifest:
    store = ModelStore(folder / "data")
    with hold_change_lock(store, lambda: None):
        order = ImportOrder(source, "whisper", "whisper-mine", "MIT")
        return import_model(store, MODEL_FORMAT, order, lambda *_: None).manifest


def test_a_folder_as_it_is_downloaded_is_imported(tmp_path: Path) -> None:
    made = imported(tmp_path, tiny.model(tmp_path / "mine"))
    assert made.languages == ("en",)
    assert made.parameters > len(tiny.words()) * tiny.WIDTH
    assert made.dtype == "F32"


def test_an_old_vocabulary_is_a_text(tmp_path: Path) -> None:
    source = tiny.model(tmp_path / "mine")
    (source / "vocabulary.json").rename(source / "vocabulary.txt").write_text("\n".join(tiny.words()) + "\n")
    assert "vocabulary.txt" in [file.name for file in imported(tmp_path, source).files]


def weights(**changed: tuple[int, ...]) -> Change:
    named = {name.replace("__", "/"): shape for name, shape in changed.items()}
    return lambda folder: (folder / "model.bin").write_bytes(tiny.weights(named))


def bytes_of(change: Callable[[bytes], bytes]) -> Change:
    return lambda folder: (folder / "model.bin").write_bytes(change((folder / "model.bin").read_bytes()))


def json_of(name: str, change: Callable[[Any], Any]) -> Change:
    def write(folder: Path) -> None:
        file = folder / f"{name}.json"
        file.write_text(json.dumps(change(json.loads(file.read_text()))))

    return write


ANOTHER = {"model": {"vocab": {"a": 1, "b": 0, "c": 2}}}
REFUSED: dict[str, tuple[Change, str]] = {
    "no weights": (lambda folder: (folder / "model.bin").unlink(), "model.bin"),
    "no vocabulary": (lambda folder: (folder / "vocabulary.json").unlink(), "vocabulary.json is missing"),
    "a page": (bytes_of(lambda _: b"<!doctype html>"), "no WhisperSpec in version 6"),
    "empty": (bytes_of(lambda _: b""), "empty"),
    "cut off": (bytes_of(lambda data: data[:-1000]), "model.bin"),
    "more": (bytes_of(lambda data: data + b"x"), "belong to no tensor"),
    "another spec": (bytes_of(lambda data: data.replace(b"Whisper", b"Wordper")), "no WhisperSpec"),
    "narrow": (weights(encoder__layer_1__ffn__linear_1__weight=(4, 15)), "has the shape (4, 15)"),
    "few words": (weights(decoder__embeddings__weight=(3, 4)), "should be (1513, 4)"),
    "wide": (weights(encoder__conv1__weight=(9_000, 80, 3)), "encoder/conv1/weight"),
    "flat": (weights(encoder__conv1__weight=(4,)), "encoder/conv1/weight"),
    "another tokenizer": (json_of("tokenizer", lambda made: made | ANOTHER), "tokenizer of another model"),
    "no words": (json_of("tokenizer", lambda _: {}), "it has no vocabulary"),
    "no specials": (
        json_of("tokenizer", lambda made: made | {"added_tokens": []}),
        "tokenizer.json: it has no <|",
    ),
    "no list": (json_of("vocabulary", lambda _: {"a": 1}), "no list of Whisper's words"),
    "other times": (
        json_of("vocabulary", lambda made: [*made[3:], *made[:3]][::-1]),
        "where Whisper has them",
    ),
    "a head too far": (json_of("config", lambda _: {"alignment_heads": [[2, 0]]}), "alignment_heads"),
    "a head beside the others": (
        json_of("config", lambda made: made | {"alignment_heads": [[0, 63]]}),
        "heads",
    ),
    "a word to suppress that is none": (
        json_of("config", lambda made: made | {"suppress_ids": [2_000_000_000]}),
        "suppress_ids must be numbers of words",
    ),
    "a list for a word": (
        json_of("tokenizer", lambda made: made | {"added_tokens": [{"content": ["x"], "id": 1}]}),
        "tokenizer.json",
    ),
    "no heads": (json_of("config", lambda _: {}), "alignment_heads"),
}


@each_row("name", REFUSED)
def test_an_evil_or_broken_file_is_refused(tmp_path: Path, name: str) -> None:
    change, reason = REFUSED[name]
    source = tiny.model(tmp_path / "mine")
    change(source)
    with pytest.raises(ModelRefused) as refused:
        imported(tmp_path, source)
    assert reason in str(refused.value)


def test_ears_are_pulled_without_a_part_in_speech() -> None:
    listed = open_galleries(load()).listed_model("whisper-base")
    layer, model = with_speech(Layer(), listed, {"tts-1": ["espeak/standard"]})
    assert (layer.engines, dict(layer.models)) == ({"whisper": {"model": "whisper-base"}}, {})
    assert model == "whisper/base"


def test_check_knows_its_model_by_the_name_without_the_engines(tmp_path: Path) -> None:
    imported(tmp_path, tiny.model(tmp_path / "mine"))
    config = tmp_path / "config.toml"
    config.write_text(
        f'[server]\ndata = "{tmp_path / "data"}"\n[engines.whisper]\nmodel = "whisper-mine"\n'
        '[models]\nears = ["whisper/mine"]\nwrong = ["whisper/whisper-mine"]\n'
    )
    found = json.loads(command(config, "check", "--json", check=False).stdout)["data"]
    rows = [(row["state"], row["name"], row["found"]) for row in found if row["check"] == "model"]
    # A machine that has not built the environment yet says so.
    cannot = ("note", "ears", "nothing speaks it: whisper, for whisper/mine, cannot run")
    assert {("ok", "ears", "whisper/mine"), cannot} & {*rows}
    assert ("wrong", "wrong", "whisper has no model of 'whisper/whisper-mine'; known: mine") in rows
