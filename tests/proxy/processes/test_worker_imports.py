"""The large libraries: a worker that passes on what engines encoded has none of them."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from speech_engine.host.child_pipe import pipe_of_one_thread
from tests.tables import each_row

pytestmark = pytest.mark.slow

_ROOT = Path(__file__).parents[3]
_BEGUN = [
    _ROOT / "speech_engine" / "host" / "__main__.py",
    *(file for file in (_ROOT / "proxy").rglob("*.py") if '__name__ == "__main__"' in file.read_text()),
]
_LARGE = '{"av", "numpy", "soxr", "redis", "asyncpg", "pycld2", "pythainlp", "rich", "typer"}'


def _run(program: str) -> None:
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr


def test_a_worker_that_passes_frames_on_loads_no_large_library() -> None:
    _run(f"""
import sys
import proxy.processes.supervisor
import proxy.processes.worker
from proxy.audio.formats import USUAL_FORMS
from proxy.audio.frames import open_frames
from proxy.audio.sound import Sound

open_frames(USUAL_FORMS["mp3"]).feed(bytes.fromhex("fff384c4") + bytes(188))
sound = Sound(24_000, USUAL_FORMS["wav"])
assert (sound.feed(bytes(480)) + sound.flush()).samples == 240
sound.close()
assert not {_LARGE} & sys.modules.keys(), {_LARGE} & sys.modules.keys()
""")


def test_a_worker_with_all_features_is_open_without_a_large_library(tmp_path: Path) -> None:
    _run(f"""
import asyncio, sys
from proxy.app import open_worker
from proxy.engines import registry
from proxy.feature_list import load_config

async def main():
    config = load_config(None, {{"VOXGATE_SERVER__DATA": {str(tmp_path)!r}}})
    async with open_worker(config, registry.load()):
        # What is sealed, signed and mailed needs the last two, when it is.
        found = {{"av", "numpy", "soxr", "cryptography", "aiosmtplib"}} & sys.modules.keys()
        assert not found, found

asyncio.run(main())
""")


def test_what_is_loaded_in_a_thread_serves_every_kind_of_sound() -> None:
    _run("""
import asyncio, sys
from proxy.audio import libraries
from proxy.audio.formats import USUAL_FORMS
from proxy.audio.sound import Sound

async def main():
    await asyncio.gather(*(libraries.ensure_loaded() for _ in range(5)))
    before = {"av", "numpy", "soxr"} & sys.modules.keys()
    assert len(before) == 3, before
    loaded = set(sys.modules)
    sound = Sound(16_000, USUAL_FORMS["mp3"], factor=1.5)
    sound.feed(bytes(3_200))
    sound.close()
    own = {name for name in set(sys.modules) - loaded if name.startswith("proxy.")}
    assert not own, own

asyncio.run(main())
""")


@each_row("file", _BEGUN, ids=lambda file: str(file.relative_to(_ROOT)))
def test_what_is_imported_without_the_collector_runs_with_it(file: Path) -> None:
    assert re.search(r"^    .*(gc\.enable|pipe_of_one_thread)\(\)", file.read_text(), re.MULTILINE)
    assert "gc.enable()" in inspect.getsource(pipe_of_one_thread)


def test_a_process_of_ours_is_read_without_the_collector() -> None:
    asked = "import gc, proxy; print(gc.isenabled())"
    for argv in ("-m", "voxgate"):
        program = f"import sys; sys.argv[0] = {argv!r}; {asked}"
        ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
        assert ran.stdout == f"{argv != '-m'}\n", ran.stderr
