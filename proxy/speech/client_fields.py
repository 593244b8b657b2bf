"""Engine-specific fields of a request. Each is passed to models that take it, or else reported as ignored.

Unknown fields are not read, and no answer repeats their names.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import msgspec

from proxy.errors import InvalidRequest
from speech_engine.models import NEVER_PASSED, ModelInfo

MOST_FIELD_BYTES = 4096
MOST_DEPTH = 4

FOREIGN_FIELDS = NEVER_PASSED | {
    # vLLM-Omni
    *("task_type", "ref_text", "speaker_embedding", "x_vector_only_mode", "max_new_tokens", "extra_params"),
    *("word_timestamps", "temperature", "top_p", "top_k", "repetition_penalty"),
    # Kokoro-FastAPI, Speaches, OpenRouter
    *("lang_code", "volume_multiplier", "normalization_options", "return_download_link", "provider"),
    "stream",
}
"""Fields of known servers. An answer may name them, because the names are fixed."""

_ADDRESS = re.compile(r"://|^\s*(?:(?:data|file|blob|https?|ftp|[a-z]):[^ ]|[/\\~])", re.IGNORECASE)

Extra = tuple[tuple[str, str], ...]
"""Names with their values as JSON, in the order of the names: equal fields are equal values."""

NO_EXTRA_FIELDS: tuple[Extra, tuple[str, ...]] = ((), ())


def read_extra(
    fields: Mapping[str, msgspec.Raw], model_fields: Collection[str]
) -> tuple[Extra, tuple[str, ...]]:
    """Return the fields that some model takes, and the names of known fields that no model takes.

    Raises InvalidRequest for a value that is too large or that may be an address.
    """
    present = {name for name, value in fields.items() if bytes(value) != b"null"}
    extra = tuple((name, _checked_value(name, fields[name])) for name in sorted(present & {*model_fields}))
    return extra, tuple(sorted((present & FOREIGN_FIELDS) - {*model_fields}))


def extra_of(extra: Extra, info: ModelInfo) -> Extra:
    return tuple((name, value) for name, value in extra if name in info.client_fields)


def decode_extra(extra: Extra) -> dict[str, Any]:
    return {name: msgspec.json.decode(value) for name, value in extra}


def _checked_value(name: str, value: msgspec.Raw) -> str:
    if len(bytes(value)) > MOST_FIELD_BYTES:
        raise _fault(name, f"at most {MOST_FIELD_BYTES} bytes long")
    try:
        found = msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _fault(name, f"JSON in UTF-8, at most {MOST_DEPTH} levels deep") from None
    for text in _texts(name, found, MOST_DEPTH):
        if _ADDRESS.search(text):
            raise _fault(name, "without an address or a path: nothing is fetched for a client")
    return msgspec.json.encode(found, order="deterministic").decode()


def _texts(name: str, value: object, levels_left: int) -> Iterator[str]:
    """Yield all texts in a value. Raises InvalidRequest if it is too deep or has a forbidden field."""
    if isinstance(value, str):
        yield value
    if not isinstance(value, dict | list):
        return
    if levels_left == 0:
        raise _fault(name, f"at most {MOST_DEPTH} levels deep")
    if isinstance(value, dict):
        if NEVER_PASSED & value.keys():
            raise _fault(name, "without a field that names a recording: nothing is fetched for a client")
        yield from value
    for each in value.values() if isinstance(value, dict) else value:
        yield from _texts(name, each, levels_left - 1)


def _fault(name: str, expected: str) -> InvalidRequest:
    return InvalidRequest(f"Invalid value for '{name}': it must be {expected}.", param=name)
