"""The pipe between supervisor and child: whole messages, and an end that is heeded."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from speech_engine.host import pipe, pipe_messages
from speech_engine.host.pipe import ParentPipe
from tests.tables import each_row

MESSAGES: list[pipe_messages.Message] = [
    pipe_messages.BeginHost("tone", "plugins.tone.worker", b'{"api_key":"hunter2"}', "/run/tone.sock", 64),
    pipe_messages.Revision(3, b"hunter2" * 100_000),
    pipe_messages.Ready(),
    pipe_messages.Ready("hunter2"),
    pipe_messages.Broken("RuntimeError: torn", lasting=True),
    pipe_messages.HostState("tone", 1, 7, "restarting", "the process ended with status 70", "/run/tone.sock"),
    pipe_messages.WorkerGivenUp(1, "the process ended with status 1"),
    pipe_messages.MetricsQuestion(7),
    pipe_messages.MetricsReport(7, "voxgate_requests_total 1.0\n"),
    pipe_messages.PlansQuestion(8, ("free", "pro")),
    pipe_messages.PlansInUse(8, ("pro",)),
    pipe_messages.Drain(30.0),
]

CHILD = """
import sys
from speech_engine.host.pipe import ParentPipe, remove_socket
from speech_engine.host.pipe_messages import (Ready,)
pipe = ParentPipe(int(sys.argv[1]))
pipe.watch(pipe.send, lambda: remove_socket(sys.argv[2]))
pipe.send(Ready())
while True:  # as busy as a bad engine: only the thread can notice
    pass
"""


Ends = tuple[socket.socket, ParentPipe]


@pytest.fixture
def ends() -> Iterator[Ends]:
    """The supervisor's end and the child's, both in this process."""
    ours, theirs = socket.socketpair()
    child = ParentPipe(theirs.detach())
    with ours, child._socket:
        yield ours, child


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_arrives_as_it_was_sent(ends: Ends, message: pipe_messages.Message) -> None:
    ours, theirs = ends
    sending = threading.Thread(target=ours.sendall, args=(pipe.pack(message),))
    sending.start()  # a revision is larger than what a socket holds
    assert theirs.receive() == message
    sending.join()


def test_messages_in_pieces_arrive_whole_and_in_order(ends: Ends) -> None:
    ours, theirs = ends
    sent: list[pipe_messages.Message] = [
        pipe_messages.Drain(1.5),
        pipe_messages.MetricsQuestion(1),
        pipe_messages.Broken("torn"),
    ]
    for byte in b"".join(map(pipe.pack, sent)):
        ours.send(bytes([byte]))
    assert [theirs.receive() for _ in sent] == sent


@each_row("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_no_repr_shows_a_secret(message: pipe_messages.Message) -> None:
    assert "hunter2" not in repr(message)


@pytest.mark.parametrize("sent", [b"", b"\x05", b"\x05\x00\x00\x00", b"\x05\x00\x00\x00ab"])
def test_a_pipe_that_ends_anywhere_is_at_its_end(ends: Ends, sent: bytes) -> None:
    ours, theirs = ends
    ours.send(sent)
    ours.close()
    assert theirs.receive() is None


def test_sending_to_a_supervisor_that_is_gone_does_not_raise(ends: Ends) -> None:
    ours, theirs = ends
    ours.close()
    theirs.send(pipe_messages.Ready())
    assert theirs.receive() is None


def test_a_child_removes_its_socket_and_exits_when_its_pipe_ends(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    address = folder / "own.sock"
    address.touch()
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-c", CHILD, str(theirs.fileno()), str(address)]
    with ours, subprocess.Popen(command, pass_fds=(theirs.fileno(),)) as child:
        theirs.close()
        ours.sendall(pipe.pack(pipe_messages.Drain(1.0)))
        expected = pipe.pack(pipe_messages.Ready()) + pipe.pack(pipe_messages.Drain(1.0))
        heard = b""
        while len(heard) < len(expected):
            heard += ours.recv(4096)
        assert sorted(heard) == sorted(expected)
        assert address.exists()
        ours.close()
        assert child.wait(5.0) == 0
    assert not folder.exists()


def test_a_folder_in_which_others_live_stays(tmp_path: Path) -> None:
    own, other = tmp_path / "own.sock", tmp_path / "other.sock"
    own.touch()
    other.touch()
    pipe.remove_socket(str(own))
    assert [path.name for path in tmp_path.iterdir()] == ["other.sock"]
    pipe.remove_socket(str(own))
    assert other.exists()
