"""Dubs: jobs whose steps are the lines of subtitles, and whose file is a track as long as their video."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import ClassVar

import msgspec
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from policies.plans import Terms
from proxy.access.callers import Caller
from proxy.api.speech_forms import BackgroundRequest
from proxy.audio import libraries
from proxy.audio.formats import OutputForm, SoundFailed, bytes_a_second
from proxy.errors import Conflict, InvalidRequest, NotAllowed
from proxy.feature import RevisionContext
from proxy.features.dubs.child_orders import SoundOrder
from proxy.features.dubs.fitting import fit_lines
from proxy.features.dubs.inputs import DubInputs
from proxy.features.dubs.line_values import FitRules
from proxy.features.dubs.lines import DubLine, lines_to_fit, steps_of_cues
from proxy.features.dubs.receipt import receipt_answer, receipt_of
from proxy.features.dubs.report import Report, report_csv, report_of, report_warnings, timed_subtitles
from proxy.features.dubs.request import (
    FILES,
    INPUT,
    ORIGINAL,
    DubBody,
    DubFields,
    DubText,
    decode_line,
    dub_step_body,
    parse_dub,
    with_bit_rates,
)
from proxy.features.jobs.core import uploads
from proxy.features.jobs.core.again import AgainBody, again_fields
from proxy.features.jobs.core.content import no_sound, whole_reply
from proxy.features.jobs.core.encoded_records import list_encoded, stored_bytes_of
from proxy.features.jobs.core.encoding import FileMaking, form_of_file
from proxy.features.jobs.core.ends import SOUND_ERASED
from proxy.features.jobs.core.fields import JOB_MEDIA_TYPES, step_terms
from proxy.features.jobs.core.kind import Columns, PlannedStep, Words
from proxy.features.jobs.core.making import check_length
from proxy.features.jobs.core.records import Job, JobClip, JobStep
from proxy.features.jobs.texts.drafts import DraftKind, JobDraft, step_request
from proxy.features.jobs.texts.subtitles import SUBTITLES
from proxy.features.marks.mark_filter import MarkTreatment
from proxy.features.marks.rules import Marking
from proxy.file_store.sealed_blobs import StoredFile
from proxy.file_store.vault import VaultFailed
from proxy.speech.call import SpeechCall
from proxy.speech.sound_filter import OpenFilter
from proxy.speech.speaking import Speaking
from speech_engine import EngineError

MOST_JOB_BYTES = 2 * 1024**3
MOST_ACCOUNT_BYTES = 4 * MOST_JOB_BYTES
_MARK_WITHIN_S = 60.0
_decode = msgspec.json.Decoder(DubText).decode
_decode_report = msgspec.json.Decoder(Report).decode


class DubKind(DraftKind):
    """Dubs, as the newest revision speaks and marks them. `revision` is set before it works."""

    name = "dub"
    body = DubBody
    makes_files = True
    result_files = (*FILES, "report.csv")
    revision: RevisionContext
    words: ClassVar[Words] = {
        "en": {"kind": "Dub", "results": "Files"},
        "es": {"kind": "Doblaje", "results": "Archivos"},
        "pt-BR": {"kind": "Dublagem", "results": "Arquivos"},
        "th": {"kind": "เสียงพากย์", "results": "ไฟล์"},
    }

    async def open_inputs(self, stack: AsyncExitStack) -> None:
        self._inputs = DubInputs(self.files)
        stack.push_async_callback(self._inputs.close_readers)

    async def read_request(self, background: BackgroundRequest, revision: RevisionContext) -> JobDraft:
        body, fields = await asyncio.to_thread(parse_dub, background.body, background.defaults)
        check_length(background.terms, 0, "input_file_id")  # it refuses a plan without jobs
        text = await self._inputs.read_inputs(background.caller.account, fields, body.length_s)
        return await self._plan_draft(background, fields, text, body.response_format, body.tag)

    async def draft_again(
        self, background: BackgroundRequest, job: Job, body: AgainBody, revision: RevisionContext
    ) -> JobDraft:
        fields, text = self._fields(job), await self._text(job)
        if body.input_file_id is not None:
            fields = replace(fields, inputs={**fields.inputs, INPUT: body.input_file_id})
            text = await self._inputs.read_changed(job.account, fields, text)
        if body.input_file_id is not None or body.length_s is not None:
            # Without an original, too, the track stays as long as it was.
            text = text.with_length(body.length_s or text.samples / fields.rate_hz, fields.rate_hz)
        body = replace(body, steps=steps_of_cues(text.lines, body.steps))
        fields = again_fields(fields, job.id, len(text.lines), body, is_dub=True)
        return await self._plan_draft(background, fields, text, job.format)

    async def _plan_draft(
        self,
        background: BackgroundRequest,
        fields: DubFields,
        text: DubText,
        format_: str,
        tag: str | None = None,
    ) -> JobDraft:
        """Plan a line of each speaker, and check the room of the files. Raises RequestFailed."""
        caller, terms, speaking = background.caller, background.terms, self._speaking
        check_length(terms, text.characters, INPUT)
        ignored_fields, language, voices = set[str](), "", list[str]()
        for line in _first_lines(text.lines):
            call = await _plan_line(speaking, fields, line, background.id, caller, step_terms(terms))
            ignored_fields.update(call.ignored_fields())
            language = language or call.plan.language
            voices.append(call.plan.voice.id)
        form = OutputForm(format_, fields.rate_hz, fields.kbit_s, is_usual=False)
        await self._check_room(caller.account, form, text.samples, fields)

        async def plan(number: int, terms: Terms) -> SpeechCall:
            line = text.lines[number - 1]
            return _unmarked(await _plan_line(speaking, fields, line, background.id, caller, terms))

        return JobDraft(
            fields=replace(
                fields, ignored=tuple(sorted(ignored_fields)), voice="+".join(dict.fromkeys(voices))
            ),
            format=format_,
            data=await asyncio.to_thread(msgspec.json.encode, text),
            pieces=[(line.start_ms, line.end_ms) for line in text.lines],
            characters=text.characters,
            plan=plan,
            language=language,
            tag=background.tag(tag),
            holds={id_: field for field, id_ in fields.inputs.items()},
            warnings=text.all_warnings,
        )

    async def plan(
        self, job: Job, step: JobStep, speaking: Speaking, caller: Caller, terms: Terms
    ) -> PlannedStep:
        fields, data = self._fields(job), await self.files.whole(job.account, job.digest)
        line = await asyncio.to_thread(decode_line, data, step.number)
        call = await _plan_line(speaking, fields, line, step.request, caller, terms)
        return PlannedStep(_unmarked(call), source_job=fields.source_of(step.number))

    @property
    def _speaking(self) -> Speaking:
        assert self.revision.speaking is not None, "a worker speaks"
        return self.revision.speaking

    async def make_files(self, making: FileMaking, job: Job, clips: Sequence[JobClip]) -> None:
        await libraries.ensure_loaded()
        # Imported here: they need numpy, which a worker loads once it needs it.
        from proxy.features.dubs.mixing import Ducking, sound_bounds
        from proxy.features.dubs.track import (
            DubFile,
            OriginalBed,
            place_clips,
            spoken_places,
            track_speech,
            write_track,
        )

        fields, text = self._fields(job), await self._text(job)
        form, samples, rate_hz = form_of_file(job.format, fields, clips), text.samples, fields.rate_hz
        await self._check_room(job.account, form, samples, fields)
        sounds = [
            await asyncio.to_thread(sound_bounds, await self.files.whole(job.account, clip.digest), rate_hz)
            for clip in clips
        ]
        lengths = [last - first for first, last in sounds]
        planned = await asyncio.to_thread(
            partial(lines_to_fit, text.lines, lengths, rate_hz, may_overlap=fields.overlaps)
        )
        fitted = await asyncio.to_thread(fit_lines, planned, FitRules(fields.pace, fields.fills), samples)
        spoken_s = [clip.samples / clip.sample_rate_hz for clip in clips]
        report = await asyncio.to_thread(report_of, text, planned, fitted, spoken_s)
        async with AsyncExitStack() as stack:
            outs = dict[str, DubFile]()
            for name in fields.results:
                if name != "bed" or fields.ducks:
                    outs[name] = await DubFile.begin_file(
                        making, name, clips if name != "bed" else (), form, samples
                    )
                    stack.callback(outs[name].drop_encoder)
            original = None
            if fields.ducks:
                content = await uploads.held_content(self.files, job.account, fields.inputs[ORIGINAL])
                parts = self._inputs.originals.sound_parts(content, SoundOrder(rate_hz, text.takes_first))
                stack.push_async_callback(parts.aclose)
                original = OriginalBed(parts, Ducking(spoken_places(planned, fitted), rate_hz))
            spoken = track_speech(self.files, place_clips(clips, sounds, fitted), samples, rate_hz)
            calls = await self._plan_speakers(job, fields, text)
            try:
                await write_track(spoken, await _open_mark(calls, rate_hz), original, outs, rate_hz)
            except EngineError as failed:
                raise SoundFailed(f"the mark failed: {type(failed).__name__}") from None
        writers = {name: out.writer for name, out in outs.items()}
        receipt = receipt_of(job, await self.store.now(), samples, rate_hz, writers, calls)
        for file, facts in (("report.json", report), ("receipt.json", receipt)):
            await making.add_part(making.writer(FILES[file], ()), msgspec.json.encode(facts), is_last=True)

    async def _plan_speakers(self, job: Job, fields: DubFields, text: DubText) -> dict[str, SpeechCall]:
        """Plan a line of each speaker. Raises RequestFailed."""
        # All is spoken and charged: the account gets its files even if it is suspended or its key is gone.
        callers = self.revision.admin_tools.callers
        caller = await callers.by_id(job.key, may_be_suspended=True, may_be_over=True)
        terms = step_terms(self._speaking.admission.terms(caller))
        return {
            line.speaker: await _plan_line(self._speaking, fields, line, job.id, caller, terms)
            for line in _first_lines(text.lines)
        }

    async def _check_room(self, account: str, form: OutputForm, samples: int, fields: DubFields) -> None:
        """Refuse files that are too large, or for which the account has no room. Raises NotAllowed."""
        size = round(
            len(fields.results) * bytes_a_second(with_bit_rates(form)) * samples / form.sample_rate_hz
        )
        if size > MOST_JOB_BYTES:
            message = f"The files of a job have at most {MOST_JOB_BYTES} bytes; these may have {size}."
            raise InvalidRequest(message, param="results", code="files_too_large")
        if await stored_bytes_of(self.store, account) + size > MOST_ACCOUNT_BYTES:
            message = f"The files of an account's jobs have at most {MOST_ACCOUNT_BYTES} bytes; delete some."
            raise NotAllowed(message, code="too_many_jobs")

    def columns(self, job: Job) -> Columns:
        return {"results": ", ".join(self._fields(job).results)}

    async def end_warnings(self, job: Job) -> Sequence[str]:
        if job.state != "done":
            return ()
        if not await list_encoded(self.store, job.id, FILES["track"]):
            return (f"{SOUND_ERASED.message} Its lines, stems and track are gone.",)
        try:
            return report_warnings(await self._report(job))
        except (Conflict, VaultFailed):
            return ()  # no reason to hide the job

    async def content(self, job: Job, request: Request, revision: RevisionContext) -> Response:
        name, range_ = request.query_params.get("file") or "track", request.headers.get("range")
        if name == "report.csv":
            table = await asyncio.to_thread(report_csv, await self._report(job))
            file = StoredFile(self.files, job.account, [table])
            return whole_reply(file, f"{job.id}.csv", "text/csv", range_)
        file = await self._file(job, name)
        if name == "receipt.json":
            answer = receipt_answer(await file.read_whole(), revision)
            file = StoredFile(self.files, job.account, [answer])
        if name.endswith(".json"):
            return whole_reply(file, f"{job.id}_{name}", "application/json", range_)
        part = "" if name == "track" else f"_{name}"
        return whole_reply(file, f"{job.id}{part}.{job.format}", JOB_MEDIA_TYPES[job.format], range_)

    async def subtitles(self, job: Job, request: Request, format_: str) -> Response:
        report, text = await self._report(job), await self._text(job)
        made = await asyncio.to_thread(partial(timed_subtitles, text, report, is_vtt=format_ == "vtt"))
        file, media_type = (
            StoredFile(self.files, job.account, [made]),
            f"{SUBTITLES[format_]}; charset=utf-8",
        )
        return whole_reply(file, f"{job.id}.{format_}", media_type, request.headers.get("range"))

    async def step_content(self, job: Job, clip: JobClip, range_: str | None) -> Response:
        raise Conflict(
            "A line of a dub has no mark of its own, so it is heard in the track alone.", param="id"
        )

    async def _file(self, job: Job, name: str) -> StoredFile:
        if job.state != "done":
            raise Conflict(
                "The job was cut short, and a dub has its track when all is spoken: try it again.", param="id"
            )
        rows = await list_encoded(self.store, job.id, FILES[name])
        if not rows:
            raise no_sound()
        return StoredFile.of_blobs(self.files, rows)

    async def _report(self, job: Job) -> Report:
        return _decode_report(await (await self._file(job, "report.json")).read_whole())

    async def _text(self, job: Job) -> DubText:
        data = await self.files.whole(job.account, job.digest)
        return await asyncio.to_thread(_decode, data)

    def _fields(self, job: Job) -> DubFields:
        return self.files.vault.open_record(job.account, job.id, job.record, DubFields)


async def _open_mark(calls: Mapping[str, SpeechCall], rate_hz: int) -> OpenFilter | None:
    """Open the mark of a dub, if the speech of one of its voices must have one."""
    for call in calls.values():
        treatment = call.plan.treatment
        if treatment is not None and treatment.filter is not None:
            return await treatment.filter.open(rate_hz, _MARK_WITHIN_S)
    return None


async def _plan_line(
    speaking: Speaking, fields: DubFields, line: DubLine, id_: str, caller: Caller, terms: Terms
) -> SpeechCall:
    """Plan a line. Raises RequestFailed."""
    request = step_request(fields, dub_step_body(fields, line), speaking)
    return await speaking.prepare_call(id_, caller, request, terms)


def _unmarked(call: SpeechCall) -> SpeechCall:
    """Return the call of a line, whose sound has no mark: none lives through a change of the pace."""
    treatment = call.plan.treatment
    if not isinstance(treatment, MarkTreatment):
        return call
    treatment = replace(treatment, filter=None, marking=Marking())
    return replace(call, plan=replace(call.plan, treatment=treatment))


def _first_lines(lines: Sequence[DubLine]) -> list[DubLine]:
    """Return the first line of each speaker, in their order."""
    first = dict[str, DubLine]()
    for line in lines:
        first.setdefault(line.speaker, line)
    return [*first.values()]
