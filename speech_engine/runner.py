"""The Runner protocol: work on a machine that is rented for it. Its plugin knows one provider of machines.

Rented time is paid for, so the server notes in its database that a piece of work begins before it asks for
it, and asks a second time only when the first surely is over. A runner keeps nothing that a kill could lose.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol, runtime_checkable

import msgspec

from speech_engine.errors import EngineError
from speech_engine.work import Work

REMOTE_VERSION = 1
"""The version of `RemoteWork` and of what its pieces hold. The far end refuses another one."""

MOST_PIECE_BYTES = 1_000_000
"""The most that a piece takes as JSON. Providers of machines cut or refuse longer ones."""


class RemoteSample(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A recording of the voice: 16-bit mono `pcm` at the model's `sample_hz`, in the work itself.

    Four recordings of half a minute fit into 8 MB of JSON. What does not fit is to be fetched at `url`, as
    long as this run of the work is open: it has `size` bytes, and `sha256` is their digest. Whoever has the
    address can fetch it, so nobody logs it.
    """

    digest: str
    pcm: bytes = b""
    url: str = ""
    size: int = 0
    sha256: str = ""

    def __repr__(self) -> str:
        return f"<RemoteSample {self.digest[:12]}, {len(self.pcm) or self.size} bytes>"


class RemoteTraining(msgspec.Struct, frozen=True, kw_only=True):
    """A training for the far end: what it learns from comes from `url`, and what it makes goes there, see
    `speech_engine.training`. After `stop_s` it sends a checkpoint, and ends.

    Whoever has the address can do both, so nobody logs it. It leads nowhere when this run is over.
    """

    url: str
    stop_s: float

    def __repr__(self) -> str:
        return f"<RemoteTraining for {self.stop_s:g} s>"


class RemoteWork(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A piece of work for the far end, as JSON: `msgspec.json.encode` writes it, bytes as base64.

    `key` names it for all time: the far end never begins one key twice while it lives, and another start of
    the same work, after the first is surely over, has another key. The far end ends it after `most_s` seconds
    of work. Without `work` and `training`, it is asked only what the engine has.
    """

    key: str
    most_s: float
    version: int = REMOTE_VERSION
    work: Work | None = None
    samples: tuple[RemoteSample, ...] = ()
    training: RemoteTraining | None = None

    def __repr__(self) -> str:
        return f"<RemoteWork {self.key}>"


class RemotePiece(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A piece of a result, numbered from 0 without a gap. `data` is for the server alone to read."""

    number: int
    data: bytes
    is_last: bool = False

    def __repr__(self) -> str:
        return f"<RemotePiece {self.number}, {len(self.data)} bytes>"


RemoteStatus = Literal["queued", "running", "done", "failed", "canceled", "lost"]
"""`lost`: the provider does not know it (any more), so it surely does not run."""

OPEN: frozenset[RemoteStatus] = frozenset({"queued", "running"})
"""The work may still cost something. What a provider says that nobody knows is `running`."""


class RemoteState(msgspec.Struct, frozen=True, kw_only=True):
    """How a piece of work stands. `reason` is for the operator, and has nothing of the text.

    `usd` is what it has cost so far, None if that is not known: what is over is then charged at the most that
    it may have cost. `pieces` are those from the asked number on, as far as they are there.
    """

    status: RemoteStatus
    pieces: tuple[RemotePiece, ...] = ()
    usd: float | None = None
    reason: str = ""


class RunnerLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for each piece of work of a runner.

    It works for `most_s` at most. `over_s` after its `submit` has ended, however that ended, it surely
    neither waits nor runs any more, and a later start is no second one. `most_usd` is the most that one may
    cost, whatever happens: start of the machine and idle time after it included. `most_bytes` is the most
    that a work may have as JSON. The result can be had for `kept_s` after its end, and something of the work
    may be with the provider for `stays_s`, unless it is canceled. With `idle_s`, `tidy` is called so long
    after a work has ended, to end a machine that has no other.
    """

    most_s: float
    over_s: float
    most_usd: float
    most_bytes: int
    kept_s: float
    stays_s: float
    idle_s: float | None = None


@runtime_checkable
class PricedRuns(Protocol):
    """Settings of a runner that tell what `RunnerLimits.most_usd` will be. `voxgate check` asks them."""

    @property
    def most_usd(self) -> float: ...


class RunnerHealth(msgspec.Struct, frozen=True, kw_only=True):
    """What a runner's provider says of itself: machines that are up, and pieces of work that wait."""

    machines: int = 0
    waiting: int = 0


class NotBegun(EngineError):
    """The work was surely not begun, and nothing is billed for it: a second `submit` is safe.

    Every other failure of `submit` leaves it open whether it runs.
    """


class CannotTell(EngineError):
    """The runner has no way to find out whether it has this piece of work."""


@runtime_checkable
class Runner(Protocol):
    """A configured instance of a runner plugin, in the server. Each worker has one; several ask at once.

    What it raises is of `speech_engine.errors`, or counts as EngineFailed. All calls end within a minute.
    """

    @property
    def limits(self) -> RunnerLimits: ...

    async def submit(self, work: RemoteWork) -> str:
        """Begins a piece of work, and returns the name by which it is looked for.

        It is called once for a key. It asks its provider at most once for something that costs, unless the
        first time surely had no effect. Raises NotBegun only if nothing was begun, for certain.
        """
        ...

    async def find(self, key: str) -> str | None:
        """Returns the name of what a `submit` has begun whose answer was lost, and None if there surely is
        nothing. Called when that `submit` has been over for a minute. Raises CannotTell."""
        ...

    async def look(self, name: str, work: RemoteWork, since: int) -> RemoteState:
        """Returns the state with the pieces from number `since` on. May wait for some seconds for news.

        `work` is what was submitted, for a runner that can hand it over only when its machine is up: the far
        end then begins its key once.

        It may be asked again for pieces that it gave before, by another process, which begins with 0: who
        asked first may have been killed. Where a provider gives a piece only once, it gives none before all
        can be had again. Raises an error if nobody knows how it stands now.
        """
        ...

    async def cancel(self, name: str) -> float | None:
        """Ends a piece of work, and lets the provider forget what was sent and made, as far as it can.

        When this returns, it does not run any more. Nothing is wrong if it is over, or unknown. Returns what
        it has cost in all, in dollars, None if that is not known.
        """
        ...

    async def health(self) -> RunnerHealth:
        """Asks the provider. It costs nothing."""
        ...

    async def tidy(self, live: Mapping[str, float]) -> None:
        """Ends what bills although no work needs it: `live` has the names of all work that is not over, that
        has ended within the idle time, or whose result can be had, and for how many seconds it is over.

        Called at the start, every few minutes and when a machine may be idle, in one worker of a server. What
        a `submit` is just beginning is not among them yet: what is younger than some minutes stays.
        """
        ...


def decode_work(data: bytes | str | Any) -> RemoteWork:
    """Return the work of a JSON text, or of the values in it. Raises ValueError."""
    if isinstance(data, (bytes, str)):
        return msgspec.json.decode(data, type=RemoteWork)
    return msgspec.convert(data, RemoteWork)
