"""Files and batches as OpenAI's own client asks for them, of a real server on a port."""

import json
from collections.abc import Iterator

import pytest
from openai import APIStatusError, ConflictError, NotFoundError, OpenAI
from openai.types import Batch, FileObject

from tests import server
from tests.features.jobs.batches.rig import by_custom_id, jsonl, line, said_in, unzipped
from tests.server import Server
from tests.waiting import until

CONFIG = """
[server]
default_model = "tone"
[engines.tone]
voices = ["tone", "anna"]
says_voice = true
[models]
tone = ["tone/standard"]
[voices.alloy]
tone = "tone"
[voices.echo]
tone = "anna"
"""
FORMATS = ("mp3", "opus", "aac", "flac", "wav", "pcm")
SPEAKERS = {"alloy": "tone", "echo": "anna"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with server.running(tmp_path_factory.mktemp("batches"), CONFIG) as running:
        yield running


@pytest.fixture
def client(served: Server) -> Iterator[OpenAI]:
    with sdk(served, served.key) as client:
        yield client


def sdk(served: Server, key: str) -> OpenAI:
    return OpenAI(base_url=f"{served.url}/v1", api_key=key, max_retries=0)


def uploaded(client: OpenAI, data: bytes, name: str = "lines.jsonl") -> FileObject:
    return client.files.create(file=(name, data), purpose="batch")


def made(client: OpenAI, data: bytes, **metadata: str) -> Batch:
    return made_of(client, uploaded(client, data).id, **metadata)


def made_of(client: OpenAI, file: str, **metadata: str) -> Batch:
    return client.batches.create(
        input_file_id=file,
        endpoint="/v1/audio/speech",  # type: ignore[arg-type]  # OpenAI has none for speech
        completion_window="24h",
        metadata=metadata,
    )


def ended(client: OpenAI, batch: Batch) -> Batch:
    until(lambda: client.batches.retrieve(batch.id).status != "in_progress")
    return client.batches.retrieve(batch.id)


def sound_file(batch: Batch) -> str:
    """What OpenAI's batches do not have."""
    found = (batch.model_extra or {})["sound_file_id"]
    assert isinstance(found, str)
    return found


def test_lines_of_all_formats_and_voices_are_spoken(client: OpenAI) -> None:
    lines = [
        line(
            f"line {number}",
            f"Word {number}.",
            response_format=FORMATS[number % len(FORMATS)],
            voice=list(SPEAKERS)[number % 2],
        )
        for number in range(24)
    ]
    lines += [line("as json", "Told.", response_format="json", audio_format="flac")]
    lines += [line("nobody", "Lost.", voice="nobody"), line("events", "Lost.", stream_format="sse")]
    begun = made(client, jsonl(*lines), book="one")
    assert (begun.object, begun.status, begun.metadata) == ("batch", "in_progress", {"book": "one"})
    assert begun.expires_at == begun.created_at + 86_400
    batch = ended(client, begun)
    assert batch.status == "completed"
    assert batch.request_counts is not None
    counts = batch.request_counts
    assert (counts.total, counts.completed, counts.failed) == (27, 25, 2)
    assert batch.completed_at == batch.finalizing_at != batch.failed_at

    sounds = unzipped(client.files.content(sound_file(batch)).content)
    assert batch.output_file_id is not None
    rows = by_custom_id(client.files.content(batch.output_file_id).content)
    assert len(rows) == len(sounds) == 25
    for each in lines[:24]:
        row, body = rows[each["custom_id"]], each["body"]
        assert (row["error"], row["response"]["status_code"]) == (None, 200)
        told = row["response"]["body"]
        assert told["file"] == f"{each['custom_id']}.{body['response_format']}"
        assert told["audio_format"] == body["response_format"]
        assert told["usage"]["characters"] == len(body["input"])
        assert "audio_base64" not in told
        said = said_in(told["file"], sounds[told["file"]])
        assert said == [f"{SPEAKERS[body['voice']]}:{body['input']}"]
    assert rows["as json"]["response"]["body"]["file"] == "as json.flac"

    assert batch.error_file_id is not None
    failed = by_custom_id(client.files.content(batch.error_file_id).content)
    assert {id_: row["error"]["code"] for id_, row in failed.items()} == {
        "nobody": "voice_not_found",
        "events": "invalid_value",
    }
    assert failed["nobody"]["response"]["status_code"] == 400
    assert failed["nobody"]["response"]["body"]["error"]["param"] == "voice"


def test_files_are_listed_read_and_deleted(client: OpenAI) -> None:
    data = [jsonl(line(f"{number}", "Hello.")) for number in range(3)]
    files = [uploaded(client, each, f"folder/lines {number}.jsonl") for number, each in enumerate(data)]
    first = files[0]
    assert (first.object, first.purpose, first.bytes) == ("file", "batch", len(data[0]))
    assert (first.filename, first.status) == ("lines 0.jsonl", "processed")
    assert first.expires_at == first.created_at + 7 * 86_400
    assert client.files.retrieve(first.id) == first
    assert client.files.content(first.id).content == data[0]
    part = client.with_options(default_headers={"range": "bytes=3-9"}).files.content(first.id)
    assert part.content == data[0][3:10]
    listed = [file.id for file in client.files.list(limit=1)]
    assert listed[:3] == [file.id for file in reversed(files)]
    oldest = [file.id for file in client.files.list(order="asc", limit=2)]
    assert oldest == listed[::-1]
    assert list(client.files.list(purpose="batch_output")) == []
    assert client.files.delete(first.id).deleted
    with pytest.raises(NotFoundError):
        client.files.retrieve(first.id)
    with pytest.raises(NotFoundError):
        client.files.delete(first.id)


def test_a_deleted_file_ends_no_batch_and_a_batchs_files_are_its_own(client: OpenAI) -> None:
    file = uploaded(client, jsonl(line("one", "Hello.")))
    batch = made_of(client, file.id)
    client.files.delete(file.id)
    batch = ended(client, batch)
    assert batch.status == "completed"
    assert batch.error_file_id is None
    assert batch.output_file_id is not None
    output = client.files.retrieve(batch.output_file_id)
    assert (output.purpose, output.filename) == ("batch_output", f"{batch.id}_output.jsonl")
    assert output.bytes == len(client.files.content(output.id).content)
    with pytest.raises(ConflictError):
        client.files.delete(output.id)
    assert batch.id in [each.id for each in client.batches.list(limit=1)]


def test_a_batch_with_broken_lines_has_failed(client: OpenAI) -> None:
    lines: list[object] = [line(f"{number}", "Hello.") for number in range(400)]
    lines[299] = b'{"custom_id": "299", "method": "POST", "url"'
    lines[350] = line("7", "Again.")
    batch = made(client, jsonl(*lines))
    assert batch.status == "failed"
    assert (batch.failed_at, batch.in_progress_at) == (batch.created_at, None)
    assert batch.errors is not None
    assert [(each.code, each.line) for each in batch.errors.data or []] == [
        ("invalid_json_line", 300),
        ("duplicate_custom_id", 351),
    ]
    assert "line 8" in str((batch.errors.data or [])[1].message)
    assert batch.output_file_id is batch.error_file_id is None
    assert client.batches.retrieve(batch.id) == batch


def test_a_cancelled_batch_keeps_what_was_spoken(client: OpenAI) -> None:
    lines = [line(f"{number}", "A line of some words. " * 40) for number in range(200)]
    begun = made(client, jsonl(*lines))

    def done() -> int:
        counts = client.batches.retrieve(begun.id).request_counts
        return counts.completed if counts else 0

    until(lambda: done() > 0)
    batch = client.batches.cancel(begun.id)
    assert batch.status == "cancelled"
    assert batch.cancelled_at is not None
    assert batch.request_counts is not None
    assert 0 < batch.request_counts.completed < 200
    assert client.batches.cancel(begun.id).status == "cancelled"
    assert batch.error_file_id is not None
    left = by_custom_id(client.files.content(batch.error_file_id).content)
    assert {row["error"]["code"] for row in left.values()} == {"batch_cancelled"}
    assert left["199"]["response"] is None


def test_bad_input_names_its_field(served: Server, client: OpenAI) -> None:
    good = jsonl(line("one", "Hello."))

    def refused(status: int, **asked: object) -> tuple[str | None, str | None]:
        form = {"file": ("lines.jsonl", good), "purpose": "batch"} | asked
        with pytest.raises(APIStatusError) as caught:
            client.files.create(**form)  # type: ignore[arg-type]  # what is wrong is the point
        assert caught.value.status_code == status
        return caught.value.code, caught.value.param

    assert refused(400, purpose="fine-tune") == ("invalid_value", "purpose")
    assert refused(400, file=("lines.jsonl", b" \n")) == ("empty_file", "file")
    assert refused(400, file=("lines.csv", good)) == ("invalid_value", "file")
    assert refused(400, file=("a.jsonl", b"x" * (10 * 2**20 + 1))) == ("file_too_large", "file")
    too_soon = {"anchor": "created_at", "seconds": 5}
    assert refused(400, expires_after=too_soon) == ("invalid_value", "expires_after[seconds]")

    file = uploaded(client, good)
    batch = ended(client, made_of(client, file.id))
    with sdk(served, served.mint_key("ben", plan="unlimited").secret) as other:
        with pytest.raises(NotFoundError) as caught:
            made_of(other, file.id)
        assert (caught.value.code, caught.value.param) == ("file_not_found", "input_file_id")
        for id_ in (file.id, batch.output_file_id or "", sound_file(batch), "file-job_nothing-output"):
            with pytest.raises(NotFoundError):
                other.files.content(id_)
        with pytest.raises(NotFoundError):
            other.batches.retrieve(batch.id)
        assert list(other.batches.list()) == []
        assert list(other.files.list()) == []
    for wrong in ({"endpoint": "/v1/embeddings"}, {"completion_window": "1h"}):
        asked = {"input_file_id": file.id, "endpoint": "/v1/audio/speech", "completion_window": "24h"}
        with served.client() as http:
            answer = http.post("/v1/batches", json=asked | wrong)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, next(iter(wrong)))
    assert json.loads(client.batches.with_raw_response.list(limit=1).text)["data"][0]["id"] == batch.id
