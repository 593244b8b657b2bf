"""The page at /docs: the OpenAPI document as HTML for people. The page has no script."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

_PAGE_FOLDER = Path(__file__).with_name("page")
_STYLES = "api.css"

Schema = Mapping[str, Any]


class _Operation(NamedTuple):
    method: str
    path: str
    schema: Schema


def api_html(document: Schema) -> str:
    """Return the whole page for an OpenAPI document of this server."""
    groups: dict[str, list[_Operation]] = {}
    for path, methods in document["paths"].items():
        for method, schema in methods.items():
            groups.setdefault(schema["tags"][0], []).append(_Operation(method.upper(), path, schema))
    body = [
        f'<h1>The API of this server</h1><p class="quiet">{_text_html(document["info"]["description"])} '
        'A program reads the same as <a href="openapi.json">openapi.json</a>.</p>',
        f"<nav aria-label='Requests'>{''.join(_contents_html(*each) for each in groups.items())}</nav>",
        *(_operation_html(each, document["components"]) for group in groups.values() for each in group),
        '<h2 id="objects">Objects</h2>',
        *(_object_html(name, schema) for name, schema in document["components"]["schemas"].items()),
    ]
    title = escape(f"voxgate {document['info']['version']}: the API")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><title>{title}</title>'
        f"<style>\n{(_PAGE_FOLDER / _STYLES).read_text()}</style></head><body>"
        '<header><p class="brand">voxgate</p><nav><a href=".">Try it</a>'
        '<a href="#objects">Objects</a></nav></header>'
        f"<main>{''.join(body)}</main></body></html>"
    )


def _contents_html(tag: str, group: Iterable[_Operation]) -> str:
    links = "".join(
        f'<li><a href="#{escape(each.schema["operationId"])}">{escape(f"{each.method} {each.path}")}</a></li>'
        for each in group
    )
    return f"<h2>{escape(tag.capitalize())}</h2><ul>{links}</ul>"


def _operation_html(operation: _Operation, components: Schema) -> str:
    schema = operation.schema
    is_open = {} in schema.get("security", ())
    needs = "Needs no key." if is_open else schema.get("description", "Needs a key.")
    parts = [
        f'<section class="card stack" id="{escape(schema["operationId"])}">'
        f"<h2><code>{escape(f'{operation.method} {operation.path}')}</code></h2>"
        f'<p>{_text_html(schema["summary"])}. <span class="quiet">{_text_html(needs)}</span></p>',
        _table_html("Parameters", map(_parameter_row, schema.get("parameters", ()))),
        *(
            _table_html(f"Body: {media}", _field_rows(content["schema"], components["schemas"]))
            for media, content in schema.get("requestBody", {}).get("content", {}).items()
        ),
        _answers_html(schema["responses"], components["responses"]),
    ]
    return "".join(parts) + "</section>"


def _answers_html(answers: Mapping[str, Schema], shared_answers: Mapping[str, Schema]) -> str:
    rows = []
    for status, answer in answers.items():
        answer_schema = shared_answers[_last_part(answer["$ref"])] if "$ref" in answer else answer
        kinds = dict.fromkeys(
            f"{escape(media)}: {_type_html(content['schema'])}"
            if media == "application/json"
            else escape(media)
            for media, content in answer_schema["content"].items()
        )
        description = _text_html(answer_schema["description"])
        rows.append((f"<code>{escape(status)}</code>", ", ".join(kinds), description))
    return f"<details><summary>Answers</summary>{_table_html('', rows)}</details>"


def _object_html(name: str, schema: Schema) -> str:
    return (
        f'<section class="card stack" id="schema-{escape(name)}"><h3>{escape(name)}</h3>'
        f"<p>{_text_html(schema.get('description', ''))}</p>"
        f"{_table_html('', _field_rows(schema, {}))}</section>"
    )


def _parameter_row(parameter: Schema) -> tuple[str, ...]:
    where = "" if parameter["in"] == "query" else f" in the {parameter['in']}"
    return (
        f"<code>{escape(parameter['name'])}</code>",
        _type_html(parameter["schema"]) + where,
        _text_html(parameter["description"]),
    )


def _field_rows(schema: Schema, schemas: Mapping[str, Schema]) -> Iterator[tuple[str, ...]]:
    if "$ref" in schema:
        schema = schemas[_last_part(schema["$ref"])]
    for part in schema.get("allOf", ()):
        yield from _field_rows(part, schemas)
    for name, field in schema.get("properties", {}).items():
        notes = [_meaning_html(field)]
        if name in schema.get("required", ()):
            notes.append("required")
        elif field.get("default") not in (None, ""):
            notes.append(f"usually <code>{escape(msgspec.json.encode(field['default']).decode())}</code>")
        yield (f"<code>{escape(name)}</code>", _type_html(field), "; ".join(filter(None, notes)))


def _meaning_html(field: Schema) -> str:
    texts = [field.get("description", ""), *(each.get("description", "") for each in field.get("anyOf", ()))]
    return _text_html(next(filter(None, texts), ""))


def _type_html(schema: Schema) -> str:
    if "$ref" in schema:
        name = escape(_last_part(schema["$ref"]))
        return f'<a href="#schema-{name}">{name}</a>'
    if "enum" in schema:
        return " | ".join(f"<code>{escape(str(each))}</code>" for each in schema["enum"])
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(map(_type_html, schema[several])))
    kind = schema.get("type", "object" if "properties" in schema else "anything")
    if kind == "array":
        return f"list of {_type_html(schema.get('items') or {})}"
    return "a file" if schema.get("format") == "binary" else escape(str(kind))


def _table_html(caption: str, rows: Iterable[tuple[str, ...]]) -> str:
    lines = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    if not lines:
        return ""
    return f"<table>{f'<caption>{escape(caption)}</caption>' if caption else ''}{lines}</table>"


def _text_html(text: str) -> str:
    """Escape a text, with what stands in backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text, quote=False))


def _last_part(reference: str) -> str:
    return reference.rpartition("/")[2]
