"""An OpenAPI document held against real answers and requests."""

import json
import re
from functools import cache
from typing import Any, NamedTuple

import httpx2
from openapi_schema_validator import OAS31Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

Document = dict[str, Any]


class Exchange(NamedTuple):
    """One request, and the status that its answer must have. With a `file`, its body is a form."""

    operation: str
    method: str
    path: str
    body: Any = None
    status: int = 200
    file: bytes | tuple[str, bytes] | None = None
    file_field: str = "file"


def operations(document: Document) -> list[dict[str, Any]]:
    return [
        {**operation, "method": method, "path": path}
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def operation(document: Document, name: str) -> dict[str, Any]:
    (found,) = (each for each in operations(document) if each["operationId"] == name)
    return found


def operation_of(document: Document, method: str, path: str) -> dict[str, Any] | None:
    """The operation that answers this request, if one does. A path without names wins."""
    path = path.partition("?")[0]
    found = [each for each in operations(document) if each["method"].upper() == method]
    found = [each for each in found if _pattern(each["path"]).fullmatch(path)]
    return min(found, key=lambda each: "{" in each["path"], default=None)


@cache
def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)))


def faults(document: Document, of: dict[str, Any], answer: httpx2.Response) -> list[str]:
    """What of this answer is not as described; its body may have no field that is not."""
    response = of["responses"].get(str(answer.status_code))
    if response is None:
        return [f"{answer.status_code} is not described"]
    if "$ref" in response:
        response = document["components"]["responses"][response["$ref"].rpartition("/")[2]]
    missing = [name for name in always(document, response["headers"]) if name not in answer.headers]
    media = answer.headers["content-type"].partition(";")[0]
    if media not in response["content"]:
        return [f"{media} is not described"]
    schema = response["content"][media]["schema"]
    bodies: list[Any] = []
    if media == "text/event-stream":
        bodies = events(answer.text)
    elif media == "application/json":
        bodies = [answer.json()]
    return missing + [fault for body in bodies for fault in violations(document, schema, body, closed=True)]


def always(document: Document, headers: Document) -> set[str]:
    """Those that an answer must have."""
    return {name for name in headers if document["components"]["headers"][name]["required"]}


def violations(document: Document, schema: Document, value: Any, *, closed: bool = False) -> list[str]:
    at_home = json.loads(_moved(json.dumps(schema)))
    validator = OAS31Validator(at_home, registry=_registry(document, closed))
    return [error.message for error in validator.iter_errors(value)]


_HOME = "urn:described"
_registries: dict[tuple[int, bool], tuple[Document, Any]] = {}
"""By the id of a document, which therefore is kept: to read all of it for each answer takes seconds."""


def _registry(document: Document, closed: bool) -> Any:
    """Where references into this document lead."""
    if (found := _registries.get((id(document), closed))) is None:
        more = {"unevaluatedProperties": False} if closed else {}
        components = {name: {**each, **more} for name, each in document["components"]["schemas"].items()}
        whole = json.loads(_moved(json.dumps({"components": {"schemas": components}})))
        registry: Any = Registry().with_resource(_HOME, DRAFT202012.create_resource(whole)).crawl()
        found = _registries[id(document), closed] = (document, registry)
    return found[1]


def _moved(text: str) -> str:
    return text.replace('"#/components/', f'"{_HOME}#/components/')


def events(text: str) -> list[Any]:
    """The data of server-sent events."""
    return [json.loads(event.removeprefix("data: ")) for event in text.split("\n\n") if event]
