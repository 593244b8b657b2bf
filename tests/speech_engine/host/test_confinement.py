"""What a confined process can no longer do, and what it still can. Each case is a process of its own."""

import subprocess
import sys

import pytest

from speech_engine.host.confinement import has_call_filter
from tests.tables import each_row

_FORBIDDEN = {
    "a program": ("programs", "subprocess.run(['true'])"),
    "a fork that runs one": ("programs", "os.posix_spawn('/bin/true', ['true'], {})"),
    "a signal to others": ("programs", "os.kill(os.getppid(), 0)"),
    "a signal to others' threads": ("programs", "call(234 if x86 else 131, os.getppid(), os.getppid(), 0)"),
    "a signal to any thread": ("programs", "call(200 if x86 else 130, os.getppid(), 0)"),
    "a signal with a value": (
        "programs",
        "call(129 if x86 else 138, os.getppid(), 0, struct.pack('iii116x', 0, 0, -1))",
    ),
    "a signal by a file": ("programs", "fcntl.fcntl(0, fcntl.F_SETOWN, os.getppid())"),
    "a signal by a pipe": ("programs", "fcntl.ioctl(0, 0x8901, struct.pack('i', os.getppid()))"),
    "others' limits": ("programs", "resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE)"),
    "others' priority": ("programs", "os.setpriority(os.PRIO_PROCESS, os.getppid(), 19)"),
    "others' processors": ("programs", "os.sched_setaffinity(os.getppid(), os.sched_getaffinity(0))"),
    "a connection": ("network", "socket.create_connection(('127.0.0.1', 9))"),
    "a datagram": ("network", "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)"),
    "IPv6": ("network", "socket.socket(socket.AF_INET6)"),
    "a datagram on this machine": ("network", "socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)"),
    "a pair for datagrams": ("network", "socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)"),
    "another's socket": ("network", "socket.socket(socket.AF_UNIX).connect('/tmp/nobody')"),
    "a debugger": ("", "call(101 if x86 else 117, 0, 0, 0, 0)"),
    "a look into others": ("", "call(310 if x86 else 270, os.getppid(), 0, 0, 0, 0, 0)"),
    "io_uring": ("", "call(425, 1, 0)"),
    "a mount": ("", "call(165 if x86 else 40, 0, 0, 0, 0, 0)"),
}
_BEGIN = """
import ctypes, fcntl, os, platform, resource, signal, socket, struct, subprocess, threading
from speech_engine.host.confinement import confine
x86 = platform.machine() == "x86_64"
queued = struct.pack("iii116x", 0, 0, -1)
libc = ctypes.CDLL(None, use_errno=True)
def call(*numbers):
    if libc.syscall(*numbers) < 0:
        raise OSError(ctypes.get_errno(), "call")
def attempt(what):
    try:
        what()
    except OSError as error:
        return error.errno
    return 0
"""


def _run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", _BEGIN + code], capture_output=True, text=True, timeout=30.0, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


pytestmark = pytest.mark.skipif(not has_call_filter(), reason="the kernel has no seccomp")


@each_row("need", ["", "programs", "network"])
def test_a_confined_process_is_refused_what_no_engine_needs(need: str) -> None:
    attempts = {name: code for name, (other, code) in _FORBIDDEN.items() if other == need}
    code = "".join(f"print(attempt(lambda: {code}))\n" for code in attempts.values())
    refused = _run(f"confine()\n{code}").split()
    assert dict(zip(attempts, refused, strict=True)) == dict.fromkeys(attempts, "1"), "EPERM"
    if need:
        done = _run(f"confine(('{need}',))\n{code}").split()
        assert "1" not in done, dict(zip(attempts, done, strict=True))


def test_threads_that_ran_before_are_confined_too() -> None:
    code = """
go, seen = threading.Event(), []
thread = threading.Thread(target=lambda: (go.wait(), seen.append(attempt(lambda: socket.socket()))))
thread.start()
confine()
go.set()
thread.join()
print(seen)
"""
    assert _run(code) == "[1]"


def test_what_an_engine_needs_still_works() -> None:
    code = """
print(confine((), 2048))
a, b = socket.socketpair()
a.send(b"x")
thread = threading.Thread(target=lambda: open(os.devnull).close())
thread.start()
thread.join()
signal.signal(signal.SIGUSR1, lambda number, frame: None)
signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
resource.setrlimit(resource.RLIMIT_NOFILE, resource.getrlimit(resource.RLIMIT_NOFILE))
print(fcntl.fcntl(a, fcntl.F_GETFL) == os.O_RDWR, resource.prlimit(os.getpid(), resource.RLIMIT_CORE))
with open("/proc/self/status") as status:
    print([line.split()[1] for line in status if line.startswith(("NoNewPrivs", "Seccomp:"))])
"""
    assert _run(code).splitlines() == ["()", "True (0, 0)", "['1', '2']"]


def test_a_host_with_a_port_accepts_connections_and_can_make_none() -> None:
    code = """
server = socket.create_server(("127.0.0.1", 0))
clients = [socket.create_connection(server.getsockname()) for _ in range(2)]
accepted = server.accept()[0]
confine()
later = server.accept()[0]
later.send(b"x")
print(clients[1].recv(1))
nowhere = struct.pack("H14x", socket.AF_UNSPEC)
attempts = [
    lambda: accepted.connect(server.getsockname()),
    lambda: call(42 if x86 else 203, accepted.fileno(), nowhere, 16),
    lambda: socket.create_server(("127.0.0.1", 0)),
    lambda: socket.socket(socket.AF_INET),
    lambda: subprocess.run(["true"]),
]
print([attempt(each) for each in attempts])
"""
    assert _run(code).splitlines() == ["b'x'", "[1, 1, 1, 1, 1]"], "EPERM"


def test_memory_is_bounded_and_nothing_is_dumped() -> None:
    code = """
import resource
confine((), 2048)
try:
    bytearray(3 * 2**30)
except MemoryError:
    print("refused", resource.getrlimit(resource.RLIMIT_CORE), libc.prctl(3, 0, 0, 0, 0))
"""
    assert _run(code) == "refused (0, 0) 0"
