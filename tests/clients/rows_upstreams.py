"""The row of the checklist about what stands behind us: servers that do as they please."""

import openai
import pytest

from tests.clients.servers import FORMATS, AudioFormat, Servers, texts
from tests.clients.upstreams import KINDS, names

_TEXT = "The quick brown fox."
_CUT = "cut"
"""Ends every answer as if it were whole, without saying that it is."""


def upstreams_are_met(servers: Servers) -> None:
    """Other keys for the audio and the usage, `[DONE]`, `event:` lines, comments, labels that are wrong."""
    for kind in KINDS:
        if kind == _CUT:
            continue
        for format_ in FORMATS:
            assert texts(_spoken(servers, kind, format_), format_) == (_TEXT,), (kind, format_)
    # Some audio may have gone out by then, so that the answer breaks off, or else there is a status.
    with pytest.raises((openai.InternalServerError, openai.APIConnectionError)):
        _spoken(servers, _CUT, "mp3")
    assert "ended before it was done" in servers.upstreams.server.log.read_text()


def _spoken(servers: Servers, kind: str, format_: AudioFormat) -> bytes:
    model, voice = names(kind)
    answer = servers.upstreams.sdk.audio.speech.create(
        model=model, voice=voice, input=_TEXT, response_format=format_
    )
    return answer.content
