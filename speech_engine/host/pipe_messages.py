"""The messages between the supervisor and its children.

The supervisor talks so with workers and hosts. The messages of plugins' processes are in plugin_messages.py.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from speech_engine.bounds import MOST_JOBS, Line, Text
from speech_engine.device import DeviceKind
from speech_engine.host.booking_messages import Booked, BookingWord
from speech_engine.host.cluster_messages import ClusterTick, ClusterWord, HostLoad, ProcessJobs
from speech_engine.redacted import Redacted


class BeginHost(Redacted, msgspec.Struct, frozen=True, tag="begin_host"):
    """The supervisor's first message to a host. Settings come this way: no secret in an argv.

    `address` is the path of a Unix socket, or HOST:PORT. At most `queue` jobs wait. `memory_mb` limits its
    address space, and `memory_gb` is what it needs on its device. A host that `is_watched` forgets all
    recordings when no gateway watches it any more."""

    engine: str
    module: str
    settings: bytes
    address: str
    queue: int
    digest_key: bytes = b""
    needs: tuple[str, ...] = ()
    memory_mb: int | None = None
    device: str = "cpu"
    devices: tuple[DeviceKind, ...] = ("cpu",)
    memory_gb: float | None = None
    is_watched: bool = False


class Revision(Redacted, msgspec.Struct, frozen=True, tag="revision"):
    """The parsed configuration for a worker; the first one starts the worker's life.

    `began` is when its server began, in microseconds, and `machine` is the id of that start.
    """

    number: int
    config: bytes
    began: int = 0
    machine: str = ""


class Ready(Redacted, msgspec.Struct, frozen=True, tag="ready"):
    """A child serves from now on. `dev_key` is the worker's answer to `server.dev_key`."""

    dev_key: str | None = None


class Broken(msgspec.Struct, frozen=True, tag="broken"):
    """A child cannot serve and gives the reason before its exit; `lasting`: a restart would not help."""

    reason: str
    lasting: bool = False


class DeviceFound(msgspec.Struct, frozen=True, tag="device_found"):
    """A host has chosen its device, found this much memory there, and waits for `MayLoad`."""

    device: str
    free_gb: float
    total_gb: float


class MayLoad(msgspec.Struct, frozen=True, tag="may_load"):
    """The answer: the memory for the host is booked. Without that memory, the host is ended."""


class PeakMemory(msgspec.Struct, frozen=True, tag="peak_memory"):
    """The most memory that a host has used on its device so far."""

    gb: float


class Introduction(Redacted, msgspec.Struct, frozen=True, tag="introduction"):
    """The answer of a ready host to a `Hello`. Workers read it while the host is unloaded."""

    hello: bytes


class Loading(msgspec.Struct, frozen=True, tag="loading"):
    """A host's progress before it is ready: the part that is done, from 0 to 1, and its present step."""

    fraction: float
    what: str


class HostState(msgspec.Struct, frozen=True, tag="host_state"):
    """The state of one process of one engine, for all workers. A generation is one life of the process.

    A starting host has `loaded` a part of itself, from 0 to 1; `reason` is its present step. `loads_s` is the
    time in which the life before it got ready, 0 if that is not known.

    If a life has just ended, `begun` has the calls that the engine had begun and not ended. `killer` is the
    call that certainly ended it. A ready life has the `licence` of its imported model, if any.

    A life that `has_crashed` ended by itself, or was killed because it was frozen.

    A host that was unloaded for a lack of work `loads_on_demand`. `hello` is the answer of its present or its
    last life, if that is known.

    A host of a cluster has its `machine`. Its state is `leaving` while it finishes its work, and `gone` when
    it is not there any more. What it had begun is unknown if the machine was lost, at `lost_at` of the
    monotonic clock.
    """

    engine: Line
    process: int
    generation: int
    state: Line
    reason: Text = ""
    address: Line = ""
    begun: Annotated[tuple[Line, ...], msgspec.Meta(max_length=MOST_JOBS)] = ()
    killer: Line = ""
    loaded: float = 0.0
    loads_s: float = 0.0
    licence: Text = ""
    loads_on_demand: bool = False
    hello: bytes = b""
    machine: Line = ""
    lost_at: float | None = None
    has_crashed: bool = False


class Tick(msgspec.Struct, frozen=True, tag="tick"):
    """A host's sign of life: the number of its jobs in work, and the call that begins or has ended.

    `digest` stands for the text or voice of that call. `is_whole`: it was spoken to its end. `figures` are of
    a batch, and empty while they have not changed. `load` comes with them. A call `is_alone` if the host runs
    no other beside it.
    """

    working: int
    begun: str = ""
    ended: str = ""
    digest: bytes = b""
    is_whole: bool = False
    figures: dict[str, float] = {}
    load: HostLoad | None = None
    is_alone: bool = False


class TextVerdicts(msgspec.Struct, frozen=True, tag="text_verdicts"):
    """A message to a host: the digests of texts that run alone, and of texts that are refused."""

    alone: tuple[bytes, ...] = ()
    refused: tuple[bytes, ...] = ()


class WorkerGivenUp(msgspec.Struct, frozen=True, tag="worker_given_up"):
    """A message to the workers that go on serving, for their readiness."""

    worker: int
    reason: str


class MetricsQuestion(msgspec.Struct, frozen=True, tag="metrics_asked"):
    """A question to a worker. The answer repeats its number, so a late answer fits no other question."""

    question: int


class MetricsReport(msgspec.Struct, frozen=True, tag="metrics"):
    question: int
    text: str


class PlansQuestion(msgspec.Struct, frozen=True, tag="plans_asked"):
    """A question to a worker: which of these plans do accounts have?"""

    question: int
    names: tuple[str, ...]


class PlansInUse(msgspec.Struct, frozen=True, tag="plans_in_use"):
    question: int
    names: tuple[str, ...]


class KeysQuestion(msgspec.Struct, frozen=True, tag="keys_asked"):
    """A question to a worker: which of these keys are dead? They are those of links."""

    question: int
    keys: tuple[str, ...]


class DeadKeys(msgspec.Struct, frozen=True, tag="dead_keys"):
    question: int
    keys: tuple[str, ...]


class ReloadQuestion(msgspec.Struct, frozen=True, tag="reload_asked"):
    """A worker's question: read the configuration again, and report the result."""

    question: int


class ReloadResult(msgspec.Struct, frozen=True, tag="reload"):
    """The answer. With a `refusal`, nothing has changed."""

    question: int
    changed: tuple[str, ...] = ()
    needs_restart: tuple[str, ...] = ()
    refusal: str = ""


class ErasureQuestion(msgspec.Struct, frozen=True, tag="erasure_asked"):
    """A worker's question: let every worker forget this voice. `digests` are its recordings."""

    question: int
    subject: str
    digests: tuple[str, ...]


class ErasureSpread(msgspec.Struct, frozen=True, tag="erasure_spread"):
    """The answer: whether every worker that lives has forgotten it, and its streams have ended."""

    question: int
    is_everywhere: bool


class ForgetQuestion(msgspec.Struct, frozen=True, tag="forget_asked"):
    """A question to a worker: forget this voice, and end its streams."""

    question: int
    subject: str
    digests: tuple[str, ...]


class VoiceForgotten(msgspec.Struct, frozen=True, tag="voice_forgotten"):
    """The answer. `has_stopped_voice`: no stream of the voice goes on."""

    question: int
    has_stopped_voice: bool


EngineAction = Literal["load", "unload", "restart"]


class EngineQuestion(msgspec.Struct, frozen=True, tag="engine_asked"):
    """A worker's request: do this with the hosts of an engine. `breaks_off`: even if they have work."""

    question: int
    engine: str
    action: EngineAction
    breaks_off: bool = False


class EngineWanted(msgspec.Struct, frozen=True, tag="engine_wanted"):
    """A worker's message without an answer: a request waits for an engine that loads on demand."""

    engine: str


class EngineSwitched(msgspec.Struct, frozen=True, tag="engine_switched"):
    """The answer. With a `refusal`, nothing has changed."""

    question: int
    refusal: str = ""


class Drain(msgspec.Struct, frozen=True, tag="drain"):
    """Finish the running work, take no new work, then exit."""

    within_s: float


class Leaving(msgspec.Struct, frozen=True, tag="leaving"):
    """Serve on, and let load balancers and clients know that the server is about to end."""


Question = MetricsQuestion | PlansQuestion | ForgetQuestion | KeysQuestion
HostNews = HostState | ProcessJobs
Reply = MetricsReport | PlansInUse | VoiceForgotten | DeadKeys
WorkerQuestion = ReloadQuestion | ErasureQuestion | EngineQuestion | EngineWanted | BookingWord | ClusterWord
SupervisorAnswer = ReloadResult | ErasureSpread | EngineSwitched | Booked
_ToWorker = Revision | Leaving | HostState | WorkerGivenUp | Question | SupervisorAnswer
_ToChild = BeginHost | MayLoad | TextVerdicts | ClusterTick | _ToWorker | Drain
_OfHost = DeviceFound | Introduction | Loading | PeakMemory | Tick
_ToSupervisor = Ready | Broken | _OfHost | Reply | WorkerQuestion
Message = _ToChild | _ToSupervisor
