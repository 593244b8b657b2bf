"""The checks of the installation: Python, the versions of packages, and the plugins' needs.

Versions are read from the installer's records, so the checks work even if an import would fail.
"""

from __future__ import annotations

import operator
import platform
import re
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import NamedTuple

from policies.retirement import WARNED_DAYS
from proxy.config.config_toml import Config
from proxy.config.finding import Finding, note, ok, wrong
from proxy.diagnosis.config_check import check_config
from proxy.diagnosis.model_check import RETIREMENT, check_retirements
from proxy.engines import registry
from proxy.engines.engine_models import StoredModel
from proxy.hosts.stored_models import ModelRefused, ModelStore, model_names, verify
from speech_engine.licences import terms_of
from speech_engine.model_files import ModelManifest, UnusableModel

DISTRIBUTION = "voxgate"
_READ_S = 8.0
_REINSTALL = "install voxgate again: make install, or pip install --upgrade voxgate"

_REMEDIES = {
    "plugin": "mend or uninstall its package",
    "engine": "mend the section in the config file, or follow the message",
    "default": "name a model and a voice that are configured",
}

_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)\s*(\[[^\]]*\])?\s*(?P<bounds>[^;]*)(;\s*(?P<marker>.*))?")
_BOUND = re.compile(r"\s*(>=|<=|==|!=|<|>)\s*(\d+(?:\.\d+)*)\s*")
_COMPARE: dict[str, Callable[[tuple[int, ...], tuple[int, ...]], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}


class Requirement(NamedTuple):
    """A package that the server itself needs, and the bounds of its version."""

    name: str
    bounds: str

    def admits(self, version: str) -> bool:
        has = _release(version)
        return all(_COMPARE[sign](has, _release(bound)) for sign, bound in _BOUND.findall(self.bounds))


def python() -> Iterator[Finding]:
    has = platform.python_version()
    installed = _distribution()
    bounds = (installed and installed.metadata["Requires-Python"]) or ""
    if Requirement("Python", bounds).admits(has):
        yield ok("python", has)
    else:
        yield wrong("python", f"{has}, voxgate needs {bounds}", "make install PYTHON=/path/to/such/a/python")


def packages() -> Iterator[Finding]:
    if _distribution() is None:
        yield wrong("packages", "voxgate is not installed here, and so no plugin is", _REINSTALL)
        return
    needed = requirements()
    faults = [fault for requirement in needed if (fault := _fault(requirement))]
    yield from (wrong("packages", fault, _REINSTALL) for fault in faults)
    if not faults:
        yield ok("packages", f"{len(needed)} installed, in versions that fit")


def requirements() -> list[Requirement]:
    """Return the packages that the server needs, without those of extras, which plugins need."""
    found = []
    installed = _distribution()
    for line in (installed and installed.requires) or ():
        match = _REQUIREMENT.fullmatch(line)
        if match is not None and "extra" not in (match["marker"] or ""):
            found.append(Requirement(match["name"], match["bounds"].strip(" ()")))
    return found


def _fault(requirement: Requirement) -> str:
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return f"{requirement.name} is missing"
    if requirement.admits(version):
        return ""
    return f"{requirement.name} is {version}, voxgate needs {requirement.bounds}"


def _distribution() -> metadata.Distribution | None:
    return next(iter(metadata.distributions(name=DISTRIBUTION)), None)


def _release(version: str) -> tuple[int, ...]:
    """Return the numbers of a version, without zeros at the end and without rc1 or +cpu: 2.0 equals 2."""
    match = re.match(r"\d+(\.\d+)*", version)
    numbers = [int(part) for part in match[0].split(".")] if match else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def engines(config: Config) -> Iterator[Finding]:
    loaded = registry.load()
    findings = check_config(config, loaded)
    bad = [each for each in findings if each.verdict == "wrong" and each.what != RETIREMENT]
    for each in bad:
        found = each.found if each.name in each.found else f"{each.name}: {each.found}"
        yield wrong(each.what, found, each.do or _REMEDIES.get(each.what, ""))
    sick = {finding.name for finding in bad if finding.what == "engine"}
    yield from (ok("engine", f"{name}: nothing is missing") for name in config.engines if name not in sick)


def ending_models(config: Config) -> Iterator[Finding]:
    """Look for models that a provider switches off soon."""
    found = list(check_retirements(config, registry.load(), {}))
    yield from found or (ok(RETIREMENT, f"no model is known to end within {WARNED_DAYS} days"),)


def models(config: Config) -> Iterator[Finding]:
    """Read the imported models that engines name, and compare each file with its stored digest."""
    store = ModelStore(config.data)
    for name in _engines_by_model(config):
        try:
            model = store.stored_model(name)
        except UnusableModel:
            continue  # the check of the engines reports it
        if model is not None:
            yield _file_finding(model)


def licences(config: Config) -> Iterator[Finding]:
    """Name the imported models that may not be sold, also models without an engine.

    A model needs no action if its engines have a basis for paid use, or if natural.toml alone names it: plans
    with a price do not get such a model.
    """
    stored = (model for model in ModelStore(config.data).every() if isinstance(model, StoredModel))
    found = [model.manifest for model in stored if model.is_current]
    unpaid = [each for each in found if not terms_of(each.bound_by).paid_use]
    engines_by_model = _engines_by_model(config)
    unsettled = [each for each in unpaid if not _is_settled(config, engines_by_model.get(each.name, []))]
    if unsettled:
        do = "sell with other models (voxgate models search --paid), or say why you may: paid_use_basis"
        yield note("licence", f"what these models say is not for sale: {_licences(unsettled)}", do)
    elif unpaid:
        yield ok("licence", f"nobody pays for these models, or you said why they may: {_licences(unpaid)}")
    elif found:
        yield ok("licence", "what the imported models say may be sold")


def _is_settled(config: Config, engines: list[str]) -> bool:
    return bool(engines) and all(
        config.engines[name].paid_use_basis or f"engines.{name}" in config.natural for name in engines
    )


def _licences(manifests: list[ModelManifest]) -> str:
    return ", ".join(f"{each.name} ({each.bound_by})" for each in manifests)


def _engines_by_model(config: Config) -> dict[str, list[str]]:
    """Return the imported models that engines name, each with its engines."""
    plugins = registry.load().plugins("engine")
    engines_by_model: dict[str, list[str]] = {}
    for engine, section in config.engines.items():
        format_ = plugins[section.plugin].model_format if section.plugin in plugins else None
        for name in model_names(section, format_, config.data):
            engines_by_model.setdefault(name, []).append(engine)
    return engines_by_model


def _file_finding(model: StoredModel) -> Finding:
    """Read a model, for as long as the doctor waits: a slow disk needs more time for large files."""
    name, until = model.manifest.name, time.monotonic() + _READ_S

    def stop_when_late(_what: str, _done: int, _of: int) -> None:
        if time.monotonic() > until:
            raise ModelRefused(f"{name}: too large to be read whole here; the sizes are right")

    try:
        fault = verify(model, stop_when_late)
    except ModelRefused as refused:
        do = f"voxgate models verify {name} has the time"
        return note("model", str(refused), do)
    if fault:
        return wrong("model", fault, "import the model again: voxgate models import")
    return ok("model", f"{name}: all its files are whole")
