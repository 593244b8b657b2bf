"""The relay joins the parts of a text into one speech, equally loud and with pauses."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import pairwise

from msgspec.structs import replace

from proxy.audio import libraries
from proxy.audio.encode import open_encoder
from proxy.audio.formats import SAMPLE_BYTES, Chunk, Tail, silence
from proxy.audio.sound import FadeOut, SilentEnds
from proxy.speech.call import PartRun, SpeechCall
from proxy.speech.candidate_race import FirstAudio
from proxy.speech.candidate_stream import CapReached
from proxy.speech.loudness_levels import LevelSound, LoudnessLevels
from proxy.speech.part_check import PlanCheck
from proxy.speech.path_step import Begin, PathStep
from proxy.speech.planning import SpeechPlan
from proxy.speech.prefetch import Prefetch
from proxy.speech.speech_stream import ChunkReader, Speech
from proxy.speech.spill import ReaderPace, SpillQuota
from proxy.speech.spoken_word import SpokenWord
from proxy.speech_steps.checked_parts import CheckedParts, PartCheck, PartStream
from speech_engine import EngineError, UnsupportedText
from speech_engine.host.engine_stream import run_to_end


class RelayStep(PathStep):
    """Speaks a call of several parts, and a text of signs that no engine reads."""

    def wraps(self, call: SpeechCall, begin: Begin) -> Begin:
        return partial(self._begin, call, begin)

    async def _begin(self, call: SpeechCall, begin: Begin, waited_s: float) -> Speech:
        """Begin to speak a call. Return as soon as there are bytes to send.

        The limit is the first part's budget to first audio, less the time that the call has waited. The
        loudness measurement of a new voice may take another second.
        """
        first = call.totals.parts[0]
        if not call.plan.is_joined:
            try:
                return await begin(waited_s)
            except UnsupportedText as error:
                if not _is_mute(first, error):
                    raise
            first.pass_over()
            await libraries.ensure_loaded()
        relay = Relay(*self._tools, call, waited_s)
        try:
            await relay.begin()
        finally:
            if not relay.has_begun:
                await relay.close()
        return relay


class Relay:
    """A speech of several parts. While one part is spoken, only the next one is read ahead."""

    holds_engine = False
    """Its parts are read ahead."""
    stored = None

    def __init__(
        self,
        first_audio: FirstAudio,
        levels: LoudnessLevels,
        check: PlanCheck,
        room: SpillQuota,
        call: SpeechCall,
        waited_s: float,
    ) -> None:
        self.has_begun = False
        self._part_checks: CheckedParts | None = None
        if call.plan.is_checked:
            assert isinstance(check, PartCheck), "any other check finds an obstacle"
            self._part_checks = check.begin_parts(first_audio, room, call, self._note_sound)
        self._first_audio = first_audio
        self._levels = levels if _has_several_voices(call.plan) else None
        self._room = room
        self._pace = ReaderPace(account=call.caller.account)
        self._call = call
        self._waited_s = waited_s
        self._runs = call.totals.parts
        self._prefetches: list[Prefetch[PartStream]] = []
        self._part_number = 0
        self._part_sound: ChunkReader | LevelSound | None = None
        form = call.sound_form
        self.sample_rate_hz = form.sample_rate_hz
        self._fade = FadeOut(self.sample_rate_hz)
        pause_requested = [False, *[run.part.requested_pause_s > 0 for run in self._runs]]
        self._silent_ends = {
            number: SilentEnds(cuts_head=has_before, cuts_tail=has_behind)
            for number, (has_before, has_behind) in enumerate(pairwise(pause_requested))
            if has_before or has_behind
        }
        self._fed_samples = 0
        self._encoder = open_encoder(form)
        self._tail = Tail()
        self._first = Chunk()
        self._words: list[SpokenWord] = []
        # The number of words so far from each part whose words have times.
        self._known_words: dict[int, int] = {}

    @property
    def engine(self) -> str:
        runs = [run for run in self._runs if not run.is_passed_over] or self._runs
        models = [model for run in runs for model in run.models or run.candidates[0].models]
        return ", ".join(dict.fromkeys(model.name for model in models))

    @property
    def words(self) -> Sequence[SpokenWord] | None:
        """The words of the parts whose words have times. They only grow, because parts come in order."""
        for number, (run, prefetch) in enumerate(zip(self._runs, self._prefetches, strict=False)):
            if run.begins is None or prefetch.stream is None or (words := prefetch.stream.words) is None:
                continue
            known = self._known_words.get(number, 0)
            begins_s, ends = run.begins / self.sample_rate_hz, self._silent_ends.get(number)
            cut_s = ends.cut_samples / self.sample_rate_hz if ends else 0.0
            self._words += [
                replace(word, start_seconds=round(max(0.0, word.start_seconds - cut_s) + begins_s, 3))
                for word in words[known:]
            ]
            self._known_words[number] = len(words)
        return self._words if self._known_words else None

    async def begin(self) -> None:
        self._first = await self._next() or self._first
        self.has_begun = True

    async def next_chunk(self) -> Chunk | None:
        if self._first.data:
            chunk, self._first = self._first, Chunk()
            return chunk
        return await self._next()

    def last_chunk(self) -> Chunk:
        return self._tail.rest + self._encoder.flush()

    async def close(self) -> None:
        for prefetch in self._prefetches:
            prefetch.stop()
        try:
            await run_to_end(self._close_parts())
        finally:
            self._encoder.close()

    async def _close_parts(self) -> None:
        for prefetch in self._prefetches:
            await prefetch.close()
        if self._part_checks is not None:
            await self._part_checks.stop_checks()

    async def _next(self) -> Chunk | None:
        while self._part_number < len(self._runs):
            if self._runs[self._part_number].is_passed_over:
                self._part_number += 1
                continue
            if self._part_sound is None:
                self._runs[self._part_number].begins = self._fed_samples
                try:
                    self._part_sound = await self._begin_turn(self._part_number)
                except UnsupportedText as error:
                    if not self._skip_mute_part(error):
                        raise
                    continue
            pcm = await self._part_sound.next_pcm()
            if pcm is not None and (ends := self._silent_ends.get(self._part_number)) is not None:
                pcm = ends.cut_ends(pcm)
            pcm = self._end_part() if pcm is None else self._fade.feed(pcm)
            self._fed_samples += len(pcm) // SAMPLE_BYTES
            chunk = self._tail.push(self._encoder.feed(pcm))
            if chunk.data:
                return chunk
        if self._part_checks is not None:
            await self._part_checks.wait_checked()
        if self._fed_samples:
            return None
        # The text has signs alone. A short silence is a valid file; an empty answer is not.
        self._fed_samples = self.sample_rate_hz // 10
        return self._tail.push(self._encoder.feed(silence(self._fed_samples)))

    def _skip_mute_part(self, error: EngineError) -> bool:
        """Skip a part of signs alone, such as emojis, that no engine reads. Return whether it was
        skipped."""
        run, next_number = self._runs[self._part_number], self._part_number + 1
        if _is_mute(run, error):
            run.pass_over()
            self._part_number = next_number
            self._read_ahead(next_number)
            return True
        return False

    def _end_part(self) -> bytes:
        """End the turn of a part, and return its last samples, faded out, and the pause after it."""
        pause_s = self._runs[self._part_number].part.pause_s
        self._part_number, self._part_sound = self._part_number + 1, None
        return self._fade.flush() + silence(round(pause_s * self.sample_rate_hz))

    async def _begin_turn(self, number: int) -> ChunkReader | LevelSound:
        """Begin the turn of a part, and prefetch the next one. Return its sound at the common level, which a
        voice that states its loudness has already."""
        prefetch, stream = await self._begin_part(number)
        self._read_ahead(number + 1)
        sound = ChunkReader(prefetch)
        if self._levels is None or stream.lufs is not None:
            return sound
        level = self._levels.loudness_level(stream.candidate, self._call.plan.own_voices, stream.job.emotion)
        return LevelSound(sound, level, self.sample_rate_hz)

    async def _begin_part(self, number: int) -> tuple[Prefetch[PartStream], PartStream]:
        """Wait for the first sound of a part. If it failed during the previous part, try it once more.

        An engine that was busy may be free now, and the listener has not waited yet. The second try has the
        rest of the time since the part's turn began.
        """
        if number == 0:
            self._prefetch_part(0, self._waited_s)
        turn_began = asyncio.get_running_loop().time()
        try:
            return self._prefetches[number], await self._prefetches[number].wait_begun()
        except EngineError as error:
            waited_s = asyncio.get_running_loop().time() - turn_began
            is_late = waited_s > self._first_audio.budget_s(self._call, self._runs[number]) / 2
            if number == 0 or is_late or not error.may_fall_back or _is_mute(self._runs[number], error):
                raise
        self._prefetches.pop()
        second_try = self._prefetch_part(number, waited_s)
        return second_try, await second_try.wait_begun()

    def _note_sound(self, number: int) -> None:
        """Read ahead if the engine has made the current part, though that part is not checked yet."""
        if number == self._part_number:
            self._read_ahead(number + 1)

    def _read_ahead(self, number: int) -> None:
        if number == len(self._prefetches) < len(self._runs):
            self._prefetch_part(number)

    def _prefetch_part(self, number: int, waited_s: float = 0.0) -> Prefetch[PartStream]:
        run, wait_until_free = self._runs[number], partial(self._wait_until_free, number) if number else None
        begin: Callable[[], Awaitable[PartStream]]
        if self._part_checks is None:
            begin = partial(self._first_audio.start_stream, self._call, run, waited_s, wait_until_free)
        else:
            begin = partial(self._part_checks.start_part, run, waited_s, wait_until_free)
        self._prefetches.append(Prefetch(begin, self._room, self._pace))
        return self._prefetches[number]

    async def _wait_until_free(self, number: int, engine: str) -> None:
        """Wait for the previous part, if it has the same engine and the engine does one job at a time."""
        before = [model.engine for model in self._runs[number - 1].models]
        if engine in before and self._first_audio.has_one_slot(engine):
            if self._part_checks is None:
                await self._prefetches[number - 1].finished.wait()
            else:
                await self._part_checks.wait_made(number - 1)


def _has_several_voices(plan: SpeechPlan) -> bool:
    """Return whether several voices, or one in several emotions, may speak: they differ in loudness."""
    voices = {(candidate.sound, part.emotion) for part in plan.parts for candidate in part.candidates}
    return len(voices) > 1


def _is_mute(run: PartRun, error: EngineError) -> bool:
    """Return whether the part has only signs, which no engine reads."""
    if run.source is not None:
        return False
    has_words = any(map(str.isalnum, run.text_read(is_untagged=run.candidates[0].text_key[1])))
    return isinstance(error, UnsupportedText) and not isinstance(error, CapReached) and not has_words
