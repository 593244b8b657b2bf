"""An answer as it is recorded: of HTTP by its content type, of a command, of a provider's fake."""

import base64
import csv
import io
import json
import re
import subprocess
from collections.abc import Mapping
from itertools import groupby
from typing import Any

import httpx2

from tests.corpus import exempt, heard
from tests.corpus.steps import Step

Known = Mapping[str, str]
UNSTEADY_ENGINE = "espeak"


def of_head(response: httpx2.Response, known: Known) -> dict[str, Any]:
    found = exempt.headers(response.status_code, dict(response.headers), known)
    return {"status": response.status_code, "headers": found}


def of_response(
    response: httpx2.Response, body: bytes, step: Step, known: Known, *, broke: bool
) -> dict[str, Any]:
    head = of_head(response, known)
    kind = response.headers.get("content-type", "").partition(";")[0]
    if broke:
        # How much came before depends on how fast it was read; events end with the one that says why.
        ending = {"events": _events(body, step, known)} if kind == "text/event-stream" else {}
        return {**head, "broke_off": True, **ending}
    if step.ignores_body:
        return {**head, "is_empty": not body}
    is_steady = not response.headers.get("x-voxgate-engine", "").startswith(UNSTEADY_ENGINE)
    found = _body(body, kind, step, known, is_steady=is_steady)
    return {**head, **(found if is_steady else exempt.unsteady(found))}


def _body(body: bytes, kind: str, step: Step, known: Known, *, is_steady: bool) -> dict[str, Any]:
    if not body:
        return {"is_empty": True}
    if (audio_format := heard.format_of(kind)) is not None:
        return {"audio": heard.described(body, audio_format, _speed(step), is_steady=is_steady)}
    if kind == "application/json":
        return {"json": _json(json.loads(body), step, known, is_steady=is_steady)}
    if kind == "text/event-stream":
        return {"events": _events(body, step, known)}
    if kind == "text/csv":
        lines = list(csv.DictReader(io.StringIO(body.decode())))
        return {"csv": [exempt.plain(line, known) for line in lines]}
    return {"text": exempt.text(body.decode(errors="replace"), known)}


def _json(value: Any, step: Step, known: Known, *, is_steady: bool) -> Any:
    if isinstance(value, dict) and "audio_base64" in value:
        audio = base64.b64decode(value.pop("audio_base64"))
        value["audio"] = heard.described(audio, value["audio_format"], _speed(step), is_steady=is_steady)
    return exempt.plain(value, known)


def _events(body: bytes, step: Step, known: Known) -> dict[str, Any]:
    """The kinds in order, repeated ones once: how many pieces there are depends on when they were ready."""
    lines = [line.removeprefix("data: ") for line in body.decode().split("\n\n") if line]
    events = [json.loads(line) for line in lines]
    audio = b"".join(base64.b64decode(event["audio"]) for event in events if "audio" in event)
    others = [exempt.plain(event, known) for event in events if "audio" not in event]
    kinds = [kind for kind, _ in groupby(str(event["type"]) for event in events)]
    is_whole = bool(events) and events[-1]["type"] != "error"
    audio_format = (step.body or {}).get("response_format", "mp3")
    sound = {"audio": heard.described(audio, audio_format, _speed(step), is_steady=True)} if is_whole else {}
    return {"kinds": kinds, "others": others, **sound}


def of_row(row: Mapping[str, Any], known: Known) -> dict[str, Any]:
    found: dict[str, Any] = exempt.plain(row, known)
    return exempt.unsteady(found) if row["engine"] == UNSTEADY_ENGINE else found


def of_command(done: subprocess.CompletedProcess[str], known: Known) -> dict[str, Any]:
    """Its exit status and its JSON; of what it says to people only whether it says something."""
    try:
        printed = exempt.plain(json.loads(done.stdout), known)
    except ValueError:
        printed = bool(done.stdout.strip())
    return {"status": done.returncode, "printed": printed, "complains": bool(done.stderr.strip())}


def of_provider(report: Mapping[str, Any], known: Known) -> dict[str, Any]:
    """What the fake was asked for speech; lists of voices are fetched in the background, at any time."""
    asked = [
        {
            "path": exempt.text(each["path"], known),
            "query": each["query"],
            "json": each["json"],
            "status": each["status"],
            "key": next((name for name in _KEY_HEADERS if name in each["headers"]), None),
        }
        for each in report["requests"]
        if any(path in each["path"] for path in _SPEECH_PATHS)
    ]
    return {"asked": asked}


_SPEECH_PATHS = ("/audio/speech", "/text-to-speech/", "/t2a_v2")
_KEY_HEADERS = ("authorization", "xi-api-key")


def of_metrics(page: str) -> dict[str, Any]:
    """The names with their kinds: what they count belongs to all topics of the server together."""
    found = re.findall(r"^# TYPE (\S+) (\S+)$", page, re.MULTILINE)
    return {"names": {name: kind for name, kind in sorted(found) if _was_there(name)}}


def at(place: str, response: httpx2.Response, body: bytes) -> str:
    """What a step saves: `data.0.id` of the JSON, or `header NAME`; LookupError where there is none."""
    if place.startswith("header "):
        return str(response.headers[place.removeprefix("header ")])
    value = json.loads(body)
    for part in place.split("."):
        value = value[int(part)] if isinstance(value, list) else value[part]
    return str(value)


def _speed(step: Step) -> float:
    speed = (step.body or {}).get("speed", 1.0)
    return float(speed) if isinstance(speed, (int, float)) else 1.0


def _was_there(name: str) -> bool:
    return name.startswith("voxgate") and name not in exempt.NEW
