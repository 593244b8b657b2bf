"""What must come of every fault of a provider: a row each, for a request with nobody else to ask, and for one
with a second candidate."""

from typing import Any, NamedTuple

from fakes.faults import Broken, FaultOrder, ScriptedFault
from tests.faults.clouds import Plugin

View = str | tuple[int, str]
"""What the client gets: a status and a code where there is no audio, else one of these."""
WHOLE = "all words, by this engine"
OTHER = "all words, by the second candidate"
BROKEN = "an answer that breaks off"
UNAVAILABLE = (503, "engine_unavailable")
TIMED_OUT = (503, "engine_timeout")
REFUSED = (400, "content_refused")

SOME_BYTES, FEW_BYTES = 16_000, 6_000
"""Of an answer: enough for some audio, not for all of it. The one fake's MP3 is smaller than the others'."""


class Row(NamedTuple):
    """`asked`: how many requests the provider sees, of which `retries` are second and third tries. `took`:
    whether it counts among the costs. `error` is the class of the fault, as the metrics have it."""

    plugin: Plugin
    case: str
    faults: tuple[ScriptedFault, ...]
    alone: View
    beside: View
    asked: int = 1
    took: bool = True
    error: str = ""
    retries: int = 0
    is_alarm: bool = False
    format: str = "mp3"
    settings: str = ""
    within_s: float = 30.0

    @property
    def name(self) -> str:
        return f"{self.plugin}-{self.case}".replace(" ", "-")

    @property
    def turns(self) -> bool:
        """A second candidate speaks what this one could not."""
        return self.beside == OTHER

    @property
    def is_silent(self) -> bool:
        """It takes as long as a silence may last, and nobody works on it meanwhile."""
        return self.error == _TIMEOUT


def _is(name: FaultOrder | Broken, **more: Any) -> tuple[ScriptedFault, ...]:
    return (ScriptedFault(name=name, **more),)


_HARMLESS = _is("slow", piece_bytes=4096, pause_s=0)
_TRICKLE = _is("slow", piece_bytes=1, pause_s=0.5)
_DRIP = _is("slow", piece_bytes=1000, pause_s=0.01)
_SSE = 'stream = "sse"\n'
_TIMES = "word_times = true\n"
_SHORT_CALLS = "max_characters = 24\n"

_FAILED, _STUMBLED, _LIMITED, _TIMEOUT = "EngineFailed", "EngineStumbled", "EngineLimited", "EngineTimeout"
_UNAUTHORIZED, _EXHAUSTED, _CONTENT = "EngineUnauthorized", "EngineExhausted", "ContentRefused"


def _mended(plugin: Plugin, case: str, faults: tuple[ScriptedFault, ...], error: str, **more: Any) -> Row:
    """The second try is whole, and nobody else need be asked."""
    return Row(plugin, case, faults, WHOLE, WHOLE, asked=2, error=error, retries=1, **more)


def _given_up(plugin: Plugin, case: str, faults: tuple[ScriptedFault, ...], error: str, **more: Any) -> Row:
    """Three tries, of which the provider bills none."""
    return Row(plugin, case, faults, UNAVAILABLE, OTHER, asked=3, took=False, error=error, retries=2, **more)


def _failed(plugin: Plugin, case: str, faults: tuple[ScriptedFault, ...], **more: Any) -> Row:
    """No audio, and nobody knows what the provider did: it may bill, so it is not asked again."""
    return Row(plugin, case, faults, UNAVAILABLE, OTHER, error=_FAILED, **more)


def _silent(plugin: Plugin, case: str, faults: tuple[ScriptedFault, ...], **more: Any) -> Row:
    return Row(plugin, case, faults, TIMED_OUT, OTHER, error=_TIMEOUT, within_s=15.0, **more)


def _breaks(
    plugin: Plugin, case: str, faults: tuple[ScriptedFault, ...], error: str = _FAILED, **more: Any
) -> Row:
    """Audio has gone out: nobody is asked again."""
    return Row(plugin, case, faults, BROKEN, BROKEN, error=error, **more)


def _alarms(plugin: Plugin, case: str, faults: tuple[ScriptedFault, ...], error: str) -> Row:
    """The operator's to mend, and never the client's."""
    return Row(plugin, case, faults, UNAVAILABLE, OTHER, took=False, error=error, is_alarm=True)


def _refused(
    plugin: Plugin, case: str, faults: tuple[ScriptedFault, ...], error: str = "UnsupportedRequest"
) -> Row:
    """Something of the request is not taken, and nobody knows what: no alarm, and no cost."""
    return Row(plugin, case, faults, UNAVAILABLE, OTHER, took=False, error=error)


def _whole(plugin: Plugin, case: str, faults: tuple[ScriptedFault, ...] = (), **more: Any) -> Row:
    return Row(plugin, case, faults, WHOLE, WHOLE, **more)


def _too_late(plugin: Plugin) -> Row:
    """It names a time that nobody has."""
    faults = _is("429", retry_after="60")
    return Row(plugin, "429 for long", faults, UNAVAILABLE, OTHER, took=False, error=_LIMITED)


OPENAI = [
    _whole("openai", "well"),
    _whole("openai", "well in pcm", format="pcm"),
    _whole("openai", "well in two calls", settings=_SHORT_CALLS, asked=2),
    _mended("openai", "429", _is("429"), _LIMITED),
    _given_up("openai", "429 thrice", _is("429", count=3), _LIMITED),
    _too_late("openai"),
    _mended("openai", "503", _is("5xx"), _STUMBLED),
    _failed("openai", "500", _is("5xx", status=500)),
    _silent("openai", "504", _is("5xx", status=504)),
    _silent("openai", "hang before", _is("hang_before")),
    _silent("openai", "hang after headers", _is("hang_after")),
    _breaks("openai", "hang after audio", _is("hang_after", after_bytes=FEW_BYTES), _TIMEOUT, within_s=60),
    _failed("openai", "truncated before", _is("truncated")),
    _breaks("openai", "truncated after", _is("truncated", after_bytes=FEW_BYTES)),
    _breaks("openai", "truncated events", _is("truncated", after_bytes=FEW_BYTES), settings=_SSE),
    _failed("openai", "garbage", _is("garbage")),
    _failed("openai", "wrong codec", _is("wrong_codec")),
    _whole("openai", "slow", _DRIP),
    _silent("openai", "trickle", _TRICKLE),
    _failed("openai", "error in 200", _is("error_in_200", status=500)),
    _failed("openai", "error midstream at once", _is("error_midstream"), settings=_SSE, format="pcm"),
    _breaks("openai", "error midstream", _is("error_midstream", after_bytes=FEW_BYTES), settings=_SSE),
    _breaks("openai", "429 later", _HARMLESS + _is("429"), _LIMITED, settings=_SHORT_CALLS, asked=2),
    *(_refused("openai", f"{status}", _is("5xx", status=status)) for status in (400, 404, 413, 422)),
    _alarms("openai", "key refused", _is("5xx", status=401, code="invalid_api_key"), _UNAUTHORIZED),
    _refused("openai", "forbidden", _is("5xx", status=403), "EngineForbidden"),
    _alarms("openai", "no credit", _is("429", code="insufficient_quota"), _EXHAUSTED),
    _alarms("openai", "no credit in 200", _is("error_in_200", code="insufficient_quota"), _EXHAUSTED),
    Row(
        "openai",
        "moderation",
        _is("5xx", status=400, code="content_policy_violation"),
        REFUSED,
        REFUSED,
        took=False,
        error=_CONTENT,
    ),
]

ELEVENLABS = [
    _whole("elevenlabs", "well"),
    _whole("elevenlabs", "well in pcm", format="pcm"),
    _whole("elevenlabs", "well with times", settings=_TIMES),
    _mended("elevenlabs", "429", _is("429"), _LIMITED),
    _mended("elevenlabs", "busy with others", _is("429", code="concurrent_limit_exceeded"), _LIMITED),
    _given_up("elevenlabs", "429 thrice", _is("429", count=3), _LIMITED),
    _too_late("elevenlabs"),
    _mended("elevenlabs", "503", _is("5xx"), _STUMBLED),
    _mended("elevenlabs", "500", _is("5xx", status=500), _STUMBLED),
    _silent("elevenlabs", "504", _is("5xx", status=504)),
    _silent("elevenlabs", "hang before", _is("hang_before")),
    _silent("elevenlabs", "hang after headers", _is("hang_after")),
    _breaks(
        "elevenlabs", "hang after audio", _is("hang_after", after_bytes=SOME_BYTES), _TIMEOUT, within_s=60
    ),
    _failed("elevenlabs", "truncated before", _is("truncated")),
    _breaks("elevenlabs", "truncated after", _is("truncated", after_bytes=SOME_BYTES)),
    _breaks("elevenlabs", "truncated lines", _is("truncated", after_bytes=SOME_BYTES), settings=_TIMES),
    _failed("elevenlabs", "garbage", _is("garbage")),
    _failed("elevenlabs", "wrong codec", _is("wrong_codec")),
    _whole("elevenlabs", "slow", _DRIP),
    _silent("elevenlabs", "trickle", _TRICKLE),
    _mended("elevenlabs", "error in 200", _is("error_in_200"), _LIMITED),
    _failed("elevenlabs", "empty 200", _is("error_in_200", code="empty")),
    _breaks("elevenlabs", "error midstream", _is("error_midstream")),
    _breaks("elevenlabs", "error midstream in lines", _is("error_midstream"), _LIMITED, settings=_TIMES),
    _refused("elevenlabs", "no model", _is("5xx", status=404, code="model_not_found")),
    _alarms("elevenlabs", "key refused", _is("5xx", status=401, code="invalid_api_key"), _UNAUTHORIZED),
    _alarms("elevenlabs", "forbidden", _is("5xx", status=403, code="missing_permissions"), _UNAUTHORIZED),
    _alarms("elevenlabs", "no credit", _is("5xx", status=401, code="quota_exceeded"), _EXHAUSTED),
    _alarms("elevenlabs", "no credit in 200", _is("error_in_200", code="quota_exceeded"), _EXHAUSTED),
]

MINIMAX = [
    _whole("minimax", "well"),
    _whole("minimax", "well in pcm", format="pcm"),
    _whole("minimax", "well in one piece", settings="stream = false\n"),
    _mended("minimax", "1002", _is("429"), _LIMITED),
    _given_up("minimax", "1002 thrice", _is("429", count=3), _LIMITED),
    _too_late("minimax"),
    _mended("minimax", "503", _is("5xx"), _STUMBLED),
    _failed("minimax", "500", _is("5xx", status=500)),
    _silent("minimax", "504", _is("5xx", status=504)),
    _silent("minimax", "hang before", _is("hang_before")),
    _silent("minimax", "hang after headers", _is("hang_after")),
    _breaks("minimax", "hang after audio", _is("hang_after", after_bytes=SOME_BYTES), _TIMEOUT),
    _failed("minimax", "truncated before", _is("truncated")),
    _breaks("minimax", "truncated after", _is("truncated", after_bytes=SOME_BYTES)),
    _failed("minimax", "garbage", _is("garbage")),
    _failed("minimax", "wrong codec", _is("wrong_codec")),
    _whole("minimax", "slow", _DRIP),
    _silent("minimax", "trickle", _TRICKLE),
    _mended("minimax", "1033 in 200", _is("error_in_200", code="1033"), _STUMBLED),
    _mended("minimax", "empty 200", _is("error_in_200", code="empty"), _STUMBLED),
    _silent("minimax", "1001 in 200", _is("error_in_200", code="1001")),
    _failed("minimax", "odd digits", _is("error_in_200", code="odd_hex")),
    _breaks("minimax", "no end", _is("error_in_200", code="no_end")),
    _mended("minimax", "error midstream at once", _is("error_midstream", code="1033"), _STUMBLED),
    _breaks(
        "minimax", "error midstream", _is("error_midstream", after_bytes=SOME_BYTES, code="1033"), _STUMBLED
    ),
    _refused("minimax", "400", _is("5xx", status=400)),
    _refused("minimax", "2013", _is("error_in_200", code="2013")),
    _alarms("minimax", "key refused", _is("error_in_200", code="1004"), _UNAUTHORIZED),
    _failed("minimax", "firewall", _is("5xx", status=403)),
    _alarms("minimax", "no credit", _is("error_in_200", code="1008"), _EXHAUSTED),
    _alarms("minimax", "plan used up", _is("error_in_200", code="2056"), _EXHAUSTED),
    Row(
        "minimax",
        "moderation",
        _is("error_in_200", code="1026"),
        REFUSED,
        REFUSED,
        took=False,
        error=_CONTENT,
    ),
    Row(
        "minimax",
        "moderation of what was made",
        _is("error_in_200", code="1027"),
        REFUSED,
        REFUSED,
        took=False,
        error=_CONTENT,
    ),
]

ROWS = [*OPENAI, *ELEVENLABS, *MINIMAX]
