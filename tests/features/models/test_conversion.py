"""Archives of torch become safetensors in a process that executes nothing of them and sees nothing else."""

import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.features.models.conversion import convert_in_child
from proxy.features.models.conversion_child import convert
from speech_engine.model_files import ModelFile, UnusableModel
from speech_engine.model_files.safetensors import read_header
from tests import checkpoints
from tests.checkpoints import Called, Stored, Tensor, archive, pickled, tiny, torch_file
from tests.tables import each_row

pytestmark = pytest.mark.slow

WEIGHTS = ModelFile(
    role="weights",
    kind="tensors",
    name="model.safetensors",
    roots=("model", ""),
    strip=("chirp.",),
    ignore=("optimizer.",),
    stand_ins=("chirp.config.ChirpConfig",),
    most_bytes=2**20,
)


def converted(path: Path, file: ModelFile = WEIGHTS) -> dict[str, Tensor]:
    """What comes out, in this process. Raises UnusableModel."""
    target = path.with_suffix(".out")
    with path.open("rb") as source, target.open("wb") as out:
        convert(source, path.stat().st_size, out, file, lambda _done, _of: None)
    return _tensors(target)


def apart(path: Path, file: ModelFile = WEIGHTS) -> dict[str, Tensor]:
    """The same, in a process of its own."""
    target = path.with_suffix(".out")
    with path.open("rb") as source, target.open("wb") as out:
        convert_in_child(source, out, file, lambda _done, _of: None)
    return _tensors(target)


def _tensors(path: Path) -> dict[str, Tensor]:
    data = path.read_bytes()
    with path.open("rb") as file:
        found = read_header(file, len(data))
    return {
        name: Tensor(info.dtype, info.shape, data[info.begin : info.begin + info.bytes])
        for name, info in found.items()
    }


def test_the_tensors_of_a_pickle_are_those_of_safetensors(tmp_path: Path) -> None:
    wanted = {
        **tiny(),
        "scale": Tensor("F16", (), b"\x00\x3c"),
        "steps": Tensor("I64", (2,), bytes(range(16))),
    }
    path = torch_file(tmp_path / "model.pth", wanted, prefix="chirp.")
    plain = tmp_path / "model.safetensors"
    plain.write_bytes(checkpoints.safetensors(wanted))
    assert apart(path) == wanted
    assert apart(plain) == wanted
    assert path.with_suffix(".out").read_bytes() == plain.with_suffix(".out").read_bytes()


def test_tensors_may_lie_at_the_root_and_nested_and_be_left_out(tmp_path: Path) -> None:
    inner = {"a": Stored("0", "F32", 2, (2,), (1,)), "deep": {"b": Stored("0", "F32", 2, (1,), (1,), 1)}}
    value = {**inner, "optimizer": {"c": Stored("0", "F32", 2, (2,), (1,))}}
    path = archive(tmp_path / "m.pth", value, {"0": struct.pack("<2f", 1, 2)})
    assert converted(path) == {
        "a": Tensor("F32", (2,), struct.pack("<2f", 1, 2)),
        "deep.b": Tensor("F32", (1,), struct.pack("<f", 2)),
    }


def test_settings_beside_the_tensors_are_read_as_nothing(tmp_path: Path) -> None:
    number = Called("numpy.core.multiarray scalar", (Called("numpy dtype", ("f8",)), "8 bytes"))
    settings_ = {
        "path": Called("pathlib PosixPath", ("/", "etc")),
        "loss": number,
        "raw": Called("_codecs encode", ("bytes", "latin1")),
        "names": Called("__builtin__ set", (["a"],)),
        "config": Called("chirp.config ChirpConfig", (), {"inner": Called("argparse Namespace")}),
    }
    pair = ["t", Stored("0", "F32", 1, (1,), (1,))]
    model = Called("collections OrderedDict", ([pair, ["late", Called("collections defaultdict")]],))
    path = archive(tmp_path / "m.pth", {"model": model, **settings_}, {"0": struct.pack("<f", 1)})
    assert converted(path) == {"t": Tensor("F32", (1,), struct.pack("<f", 1))}


def test_a_scattered_view_is_put_in_order(tmp_path: Path) -> None:
    turned = {"model": {"t": Stored("0", "F32", 6, (3, 2), (1, 3))}}
    path = archive(tmp_path / "m.pth", turned, {"0": struct.pack("<6f", *range(6))})
    assert converted(path) == {"t": Tensor("F32", (3, 2), struct.pack("<6f", 0, 3, 1, 4, 2, 5))}


RUNS = tuple(
    Called(name, ("touch /tmp/voxgate-was-here",))
    for name in (
        "posix system",
        "os system",
        "builtins eval",
        "builtins exec",
        "subprocess Popen",
        "torch load",
    )
)


@each_row("call", RUNS, ids=[call.name for call in RUNS])
def test_a_pickle_that_would_run_something_is_refused_by_the_name_it_calls(
    tmp_path: Path, call: Called
) -> None:
    path = archive(tmp_path / "m.pth", {"model": {}, "config": call}, {})
    with pytest.raises(UnusableModel, match=call.name.replace(" ", r"\.")):
        apart(path)


def _one(tensor: Any, storages: dict[str, bytes] | None = None) -> tuple[Any, dict[str, bytes]]:
    return {"model": {"t": tensor}}, {"0": bytes(8)} if storages is None else storages


@each_row(
    ("value", "storages", "says"),
    [
        (*_one(Stored("0", "F32", 2, (3,), (1,))), "beyond its storage"),
        (*_one(Stored("0", "F32", 2, (2,), (1,), 1)), "beyond its storage"),
        (*_one(Stored("0", "F32", 200, (200,), (1,))), "too short"),
        (*_one(Stored("9", "F32", 2, (2,), (1,))), "missing"),
        (*_one(Stored("0", "F32", 2, (2, -1), (1, 1))), "makes no sense"),
        (*_one(Stored("0", "F32", 2, (2,), (1, 1))), "makes no sense"),
        (*_one(Stored("0", "F32", 2, (2**30, 2**30), (0, 0))), "absurd for this file"),
        ({"model": {}}, {}, "no tensors"),
        ([1, 2], {}, "not a dictionary"),
        (pickled({"model": {}})[:-4], {}, "damaged"),
        (b"\x80\x02" + b"(" * 3 + b".", {}, "damaged"),
        (b"\x80\x02h\x07.", {}, "damaged"),
        (b"\x80\x02" + b"I1\n.", {}, "instruction INT"),
        (b"\x80\x02c__builtin__\neval\n.", {}, "__builtin__.eval"),
        (b"\x80\x02}q\x00(X\x01\x00\x00\x00ah\x00X\x01\x00\x00\x00bh\x00u.", {}, "nested"),
    ],
)
def test_a_pickle_that_makes_no_sense_is_refused(
    tmp_path: Path, value: Any, storages: dict[str, bytes], says: str
) -> None:
    with pytest.raises(UnusableModel, match=says):
        converted(archive(tmp_path / "m.pth", value, storages))


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    value = {"model": {"t": Stored("0", "U8", 2**24, (2**24,), (1,))}}
    path = archive(tmp_path / "m.pth", value, {"0": bytes(2**24)}, compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 2**17
    with pytest.raises(UnusableModel, match="compressed"):
        converted(path)


@each_row("name", ["archive/../../evil", "/etc/passwd", "archive/..\\evil", "other/data.pkl", "loose"])
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    path = archive(tmp_path / "m.pth", {"model": {}}, {}, more={name: b"x"})
    with pytest.raises(UnusableModel, match=r"leads elsewhere|several folders"):
        converted(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_twice_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "m.pth", {"model": {}}, {"0": b"x"}, more={"archive/data/0": b"y"})
    with pytest.raises(UnusableModel, match="twice"):
        converted(path)


@each_row("data", [b"", b"PK\x03\x04", b"\x80\x02}q\x00.", b"#!/bin/sh\n", bytes(100)])
def test_other_files_are_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "m.pth"
    path.write_bytes(data)
    with pytest.raises(UnusableModel):
        apart(path)


def test_every_cut_of_an_archive_is_refused(tmp_path: Path) -> None:
    whole = torch_file(tmp_path / "whole.pth", tiny()).read_bytes()
    for length in range(0, len(whole) - 1, 37):
        path = tmp_path / "cut.pth"
        path.write_bytes(whole[:length])
        with pytest.raises(UnusableModel):
            converted(path)


@pytest.mark.filterwarnings("ignore:invalid escape sequence")
@settings(
    max_examples=min(100, settings().max_examples),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.data())
def test_a_changed_archive_is_refused_or_has_tensors_that_lie_in_it(
    tmp_path: Path, data: st.DataObject
) -> None:
    made = bytearray(torch_file(tmp_path / "whole.pth", tiny()).read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        made[data.draw(st.integers(0, len(made) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "changed.pth"
    path.write_bytes(made)
    try:
        found = converted(path)
    except UnusableModel:
        return
    assert sum(len(tensor.data) for tensor in found.values()) <= 5 * len(made)


def test_a_pickle_of_more_memory_than_any_model_needs_is_refused(tmp_path: Path) -> None:
    # A list that is put into itself again and again would cost a reader that builds it dearly.
    body = b"\x80\x02]" + b"q\x00" + b"(" + b"h\x00" * 800_000 + b"e."
    with pytest.raises(UnusableModel, match=r"not a dictionary|memory"):
        apart(archive(tmp_path / "m.pth", body, {}))


def test_the_process_cannot_write_more_than_the_format_allows(tmp_path: Path) -> None:
    path = torch_file(tmp_path / "m.pth", {"t": Tensor("U8", (2**20,), bytes(2**20))})
    with pytest.raises(UnusableModel, match="absurd for this file"):
        apart(path)
