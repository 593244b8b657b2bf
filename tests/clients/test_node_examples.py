"""The examples for Node in docs/clients.md and beside the provider, run as they are printed there."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.clients import environments
from tests.clients.environments import Absent
from tests.clients.servers import Servers
from tests.docs import pages
from tests.sound import decoded
from tests.suite.ci import is_ci

pytestmark = pytest.mark.slow

_PAGE = Path(__file__).parents[2] / "docs" / "clients.md"
_VERCEL = _PAGE.parents[1] / "examples" / "vercel"
_BLOCKS = [*pages.blocks(_PAGE, "js"), *pages.blocks(_VERCEL / "README.md", "js")]
_EXAMPLES = dict(zip(("js7", "vercel", "vercel, streamed"), _BLOCKS, strict=True))


@pytest.mark.parametrize("name", _EXAMPLES)
def test_a_printed_example_runs_as_it_stands(name: str, servers: Servers, tmp_path: Path) -> None:
    client = name.partition(",")[0]
    try:
        modules, node = environments.modules(client), environments.node().node
    except Absent as absent:
        if is_ci():
            raise
        pytest.skip(str(absent))
    server = servers.shut.server
    (tmp_path / "node_modules").symlink_to(modules)
    program = tmp_path / "example.mjs"
    shutil.copy(_VERCEL / "voxgate.mjs", tmp_path)
    program.write_text(_EXAMPLES[name].text.replace("http://127.0.0.1:8000", server.url))
    environ = {**os.environ, "KEY": server.key}
    done = subprocess.run(
        [node, str(program)], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    if "writeFile" in program.read_text():
        assert decoded((tmp_path / "morning.mp3").read_bytes(), "mp3").seconds > 0.3
