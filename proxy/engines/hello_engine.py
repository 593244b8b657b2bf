"""The part of an engine that is in its hello, the answer of a host or of an engine in this process."""

from __future__ import annotations

import msgspec

from speech_engine import ModelInfo, VoiceInfo, Work
from speech_engine.host.messages import HelloReply
from speech_engine.licences import with_licence


class HelloEngine:
    """An engine whose models and voices are those of its hello."""

    _hello: HelloReply

    def models(self) -> tuple[ModelInfo, ...]:
        return self._hello.models

    def voices(self) -> tuple[VoiceInfo, ...]:
        return self._hello.voices

    @property
    def unlisted_voices(self) -> tuple[str, ...] | None:
        return self._hello.unlisted_voices

    @property
    def tries_unknown_voices(self) -> bool:
        return self._hello.tries_unknown_voices

    def check_available(self, work: Work) -> None:
        """Do nothing: of these engines, only one with hosts can be known to be down."""

    def _take_hello(self, hello: HelloReply, licence: str) -> None:
        self._hello = msgspec.structs.replace(hello, models=with_licence(hello.models, licence))
