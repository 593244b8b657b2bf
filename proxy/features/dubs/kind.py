"""Dubs: jobs whose steps are the lines of subtitles, and whose file is a track as long as their video."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
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
from proxy.features.dubs.fitting import fit
from proxy.features.dubs.inputs import DubInputs, file_ids
from proxy.features.dubs.line_values import FitRules
from proxy.features.dubs.lines import DubLine, choose_shorts, lines_of
from proxy.features.dubs.previewing import previewed
from proxy.features.dubs.report import Report, report_csv, report_of, report_warnings, timed_subtitles
from proxy.features.dubs.request import FILES, DubBody, DubFields, DubText, dub_step_body, parse_dub, rated
from proxy.features.jobs.core import uploads
from proxy.features.jobs.core.content import no_sound, whole_reply
from proxy.features.jobs.core.encoded_records import list_encoded, stored_of
from proxy.features.jobs.core.encoding import FileMaking, form_of_file
from proxy.features.jobs.core.fields import JOB_MEDIA_TYPES, of_step
from proxy.features.jobs.core.kind import Columns, JobUpload, PlannedStep, SpokenKind, Words
from proxy.features.jobs.core.making import MadeJob, NewJob, add_job, check_length, made_once
from proxy.features.jobs.core.previews import JobPreview
from proxy.features.jobs.core.records import Job, JobClip, JobStep
from proxy.features.jobs.texts.subtitles import SUBTITLES
from proxy.features.marks.mark_filter import MarkTreatment
from proxy.features.marks.rules import Marking
from proxy.file_store.sealed_blobs import StoredFile
from proxy.file_store.vault import VaultFailed
from proxy.speech.call import SpeechCall
from proxy.speech.checked_parts import NO_CHECK
from proxy.speech.sound_filter import OpenFilter
from proxy.speech.speaking import Speaking
from proxy.speech.speech_request import Defaults, parse_speech
from speech_engine import EngineError

MOST_JOB_BYTES = 2 * 1024**3
MOST_ACCOUNT_BYTES = 4 * MOST_JOB_BYTES
_MARK_WITHIN_S = 60.0
_STEMS = ("report.json", "report.csv")
_decode = msgspec.json.Decoder(DubText).decode
_decode_report = msgspec.json.Decoder(Report).decode


class DubKind(SpokenKind):
    """Dubs, as the newest revision speaks and marks them. `at` is set before it works."""

    name = "dub"
    body = DubBody
    can_repeat = True
    at: RevisionContext
    words: ClassVar[Words] = {
        "en": {"kind": "Dub", "results": "Files"},
        "es": {"kind": "Doblaje", "results": "Archivos"},
        "pt-BR": {"kind": "Dublagem", "results": "Arquivos"},
        "th": {"kind": "เสียงพากย์", "results": "ไฟล์"},
    }

    async def open_inputs(self, stack: AsyncExitStack) -> None:
        self._inputs = DubInputs(self.files)
        stack.push_async_callback(self._inputs.close_readers)

    async def make(
        self, background: BackgroundRequest, at: RevisionContext, upload: JobUpload | None
    ) -> MadeJob:
        parsed = await asyncio.to_thread(parse_dub, background.body, background.defaults)
        check_length(background.terms, 0, "input_file_id")  # it refuses a plan without jobs
        return await made_once(self.files, background, partial(self._add, background, *parsed))

    async def _add(
        self, background: BackgroundRequest, body: DubBody, fields: DubFields, id_: str, digest: bytes
    ) -> None:
        fields, text = await self._drafted(background, body, fields)
        new = NewJob(
            id_,
            self.name,
            body.response_format,
            replace(fields, request=digest.hex()),
            await asyncio.to_thread(msgspec.json.encode, text),
            [(line.start_ms, line.end_ms) for line in text.lines],
            text.characters,
            tag=background.tag(body.tag),
            files={file: field for field, file in file_ids(body).items()},
            makes_files=True,
        )
        await add_job(self.files, background, new)

    async def _drafted(
        self, background: BackgroundRequest, body: DubBody, fields: DubFields
    ) -> tuple[DubFields, DubText]:
        """Read the files of a request, and choose its texts. Raises RequestFailed."""
        account, terms = background.caller.account, background.terms
        text = await self._inputs.read_inputs(account, body, fields)
        rules = FitRules(fields.pace, fields.fills)
        choose = partial(choose_shorts, text.lines, rules, may_overlap=fields.overlaps)
        text = replace(text, lines=await asyncio.to_thread(choose))
        check_length(terms, text.characters, "input_file_id")
        ignored = set[str]()
        for line in _first_lines(text.lines):
            call = await self._call(fields, line, background.id, background.caller, of_step(terms))
            ignored.update(call.ignored())
            fields = replace(fields, voice=fields.voice or call.plan.voice.id)
        form = OutputForm(body.response_format, fields.rate_hz, fields.kbit_s, is_usual=False)
        await self._check_room(account, form, text.samples, fields)
        return replace(fields, ignored=tuple(sorted(ignored))), text

    async def preview(self, background: BackgroundRequest, at: RevisionContext) -> JobPreview:
        body, fields = await asyncio.to_thread(parse_dub, background.body, background.defaults)
        check_length(background.terms, 0, "input_file_id")
        fields, text = await self._drafted(background, body, fields)
        terms = of_step(background.terms, is_checked=at.context.find_or(NO_CHECK).checks_jobs)
        plan = partial(self._call, fields, id_=background.id, caller=background.caller, terms=terms)
        return await previewed(at, background, self.store, text, fields, plan)

    async def _call(
        self,
        fields: DubFields,
        line: DubLine,
        id_: str,
        caller: Caller,
        terms: Terms,
        at: Speaking | None = None,
    ) -> SpeechCall:
        """Plan a line. Raises RequestFailed."""
        speaking = at or self.at.speaking
        assert speaking is not None, "a worker speaks"
        request = parse_speech(dub_step_body(fields, line), Defaults(), speaking.plans.client_fields)
        return await speaking.prepare_call(id_, caller, request, terms)

    async def plan(
        self, job: Job, held: JobStep, speaking: Speaking, caller: Caller, terms: Terms
    ) -> PlannedStep:
        line = (await self._text(job)).lines[held.number - 1]
        call = await self._call(self._fields(job), line, held.request, caller, terms, speaking)
        # Its sound is not marked: a mark does not live through a change of the pace.
        treatment = call.plan.treatment
        if isinstance(treatment, MarkTreatment):
            treatment = replace(treatment, filter=None, marking=Marking())
            call = replace(call, plan=replace(call.plan, treatment=treatment))
        return PlannedStep(call)

    async def make_files(self, making: FileMaking, job: Job, clips: Sequence[JobClip]) -> None:
        await libraries.ensure_loaded()
        # Imported here: they need numpy, which a worker loads once it needs it.
        from proxy.features.dubs.mixing import Ducking, sounding
        from proxy.features.dubs.track import (
            DubFile,
            OriginalBed,
            placed,
            speech,
            spoken_places,
            write_track,
        )

        fields, text = self._fields(job), await self._text(job)
        form, samples, rate_hz = form_of_file(job.format, fields, clips), text.samples, fields.rate_hz
        await self._check_room(job.account, form, samples, fields)
        sounds = [
            await asyncio.to_thread(sounding, await self.files.whole(job.account, clip.digest), rate_hz)
            for clip in clips
        ]
        lengths = [last - first for first, last in sounds]
        planned = await asyncio.to_thread(
            partial(lines_of, text.lines, lengths, rate_hz, may_overlap=fields.overlaps)
        )
        made = await asyncio.to_thread(fit, planned, FitRules(fields.pace, fields.fills))
        spoken_s = [clip.samples / clip.sample_rate_hz for clip in clips]
        report = await asyncio.to_thread(report_of, text, planned, made, spoken_s)
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
                file = await uploads.held_content(self.files, job.account, fields.original_file)
                parts = self._inputs.originals.sound_parts(file, SoundOrder(rate_hz, text.takes_first))
                stack.push_async_callback(parts.aclose)
                original = OriginalBed(parts, Ducking(spoken_places(planned, made), rate_hz))
            spoken = speech(self.files, placed(clips, sounds, made), samples, rate_hz)
            try:
                mark = await self._mark(job, fields, text, rate_hz)
                await write_track(spoken, mark, original, outs, rate_hz)
            except EngineError as failed:
                raise SoundFailed(f"the mark failed: {type(failed).__name__}") from None
        writer = making.writer(FILES["report.json"], ())
        await making.add_part(writer, msgspec.json.encode(report), is_last=True)

    async def _mark(self, job: Job, fields: DubFields, text: DubText, rate_hz: int) -> OpenFilter | None:
        """Open the mark of a dub, if the speech of one of its voices must have one. Raises RequestFailed."""
        caller = await self.at.admin_tools.callers.by_id(job.key)
        assert self.at.speaking is not None, "a worker speaks"
        terms = of_step(self.at.speaking.admission.terms(caller))
        for line in _first_lines(text.lines):
            treatment = (await self._call(fields, line, job.id, caller, terms)).plan.treatment
            if treatment is not None and treatment.filter is not None:
                return await treatment.filter.open(rate_hz, _MARK_WITHIN_S)
        return None

    async def _check_room(self, account: str, form: OutputForm, samples: int, fields: DubFields) -> None:
        """Refuse files that are too large, or for which the account has no room. Raises NotAllowed."""
        size = round(len(fields.results) * bytes_a_second(rated(form)) * samples / form.sample_rate_hz)
        if size > MOST_JOB_BYTES:
            message = f"The files of a job have at most {MOST_JOB_BYTES} bytes; these may have {size}."
            raise InvalidRequest(message, param="results", code="files_too_large")
        if await stored_of(self.store, account) + size > MOST_ACCOUNT_BYTES:
            message = f"The files of an account's jobs have at most {MOST_ACCOUNT_BYTES} bytes; delete some."
            raise NotAllowed(message, code="too_many_jobs")

    def columns(self, job: Job) -> Columns:
        return {"results": ", ".join(self._fields(job).results)}

    async def end_warnings(self, job: Job) -> Sequence[str]:
        try:
            report = await self._report(job) if job.state == "done" else None
        except (Conflict, VaultFailed):
            return ()  # no reason to hide the job
        return () if report is None else report_warnings(report)

    async def content(self, job: Job, request: Request, at: RevisionContext) -> Response:
        name, range_ = request.query_params.get("file") or "track", request.headers.get("range")
        if name not in FILES and name not in _STEMS:
            known = ", ".join((*FILES, "report.csv"))
            raise InvalidRequest(f"Invalid value for 'file': it must be one of {known}.", param="file")
        if name == "report.csv":
            table = await asyncio.to_thread(report_csv, await self._report(job))
            file = StoredFile(self.files, job.account, [table])
            return whole_reply(file, f"{job.id}.csv", "text/csv", range_)
        file = await self._file(job, name)
        if name == "report.json":
            return whole_reply(file, f"{job.id}.json", "application/json", range_)
        part = "" if name == "track" else f"_{name}"
        return whole_reply(file, f"{job.id}{part}.{job.format}", JOB_MEDIA_TYPES[job.format], range_)

    async def subtitles(self, job: Job, request: Request, format_: str) -> Response:
        report, text = await self._report(job), await self._text(job)
        made = await asyncio.to_thread(partial(timed_subtitles, text, report, is_vtt=format_ == "vtt"))
        file, media_type = StoredFile(self.files, job.account, [made]), f"{SUBTITLES[format_]}; charset=utf-8"
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


def _first_lines(lines: Sequence[DubLine]) -> list[DubLine]:
    """Return a line of each speaker."""
    return [*{line.speaker: line for line in reversed(lines)}.values()]
