"""Environments: the venvs for the hosts of plugins that list packages of their own.

A folder's name has a digest of everything that it is built from. So an environment either fits a plugin
exactly, or it is not used; plugins that list the same packages share one. This file finds environments;
`environment_build` makes them.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

import msgspec

from proxy import __version__
from proxy.errors import CommandRefused
from speech_engine import Hosted

MANIFEST = "environment.json"
_HOST_NEEDS = ("grpcio", "msgspec")
_HOST_MODULE = "speech_engine.host.server"
_OWN = "speech_engine"
"""Every view has a link to it. Its place tells one installation from another."""
_VIEWS = "installations"
_GUESTS = "plugins"
"""In a view: a file for each plugin that runs there, with the imports that were tried for it."""
_LONGEST_NAME = 60
_SITE = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"

# A name, extras, and a version, an address or a marker. A leading hyphen would make it an option.
_PACKAGE = re.compile(r"[A-Za-z0-9][\w.-]*\s*(\[[\w.,\s-]*\])?\s*((\(|[<>=!~@;]).*)?")
_MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


class EnvironmentRefused(CommandRefused):
    """The environment of a plugin cannot be built; the message has the remedy."""


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that an environment is built from. Two recipes with one digest make the same environment.

    `plugin`, `imports` and `links` belong to one plugin and are not part of the digest: plugins with the same
    packages share an environment, and so do installations. `imports` must work in it. `links` are import
    packages of this installation, by name and place: voxgate's own and the plugin's, see `view`.
    """

    packages: tuple[str, ...]
    plugin: str = ""
    bare: tuple[str, ...] = ()
    constraints: str = ""
    imports: tuple[str, ...] = ()
    links: dict[str, str] = {}
    voxgate: str = __version__
    python: str = f"{sys.implementation.cache_tag}-{sysconfig.get_platform()}"
    torch: str = ""

    @property
    def shared(self) -> Recipe:
        """The recipe without the parts that belong to one plugin or installation."""
        return msgspec.structs.replace(self, plugin="", imports=(), links={})

    @property
    def digest(self) -> str:
        return _digest(self.shared)

    @property
    def name(self) -> str:
        """The name of the folder: its packages for a reader, and the digest, which identifies it."""
        named = [_project(package) for package in (*self.packages, *self.bare)]
        own = [name for name in named if name not in _HOST_NEEDS]
        return f"{'-'.join(own)[:_LONGEST_NAME] or 'host'}-{self.digest}"


class Environment(NamedTuple):
    """An environment that was built. Its recipe names a plugin only if an older version built it."""

    recipe: Recipe
    folder: Path

    @property
    def interpreter(self) -> str:
        return str(self.folder / "bin" / "python")

    @property
    def is_whole(self) -> bool:
        """False if its Python is gone, for example after an upgrade of the system."""
        return os.access(self.interpreter, os.X_OK)

    @property
    def is_ours(self) -> bool:
        """True if no other existing installation of voxgate uses it.

        Installations of one user share the folder, and hosts of another one may run in it.
        """
        own = _place(_OWN, _OWN)
        links = self.folder.glob(f"{_VIEWS}/*/{_SITE}/{_OWN}")
        return all(link.readlink() == own for link in links if link.exists())

    @property
    def plugins(self) -> frozenset[str]:
        """The plugins that run or ran in it, also those of installations that are gone."""
        guests = (path.name for path in self.folder.glob(f"{_VIEWS}/*/{_GUESTS}/*"))
        return frozenset(map(unquote, guests)) | ({self.recipe.plugin} - {""})

    def size_bytes(self) -> int:
        walked = ((Path(folder), files) for folder, _, files in os.walk(self.folder))
        return sum((folder / file).lstat().st_size for folder, files in walked for file in files)


def root() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (cache if cache.is_absolute() else Path.home() / ".cache") / "voxgate" / "environments"


def recipe(plugin: str, hosted: Hosted, torch: str = "") -> Recipe:
    """Return what a plugin's environment would be built from now. Raise EnvironmentRefused."""
    for package in (*hosted.packages, *hosted.bare):
        if not _PACKAGE.fullmatch(package) or "\n" in package:
            raise EnvironmentRefused(f"{plugin}: {package!r} is not a package as in 'name>=1.0'")
    modules = (hosted.module, *((hosted.trainer,) if hosted.trainer else ()))
    for module in (*modules, *hosted.imports):
        if not _MODULE.fullmatch(module):
            raise EnvironmentRefused(f"{plugin}: {module!r} is not the name of a module")
    top = hosted.module.partition(".")[0]
    return Recipe(
        plugin=plugin,
        packages=(*_host_packages(), *hosted.packages),
        bare=hosted.bare,
        constraints=_constraints(plugin, hosted),
        imports=(_HOST_MODULE, *hosted.imports, *modules),
        links={name: str(_place(plugin, name)) for name in (_OWN, top)},
        torch=torch,
    )


def view(found: Environment, links: Mapping[str, str]) -> str:
    """Return the Python that has an environment's packages and these import packages of an installation.

    It is a small folder inside the environment. So a host never runs other code than its server, and two
    checkouts need the packages only once.
    """
    folder = found.folder / _VIEWS / _digest(links)
    if not folder.exists():
        folder.parent.mkdir(exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=".", dir=folder.parent))
        (made / "bin").mkdir()
        (made / "bin" / "python").symlink_to("../../../bin/python")
        shutil.copyfile(found.folder / "pyvenv.cfg", made / "pyvenv.cfg")
        site = made / _SITE
        site.mkdir(parents=True)
        for name, place in links.items():
            (site / (name if Path(place).is_dir() else Path(place).name)).symlink_to(place)
        # Relative to itself, because the folder of a build gets its name at the end.
        packages = f"import site, sys; site.addsitedir(sys.prefix + '/../../{_SITE}')\n"
        (site / "packages.pth").write_text(packages)
        try:
            made.rename(folder)
        except OSError:
            shutil.rmtree(made)  # another build has made it meanwhile
    return str(folder / "bin" / "python")


def find_built(recipe: Recipe) -> Environment | None:
    """Return the newest environment of this recipe, with any variant of torch."""
    fitting = [found for found in every() if found.is_whole and is_current(found, recipe)]
    return max(fitting, key=lambda found: (found.folder / MANIFEST).stat().st_mtime_ns, default=None)


def is_current(found: Environment, recipe: Recipe) -> bool:
    return msgspec.structs.replace(recipe, torch=found.recipe.torch).shared == found.recipe.shared


def every() -> Iterator[Environment]:
    for manifest in sorted(root().glob(f"*/{MANIFEST}")):
        try:
            made = msgspec.json.decode(manifest.read_bytes(), type=Recipe)
        except (OSError, msgspec.MsgspecError):
            continue  # removed meanwhile, or of a version that wrote other recipes
        if manifest.parent.name == made.name or _is_of_one_plugin(manifest.parent.name, made):
            yield Environment(made, manifest.parent)


def _is_of_one_plugin(folder: str, made: Recipe) -> bool:
    """Tell whether an older version built it for this plugin alone. It can still be used."""
    plugin = re.sub(r"[^A-Za-z0-9._-]", "_", made.plugin)
    return bool(made.plugin) and re.fullmatch(rf"{re.escape(plugin)}-[0-9a-f]{{12}}", folder) is not None


def interpreter(plugin: str, hosted: Hosted) -> str:
    """Return the Python for a plugin's hosts. Raise EnvironmentRefused while there is none."""
    if not hosted.has_environment:
        return sys.executable
    needed = recipe(plugin, hosted)
    found = find_built(needed)
    if found is None:
        raise EnvironmentRefused(f"run: voxgate env build {plugin}")
    python = view(found, needed.links)
    if not _guest_file(found, needed).exists():
        with suppress(OSError):  # the folder may belong to another user
            note_guest(found, needed, tried_imports=())
    return python


def note_guest(found: Environment, needed: Recipe, tried_imports: tuple[str, ...]) -> None:
    file = _guest_file(found, needed)
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(msgspec.json.encode(tried_imports))


def was_tried(found: Environment, needed: Recipe) -> bool:
    try:
        return _guest_file(found, needed).read_bytes() == msgspec.json.encode(needed.imports)
    except OSError:
        return False


def _guest_file(found: Environment, needed: Recipe) -> Path:
    # A name of any letters, without a way out of the folder: a dot is none of those that are quoted.
    name = quote(needed.plugin, safe="").replace(".", "%2E")
    return found.folder / _VIEWS / _digest(needed.links) / _GUESTS / name


def _digest(value: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()[:12]


def _host_packages() -> tuple[str, ...]:
    """Return the packages that the host protocol needs, in the versions for this voxgate."""
    required = importlib.metadata.requires("voxgate") or []
    return tuple(line for line in required if _project(line) in _HOST_NEEDS)


def _project(package: str) -> str:
    return re.split(r"[^\w.-]", package, maxsplit=1, flags=re.ASCII)[0]


def _place(plugin: str, name: str) -> Path:
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
