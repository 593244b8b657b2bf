"""Where a voice is cut at its import, which voices are left whole, and that evil ones are refused as ever."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from plugins.piper.voice_format import MODEL_FORMAT, decoder_reach
from proxy.features.models.changes import hold_change_lock
from proxy.features.models.import_order import ImportOrder
from proxy.features.models.importing import import_model
from proxy.hosts.stored_models import ModelRefused, ModelStore
from speech_engine.model_files import FolderContents, UnusableModel, check_model
from speech_engine.model_files.onnx import read_graph
from speech_engine.model_files.onnx_halves import cut_graph
from tests import onnx_bytes as onnx
from tests.plugins.piper import tiny, vits
from tests.tables import each_row

pytestmark = pytest.mark.slow

LARGE = onnx.floats("large", [0.5] * 4096)


def imported(folder: Path, source: Path) -> FolderContents:
    store = ModelStore(folder / "data")
    with hold_change_lock(store, lambda: None):
        order = ImportOrder(source, "piper", "amy", "CC0-1.0")
        made = import_model(store, MODEL_FORMAT, order, lambda *_: None)
    return FolderContents(MODEL_FORMAT.files, made.folder)


def cut(data: bytes) -> tuple[bytes, bytes] | None:
    halves = cut_graph(memoryview(data), vits.PRE, vits.COND)
    return halves and (b"".join(halves[0]), b"".join(halves[1]))


@each_row("speakers", [(), ("ana", "ben")])
def test_a_voice_with_the_place_is_stored_whole_and_in_halves(
    tmp_path: Path, speakers: tuple[str, ...]
) -> None:
    source = vits.voice(tmp_path / "mine", *speakers)
    stored = imported(tmp_path, source)
    assert list(stored.graph("encoder").outputs) == ["frames", *(["cond"] if speakers else [])]
    assert stored.graph("decoder").inputs.keys() == stored.graph("encoder").outputs.keys()
    # Half of a kernel of seven; of one of sixteen by eight; of one of seven, three apart; of seven again.
    assert decoder_reach(stored) == (6, vits.HOP)
    assert 3 + 11 / 8 + 9 / 8 + 3 / 8 <= 6
    model = ModelStore(tmp_path / "data").stored_model("amy")
    assert model is not None
    assert [file.name for file in model.manifest.files] == [
        "voice.onnx",
        "encoder.onnx",
        "decoder.onnx",
        "voice.json",
    ]
    assert (model.folder / "voice.onnx").read_bytes() == source.read_bytes()
    whole = read_graph(memoryview(source.read_bytes())).tensors
    assert model.manifest.parameters == sum(info.numbers for info in whole.values())


def test_the_messages_of_nodes_and_weights_are_copied_as_they_are() -> None:
    data = vits.network(2)
    halves = cut(data)
    assert halves is not None
    before, after = halves
    for node in ("Tanh_frames", "Conv_cond"):
        assert node.encode() in before
        assert node.encode() not in after
    for weight in (vits._weight(vits.PRE, 8, 4, 7), vits._weight("dec.res.weight", 4, 4, 7)):
        assert weight in data
        assert weight in after
        assert weight not in before


WHOLE: Mapping[str, bytes] = {
    "no such weight": tiny.network(),
    "a decoder that looks everywhere": vits.network(
        changes={"soft": onnx.node("Softmax", "up", "soft", onnx.attribute("axis", -1))}
    ),
    "a decoder that turns time": vits.network(
        changes={"sound": onnx.node("Unsqueeze", "post axes", "sound")}
    ),
    "a decoder with another length": vits.network(
        changes={"pre": onnx.node("Conv", f"frames {vits.PRE}", "pre", onnx.attribute("pads", [6, 0]))}
    ),
    "a decoder that pads by itself": vits.network(
        changes={
            "pre": onnx.node("Conv", f"frames {vits.PRE}", "pre", onnx.attribute("auto_pad", "SAME_UPPER"))
        }
    ),
    "a decoder that uses an input": vits.network(changes={"told": onnx.node("Mul", "pre scales", "told")}),
    "another value that passes": vits.network(changes={"told": onnx.node("Add", "pre turned", "told")}),
    "two places": vits.network(more=(onnx.node("Conv", f"frames {vits.PRE}", "again"),)),
    "weights that both halves need": vits.network(
        changes={
            "frames": onnx.node("Add", "turned large", "frames"),
            "told": onnx.node("Add", "pre large", "told"),
        },
        weights=(LARGE,),
    ),
    "a value before it is made": vits.network(
        changes={"pre": onnx.node("Relu", "late", "pre"), "told": onnx.node("Relu", "pre", "told")},
        more=(onnx.node("Conv", f"frames {vits.PRE}", "late"),),
    ),
}


@each_row("network", list(WHOLE.values()))
def test_a_voice_without_the_place_stays_whole(network: bytes) -> None:
    assert cut(network) is None


def test_a_voice_that_cannot_be_cut_is_imported_as_it_is(tmp_path: Path) -> None:
    source = vits.voice(tmp_path / "mine")
    source.write_bytes(WHOLE["a decoder that looks everywhere"])
    stored = imported(tmp_path, source)
    assert decoder_reach(stored) is None
    assert not stored.has("encoder")


def _inner(name: str) -> bytes:
    """An operator with a graph, inside of the decoder, that repeats something for ever."""
    body = onnx.graph([onnx.node("Identity", "pre", "kept")], [], [], [onnx.value("kept", onnx.FLOAT)])
    return onnx.node("Loop", "turns go pre", name, onnx.branch("body", body))


EVIL: Mapping[str, tuple[bytes, str]] = {
    "a loop": (vits.network(changes={"soft": _inner("soft")}), "repeats a graph"),
    "another library": (
        vits.network(changes={"soft": onnx.node("Shell", "up", "soft", domain="evil")}),
        "operators of another library",
    ),
    "a bomb in the decoder": (
        vits.network(
            changes={"soft": onnx.node("Expand", "up bomb", "soft")},
            weights=(onnx.ints("bomb", [1, 1 << 20, 1 << 20]),),
        ),
        "makes more than",
    ),
    "a bomb in the encoder": (
        vits.network(
            changes={"frames": onnx.node("Tile", "turned bomb", "frames")},
            weights=(onnx.ints("bomb", [1, 1 << 20, 1 << 20]),),
        ),
        "makes more than",
    ),
    "a file outside": (
        vits.network(
            weights=(onnx.number(1, 4) + onnx.number(2, 1) + onnx.part(8, "w") + onnx.part(13, b""),)
        ),
        "is not in the file",
    ),
    "a tensor that says more than it has": (
        vits.network(weights=(onnx.tensor("w", onnx.FLOAT, (1 << 20, 1 << 10), b"\0" * 8),)),
        "not as many numbers",
    ),
    "a value that is made twice": (
        vits.network(more=(onnx.node("Tanh", "post", "sound"),)),
        "makes 'sound' twice",
    ),
}


@each_row(("network", "reason"), list(EVIL.values()))
def test_an_evil_voice_with_the_place_is_refused_as_a_whole_one(
    tmp_path: Path, network: bytes, reason: str
) -> None:
    with pytest.raises(UnusableModel, match=reason) as whole:
        read_graph(memoryview(network))
    with pytest.raises(UnusableModel, match=reason) as in_halves:
        cut(network)
    assert str(in_halves.value) == str(whole.value)
    source = vits.voice(tmp_path / "mine")
    source.write_bytes(network)
    with pytest.raises(ModelRefused, match=reason):
        imported(tmp_path, source)
    assert [path.name for path in (tmp_path / "data" / "models").iterdir()] == [".lock"]


@each_row(
    ("role", "network", "reason"),
    [
        ("decoder", EVIL["a loop"][0], "repeats a graph"),
        ("encoder", EVIL["a bomb in the encoder"][0], "makes more than"),
        ("decoder", vits.network(), "which its encoder does not make"),
        ("encoder", vits.network(2), "which its encoder does not make"),
    ],
)
def test_a_stored_half_is_judged_again_when_it_is_loaded(
    tmp_path: Path, role: str, network: bytes, reason: str
) -> None:
    imported(tmp_path, vits.voice(tmp_path / "mine"))
    model = ModelStore(tmp_path / "data").stored_model("amy")
    assert model is not None
    (model.folder / f"{role}.onnx").write_bytes(network)
    with pytest.raises(UnusableModel, match=reason):
        check_model(MODEL_FORMAT, model.folder)
