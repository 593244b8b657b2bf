"""Which device a host gets, and why it gets none. torch is a module of ours with a card that has 8 GB."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from speech_engine.device import CPU, Device, DeviceKind
from speech_engine.host.devices import GB, DeviceLacking, choose_device, find_memory, peak_gb

ALL: tuple[DeviceKind, ...] = ("cpu", "cuda", "rocm")

TORCH = """
class version:
    hip = {hip!r}

class cuda:
    @staticmethod
    def is_available():
        return {cards} > 0

    @staticmethod
    def device_count():
        return {cards}

    @staticmethod
    def mem_get_info(index):
        return 5 * 1024**3, 8 * 1024**3

    @staticmethod
    def max_memory_reserved(index):
        return 3 * 1024**3
"""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    yield tmp_path
    sys.modules.pop("torch", None)


def cards(path: Path, count: int = 2, hip: str | None = None) -> None:
    (path / "torch.py").write_text(TORCH.format(cards=count, hip=hip))


def test_without_torch_there_is_a_processor(path: Path) -> None:
    assert choose_device("auto", ALL) == CPU
    with pytest.raises(DeviceLacking, match="there is no torch here that could use cuda"):
        choose_device("cuda", ALL)


def test_a_card_is_chosen_if_there_is_one_and_the_engine_can_use_it(path: Path) -> None:
    cards(path)
    assert choose_device("auto", ALL) == Device("cuda", 0)
    assert choose_device("cuda:1", ALL) == Device("cuda", 1)
    assert choose_device("auto", ("cpu", "rocm")) == CPU
    assert choose_device("cpu", ALL) == CPU


def test_an_engine_of_the_processor_never_imports_torch(path: Path) -> None:
    (path / "torch.py").write_text("raise RuntimeError('imported')")
    assert choose_device("auto", ("cpu",)) == CPU
    assert choose_device("cpu", ALL) == CPU


def test_torch_calls_a_card_of_amd_cuda_and_we_do_not(path: Path) -> None:
    cards(path, hip="6.2")
    assert choose_device("auto", ALL) == Device("rocm", 0)
    assert choose_device("rocm", ALL).torch == "cuda:0"
    with pytest.raises(DeviceLacking, match="shall use cuda, and torch uses rocm here"):
        choose_device("cuda", ALL)


def test_a_card_that_is_not_there_is_named(path: Path) -> None:
    cards(path, count=1)
    with pytest.raises(DeviceLacking, match="there is no cuda:3; this machine has 1"):
        choose_device("cuda:3", ALL)


def test_a_card_tells_what_is_free_and_what_it_has(path: Path) -> None:
    cards(path)
    assert find_memory(Device("cuda", 0)) == (5 * GB, 8 * GB)


def test_the_processors_memory_is_that_of_the_system() -> None:
    found = find_memory(CPU)
    assert found is not None
    free, total = found
    assert 0 < free <= total


def test_the_peak_is_measured_on_the_device(path: Path) -> None:
    cards(path)
    assert peak_gb(Device("cuda", 0)) == 3.0
    assert 0.0 < peak_gb(CPU) < 64.0
