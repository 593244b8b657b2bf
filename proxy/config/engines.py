"""Read [engines.NAME], and [KINDs.NAME] of other plugins: the settings of the server and of the plugins.

A cloud engine may have several accounts at its provider, and several API keys of each.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec

from policies.price import PerUnit, Rate
from proxy.config import fields
from proxy.config.reader import ConfigError, Reader
from proxy.config.secret import resolve
from proxy.config.sections import EngineSection, PluginSection

API_KEY = "api_key"
DEFAULT_CREDENTIAL = "default"
"""The label of the account to which an engine's plain `api_key` belongs."""

RUNNERS = "runners"

_TABLE_KEYS = {"costs", "credentials"}
_LABEL = re.compile(r"[A-Za-z0-9_-]{1,64}")


class CostSection(msgspec.Struct, frozen=True):
    """One model's line in `costs`, as the file has it."""

    usd: Annotated[float, msgspec.Meta(ge=0, le=1_000_000, description="US dollars, 0 to 1000000")]
    per: Annotated[
        PerUnit, msgspec.Meta(description='"second", "minute", "hour", "character", "unit" or "job"')
    ]


def read_engines(
    reader: Reader, value: object, environ: Mapping[str, str], folder: Path
) -> dict[str, EngineSection]:
    server_keys = {field.key for field in fields.fields_of(EngineSection)} - {"settings", "fault"}
    engines: dict[str, EngineSection] = {}
    for name, section in reader.table(value, "engines").items():
        key = f"engines.{name}"
        table = reader.table(section, key)
        if "/" in name or name != name.lower():
            reader.fault(key, "an engine's name must be lower case, without a slash")
        common = {"plugin": name, **{k: v for k, v in table.items() if k in server_keys - _TABLE_KEYS}}
        settings = {k: v for k, v in table.items() if k not in server_keys}
        settings, fault = resolve_settings(reader, settings, key, environ, folder)
        credentials, fault_of_credentials = _read_credentials(reader, table, key, environ, folder)
        engines[name] = msgspec.structs.replace(
            reader.struct(EngineSection, common, key) or EngineSection(plugin=name),
            costs=_read_costs(reader, table, f"{key}.costs"),
            credentials=credentials,
            settings=settings,
            fault=fault or fault_of_credentials,
        )
    return engines


def _read_credentials(
    reader: Reader, engine: Mapping[str, Any], engine_key: str, environ: Mapping[str, str], folder: Path
) -> tuple[dict[str, dict[str, Any]], str]:
    """Read [engines.NAME.credentials.LABEL]. The second value names a missing secret, or is "".

    A missing secret does not drop its label: voices that belong to it would be taken for lost.
    """
    found: dict[str, dict[str, Any]] = {}
    first_fault = ""
    for label, table in reader.table(engine.get("credentials", {}), f"{engine_key}.credentials").items():
        key = f"{engine_key}.credentials.{label}"
        if not _LABEL.fullmatch(label):
            reader.fault(key, "a label has at most 64 letters, digits, - and _")
        if label == DEFAULT_CREDENTIAL and API_KEY in engine:
            reader.fault(key, f"{engine_key}.{API_KEY} is this credential already; remove one of the two")
        found[label], fault = resolve_settings(reader, reader.table(table, key), key, environ, folder)
        first_fault = first_fault or fault
    return found, first_fault


def resolve_settings(
    reader: Reader, settings: dict[str, Any], key: str, environ: Mapping[str, str], folder: Path
) -> tuple[dict[str, Any], str]:
    """Replace env: and file: by the secrets that they name.

    The second value names a missing secret, or is "". Without its secret, only this plugin does not serve.
    """
    for faulty_key in fields.find_too_large(settings, key):
        reader.fault(faulty_key, "must be a number that fits 64 bits")

    def resolve_value(value: Any) -> Any:
        if isinstance(value, str):
            return resolve(value, environ, folder)
        return [resolve_value(each) for each in value] if isinstance(value, list) else value

    resolved: dict[str, Any] = {}
    for name, value in settings.items():
        try:
            resolved[name] = resolve_value(value)
        except ConfigError as error:
            return settings, f"{key}.{name}: {error}"
    return resolved, ""


def _read_costs(reader: Reader, engine: Mapping[str, Any], key: str) -> dict[str, Rate]:
    costs: dict[str, Rate] = {}
    for model, value in reader.table(engine.get("costs", {}), key).items():
        section = reader.section(CostSection, value, f"{key}.{model}")
        if section is not None:
            costs[model] = Rate(section.usd, section.per)
    return costs


def read_plugins(
    reader: Reader, value: object, kind: str, environ: Mapping[str, str], folder: Path
) -> dict[str, PluginSection]:
    """Read the sections of one kind, such as [front_ends.NAME].

    Only the plugin knows its settings. `voxgate check` and the start of the server report wrong ones.
    """
    sections: dict[str, PluginSection] = {}
    for name, table in reader.table(value, kind).items():
        key = f"{kind}.{name}"
        settings, fault = resolve_settings(reader, reader.table(table, key), key, environ, folder)
        plugin = settings.pop("plugin", "") if kind == RUNNERS else ""
        if not isinstance(plugin, str):
            reader.fault(f"{key}.plugin", "must be a text in quotes")
            plugin = ""
        sections[name] = PluginSection(fault, settings, plugin)
    return sections


def check_runners(
    reader: Reader, engines: Mapping[str, EngineSection], runners: Mapping[str, PluginSection]
) -> None:
    """Report faults of engines with a runner. Rented time costs money without supervision, so the budget of a
    day is required."""
    for name, section in engines.items():
        key = f"engines.{name}"
        if not section.runner:
            continue
        if section.runner not in runners:
            reader.fault(f"{key}.runner", f"there is no [{RUNNERS}.{section.runner}]")
        if section.budget_usd_day is None:
            reader.fault(f"{key}.budget_usd_day", "is missing: what a runner may cost in a day")
        if section.costs:
            reader.fault(f"{key}.costs", f"must be left out: {section.runner} says what its work has cost")


def credentials_of(section: EngineSection) -> tuple[str, ...]:
    """Return the labels of a cloud engine's accounts, also of accounts whose secrets are missing."""
    return (*([DEFAULT_CREDENTIAL] if _has_default(section) else ()), *section.credentials)


def _has_default(section: EngineSection) -> bool:
    return API_KEY in section.settings or not section.credentials


class KeySettings(NamedTuple):
    """The settings with one API key. `section_suffix` follows `engines.NAME` in the name of its section."""

    credential: str
    section_suffix: str
    raw: Mapping[str, Any]


def settings_by_key(type_: type[msgspec.Struct], section: EngineSection) -> list[KeySettings]:
    """Return the settings once for each API key: first of the section itself, then of each credential.

    A credential's settings override the section's. An operator may write a list of keys as `api_key`.
    """
    found: list[KeySettings] = []
    if _has_default(section):
        found += _settings_of_each_key(type_, DEFAULT_CREDENTIAL, "", section.settings)
    for label, settings in section.credentials.items():
        found += _settings_of_each_key(
            type_, label, f".credentials.{label}", {**section.settings, **settings}
        )
    return found


def _settings_of_each_key(
    type_: type[msgspec.Struct], credential: str, section_suffix: str, raw: Mapping[str, Any]
) -> list[KeySettings]:
    keys = raw.get(API_KEY)
    takes_one_key = any(field.key == API_KEY and field.type is str for field in fields.fields_of(type_))
    if not takes_one_key or not isinstance(keys, list) or not keys:
        return [KeySettings(credential, section_suffix, raw)]
    return [KeySettings(credential, section_suffix, {**raw, API_KEY: key}) for key in keys]
