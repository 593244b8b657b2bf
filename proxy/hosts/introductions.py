"""The models and voices of engines from their last start, for the time until they have loaded.

A manifest does not list a model's abilities, so only its engine knows them. A stored introduction is valid
for the same section, models and version only. Without it, an engine that loads on demand is loaded once at
the start.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec
import structlog

from proxy import __version__
from proxy.engines.registry import HostedEngineSpec
from speech_engine import API_VERSION
from speech_engine.bounds import decoded
from speech_engine.host.messages import decode_hello

FOLDER = "introductions"
"""The name of their folder, inside the data folder."""

_log = structlog.get_logger()


class StoredIntroduction(msgspec.Struct, frozen=True):
    """The answer to a `Hello`, the licence, and the load time. They count for an engine with this `key`."""

    key: str
    hello: bytes
    loads_s: float
    licence: str


_decode = msgspec.msgpack.Decoder(StoredIntroduction).decode


def recall(spec: HostedEngineSpec) -> StoredIntroduction | None:
    return recall_from(Path(spec.data), spec.name, _key(spec))


def keep(spec: HostedEngineSpec, hello: bytes, loads_s: float, licence: str) -> None:
    keep_in(Path(spec.data), spec.name, StoredIntroduction(_key(spec), hello, loads_s, licence))


def recall_from(data: Path, engine: str, key: str) -> StoredIntroduction | None:
    """Return the introduction that was kept with this key, if there is one. A file that cannot be read is
    removed."""
    path = data / FOLDER / engine
    try:
        found = decoded(_decode, path.read_bytes())
        if found.hello:
            decode_hello(found.hello)
    except OSError:
        return None
    except ValueError as error:
        _log.warning("engine.introduction.removed", engine=engine, reason=str(error))
        path.unlink(missing_ok=True)
        return None
    return found if found.key == key else None


def keep_in(data: Path, engine: str, stored: StoredIntroduction) -> None:
    path = data / FOLDER / engine
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        new = path.with_suffix(".new")
        new.write_bytes(msgspec.msgpack.encode(stored))
        os.replace(new, path)
    except OSError as error:
        _log.warning("engine.introduction.failed", engine=engine, reason=error.strerror)


def _key(spec: HostedEngineSpec) -> str:
    """Return a digest of everything on which an introduction depends."""
    models = [model.manifest.digest for model in spec.models]
    identity = msgspec.json.encode(
        (__version__, API_VERSION, spec.module, spec.section, models, spec.licence)
    )
    return hashlib.sha256(identity).hexdigest()
