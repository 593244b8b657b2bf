"""A host's log has the form of the server's, on a terminal and elsewhere."""

import json
import os
import pty
import re
import subprocess
import sys

_LINES = (
    'info("host.start.complete", slots=1, reason="two words", none=None)',
    'warning("engine.speak.a.name.that.is.longer", b="a=b", c="it\'s", d="", ratio=0.5)',
    'info("host.say", quoted=\'say "hi"\', where=("a", 1))',
)
_PROGRAM = """
import sys
from proxy.telemetry import logs
from speech_engine.host.log import HostLogger
import structlog
logs.configure_logs("host")
log = HostLogger("x") if sys.argv[1] == "host" else structlog.get_logger().bind(engine="x")
"""
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def written(whose: str, where: str) -> str:
    """Return what a process writes to its stderr: a terminal, or a pipe."""
    program = _PROGRAM + "".join(f"log.{line}\n" for line in _LINES)
    command = [sys.executable, "-c", program, whose]
    if where == "pipe":
        return subprocess.run(command, capture_output=True, text=True, check=True).stderr
    ours, theirs = pty.openpty()
    with open(ours, "rb", buffering=0) as terminal:
        subprocess.run(command, stderr=theirs, check=True)
        os.close(theirs)
        shown = b""
        try:
            while part := terminal.read(65536):
                shown += part
        except OSError:
            pass  # the end of a terminal that nobody holds any more
    return shown.decode()


def test_on_a_terminal_its_warnings_look_like_the_servers_and_all_else_is_left_out() -> None:
    host, server = written("host", "terminal"), written("server", "terminal")
    assert _TIME.sub("", host) == _TIME.sub("", server)
    assert len(_TIME.findall(host)) == 1


def test_elsewhere_its_lines_are_json_of_the_same_form() -> None:
    host, server = (
        [json.loads(line) for line in written(whose, "pipe").splitlines()] for whose in ("host", "server")
    )
    for ours, theirs in zip(host, server, strict=True):
        assert _TIME.fullmatch(ours.pop("timestamp"))
        assert _TIME.fullmatch(theirs.pop("timestamp"))
        assert ours == theirs
