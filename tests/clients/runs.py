"""The clients' programs as the tests run them: each started once, asked row by row, and answering in JSON."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from typing import Any

from tests import speech_clips
from tests.clients import environments
from tests.clients.environments import Absent
from tests.server import Server

_PROGRAMS = Path(__file__).parent / "programs"
_ROW_S = 90.0

_Command = Callable[[Path], list[str]]


def _python(environment: str, program: str) -> _Command:
    return lambda _folder: [str(environments.python(environment)), str(_PROGRAMS / program)]


def _node(environment: str, program: str) -> _Command:
    def command(folder: Path) -> list[str]:
        # Node looks for packages beside the program, not where it is started.
        shutil.copytree(_PROGRAMS, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.py", "__*"))
        (folder / "node_modules").symlink_to(environments.modules(environment))
        return [environments.node().node, str(folder / program)]

    return command


COMMANDS: dict[str, _Command] = {
    "py1": _python("py1", "python_sdk.py"),
    "py3": lambda _folder: [sys.executable, str(_PROGRAMS / "python_sdk.py")],
    "js6": _node("js6", "node_sdk.mjs"),
    "js7": _node("js7", "node_sdk.mjs"),
    "vercel": _node("vercel", "vercel_ai.mjs"),
    "livekit": _python("livekit", "livekit_tts.py"),
    "pipecat": _python("pipecat", "pipecat_tts.py"),
}
"""How each is started, in a folder of its own; what this machine cannot have raises `Absent`."""
AGENTS: dict[str, _Command] = {
    "livekit": _python("livekit", "livekit_elevenlabs.py"),
    "pipecat": _python("pipecat", "pipecat_elevenlabs.py"),
}
"""The same two with the sockets of ElevenLabs. Their rows have names."""


class Program:
    """One client that runs. Whatever it cannot do it says on stderr, and ends."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self._log = folder / "stderr.txt"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=_environ(), text=True
            )

    def begin(self, row: int | str, *server_and_key: str) -> None:
        """With another server and key, where the row is not for those that it was started with."""
        assert self._process.stdin
        self._process.stdin.write(f"{' '.join((str(row), *server_and_key))}\n")
        self._process.stdin.flush()

    def end(self) -> Any:
        """What it saw in the row begun last."""
        assert self._process.stdout
        deadline = Timer(_ROW_S, self._process.kill)
        deadline.start()
        try:
            line = self._process.stdout.readline()
        finally:
            deadline.cancel()
        assert line, f"the program ended:\n{self._log.read_text()[-4000:]}"
        return json.loads(line)

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def stop(self) -> None:
        # The end of its input ends it.
        try:
            self._process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()


class Programs:
    """All of one test run, by client."""

    def __init__(self, folder: Path, server: Server, commands: Mapping[str, _Command] = COMMANDS) -> None:
        self._commands = commands
        self._folder = folder
        self._address = [server.url, server.key]
        self._started: dict[str, Program] = {}
        self._absent: dict[str, Absent] = {}

    def of(self, client: str) -> Program:
        """Raises `Absent`; asked again, without another try."""
        if client in self._absent:
            raise self._absent[client]
        found = self._started.get(client)
        if found is None or found.has_ended:
            self._started[client] = found = self._start(client)
        return found

    def stop(self) -> None:
        for program in self._started.values():
            program.stop()

    def _start(self, client: str) -> Program:
        folder = self._folder / client
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            command = self._commands[client](folder)
        except Absent as absent:
            self._absent[client] = absent
            raise
        return Program([*command, *self._address], folder)


@contextmanager
def programs_of(
    folder: Path, server: Server, commands: Mapping[str, _Command] = COMMANDS
) -> Iterator[Programs]:
    programs = Programs(folder, server, commands)
    try:
        yield programs
    finally:
        programs.stop()


def _environ() -> dict[str, str]:
    """Without what a developer's own account would tell the clients, and with a recording to send."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "AI_"))}
    return {**own, "VOXGATE_TEST_SAMPLE": str(speech_clips.wav_file())}
