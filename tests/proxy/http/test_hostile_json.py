"""No JSON of a client holds the loop, or grows a worker by three times its bytes."""

from collections.abc import Iterator
from itertools import cycle, product
from pathlib import Path
from typing import Any

import pytest

from proxy.access.admission import MOST_A_MINUTE
from proxy.features.jobs.kinds.speech.request import MOST_BODY_BYTES
from proxy.features.lexicons.endpoints import MAX_BODY_BYTES as MOST_OF_LEXICONS
from proxy.speech.speech_request import MAX_BODY_BYTES as MOST_OF_SPEECH
from tests.proxy.api.inside import Inside, envelope, inside
from tests.proxy.http.hostile_json import MOST_S, SHAPES, Cost, body, cost
from tests.tables import soak

pytestmark = pytest.mark.slow

USUAL_BYTES = 64 * 1024
SIZES = {
    "/v1/jobs": MOST_BODY_BYTES,
    "/v1/audio/speech": MOST_OF_SPEECH,
    "/v1/lexicons/{name}": MOST_OF_LEXICONS,
    "/admin/lexicons/{name}": MOST_OF_LEXICONS,
}
JOB = {"model": "tone", "voice": "alloy", "input": "Hello."}
ALLOWED = 1024 * 1024
"""What a small body may take beyond: the memory of Python comes in pieces of this size."""


@pytest.fixture
def _uncounted(monkeypatch: pytest.MonkeyPatch) -> None:
    for class_ in MOST_A_MINUTE:
        monkeypatch.setitem(MOST_A_MINUTE, class_, 10**6)


async def sent(server: Inside, method: str, path: str, data: bytes) -> tuple[Any, Cost]:
    """Return the answer and what it cost. What held the loop once is sent again: a collection may be due."""
    key = server.admin_key if path.startswith("/admin") else server.key
    for _ in range(2):
        async with server.client(key) as client, cost() as found:
            answer = await client.request(method, path, content=data)
        assert answer.status_code < 500, answer.text
        if found.held_s < MOST_S:
            break
    return answer, found


FIELDS_OF_JOBS = (
    "kind",
    "chapters",
    "chapters.input",
    "chapters.more",
    "voice",
    "lexicon",
    "input",
    "unknown",
)
WORST = {
    "lists": "kind",
    "objects": "chapters",
    "large numbers": "chapters.more",
    "members": "unknown",
    "a long text": "kind",
    "escapes": "input",
    "backslashes": "stream_format",
}
"""What took most, before there was a bound."""


@pytest.mark.usefixtures("_uncounted")
@pytest.mark.parametrize("every", [False, *soak(True)])
async def test_a_job_that_is_all_brackets_is_refused_at_once(
    tmp_path: Path, subtests: pytest.Subtests, every: bool
) -> None:
    """`make soak` has each shape in each field."""
    fields = cycle(FIELDS_OF_JOBS)
    some = ((WORST.get(shape) or next(fields), shape) for shape in SHAPES)
    cases = product(FIELDS_OF_JOBS, SHAPES) if every else some
    async with inside(tmp_path) as server:
        await sent(server, "POST", "/v1/jobs", b"{}")
        for field, shape in cases:
            # Without it a text is missing, and nothing else is looked at.
            good = {name: value for name, value in JOB.items() if name != "input" or "chapters" not in field}
            size = MOST_BODY_BYTES if every or shape in WORST else MOST_OF_LEXICONS
            data = body(good, field, shape, size)
            with subtests.test(field, shape=shape):
                answer, found = await sent(server, "POST", "/v1/jobs", data)
                assert answer.is_client_error, answer.text
                envelope(answer)
                assert found.held_s < MOST_S
                # The body itself is the client's here, and another part of the growth in a server.
                assert found.grown_bytes < 2 * len(data) + ALLOWED, found


@pytest.mark.usefixtures("_uncounted")
@pytest.mark.parametrize("every", [False, *soak(True)])
async def test_any_field_of_any_endpoint_may_be_hostile(
    tmp_path: Path, subtests: pytest.Subtests, every: bool
) -> None:
    async with inside(tmp_path) as server:
        document = (await server.ask("GET", "/openapi.json")).json()
        await server.speech()
        shapes = cycle(SHAPES)
        for method, path, schema in json_bodies(document):
            size = min(SIZES.get(path, USUAL_BYTES), MOST_OF_LEXICONS)
            fields = (*schema["properties"], "unknown")
            for field, shape in product(fields, SHAPES) if every else zip(fields[-2:], shapes, strict=False):
                data = body({}, field, shape, size)
                with subtests.test(path, field=field, shape=shape):
                    answer, found = await sent(
                        server, method, path.format(id="x", name="x", sample="x"), data
                    )
                    if answer.is_error:
                        envelope(answer)
                    assert found.held_s < MOST_S
                    assert found.grown_bytes < 3 * len(data) + ALLOWED, found


def json_bodies(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield method, path and schema of each body that may be JSON."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            sent_as = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            for each in sent_as.get("schema", {}).get("anyOf", [sent_as.get("schema", {})]):
                if "$ref" in each:
                    yield method.upper(), path, document["components"]["schemas"][each["$ref"].split("/")[-1]]


async def test_a_text_may_have_as_many_brackets_as_it_has_characters(tmp_path: Path) -> None:
    async with inside(tmp_path) as server:
        tags = '[happy] {x}, \\" ' * 20_000
        for more in ({"input": tags}, {"chapters": [{"title": "[", "input": tags[:190]}] * 500}):
            body = {"model": "tone", "voice": "alloy", **more}
            made = await server.ask("POST", "/v1/jobs", body=body)
            assert made.status_code == 202, made.text
            await server.ask("DELETE", f"/v1/jobs/{made.json()['id']}")
