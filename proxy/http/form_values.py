"""The fields of a form as JSON would have them, so that one definition reads both."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

from proxy.errors import InvalidRequest
from proxy.http.form import RequestForm
from proxy.speech.json_size import MOST_STRUCTURE, json_size

_NO_ALIASES: Mapping[str, str] = {}


def form_values(
    form: RequestForm, *, lists: Collection[str], aliases: Mapping[str, str] = _NO_ALIASES
) -> dict[str, object]:
    """Return the fields of a form as JSON would have them. Raises InvalidRequest.

    One of the `lists` is sent as `tags[]`, once for each entry, or once as a JSON list; labels as
    `labels[accent]`, or as one field with JSON. `aliases` are other names of fields.
    """
    values: dict[str, object] = {}
    labels: dict[str, str] = {}
    for name, sent in form.fields.items():
        if name in lists:
            values[name] = _list(sent)
        elif len(sent) > 1:
            raise InvalidRequest(f"Invalid value for '{name}': it must come once.", param=name)
        elif name.startswith("labels["):
            labels[name.removeprefix("labels[").removesuffix("]")] = sent[0]
        elif name == "labels" and sent[0]:
            values[name] = json_or_text(sent[0])
        elif sent[0]:
            values[aliases.get(name, name)] = sent[0]
    return values | ({"labels": labels} if labels else {})


def _list(sent: list[str]) -> list[object]:
    # A tag may be any text, so only what is a list as a whole is read as one.
    if len(sent) == 1 and isinstance(read := json_or_text(sent[0]), list):
        return read
    return [*filter(None, sent)]


def json_or_text(text: str) -> object:
    """Return a field as JSON would have it. What is no JSON, or too much of it, stays a text."""
    try:
        if json_size(text.encode()).structure > MOST_STRUCTURE:
            return text
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return text
