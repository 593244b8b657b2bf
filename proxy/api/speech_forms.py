"""Speech requests that come as a form and bring their own voice. A feature reads them."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

import msgspec

from policies.plans import Terms
from policies.routing import Voice
from proxy.access.callers import Caller
from proxy.http.connection import Connection
from proxy.speech.speech_request import Defaults, SpeechRequest


class SpokenForm(NamedTuple):
    """A request that came as a form, and the voice that came with it."""

    request: SpeechRequest
    voice: Voice


class SpeechForms(Protocol):
    """`form` has the fields of such a request, and `files` are those of its files."""

    form: type[msgspec.Struct]
    files: tuple[str, ...]

    def speaking(
        self,
        connection: Connection,
        caller: Caller,
        terms: Terms,
        defaults: Defaults,
        client_fields: frozenset[str],
    ) -> AbstractAsyncContextManager[SpokenForm]:
        """Read a form, and lend its voice until the block is left.

        Raises InvalidRequest, NotFound, NotAllowed if the plan allows no such requests, and QuotaExceeded.
        """
        ...
