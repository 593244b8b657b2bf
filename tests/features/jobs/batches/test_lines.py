"""The lines of a batch's file: which are good, what is wrong with others, and the names of their sounds."""

import asyncio
import json
from itertools import cycle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import InvalidRequest
from proxy.features.jobs.kinds.batch import lines as batch_lines
from proxy.features.jobs.kinds.batch.lines import (
    MOST_REPORTED_FAULTS,
    decode_line,
    named_lines,
    read_file,
    request_body,
)
from tests.features.jobs.batches.rig import jsonl, line
from tests.proxy.http import hostile_json
from tests.proxy.http.hostile_json import SHAPES


def changed(**fields: Any) -> dict[str, Any]:
    return line("one", "Hello.") | fields


def test_each_line_is_found_at_its_place() -> None:
    lines = [line("a", "Größe."), line("b", "Two."), line("c", "Three")]
    data = jsonl(*lines)
    for sent in (data, data.rstrip(b"\n"), data.replace(b"\n", b"\r\n\r\n"), b"\xef\xbb\xbf" + data):
        read = read_file(sent)
        assert read.faults == []
        assert read.characters == 15
        assert [decode_line(sent[first:last]).custom_id for first, last in read.lines] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("broken", "code", "param"),
    [
        (b'{"custom_id": "one"', "invalid_json_line", None),
        (b"[1, 2]", "invalid_json_line", None),
        (b'{"\xff": 1}', "invalid_json_line", None),
        (b"[" * 5000, "invalid_json_line", None),
        (changed(method="GET"), "invalid_method", "method"),
        (changed(url="/v1/embeddings"), "invalid_url", "url"),
        (changed(method=["POST"]), "invalid_method", "method"),
        (changed(url={"a": 1}), "invalid_url", "url"),
        (changed(more="x" * 300_000), "request_too_large", "body"),
        (changed(custom_id=""), "invalid_custom_id", "custom_id"),
        (changed(custom_id=7), "invalid_custom_id", "custom_id"),
        (changed(custom_id="x" * 257), "invalid_custom_id", "custom_id"),
        (changed(body=[]), "invalid_type", "body"),
        (changed(body={"input": "x" * 300_000}), "request_too_large", "body"),
        ({"custom_id": "one"}, "missing_required_parameter", "method"),
        (changed(body={"model": "tone", "voice": "alloy"}), "missing_required_parameter", "body.input"),
        (changed(body={"model": None, "input": "Hi."}), "missing_required_parameter", "body.model"),
    ],
)
def test_a_fault_is_named_with_its_line(broken: Any, code: str, param: str | None) -> None:
    lines = [line(f"{number}", "Hello.") for number in range(400)]
    lines[299] = broken
    (fault,) = read_file(jsonl(*lines)).faults
    assert (fault.code, fault.line, fault.param) == (code, 300, param)
    assert fault.message.startswith("Line 300: ")


async def test_hostile_lines_cost_little() -> None:
    good = line("one", "Hello.")
    fields = cycle(("method", "url", "custom_id", "body", "more"))
    many = [hostile_json.body(good, next(fields), shape, 260_000) for shape in SHAPES]
    whole = [hostile_json.body(good, "url", shape, 10 * 2**20) for shape in ("lists", "a long text")]
    for data in (b"\n".join(many), *whole):
        async with hostile_json.cost() as found:
            read = await asyncio.to_thread(read_file, data)
        assert read.faults
        assert found.held_s < hostile_json.MOST_S
        assert found.grown_bytes < 2 * len(data), found


def test_a_url_may_be_written_with_escapes() -> None:
    data = json.dumps(line("one", "Hello.")).replace("/v1/audio/speech", "\\/v1\\/audio\\/speech").encode()
    assert read_file(data).faults == []


def test_of_two_equal_custom_ids_both_lines_are_named() -> None:
    lines = [line("a", "One."), line("b", "Two."), line("a", "Three.")]
    (fault,) = read_file(jsonl(*lines)).faults
    assert (fault.code, fault.line) == ("duplicate_custom_id", 3)
    assert "line 1" in fault.message


def test_a_file_has_lines_and_not_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [fault.code for fault in read_file(b"\n \n").faults] == ["empty_file"]
    monkeypatch.setattr(batch_lines, "MOST_LINES", 3)
    assert read_file(jsonl(*(line(f"{number}", "Hi.") for number in range(3)))).faults == []
    (fault,) = read_file(jsonl(*(line(f"{number}", "Hi.") for number in range(5)))).faults
    assert (fault.code, fault.line) == ("too_many_lines", 4)
    assert read_file(b"\n \n\n" + jsonl(line("a", "Hi."))).faults == []
    (fault,) = read_file(b"\n \n\n" + jsonl(line("a", "Hi.")) + b"\n\n\n").faults
    assert (fault.code, fault.line) == ("too_many_lines", 5)


def test_a_file_full_of_faults_names_some() -> None:
    assert len(read_file(b"x\n" * 1000).faults) == MOST_REPORTED_FAULTS


def test_a_request_is_its_lines_body() -> None:
    for stream_format in ("audio", None):
        sent = line("one", "Hello.", stream_format=stream_format, provenance=None)
        assert json.loads(request_body(json.dumps(sent).encode())) == sent["body"]
    for name, value in (("stream_format", "sse"), ("stream_format", "words"), ("provenance", "c2pa")):
        with pytest.raises(InvalidRequest) as caught:
            request_body(json.dumps(line("one", "Hello.", **{name: value})).encode())
        assert caught.value.param == name


@pytest.mark.parametrize(
    ("custom_ids", "names"),
    [
        (["a", "b c", "ä.ß"], ["a.mp3", "b c.mp3", "ä.ß.mp3"]),
        (["../../etc/passwd", "C:\\x", "..", "\x00"], ["_.._etc_passwd.mp3", "C_x.mp3", "line.mp3", "_.mp3"]),
        (["a/b", "a:b", "A_B", "a_b~2"], ["a_b.mp3", "a_b~2.mp3", "A_B~3.mp3", "a_b_2.mp3"]),
        (["x" * 200, "x" * 201], ["x" * 100 + ".mp3", "x" * 100 + "~2.mp3"]),
    ],
)
def test_names_are_safe_and_unique(custom_ids: list[str], names: list[str]) -> None:
    raws = [json.dumps(line(each, "Hello.", response_format="mp3")).encode() for each in custom_ids]
    assert [file for _, file in named_lines(raws)] == names


@given(st.lists(st.text("aA~/2.", min_size=1, max_size=6), max_size=12))
def test_no_two_sounds_have_one_name(custom_ids: list[str]) -> None:
    named = named_lines(json.dumps(line(each, "Hello.")).encode() for each in custom_ids)
    files = [file for _, file in named]
    assert len({each.lower() for each in files}) == len(custom_ids)
    assert not any("/" in each or each.startswith(".") for each in files)


@pytest.mark.parametrize(
    ("body", "suffix"),
    [
        ({"response_format": "FLAC"}, "flac"),
        ({"response_format": None}, "mp3"),
        ({"response_format": "json"}, "mp3"),
        ({"response_format": "json", "audio_format": "Wav"}, "wav"),
        ({"response_format": "opus", "audio_format": "wav"}, "opus"),
        ({"response_format": "exe"}, "mp3"),
    ],
)
def test_a_name_ends_with_the_format(body: dict[str, Any], suffix: str) -> None:
    raw = json.dumps(line("one", "Hello.", **body)).encode()
    assert named_lines([raw]) == [("one", f"one.{suffix}")]
