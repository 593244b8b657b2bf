"""A training at the far end: what its process is fed, what goes out, and what is left when it ends."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
import psutil
import pytest

from plugins.tone.voice_format import read_voice
from speech_engine.errors import EngineCannot, EngineFailed, EngineUnavailable
from speech_engine.host import remote_training
from speech_engine.host.pipe import pack
from speech_engine.host.remote_training import HttpLine, _FileOut, train
from speech_engine.training import (
    BLOB_BYTES,
    BeginTraining,
    FarPiece,
    Recording,
    RemoteMessage,
    Train,
    TrainingDone,
    TrainingFailed,
    TrainingOrder,
    TrainingProgress,
    TrainingStopped,
    file_pieces,
    recording_pieces,
)
from tests.sound import tone

pytestmark = pytest.mark.slow

RECORDING = Recording(24_000, tone(140.0, 1.0))


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_training, "PAUSE_S", 0.01)


def begin(**settings: object) -> BeginTraining:
    return BeginTraining(name="tone", module="plugins.tone.trainer", settings=msgspec.json.encode(settings))


class Line(HttpLine):
    """A line that has what a server would send, in blocks that end anywhere, and keeps what it is told."""

    def __init__(self, steps: int = 20, checkpoint: bytes = b"", lost: int = 0) -> None:
        messages: list[Any] = [*recording_pieces(RECORDING)]
        if checkpoint:
            messages += file_pieces("checkpoint", [checkpoint])
        messages.append(Train(TrainingOrder(seed=1, most_steps=steps, checkpoint_every=10)))
        self.sent = b"".join(pack(message) for message in messages)
        self.told: list[RemoteMessage] = []
        self.lost = lost
        """How often nobody answers."""
        self.on_told: Callable[[RemoteMessage], None] = lambda _: None

    def inputs(self) -> Iterator[bytes]:
        self._answer()
        for at in range(0, len(self.sent), 997):
            yield self.sent[at : at + 997]

    def send_message(self, told: RemoteMessage) -> None:
        self._answer()
        self.told.append(told)
        self.on_told(told)

    def file(self, role: str) -> bytes:
        """Return the last file of a role."""
        found = b""
        for told in self.told:
            if isinstance(told, FarPiece) and told.role == role:
                found = (b"" if told.number == 0 else found) + told.data
        return found

    def _answer(self) -> None:
        if self.lost:
            self.lost -= 1
            raise EngineUnavailable("It is away.")


def no_process_is_left() -> bool:
    return not [each for each in psutil.Process().children() if "host.training" in " ".join(each.cmdline())]


async def test_all_that_is_learnt_is_told_before_the_end() -> None:
    line = Line()
    end = await train(begin(), line, 60.0)
    assert isinstance(end, TrainingDone)
    assert end.steps == 20
    assert read_voice(line.file("voice")).step == 20
    assert line.file("onnx").startswith(b"tone as onnx")
    assert line.file("checkpoint")
    assert no_process_is_left()


async def test_a_stopped_one_goes_on_elsewhere_with_the_same_curve() -> None:
    first = Line(steps=60)
    end = await train(begin(delay_s=0.03), first, 1.5)
    assert isinstance(end, TrainingStopped)
    assert 0 < end.steps < 60
    second = Line(steps=60, checkpoint=first.file("checkpoint"))
    rest = await train(begin(), second, 60.0)
    whole = await train(begin(), Line(steps=60), 60.0)
    assert isinstance(rest, TrainingDone)
    assert isinstance(whole, TrainingDone)
    assert rest.curve == whole.curve


async def test_one_that_must_stop_before_its_first_step_has_learnt_nothing() -> None:
    line = Line(steps=2_000)
    end = await train(begin(delay_s=0.01), line, 0.0)
    assert isinstance(end, TrainingStopped)
    assert end.steps == 0
    assert not line.file("checkpoint"), "it would repeat that of the process before"


async def test_the_time_of_a_training_begins_before_its_input_is_fetched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stop_soon, is_stopped = remote_training._Relay.stop_soon, threading.Event()

    def stop(relay: remote_training._Relay) -> None:
        stop_soon(relay)
        is_stopped.set()

    class Slow(Line):
        def inputs(self) -> Iterator[bytes]:
            assert is_stopped.wait(30.0)
            yield from super().inputs()

    monkeypatch.setattr(remote_training._Relay, "stop_soon", stop)
    end = await train(begin(delay_s=0.01), Slow(steps=2_000), 0.01)
    assert isinstance(end, TrainingStopped)
    assert end.steps == 0


async def test_a_server_that_is_away_for_a_while_loses_nothing() -> None:
    line = Line(lost=9)
    end = await train(begin(), line, 60.0)
    assert isinstance(end, TrainingDone)
    assert read_voice(line.file("voice")).step == 20


async def test_a_server_that_stays_away_ends_it() -> None:
    with pytest.raises(EngineFailed, match="public_url"):
        await train(begin(), Line(lost=10_000), 60.0)
    assert no_process_is_left()


async def test_what_the_server_wants_no_more_ends() -> None:
    line = Line(steps=2_000)

    def refuse(_: RemoteMessage) -> None:
        raise EngineFailed("no more")

    line.on_told = refuse
    with pytest.raises(EngineFailed):
        await train(begin(delay_s=0.01), line, 60.0)
    assert no_process_is_left()


@pytest.mark.parametrize("fail", ["crash", "EngineFailed", "UnusableSample"])
async def test_what_fails_there_is_told_here(fail: str) -> None:
    asked = train(begin(fail=fail, fail_at_s=5), Line(), 60.0)
    if fail == "crash":
        with pytest.raises(EngineFailed, match="died"):
            await asked
    else:
        end = await asked
        assert isinstance(end, TrainingFailed)
        assert end.is_owners is (fail == "UnusableSample")
    assert no_process_is_left()


async def test_a_trainer_that_is_not_there_says_so() -> None:
    # Whatever fails while it begins may be over the next time; a device that is not there is not.
    nobody = msgspec.structs.replace(begin(), module="plugins.nobody.trainer")
    with pytest.raises(EngineFailed, match="does not begin"):
        await train(nobody, Line(), 60.0)
    lacking = msgspec.structs.replace(begin(), device="cuda", devices=("cuda",))
    with pytest.raises(EngineCannot):
        await train(lacking, Line(), 60.0)


async def test_a_cancelled_one_leaves_no_process() -> None:
    line, loop, has_begun = Line(steps=2_000), asyncio.get_running_loop(), asyncio.Event()

    def note(_: RemoteMessage) -> None:
        loop.call_soon_threadsafe(has_begun.set)

    line.on_told = note
    training = asyncio.create_task(train(begin(delay_s=0.05), line, 60.0))
    await has_begun.wait()
    training.cancel()
    await asyncio.wait({training})
    assert training.cancelled()
    assert no_process_is_left()


async def test_what_breaks_off_is_fetched_again_by_another_process() -> None:
    class Torn(Line):
        torn = 2

        def inputs(self) -> Iterator[bytes]:
            for block in super().inputs():
                yield block
                if self.torn:
                    self.torn -= 1
                    raise EngineUnavailable("It is away.")

    line = Torn()
    end = await train(begin(), line, 60.0)
    assert isinstance(end, TrainingDone)
    assert read_voice(line.file("voice")).step == 20
    line = Torn()
    line.torn = 1_000
    with pytest.raises(EngineFailed, match="public_url"):
        await train(begin(), line, 60.0)
    assert no_process_is_left()


async def test_a_cancelled_one_fetches_no_more() -> None:
    loop, has_begun, read = asyncio.get_running_loop(), asyncio.Event(), [0]
    may_go_on = threading.Event()

    class Long(Line):
        def inputs(self) -> Iterator[bytes]:
            loop.call_soon_threadsafe(has_begun.set)
            may_go_on.wait()
            for block in super().inputs():
                read[0] += 1
                yield block

    training = asyncio.create_task(train(begin(), Long(), 60.0))
    await has_begun.wait()
    training.cancel()
    await asyncio.sleep(0)
    may_go_on.set()
    await asyncio.wait({training})
    assert read[0] <= 1
    assert no_process_is_left()


async def test_a_process_has_none_of_the_far_end_s_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RUNPOD_API_KEY", "VOXGATE_STOP_KEY", "HF_TOKEN", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.setenv(name, "of the far end")
    line, seen = Line(steps=2_000), dict[str, str]()

    def look(_: RemoteMessage) -> None:
        for each in psutil.Process().children():
            if "host.training" in " ".join(each.cmdline()):
                seen.update(each.environ())
        raise EngineFailed("seen")

    line.on_told = look
    with pytest.raises(EngineFailed, match="seen"):
        await train(begin(delay_s=0.01), line, 60.0)
    assert {name for name, value in seen.items() if value == "of the far end"} == {"CUDA_VISIBLE_DEVICES"}


@pytest.mark.parametrize("size", [0, 1, BLOB_BYTES, BLOB_BYTES + 1, 3 * BLOB_BYTES])
def test_a_file_goes_out_in_pieces_that_are_full_but_for_the_last(size: int) -> None:
    out, data = _FileOut(), bytes(size)
    for _ in range(2):
        parts = [part for piece in file_pieces("voice", [data], 7) for part in out.split(piece)]
        assert b"".join(part.data for part in parts) == data
        assert [part.number for part in parts] == list(range(len(parts)))
        assert [part.is_last for part in parts] == [False] * (len(parts) - 1) + [True]
        assert all(len(part.data) == BLOB_BYTES for part in parts[:-1])
        assert {part.step for part in parts} == {7}
        assert parts[-1].data or not size, "a piece without data"


@contextmanager
def answering(*statuses: int) -> Iterator[str]:
    """Serve these statuses, one after the other and then the last, and a byte with each."""
    left = list(statuses)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(left.pop(0) if len(left) > 1 else left[0])
            self.send_header("content-length", "1")
            self.send_header("location", "/elsewhere")
            self.end_headers()
            self.wfile.write(b"x")

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.do_GET()

        def log_message(self, format: str, *args: Any) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/remote/trainings/secret"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (200, None),
        (404, EngineFailed),
        (400, EngineFailed),
        (302, EngineFailed),
        (503, EngineUnavailable),
        (429, EngineUnavailable),
    ],
)
def test_what_an_answer_means(status: int, error: type[Exception] | None) -> None:
    with answering(status) as url:
        line = HttpLine(url, ("http",))
        if error is None:
            assert list(line.inputs()) == [b"x"]
            line.send_message(TrainingProgress(stage="preparing"))
            return
        for ask in (
            lambda: list(line.inputs()),
            lambda: line.send_message(TrainingProgress(stage="preparing")),
        ):
            with pytest.raises(error) as told:
                ask()
            assert "secret" not in str(told.value)


def test_an_address_that_nobody_listens_at_is_a_lost_line() -> None:
    with answering(200) as url:
        pass
    with pytest.raises(EngineUnavailable):
        list(HttpLine(url, ("http",)).inputs())


def test_a_line_without_tls_is_refused() -> None:
    with pytest.raises(EngineFailed, match="https"):
        HttpLine("http://127.0.0.1:1/remote/trainings/secret")
