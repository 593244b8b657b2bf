"""The plugins: loaded, their sections readable, their environments built, and nothing of theirs missing."""

from __future__ import annotations

from collections.abc import Iterator

from proxy.config.config_toml import Config
from proxy.diagnosis.config_check import check_config
from proxy.diagnosis.doctor.result import Result, ok, wrong
from proxy.engines import registry
from proxy.engines.registry import EngineConfigError, Registry

_DO = {
    "plugin": "mend or uninstall the package that brings it",
    "engine": "mend the section in the config file, or do what it says",
    "default": "name a model and a voice that are configured",
}


def engines(config: Config) -> Iterator[Result]:
    loaded = registry.load()
    bad = [finding for finding in check_config(config, loaded) if not finding.ok]
    for finding in bad:
        yield wrong(finding.kind, _named(finding.name, finding.note), _DO.get(finding.kind, ""))
    sick = {finding.name for finding in bad if finding.kind == "engine"}
    for name in config.engines:
        if name not in sick:
            yield from _missing(config, loaded, name)


def _named(name: str, says: str) -> str:
    return says if name in says else f"{name}: {says}"


def _missing(config: Config, loaded: Registry, name: str) -> Iterator[Result]:
    section = config.engines[name]
    try:
        missing = loaded.missing(name, section)
    except EngineConfigError as error:
        yield wrong("engine", str(error), _DO["engine"])
        return
    yield from (wrong("engine", f"{name}: {lack.what}", lack.do) for lack in missing)
    if not missing:
        yield ok("engine", f"{name}: nothing is missing")
