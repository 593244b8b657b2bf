"""The Runner protocol: work on a machine that is rented for it. Its plugin knows one provider of machines.

Rented time is paid for. So the server notes in its database that a piece of work begins, and then asks for
it. It asks a second time only when the first run is surely over. A runner has no state that a kill could
lose.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol, runtime_checkable

import msgspec

from speech_engine.errors import EngineError
from speech_engine.redacted import Redacted
from speech_engine.work import Work

REMOTE_VERSION = 1
"""The version of `RemoteWork` and of the contents of its pieces. The far end refuses another version."""

MOST_PIECE_BYTES = 1_000_000
"""The largest size of a piece as JSON. Providers of machines cut or refuse longer ones."""


class RemoteSample(Redacted, msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A recording of the voice: 16-bit mono `pcm` at the model's `sample_hz`, in the work itself.

    Four recordings of half a minute fit into 8 MB of JSON. A recording that does not fit is fetched from
    `url` while this run of the work is open: it has `size` bytes, and `sha256` is their digest. The address
    is a secret, so it is never logged: the request needs no other credential.
    """

    digest: str
    pcm: bytes = b""
    url: str = ""
    size: int = 0
    sha256: str = ""


class RemoteTraining(Redacted, msgspec.Struct, frozen=True, kw_only=True):
    """A training for the far end: its inputs come from `url`, and its files go there, see
    `speech_engine.training`. After `stop_s` it sends a checkpoint, and ends.

    The address is a secret, so it is never logged. It leads nowhere when this run is over.
    """

    url: str
    stop_s: float


class RemoteWork(Redacted, msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A piece of work for the far end, as JSON: `msgspec.json.encode` writes it, bytes as base64.

    `key` names it for all time: the far end never begins one key twice while it lives, and another start of
    the same work, after the first is surely over, has another key. The far end ends it after `most_s` seconds
    of work. Without `work` and `training`, it only requests the engine's description.
    """

    key: str
    most_s: float
    version: int = REMOTE_VERSION
    work: Work | None = None
    samples: tuple[RemoteSample, ...] = ()
    training: RemoteTraining | None = None


class RemotePiece(Redacted, msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A piece of a result, numbered from 0 without a gap. `data` is for the server alone to read."""

    number: int
    data: bytes
    is_last: bool = False


RemoteStatus = Literal["queued", "running", "done", "failed", "canceled", "lost"]
"""`lost`: the provider does not know it (any more), so it surely does not run."""

OPEN: frozenset[RemoteStatus] = frozenset({"queued", "running"})
"""The work may still cost something. An unknown status of a provider counts as `running`."""


class RemoteState(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a piece of work. `reason` is for the operator, and has no part of the text.

    `usd` is its cost so far, None if that is not known. Work that is over is then charged at the highest
    possible cost. `pieces` are the pieces from the requested number on, as far as they are there.
    """

    status: RemoteStatus
    pieces: tuple[RemotePiece, ...] = ()
    usd: float | None = None
    reason: str = ""


class RunnerLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The limits of each piece of work of a runner.

    Work takes `most_s` at most. `over_s` after its `submit` has ended, in success or failure, the work surely
    neither waits nor runs, so another start is safe. `most_usd` is its highest cost, with the start of the
    machine and the idle time after it. `most_bytes` is its largest size as JSON. The result can be fetched
    for `kept_s` after its end. The provider may hold some of the work for `stays_s`, unless it is canceled.
    With `idle_s`, `tidy` is called that long after the end of a work, to end a machine without other work.
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
    """Settings of a runner that give its `RunnerLimits.most_usd`, for `voxgate check`."""

    @property
    def most_usd(self) -> float: ...


class RunnerHealth(msgspec.Struct, frozen=True, kw_only=True):
    """The health of a runner's provider: machines that are up, and pieces of work that wait."""

    machines: int = 0
    waiting: int = 0


class NotBegun(EngineError):
    """The work was surely not begun and is not billed: a second `submit` is safe.

    Every other failure of `submit` leaves it open whether it runs.
    """


class CannotTell(EngineError):
    """The runner has no way to find out whether it has this piece of work."""


@runtime_checkable
class Runner(Protocol):
    """A configured instance of a runner plugin, in the server. Each worker has one; several ask at once.

    It raises errors of `speech_engine.errors`; any other one counts as EngineFailed. All calls end within a
    minute.
    """

    @property
    def limits(self) -> RunnerLimits: ...

    async def submit(self, work: RemoteWork) -> str:
        """Begins a piece of work, and returns its name for `look` and `cancel`.

        It is called once for a key. It sends its provider at most one request that costs money, unless the
        first one surely had no effect. Raises NotBegun only if the work was certainly not begun.
        """
        ...

    async def find(self, key: str) -> str | None:
        """Returns the name of the work of a `submit` whose answer was lost, or None if it was surely not
        begun.

        Called when that `submit` has been over for a minute. Raises CannotTell."""
        ...

    async def look(self, name: str, work: RemoteWork, since: int) -> RemoteState:
        """Returns the state with the pieces from number `since` on. May wait for some seconds for news.

        `work` is the submitted work, for a runner that can hand it over only when its machine is up: the far
        end then begins its key once.

        Another process may ask again for the same pieces, from 0 on, since the first process may have been
        killed. If a provider gives a piece only once, the runner returns none before it can return all again.
        Raises an error if the state is not known now.
        """
        ...

    async def cancel(self, name: str) -> float | None:
        """Ends a piece of work, and lets the provider forget its input and its result, as far as it can.

        When this returns, the work does not run any more. It may be over or unknown before. Returns its whole
        cost in dollars, or None if that is not known.
        """
        ...

    async def health(self) -> RunnerHealth:
        """Return the provider's present health. The request is free."""
        ...

    async def tidy(self, live: Mapping[str, float]) -> None:
        """Ends machines that bill although no work needs them.

        `live` has the names of all work that is not over, that has ended within the idle time, or whose
        result can be fetched, with the seconds since its end. Called at the start, every few minutes and when
        a machine may be idle, in one worker of a server. Work of a `submit` under way is not in `live` yet,
        so machines younger than some minutes stay.
        """
        ...


def decode_work(data: bytes | str | Any) -> RemoteWork:
    """Return the work of a JSON text, or of the values in it. Raises ValueError."""
    if isinstance(data, (bytes, str)):
        return msgspec.json.decode(data, type=RemoteWork)
    return msgspec.convert(data, RemoteWork)
