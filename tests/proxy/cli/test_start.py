"""What a command imports before it does anything: no engine, no server, no driver."""

import os
import subprocess
import sys

import pytest

from tests.server import Server
from tests.tables import each_row

_HEAVY = {
    *("aiohttp", "aiosqlite", "asyncpg", "av", "grpc", "numpy", "prometheus_client", "pycld2", "redis"),
    *("sentencex", "soxr", "starlette", "uvicorn", "uvloop"),
}
_ONLY_IN_COMMANDS = {"asyncio", "httpx2", "pluggy", "rich", "structlog"}
_PROGRAM = """
import sys
sys.argv[0] = "voxgate"
from proxy.__main__ import main
try:
    main()
finally:
    print(*{name.partition(".")[0] for name in sys.modules}, file=sys.stderr)
"""


def _imported(*arguments: str, **environ: str) -> set[str]:
    ran = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *arguments],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ran.stdout
    return set(ran.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("arguments", [("--help",), ("--version",)])
def test_the_first_page_of_help_imports_nothing_that_works(arguments: tuple[str, ...]) -> None:
    assert not _imported(*arguments) & (_HEAVY | _ONLY_IN_COMMANDS)


@each_row("arguments", [("keys", "list", "--help"), ("env", "--help"), ("serve", "--help")])
def test_help_on_a_command_imports_no_server(arguments: tuple[str, ...]) -> None:
    assert not _imported(*arguments) & (_HEAVY | {"httpx2", "pluggy"})


def test_completion_imports_nothing_that_works() -> None:
    line = {"COMP_WORDS": "voxgate keys l", "COMP_CWORD": "2", "_VOXGATE_COMPLETE": "complete_bash"}
    assert not _imported(**line) & (_HEAVY | _ONLY_IN_COMMANDS)


def test_a_command_beside_a_server_imports_a_client_alone(plain_server: Server) -> None:
    imported = _imported("keys", "list", VOXGATE_CONFIG=str(plain_server.config))
    assert "httpx2" in imported
    assert not imported & _HEAVY
