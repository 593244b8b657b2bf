"""The OpenAPI 3.1 document, read from the endpoints of the app and from the structs that they name."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from proxy import __version__, errors
from proxy.access.sessions import COOKIE
from proxy.http.endpoint import JSON, Endpoint, Failure, Header, Query, Struct

_DESCRIPTION = """\
OpenAI's speech API in front of many engines: every OpenAI client works with the base URL `/v1`.
Fields that are not listed are ignored in requests; null is the same as leaving a field out. Azure's paths
`/openai/v1/…` and `/openai/deployments/{model}/audio/speech` reach the same endpoints."""

_TAGS = {"v1": "speech", "admin": "administration"}
_BINARY = {"type": "string", "format": "binary"}

_COMMON_HEADERS = {
    "x-request-id": "The id of the request. The server's log and the usage row have it too.",
    "openai-processing-ms": "Milliseconds until the headers went out.",
    "retry-after": "When to try again, in seconds.",
}
"""Headers of every endpoint."""
_LOCATION = {"description": "Where to look.", "required": True, "schema": {"type": "string"}}

_PATH_PARAMETERS = {
    "id": "The id; slashes in it may stay as they are.",
    "name": "The name; a language tag names the words of that language.",
}


def openapi_document(endpoints: Sequence[Endpoint], public_catalogue: bool = False) -> dict[str, Any]:
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        operation = _operation(endpoint, public_catalogue)
        paths.setdefault(endpoint.shown_path, {})[endpoint.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "voxgate",
            "version": __version__,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}, {"api-key": []}],
        "paths": paths,
        "components": {
            "securitySchemes": _security_schemes(any(each.needs_session for each in endpoints)),
            "headers": _header_components(endpoints),
            "responses": {
                _group_name(failures): _failure_response(failures) for failures in _failure_groups(endpoints)
            },
            "schemas": _all_schemas(endpoints),
        },
    }


def _operation(endpoint: Endpoint, public_catalogue: bool) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "tags": [_TAGS.get(endpoint.path.split("/")[1], "server")],
        "responses": _responses(endpoint),
    }
    if endpoint.is_for_admins:
        operation["description"] = "Needs a key with the role `admin`."
    elif endpoint.is_for_hosts:
        operation["description"] = "Needs a key with the role `host`."
    elif endpoint.needs_session:
        operation["security"] = [{"session": []}]
    elif endpoint.access == "open":
        operation["security"] = [{}]
    elif endpoint.access == "catalogue" and public_catalogue:
        operation["security"] = [{}, {"bearer": []}, {"api-key": []}]
    if parameters := [
        *map(_path_parameter, re.findall(r"{(\w+)}", endpoint.shown_path)),
        *map(_query_parameter, endpoint.queries),
        *map(_header_parameter, endpoint.request_headers),
    ]:
        operation["parameters"] = parameters
    if content := _body_contents(endpoint):
        operation["requestBody"] = {"required": endpoint.needs_body, "content": content}
    return operation


def _body_contents(endpoint: Endpoint) -> dict[str, Any]:
    contents: dict[str, Any] = {}
    if endpoint.body is not None:
        contents[JSON] = {"schema": _any_of(JSON, (endpoint.body, *endpoint.other_bodies))}
    if endpoint.files:
        files = {"type": "object", "properties": dict.fromkeys(endpoint.files, _BINARY)}
        forms = [form for form in (endpoint.form, *endpoint.other_forms) if form is not None]
        schema = {"allOf": [_any_of(JSON, forms), files]} if forms else files
        contents["multipart/form-data"] = {"schema": schema}
    return contents


def _path_parameter(name: str) -> dict[str, Any]:
    meaning = _PATH_PARAMETERS.get(name, f"The {name}.")
    schema = {"type": "string"}
    return {"name": name, "in": "path", "required": True, "description": meaning, "schema": schema}


def _query_parameter(query: Query) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if query.values:
        schema["enum"] = list(query.values)
    return {"name": query.name, "in": "query", "description": query.meaning, "schema": schema}


def _header_parameter(header: Header) -> dict[str, Any]:
    schema = {"type": "string", "pattern": header.pattern}
    return {"name": header.name, "in": "header", "description": header.meaning, "schema": schema}


def _header_components(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    always = dict(_COMMON_HEADERS)
    sometimes: dict[str, str] = {}
    for endpoint in endpoints:
        always.update(endpoint.headers)
        sometimes.update(endpoint.some_headers)
    return {
        name: {"description": meaning, "required": is_required, "schema": {"type": "string"}}
        for headers, is_required in ((always, True), (sometimes, False))
        for name, meaning in headers.items()
    }


def _responses(endpoint: Endpoint) -> dict[str, Any]:
    common_headers = ["x-request-id", "openai-processing-ms"]
    headers = [*common_headers, *endpoint.headers]
    responses = {
        str(endpoint.status): {
            "description": endpoint.summary,
            "headers": _header_refs([*headers, *endpoint.some_headers]),
            "content": {
                media: {"schema": _any_of(media, structs)} for media, structs in endpoint.answers.items()
            },
        }
    }
    if endpoint.accepted is not None:
        responses["202"] = {
            "description": "It is done later.",
            "headers": {**_header_refs(common_headers), "location": _LOCATION},
            "content": {JSON: {"schema": _schema_ref(endpoint.accepted)}},
        }
    for failures in _failures_by_status(endpoint):
        responses[str(failures[0].status)] = {"$ref": f"#/components/responses/{_group_name(failures)}"}
    if endpoint.unready is not None:
        responses["503"] = {
            "description": "Not ready, with the reason; or a general server error.",
            "headers": _header_refs(headers),
            "content": {JSON: {"schema": _any_of(JSON, (endpoint.unready, errors.ErrorEnvelope))}},
        }
    return responses


def _failures_by_status(endpoint: Endpoint) -> list[tuple[Failure, ...]]:
    """Group the failures of an endpoint by status, with those that any endpoint may have."""
    # Even if no key is needed, a key that is sent must be good.
    role_failures = (errors.NotAllowed,) if endpoint.is_for_admins or endpoint.is_for_hosts else ()
    session_failures = {
        "session": (errors.SessionEnded, errors.SessionNeeded),
        "fresh session": (errors.SessionEnded, errors.SessionNeeded, errors.SignInAgain),
    }
    common = (
        errors.InvalidKey,
        errors.AccountSuspended,
        *role_failures,
        *session_failures.get(endpoint.access, ()),
        errors.UnknownHost,
        errors.HeadTooLarge,
    )
    grouped: dict[int, list[Failure]] = {}
    limit_failures = (errors.RateLimited, errors.LimitsUnavailable) if endpoint.request_class else ()
    server_failures = (
        errors.InternalError,
        errors.ServerBusy,
        errors.StorageUnavailable,
        errors.VaultUnavailable,
    )
    for failure in dict.fromkeys((*endpoint.failures, *common, *limit_failures, *server_failures)):
        grouped.setdefault(failure.status, []).append(failure)
    return [tuple(grouped[status]) for status in sorted(grouped)]


def _failure_groups(endpoints: Sequence[Endpoint]) -> Iterable[tuple[Failure, ...]]:
    return dict.fromkeys(group for endpoint in endpoints for group in _failures_by_status(endpoint))


def _group_name(failures: tuple[Failure, ...]) -> str:
    return "Or".join(failure.__name__ for failure in failures)


def _failure_response(failures: tuple[Failure, ...]) -> dict[str, Any]:
    headers = ["x-request-id", "openai-processing-ms"]
    if failures[0].status == errors.StorageUnavailable.status:
        headers.append("retry-after")
    return {
        "description": "; or ".join(map(_sentence, failures)),
        "headers": _header_refs(headers),
        "content": {JSON: {"schema": _schema_ref(errors.ErrorEnvelope)}},
    }


def _sentence(failure: Failure) -> str:
    docstring = failure.__dict__.get("__doc__")
    meaning = inspect.cleandoc(docstring).split("\n", 1)[0].partition(": ")[2] if docstring else ""
    return f"`{failure.default_code}`{f': {meaning}' if meaning else ''}"


def _header_refs(names: Iterable[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _security_schemes(has_sessions: bool) -> dict[str, Any]:
    usual, azure = (
        "A key, `sk-vg-…`, as OpenAI's clients send it.",
        "The same key, as Azure's clients send it.",
    )
    schemes = {
        "bearer": {"type": "http", "scheme": "bearer", "description": usual},
        "api-key": {"type": "apiKey", "in": "header", "name": "api-key", "description": azure},
    }
    if has_sessions:
        signed_in = "The cookie of a person who has signed in. Only this server's own pages may send it."
        schemes["session"] = {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": signed_in}
    return schemes


def _schema_ref(struct: Struct) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{struct.__name__}"}


def _any_of(media: str, structs: Sequence[Struct]) -> Mapping[str, Any]:
    if not structs:
        return {
            JSON: {"type": "object"},
            "text/csv": {"type": "string"},
            "text/html": {"type": "string"},
        }.get(media, _BINARY)
    return (
        _schema_ref(structs[0])
        if len(structs) == 1
        else {"anyOf": [_schema_ref(struct) for struct in structs]}
    )


def _all_schemas(endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    bodies = {
        struct
        for endpoint in endpoints
        for struct in (endpoint.body, *endpoint.other_bodies, endpoint.form, *endpoint.other_forms)
        if struct is not None
    }
    answer_structs = {
        struct for endpoint in endpoints for structs in endpoint.answers.values() for struct in structs
    }
    others = {struct for endpoint in endpoints for struct in (endpoint.unready, endpoint.accepted) if struct}
    answer_structs |= others | {errors.ErrorEnvelope}
    answers = {name: _require_defaults(schema) for name, schema in _schemas_of(answer_structs).items()}
    return dict(sorted({**_schemas_of(bodies), **answers}.items()))


def _schemas_of(structs: Iterable[Struct]) -> dict[str, Any]:
    _, schemas = msgspec.json.schema_components(structs, ref_template="#/components/schemas/{name}")
    return {name: _portable(schema) for name, schema in schemas.items()}


def _require_defaults(schema: dict[str, Any]) -> dict[str, Any]:
    """Declare the fields with a default as required: an answer always has them."""
    required = set(schema.get("required", ()))
    always = [name for name, field in schema["properties"].items() if name in required or "default" in field]
    return {**schema, "required": always}


def _portable(schema: Any) -> Any:
    """Write patterns as ECMAScript reads them, where `$` is what `\\Z` is in Python."""
    if isinstance(schema, dict):
        pattern = schema.get("pattern")
        portable = {"pattern": pattern.replace("\\Z", "$")} if isinstance(pattern, str) else {}
        return {key: _portable(value) for key, value in schema.items()} | portable
    return [_portable(item) for item in schema] if isinstance(schema, list) else schema
