"""The texts that may have killed hosts of a cluster, as one worker of a gateway knows them.

The agent of a host knows only the deaths on its own machine. On PostgreSQL, the feature `cluster` shares the
verdicts of all gateways. On SQLite there is no other worker.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Literal, NamedTuple

from policies.host_health import SuspectTexts
from speech_engine import Work
from speech_engine.host.suspects import Suspects, killer_error

_WRITTEN_S = 0.1
"""Within this time after a crash, the other gateways write their verdicts."""
_SETTLES_S = 1.0
_MOST_CALLS = 5000
"""The most calls that are remembered. A call whose client left is one of them: its process may die of it."""


class TextNews(NamedTuple):
    """A text must run `alone`, is `refused`, or was spoken `whole`. `is_only`: no other text ran in the
    process that died."""

    digest: bytes
    kind: Literal["alone", "refused", "whole"]
    is_only: bool = False


class ClusterSuspects:
    """The verdicts on the texts of one engine. `news` are not yet shared with other gateways."""

    def __init__(self) -> None:
        self.news: list[TextNews] = []
        self._suspects = Suspects(secrets.token_bytes(32))
        self._texts = SuspectTexts()
        self._calls: OrderedDict[str, bytes] = OrderedDict()
        self._exchange_due: asyncio.Event | None = None
        self._read_at = 0.0
        self._has_read = asyncio.Event()

    def share(self, key: bytes, exchange_due: asyncio.Event) -> None:
        """Share verdicts with gateways of the same key. `exchange_due` is set when an exchange is due."""
        self._suspects, self._exchange_due = Suspects(key), exchange_due

    def digest(self, work: Work) -> bytes:
        return self._suspects.digest(work)

    def runs_alone(self, work: Work, digest: bytes) -> bool:
        """Tell whether work may only run alone. Raises the error of `killer_error` if the work is refused."""
        alone, refused = self._texts.verdicts(_now())
        if digest in refused:
            raise killer_error(work)
        return digest in alone

    def note_dispatch(self, call: str, digest: bytes) -> None:
        """Note that a host gets a call."""
        self._calls[call] = digest
        if len(self._calls) > _MOST_CALLS:
            self._calls.popitem(last=False)

    def end(self, call: str, *, is_whole: bool = False) -> None:
        """Note that a call is over. `is_whole`: its text was spoken to its end."""
        digest = self._calls.pop(call, b"")
        if is_whole and self._texts.note_spoken(digest):
            self._tell(TextNews(digest, "whole"))

    def note_crash(self, begun: Sequence[str], killer: str) -> None:
        """Note the crash of a process that had begun these calls, some of them of other gateways."""
        own = [digest for call in begun if (digest := self._calls.pop(call, b""))]
        others = len(begun) - len(own)
        # A killer ran alone. So if there is one and any call is ours, ours is the killer.
        refused = self._texts.note_death(own, _now(), others=others, is_alone=bool(killer))
        for digest in own:
            self._tell(TextNews(digest, "refused" if digest == refused else "alone", len(begun) == 1))
        if begun and self._exchange_due is not None:
            asyncio.get_running_loop().call_later(_WRITTEN_S, self._exchange_due.set)

    async def settle(self) -> None:
        """Wait until the verdicts of all gateways on a crash of just now are known, for a second at most."""
        if self._exchange_due is None:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(_SETTLES_S):
                await asyncio.sleep(_WRITTEN_S)
                began_at = _now()
                self._exchange_due.set()
                while self._read_at < began_at:
                    self._has_read.clear()
                    await self._has_read.wait()

    def adopt(self, verdicts: Iterable[tuple[bytes, bool, float]], read_at: float) -> None:
        """Take the verdicts of all gateways, see `SuspectTexts.replace`. The read began at `read_at`."""
        if self.news:
            return  # the news are newer than these verdicts
        self._texts.replace(verdicts)
        self._read_at = read_at
        self._has_read.set()

    def _tell(self, news: TextNews) -> None:
        if self._exchange_due is not None:
            self.news.append(news)
            self._exchange_due.set()


_now = time.monotonic
