"""What the processes of a running server are: closed to debuggers, and hosts without a way out."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from speech_engine.host.confinement import has_call_filter
from tests.faults.processes import children, runtime_folder
from tests.server import Server, live_server
from tests.waiting import until

_NOBODY = 65534
_ASK = """
import os, socket, sys
os.setuid(int(sys.argv[2]))
control = socket.socket(socket.AF_UNIX)
control.connect(sys.argv[1])
try:
    control.sendall(b"GET /admin/accounts HTTP/1.1\\r\\nhost: control\\r\\n\\r\\n")
    print(control.recv(100)[:15])
except OSError as error:
    print(type(error).__name__)
"""

server = live_server("")


def _hosts(server: Server) -> list[psutil.Process]:
    return [child for child in children(server) if "speech_engine.host" in child.cmdline()]


def test_the_embedded_voice_has_several_processes_by_default(server: Server) -> None:
    assert len(_hosts(server)) == max(2, (os.cpu_count() or 1) - 1)


@pytest.mark.skipif(not has_call_filter(), reason="the kernel has no seccomp")
def test_every_thread_of_a_host_is_filtered(server: Server) -> None:
    hosts = _hosts(server)
    # A host is confined once it has loaded. The server serves before that. The worker is ready, too.
    until(lambda: server.log.read_text().count("child.state.ready") > len(hosts))
    for host in hosts:
        for thread in Path(f"/proc/{host.pid}/task").iterdir():
            status = (thread / "status").read_text()
            assert "NoNewPrivs:\t1" in status
            assert "Seccomp:\t2" in status
    assert server.speech("Still speaks.", voice="alloy").status_code == 200


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv of util-linux")
def test_no_process_of_the_server_shows_its_environment_to_its_own_user(server: Server) -> None:
    drop = ("setpriv", "--bounding-set=-all", "--inh-caps=-all") if os.geteuid() == 0 else ()
    own = subprocess.run([*drop, "cat", "/proc/self/environ"], capture_output=True, check=False)
    assert own.returncode == 0
    for process in (psutil.Process(server.process.pid), *children(server)):
        looked = subprocess.run(
            [*drop, "cat", f"/proc/{process.pid}/environ"], capture_output=True, check=False
        )
        assert (looked.returncode, looked.stdout) == (1, b""), process.cmdline()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_another_user_gets_no_answer_from_the_control_socket_even_if_it_is_open_to_all(
    server: Server,
) -> None:
    folder = runtime_folder(server)
    path = folder / "control.sock"
    folder.chmod(0o755)
    path.chmod(0o666)
    try:
        said = [
            subprocess.run(
                [sys.executable, "-I", "-c", _ASK, path, str(user)],
                capture_output=True,
                text=True,
                check=True,
            ).stdout.strip()
            for user in (0, _NOBODY)
        ]
    finally:
        path.chmod(0o600)
        folder.chmod(0o700)
    assert said[0] == "b'HTTP/1.1 200 OK'"
    assert said[1] in ("b''", "ConnectionResetError", "BrokenPipeError")
    with socket.socket(socket.AF_UNIX) as control:
        control.connect(str(path))
