"""The plugins of a module: `voxgate_register() -> tuple[Plugin, ...]`, one hook and no marker.

The registry finds the hook by its name, so that an engine's environment never needs pluggy.
"""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, nullcontext
from typing import Any, Generic, Literal, Protocol, TypeVar, runtime_checkable

import msgspec

from speech_engine.device import CPU, Device, DeviceKind
from speech_engine.http import NO_NETWORK, HttpClient
from speech_engine.model_declarations import ModelFormat
from speech_engine.names import Names, no_names
from speech_engine.samples import NO_SAMPLES, SampleReader
from speech_engine.sockets import NO_SOCKETS, SocketClient
from speech_engine.trained_files import TrainedFormat

Need = Literal["network", "programs"]
"""The rights of a host that its engine must request."""

Kind = Literal["engine", "front_end", "detector", "mark", "comparer", "runner", "trainer"]

InstanceKind = Literal["front_end", "detector", "comparer", "mark", "runner"]
"""The kinds that are opened once for a section, with the settings of [front_ends] and the like. The section
has the plugin's name; that of a runner may have another one, and name its `plugin`."""

S = TypeVar("S", bound=msgspec.Struct)
"""The settings of a plugin."""


class Logger(Protocol):
    """Structured logging: an event named `noun.verb`, and fields. Never text, audio or secrets."""

    def debug(self, event: str, **fields: Any) -> Any: ...
    def info(self, event: str, **fields: Any) -> Any: ...
    def warning(self, event: str, **fields: Any) -> Any: ...


def _nothing(*_args: Any) -> None:
    """The default without effect: an engine in the server's process has no heartbeat."""


class Context(msgspec.Struct, frozen=True):
    """The tools that the server lends to a plugin.

    Call `tick`, from any thread, whenever a unit of work is done. If a host has work but neither ticks nor
    yields an event for `tick_s` seconds, the host counts as frozen and is killed. A wait that is no work,
    such as a wait for room, belongs into a block `with context.waiting():`, on the event loop and in the task
    that calls the engine.

    `http` and `sockets` are for cloud engines, which run in the server; a host has no client. `samples` has
    the recordings of the jobs that run now, for models that speak from recordings. `device` is the one to
    compute on.

    While an engine loads, it may call `progress` with the part that is done, from 0 to 1, and with words for
    what it does. `give_up` ends the host at once, with a reason that the operator reads: the device is
    broken, and a new process may have more luck. Any thread may call both.
    """

    log: Logger
    tick: Callable[[], None] = _nothing
    http: HttpClient = NO_NETWORK
    samples: SampleReader = NO_SAMPLES
    progress: Callable[[float, str], None] = _nothing
    give_up: Callable[[str], None] = _nothing
    device: Device = CPU
    sockets: SocketClient = NO_SOCKETS
    waiting: Callable[[], AbstractContextManager[None]] = nullcontext


class Hosted(msgspec.Struct, frozen=True):
    """Replaces `create` if the engine runs in its own process.

    `module` is the worker. Its own `voxgate_register` gives an engine plugin, which the host creates.
    If `in_process` allows it, `hosted = false` in the engine's section runs the engine in the server
    (for measuring; a crash then ends the server too).

    `packages` lists the worker's needs beside voxgate, in pip's form ("name>=1.0"). If the list is not empty,
    the host runs in its own environment, made by `voxgate env build NAME`: the worker's top-level package,
    speech_engine, grpcio, msgspec and these. `bare` lists more of them, installed without their requirements:
    some of these are not needed, or cannot be had. `constraints` is a file of pinned versions beside the
    worker module; `imports` are modules that must be importable there; the build tries them.

    `trainer` is a module that learns voices for it. It runs in a process of its own, in the same environment,
    and its `voxgate_register` gives a plugin of the kind trainer, with the engine's name and settings.

    `devices` are the kinds of devices that it can compute on. The host chooses one, and sees that it is there
    and has the memory that the configuration names.

    When the engine has loaded, its host may no longer start programs, use a network, or look into other
    processes. `needs` lists what a worker must still do: "network", "programs". `memory_mb` is the most
    address space that it may have, while it loads, too; an engine on a GPU sets none. If a process speaks one
    job at a time on one core, `keeps_one_core`: the default is then a process for each core but one, and at
    least two.
    """

    module: str
    in_process: bool = False
    packages: tuple[str, ...] = ()
    bare: tuple[str, ...] = ()
    constraints: str | None = None
    imports: tuple[str, ...] = ()
    needs: tuple[Need, ...] = ()
    memory_mb: int | None = None
    keeps_one_core: bool = False
    devices: tuple[DeviceKind, ...] = ("cpu",)
    trainer: str = ""

    @property
    def has_environment(self) -> bool:
        """Whether its hosts run in an environment of their own, and not under the server's Python."""
        return bool(self.packages or self.bare)


Create = Callable[[str, S, Context], AbstractAsyncContextManager[Any]]
"""(name, settings, context) → an async context manager of what the kind asks for, e.g. an `Engine`."""


def created_late(module: str, name: str = "create") -> Create[Any]:
    """Return a `create` that is another module's, which is imported only when it is called.

    Registering a plugin must be quick, and loads no engine.
    """

    @asynccontextmanager
    async def create(plugin: str, settings: Any, context: Context) -> AsyncIterator[Any]:
        made: Create[Any] = getattr(importlib.import_module(module), name)
        async with made(plugin, settings, context) as opened:
            yield opened

    return create


@runtime_checkable
class KnowsShutdowns(Protocol):
    """Settings that know when their provider switches a model off, for `voxgate check` and `doctor`."""

    def shutdown_date(self, model: str) -> str:
        """Return the day, such as 2027-01-06, or an empty text. Starts nothing."""
        ...


@runtime_checkable
class Cautious(Protocol):
    """Settings with a risk that an operator should know. `voxgate check` shows it."""

    def cautions(self) -> tuple[str, ...]:
        """Return sentences without a full stop, or nothing. Starts nothing."""
        ...


class Missing(msgspec.Struct, frozen=True):
    """A missing requirement of a plugin on this machine: `what` is missing, and the remedy in `do`."""

    what: str
    do: str


class NoSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The settings of a plugin that has nothing to set."""


def missing_model(
    do: str, setting: str = "model_path", what: str = "the section names no model"
) -> Callable[[Any], tuple[Missing, ...]]:
    """Return a `missing` that reports the model if the setting with its folder is empty."""
    return lambda settings: () if getattr(settings, setting) else (Missing(what, do),)


class Plugin(msgspec.Struct, Generic[S], frozen=True, kw_only=True):
    """One plugin of a module. `settings` is a msgspec struct that forbids unknown fields;
    `create`, `missing` and `names` take such a struct.

    `missing` lists what the machine lacks for these settings: a library, a folder of data, a variable.
    `voxgate doctor` calls `missing`, which may look at files, starts nothing and tells no secret.

    `names` gives an engine's answer to the voices' names that clients have from OpenAI: none, its own voice
    behind each, or that its voices are to be shared among them.

    With a `model_format`, operators import models for it, and name one as `model` in the engine's section.
    Its folder is then in the setting `model_path`, a text. The engine only reads it. `gallery` is the path of
    gallery.toml beside the plugin's module: it lists models that can be had for it. With a `trained_format`,
    accounts bring voices that were trained for it. If it `clones`, its provider may charge for each clone.

    `voices` has the ids of all voices of an engine whose voices are always the same. `voxgate check` refuses
    other ids. None: only the running engine knows its voices.
    """

    kind: Kind
    name: str
    settings: type[S]
    create: Create[S] | Hosted
    missing: Callable[[S], tuple[Missing, ...]] = lambda _settings: ()
    model_format: ModelFormat | None = None
    trained_format: TrainedFormat | None = None
    gallery: str = ""
    names: Callable[[S], Names] = no_names
    clones: bool = False
    voices: tuple[str, ...] | None = None


class WorkerModuleError(Exception):
    """The module named by `Hosted` does not give a plugin of the kind that it stands for."""


def worker_plugin(module: str, kind: Kind = "engine") -> tuple[type[msgspec.Struct], Create[Any]]:
    """Import a worker module, and return the settings and the `create` of its plugin of this kind."""
    register = getattr(importlib.import_module(module), "voxgate_register", None)
    plugins = register() if callable(register) else ()
    for plugin in plugins:
        if isinstance(plugin, Plugin) and plugin.kind == kind and not isinstance(plugin.create, Hosted):
            return plugin.settings, plugin.create
    raise WorkerModuleError(
        f"{module} has no voxgate_register() that gives a plugin of the kind {kind} with its own create"
    )
