"""A feature's own section of config.toml: what it holds, how it is read, and when a change of it counts.

It stands in `section.py` of the feature's folder, and in the list of all, `proxy/features/all.py`. It is read
and checked even where its feature does not open.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from proxy.config.reader import Reader
from proxy.config.sections import Config

T = TypeVar("T")


class Section(NamedTuple, Generic[T]):
    """A section, as its feature declares it: `Section("toy", ToySection)`.

    Its keys are the fields of that struct, which all have a default. A section with more rules has its own
    `read`, which notes faults, and may return any type; without the section it gets {}. VOXGATE_NAME__KEY
    sets a key, if the section may come `from_environment`. A reload takes it on, unless it `needs_restart`.
    """

    name: str
    type_: type[T]
    read: Callable[[Reader, object, Mapping[str, str], Path], T] | None = None
    from_environment: bool = True
    needs_restart: bool = False

    def of(self, config: Config) -> T:
        """Return the section of a configuration. To a worker it comes as plain data, and is typed here."""
        return msgspec.convert(config.features.get(self.name, {}), self.type_)

    def read_from(self, reader: Reader, value: object, environ: Mapping[str, str], folder: Path) -> T:
        """Return the section from its value in the file. What it names as env: and file: is in `environ`, and
        in `folder`."""
        if self.read is not None:
            return self.read(reader, value, environ, folder)
        struct: Any = self.type_
        found: T | None = reader.section(struct, value, self.name)
        return self.type_() if found is None else found


Sections = tuple[Section[Any], ...]
