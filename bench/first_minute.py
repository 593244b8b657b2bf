"""From nothing to the first clip: wall seconds, megabytes on disk, and the engine that spoke.

Each way in has a folder of its own with empty caches; only the package registries are outside.

    python -m bench.first_minute                       # all ways
    python -m bench.first_minute serve uvx             # some
    python -m bench.first_minute upgraded --before fb42e541
    python -m bench.first_minute natural --load 20     # beside twenty busy processes
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx2

ROOT = Path(__file__).parents[1]
_MOST_S = 1200.0
_SENTENCE = "Hello from voxgate."
_NO_INDEX = {
    "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
    "PIP_FIND_LINKS": "",
    "PIP_CONFIG_FILE": "/dev/null",
}


class Clip(NamedTuple):
    """What a new user had after how long, and what lies on the disk then."""

    seconds: float
    engine: str
    audio_bytes: int
    megabytes: Mapping[str, int]

    def __str__(self) -> str:
        parts = ", ".join(f"{name} {size}" for name, size in self.megabytes.items() if size)
        total = sum(self.megabytes.values())
        return f"{self.seconds:6.1f} s  {total:5} MB ({parts})  {self.engine}, {self.audio_bytes} bytes"


class Place:
    """A folder with empty caches, and a clone of the repository if a way in needs one."""

    def __init__(self, folder: Path, load: int) -> None:
        self.folder, self.source, self.load = folder, folder / "source", load
        caches = {
            "XDG_CACHE_HOME": "cache",
            "PIP_CACHE_DIR": "pip",
            "UV_CACHE_DIR": "uv",
            "npm_config_cache": "npm",
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith("VOXGATE_")}
        self.environ = {
            **kept,
            **{name: str(folder / below) for name, below in caches.items()},
            "VOXGATE_SERVER__METRICS": "",
            "VOXGATE_SERVER__FIRST_AUDIO_S": "100",
        }

    def clone(self, commit: str = "HEAD") -> None:
        _run("git", "clone", "--quiet", "--no-checkout", str(ROOT), str(self.source))
        self.check_out(commit)

    def check_out(self, commit: str) -> None:
        found = subprocess.run(
            ["git", "rev-parse", commit], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
        )
        _run("git", "-C", str(self.source), "checkout", "--quiet", "--detach", found.stdout.strip())

    def make(self, *arguments: str) -> tuple[str, ...]:
        return ("make", "--silent", "-C", str(self.source), f"PYTHON={_python()}", *arguments)

    def megabytes(self) -> dict[str, int]:
        places = {
            "environment": [self.source / ".venv", self.folder / "empty", self.folder / "uv"],
            "engines and caches": [self.folder / name for name in ("cache", "pip", "npm")],
            "data": [self.source / "data", self.folder / "data"],
        }
        return {name: sum(map(_megabytes, folders)) for name, folders in places.items()}


def _python() -> str:
    return str(Path(getattr(sys, "_base_executable", sys.executable)))


def _megabytes(folder: Path) -> int:
    if not folder.exists():
        return 0
    told = subprocess.run(["du", "-sm", str(folder)], stdout=subprocess.PIPE, text=True, check=True)
    return int(told.stdout.split()[0])


def _run(*command: str, environ: Mapping[str, str] | None = None) -> None:
    subprocess.run(command, env=environ, check=True, capture_output=True)


def clip(
    place: Place, *command: str, since: float | None = None, more: Mapping[str, str] | None = None
) -> Clip:
    """Start a server, ask it for a clip, and stop it. The time begins here, or at `since`."""
    began = time.monotonic() if since is None else since
    log = (place.folder / "server.log").open("ab")
    with (
        log,
        subprocess.Popen(
            command,
            cwd=place.folder,
            env={**place.environ, **(more or {})},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        ) as server,
    ):
        try:
            url, key = _announced(server)
            body = {"model": "tts-1", "voice": "alloy", "input": _SENTENCE}
            headers = {"authorization": f"Bearer {key}"}
            answer = httpx2.post(f"{url}/audio/speech", json=body, headers=headers, timeout=120)
            answer.raise_for_status()
            seconds = time.monotonic() - began
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(60)
    engine = answer.headers["x-voxgate-engine"]
    return Clip(seconds, engine, len(answer.content), place.megabytes())


def _announced(server: subprocess.Popen[str]) -> tuple[str, str]:
    """Return the address and the key that the server prints."""
    assert server.stdout is not None
    deadline, printed = time.monotonic() + _MOST_S, ""
    while "Ctrl-C stops it." not in printed and time.monotonic() < deadline:
        line = server.stdout.readline()
        if not line:
            break
        printed += line
    url, key = re.search(r"serves on (\S+)", printed), re.search(r"key: (\S+)", printed)
    if url is None or key is None:
        raise SystemExit(f"the server did not start: {printed}")
    return url[1], key[1]


def serve(place: Place, _before: str) -> Clip:
    began = time.monotonic()
    place.clone()
    return clip(place, *place.make("serve", "PORT=0"), since=began)


def natural(place: Place, _before: str) -> Clip:
    """The packages of the server are installed, and no voice and no engine's environment is there."""
    place.clone()
    _run(*place.make("install"), environ=place.environ)
    with busy(place.load):
        return clip(place, *place.make("serve", "PORT=0"))


@contextmanager
def busy(count: int) -> Iterator[None]:
    command = (sys.executable, "-c", "while True: pass")
    processes = [subprocess.Popen(command) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def without_npm(place: Place, _before: str) -> Clip:
    """As `serve`, on a machine with every program but Node's."""
    programs = place.folder / "programs"
    programs.mkdir()
    for folder in os.environ["PATH"].split(os.pathsep):
        for path in Path(folder).glob("*") if Path(folder).is_dir() else ():
            if path.name not in ("npm", "npx", "node", "nodejs") and not (programs / path.name).is_symlink():
                (programs / path.name).symlink_to(path)
    place.environ["PATH"] = str(programs)
    return serve(place, "")


def plain(place: Place, _before: str) -> Clip:
    began = time.monotonic()
    place.clone()
    return clip(place, *place.make("serve", "PORT=0", "VOICES=plain"), since=began)


def without_index(place: Place, _before: str) -> Clip:
    """The packages are installed, and then no index is reached. The time is that of the start."""
    place.clone()
    _run(*place.make("install"), environ=place.environ)
    npm = {"npm_config_registry": "http://127.0.0.1:9/"}
    return clip(place, *place.make("serve", "PORT=0"), more={**_NO_INDEX, **npm})


def again(place: Place, before: str) -> Clip:
    """The second start of `serve`."""
    serve(place, before)
    return clip(place, *place.make("serve", "PORT=0"))


def upgraded(place: Place, before: str) -> Clip:
    """A server that an older commit installed, and that served. The time is that of the first start since."""
    place.clone(before)
    _run(*place.make("install"), environ=place.environ)
    clip(place, *place.make("serve", "PORT=0"))
    place.check_out("HEAD")
    return clip(place, *place.make("serve", "PORT=0"))


def wheel(place: Place, _before: str) -> Clip:
    """pip installs the wheel, which is built before, into an empty environment."""
    built = _wheel(place)
    began, empty = time.monotonic(), place.folder / "empty"
    _run(_python(), "-m", "venv", str(empty))
    _run(str(empty / "bin" / "pip"), "install", "--quiet", built, environ=place.environ)
    return clip(place, str(empty / "bin" / "voxgate"), "serve", "--port", "0", since=began)


def uvx(place: Place, _before: str) -> Clip:
    program = str(Path(sys.executable).parent / "uvx")
    return clip(place, program, "--from", _wheel(place), "voxgate", "serve", "--port", "0")


def _wheel(place: Place) -> str:
    place.clone()
    built = place.folder / "wheel"
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(built))
    _run(sys.executable, "-m", "pip", "wheel", *options, str(place.source))
    shutil.rmtree(place.source)
    [made] = built.glob("*.whl")
    return str(made)


WAYS: Mapping[str, Callable[[Place, str], Clip]] = {
    "serve": serve,
    "natural": natural,
    "without-npm": without_npm,
    "without-index": without_index,
    "plain": plain,
    "again": again,
    "upgraded": upgraded,
    "wheel": wheel,
    "uvx": uvx,
}


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("ways", nargs="*", metavar="WAY", help=f"of: {', '.join(WAYS)}")
    asked.add_argument("--before", default="fb42e541", help="the older commit of `upgraded`")
    asked.add_argument("--load", type=int, default=0, help="how many busy processes `natural` has beside it")
    given = asked.parse_args()
    if unknown := set(given.ways) - WAYS.keys():
        asked.error(f"no way in: {', '.join(sorted(unknown))}; there are {', '.join(WAYS)}")
    for name in given.ways or WAYS:
        with tempfile.TemporaryDirectory(prefix="first-minute-") as folder:
            print(f"{name:14}{WAYS[name](Place(Path(folder), given.load), given.before)}", flush=True)


if __name__ == "__main__":
    main()
