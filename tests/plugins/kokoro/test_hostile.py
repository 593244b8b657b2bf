"""The operators beside ONNX's own: what the reader refuses of them, and what the runtime says to the rest."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from plugins.kokoro.model_format import MODEL_FORMAT, OPERATORS
from plugins.piper.voice_format import MODEL_FORMAT as PIPER_FORMAT
from speech_engine.model_files import OnnxGraph, UnusableModel
from speech_engine.model_files.onnx import read_graph
from tests.plugins.kokoro import hostile
from tests.plugins.piper.environment import run
from tests.tables import each_row, soak

pytestmark = pytest.mark.slow

SAMPLE = ("weights for fewer numbers than come", "first cells of nothing", "a sound without steps")


def read(data: bytes) -> OnnxGraph:
    return read_graph(memoryview(data), may_repeat=True, operators=OPERATORS)


@each_row("name", hostile.REFUSED)
def test_what_could_be_read_beyond_its_end_is_refused(name: str) -> None:
    data, reason = hostile.REFUSED[name]
    with pytest.raises(UnusableModel) as refused:
        read(data)
    assert reason in str(refused.value)


def test_they_are_read_for_kokoro_alone() -> None:
    for data in (*hostile.RIGHT.values(), *hostile.HELD.values(), *hostile.DEADLY.values()):
        assert read(data).inputs.keys() == {"tokens", "style", "speed"}
        with pytest.raises(UnusableModel, match="another library"):
            read_graph(memoryview(data), may_repeat=True)
    assert MODEL_FORMAT.files[0].operators == OPERATORS
    assert {file.operators for file in PIPER_FORMAT.files} == {()}


def test_a_format_cannot_allow_what_nobody_knows_how_to_check() -> None:
    shell = hostile.network("Shell", {"sound": "steps"}, domain="com.example")
    with pytest.raises(UnusableModel, match=r"nobody knows what Shell of com\.example must be given"):
        read_graph(memoryview(shell), operators=(("com.example", "Shell"),))


def ran(folder: Path, networks: Mapping[str, bytes], speed: float = 1.0) -> subprocess.CompletedProcess[str]:
    """Run networks in a process of their own."""
    files = [folder / f"{number}.onnx" for number in range(len(networks))]
    for file, data in zip(files, networks.values(), strict=True):
        file.write_bytes(data)
    return run("tests.plugins.kokoro.one_run", str(speed), *map(str, files), name="kokoro")


def test_the_four_speak_as_they_should_be(tmp_path: Path) -> None:
    done = ran(tmp_path, hostile.RIGHT)
    heard = [line.partition(": ")[2] for line in done.stdout.splitlines()]
    assert len(heard) == len(hostile.RIGHT), done.stderr
    assert all(each.endswith("samples") and each != "0 samples" for each in heard), done.stdout


@pytest.mark.parametrize("name", [*SAMPLE, *soak(*(name for name in hostile.HELD if name not in SAMPLE))])
def test_what_the_reader_cannot_know_ends_no_process(tmp_path: Path, name: str) -> None:
    done = ran(tmp_path, {name: hostile.HELD[name]})
    assert done.returncode == 0, done.stderr
    assert done.stdout in ("0: refused\n", "0: 0 samples\n")


@pytest.mark.parametrize("name", hostile.DEADLY)
def test_what_ends_a_process_speaks_until_then(tmp_path: Path, name: str) -> None:
    assert "samples" in ran(tmp_path, {name: hostile.DEADLY[name]}).stdout
    done = ran(tmp_path, {name: hostile.DEADLY[name]}, speed=0.5)
    assert done.returncode < 0
    assert done.stdout == ""
