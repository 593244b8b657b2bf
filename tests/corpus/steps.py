"""What a topic is made of: requests in their order, written as tables in `tests/corpus/topics`.

A text such as `{acc}` in a path, a header or a body stands for a value that an earlier step saved.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

Kind = Literal["whole", "open", "leave", "cli", "fault", "forget", "asked", "metrics"]
"""`whole` reads the answer to its end. `open` reads its beginning and keeps it open; `leave` hangs up on the
one of that name, and waits until the server has noticed. `cli` runs `voxgate`.

`fault`, `forget` and `asked` talk to a provider's fake: what it does next; that it forgets all requests; for
what speech it was asked. `metrics` lists the names on the metrics page."""


class Step(NamedTuple):
    """One request. `key` names a saved secret, "" sends none; `raw` is sent as it is, in place of `body`.

    `save` maps a name to a place in the answer: `data.0.id` of the JSON, or `header x-request-id`. With
    `ignores_body` only status and headers count. `times` sends it so often and compares the last answer.
    """

    name: str
    method: str = "GET"
    path: str = "/"
    key: str = "key"
    headers: Mapping[str, str] = {}
    body: Any = None
    raw: str | None = None
    save: Mapping[str, str] = {}
    kind: Kind = "whole"
    arguments: tuple[str, ...] = ()
    ignores_body: bool = False
    times: int = 1

    def request(self) -> dict[str, Any]:
        """The request as it is written into the recording, with the names in place of saved values."""
        plain = {field: value for field, value in self._asdict().items() if value != _DEFAULTS.get(field)}
        return {field: _shortened(value) for field, value in plain.items() if field != "name"}


class Topic(NamedTuple):
    """Steps that need nothing of another topic. `world` names the server that they run against."""

    name: str
    world: str
    steps: tuple[Step, ...]


_DEFAULTS = Step._field_defaults
_LONGEST, _MOST = 300, 60


def _shortened(value: Any) -> Any:
    """What is long only to be too long is told in a few words."""
    if isinstance(value, str) and len(value) > _LONGEST:
        return f"{value[:60]}… ({len(value)} characters)"
    if isinstance(value, Mapping) and len(value) > _MOST:
        return f"({len(value)} entries)"
    if isinstance(value, Mapping):
        return {key: _shortened(entry) for key, entry in value.items()}
    return [_shortened(entry) for entry in value] if isinstance(value, (list, tuple)) else value


def speak(name: str, text: str, /, *, step: Mapping[str, Any] | None = None, **fields: Any) -> Step:
    """A request for speech as PCM by `alloy`; `fields` are those of its body, None leaves one out."""
    body = {"model": "tts-1", "voice": "alloy", "input": text, "response_format": "pcm", **fields}
    sent = {field: value for field, value in body.items() if value is not None}
    return Step(name, "POST", "/v1/audio/speech", body=sent, **(step or {}))


def get(name: str, path: str, key: str = "key", **more: Any) -> Step:
    return Step(name, "GET", path, key, **more)


def post(name: str, path: str, body: Any, key: str = "key", **more: Any) -> Step:
    return Step(name, "POST", path, key, body=body, **more)


def put(name: str, path: str, body: Any, key: str = "key", **more: Any) -> Step:
    return Step(name, "PUT", path, key, body=body, **more)


def delete(name: str, path: str, key: str = "key", **more: Any) -> Step:
    return Step(name, "DELETE", path, key, **more)


def cli(name: str, *arguments: str, **more: Any) -> Step:
    return Step(name, kind="cli", arguments=arguments, **more)


def account(name: str, plan: str, **agreed: Any) -> tuple[Step, Step]:
    """An account with one key: saves `acc_NAME` and `NAME`, its id and its key's secret."""
    body = {"name": name, "plan": plan, **({"agreed": agreed} if agreed else {})}
    made = post(f"{name}: account", "/admin/accounts", body, "admin", save={f"acc_{name}": "id"})
    caller = {"account": name, "name": "first"}
    save = {name: "key", f"key_{name}": "id"}
    return made, post(f"{name}: key", "/admin/keys", caller, "admin", save=save)
