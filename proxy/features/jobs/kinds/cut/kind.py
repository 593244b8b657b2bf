"""Cuts a long recording of a voice into clips for trainings.

Each step cuts a stretch at its pauses, and recognises the words of each piece alone. One commit has the words
and the charge. The clips are added after it. Their ids are computed from the step's, so after a kill the next
holder of the step adds no clip twice.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from hashlib import sha256
from typing import NamedTuple

import msgspec
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from policies.plans import Terms
from policies.routing import Model
from policies.sample_quality import SampleQuality
from policies.sample_rules import is_clipped
from proxy.access.callers import Caller
from proxy.api.speech_forms import BackgroundRequest
from proxy.audio.recordings.intake import invalid_audio
from proxy.catalogue.recognition import LocalRecognition, OwnRecording
from proxy.catalogue.voice_records import VoiceRecord
from proxy.errors import Conflict, InvalidRequest, NotAllowed, NotFound
from proxy.feature import RevisionContext
from proxy.features.consents.comparison import RatedRecording, SpeakerComparison
from proxy.features.consents.grants import Grants
from proxy.features.jobs.core import records
from proxy.features.jobs.core.bodies import ShownJob
from proxy.features.jobs.core.content import whole_reply
from proxy.features.jobs.core.fields import SealedFields, step_terms
from proxy.features.jobs.core.files import JobFiles
from proxy.features.jobs.core.hearing_steps import HearingKind
from proxy.features.jobs.core.kind import JobUpload, StepAttempt
from proxy.features.jobs.core.making import MadeJob, NewJob, add_job, check_length, make_once
from proxy.features.jobs.core.records import Job, JobStep
from proxy.features.jobs.kinds.cut.piece import CutPiece
from proxy.features.own_voices import records as voice_records
from proxy.features.own_voices.cutting import MOST_CLIPS, CutForm, NoCutting
from proxy.features.own_voices.recording_storage import consent_condition
from proxy.features.own_voices.sample_words import MOST_REF_TEXT_CHARACTERS
from proxy.features.own_voices.seals import ClipTexts, seal_clip
from proxy.features.transcriptions import long_recordings
from proxy.features.transcriptions.form import FILE, HearRequest, TranscriptionForm
from proxy.features.transcriptions.hearing import LEAST_S, HearCall, Hearing, HearTotals
from proxy.features.transcriptions.long_decoder import LongDecoder
from proxy.features.transcriptions.long_recordings import StretchRequest
from proxy.features.transcriptions.uploads import DecodedUpload
from proxy.file_store.once import digest_of_fields
from proxy.file_store.sealed_blobs import StoredFile
from proxy.http.form import form_values
from proxy.http.replies import encode_json
from proxy.ledger import Ledger
from proxy.speech import speech_request
from proxy.speech.candidate_race import IDLE_S
from proxy.storage import samples
from proxy.storage.sample_record import NOT_MEASURED, TRAINING, SampleRecord
from speech_engine.hearing import HEARING_HZ
from speech_engine.pcm import PcmInMemory

LEAST_MS, MOST_MS = 180_000, 2_400_000
"""The shortest and the longest recording that can be cut."""
_LEAST_LOGPROB = -0.8
_CLIPS_OF_COMMIT = 20
FORM_FIELDS = frozenset(CutForm.__struct_fields__)

_decode = msgspec.json.Decoder(list[CutPiece]).decode


class CutFields(SealedFields, frozen=True, kw_only=True):
    """The sealed fields of a cut. `whole_ms` is the length of the recording. If it `takes_first`, only the
    first channel of the file is used."""

    language: str
    takes_first: bool
    whole_ms: int


class CutReport(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a cut: the number of `clips` for trainings, the `seconds` for which they play, and the
    number of pieces that were left out for each reason."""

    voice: str
    clips: int
    seconds: float
    left_out: dict[str, int]
    pieces: list[CutPiece]


class JobCutting(NoCutting):
    """Begins cuts at the endpoint of a voice's samples. Each revision of the configuration sets `begin`,
    which makes a job of a request's form and the given fields."""

    accepted = ShownJob
    begin: Callable[[Request, Mapping[str, str]], Awaitable[Response]]

    async def cut(self, request: Request, voice: VoiceRecord) -> Response:
        return await self.begin(request, {"voice": voice.id})


class CutKind(HearingKind):
    """The kind of cuts. They are made at the endpoint of a voice's samples, and not at /v1/jobs."""

    name = "cut"
    is_done_with_clip = False
    hearing: Hearing
    subtitles_refusal = "A recording that was cut has no subtitles."

    def __init__(
        self,
        files: JobFiles,
        decoder: LongDecoder,
        ledger: Ledger,
        recognition: LocalRecognition,
        grants: Grants,
        comparison: SpeakerComparison,
    ) -> None:
        super().__init__(files, decoder, ledger)
        self._recognition = recognition
        self._grants = grants
        self._comparison = comparison

    async def make(
        self, background: BackgroundRequest, revision: RevisionContext, upload: JobUpload | None
    ) -> MadeJob:
        assert upload is not None, "it is made from a form"
        form, file = upload
        (voice_id,) = form.fields.pop("voice")
        cut = speech_request.read(CutForm, form_values(form, lists=()))
        # A recording has no characters. This only refuses a plan without jobs.
        check_length(background.terms, 0, FILE)
        cut = replace(cut, tag=background.tag(cut.tag))
        digest = await asyncio.to_thread(digest_of_fields, (voice_id, cut), file)
        add = partial(self._add, background, voice_id, cut, file)
        return await make_once(self.files, background, add, digest)

    async def _add(
        self,
        background: BackgroundRequest,
        voice_id: str,
        form: CutForm,
        file: bytes,
        id_: str,
        digest: bytes,
    ) -> None:
        caller, terms = background.caller, step_terms(background.terms)
        voice = await voice_records.get(self.store, caller.account, voice_id)
        if voice is None:
            raise _voice_deleted()
        await self._check_rights(voice, terms)
        language = form.language or voice.language or ""
        model = self._recognition.find_model(language, terms)
        payer = await self.check_payer(caller, terms, (model,), LEAST_S)
        survey = await self.decoder.survey(payer, file)
        _check_sound(survey)
        pieces = await asyncio.to_thread(
            long_recordings.cut_stretches, survey.levels, survey.whole_ms, long_recordings.MOST_MS
        )
        fields = CutFields(
            request=digest.hex(),
            title=form.title,
            model=model.name,
            voice=voice.id,
            language=language,
            takes_first=survey.takes_first,
            whole_ms=survey.whole_ms,
        )
        new = NewJob(id_, self.name, "json", fields, file, pieces, tag=form.tag or "", voice=voice.id)
        await add_job(self.files, background, new)

    async def write_step(
        self, job: Job, step: JobStep, caller: Caller, terms: Terms, attempt: StepAttempt
    ) -> None:
        from proxy.features.jobs.kinds.cut.pauses import find_pieces

        fields, clip = self._fields(job), await records.find_clip(self.store, step.id)
        voice = await self._find_voice(job)
        if clip is not None:
            master = await self._stretch_master(job, step, fields)
            pieces = _decode(await self.files.whole(job.account, clip.digest))
        else:
            await self._check_rights(voice, terms)
            model = self._recognition.find_model(fields.language, terms)
            await self.check_payer(caller, terms, (model,), (step.last - step.first) / 1000)
            master = await self._stretch_master(job, step, fields)
            call = _charged_call(step, caller, terms, model, fields.language)
            is_last, reference = step.last == fields.whole_ms, await self._reference(voice)
            found = await asyncio.to_thread(find_pieces, master, step.first, is_last=is_last)
            totals = HearTotals(call)
            totals.model, totals.language = model, fields.language
            async with self.hold_price(job, call, totals, attempt) as hold:
                engine_attempt = await self.hearing.begin_attempt(model, call, totals)
                pieces = []
                for piece in found:
                    # The attempt counts for the ledger once a piece was not left out.
                    engine_attempt.set_dispatched(engine_attempt.was_dispatched or not piece.left_out)
                    measured = await asyncio.to_thread(_measure_piece, master, step.first, piece)
                    pieces.append(await self._judge_piece(call, piece, measured, reference))
                await self.settle_step(step, call, totals, hold, encode_json(pieces), job.voice)
        await self._add_clips(step, voice, master, [piece for piece in pieces if not piece.left_out])
        await self._find_voice(job)  # if the voice was deleted meanwhile, the job is removed with it

    async def _judge_piece(
        self, call: HearCall, piece: CutPiece, measured: _Measured, reference: RatedRecording | None
    ) -> CutPiece:
        """Return a piece with its words, or with the reason why it is left out. Raises EngineError."""
        if piece.left_out:
            return piece
        if is_clipped(measured.quality):
            return replace(piece, left_out="clipped")
        own = OwnRecording(call.id, call.caller.account, measured.pcm, call.request.form.language)
        found = await self._recognition.hear(own, IDLE_S, call.models[0])
        if not found.text or found.avg_logprob < _LEAST_LOGPROB:
            return replace(piece, left_out="unclear")
        if reference is not None:
            own_recording = RatedRecording(measured.sound, measured.quality)
            compared = await self._comparison.compare(own_recording, reference)
            if compared is not None and compared.answer == "other":
                return replace(piece, left_out="other_voice")
        return replace(piece, text=found.text[:MOST_REF_TEXT_CHARACTERS])

    async def _add_clips(
        self, step: JobStep, voice: VoiceRecord, master: bytes, pieces: Sequence[CutPiece]
    ) -> None:
        vault, needs = self.files.vault, consent_condition(voice, self._grants)
        for first in range(0, len(pieces), _CLIPS_OF_COMMIT):
            rows = list[SampleRecord]()
            try:
                for number, piece in enumerate(pieces[first : first + _CLIPS_OF_COMMIT], first):
                    id_ = f"clip_{sha256(f'{step.id} {number}'.encode()).hexdigest()[:24]}"
                    rows.append(await self._sealed_row(step, voice, id_, piece, master))
                await voice_records.add_training_clips(self.store, rows, MOST_CLIPS, needs)
            finally:
                # `drop` keeps a file that a row names.
                await vault.drop(step.account, [row.digest for row in rows])

    async def _sealed_row(
        self, step: JobStep, voice: VoiceRecord, id_: str, piece: CutPiece, master: bytes
    ) -> SampleRecord:
        measured, vault = await asyncio.to_thread(_measure_piece, master, step.first, piece), self.files.vault
        row = SampleRecord(
            voice=voice.id,
            number=0,  # the commit gives it the next number of its voice
            account=step.account,
            digest=await vault.put(step.account, measured.sound),
            tag=TRAINING,
            seconds=round(piece.plays_s, 3),
            quality=msgspec.json.encode(measured.quality).decode(),
            id=id_,
        )
        return await seal_clip(vault, row, ClipTexts(words=piece.text, recognised=True))

    async def _find_voice(self, job: Job) -> VoiceRecord:
        """Return the voice of a job. If it is gone, remove the job with its recording, and raise NotFound."""
        voice = await voice_records.get(self.store, job.account, job.voice)
        if voice is None:
            await self.files.remove_job(job.id, job.account)
            raise _voice_deleted()
        return voice

    async def _check_rights(self, voice: VoiceRecord, terms: Terms) -> None:
        """Raise NotAllowed unless the voice may be trained, and has room for clips."""
        is_required, account = terms.consent == "required", voice.account or ""
        await self._grants.training_grant(account, voice.consent, is_required=is_required)
        rows = await samples.list_of_voice(self.store, voice.id)
        if sum(row.is_for_training for row in rows) >= MOST_CLIPS:
            raise NotAllowed(
                f"A voice has {MOST_CLIPS} clips for trainings at most; delete some first.",
                param="voice",
                code="too_many_samples",
            )

    async def _reference(self, voice: VoiceRecord) -> RatedRecording | None:
        """Return the recording that the voice was made of, for the comparison of speakers. None: there is no
        comparer, or no such recording."""
        made_of = await samples.list_original(self.store, voice.id) if self._comparison.has_comparer else []
        if not made_of or made_of[0].quality == NOT_MEASURED:
            return None
        first = made_of[0]
        quality = msgspec.json.decode(first.quality, type=SampleQuality)
        return RatedRecording(await self.files.vault.open(first.account, first.digest), quality)

    async def _stretch_master(self, job: Job, step: JobStep, fields: CutFields) -> bytes:
        file = await self.files.whole(job.account, job.digest)
        stretch = StretchRequest(file, step.first, step.last, fields.takes_first)
        return await self.decoder.master(job.account, stretch)

    async def content(self, job: Job, request: Request, revision: RevisionContext) -> Response:
        clips = await records.list_clips(self.store, job.id)
        if not clips:
            raise Conflict("The job has ended before any of it was cut.", param="id")
        pieces = [
            piece for clip in clips for piece in _decode(await self.files.whole(job.account, clip.digest))
        ]
        lengths_s = [piece.plays_s for piece in pieces if not piece.left_out]
        left_out = Counter[str](piece.left_out for piece in pieces if piece.left_out)
        report = CutReport(
            voice=job.voice,
            clips=len(lengths_s),
            seconds=round(sum(lengths_s), 3),
            left_out=dict(left_out),
            pieces=pieces,
        )
        file = StoredFile(self.files, job.account, [encode_json(report)])
        return whole_reply(file, f"{job.id}.json", "application/json", request.headers.get("range"))

    def _fields(self, job: Job) -> CutFields:
        return self.files.vault.open_record(job.account, job.id, job.record, CutFields)


def _charged_call(step: JobStep, caller: Caller, terms: Terms, model: Model, language: str) -> HearCall:
    """Return the call by which a step is charged. Only the length of its recording counts: the pieces are
    recognised one by one, by other calls."""
    seconds = (step.last - step.first) / 1000
    return HearCall(
        id=step.request,
        caller=caller,
        terms=terms,
        request=HearRequest(TranscriptionForm(model=model.name, language=language), "transcribe"),
        models=(model,),
        recording=DecodedUpload(PcmInMemory(b"", HEARING_HZ), seconds, ""),
        urgency="idle",
    )


class _Measured(NamedTuple):
    sound: bytes
    quality: SampleQuality
    pcm: bytes

    def __repr__(self) -> str:
        return f"<_Measured {self.quality.rating}>"


def _measure_piece(master: bytes, begin_ms: int, piece: CutPiece) -> _Measured:
    """Cut a piece out of a stretch. Return its master, its quality, and its sound at HEARING_HZ."""
    from proxy.audio.recordings.derivation import whole_sound
    from proxy.audio.recordings.measures import rate_master
    from proxy.features.jobs.kinds.cut.pauses import cut_master

    sound = cut_master(master, begin_ms, piece)
    # A piece may have too few pauses to measure where its speech is, so all of it counts as speech.
    quality = replace(rate_master(sound), refusal="", starts_s=0.0, ends_s=piece.plays_s)
    return _Measured(sound, quality, whole_sound(sound, HEARING_HZ))


def _check_sound(survey: long_recordings.LongSurvey) -> None:
    """Raise InvalidRequest for a recording that is silent, too short or too long."""
    if long_recordings.is_silent(survey.levels):
        raise invalid_audio("it is silent, or its level is far too low", FILE)
    is_short = survey.whole_ms < LEAST_MS
    if is_short or survey.whole_ms > MOST_MS:
        raise InvalidRequest(
            f"Invalid '{FILE}': it plays for {survey.whole_ms / 60_000:.1f} minutes, and a recording to be "
            f"cut for {LEAST_MS / 60_000:g} to {MOST_MS / 60_000:g}.",
            param=FILE,
            code="audio_too_short" if is_short else "recording_too_long",
        )


def _voice_deleted() -> NotFound:
    return NotFound("The voice was deleted.", param="voice", code="voice_not_found")
