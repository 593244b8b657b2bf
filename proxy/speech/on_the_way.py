"""What features do on the way of a request for speech."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from proxy.speech.call import SpeechCall
from proxy.speech.recent_plans import Concern
from proxy.speech.sound_filter import Treat


class OnTheWay(NamedTuple):
    """`concerns` say who listens to an answer, and `treat` what is done to its sound. `check_provenance`
    refuses requests for a proof, and `ended` gets each request at its end."""

    concerns: Sequence[Concern] = ()
    treat: Treat | None = None
    check_provenance: Callable[[], None] | None = None
    ended: Sequence[Callable[[SpeechCall], None]] = ()

    @classmethod
    def of_all(cls, parts: Iterable[OnTheWay]) -> OnTheWay:
        """Return what several do. The first that treats sound, and the first that refuses, stand for all."""
        all_ = [*parts]
        return cls(
            [concern for each in all_ for concern in each.concerns],
            next((each.treat for each in all_ if each.treat is not None), None),
            next((each.check_provenance for each in all_ if each.check_provenance is not None), None),
            [note for each in all_ for note in each.ended],
        )
