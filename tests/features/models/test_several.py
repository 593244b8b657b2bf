"""An engine with several imported models: which ones it gets, and whose licence counts."""

import json
from pathlib import Path

import pytest

from proxy.config.sections import EngineSection
from proxy.engines.engine_models import strictest_licence
from proxy.features.models.changes import hold_change_lock
from proxy.features.models.import_order import ImportOrder
from proxy.features.models.importing import Imported, import_model
from proxy.hosts.stored_models import ModelRefused, ModelStore, with_models
from speech_engine.model_files import ModelFile, ModelFormat, UnusableModel
from tests.onnx_bytes import number, part

FORMAT = ModelFormat(
    files=(
        ModelFile(role="notes", kind="text", name="notes.txt", sources=("*.txt",)),
        ModelFile(role="config", kind="json", name="config.json", sources=("{main}.json",)),
    ),
    listed_in="birds",
)


def put(data: Path, name: str, licence: str = "MIT", engine: str = "chirp") -> Imported:
    folder = data / "mine"
    folder.mkdir(exist_ok=True, parents=True)
    source = folder / f"{name}.txt"
    source.write_text(name)
    source.with_name(f"{name}.txt.json").write_text(json.dumps({"bird": name}))
    store = ModelStore(data)
    with hold_change_lock(store, lambda: None):
        return import_model(store, FORMAT, ImportOrder(source, engine, name, licence), lambda *_: None)


def chosen(data: Path, **settings: object) -> list[str]:
    section = EngineSection(plugin="chirp", settings=settings)
    changed, models = with_models(section, FORMAT, str(data))
    assert changed.settings.get("model_paths", []) == [str(model.folder) for model in models]
    return [model.manifest.name for model in models]


def test_a_file_among_others_takes_what_is_called_like_it(tmp_path: Path) -> None:
    put(tmp_path, "owl")
    folder = put(tmp_path, "wren-1").folder
    assert json.loads((folder / "config.json").read_text()) == {"bird": "wren-1"}
    (tmp_path / "mine" / "owl.txt.json").unlink()
    put_again = ImportOrder(tmp_path / "mine" / "owl.txt", "chirp", "owl", "MIT")
    with pytest.raises(ModelRefused, match=r"its config is missing; it is called owl\.txt\.json"):
        import_model(ModelStore(tmp_path), FORMAT, put_again, lambda *_: None)


def test_an_engine_speaks_with_all_that_were_imported_for_it(tmp_path: Path) -> None:
    assert chosen(tmp_path) == []
    for name, engine in (("wren", "chirp"), ("cat", "purr"), ("owl", "chirp")):
        put(tmp_path, name, engine=engine)
    assert chosen(tmp_path) == ["owl", "wren"]


def test_a_list_chooses_and_puts_them_in_order(tmp_path: Path) -> None:
    for name in ("owl", "rook", "wren"):
        put(tmp_path, name)
    assert chosen(tmp_path, birds=["wren", "owl", "wren"]) == ["wren", "owl"]
    with pytest.raises(UnusableModel, match="no model called crow has been imported"):
        chosen(tmp_path, birds=["crow"])


def test_the_strictest_licence_counts_and_two_strict_ones_do_not_mix(tmp_path: Path) -> None:
    for name, licence in (("owl", "MIT"), ("rook", "CC-BY-NC-4.0"), ("wren", "CPML")):
        put(tmp_path, name, licence)

    def kept(*birds: str) -> str:
        return strictest_licence(
            with_models(
                EngineSection(plugin="chirp", settings={"birds": list(birds)}), FORMAT, str(tmp_path)
            )[1]
        )

    assert [kept("owl"), kept("owl", "rook")] == ["MIT", "CC-BY-NC-4.0"]
    with pytest.raises(UnusableModel, match=r"under CC-BY-NC-4.0 and CPML; give each licence an engine"):
        kept("rook", "owl", "wren")


def test_a_vocabulary_of_sentencepiece_is_stored_as_json_and_one_of_json_as_it_is(tmp_path: Path) -> None:
    format_ = ModelFormat(
        files=(ModelFile(role="words", kind="tokenizer", name="words.json", sources=("*.json", "*.model")),)
    )

    def stored(source: Path, name: str) -> bytes:
        order, store = ImportOrder(source, "chirp", name, "MIT"), ModelStore(tmp_path)
        with hold_change_lock(store, lambda: None):
            made = import_model(store, format_, order, lambda *_: None)
        return (made.folder / "words.json").read_bytes()

    own = tmp_path / "own.json"
    own.write_text('{"a": 1}')
    assert stored(own, "own") == own.read_bytes()
    pieces = tmp_path / "words.model"
    pieces.write_bytes(part(1, part(1, "<unk>") + number(3, 2)) + part(1, part(1, "▁a")))
    assert json.loads(stored(pieces, "pieces"))["model"]["vocab"] == [["\uffff0", 0.0], ["▁a", 0.0]]
    (tmp_path / "evil.model").write_bytes(b"\x80\x02}q\x00.")
    with pytest.raises(ModelRefused, match=r"evil\.model"):
        stored(tmp_path / "evil.model", "evil")
