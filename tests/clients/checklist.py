"""The forty rows of the client checklist: what each promises, and what proves it or why nothing does yet."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tests.clients import rows_catalogue as catalogue
from tests.clients import rows_requests as requests
from tests.clients import rows_sound as sound
from tests.clients import rows_streams as streams
from tests.clients.servers import Servers

_LEDGER = "limits and charges come with the ledger"
_LIBRARY = "created voices and consents come with the voice library"
_CLIENTS = "LiveKit and Pipecat come with the other clients; their bodies are in test_bodies.py"
_SUPERSETS = "batch, text over a socket and the other façade are not offered yet"


class Row(NamedTuple):
    """`prove` runs it; a row without one has the `reason`."""

    behaviour: str
    prove: Callable[[Servers], None] | None = None
    reason: str = ""


ROWS: dict[int, Row] = {
    1: Row("default mp3 answer", sound.default_is_bare_mp3),
    2: Row("six formats and types", sound.six_formats),
    3: Row("pcm is 24 kHz s16le mono", sound.pcm_is_24_khz_mono),
    4: Row("wav true sizes when buffered", sound.buffered_wav_has_true_sizes),
    5: Row("wav streamed sizes", sound.streamed_wav_has_no_sizes),
    6: Row("mp3 bodies concatenate", sound.mp3_bodies_join),
    7: Row("voice as string, object, name", requests.voice_as_string_object_and_name),
    8: Row("13 built-in voices", requests.thirteen_built_in_voices),
    9: Row("unknown keys ignored", requests.unknown_keys_are_ignored),
    10: Row("model aliases", requests.model_aliases),
    11: Row("limits on input, speed, format", requests.limits_name_their_field),
    12: Row("envelope everywhere", requests.envelope_everywhere),
    13: Row("error classes", requests.errors_have_their_class),
    14: Row("rate limit retried", reason=_LEDGER),
    15: Row("quota not retried", reason=_LEDGER),
    16: Row("retry-after always within 1..60", reason=_LEDGER),
    17: Row("failure before first audio is a status", streams.failure_before_audio_is_a_status),
    18: Row("failure mid-stream aborts", streams.failure_midway_breaks_the_answer),
    19: Row("re-sent syntheses are not triple-charged", reason=_LEDGER),
    20: Row("disconnect cancels", streams.leaving_frees_the_slot),
    21: Row("stream cap", reason=_LEDGER),
    22: Row("SSE shape", sound.events_have_openai_s_shape),
    23: Row("SSE for tts-1", sound.tts_1_never_sends_events),
    24: Row("LiveKit plug-in", reason=_CLIENTS),
    25: Row("Pipecat service", reason=_CLIENTS),
    26: Row("models list and retrieve", catalogue.models_list_and_retrieve),
    27: Row("voices list superset", catalogue.voices_list_is_a_superset),
    28: Row("anonymous catalogue option", catalogue.catalogue_is_shut_unless_opened),
    29: Row("voice create", reason=_LIBRARY),
    30: Row("voice delete twice", reason=_LIBRARY),
    31: Row("consents life cycle and paging", reason=_LIBRARY),
    32: Row("transcription is a clean 404", requests.transcription_is_a_clean_404),
    33: Row("headers", streams.headers_are_openai_s),
    34: Row("empty-key clients", requests.empty_keys_are_401),
    35: Row("Home Assistant probe", catalogue.home_assistant_s_probe),
    36: Row("CORS", catalogue.cors_only_where_configured),
    37: Row("batch", reason=_SUPERSETS),
    38: Row("text WebSocket", reason=_SUPERSETS),
    39: Row("ElevenLabs façade", reason=_SUPERSETS),
    40: Row("upstream tolerance", reason="the openai plugin, which meets upstreams, is not there yet"),
}
