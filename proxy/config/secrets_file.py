"""[server] secrets_file: the secrets that a configuration names as `env:NAME`, in a file of lines NAME=value.

systemd reads the same file as EnvironmentFile=, so a line that the two would read differently is refused.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path

from proxy.config.reader import ConfigError

_MOST_BYTES = 65_536
_LINE = re.compile(r"([A-Za-z_]\w*)=(.*)", re.ASCII)
_QUOTES = ("'", '"')


def read_secrets(file: Path) -> dict[str, str]:
    """Return the variables of the file. Raise ConfigError, whose message has no secret."""
    try:
        # Without a wait, because the file may be a pipe.
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ConfigError(f"{file} is a link; name the file itself") from None
        raise ConfigError(
            f"{file} cannot be read: {error.strerror}; it must belong to the service's user, with mode 0600"
        ) from None
    except ValueError:
        raise ConfigError("the path has a NUL") from None
    try:
        _check_owner(file, os.fstat(descriptor))
        content = os.read(descriptor, _MOST_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(content) > _MOST_BYTES:
        raise ConfigError(f"{file} has more than {_MOST_BYTES} bytes")
    try:
        return _parse_variables(file, content.decode())
    except UnicodeDecodeError:
        raise ConfigError(f"{file} is not text") from None


def _check_owner(file: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ConfigError(f"{file} is no plain file")
    if status.st_mode & 0o077:
        raise ConfigError(f"{file} is open to other users; run chmod 600 {file}")
    if os.geteuid() not in (0, status.st_uid):
        raise ConfigError(f"{file} belongs to another user; run chown to the service's user")


def _parse_variables(file: Path, text: str) -> dict[str, str]:
    variables: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        if not stripped or stripped[0] in "#;":
            continue
        match = _LINE.fullmatch(stripped)
        if fault := _line_fault(stripped, match):
            raise ConfigError(f"{file}, line {number}: {fault}")
        assert match is not None
        name, value = match[1], match[2].strip()
        if name in variables:
            raise ConfigError(f"{file}, line {number}: {name} is there twice; keep one")
        variables[name] = value[1:-1] if value[:1] in _QUOTES else value
    return variables


def _line_fault(line: str, match: re.Match[str] | None) -> str:
    if line.startswith("export "):
        return 'leave out "export ": systemd takes NAME=value alone'
    if match is None or "\0" in line:
        return "must be NAME=value"
    value = match[2].strip()
    is_quoted = len(value) > 1 and value[0] in _QUOTES and value[-1] == value[0]
    inner = value[1:-1] if is_quoted else value
    if any(quote in inner for quote in _QUOTES):
        return "a quote is within the value, or lacks its other; use a file of its own, file:PATH"
    if "\\" in inner:
        return "systemd reads a backslash differently; use a file of its own, file:PATH"
    return ""
