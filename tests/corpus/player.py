"""Plays the steps of a topic against a world, and says of each what was answered, as it is recorded."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple

import httpx2

from tests.corpus import answers
from tests.corpus.steps import Step, Topic
from tests.corpus.worlds import World
from tests.proxy.http import described
from tests.replies import json_of
from tests.waiting import until

_NAME = re.compile(r"\{(\w+)\}")
_SHORTEST_ID = 12
_LEFT = ("audio_ms", "credits", "cost_usd")
"""What is on record of an answer that its client left depends on how much of it was sent until then."""


def play(topic: Topic, world: World) -> list[dict[str, Any]]:
    """A value for each step, in order: its request, its answer, and the usage row that it left.

    Each answer that is read whole must be as the server's OpenAPI document describes it.
    """
    with httpx2.Client(base_url=world.server.url, timeout=30) as http, ExitStack() as opened:
        playing = _Play(world, http, opened)
        played = playing.steps(topic.steps)
    assert not playing.faults, "\n".join(playing.faults)
    return played


class _Open(NamedTuple):
    step: Step
    response: httpx2.Response
    parts: Iterator[bytes]


class _Play:
    def __init__(self, world: World, http: httpx2.Client, opened: ExitStack) -> None:
        self._world = world
        self._http = http
        self._opened = opened
        self._saved = {"key": world.server.key, "admin": world.admin, "dev": world.account}
        self._open: dict[str, _Open] = {}
        self._ids: dict[str, str] = {}
        self._document = json_of(http.get("/openapi.json"))
        self.faults: list[str] = []

    def steps(self, steps: tuple[Step, ...]) -> list[dict[str, Any]]:
        played = []
        for step in steps:
            for _ in range(step.times):
                answer = self._answer(step)
            played.append({"name": step.name, "request": step.request(), "answer": answer})
        rows = self._rows()
        for step, value in zip(steps, played, strict=True):
            row = rows.get(self._ids.get(step.name, ""))
            if row is not None and step.name not in self._open:
                value["usage"] = {**row, **dict.fromkeys(_LEFT, "<some>")} if step.kind == "open" else row
        return played

    def _answer(self, step: Step) -> dict[str, Any]:
        match step.kind:
            case "whole":
                return self._whole(step)
            case "open":
                return self._begun(step)
            case "leave":
                return self._leave(step)
            case "cli":
                done = self._world.server.cli(*map(self._filled, step.arguments), check=False)
                return answers.of_command(done, self._known())
            case "fault":
                found = self._http.post(f"{self._world.fakes[step.path]}/_fake/faults", json=step.body)
                return {"status": found.status_code}
            case "forget":
                self._http.post(f"{self._world.fakes[step.path]}/_fake/reset", json=[]).raise_for_status()
                return {}
            case "asked":
                report = self._http.get(f"{self._world.fakes[step.path]}/_fake/requests").json()
                return answers.of_provider(report, self._known())
            case _:
                return answers.of_metrics(self._http.get(self._world.server.metrics).text)

    def _whole(self, step: Step) -> dict[str, Any]:
        with self._http.stream(**self._request(step)) as response:
            body, broke = b"", False
            try:
                for part in response.iter_raw():
                    body += part
            except httpx2.TransportError:
                broke = True
        self._note(step, response)
        if not broke:
            self._judge(step, response, body)
        value = answers.of_response(response, body, step, self._known(), broke=broke)
        for name, place in step.save.items():
            try:
                self._saved[name] = answers.at(place, response, body)
            except (LookupError, ValueError):
                value["unsaved"] = name
        return value

    def _judge(self, step: Step, response: httpx2.Response, body: bytes) -> None:
        of = described.operation_of(self._document, step.method, self._filled(step.path))
        if of is not None:
            answer = httpx2.Response(response.status_code, headers=response.headers, content=body)
            found = described.faults(self._document, of, answer)
            self.faults += [f"{step.name}: {fault}" for fault in found]

    def _begun(self, step: Step) -> dict[str, Any]:
        response = self._opened.enter_context(self._http.stream(**self._request(step)))
        parts = response.iter_raw()
        next(parts, b"")
        # An iterator that nobody holds would close the answer.
        self._open[step.name] = _Open(step, response, parts)
        self._note(step, response)
        return answers.of_head(response, self._known())

    def _leave(self, step: Step) -> dict[str, Any]:
        left = self._open.pop(step.path)
        left.response.close()
        # The server learns of it in its own time; its count of requests under way says when it has.
        where = f"/admin/accounts/{self._saved[f'acc_{left.step.key}']}"
        until(lambda: not self._admin(where)["streams"])
        return {}

    def _rows(self) -> dict[str, dict[str, Any]]:
        """By request id: one question at the end, because such questions are counted by the minute."""
        rows = self._admin("/admin/usage?limit=1000")["data"]
        known = self._known()
        return {row.pop("id"): answers.of_row(row, known) for row in rows}

    def _admin(self, path: str) -> Any:
        return json_of(self._http.get(path, headers={"authorization": f"Bearer {self._world.admin}"}))

    def _note(self, step: Step, response: httpx2.Response) -> None:
        self._ids[step.name] = response.headers.get("x-request-id", "")

    def _request(self, step: Step) -> dict[str, Any]:
        headers = {name: self._filled(value) for name, value in step.headers.items()}
        if step.key:
            headers["authorization"] = f"Bearer {self._saved.get(step.key, step.key)}"
        more: dict[str, Any] = {}
        if step.raw is not None:
            more["content"] = step.raw.encode()
        elif step.body is not None:
            more["json"] = self._filled(step.body)
        return {"method": step.method, "url": self._filled(step.path), "headers": headers, **more}

    def _filled(self, value: Any) -> Any:
        if isinstance(value, str):
            return _NAME.sub(lambda found: self._saved.get(found[1], found[0]), value)
        if isinstance(value, dict):
            return {self._filled(key): self._filled(entry) for key, entry in value.items()}
        return [self._filled(entry) for entry in value] if isinstance(value, (list, tuple)) else value

    def _known(self) -> dict[str, str]:
        """Saved ids and secrets, the longest first, so that none is taken for a part of another."""
        names: dict[str, str] = {}
        for name, value in sorted(self._saved.items(), key=lambda pair: -len(pair[1])):
            if len(value) >= _SHORTEST_ID:
                names.setdefault(value, name)
        return names
