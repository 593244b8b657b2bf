"""The table: forty-one rows of what clients need, by who proves each, or why nobody does."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

from tests.clients import judges_failures as failures
from tests.clients import judges_limits as limits
from tests.clients import judges_sound as heard
from tests.clients import judges_voices as voices
from tests.clients import replays, rows_limits
from tests.clients import rows_catalogue as catalogue
from tests.clients import rows_requests as requests
from tests.clients import rows_sound as sound
from tests.clients import rows_upstreams as upstreams
from tests.clients.clients import CLIENTS
from tests.clients.servers import Servers
from tests.clients.visits import Visit

Judge = Callable[[Visit], None]
Prove = Callable[[Servers], None]

_LIBRARY = "this line of the SDK has no voices of one's own"
_SOCKET = "tests/features/sockets has a client for it"
_FACADE = "not OpenAI's: tests/clients/test_agents.py has the clients that speak with it"
_BYTES = "the same bytes for whoever asks: one client is enough"
_BY_HAND = "no library sends this, or shows what came"
_ITS_OWN_WAY = "the client itself asks again, whatever it is told, or hides what it was told"
_OTHERS = "the client itself has no such call, or shows nothing of it"

_PYTHON = ("py3", "py1")
_NODE = ("js7", "js6")
_SDKS = (*_PYTHON, *_NODE)


class Row(NamedTuple):
    """`judged` goes by what a client's own program saw, `proven` by what the test asked in its name.

    `why_not` is for the clients in neither, as far as they have no `rest` of their own.
    """

    behaviour: str
    judged: Mapping[str, Judge]
    proven: Mapping[str, Prove]
    why_not: str


def _row(
    behaviour: str,
    judged: Mapping[str, Judge] | None = None,
    proven: Mapping[str, Prove] | None = None,
    why_not: str = _OTHERS,
) -> Row:
    return Row(behaviour, judged or {}, proven or {}, why_not)


def _sdks(judge: Judge, **others: Judge) -> dict[str, Judge]:
    return {**dict.fromkeys(_SDKS, judge), **others}


def _newest(judge: Judge) -> dict[str, Judge]:
    """By the lines of the SDKs that have voices of one's own."""
    return {"py3": judge, "js7": judge}


_BREAKS_OFF = {
    **dict.fromkeys(_PYTHON, failures.python_breaks_off_midway),
    **dict.fromkeys(_NODE, failures.node_breaks_off_midway),
    "vercel": failures.vercel_breaks_off_midway,
}

ROWS: dict[int, Row] = {
    1: _row(
        "default mp3 answer",
        _sdks(heard.default_is_bare_mp3, vercel=heard.default_is_bare_mp3),
        {
            "openwebui": replays.open_webui_speaks,
            "homeassistant": replays.home_assistant_speaks,
            "librechat": replays.librechat_speaks,
            "sillytavern": replays.sillytavern_speaks,
            "mcp": replays.mcp_host_speaks,
        },
    ),
    2: _row(
        "six formats and types",
        _sdks(heard.six_formats, vercel=heard.six_formats),
        {"n8n": replays.n8n_speaks_in_opus, "telegram": replays.telegram_gets_a_voice_note},
    ),
    3: _row("pcm is 24 kHz s16le mono", proven={"py3": sound.pcm_is_24_khz_mono}, why_not=_BYTES),
    4: _row(
        "wav true sizes when buffered", proven={"py3": sound.buffered_wav_has_true_sizes}, why_not=_BYTES
    ),
    5: _row("wav streamed sizes", proven={"py3": sound.streamed_wav_has_no_sizes}, why_not=_BYTES),
    6: _row(
        "mp3 bodies concatenate",
        proven={
            "py3": sound.mp3_bodies_join,
            "librechat": replays.librechat_joins_the_pieces_of_a_long_text,
        },
        why_not=_BYTES,
    ),
    7: _row("voice as string, object, name", _sdks(heard.voice_as_string_object_and_name)),
    8: _row("13 built-in voices", proven={"py3": requests.thirteen_built_in_voices}, why_not=_BYTES),
    9: _row("unknown keys ignored", proven={"py3": requests.unknown_keys_are_ignored}, why_not=_BYTES),
    10: _row("model aliases", proven={"py3": requests.model_aliases}, why_not=_BYTES),
    11: _row("limits on input, speed, format", _sdks(failures.limits_name_their_field)),
    12: _row(
        "envelope everywhere",
        proven={
            "raw": requests.envelope_everywhere,
            "librechat": replays.librechat_without_a_voice_needs_the_default,
        },
        why_not=_BY_HAND,
    ),
    13: _row(
        "error classes",
        _sdks(failures.errors_have_their_class, vercel=failures.errors_have_their_class),
    ),
    14: _row(
        "rate limit retried",
        _sdks(limits.asked_again_when_there_is_room, vercel=limits.asked_again_when_there_is_room),
    ),
    15: _row(
        "quota not retried",
        _sdks(limits.used_up_is_not_asked_again),
        why_not=_ITS_OWN_WAY,
    ),
    16: _row(
        "retry-after always within 1..60",
        proven={"raw": rows_limits.retry_after_is_within_a_minute},
        why_not=_BYTES,
    ),
    17: _row(
        "failure before first audio is a status",
        _sdks(failures.failure_before_audio_is_a_status, vercel=failures.failure_before_audio_is_a_status),
    ),
    18: _row("failure mid-stream aborts", _BREAKS_OFF),
    19: _row(
        "re-sent syntheses are not triple-charged",
        _sdks(limits.what_breaks_off_is_not_charged, vercel=limits.what_breaks_off_is_not_charged),
    ),
    20: _row(
        "disconnect cancels",
        _sdks(failures.leaving_frees_the_slot, vercel=failures.aborting_frees_the_slot),
    ),
    21: _row("stream cap", _sdks(limits.one_stream_is_one_stream)),
    22: _row("SSE shape", _sdks(heard.events_have_openai_s_shape)),
    23: _row("SSE for tts-1", _sdks(heard.tts_1_never_sends_events)),
    24: _row("LiveKit plug-in", {"livekit": heard.livekit_hears_events_and_bytes}),
    25: _row("Pipecat service", {"pipecat": heard.pipecat_hears_chunks_early}),
    26: _row(
        "models list and retrieve",
        _sdks(failures.models_list_and_retrieve),
        {"raw": catalogue.models_with_a_slash, "n8n": replays.n8n_tests_its_credential},
    ),
    27: _row("voices list superset", proven={"raw": catalogue.voices_list_is_a_superset}, why_not=_BY_HAND),
    28: _row(
        "anonymous catalogue option",
        proven={
            "raw": catalogue.catalogue_is_shut_unless_opened,
            "openwebui": replays.open_webui_lists_voices_and_models,
        },
        why_not=_BY_HAND,
    ),
    29: _row("voice create", _newest(voices.voice_is_created_and_speaks), why_not=_LIBRARY),
    30: _row("voice delete twice", _newest(voices.voice_is_deleted_once), why_not=_LIBRARY),
    31: _row("consents life cycle and paging", _newest(voices.consents_live_and_page), why_not=_LIBRARY),
    32: _row("ears that are not there are a clean 404", _sdks(failures.absent_ears_are_a_clean_404)),
    33: _row("headers", _sdks(failures.headers_are_openai_s)),
    34: _row(
        "empty-key clients",
        proven={
            "raw": requests.empty_keys_are_401,
            "sillytavern": replays.sillytavern_without_a_key_gets_a_sentence_to_show,
        },
        why_not=_BY_HAND,
    ),
    35: _row(
        "Home Assistant probe", proven={"homeassistant": replays.home_assistant_s_probe}, why_not=_BY_HAND
    ),
    36: _row("CORS", proven={"raw": catalogue.cors_only_where_configured}, why_not=_BY_HAND),
    37: _row("batch", _sdks(heard.batch_keeps_what_it_can)),
    38: _row("text WebSocket", why_not=_SOCKET),
    39: _row("ElevenLabs façade", why_not=_FACADE),
    40: _row(
        "upstream tolerance",
        proven={"py3": upstreams.upstreams_are_met},
        why_not="the same server behind us for whoever asks: one client is enough",
    ),
    41: _row(
        "recordings written down",
        {
            **_newest(heard.what_was_said_is_written_down),
            "vercel": heard.ears_of_frameworks_are_met,
        },
        {client: partial(replays.app_hears, client) for client in replays.HEARING},
        _LIBRARY,
    ),
}


def cells(row: Row) -> list[str]:
    """The clients by which it is proven, in the order of the columns."""
    return [client for client in CLIENTS if client in row.judged or client in row.proven]


def why_not(row: Row, client: str) -> str:
    """Why this cell is empty."""
    return CLIENTS[client].rest or row.why_not
