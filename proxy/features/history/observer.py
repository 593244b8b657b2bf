"""The observer that records requests with `"history": true`. Other requests have none, so they cost no
more."""

from __future__ import annotations

from functools import partial

from msgspec.structs import replace

from proxy.features.history.records import HistoryRow, SealedRequest
from proxy.features.history.request_body import body_of
from proxy.features.history.writing import HistoryWriter, NewEntry, SoundBuffer
from proxy.speech.call import OpenObserver, SpeechCall
from proxy.speech.observer import Observer
from proxy.speech.planning import SpeechPlan
from proxy.speech.speech_request import SpeechRequest
from proxy.speech.speech_stream import Speech
from proxy.storage.spoken_voices import voices_column
from proxy.storage.stored_days import StoredDays


class HistoryObservers:
    def __init__(self, writer: HistoryWriter, stored: StoredDays) -> None:
        self._writer = writer
        self._stored = stored

    def opener(self, request: SpeechRequest, plan: SpeechPlan) -> OpenObserver | None:
        # The steps of jobs have their own sound and text.
        if not request.history or plan.terms.is_for_job or not self._stored.us_of(plan.terms.plan):
            return None
        return partial(_HistoryObserver, self._writer)


class _HistoryObserver(Observer):
    def __init__(self, writer: HistoryWriter, call: SpeechCall) -> None:
        self._writer = writer
        self._call = call
        self._sound = SoundBuffer(writer.room)
        self._speech: Speech | None = None
        self._is_whole = False

    def begin(self, speech: Speech) -> None:
        self._speech = speech

    def chunk(self, data: bytes) -> None:
        # The bytes of a file that goes whole come to `piece`.
        if not self._call.goes_whole:
            self._sound.add(data)

    def piece(self, data: bytes) -> None:
        self._sound.add(data)

    def finish(self) -> None:
        self._is_whole = True

    def end(self, error: BaseException | None) -> None:
        """Write the entry of a request that is in usage. Only whole sound is kept."""
        call, speech = self._call, self._speech
        if not self._is_whole:
            self._sound.close()
        if not call.totals.is_held:
            return
        spent, form, speakers = call.totals.spent(), call.request.form, ""
        if speech is not None:
            speakers = speech.engine
            form = replace(call.form_by(speakers), sample_rate_hz=speech.sample_rate_hz)
        entry = HistoryRow(
            id=call.id,
            account=call.caller.account,
            operation=spent.kind,
            model=speakers,
            voice=spent.voice,
            language=spent.language,
            format=spent.format,
            characters=spent.characters,
            seconds=round(spent.samples / spent.sample_rate_hz, 3),
            tag=call.tag,
            voices=voices_column(call.plan.own_voices),
        )
        check = call.totals.check_report(call.totals.samples)
        request = SealedRequest(body_of(call.request), check)
        self._writer.write_entry(NewEntry(entry, request, self._sound, form))
