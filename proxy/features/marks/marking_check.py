"""`voxgate check`: what tells that a machine spoke, of which engines, and what is left to their providers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from policies.routing import Model
from proxy.config import addresses
from proxy.config.config_toml import Config
from proxy.config.finding import Finding, ProbeResults, note, ok, wrong
from proxy.engines.environments import EnvironmentRefused
from proxy.engines.registry import EngineConfigError, Registry
from proxy.features.marks import receipt_keys
from proxy.features.marks.answer_marks import MarkRequest, hosted_parts
from proxy.features.marks.marker import KEYS_FILE
from proxy.features.marks.rules import MarkingRules
from proxy.features.marks.section import MARKING
from proxy.kept.key_ring import UnusableKeys, parse_keys
from speech_engine import Hosted

_WHAT = "marking"


def marking(config: Config, registry: Registry, results: ProbeResults) -> Iterator[Finding]:
    section = MARKING.of(config)
    of_mark = [*_mark(config, registry), *_keys(config)]
    yield from of_mark
    # Where the mark is off or cannot be made, no speech is said to have it.
    is_made = bool(section.mark) and not any(each.verdict == "wrong" for each in of_mark)
    marked = [name for name in config.engines if _is_marked(config, results, name)]
    unknown = [name for name in config.engines if _is_unknown(config, registry, results, name)]
    if is_made:
        if marked or not unknown:
            yield ok(_WHAT, f"speech of {', '.join(marked) or 'no engine here'} is marked", name=section.mark)
        if unknown:
            found = f"what {', '.join(unknown)} say is marked if it is speech, which they tell when they run"
            yield ok(_WHAT, found, name="unknown")
    if left := [name for name in config.engines if name not in marked and _is_left(config, registry, name)]:
        found = f"speech of {', '.join(left)} is left as it comes: its provider may mark it, or not"
        do = "marking = true in its section marks it here; encoding it anew loses a provider's own manifest"
        yield note(_WHAT, found, do, name="providers")


def _mark(config: Config, registry: Registry) -> Iterator[Finding]:
    name = MARKING.of(config).mark
    if name and name not in registry.plugins("mark"):
        known = ", ".join(registry.plugins("mark")) or "none"
        found = f"marking.mark: {name} is not installed, so nothing due is spoken; known: {known}"
        yield wrong(_WHAT, found, name=name)
    elif not name:
        yield note(_WHAT, 'marking.mark = "": no sound has an inaudible mark', name="none")
    else:
        yield from _process(config, registry, name)
    for other in config.plugins_of("mark"):
        if other != name:
            yield note(_WHAT, f"[marks.{other}] has no effect: marking.mark is {name!r}", name=other)


def _process(config: Config, registry: Registry, name: str) -> Iterator[Finding]:
    """Judge what the process of a mark needs, if it has one."""
    hosted = registry.plugins("mark")[name].create
    if not isinstance(hosted, Hosted):
        return
    try:
        hosted_parts(registry, MarkRequest(name, config.plugin("mark", name), {}, config.data), hosted)
    except (EngineConfigError, EnvironmentRefused) as refused:
        yield wrong(_WHAT, f"nothing due is spoken: {refused}", name=name)


def _keys(config: Config) -> Iterator[Finding]:
    """Judge the keys, as far as that makes no file."""
    section, file = MARKING.of(config), Path(config.data) / KEYS_FILE
    receipt_file = Path(config.data) / receipt_keys.KEYS_FILE
    for key, text, kept in (
        ("keys", section.keys, file),
        ("receipt_keys", section.receipt_keys, receipt_file),
    ):
        yield from _text(f"marking.{key}", text) if text else _file(kept)
    if section.mark and not section.keys and addresses.is_postgres(config.storage.url):
        found = f"the keys of marks are in {file}; another machine with this database would have its own"
        yield note(_WHAT, found, "give all machines the same marking.keys and marking.receipt_keys")


def _file(file: Path) -> Iterator[Finding]:
    """Judge a file that the first start makes. The folder is judged elsewhere."""
    try:
        text = file.read_text("ascii", "replace")
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        found = f"{file} cannot be read: {error.strerror}"
        yield wrong(_WHAT, found, "let the server's user read it", name=str(file))
    else:
        yield from _text(str(file), text)


def _text(where: str, text: str) -> Iterator[Finding]:
    try:
        ring = parse_keys(text, where)
    except UnusableKeys as error:
        yield wrong(_WHAT, str(error), name=where)
    else:
        yield ok(_WHAT, f"newest key {ring.newest.id}, {len([*ring]) - 1} older", name=where)


def _is_marked(config: Config, results: ProbeResults, name: str) -> bool:
    """Tell whether an engine's speech is marked, as far as that is known."""
    said = config.engines[name].marking
    if said is not None:
        return said
    return any(MarkingRules().is_due(Model(name, info)) for info in results.models.get(name, ()))


def _is_unknown(config: Config, registry: Registry, results: ProbeResults, name: str) -> bool:
    """Tell whether an engine is on this machine, and does not run, so that its sound may be speech or not."""
    is_told = config.engines[name].marking is not None or name in results.models
    return not is_told and _is_hosted(config, registry, name)


def _is_left(config: Config, registry: Registry, name: str) -> bool:
    return config.engines[name].marking is None and not _is_hosted(config, registry, name)


def _is_hosted(config: Config, registry: Registry, name: str) -> bool:
    plugin = registry.plugins("engine").get(config.engines[name].plugin)
    return plugin is not None and isinstance(plugin.create, Hosted)
