"""Read [upstream]: how cloud engines reach their providers. Faults show here, not once for each engine."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from msgspec.structs import replace

from proxy.config.reader import Reader
from proxy.config.secret import SecretMissing, resolve
from proxy.config.sections import Upstream


def read_upstream(reader: Reader, value: object, environ: Mapping[str, str], folder: Path) -> Upstream:
    section = reader.section(Upstream, value, "upstream") or Upstream()
    return replace(
        section,
        proxy=_proxy(reader, section.proxy, environ, folder),
        ca_file=_ca_file(reader, section.ca_file, folder),
    )


def _proxy(reader: Reader, written: str, environ: Mapping[str, str], folder: Path) -> str:
    """Return the proxy's address. A fault never repeats it, because it may hold a password."""
    try:
        url = resolve(written, environ, folder)
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except SecretMissing as error:
        reader.fault("upstream.proxy", str(error))
        return ""
    except ValueError:
        is_address = False
    if url and not is_address:
        reader.fault("upstream.proxy", 'must be an address, "http://USER:PASSWORD@HOST:PORT"')
    return url


def _ca_file(reader: Reader, written: str, folder: Path) -> str:
    if not written:
        return ""
    file = (folder / written).absolute()
    try:
        ssl.create_default_context(cafile=file)
    except ssl.SSLError:
        reader.fault("upstream.ca_file", f"{written!r} has no certificate, or one that cannot be read")
    except OSError as error:
        reader.fault("upstream.ca_file", f"{written!r} cannot be read: {error.strerror}")
    return str(file)
