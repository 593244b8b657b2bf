"""The note of a fetch beside a server: a file in which workers read how far it is, or why it has failed."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from proxy.config.sections import Config
from proxy.engines.engine_list import Engines
from proxy.engines.source import WITHOUT_HOSTS, EngineWithHosts
from proxy.features.models.listing import FIRST, GalleryModel
from proxy.hosts.environments.environment_build import BuildProgress
from proxy.hosts.stored_models import FETCH_NOTE, FETCH_SILENT_S, ModelStore
from speech_engine.host.pipe_messages import HostState

OWN_NOTE = ".fetch-own"
"""The name of the note of a fetch of own voices, beside that of the natural ones."""
_UNSEEN_S = 10.0
"""A supervisor has seen what was fetched, or still refuses it, this long after the note has gone."""
_BEGUN_PART = 0.02
"""The part of the bytes after which a fetch is noted: until then the fault of an earlier one stays."""
_SHORTEST_S, _LONGEST_S = 5.0, 60.0
"""The bounds of what clients are told to wait. Told of more, OpenAI's SDKs ask again within seconds."""


class Note(msgspec.Struct, frozen=True):
    """The content of the file. A `fault` is that of the last fetch. `command` is what fetches it by hand."""

    plugins: tuple[str, ...]
    languages: tuple[str, ...]
    command: str = "voxgate voices natural"
    part: float = 0.0
    left_s: float = _LONGEST_S
    fault: str = ""

    def state_of(self, engine: str) -> HostState:
        if self.fault:
            return HostState(engine, 0, 0, "failed", self.fault)
        left_s = min(max(self.left_s, _SHORTEST_S), _LONGEST_S)
        return HostState(
            engine, 0, 0, "installing", f"{self.part:.0%} is fetched", loaded=self.part, loads_s=left_s
        )


class FetchNote:
    """Writes the note of a fetch of these models. `build` and `fetch` are those of a `ProgressLine`."""

    def __init__(self, data: str, listed: Sequence[GalleryModel], name: str = FETCH_NOTE) -> None:
        plugins = tuple([each.plugin for each in listed])
        languages = tuple([tag for each in listed for tag in each.entry.languages])
        self._note = Note(plugins, languages, command_for(listed))
        packages = [each for one in listed for each in one.entry.packages]
        files = [each for one in listed for each in one.entry.files if each.urls]
        self._bytes = {f"{each.package} {each.version}": each.size for each in packages}
        self._bytes |= {each.name: each.size for each in files}
        self._done: dict[str, int] = {}
        self._built, self._began = 0.0, time.monotonic()
        self._touched_at = self._began
        self._path = note_path(data, name)
        self.is_fetched = self.is_built = False

    def fetch(self, what: str, done: int, _of: int) -> None:
        self._touch()
        if what in self._bytes:
            self._done[what] = max(done, self._done.get(what, 0))
            self._note_part()

    def build(self, progress: BuildProgress) -> None:
        self._touch()
        share = min(1.0, progress.packages / progress.of_packages) if progress.of_packages else 0.0
        self._built = max(self._built, (progress.step - 1 + share) / max(1, progress.of_steps))
        self._note_part()

    def _touch(self) -> None:
        """Show that the fetch still runs: a percent may take minutes."""
        if time.monotonic() >= self._touched_at + 1.0:
            self._touched_at = time.monotonic()
            with suppress(OSError):
                os.utime(self._path)

    def _note_part(self) -> None:
        fetched = min(1.0, sum(self._done.values()) / max(1, sum(self._bytes.values())))
        fetched, built = 1.0 if self.is_fetched else fetched, 1.0 if self.is_built else self._built
        # The import follows, and is short.
        part = round(0.95 * (fetched + built) / 2, 2)
        if fetched >= _BEGUN_PART and part > self._note.part:
            new = part - 0.475 * (self.is_built + self.is_fetched)  # what was there took no time
            self.write_note(part, left_s=(time.monotonic() - self._began) * (1 - part) / max(new, 0.01))

    def write_note(self, part: float = 0.0, *, left_s: float = _LONGEST_S, fault: str = "") -> None:
        self._note = msgspec.structs.replace(self._note, part=part, left_s=left_s, fault=fault)
        with suppress(OSError):  # of a full disk, the fetch itself tells
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            temporary = self._path.with_suffix(".new")
            temporary.write_bytes(msgspec.json.encode(self._note))
            temporary.rename(self._path)

    def remove_note(self) -> None:
        self._path.unlink(missing_ok=True)


def command_for(listed: Sequence[GalleryModel], natural: str = "voxgate voices natural") -> str:
    """Return the command that fetches these models: `natural` fetches the first ones alone."""
    is_first = all(each.name in FIRST for each in listed)
    return (
        natural if is_first else " && ".join(each.command_of(f"models pull {each.name}") for each in listed)
    )


def note_path(data: str, name: str = FETCH_NOTE) -> Path:
    return ModelStore(data).folder / name


def read_note(path: Path) -> Note | None:
    """Return the note of a fetch that runs or has failed, if there is one."""
    try:
        note = msgspec.json.decode(path.read_bytes(), type=Note)
        is_silent = time.time() - path.stat().st_mtime > FETCH_SILENT_S
    except (OSError, msgspec.MsgspecError):
        return None
    broken = f"its fetch was broken off; run: {note.command}"
    return msgspec.structs.replace(note, fault=broken) if is_silent and not note.fault else note


class FetchWatch:
    """Tells a worker's engines how far they are fetched, as long as they have not started. An engine that
    does not start afterwards is again in the state it had."""

    def __init__(self, engines: Engines, config: Config) -> None:
        self._engines = engines
        self._path = note_path(config.data)
        self._plugins = {name: section.plugin for name, section in config.engines.items()}
        self._before: dict[str, tuple[HostState, float]] = {}
        """The state of each engine before its fetch, and when the fetch was last seen."""

    async def show_progress(self) -> None:
        names = self._engines.unknown_engines()
        note = await asyncio.to_thread(read_note, self._path) if names else None
        for name in names:
            engine = self._engines[name]
            if isinstance(engine, WITHOUT_HOSTS) or (state := engine.states.get(0)) is None:
                continue
            if any(each.generation for each in engine.states.values()):
                continue
            before, seen_at = self._before.get(name, (state, 0.0))
            if note is not None and self._plugins[name] in note.plugins:
                self._before[name] = before, time.monotonic()
                _show(engine, note.languages, note.state_of(name))
            elif seen_at and time.monotonic() >= seen_at + _UNSEEN_S:
                del self._before[name]
                _show(engine, (), before)


def _show(engine: EngineWithHosts, languages: tuple[str, ...], state: HostState) -> None:
    if engine.fetched_languages != languages:
        engine.fetched_languages = languages
        engine.on_models_changed()
    engine.update_host(state)
