"""Secrets in a config file are named, not written: `env:NAME` or `file:PATH`."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator, Mapping
from pathlib import Path

from proxy.config.reader import ConfigError, Reader

_KEY_BYTES = 32
_MOST_CHARACTERS = 1_000_000
KEY_FORM = "must hold 32 bytes in base64; openssl rand -base64 32 makes such a key"


def resolve(text: str, environ: Mapping[str, str], folder: Path) -> str:
    """Return the secret that `text` names, else `text` itself. A path is relative to `folder`.

    Blanks around a secret are removed, such as the line end that editors add. Raises ConfigError for a
    missing secret: the message has the remedy, and never a secret.
    """
    kind, colon, name = text.partition(":")
    if not colon or kind not in ("env", "file"):
        return text
    if kind == "env" and name not in environ:
        raise ConfigError(
            f"env:{name} is not set; export {name}, add it to server.secrets_file, or use file:PATH"
        )
    secret = environ[name] if kind == "env" else _read_text(folder / name)
    if not secret.strip():
        raise ConfigError(f"{text} is empty")
    return secret.strip()


def named_secret(
    reader: Reader, key: str, setting: str, environ: Mapping[str, str], folder: Path, what: str = "it"
) -> str:
    """Return the named secret, or "" after a fault. The fault never repeats `setting`, which may be a key."""
    if not setting.startswith(("env:", "file:")):
        reader.fault(key, f'must be "env:NAME" or "file:PATH"; {what} is never written in this file')
        return ""
    try:
        return resolve(setting, environ, folder)
    except ConfigError as error:
        reader.fault(key, str(error))
        return ""


def is_key(text: str) -> bool:
    """Tell whether a text is a key in base64."""
    try:
        return len(b64decode(text, validate=True)) == _KEY_BYTES
    except ValueError:
        return False


def variables(value: object) -> Iterator[str]:
    """Return the names of all variables that a configuration has as `env:NAME`."""
    if isinstance(value, str) and value.startswith("env:"):
        yield value.removeprefix("env:")
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for each in inner:
        yield from variables(each)


_VARIABLES_FOR_HOSTS = frozenset(
    (
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TEMP", "TMP"),
        *("LD_LIBRARY_PATH", "LD_PRELOAD", "SSL_CERT_FILE", "SSL_CERT_DIR", "VIRTUAL_ENV", "VOXGATE_CONFIG"),
    )
)
_PREFIXES_FOR_HOSTS = (
    *("LC_", "XDG_", "PYTHON", "MALLOC_", "OMP_", "MKL_", "OPENBLAS_", "NUMEXPR_", "KMP_", "GOMP_"),
    *("CUDA_", "CUDNN_", "CUBLAS_", "NCCL_", "NVIDIA_", "HIP_", "HSA_", "ROCR_", "ROCM_", "MIOPEN_"),
    *("TORCH", "PYTORCH_", "TRITON_", "TRANSFORMERS_", "HF_HUB_", "TQDM_", "NUMBA_", "ESPEAK_"),
)
_SECRET_WORDS = ("TOKEN", "SECRET", "PASSWORD", "CREDENTIAL", "API_KEY", "ACCESS_KEY")


def environ_for_hosts(environ: Mapping[str, str], secrets: tuple[str, ...]) -> dict[str, str]:
    """Return the environment for a host, which runs other people's code.

    It has only the variables that a process and its numerical libraries need: any other variable of a
    server may be secret. VOXGATE_SECTION__KEY and the configuration's own secrets never pass.
    """
    return {
        name: value
        for name, value in environ.items()
        if (name in _VARIABLES_FOR_HOSTS or name.startswith(_PREFIXES_FOR_HOSTS))
        and name not in secrets
        and not any(word in name for word in _SECRET_WORDS)
    }


def _read_text(file: Path) -> str:
    try:
        with file.open() as opened:
            return opened.read(_MOST_CHARACTERS)  # a device has no end
    except OSError as error:
        raise ConfigError(f"file:{file} cannot be read: {error.strerror}") from None
    except ValueError:  # also for an impossible path
        raise ConfigError(f"file:{file} is not text") from None
