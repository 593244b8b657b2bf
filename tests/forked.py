"""Processes that are forked from one that has their imports: `voxgate …`, and programs of tests.

A new Python with the imports of a worker takes 0.8 s of CPU, a fork some milliseconds: a server takes 0.4 s
in place of 1.8 s. The code is that of the command, from its `main` on, and each worker is forked from its
supervisor. Hosts of engines and all other children start as ever. `make serve` and
`tests/proxy/processes/test_supervisor.py` start the command itself.
"""

from __future__ import annotations

import asyncio
import atexit
import ctypes
import gc
import importlib
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from contextvars import Context
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import msgspec

VOXGATE = Path(sys.executable).parent / "voxgate"
LIMIT_S = 60.0
_ROOT = Path(__file__).parent.parent
_MOST_ORDER_BYTES = 1 << 17
_WORKER = "proxy.processes.worker"
_OF_CHILDREN = ("__main__", "child", "_program", "signing_library")
"""How the names of modules end that no server imports."""
_KNOWN = ("VOXGATE_", "XDG_", "TMPDIR=", "COLUMNS=", "PYTEST_", "PYTHONPATH=", "PYTHONDONTWRITEBYTECODE=")
"""What may differ from the environment of the parent: it is read late, or is put right after the fork."""


class Ended(NamedTuple):
    """The exit status of a program, or the negative number of its signal, and all that it printed."""

    status: int
    printed: str


class _Order(msgspec.Struct):
    """A command, or with a `module` the program there."""

    words: list[str]
    environ: dict[str, str]
    cwd: str
    module: str = ""
    open_files: int | None = None


class Forked:
    """A process that is no child of ours, with the names of `subprocess.Popen`."""

    def __init__(self, stdout: int, status: int) -> None:
        self.stdout = os.fdopen(stdout, "rb", buffering=0)
        self.returncode: int | None = None
        self._status, self._told = os.fdopen(status, "rb", buffering=0), b""
        self.pid = int(self._line(LIMIT_S) or 0)

    def poll(self) -> int | None:
        if self.returncode is None and (line := self._line(0.0)) is not None:
            self.returncode = int(line or -signal.SIGKILL)
            self._status.close()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            select.select([self._status], [], [], timeout)
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

    def _line(self, within_s: float) -> bytes | None:
        """Return the next number that its parent writes, empty at its end; None if none comes in time."""
        if not select.select([self._status], [], [], within_s)[0]:
            return None
        line = b""
        while (byte := self._status.read(1)) not in (b"\n", b""):
            line += byte or b""
        return line


class _Parent:
    """The process that forks. It ends with this one."""

    def __init__(self) -> None:
        self._door, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.environ = {**os.environ}
        code = f"import sys; sys.path.append({str(_ROOT)!r}); import tests.forked as m; m._serve()"
        self._process = subprocess.Popen(
            # The last argument is room for the command line of what is forked.
            (sys.executable, "-P", "-c", code, str(theirs.fileno()), "-" * 1024),
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        theirs.close()
        self._turn = threading.Lock()
        atexit.register(self._end)

    def fork(self, order: _Order, stderr: int) -> Forked:
        stdout, their_stdout = os.pipe()
        status, their_status = os.pipe()
        try:
            with self._turn:
                socket.send_fds(
                    self._door, [msgspec.json.encode(order)], [their_stdout, stderr, their_status]
                )
        finally:
            os.close(their_stdout)
            os.close(their_status)
        return Forked(stdout, status)

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def _end(self) -> None:
        self._door.close()
        self._process.wait()


_parents: list[_Parent] = []


def start(
    words: Sequence[str],
    environ: Mapping[str, str],
    cwd: Path | None,
    stderr: int,
    open_files: int | None = None,
) -> Forked | subprocess.Popen[bytes]:
    """Start one. What is not `voxgate`, or needs an environment from its start on, is executed."""
    if words[0] == str(VOXGATE) and _is_alike(environ):
        order = _Order([*words], dict(environ), str(cwd or Path.cwd()), open_files=open_files)
        return _parent().fork(order, stderr)
    assert open_files is None
    return subprocess.Popen(words, env=environ, cwd=cwd, stdout=subprocess.PIPE, stderr=stderr)


def command(
    *words: str,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    open_files: int | None = None,
    within_s: float = LIMIT_S,
) -> subprocess.CompletedProcess[str]:
    """Run one to its end. It may have so many files open."""
    env = {**os.environ, **(environ or {})}
    with tempfile.TemporaryFile() as errors:
        process = start((str(VOXGATE), *words), env, cwd, errors.fileno(), open_files)
        said, status = _outcome(process, within_s)
        errors.seek(0)
        return subprocess.CompletedProcess(words, status, said, errors.read().decode())


def program(module: str, *arguments: str) -> Forked:
    """Start the coroutine function `main` of a module with these arguments. It leaves nothing behind."""
    order = _Order([*arguments], dict(os.environ), str(Path.cwd()), module)
    return _parent().fork(order, sys.__stderr__.fileno() if sys.__stderr__ else 2)


async def run(module: str, *arguments: str) -> Ended:
    """Run a program to its end."""
    return await asyncio.to_thread(_run_program, module, arguments)


def _run_program(module: str, arguments: tuple[str, ...]) -> Ended:
    said, status = _outcome(program(module, *arguments), LIMIT_S)
    return Ended(status, said)


def _outcome(process: Forked | subprocess.Popen[bytes], within_s: float) -> tuple[str, int]:
    """Return what it prints until its end, and its status."""
    assert process.stdout is not None
    limit = threading.Timer(within_s, process.kill)
    limit.start()
    try:
        with process.stdout:
            said = process.stdout.read()
        return said.decode(), process.wait(within_s)
    finally:
        limit.cancel()


def _parent() -> _Parent:
    if not _parents or not _parents[-1].is_alive():
        _parents.append(_Parent())
    return _parents[-1]


def _is_alike(environ: Mapping[str, str]) -> bool:
    if not hasattr(subprocess, "_fork_exec") or not sys.platform.startswith("linux"):
        return False
    known = _parent().environ
    changed = (name for name in {*known, *environ} if known.get(name) != environ.get(name))
    if not all(f"{name}=".startswith(_KNOWN) for name in changed):
        return False
    # Another checkout has code of its own.
    others = [Path(each) for each in _python_path(environ) if Path(each) != _ROOT]
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
        while _ended():
            pass
        if not data:
            return
        order = msgspec.json.decode(data, type=_Order)
        if order.module:
            importlib.import_module(order.module)
        if not os.fork():
            door.close()
            _watch(order, title, *fds)
        for fd in fds:
            os.close(fd)


def _ended() -> bool:
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


def _watch(order: _Order, title: _Title, stdout: int, stderr: int, status: int) -> NoReturn:
    """Fork it, and tell its pid, and at its end its status."""
    if not (pid := os.fork()):
        # A program is judged by all that it says.
        _place({1: stdout, 2: stdout if order.module else stderr}, keep=())
        _run(lambda: _begin(order) if order.module else _obey(order, title))
    os.close(stdout)
    os.close(stderr)
    os.write(status, b"%d\n" % pid)
    _, ended = os.waitpid(pid, 0)
    os.write(status, b"%d\n" % os.waitstatus_to_exitcode(ended))
    os._exit(0)


def _begin(order: _Order) -> None:
    _use_environ(order.environ)
    asyncio.run(importlib.import_module(order.module).main(*order.words))


def _obey(order: _Order, title: _Title) -> None:
    from proxy.__main__ import main

    os.chdir(order.cwd)
    _use_environ(order.environ)
    if order.open_files is not None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (order.open_files, order.open_files))
    sys.path.remove(str(_ROOT))
    sys.path[:0] = [str(VOXGATE.parent), *_python_path(order.environ)]
    sys.argv = order.words
    title.show([sys.executable, *sys.argv])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    children: Any = subprocess
    children._fork_exec = _Forks(children._fork_exec, title)
    main()


class _Forks:
    """Stands for what starts a child: a worker is forked, and all else is executed."""

    def __init__(self, execute: Callable[..., int], title: _Title) -> None:
        self._execute = execute
        self._title = title

    def __call__(self, arguments: list[bytes], *more: Any) -> int:
        words = [os.fsdecode(word) for word in arguments]
        if words[1:4] != ["-P", "-m", _WORKER]:
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
            _run(lambda: _work(words[4:], environ))
        return pid


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
