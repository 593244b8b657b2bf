"""The page at /docs: the OpenAPI document as a person reads it, made here, without a script."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

import msgspec

_PAGE = Path(__file__).with_name("page")
_LOOK = "api.css"

Schema = Mapping[str, Any]


def api_html(document: Schema) -> str:
    """Return the whole page for an OpenAPI document of this server."""
    operations = [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    tags = dict.fromkeys(operation["tags"][0] for _, _, operation in operations)
    groups = {tag: [each for each in operations if each[2]["tags"][0] == tag] for tag in tags}
    body = [
        f'<h1>The API of this server</h1><p class="quiet">{_text(document["info"]["description"])} '
        'A program reads the same as <a href="openapi.json">openapi.json</a>.</p>',
        f"<nav aria-label='Requests'>{''.join(_contents(tag, group) for tag, group in groups.items())}</nav>",
        *(_operation(*each, document["components"]) for group in groups.values() for each in group),
        '<h2 id="objects">Objects</h2>',
        *(_object(name, schema) for name, schema in document["components"]["schemas"].items()),
    ]
    title = f"voxgate {document['info']['version']}: the API"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><title>{escape(title)}</title>'
        f"<style>\n{(_PAGE / _LOOK).read_text()}</style></head><body>"
        '<header><p class="brand">voxgate</p><nav><a href=".">Try it</a>'
        '<a href="#objects">Objects</a></nav></header>'
        f"<main>{''.join(body)}</main></body></html>"
    )


def _contents(tag: str, group: Iterable[tuple[str, str, Schema]]) -> str:
    links = "".join(
        f'<li><a href="#{escape(operation["operationId"])}">{escape(f"{method} {path}")}</a></li>'
        for method, path, operation in group
    )
    return f"<h2>{escape(tag.capitalize())}</h2><ul>{links}</ul>"


def _operation(method: str, path: str, operation: Schema, components: Schema) -> str:
    is_open = {} in operation.get("security", ())
    needs = "Needs no key." if is_open else operation.get("description", "Needs a key.")
    parts = [
        f'<section class="card stack" id="{escape(operation["operationId"])}">'
        f"<h2><code>{escape(f'{method} {path}')}</code></h2>"
        f'<p>{_text(operation["summary"])}. <span class="quiet">{_text(needs)}</span></p>',
        _table("Parameters", map(_parameter, operation.get("parameters", ()))),
        *(
            _table(f"Body: {media}", _fields(content["schema"], components["schemas"]))
            for media, content in operation.get("requestBody", {}).get("content", {}).items()
        ),
        _answers(operation["responses"], components["responses"]),
    ]
    return "".join(parts) + "</section>"


def _answers(answers: Mapping[str, Schema], known: Mapping[str, Schema]) -> str:
    rows = []
    for status, answer in answers.items():
        described = known[_last(answer["$ref"])] if "$ref" in answer else answer
        kinds = dict.fromkeys(
            f"{escape(media)}: {_type(content['schema'])}" if media == "application/json" else escape(media)
            for media, content in described["content"].items()
        )
        rows.append((f"<code>{escape(status)}</code>", ", ".join(kinds), _text(described["description"])))
    table = _table("", rows)
    return f"<details><summary>Answers</summary>{table}</details>"


def _object(name: str, schema: Schema) -> str:
    about = _text(schema.get("description", ""))
    return (
        f'<section class="card stack" id="schema-{escape(name)}"><h3>{escape(name)}</h3><p>{about}</p>'
        f"{_table('', _fields(schema, {}))}</section>"
    )


def _parameter(parameter: Schema) -> tuple[str, ...]:
    where = "" if parameter["in"] == "query" else f" in the {parameter['in']}"
    return (
        f"<code>{escape(parameter['name'])}</code>",
        _type(parameter["schema"]) + where,
        _text(parameter["description"]),
    )


def _fields(schema: Schema, schemas: Mapping[str, Schema]) -> Iterator[tuple[str, ...]]:
    if "$ref" in schema:
        schema = schemas[_last(schema["$ref"])]
    for part in schema.get("allOf", ()):
        yield from _fields(part, schemas)
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        notes = [_meaning(field)]
        if name in required:
            notes.append("required")
        elif field.get("default") not in (None, ""):
            notes.append(f"usually <code>{escape(msgspec.json.encode(field['default']).decode())}</code>")
        yield (f"<code>{escape(name)}</code>", _type(field), "; ".join(filter(None, notes)))


def _meaning(field: Schema) -> str:
    texts = [field.get("description", ""), *(each.get("description", "") for each in field.get("anyOf", ()))]
    return _text(next(filter(None, texts), ""))


def _type(schema: Schema) -> str:
    if "$ref" in schema:
        name = escape(_last(schema["$ref"]))
        return f'<a href="#schema-{name}">{name}</a>'
    if "enum" in schema:
        return " | ".join(f"<code>{escape(str(each))}</code>" for each in schema["enum"])
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(map(_type, schema[several])))
    kind = schema.get("type", "object" if "properties" in schema else "anything")
    if kind == "array":
        return f"list of {_type(schema.get('items') or {})}"
    return "a file" if schema.get("format") == "binary" else escape(str(kind))


def _table(caption: str, rows: Iterable[tuple[str, ...]]) -> str:
    lines = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    if not lines:
        return ""
    return f"<table>{f'<caption>{escape(caption)}</caption>' if caption else ''}{lines}</table>"


def _text(text: str) -> str:
    """Escape a text, with what stands in backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text, quote=False))


def _last(reference: str) -> str:
    return reference.rpartition("/")[2]
