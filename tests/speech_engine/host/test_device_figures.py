"""What a host tells of its card. torch and the driver's library are ours, with a card of 8 GB."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from speech_engine.device import CPU, Device
from speech_engine.host.devices import LIBRARY, DeviceFigures
from speech_engine.host.figure_sums import add_figures
from speech_engine.host.pipe_messages import Tick
from speech_engine.host.pulse import Pulse

GB = 1024**3
TORCH = """
class cuda:
    @staticmethod
    def mem_get_info(index):
        return 5 * 1024**3, 8 * 1024**3

    @staticmethod
    def get_device_properties(index):
        class Card:
            uuid = f"card-{index}"
        return Card
"""


class Driver:
    """The driver's library, as ctypes calls it: 0 is success."""

    def __init__(self, percent: int = 63, fails: str = "") -> None:
        self.percent = percent
        self.fails = fails
        self.cards: list[bytes] = []

    def load(self, name: str) -> Any:
        assert name == LIBRARY
        if self.fails == "load":
            raise OSError(name)
        return self

    def nvmlInit_v2(self) -> int:  # noqa: N802 - the library's own name
        return int(self.fails == "init")

    def nvmlDeviceGetHandleByUUID(self, name: bytes, handle: Any) -> int:  # noqa: N802 - the library's own name
        self.cards.append(name)
        handle._obj.value = 7
        return int(self.fails == "card")

    def nvmlDeviceGetUtilizationRates(self, handle: Any, rates: Any) -> int:  # noqa: N802 - the library's own name
        assert handle.value == 7
        rates._obj.gpu = self.percent
        return int(self.fails == "rates")


@pytest.fixture(autouse=True)
def torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    (tmp_path / "torch.py").write_text(TORCH)
    yield
    sys.modules.pop("torch", None)


def test_a_card_tells_its_memory_and_how_busy_it_is() -> None:
    driver = Driver()
    figures = DeviceFigures(Device("cuda", 1), driver.load)
    assert figures.has_card
    assert figures.values() == {
        "device_memory_used_bytes": 3 * GB,
        "device_memory_total_bytes": 8 * GB,
        "device_utilisation": 0.63,
    }
    # The driver may count its cards in another order than torch.
    assert driver.cards == [b"GPU-card-1"]


@pytest.mark.parametrize("fails", ["load", "init", "card", "rates"])
def test_a_card_that_does_not_say_how_busy_it_is_tells_its_memory(fails: str) -> None:
    figures = DeviceFigures(Device("cuda"), Driver(fails=fails).load)
    assert figures.values() == {"device_memory_used_bytes": 3 * GB, "device_memory_total_bytes": 8 * GB}


def test_a_card_of_amd_tells_its_memory() -> None:
    assert set(DeviceFigures(Device("rocm")).values()) == {
        "device_memory_used_bytes",
        "device_memory_total_bytes",
    }


def test_a_processor_tells_nothing() -> None:
    figures = DeviceFigures(CPU)
    assert (figures.has_card, figures.values()) == (False, {})


def test_the_processes_on_one_card_do_not_add_up_its_memory() -> None:
    values = DeviceFigures(Device("cuda"), Driver().load).values()
    assert add_figures([values, values]) == pytest.approx(values)


def test_a_host_without_work_tells_its_figures_and_one_with_work_does_so_with_its_steps() -> None:
    told: list[Tick] = []
    pulse = Pulse(told.append, clock=lambda: 0.0)
    pulse.figures = lambda: {"device_utilisation": 0.5}
    pulse.tell_idle()
    pulse.begin("a", b"1")
    pulse.tell_idle()
    assert [tick.figures for tick in told] == [{"device_utilisation": 0.5}, {}]
