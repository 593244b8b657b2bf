"""Two real servers behind a balancer that alternates: what one of them makes, the other one has."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from tests.databases import Postgres
from tests.features.cluster.gateways import FOLDER, Gateways, gateways, new_voice
from tests.features.jobs.batches.rig import by_custom_id, jsonl, line, said_in, unzipped
from tests.features.jobs.job_rig import text_of, words_of
from tests.programs import present
from tests.proxy.file_store.buckets import BUCKET, make_bucket, s3_address
from tests.redis_server import RedisServer
from tests.replies import json_of
from tests.server import TONE
from tests.waiting import until

pytestmark = pytest.mark.slow

RPM = 9
PLANS = f"""
[plans.free]
[plans.few]
rpm = {RPM}
"""
SPOKEN = {"model": "tone", "voice": "alloy", "response_format": "pcm"}
MARKED = "This was said by the first of two servers, and it is long enough for a mark to be found."

Ask = Callable[..., httpx2.Response]


def bucket() -> str:
    return BUCKET.format(bucket=present(make_bucket), endpoint=s3_address())


KINDS = [
    pytest.param(lambda: FOLDER, id="folder"),
    pytest.param(bucket, id="bucket", marks=pytest.mark.soak),
]


@pytest.fixture(scope="module", params=KINDS)
def pair(
    request: pytest.FixtureRequest,
    shared_postgres: Postgres,
    shared_redis: RedisServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Gateways]:
    folder = tmp_path_factory.mktemp("walk")
    url = shared_postgres.url(search_path=shared_postgres.new_schema())
    with gateways(folder, url, shared_redis.url, config=TONE + PLANS, vault=request.param()) as opened:
        yield opened


@pytest.fixture(scope="module")
def client(pair: Gateways) -> Iterator[httpx2.Client]:
    with pair.client(pair.servers[0].mint_key("ana", plan="free").secret) as balanced:
        yield balanced


def both(ask: Ask, *arguments: Any, status: int = 200, **named: Any) -> tuple[httpx2.Response, ...]:
    """Return the answer of each server."""
    answers = tuple(ask(*arguments, **named) for _ in range(2))
    assert [each.status_code for each in answers] == [status] * 2, [each.text for each in answers]
    return answers


def said(answer: httpx2.Response) -> list[str] | None:
    return said_in("sound.pcm", answer.content)


def test_an_own_voice_and_its_consent_are_at_both_until_one_erases_it(client: httpx2.Client) -> None:
    voice = new_voice(client)
    asked = {**SPOKEN, "input": "In my voice.", "voice": voice}
    for answer in both(client.post, "/v1/audio/speech", json=asked):
        assert said(answer) == ["In my voice."]
    json_of(client.delete(f"/v1/audio/voices/{voice}"))
    both(client.post, "/v1/audio/speech", json=asked, status=400)
    for answer in both(client.get, f"/v1/audio/voices/erasures/{voice}"):
        assert answer.json()["pending"] == []
    both(client.get, f"/v1/audio/voices/{voice}", status=404)


def test_a_job_that_one_takes_is_listed_and_fetched_at_both(client: httpx2.Client) -> None:
    made = json_of(client.post("/v1/jobs", json={**SPOKEN, "input": text_of(4)}), 202)["id"]
    until(lambda: json_of(client.get(f"/v1/jobs/{made}"))["status"] == "done")
    for answer in both(client.get, f"/v1/jobs/{made}/content"):
        assert said(answer) == words_of(4)
    for answer in both(client.get, "/v1/jobs"):
        assert [each["id"] for each in answer.json()["data"]] == [made]


def test_a_batch_of_a_file_that_the_other_one_took(client: httpx2.Client) -> None:
    data = jsonl(line("1", "One."), line("2", "Two."))
    uploaded = json_of(
        client.post("/v1/files", data={"purpose": "batch"}, files={"file": ("lines.jsonl", data)})
    )
    body = {
        "input_file_id": uploaded["id"],
        "endpoint": "/v1/audio/speech",
        "completion_window": "24h",
    }
    batch = json_of(client.post("/v1/batches", json=body))
    until(lambda: json_of(client.get(f"/v1/batches/{batch['id']}"))["status"] == "completed")
    batch = json_of(client.get(f"/v1/batches/{batch['id']}"))
    for answer in both(client.get, f"/v1/files/{batch['output_file_id']}/content"):
        assert by_custom_id(answer.content).keys() == {"1", "2"}
    for answer in both(client.get, f"/v1/files/{batch['sound_file_id']}/content"):
        sounds = unzipped(answer.content)
        assert [said_in(name, sound) for name, sound in sorted(sounds.items())] == [["One."], ["Two."]]


def test_a_recording_of_one_is_converted_by_the_other_one(client: httpx2.Client) -> None:
    spoken = client.post("/v1/audio/speech", json={**SPOKEN, "input": "Again.", "response_format": "wav"})
    fields = {"model": "tone/standard", "voice": "alloy", "consent": "true", "response_format": "pcm"}
    files = {"file": ("again.wav", spoken.content)}
    for answer in both(client.post, "/v1/audio/conversions", data=fields, files=files):
        assert said(answer) == ["Again."]


def test_a_clip_is_known_to_both(client: httpx2.Client) -> None:
    asked = {**SPOKEN, "model": "espeak/standard", "input": MARKED, "response_format": "wav"}
    clip = client.post("/v1/audio/speech", json=asked)
    for answer in both(client.post, "/v1/audio/marks/detect", files={"file": ("a.wav", clip.content)}):
        found = answer.json()
        assert (found["found"], found["marks"][0]["is_ours"]) == (True, True), found


def test_requests_a_minute_are_exact_over_both(pair: Gateways) -> None:
    with pair.client(pair.servers[1].mint_key("few", plan="few").secret) as few:
        statuses = [
            few.post("/v1/audio/speech", json={**SPOKEN, "input": "Hi."}).status_code for _ in range(RPM + 4)
        ]
    assert statuses == [200] * RPM + [429] * 4


def test_a_repeated_request_is_answered_once_and_charged_once(pair: Gateways, client: httpx2.Client) -> None:
    asked, named = {**SPOKEN, "input": "Only once."}, {"idempotency-key": "one-key"}
    first, again = both(client.post, "/v1/audio/speech", json=asked, headers=named)
    assert said(first) == said(again) == ["Only once."]
    assert [each.headers.get("x-voxgate-replayed") for each in (first, again)] == [None, "true"]
    both(client.post, "/v1/audio/speech", json={**asked, "input": "Another."}, headers=named, status=422)
    for answer in both(client.get, "/v1/usage?limit=3"):
        rows = [row["id"] for row in answer.json()["data"]]
        assert [rows.count(each.headers["x-request-id"]) for each in (first, again)] == [1, 0]


def test_both_are_alive_and_do_not_differ(pair: Gateways) -> None:
    shown = pair.cli("machines")
    assert [each["is_alive"] for each in shown["data"]] == [True] * 2
    assert shown["differing"] == []
