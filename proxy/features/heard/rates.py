"""How often voices are heard wrong: sums by voice, model, language and day, without a text or an account.

Verdicts are counted in memory, and written every minute. What a killed worker has not written is lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

import msgspec

from policies.misheard import Misheard, move_misheard_last
from policies.routing import Model
from policies.tasks import SECOND_US
from proxy.features.heard.made_part import MadePart
from proxy.features.heard.records import RATES, UNSETTLED
from proxy.features.voice_list.misheard_rates import LEAST_WORDS, MisheardRate, NoMisheardRates
from proxy.speech.part import Part
from proxy.speech.planning import OWN_VOICE
from proxy.speech_steps.check_totals import PartVerdict
from proxy.storage.rows import columns
from proxy.storage.store import Statement, StorageFailed, StorageUnreachable, Store
from proxy.storage.tombstones import NOT_ERASED
from proxy.telemetry.background import RepeatingTask
from proxy.telemetry.metrics import Metrics
from speech_engine.text.said import words_of

DAY_US = 86_400 * SECOND_US
DAYS = 90
"""Older rows are deleted, and older claims of requests whose settlement was killed."""
_WRITE_EVERY_S = 60.0
_KEYS_A_COMMIT = 100
_MOST_COUNTED = 10_000
"""The sums that are held in memory. Beyond, verdicts are not counted until these are written."""
_MOST_ROUTED = 5_000


class RateKey(msgspec.Struct, frozen=True):
    voice: str
    engine: str
    model: str
    language: str
    ears: str


class RateSums(NamedTuple):
    """Words that were heard, those of them that were wrong or unsure, and the parts that were said again."""

    words: int = 0
    wrong: int = 0
    unsure: int = 0
    again: int = 0


_SUMS = ", ".join(f"CAST(sum({each}) AS BIGINT) AS {each}" for each in RateSums._fields)
_ADD = f"""
INSERT INTO heard_rates (voice, engine, model, language, ears, day, {", ".join(RateSums._fields)})
SELECT CAST(:voice AS TEXT), CAST(:engine AS TEXT), CAST(:model AS TEXT), CAST(:language AS TEXT),
    CAST(:ears AS TEXT), CAST(:day AS BIGINT),
    {", ".join(f"CAST(:{each} AS BIGINT)" for each in RateSums._fields)}
WHERE {NOT_ERASED}
ON CONFLICT (voice, engine, model, language, ears, day) DO UPDATE SET
    {", ".join(f"{each} = heard_rates.{each} + excluded.{each}" for each in RateSums._fields)}
"""
_KEY = ", ".join(RATES.key)
_DROP_OLD = f"""
DELETE FROM heard_rates
WHERE ({_KEY}) IN (SELECT {_KEY} FROM heard_rates WHERE day < :before LIMIT {_KEYS_A_COMMIT})
"""
# Only rows with something free are in the index that this reads.
_DROP_CLAIMS = f"""
DELETE FROM heard_spans WHERE request IN (
    SELECT request FROM heard_spans WHERE free_ms > 0 AND charged_ms = {UNSETTLED} AND at < :before
    LIMIT {_KEYS_A_COMMIT}
)
"""
_OF_VOICE = f"""
SELECT voice, engine, model, language, ears, {_SUMS} FROM heard_rates WHERE voice = :voice
GROUP BY voice, engine, model, language, ears HAVING sum(words) >= CAST(:least AS BIGINT)
ORDER BY sum(words) DESC LIMIT 100
"""
_OF_MODELS = f"""
SELECT '' AS voice, engine, model, language, ears, {_SUMS} FROM heard_rates
GROUP BY engine, model, language, ears ORDER BY sum(words) DESC LIMIT 1000
"""
_BY_LANGUAGE = f"""
SELECT language, ears, {_SUMS} FROM heard_rates WHERE voice NOT LIKE '{OWN_VOICE}%'
GROUP BY language, ears
"""
_KNOWN = f"""
SELECT {columns(RateKey)}, {_SUMS} FROM heard_rates GROUP BY {columns(RateKey)}
HAVING sum(words) >= CAST(:least AS BIGINT) ORDER BY sum(words) DESC LIMIT {_MOST_ROUTED}
"""


class MisheardRates(NoMisheardRates):
    """The rates of one worker."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._counted: dict[RateKey, RateSums] = {}
        # By voice, engine, model and language.
        self._known: Mapping[tuple[str, str, str, str], Misheard] = {}
        # The wrong words in a thousand, by language and recogniser.
        self._usual: Mapping[tuple[str, str], float] = {}

    def count_words(self, made: MadePart, words: int, verdict: PartVerdict, ears: str) -> None:
        """Count what was heard of a part. The voice of a request alone has no rate."""
        part = made.part
        if part.voice.is_recorded and not part.voice.id.startswith(OWN_VOICE):
            return
        count = sum(max(1, len(words_of(each.wanted).tokens)) for each in verdict.words)
        is_wrong = verdict.result == "wrong"
        sums = RateSums(words, count * is_wrong, count * (verdict.result == "unsure"), int(made.again > 0))
        model = made.candidate.model
        key = RateKey(part.voice.id, model.engine, model.info.id, part.language, ears)
        self._count(key, sums)

    def with_order(self, part: Part) -> Part:
        """Return a part whose candidates that are heard wrong far more often come later."""
        if len(part.candidates) == 1 or not self._known:
            return part
        found = {
            each.model.name: known
            for each in part.candidates
            if (known := self._known.get(_known_name(part, each.model)))
        }
        return msgspec.structs.replace(part, candidates=tuple(move_misheard_last(part.candidates, found)))

    async def find_rates(self, voice: str) -> Sequence[MisheardRate]:
        rows = await self._store.read(_OF_VOICE, {"voice": voice, "least": LEAST_WORDS})
        return [_shown_rate(row, self._usual.get((row["language"], row["ears"]))) for row in rows]

    async def of_models(self) -> Sequence[MisheardRate]:
        return [_shown_rate(row, None) for row in await self._store.read_long(_OF_MODELS) if row["words"]]

    async def write_counts(self) -> None:
        """Write the counts, and read the rates of all workers that routing and the rates of voices need."""
        now = await self._store.now()
        day = now - now % DAY_US
        drops = [Statement(sql, {"before": day - DAYS * DAY_US}) for sql in (_DROP_OLD, _DROP_CLAIMS)]
        while counted := list(self._counted.items())[:_KEYS_A_COMMIT]:
            for key, _ in counted:
                del self._counted[key]
            statements = [
                Statement(_ADD, {**msgspec.structs.asdict(key), **sums._asdict(), "day": day})
                for key, sums in counted
            ]
            try:
                await self._store.write(*drops, *statements)
            except StorageUnreachable:
                raise  # the commit may have happened: counting again would count twice
            except StorageFailed:
                for key, sums in counted:
                    self._count(key, sums)
                raise
        rows = await self._store.read_long(_KNOWN, {"least": LEAST_WORDS})
        self._known = {
            (row["voice"], row["engine"], row["model"], row["language"]): Misheard(row["wrong"], row["words"])
            for row in reversed(rows)
        }
        self._usual = {
            (row["language"], row["ears"]): 1000 * row["wrong"] / row["words"]
            for row in await self._store.read_long(_BY_LANGUAGE)
            if row["words"] >= LEAST_WORDS
        }

    def _count(self, key: RateKey, sums: RateSums) -> None:
        before = self._counted.get(key)
        if before is None and len(self._counted) >= _MOST_COUNTED:
            return
        self._counted[key] = RateSums(*map(sum, zip(before or RateSums(), sums, strict=True)))


def _known_name(part: Part, model: Model) -> tuple[str, str, str, str]:
    return part.voice.id, model.engine, model.info.id, part.language


def _shown_rate(row: Mapping[str, object], usual: float | None) -> MisheardRate:
    sums = {name: int(str(row[name])) for name in RateSums._fields}
    return MisheardRate(
        engine=str(row["engine"]),
        model=str(row["model"]),
        language=str(row["language"]),
        recogniser=str(row["ears"]),
        words=sums["words"],
        wrong_per_thousand=round(1000 * sums["wrong"] / sums["words"], 2),
        unsure_per_thousand=round(1000 * sums["unsure"] / sums["words"], 2),
        again=sums["again"],
        usual_per_thousand=None if usual is None else round(usual, 2),
    )


@asynccontextmanager
async def open_rates(store: Store, metrics: Metrics) -> AsyncIterator[MisheardRates]:
    rates = MisheardRates(store)
    writing = RepeatingTask("rates of what is heard", rates.write_counts, _WRITE_EVERY_S, metrics)
    try:
        yield rates
    finally:
        await writing.aclose()
        with suppress(StorageFailed, asyncio.TimeoutError):
            await rates.write_counts()
