"""Environments: for a plugin that lists packages of its own, the venv that its hosts run in.

A folder is named for a digest of all that it is built from, so it is exactly what the plugin asks for or it
is not used at all. This file knows and finds them; `environment_build` makes them.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import re
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from proxy import __version__
from proxy.errors import CommandRefused
from speech_engine import Hosted

MANIFEST = "environment.json"
_HOST_NEEDS = ("grpcio", "msgspec")
_HOST_MODULE = "speech_engine.host.server"

# A name, extras, and a version, an address or a marker. What begins with a hyphen would be an option.
_PACKAGE = re.compile(r"[A-Za-z0-9][\w.-]*\s*(\[[\w.,\s-]*\])?\s*((\(|[<>=!~@;]).*)?")
_MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


class EnvironmentRefused(CommandRefused):
    """What a plugin asks for cannot be built; the message says what to mend."""


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """All that an environment is built from. Two equal recipes make the same environment.

    `links` are import packages that are put in as they lie in the server: voxgate's own and the plugin's,
    by name and place. So a host never runs other code than its server. `imports` must work at the end.
    """

    plugin: str
    packages: tuple[str, ...]
    constraints: str = ""
    imports: tuple[str, ...] = ()
    links: dict[str, str] = {}
    voxgate: str = __version__
    python: str = f"{sys.implementation.cache_tag}-{sysconfig.get_platform()}"
    torch: str = ""

    @property
    def digest(self) -> str:
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()[:12]

    @property
    def name(self) -> str:
        """Its folder's. The digest covers the plugin's name, which need not be fit for a path."""
        return f"{re.sub(r'[^A-Za-z0-9._-]', '_', self.plugin)}-{self.digest}"


class Environment(NamedTuple):
    """One that has been built."""

    recipe: Recipe
    folder: Path

    @property
    def interpreter(self) -> str:
        return str(self.folder / "bin" / "python")

    @property
    def is_whole(self) -> bool:
        """False where the Python it was made with has gone, as after an upgrade of the system."""
        return os.access(self.interpreter, os.X_OK)

    def size_bytes(self) -> int:
        """What its files take; what is linked is not its own."""
        walked = ((Path(folder), files) for folder, _, files in os.walk(self.folder))
        return sum((folder / file).lstat().st_size for folder, files in walked for file in files)


def root() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (cache if cache.is_absolute() else Path.home() / ".cache") / "voxgate" / "environments"


def recipe(plugin: str, hosted: Hosted, torch: str = "") -> Recipe:
    """What a plugin's environment would be built from here and now; raises EnvironmentRefused."""
    for package in hosted.packages:
        if not _PACKAGE.fullmatch(package) or "\n" in package:
            raise EnvironmentRefused(f"{plugin}: {package!r} is not a package as in 'name>=1.0'")
    for module in (hosted.module, *hosted.imports):
        if not _MODULE.fullmatch(module):
            raise EnvironmentRefused(f"{plugin}: {module!r} is not the name of a module")
    top = hosted.module.partition(".")[0]
    return Recipe(
        plugin=plugin,
        packages=(*_host_packages(), *hosted.packages),
        constraints=_constraints(plugin, hosted),
        imports=(_HOST_MODULE, *hosted.imports, hosted.module),
        links={name: str(_place(plugin, name)) for name in ("speech_engine", top)},
        torch=torch,
    )


def built(wanted: Recipe) -> Environment | None:
    """The newest environment that is what is wanted, in whichever variant of torch it was built."""
    fitting = [found for found in every() if found.is_whole and is_current(found, wanted)]
    return max(fitting, key=lambda found: (found.folder / MANIFEST).stat().st_mtime_ns, default=None)


def is_current(found: Environment, wanted: Recipe) -> bool:
    return msgspec.structs.replace(wanted, torch=found.recipe.torch) == found.recipe


def every() -> Iterator[Environment]:
    """All that were built to the end, by name."""
    for manifest in sorted(root().glob(f"*/{MANIFEST}")):
        try:
            made = msgspec.json.decode(manifest.read_bytes(), type=Recipe)
        except (OSError, msgspec.MsgspecError):
            continue  # removed meanwhile, or of a version that wrote other recipes
        if manifest.parent.name == made.name:
            yield Environment(made, manifest.parent)


def interpreter(plugin: str, hosted: Hosted) -> str:
    """The Python that a plugin's hosts run under; raises EnvironmentRefused while there is none."""
    if not hosted.packages:
        return sys.executable
    found = built(recipe(plugin, hosted))
    if found is None:
        raise EnvironmentRefused(f"run: voxgate env build {plugin}")
    return found.interpreter


def _host_packages() -> tuple[str, ...]:
    """What the host protocol needs, in the versions that this voxgate takes."""
    required = importlib.metadata.requires("voxgate") or []
    return tuple(line for line in required if re.split(r"[^\w.-]", line, maxsplit=1)[0] in _HOST_NEEDS)


def _place(plugin: str, name: str) -> Path:
    """Where a top-level module or package lies, without importing it."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None or not spec.has_location:
        raise EnvironmentRefused(f"{plugin}: there is no module or package {name!r} with files of its own")
    origin = Path(spec.origin)
    return origin.parent if spec.submodule_search_locations else origin


def _constraints(plugin: str, hosted: Hosted) -> str:
    if not hosted.constraints:
        return ""
    top, *inner = hosted.module.split(".")
    place = _place(plugin, top)
    folder = place.joinpath(*inner[:-1]) if inner else place.parent
    file = folder / hosted.constraints
    try:
        return file.read_text()
    except (OSError, ValueError) as error:
        raise EnvironmentRefused(f"{plugin}: its constraints cannot be read: {file}: {error}") from None
