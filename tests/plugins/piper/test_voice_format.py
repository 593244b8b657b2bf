"""What is taken for a voice of Piper, and what is refused before any runtime sees it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plugins.piper.voice_format import MODEL_FORMAT
from proxy.features.models.changes import hold_change_lock
from proxy.features.models.import_order import ImportOrder
from proxy.features.models.importing import import_model
from proxy.hosts.stored_models import ModelRefused, ModelStore
from speech_engine.model_files import ModelManifest
from tests import onnx_bytes as onnx
from tests.plugins.piper import tiny
from tests.tables import each_row

Change = Callable[[dict[str, Any]], object]


def imported(folder: Path, source: Path) -> ModelManifest:
    store = ModelStore(folder / "data")
    with hold_change_lock(store, lambda: None):
        order = ImportOrder(source, "piper", "amy", "CC0-1.0")
        return import_model(store, MODEL_FORMAT, order, lambda *_: None).manifest


def refusal(folder: Path, source: Path) -> str:
    with pytest.raises(ModelRefused) as refused:
        imported(folder, source)
    assert list((folder / "data" / "models").iterdir()) == [folder / "data" / "models" / ".lock"]
    return str(refused.value)


def changed(folder: Path, change: Change) -> Path:
    voice = tiny.voice(folder, speakers=("ana", "ben"))
    path = voice.with_name(f"{voice.name}.json")
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config))
    return voice


def test_a_voice_is_imported_with_its_language_and_its_size(tmp_path: Path) -> None:
    made = imported(tmp_path, tiny.voice(tmp_path / "mine", language="pt_BR", espeak_voice="pt-br"))
    assert (made.languages, made.licence, made.dtype) == (("pt-BR",), "CC0-1.0", "F32")
    assert [file.name for file in made.files] == ["voice.onnx", "voice.json"]
    assert made.parameters > len(tiny.SYMBOLS)


def test_a_folder_with_one_voice_may_be_named_and_one_file_among_many(tmp_path: Path) -> None:
    voice = tiny.voice(tmp_path / "mine", "en_US-amy-medium")
    assert imported(tmp_path, voice.parent).languages == ("en-US",)
    tiny.voice(tmp_path / "mine", "de_DE-eva-low", language="de_DE", espeak_voice="de")
    assert imported(tmp_path, tmp_path / "mine" / "de_DE-eva-low.onnx").languages == ("de-DE",)
    with pytest.raises(ModelRefused, match="could all be its voice; name the file itself"):
        imported(tmp_path, voice.parent)


@each_row(
    ("change", "reason"),
    [
        (lambda c: c["audio"].update(sample_rate=1), "audio.sample_rate is 1"),
        (lambda c: c["audio"].update(sample_rate=10**12), "audio.sample_rate is"),
        (lambda c: c.update(num_symbols=0), "num_symbols is 0"),
        (lambda c: c.update(num_speakers=10**9), "num_speakers is 1000000000"),
        (lambda c: c.pop("phoneme_id_map"), "phoneme_id_map must be a table"),
        (lambda c: c["phoneme_id_map"].update(a=[10**6]), "numbers that are not from 0 to"),
        (lambda c: c["phoneme_id_map"].update(a=[-1]), "numbers that are not from 0 to"),
        (lambda c: c["phoneme_id_map"].update(a=list(range(40))), "a short list of numbers"),
        (lambda c: c["phoneme_id_map"].pop("^"), "has no '^'"),
        (lambda c: c["speaker_id_map"].update(ben=7), "a number of its own, below 2"),
        (lambda c: c["speaker_id_map"].update({"x" * 200: 0}), "at most num_speakers names"),
        (lambda c: c["speaker_id_map"].update(ben=0), "a number of its own"),
        (lambda c: c["inference"].update(length_scale=1e30), "inference.length_scale"),
        (lambda c: c["inference"].update(noise_w="NaN"), "inference.noise_w"),
        (lambda c: c["espeak"].update(voice="../../etc/passwd"), "no voice of espeak"),
        (lambda c: c["espeak"].update(voice="th"), "a voice for Thai, which this engine cannot read"),
        (lambda c: c.update(phoneme_type="thai"), "the phoneme_type 'thai', which this engine cannot read"),
        (lambda c: c.update(hop_length=0), "hop_length is 0"),
        (lambda c: c.update(vowel_clusters=[["a"] * 99]), "vowel_clusters"),
    ],
)
def test_an_absurd_configuration_is_refused(tmp_path: Path, change: Change, reason: str) -> None:
    assert reason in refusal(tmp_path, changed(tmp_path / "mine", change))


def _graph(*, speakers: int = 0, **without: object) -> bytes:
    """A network that says only what goes in and out."""
    inputs = {
        "input": onnx.value("input", onnx.INT64, 1, "n"),
        "input_lengths": onnx.value("input_lengths", onnx.INT64, 1),
        "scales": onnx.value("scales", onnx.FLOAT, 3),
        "sid": onnx.value("sid", onnx.INT64, 1) if speakers else None,
        "output": onnx.value("output", onnx.FLOAT, 1, 1, "t"),
    }
    chosen = {**inputs, **without}
    output = chosen.pop("output")
    nodes = [onnx.node("Cast", "input", "output", onnx.attribute("to", onnx.FLOAT))]
    given = [each for each in chosen.values() if isinstance(each, bytes)]
    table = onnx.floats("enc_p.emb.weight", [0.0] * 8, 4, 2)
    tensors = [table] if "small" in without else []
    return onnx.model(onnx.graph(nodes, tensors, given, [output] if isinstance(output, bytes) else []))


@each_row(
    ("network", "reason"),
    [
        (b"\x80\x04K\x01.", "voice.onnx"),
        (tiny.network(speakers=0), "its input 'sid' is missing"),
        (_graph(speakers=2, scales=None), "its input 'scales' is missing"),
        (
            _graph(speakers=2, input=onnx.value("input", onnx.FLOAT, 1, "n")),
            "its input 'input' is missing or has",
        ),
        (
            _graph(speakers=2, input=onnx.value("input", onnx.INT64, 1, 1, 1)),
            "its input 'input' is missing or has",
        ),
        (_graph(speakers=2, more=onnx.value("style", onnx.FLOAT, 256)), "an input 'style'"),
        (_graph(speakers=2, output=onnx.value("output", onnx.INT64, 1)), "its output 'output' is missing"),
        (_graph(speakers=2, output=onnx.value("mel", onnx.FLOAT, 1)), "its output 'output' is missing"),
        (_graph(speakers=2, small=None), "voice.onnx: its table enc_p.emb.weight has 4 rows"),
    ],
)
def test_a_network_of_another_shape_is_refused(tmp_path: Path, network: bytes, reason: str) -> None:
    voice = changed(tmp_path / "mine", lambda _config: None)
    voice.write_bytes(network)
    assert reason in refusal(tmp_path, voice)


def test_a_configuration_that_is_missing_is_named(tmp_path: Path) -> None:
    voice = tiny.voice(tmp_path / "mine", "amy")
    voice.with_name("amy.onnx.json").unlink()
    assert "its config is missing; it is called amy.onnx.json" in refusal(tmp_path, voice)
