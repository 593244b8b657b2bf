"""A hostile value in any one field of any operation is refused in the envelope, or taken; it is never a 5xx.

The fields are those of the OpenAPI document: of paths, queries, headers, forms and bodies, also within
others. `make test` tries each field with NUL and a value that the commit chooses, and `make soak` with all.
"""

import json
import random
import re
import subprocess
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote_from_bytes, unquote

import pytest
from structlog.testing import capture_logs

from proxy.access.admission import MOST_A_MINUTE
from tests.databases import ALL_STORES
from tests.proxy.http.every_endpoint import LAST, Everything, Operation, everything_served

VALUES: dict[str, Any] = {
    "NUL": "a\0b",
    "lone surrogate": "a\ud800b",
    "100 KB": "x" * 100_000,
    "right to left": "\u202eabc\u05d0",
    "control characters": "a\x1b[31m\r\n\x7f\x85",
    "beyond int64": 2**63,
    "wrong type": [{"a": True}],
    "twice": None,
}
"""JSON has "twice" as a name that stands twice, and a path cannot have it."""
NOT_HERE = {
    "POST /v1/sign-ins": 503,
}
"""What this server's configuration cannot do, whatever is asked."""
_DEEPEST = 3


class Try(NamedTuple):
    """One hostile value in one field."""

    operation: Operation
    place: str
    field: str
    kind: str

    @property
    def name(self) -> str:
        return f"{self.operation.id}: {self.place} {self.field}: {self.kind}"


def tries_of(served: Everything) -> Iterator[Try]:
    for operation in served.operations:
        if operation.id in LAST:
            continue
        described = served.document["paths"][operation.path][operation.method.lower()]
        fields = [(each["in"], each["name"]) for each in described.get("parameters", ())]
        for form, schema in _schemas(described):
            fields += [(form, name) for name in _names(served.document, schema)]
        for place, field in dict.fromkeys(fields):
            for kind in VALUES:
                if kind != "twice" or (place != "path" and "." not in field):
                    yield Try(operation, place, field, kind)


def _schemas(described: Any) -> Iterator[tuple[str, Any]]:
    for media, content in described.get("requestBody", {}).get("content", {}).items():
        if media in ("application/json", "multipart/form-data"):
            for schema in content["schema"].get("anyOf", [content["schema"]]):
                yield ("body" if media == "application/json" else "form"), schema


def _names(document: Any, schema: Any, deep: int = 1) -> Iterator[str]:
    """Yield the fields of a schema, those within others as `prices.speech`; a list is its first item."""
    for name, of in _resolved(document, schema).get("properties", {}).items():
        yield name
        for choice in _resolved(document, of).get("anyOf", [of]) if deep < _DEEPEST else ():
            inner = _resolved(document, choice)
            item = "" if "items" not in inner else "0."
            inside = _names(document, inner.get("items", inner), deep + 1)
            yield from (f"{name}.{item}{each}" for each in inside)


def _resolved(document: Any, schema: Any) -> Any:
    if "$ref" in schema:
        return document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def put(body: Any, field: str, value: Any) -> Any:
    """Return a body with a value in place of a field, which may be within others."""
    name, _, rest = field.partition(".")
    if name == "0":
        return [put(body[0] if isinstance(body, list) and body else {}, rest, value)]
    own = body if isinstance(body, dict) else {}
    return {**own, name: put(own.get(name), rest, value) if rest else value}


def _raw(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode("utf-8", "surrogatepass")


async def send(served: Everything, tried: Try) -> tuple[int, bytes]:
    operation, place, field, kind = tried
    sent = operation.request(served.document, served.objects)
    path, _, query = sent.path.partition("?")
    hostile = quote_from_bytes(_raw(VALUES[kind] or "1"), safe="")
    body = json.dumps(sent.more["json"]).encode() if "json" in sent.more else b""
    headers = [(b"host", b"voxgate.test")]
    if place != "form":
        headers.append((b"content-type", b"application/json"))
    headers += [(name.encode(), value.encode()) for name, value in served.proof(operation).items()]
    if place == "path":
        parts = zip(operation.path.split("/"), path.split("/"), strict=False)
        path = "/".join(hostile if part == f"{{{field}}}" else own for part, own in parts)
    elif place == "query":
        query = "&".join(filter(None, [query, *[f"{field}={hostile}"] * (2 if kind == "twice" else 1)]))
    elif place == "header":
        headers += [(field.lower().encode(), _raw(VALUES[kind] or "1"))] * (2 if kind == "twice" else 1)
    elif place == "body":
        if kind == "twice":
            own = json.dumps({field: sent.more.get("json", {}).get(field)}).encode()[1:-1]
            body = b"{%s, %s}" % (own, body[1:-1] or own)
        else:
            body = json.dumps(put(sent.more.get("json"), field, VALUES[kind])).encode()
    if place == "form" or (place != "body" and "files" in sent.more):
        data = {name: [_raw(text)] for name, text in sent.more.get("data", {}).items()}
        if place == "form":
            data[field] = [_raw(VALUES[kind] or data.get(field, ["1"])[0])] * (2 if kind == "twice" else 1)
        headers = [each for each in headers if each[0] != b"content-type"]
        headers.append((b"content-type", b"multipart/form-data; boundary=x"))
        body = _form(data, sent.more.get("files", {}))
    return await _call(served, operation.method, (path, query), headers, body)


def _form(data: dict[str, list[bytes]], files: Any) -> bytes:
    head = b'--x\r\ncontent-disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'
    parts = [head % (name.encode(), b"", each) for name, values in data.items() for each in values]
    parts += [head % (name.encode(), b'; filename="a"', file[1]) for name, file in files.items()]
    return b"".join((*parts, b"--x--\r\n"))


async def _call(
    served: Everything, method: str, target: tuple[str, str], headers: list[tuple[bytes, bytes]], body: bytes
) -> tuple[int, bytes]:
    answer, said = dict[str, Any](), bytearray()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def receive_answer(message: Any) -> None:
        answer.update(message)
        said.extend(message.get("body", b""))

    scope = {
        "type": "http",
        "method": method,
        "path": unquote(target[0]),
        "raw_path": target[0].encode(),
        "query_string": target[1].encode(),
        "headers": headers,
        "client": ("192.0.2.1", 4000),
    }
    await served.shop.server.worker.public(scope, receive, receive_answer)
    return answer["status"], bytes(said)


def wrong_with(tried: Try, status: int, said: bytes, logged: list[Any]) -> str:
    """What a try shows to be wrong; "" if nothing."""
    if errors := [log for log in logged if log["log_level"] in ("error", "critical")]:
        return f"logged {errors}"[:2000]
    if status < 400:
        return ""
    if status >= 500 and NOT_HERE.get(f"{tried.operation.method} {tried.operation.path}") != status:
        return f"{status}: {said[:300]!r}"
    try:
        error = json.loads(said)["error"]
        assert {"message", "type", "code", "param"} <= error.keys()
    except (ValueError, KeyError, TypeError, AssertionError):
        return f"{status} without the envelope: {said[:300]!r}"
    if status == 400 and tried.place != "path" and not _names_it(error["param"], tried):
        return f"{status} names {error['param']!r}: {said[:300]!r}"
    return ""


def _names_it(param: str | None, tried: Try) -> bool:
    """Tell whether a refusal names the field. What is no JSON has no fields, a wrong code is refused without
    a word of its fault, and no engine here can clone."""
    if tried.place == "body" and tried.kind in ("twice", "lone surrogate"):
        return True
    if tried.operation.id in ("confirm_sign_in", "clone_voice") and tried.field != "engine":
        return True
    return _first(param or "") == _first(tried.field)


def _first(field: str) -> str:
    """The field of the request in which another one lies."""
    return re.split(r"[.\[]", field.lower())[0]


def _commit() -> str:
    """The tree of the commit, which chooses the part that is tried."""
    command = ["git", "rev-parse", "HEAD^{tree}"]
    shown = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True)
    return shown.stdout.decode().strip() or "no commit"


async def check(folder: Path, store_url: str, monkeypatch: pytest.MonkeyPatch, *, is_whole: bool) -> None:
    for class_ in MOST_A_MINUTE:
        monkeypatch.setitem(MOST_A_MINUTE, class_, 10**6)
    seed = _commit()
    more = f'[storage]\nurl = "{store_url}"\n' if store_url else ""
    async with everything_served(folder, more=more) as served:
        tries = [*tries_of(served)]
        if not is_whole:
            drawn = random.Random(seed)
            by_field = groupby(tries, lambda each: (each.operation.id, each.place, each.field))
            kinds = [[*each] for _, each in by_field]
            tries = [tried for first, *others in kinds for tried in (first, drawn.choice(others))]
        assert len(tries) > 500
        found = []
        for tried in tries:
            with capture_logs() as logged:
                status, said = await send(served, tried)
            if wrong := wrong_with(tried, status, said, logged):
                found.append(f"{tried.name}: {wrong}")
        assert not found, "\n".join([f"seed {seed}", *found])


@pytest.mark.parametrize("store_url", ALL_STORES, indirect=True)
async def test_some_hostile_values_are_no_fault_of_the_server(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await check(tmp_path, store_url, monkeypatch, is_whole=False)


@pytest.mark.soak
@pytest.mark.parametrize("store_url", ALL_STORES, indirect=True)
async def test_no_hostile_value_is_a_fault_of_the_server(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await check(tmp_path, store_url, monkeypatch, is_whole=True)
