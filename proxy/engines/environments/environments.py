"""Environments: the venvs for the hosts of plugins that list packages of their own.

The name of a folder ends with a digest of its recipe. A plugin uses only an environment with the digest of
its own recipe. Plugins that list the same packages share one. This file finds environments, and
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

from proxy.errors import CommandRefused
from speech_engine import Hosted

MANIFEST = "environment.json"
_HOST_NEEDS = ("grpcio", "msgspec")
_HOST_MODULE = "speech_engine.host.server"
_VOXGATE_PACKAGE = "speech_engine"
"""Every view has a link to this package. The target of the link identifies the installation."""
_VIEWS = "installations"
"""The folder of the views in an environment: one for each installation, see `view`."""
_PLUGIN_FILES = "plugins"
"""A folder in each view. The file of each plugin there has the imports that the build tried."""
_LONGEST_NAME = 60
_SITE_PACKAGES = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"

# The pattern allows a name, extras, and a version, an address or a marker. It allows no leading hyphen, since
# pip would read an option.
_PACKAGE = re.compile(r"[A-Za-z0-9][\w.-]*\s*(\[[\w.,\s-]*\])?\s*((\(|[<>=!~@;]).*)?")
_MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


class EnvironmentRefused(CommandRefused):
    """The environment of a plugin cannot be built; the message has the remedy."""


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that an environment is built from. Two recipes with one digest make the same environment.

    `plugin`, `imports` and `links` are not part of the digest, so that plugins and installations with the
    same packages share an environment. `imports` are modules that the build tries. `links` maps the names of
    import packages to their paths in this installation: speech_engine and the plugin's own package, see
    `view`. pip installs the packages in `bare` without their requirements. `torch` is the variant of torch
    that the build asked for.
    """

    packages: tuple[str, ...]
    plugin: str = ""
    bare: tuple[str, ...] = ()
    constraints: str = ""
    imports: tuple[str, ...] = ()
    links: dict[str, str] = {}
    voxgate: str = "0.1.0"
    """The number of this form, once the version of voxgate. Another one builds every environment anew."""
    python: str = f"{sys.implementation.cache_tag}-{sysconfig.get_platform()}"
    torch: str = ""

    @property
    def shared(self) -> Recipe:
        """The recipe without the parts that belong to one plugin or installation."""
        return msgspec.structs.replace(self, plugin="", imports=(), links={})

    @property
    def digest(self) -> str:
        """The digest of the shared parts. It identifies the environment."""
        return _digest(self.shared)

    @property
    def name(self) -> str:
        """The name of the folder: the packages, so that people recognise it, and the digest."""
        packages = [_project_name(package) for package in (*self.packages, *self.bare)]
        plugin_packages = [name for name in packages if name not in _HOST_NEEDS]
        return f"{'-'.join(plugin_packages)[:_LONGEST_NAME] or 'host'}-{self.digest}"


class Environment(NamedTuple):
    """A complete environment on the disk, which several plugins may share."""

    recipe: Recipe
    folder: Path

    @property
    def interpreter(self) -> str:
        return str(self.folder / "bin" / "python")

    @property
    def has_python(self) -> bool:
        """False if its Python was removed, for example by an upgrade of the system."""
        return os.access(self.interpreter, os.X_OK)

    @property
    def is_ours(self) -> bool:
        """False if another existing installation of voxgate uses it: then a host may run there.

        All installations of one user share the folder of environments.
        """
        this_package = _import_path(_VOXGATE_PACKAGE, _VOXGATE_PACKAGE)
        links = self.folder.glob(f"{_VIEWS}/*/{_SITE_PACKAGES}/{_VOXGATE_PACKAGE}")
        return all(link.readlink() == this_package for link in links if link.exists())

    @property
    def plugins(self) -> frozenset[str]:
        """The plugins that run or ran in it. Plugins of removed installations are among them."""
        names = (path.name for path in self.folder.glob(f"{_VIEWS}/*/{_PLUGIN_FILES}/*"))
        return frozenset(map(unquote, names))

    def size_bytes(self) -> int:
        walked = ((Path(folder), files) for folder, _, files in os.walk(self.folder))
        return sum((folder / file).lstat().st_size for folder, files in walked for file in files)


def root() -> Path:
    """Return the folder of all environments of this user."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (cache if cache.is_absolute() else Path.home() / ".cache") / "voxgate" / "environments"


def recipe(plugin: str, hosted: Hosted, torch: str = "") -> Recipe:
    """Return the present recipe of a plugin's environment. Raise EnvironmentRefused for a wrong name."""
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
        links={name: str(_import_path(plugin, name)) for name in (_VOXGATE_PACKAGE, top)},
        torch=torch,
    )


def view(found: Environment, links: Mapping[str, str]) -> str:
    """Return the path of a Python that imports an environment's packages and the packages in `links`.

    The Python is in a view, a small folder inside the environment. A view is made once for each installation.
    So a host runs the same code as its server, and two checkouts share the installed packages.
    """
    folder = found.folder / _VIEWS / _digest(links)
    if not folder.exists():
        folder.parent.mkdir(exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=".", dir=folder.parent))
        (made / "bin").mkdir()
        (made / "bin" / "python").symlink_to("../../../bin/python")
        shutil.copyfile(found.folder / "pyvenv.cfg", made / "pyvenv.cfg")
        site = made / _SITE_PACKAGES
        site.mkdir(parents=True)
        for name, place in links.items():
            (site / (name if Path(place).is_dir() else Path(place).name)).symlink_to(place)
        # The path is relative, because a build renames its folder at the end.
        packages = f"import site, sys; site.addsitedir(sys.prefix + '/../../{_SITE_PACKAGES}')\n"
        (site / "packages.pth").write_text(packages)
        try:
            made.rename(folder)
        except OSError:
            shutil.rmtree(made)  # another process made the same view meanwhile
    return str(folder / "bin" / "python")


def find_built(recipe: Recipe) -> Environment | None:
    """Return the newest environment of this recipe, with any variant of torch."""
    current = [found for found in every() if found.has_python and is_current(found, recipe)]
    return max(current, key=lambda found: (found.folder / MANIFEST).stat().st_mtime_ns, default=None)


def is_current(found: Environment, recipe: Recipe) -> bool:
    """Tell whether an environment was built from this recipe, with any variant of torch."""
    return msgspec.structs.replace(recipe, torch=found.recipe.torch).shared == found.recipe.shared


def every() -> Iterator[Environment]:
    """Yield all environments that were built, except for those that this version cannot read."""
    for manifest in sorted(root().glob(f"*/{MANIFEST}")):
        try:
            made = msgspec.json.decode(manifest.read_bytes(), type=Recipe)
        except (OSError, msgspec.MsgspecError):
            continue  # it was removed meanwhile, or another version wrote it
        if manifest.parent.name == made.name:  # else its build has not ended
            yield Environment(made, manifest.parent)


def interpreter(plugin: str, hosted: Hosted) -> str:
    """Return the Python for a plugin's hosts. Raise EnvironmentRefused while there is none."""
    if not hosted.has_environment:
        return sys.executable
    needed = recipe(plugin, hosted)
    found = find_built(needed)
    if found is None:
        raise EnvironmentRefused(f"run: voxgate env build {plugin}")
    python = view(found, needed.links)
    if not _plugin_file(found, needed).exists():
        with suppress(OSError):  # the folder may belong to another user
            note_plugin(found, needed, tried_imports=())
    return python


def note_plugin(found: Environment, needed: Recipe, tried_imports: tuple[str, ...]) -> None:
    """Write that a plugin runs in an environment, and the imports that the build tried for it."""
    file = _plugin_file(found, needed)
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(msgspec.json.encode(tried_imports))


def were_imports_tried(found: Environment, needed: Recipe) -> bool:
    """Tell whether a build tried exactly these imports of the plugin in this environment."""
    try:
        return _plugin_file(found, needed).read_bytes() == msgspec.json.encode(needed.imports)
    except OSError:
        return False


def _plugin_file(found: Environment, needed: Recipe) -> Path:
    # `quote` leaves dots, and the name `..` would lead out of the folder.
    name = quote(needed.plugin, safe="").replace(".", "%2E")
    return found.folder / _VIEWS / _digest(needed.links) / _PLUGIN_FILES / name


def _digest(value: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()[:12]


def _host_packages() -> tuple[str, ...]:
    """Return the packages that every host needs, with the versions that this voxgate requires."""
    required = importlib.metadata.requires("voxgate") or []
    return tuple(line for line in required if _project_name(line) in _HOST_NEEDS)


def _project_name(package: str) -> str:
    """Return the name in a requirement such as `name[extra]>=1.0`."""
    return re.split(r"[^\w.-]", package, maxsplit=1, flags=re.ASCII)[0]


def _import_path(plugin: str, name: str) -> Path:
    """Return the folder of a package, or the file of a module. Raise EnvironmentRefused."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None or not spec.has_location:
        raise EnvironmentRefused(f"{plugin}: there is no module or package {name!r} with files of its own")
    origin = Path(spec.origin)
    return origin.parent if spec.submodule_search_locations else origin


def _constraints(plugin: str, hosted: Hosted) -> str:
    if not hosted.constraints:
        return ""
    top, *inner = hosted.module.split(".")
    place = _import_path(plugin, top)
    folder = place.joinpath(*inner[:-1]) if inner else place.parent
    file = folder / hosted.constraints
    try:
        return file.read_text()
    except (OSError, ValueError) as error:
        raise EnvironmentRefused(f"{plugin}: its constraints cannot be read: {file}: {error}") from None
