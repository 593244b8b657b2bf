"""A feature is a folder that app.py opens with the rest of the server.

A feature may import the kernel and the features that open before it, in the order of `proxy/feature_list.py`.
If the kernel, or an earlier feature, calls it, `catalogue/` has the protocol for that.
"""

from __future__ import annotations

from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from proxy.access.admission import Plans, UsageThrottle
from proxy.access.callers import Callers
from proxy.access.limits import Limits
from proxy.access.sessions import Sessions
from proxy.api.admin_tools import AdminTools
from proxy.api.answering import Answering
from proxy.api.health import Dependencies
from proxy.api.server import ServerLink
from proxy.api.speech_forms import Background, SpeechForms
from proxy.catalogue.absent import NoOwnVoices, NoSavedWords, NothingStored, NothingToErase
from proxy.catalogue.catalogue import Catalogue, FindModelCommand, no_model_command
from proxy.catalogue.cluster import ClusterView
from proxy.catalogue.erased_voices import ErasedVoices
from proxy.catalogue.erasing import DerivedData, Erasing, Purges, VoiceFiles, VoiceMemory
from proxy.catalogue.library import Library
from proxy.catalogue.own_voices import OwnVoices
from proxy.catalogue.people import Income, People
from proxy.catalogue.saved_words import SavedWords
from proxy.config.config_toml import Config
from proxy.config.feature_switches import how_to_turn_on, off_sentence
from proxy.config.finding import Finding, ProbeResults
from proxy.engines.engine_list import Engines
from proxy.engines.registry import Registry
from proxy.engines.sample_source import DeferredSource
from proxy.http.dialect import Dialect
from proxy.http.endpoint import Endpoint
from proxy.ledger import Ledger
from proxy.ledger.budgets import Budgets
from proxy.speech.loudness_levels import LoudnessLevels
from proxy.speech.source import NoStoredSpeech, Source
from proxy.speech.speaking import Speaking, SpeechAdditions
from proxy.storage.store import StorageFailed, Store
from proxy.storage.tables import Tables
from proxy.telemetry.metrics import Metrics
from speech_engine import Names

T = TypeVar("T")
_NOT_IN_COMMANDS: Any = None
"""The value of a field that only a worker has."""


class AppContext(NamedTuple):
    """The kernel, and the additions of earlier features, for a feature that opens.

    `link` leads from a worker to its server, and `limits` are the worker's. A command has neither. The kernel
    uses `erasing` and the fields up to `model_command_for`, which stand for absent features until a feature
    replaces them. Only later features use `shared`.
    """

    config_at_start: Config
    registry: Registry
    store: Store
    ledger: Ledger
    samples: DeferredSource
    engines: Engines | None
    metrics: Metrics
    erased: ErasedVoices
    levels: LoudnessLevels
    front_end_revision: Callable[[str], str]
    cluster: ClusterView
    limits: Limits = _NOT_IN_COMMANDS
    link: ServerLink | None = None
    erasing: Erasing = NothingToErase()
    own_voices: OwnVoices = NoOwnVoices()
    words: SavedWords = NoSavedWords()
    speech_cache: Source = NoStoredSpeech()
    purges: Purges = NothingStored()
    model_command_for: FindModelCommand = no_model_command
    shared: tuple[object, ...] = ()

    def with_shared(self, shared_object: object) -> AppContext:
        """Return the context with one more object for later features."""
        return self._replace(shared=(*self.shared, shared_object))

    def find(self, type_: type[T]) -> T:  # a feature that shares this type must be earlier in the list
        return next(each for each in self.shared if isinstance(each, type_))

    def find_shared_or(self, default: T) -> T:
        """Return the shared object of the type of the default, or the default if no feature shares one."""
        return next((each for each in self.shared if isinstance(each, type(default))), default)

    def admin_tools(self, known_names: Callable[[], Mapping[str, Names]]) -> AdminTools:
        """Return the tools of handlers, once all features are open. `known_names`: see `AdminTools`."""
        return AdminTools(
            self.store,
            self.ledger,
            Callers(self.store),
            self.config_at_start,
            UsageThrottle(),
            self.purges,
            self.erasing,
            known_names,
            self.find_shared_or(People()),
            self.find_shared_or(Income()),
        )

    def library(self, config: Config) -> Library:
        words = self.words.configured(config)
        return Library(self.store, self.own_voices, self.words, words, configured=config.voices)


class Additions(NamedTuple):
    """A feature's additions to one revision of the configuration: endpoints for clients and operators, and
    observers of speech. `forms` are speech requests that bring their own voice, and those in the
    `background` are spoken later. `sessions` are those of people who have signed in. No key reaches the
    endpoints `for_commands`. At `sockets`, which no page describes, clients open WebSockets. Below the prefix
    of one of `dialects`, failures are as its clients read them. `pages` adds those that describe all
    endpoints."""

    endpoints: Sequence[Endpoint] = ()
    for_commands: Sequence[Endpoint] = ()
    speech: SpeechAdditions = SpeechAdditions()
    forms: SpeechForms | None = None
    background: Background | None = None
    sessions: Sessions | None = None
    dialects: Sequence[Dialect] = ()
    sockets: Sequence[Endpoint] = ()
    pages: Callable[[list[Endpoint]], list[Endpoint]] | None = None


class RevisionContext(NamedTuple):
    """The context of a feature in each revision of the configuration. `context` has the additions of all
    features.

    A command without a server has none of the other fields: nothing speaks or answers there.
    """

    config: Config
    admin_tools: AdminTools
    library: Library
    context: AppContext
    catalogue: Catalogue | None = None
    plans: Plans | None = None
    budgets: Budgets | None = None
    dependencies: Dependencies | None = None
    speaking: Speaking | None = None
    answering: Answering | None = None


class Tasks(Protocol):
    """The durable tasks of one kind; `proxy/queue` has them. `voxgate worker` runs those that are
    `is_for_workers`."""

    @property
    def is_for_workers(self) -> bool: ...
    async def run(self, metrics: Metrics, server_started: int, /) -> None:
        """Take tasks, and attempt them, until it is cancelled."""

    async def finish_interrupted(self) -> object:
        """Finish the tasks that a killed server left."""

    def stop_taking(self) -> None:
        """Take no more tasks."""

    async def finish(self) -> None:
        """Wait for the tasks under way."""

    async def close(self) -> None:
        """Cancel the tasks under way."""


async def no_remote_copies(_voice: str) -> bool:
    return True


class FeatureInstance(NamedTuple):
    """An open feature. `context` is the context of later features, with this one's additions.

    An erasure deletes a voice from its `memories` and `files`.

    `additions_for` is called at each revision of the configuration, and then `set_derived_things` with all
    data that is derived of voices. `is_gone_remotely` waits a moment, and tells whether no other system has
    data of an erased voice. Every worker runs the `task_kinds`, and a command finishes the tasks that a
    killed server left. Worker 0 of each server and of each `voxgate worker` runs `tasks_of_each_server`.
    Worker 0 of the oldest server on the database runs `tasks_of_one_server`; for seconds, two servers may run
    them. `while_serving` is open in a worker's process while its engines have started and it has not ended.
    `let_clients_go` ends connections that are silent, since the worker ends soon.
    """

    context: AppContext
    additions_for: Callable[[RevisionContext], Additions] = lambda _: Additions()
    set_derived_things: Callable[[DerivedData], None] = lambda _: None
    task_kinds: tuple[Tasks, ...] = ()
    tasks_of_one_server: Sequence[Callable[[], Coroutine[None, None, None]]] = ()
    tasks_of_each_server: Sequence[Callable[[], Coroutine[None, None, None]]] = ()
    let_clients_go: Callable[[], None] = lambda: None
    while_serving: Callable[[], AbstractAsyncContextManager[None]] = nullcontext
    is_gone_remotely: Callable[[str], Awaitable[bool]] = no_remote_copies
    memories: Sequence[VoiceMemory] = ()
    files: Sequence[VoiceFiles] = ()


Check = Callable[[Config, Registry, ProbeResults], Iterable[Finding]]
"""The findings of `voxgate check` in a configuration."""


class BackedUp(NamedTuple):
    """A file of the data folder that is in a whole backup.

    `check` raises for harmful content. `merge` merges a backup's file into the present one, and the backup
    copies it last; without it, a backup's file replaces the present one. `gather` returns more lines for it,
    which are in the folder of a shared vault. `settings_in` returns the tables of settings in the file of a
    folder, which the operator confirms. It raises ConfigError for what no command writes.
    """

    name: str
    most_bytes: int
    check: Callable[[bytes, str], object] | None = None
    merge: Callable[[Path, Path], None] | None = None
    gather: Callable[[Config], bytes] | None = None
    settings_in: Callable[[Path], Mapping[str, Any]] | None = None


class Feature(NamedTuple):
    """A feature in the list. Reading it loads nothing heavy: `open` imports its parts. Its section and its
    commands are beside it in the list, since a command needs them without it.

    Its tables exist even where it does not open. `paths` are the roots of its endpoints, below /v1 or /admin
    or neither. Roots of former versions are `removed`, each with a sentence. `missing_setting` returns the
    setting without which none of them answers, or "". `checks` check its requirements, and `text_checks`,
    printed last, the handling of texts. `doctor` has named checks of `voxgate doctor`. Commands load plugins
    if a feature `needs_plugins`.
    """

    name: str
    open: Callable[[AppContext], AbstractAsyncContextManager[FeatureInstance]]
    tables: Tables = ()
    paths: tuple[str, ...] = ()
    removed: tuple[tuple[str, str], ...] = ()
    missing_setting: Callable[[Config], str] = lambda _: ""
    backed_up: tuple[BackedUp, ...] = ()
    checks: tuple[Check, ...] = ()
    text_checks: tuple[Check, ...] = ()
    needs_plugins: Callable[[Config], bool] = lambda _: False
    doctor: tuple[tuple[str, Callable[[Config], Iterator[Finding]]], ...] = ()


def closed_paths(features: Sequence[Feature], config: Config) -> Mapping[str, tuple[str, bool]]:
    """Return the roots that do not answer, each with its sentence, and whether it was removed."""
    off = {
        root: (off_sentence(feature.name, setting), False)
        for feature in features
        if (setting := how_to_open(feature, config))
        for root in feature.paths
    }
    return off | {root: (text, True) for feature in features for root, text in feature.removed}


def open_feature_names(features: Sequence[Feature], config: Config) -> tuple[str, ...]:
    return tuple(feature.name for feature in features if not how_to_open(feature, config))


def how_to_open(feature: Feature, config: Config) -> str:
    """Return what an operator must do so that a feature answers, or "" if it does."""
    if feature.name in config.features_off:
        return how_to_turn_on(feature.name)
    return feature.missing_setting(config)


async def _refuse_features_with_rows(store: Store, off: Sequence[Feature]) -> None:
    """Raise StorageFailed if a feature that is off has rows: nothing would erase, settle or end them."""
    for feature in off:
        for table in feature.tables:
            (row,) = await store.read(f"SELECT count(*) AS number FROM {table.name}")
            if row["number"]:
                raise StorageFailed(
                    f"features.off has {feature.name}, whose table {table.name} has {row['number']} row(s), "
                    f"and a feature can be off only while it has none: {how_to_turn_on(feature.name)}"
                )


class OpenFeatures(NamedTuple):
    """The features, and the context with all their additions."""

    context: AppContext
    features: tuple[FeatureInstance, ...]

    def set_derived_things(self, things: DerivedData) -> None:
        """Tell all features where data is derived of voices: the kernel's, and that of all features."""
        memories = [memory for feature in self.features for memory in feature.memories]
        files = [each for feature in self.features for each in feature.files]
        all_things = DerivedData(
            (*things.memories, *memories), (*things.files, *files), things.drop, self._is_gone_remotely
        )
        for feature in self.features:
            feature.set_derived_things(all_things)

    async def _is_gone_remotely(self, voice: str) -> bool:
        return all([await feature.is_gone_remotely(voice) for feature in self.features])

    @property
    def task_kinds(self) -> list[Tasks]:
        return [kind for feature in self.features for kind in feature.task_kinds]

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for feature in self.features:
                await stack.enter_async_context(feature.while_serving())
            yield

    def additions_for(self, revision: RevisionContext) -> Additions:
        additions = [feature.additions_for(revision) for feature in self.features]
        return Additions(
            endpoints=[endpoint for each in additions for endpoint in each.endpoints],
            for_commands=[endpoint for each in additions for endpoint in each.for_commands],
            speech=SpeechAdditions.of_all(each.speech for each in additions),
            forms=next((each.forms for each in additions if each.forms is not None), None),
            background=next((each.background for each in additions if each.background is not None), None),
            sessions=next((each.sessions for each in additions if each.sessions is not None), None),
            dialects=[dialect for each in additions for dialect in each.dialects],
            sockets=[socket for each in additions for socket in each.sockets],
            pages=next((each.pages for each in additions if each.pages is not None), None),
        )


@asynccontextmanager
async def open_features(
    context: AppContext, features: Sequence[Feature], known: Sequence[Feature]
) -> AsyncIterator[OpenFeatures]:
    """Open features, each with the additions of earlier ones. They close in the opposite order.

    Raises StorageFailed if one that is `known`, and does not open, has rows.
    """
    await _refuse_features_with_rows(context.store, [each for each in known if each not in features])
    opened = []
    async with AsyncExitStack() as stack:
        for feature in features:
            opened.append(each := await stack.enter_async_context(feature.open(context)))
            for kind in each.task_kinds:
                stack.push_async_callback(kind.close)
            context = each.context
        yield OpenFeatures(context, tuple(opened))
