"""The comparer's process, asked as a worker asks it, but one question at a time and without an event loop."""

from __future__ import annotations

import os
import socket
import subprocess
from functools import cache

import msgspec

from plugins.resemblyzer.plugin import HOSTED, ResemblyzerSettings
from proxy.config.secret import environ_for_hosts
from speech_engine import SpeakerScale
from speech_engine.host.pipe import ParentPipe
from speech_engine.host.pipe_messages import BeginPlugin, ComparerReady, ComparisonQuestion, ComparisonScore
from tests.plugins.resemblyzer.environment import NAME, interpreter


class ComparerProcess:
    """A `Comparer` whose network runs in the environment. The process ends with the test's own."""

    def __init__(self) -> None:
        python = interpreter()  # first: it may skip the test
        ours, theirs = socket.socketpair()
        command = [python, "-P", "-m", "speech_engine.host.comparing", str(theirs.fileno())]
        self._process = subprocess.Popen(
            command, pass_fds=(theirs.fileno(),), env=environ_for_hosts(os.environ, ())
        )
        theirs.close()
        self._pipe = ParentPipe(ours.detach())
        self._pipe.send(BeginPlugin(NAME, HOSTED.module, msgspec.json.encode(ResemblyzerSettings())))
        ready = self._pipe.receive()
        assert isinstance(ready, ComparerReady), ready
        self.scale = SpeakerScale(ready.same, ready.other)

    def compare(self, one: bytes, other: bytes) -> float:
        self._pipe.send(ComparisonQuestion(one, other))
        answer = self._pipe.receive()
        assert isinstance(answer, ComparisonScore), answer
        assert not answer.failure, answer.failure
        return answer.score

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._pipe._socket.close()


@cache
def running() -> ComparerProcess:
    return ComparerProcess()
