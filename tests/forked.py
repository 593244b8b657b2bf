"""`voxgate …` and programs of tests without the start of a Python: forked from a process with their imports.

A new Python takes 0.8 s of CPU to import what a worker needs, a fork some milliseconds: a server takes 0.4 s
in place of 1.8 s. Three things are forked:

- `voxgate …`, from its `main` on: `start`, `command`. It is executed as ever if its environment differs in
  something that is read by an import, or has another checkout.
- The workers of a server that was forked, unless its supervisor has used gRPC. The points of `kill_points`
  are armed after the fork.
- Programs, each the coroutine function `main` of a module: `program`, `run`.

All else that these start is executed, as are hosts of engines. What an operator types is executed in
`make serve` (`tests/clients/servers.py`) and in `tests/proxy/processes/test_supervisor.py`.

pytest itself has threads, which no fork survives: so it starts one other process, the parent. For each order
this forks a watcher, and the watcher the process. As that is no child of ours, the watcher tells its pid, and
at its end its status, through a pipe.
"""

import asyncio
import atexit
import ctypes
import gc
import importlib
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from contextvars import Context
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import msgspec

VOXGATE = Path(sys.executable).parent / "voxgate"
LIMIT_S = 60.0
_ROOT = Path(__file__).parent.parent
_MOST_ORDER_BYTES = 1 << 17
_WORKER = "proxy.processes.worker"
_OF_CHILDREN = ("__main__", "child", "_program", "signing_library")
"""How the names of modules end that no server imports."""
_KNOWN = (
    *("VOXGATE_", "XDG_", "TMPDIR=", "COLUMNS=", "PYTEST_", "KILL_"),
    *("PYTHONPATH=", "PYTHONDONTWRITEBYTECODE="),
)
"""What may differ from the environment of the parent: it is read late, or is put right after the fork."""
_KILL_POINTS = _ROOT / "tests" / "faults" / "kill_points"
"""Its `sitecustomize.py` changes methods of a worker, which may be imported before."""


class _Order(msgspec.Struct):
    """A command, or with a `module` the program there."""

    words: Sequence[str]
    environ: Mapping[str, str]
    cwd: str
    module: str = ""


class Forked:
    """A process that is no child of ours, with the names of `subprocess.Popen`."""

    def __init__(self, stdout: int, status: int) -> None:
        self.stdout = os.fdopen(stdout, "rb", buffering=0)
        self.returncode: int | None = None
        self._watcher = os.fdopen(status, "rb", buffering=0)
        try:
            pid = self._told(LIMIT_S)
            assert pid, "nothing was forked in time"
            self.pid = pid
        except BaseException:
            self.stdout.close()
            self._watcher.close()
            raise

    def poll(self) -> int | None:
        if self.returncode is None and (status := self._told(0.0)) is not None:
            self.returncode = status
            self._watcher.close()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            select.select([self._watcher], [], [], timeout)
        status = self.poll()
        if status is None:
            raise subprocess.TimeoutExpired("voxgate", timeout or 0.0)
        return status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            # It may have ended a moment ago.
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def end(self) -> int:
        """Kill it, if it runs, and return its status."""
        self.kill()
        self.stdout.close()
        return self.wait(LIMIT_S)

    def _told(self, within_s: float) -> int | None:
        """Return the next number of its watcher, or None if none comes in time."""
        if not select.select([self._watcher], [], [], within_s)[0]:
            return None
        line = self._watcher.readline()
        if not line:
            raise RuntimeError("the watcher of a process has ended, and told no status")
        return int(line)


@cache
def environ_of_run() -> Mapping[str, str]:
    """Return the environment as it is at the first call: before a test changes it."""
    return {**os.environ}


class _Parent:
    """The process that forks. It ends with this one."""

    newest: "_Parent | None" = None
    _starting = threading.Lock()

    def __init__(self) -> None:
        self._door, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        code = f"import sys; sys.path.append({str(_ROOT)!r}); import tests.forked as m; m._serve()"
        self._process = subprocess.Popen(
            # The last argument is room for the command line of what is forked.
            (sys.executable, "-P", "-c", code, str(theirs.fileno()), "-" * 1024),
            # The points at which programs are killed may depend on it.
            env={"PYTHONHASHSEED": "0", **environ_of_run()},
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        theirs.close()
        atexit.register(self._end)

    @classmethod
    def running(cls) -> "_Parent":
        with cls._starting:
            if cls.newest is None or cls.newest._process.poll() is not None:
                cls.newest = cls()
            return cls.newest

    def fork(self, order: _Order, stderr: int | None = None) -> Forked:
        """Fork one, whose errors go with what it prints, or there."""
        stdout, their_stdout = os.pipe()
        status, their_status = os.pipe()
        theirs = [their_stdout, their_stdout if stderr is None else stderr, their_status]
        try:
            socket.send_fds(self._door, [msgspec.json.encode(order)], theirs)
        finally:
            os.close(their_stdout)
            os.close(their_status)
        return Forked(stdout, status)

    def _end(self) -> None:
        self._door.close()
        self._process.wait()


def start(
    words: Sequence[str], environ: Mapping[str, str], cwd: Path | None, stderr: int
) -> Forked | subprocess.Popen[bytes]:
    """Start one. What is not `voxgate`, or needs an environment from its start on, is executed."""
    if words[0] == str(VOXGATE) and _is_alike(environ):
        return _Parent.running().fork(_Order(words, {**environ}, str(cwd or Path.cwd())), stderr)
    return subprocess.Popen(words, env=environ, cwd=cwd, stdout=subprocess.PIPE, stderr=stderr)


def command(
    *words: str, environ: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run one to its end."""
    with tempfile.TemporaryFile() as errors:
        process = start((str(VOXGATE), *words), {**os.environ, **(environ or {})}, cwd, errors.fileno())
        ended = _ended(process, words)
        errors.seek(0)
        ended.stderr = errors.read().decode()
        return ended


def program(module: str, *arguments: str) -> Forked:
    """Start the `main` of a module with these arguments. Its errors are in its stdout."""
    return _Parent.running().fork(_Order(arguments, {**os.environ}, str(Path.cwd()), module))


async def run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    return await asyncio.to_thread(lambda: _ended(program(module, *arguments), (module, *arguments)))


def _ended(
    process: Forked | subprocess.Popen[bytes], words: Sequence[str]
) -> subprocess.CompletedProcess[str]:
    """Return what it printed until its end, and its status. Raise TimeoutExpired if it had to be killed."""
    assert process.stdout is not None
    said, until = b"", time.monotonic() + LIMIT_S
    with process.stdout:
        while select.select([process.stdout], [], [], max(0.0, until - time.monotonic()))[0]:
            said += (part := os.read(process.stdout.fileno(), 1 << 16))
            if not part:
                return subprocess.CompletedProcess(words, process.wait(LIMIT_S), said.decode())
    process.kill()
    process.wait(LIMIT_S)
    raise subprocess.TimeoutExpired(words, LIMIT_S, said)


def _is_alike(environ: Mapping[str, str]) -> bool:
    if not hasattr(subprocess, "_fork_exec") or not sys.platform.startswith("linux"):
        return False
    known = environ_of_run()
    changed = (name for name in {*known, *environ} if known.get(name) != environ.get(name))
    if not all(f"{name}=".startswith(_KNOWN) for name in changed):
        return False
    # Another checkout has code of its own.
    others = [Path(each) for each in _python_path(environ) if Path(each) not in (_ROOT, _KILL_POINTS)]
    return not any((each / name).exists() for each in others for name in ("sitecustomize.py", "proxy"))


def _python_path(environ: Mapping[str, str]) -> list[str]:
    return [each for each in environ.get("PYTHONPATH", "").split(os.pathsep) if each]


# All that follows runs in the parent, and in what it forks.


def _serve() -> None:
    door = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _import_all()
    title = _Title()
    gc.collect()
    gc.freeze()
    while True:
        data, fds, _, _ = socket.recv_fds(door, _MOST_ORDER_BYTES, 3)
        # The time of those that have ended counts as ours.
        while _reaps_one():
            pass
        if not data:
            return
        if not os.fork():
            door.close()
            _watch(msgspec.json.decode(data, type=_Order), title, *fds)
        for fd in fds:
            os.close(fd)


def _reaps_one() -> bool:
    try:
        return os.waitpid(-1, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return False


def _import_all() -> None:
    """Import what a server imports at some time. Nothing is called that keeps what it found."""
    for root, pattern in (("proxy", "**/*.py"), ("plugins", "*/plugin.py"), ("plugins/latin", "**/*.py")):
        for file in sorted((_ROOT / root).glob(pattern)):
            name = ".".join(file.relative_to(_ROOT).with_suffix("").parts).removesuffix(".__init__")
            if not name.endswith(_OF_CHILDREN):
                importlib.import_module(name)


def _watch(order: _Order, title: "_Title", stdout: int, stderr: int, status: int) -> NoReturn:
    """Fork it, and tell its pid, and at its end its status."""
    if not (pid := os.fork()):
        _place({1: stdout, 2: stderr}, keep=())
        _run(lambda: _begin(order, title))
    os.close(stdout)
    os.close(stderr)
    os.write(status, b"%d\n" % pid)
    _, ended = os.waitpid(pid, 0)
    os.write(status, b"%d\n" % os.waitstatus_to_exitcode(ended))
    os._exit(0)


def _begin(order: _Order, title: "_Title") -> None:
    os.chdir(order.cwd)
    _use_environ(order.environ)
    if order.module:
        asyncio.run(importlib.import_module(order.module).main(*order.words))
        return
    from proxy.__main__ import main

    sys.path.remove(str(_ROOT))
    sys.path[:0] = [str(VOXGATE.parent), *_python_path(order.environ)]
    sys.argv = [*order.words]
    title.show([sys.executable, *sys.argv])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    children: Any = subprocess
    children._fork_exec = _Forks(children._fork_exec, title)
    main()


class _Forks:
    """Stands for what starts a child: a worker is forked, and all else is executed."""

    def __init__(self, execute: Callable[..., int], title: "_Title") -> None:
        self._execute = execute
        self._title = title

    def __call__(self, arguments: list[bytes], *more: Any) -> int:
        words = [os.fsdecode(word) for word in arguments]
        if words[1:4] != ["-P", "-m", _WORKER] or _has_used_grpc():
            return self._execute(arguments, *more)
        _, _, keep, _, environ, stdin, _, stdout, _, _, stderr, _, told, *_ = more
        gc.collect()
        if not (pid := os.fork()):
            # Nothing that the supervisor has open is closed a second time, as its number may be another's.
            gc.freeze()
            os.setsid()
            self._title.show(words)
            _place({0: stdin, 1: stdout, 2: stderr}, keep={*keep} - {told})
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            # What the supervisor does at its end is not the worker's.
            atexit._clear()
            _run(lambda: _work(words[4:], environ))
        return pid


def _has_used_grpc() -> bool:
    """Tell whether gRPC has a thread here, as in a gateway that watches hosts. A child would wait for it for
    ever at its first call."""
    return any(name.read_text().startswith("grpc_") for name in Path("/proc/self/task").glob("*/comm"))


def _work(arguments: list[str], environ: list[bytes] | None) -> None:
    if environ is not None:
        pairs = (os.fsdecode(each).partition("=") for each in environ)
        _use_environ({name: value for name, _, value in pairs})
    worker = importlib.import_module(_WORKER)
    sys.path.pop(0)
    sys.argv = [str(worker.__file__), *arguments]
    signal.set_wakeup_fd(-1)
    asyncio._set_running_loop(None)
    asyncio.set_event_loop_policy(None)
    if str(_KILL_POINTS) in _python_path(os.environ):
        importlib.import_module("tests.faults.kill_points.sitecustomize").arm()
    # A logger keeps the processors that it has met first.
    for module in (*sys.modules.values(),):
        getattr(getattr(module, "_log", None), "__dict__", {}).pop("bind", None)
    worker.main()


def _use_environ(environ: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environ)
    tempfile.tempdir = None


def _place(streams: Mapping[int, int], keep: Iterable[int]) -> None:
    """Make these the standard streams; -1 is the one that there is. Nothing else stays open but `keep`."""
    if 0 not in streams:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, fd in streams.items():
        if fd >= 0:
            os.dup2(fd, number)
    first = 3
    for fd in sorted(keep):
        os.closerange(first, fd)
        os.set_inheritable(fd, False)
        first = fd + 1
    os.closerange(first, 1 << 20)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", closefd=False, errors="backslashreplace")


def _run(main: Callable[[], None]) -> NoReturn:
    """Run it up to the exit of the process, as an interpreter does."""
    status = 1
    try:
        Context().run(main)
        status = 0
    except SystemExit as ended:
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
        else:
            status = ended.code or 0
    except BaseException:  # noqa: BLE001 - as the interpreter does
        traceback.print_exc()
    finally:
        ends: Any = (threading, atexit)
        ends[0]._shutdown()
        ends[1]._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


class _Title:
    """The command line of this process as others see it, in the memory that the kernel shows."""

    def __init__(self) -> None:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        self._start, self._end = int(fields[45]), int(fields[46])

    def show(self, words: list[str]) -> None:
        line = b"\0".join(map(os.fsencode, words))[: self._end - self._start - 1]
        ctypes.memset(self._start, 0, self._end - self._start)
        ctypes.memmove(self._start, line, len(line))
