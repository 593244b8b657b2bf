"""The generated page of endpoints, made from the document at /openapi.json."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tests.docs import markdown

_Operation = tuple[str, str, Mapping[str, Any]]


def text(document: Mapping[str, Any]) -> str:
    operations = [
        (path, method.upper(), operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if not path.startswith("/v1/voices")
    ]
    admin = [each for each in operations if each[0].startswith("/admin")]
    is_open = [each for each in operations if {} in each[2].get("security", ())]
    usual = [each for each in operations if each not in admin and each not in is_open]
    lines = [
        *markdown.head(
            "Endpoints",
            "Look up an endpoint, and what it takes: `?` parameters of the address, headers with a colon, "
            "fields of the body. How speech works: [HTTP](../http.md). A running server has the same at "
            "`/docs`, and as OpenAPI 3.1 at `/openapi.json`.",
            "`/v1/voices` is another name of `/v1/audio/voices`. With `public_catalogue = true`, the lists "
            "of models and voices need no key.",
        ),
    ]
    for title, chosen in (
        ("With any key", usual),
        ("Without a key", is_open),
        ("With a key of the role admin", admin),
    ):
        rows = [
            (f"`{method} {path}`", operation["summary"], _taken(operation, document))
            for path, method, operation in chosen
        ]
        lines += [f"## {title}", "", *markdown.table(("endpoint", "what", "takes"), rows), ""]
    lines += [*_parameters(operations), *_bodies(document, operations)]
    headers = document["components"]["headers"]
    named = [(f"`{name}`", headers[name].get("description", "")) for name in sorted(headers)]
    return markdown.page([*lines, "## Headers of answers", "", *markdown.table(("header", "meaning"), named)])


def _taken(operation: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    queries = [f"`?{each['name']}`" for each in operation.get("parameters", ()) if each["in"] == "query"]
    headers = [f"`{each['name']}:`" for each in operation.get("parameters", ()) if each["in"] == "header"]
    fields: dict[str, None] = {}
    for schema in _schemas(operation, document):
        fields |= dict.fromkeys(f"`{name}`" for name in schema.get("properties", ()))
    return " ".join([*queries, *headers, *fields])


def _parts(schema: Mapping[str, Any], document: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    yield schema
    for kind in ("allOf", "anyOf", "oneOf"):
        for part in schema.get(kind, ()):
            yield from _parts(part, document)


def _parameters(operations: Iterable[_Operation]) -> list[str]:
    """Each parameter of an address with its meaning, once for all endpoints that say the same of it."""
    found: dict[tuple[str, str], list[str]] = {}
    for path, method, operation in operations:
        for each in operation.get("parameters", ()):
            if each["in"] != "path" and not path.startswith("/admin"):
                values = each["schema"].get("enum", ())
                meaning = " ".join([each.get("description", ""), ", ".join(f"`{value}`" for value in values)])
                found.setdefault((each["name"], meaning), []).append(f"`{method} {path}`")
    rows = [
        (f"`{name}`", meaning, "<br>".join(paths[:3]) if len(paths) <= 3 else "many")
        for (name, meaning), paths in sorted(found.items())
    ]
    return ["## Parameters and headers of requests", "", *markdown.table(("name", "meaning", "of"), rows), ""]


def _bodies(document: Mapping[str, Any], operations: Iterable[_Operation]) -> list[str]:
    """The fields of each body, with its first endpoint as the heading."""
    lines = [
        "## Bodies",
        "",
        "The fields of a body, and what each must be. Without a default a field is needed.",
        "",
    ]
    shown: set[str] = set()
    for path, method, operation in operations:
        for schema in _schemas(operation, document):
            if (title := schema.get("title", "")) in {*shown, ""} or "properties" not in schema:
                continue
            shown.add(title)
            needed = schema.get("required", ())
            rows = [
                (f"`{name}`", "" if name in needed else _default(field), _form(field))
                for name, field in schema["properties"].items()
            ]
            about = " ".join(schema.get("description", "").split())
            lines += [f"### {method} {path}: {title}", "", about, ""]
            lines += [*markdown.table(("field", "default", "must be"), rows), ""]
    return lines


def _schemas(operation: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for body in operation.get("requestBody", {}).get("content", {}).values():
        yield from _parts(body.get("schema", {}), document)


def _default(field: Mapping[str, Any]) -> str:
    default = field.get("default")
    return "none" if default in (None, "") else f"`{json.dumps(default)}`"


def _form(field: Mapping[str, Any]) -> str:
    described = [each.get("description", "") for each in (field, *field.get("anyOf", ()))]
    return str(next(filter(None, described), field.get("format", field.get("type", ""))))
