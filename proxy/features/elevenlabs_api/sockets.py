"""The two sockets on which text comes while it is spoken: `stream-input` and `multi-stream-input`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial

from proxy.errors import InvalidRequest
from proxy.features.elevenlabs_api.contexts import Contexts, OneContext
from proxy.features.elevenlabs_api.failures import PREFIX
from proxy.features.elevenlabs_api.session import SocketOptions, StreamInputSession, StreamParts
from proxy.features.sockets.http.socket import IDLE_S, ClientSocket, SocketEndpoint
from proxy.features.sockets.utterances.values import UtteranceSettings
from proxy.ledger import Payer, StreamsTaken

_ROOT = f"{PREFIX}/v1/text-to-speech/{{voice:path}}"


def socket_endpoints(newest_parts: Callable[[], StreamParts]) -> list[SocketEndpoint]:
    async def serve(socket: ClientSocket, *, is_single: bool) -> None:
        options = await _options(socket, newest_parts(), is_single=is_single)
        make = OneContext if is_single else Contexts
        contexts = make(is_auto=_is_on(socket, "auto_mode"))
        await socket.accept()
        await StreamInputSession(socket, options, contexts, newest_parts).serve()

    return [
        SocketEndpoint(f"{_ROOT}/stream-input", partial(serve, is_single=True), "stream_input"),
        SocketEndpoint(f"{_ROOT}/multi-stream-input", partial(serve, is_single=False), "multi_stream_input"),
    ]


async def _options(socket: ClientSocket, parts: StreamParts, *, is_single: bool) -> SocketOptions:
    """Read what a client asks for. Raises RequestFailed, which refuses its handshake."""
    fields = parts.reader.read_fields(socket.path_params["voice"], socket.query)
    terms = parts.reader.caller_terms(socket.caller)
    fields = await parts.reader.check_fields(socket.id, socket.caller, fields, terms)
    # With any text, it raises for fields that no socket can have.
    UtteranceSettings.of(fields.speech_request("a"))
    caller = socket.caller
    payer = Payer(account=caller.account, key=caller.key, anchor=caller.anchor, terms=terms)
    # A stream may be free when the first text comes.
    with suppress(StreamsTaken):
        await parts.ledger.check_affordable(payer)
    return SocketOptions(
        fields=fields,
        is_single=is_single,
        has_context_times=_is_on(socket, "sync_alignment"),
        inactivity_s=_inactivity_s(socket.query.get("inactivity_timeout", "")),
    )


def _is_on(socket: ClientSocket, name: str) -> bool:
    return socket.query.get(name, "").lower() == "true"


def _inactivity_s(text: str) -> float:
    """Return the time after which a silent socket closes."""
    if not text:
        return IDLE_S
    if not (text.isdecimal() and len(text) < 4 and 1 <= int(text) <= IDLE_S):
        raise InvalidRequest(
            f"Invalid value for 'inactivity_timeout': it must be a number of seconds from 1 to {IDLE_S:g}.",
            param="inactivity_timeout",
        )
    return float(text)
