"""The call of a speech, which all stages share, and its totals, from which the ledger settles."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from functools import reduce

import msgspec

from policies import price, text_tags
from policies.plans import Terms
from policies.price import MostCharge, Operation
from policies.reading import Reading
from policies.routing import Candidate, Model
from proxy.access.callers import Caller
from proxy.audio.formats import IPTC_RULES, IPTC_TRAINED, OUTPUT_RATE_HZ, OutputForm
from proxy.helpers.outside import outside
from proxy.ledger import Spent, SpentAttempt, SpentPart
from proxy.speech.answer_check import AnswerCheck, CheckReport
from proxy.speech.attempt import Attempt
from proxy.speech.observer import Observer
from proxy.speech.part import Part
from proxy.speech.planning import SpeechPlan
from proxy.speech.speech_request import SourceSound, SpeechRequest
from proxy.storage.rows import encode_json
from speech_engine import Alphabet, EngineError, Pronunciation, Segment
from speech_engine.redacted import Redacted
from speech_engine.text.cleaning import is_speech

Pronunciations = Mapping[tuple[Alphabet, ...], tuple[Pronunciation, ...]]


class PreparedText(Redacted, msgspec.Struct, frozen=True):
    """The text of a part after one front-end.

    `characters` are the charged ones: the sent characters and those that the account's own lexicon added.
    `written_characters` count numbers as if they were written out. `pronunciations` has the sounds of the
    lexicon's words, by the alphabets of a candidate's model. A text of signs alone `is_silent`, and is free.
    """

    segments: tuple[Segment, ...]
    spoken_characters: int
    written_characters: int
    characters: int
    estimated_s: float
    pronunciations: Pronunciations = {}
    is_silent: bool = False


class PartRun(Redacted, msgspec.Struct, eq=False):
    """The state of one part of a request while it is spoken.

    `text` is the text to read; without its marks, if `places` are the positions of its characters in the
    user's text. `texts` has the prepared text by `text_key`, or the front-end's error. A `source` is
    converted instead of a text. The `candidate` was tried last, and the `winner` gave audio. `begins` is the
    part's first sample in the answer, None before its turn. `retries` counts how often a checked part was
    spoken again. If the part continues an earlier call, as the second sentence of an
    utterance does, it is heard at `plays_at`, a moment of `time.monotonic`, and its first candidate comes
    before all others.
    """

    number: int
    part: Part
    text: str
    places: Sequence[int] | None = None
    texts: dict[tuple[str, bool], PreparedText | EngineError] = msgspec.field(default_factory=dict)
    source: SourceSound | None = None
    candidate: Candidate | None = None
    begins: int | None = None
    winner: Candidate | None = None
    is_passed_over: bool = False
    budget_s: float | None = None
    retries: int = 0
    plays_at: float | None = None

    @property
    def speaker(self) -> str:
        return "" if self.candidate is None else self.candidate.speaker

    @property
    def models(self) -> tuple[Model, ...]:
        return () if self.candidate is None else self.candidate.models

    @property
    def engine(self) -> str:
        return "+".join([model.engine for model in self.models])

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        return self.part.candidates

    @property
    def measured_text(self) -> PreparedText | Part:
        """The source of charged characters and estimate: the prepared text, or else the part."""
        text = None if self.candidate is None else self.texts.get(self.candidate.text_key)
        return text if isinstance(text, PreparedText) else self.part

    @property
    def estimated_s(self) -> float:
        return self.measured_text.estimated_s

    def leave_out_marks(self, reading: Reading) -> None:
        """Take the part's text from the reading of the whole text, unless nothing would be left to say."""
        read = reading.part(self.part.start, self.part.end)
        if is_speech(read.text):
            self.text, self.places = read

    def paragraph_starts(self, starts: Sequence[int]) -> list[int]:
        """Return the places in `text` of those places of the user's text that are within the part."""
        within = [start for start in starts if self.part.start < start < self.part.end]
        if self.places is None:
            return [start - self.part.start for start in within]
        return sorted({bisect_left(self.places, start) for start in within} - {0, len(self.text)})

    def pass_over(self) -> None:
        """Leave the part out, because nothing in it can be spoken. It costs nothing."""
        self.candidate, self.is_passed_over = None, True

    def text_read(self, *, is_untagged: bool) -> str:
        return text_tags.without_tags(self.text) if is_untagged else self.text

    def text_for(self, candidate: Candidate) -> PreparedText:
        """Return the prepared text of a candidate. Raises EngineError if there is none."""
        text = self.texts[candidate.text_key]
        if isinstance(text, EngineError):
            raise text
        return text

    def highest_charge(self, terms: Terms) -> tuple[MostCharge, float]:
        """Return the highest price and the longest estimate of the part over its candidates.

        The pause after the part is sound of the answer, so it is charged with the part.
        """
        charges, longest_s = list[MostCharge](), 0.0
        for candidate in self.part.candidates:
            text = self.texts[candidate.text_key]
            if isinstance(text, PreparedText) and not text.is_silent:
                estimated_s = text.estimated_s + self.part.pause_s
                charges.append(self.charge_of(candidate, text, estimated_s, terms))
                longest_s = max(longest_s, estimated_s)
        return reduce(MostCharge.higher, charges) if charges else MostCharge(), longest_s

    def charge_of(self, candidate: Candidate, text: PreparedText, seconds: float, terms: Terms) -> MostCharge:
        """Return the price of the part if this candidate speaks for so many seconds."""
        kind: Operation = "speech" if self.source is None else "conversion"
        spoken = terms.prices.work_price(kind, candidate.model.engine, candidate.model.info.id)
        whole = price.estimate_charge(spoken, estimated_s=seconds, characters=text.characters)
        by_job, repeated_by_job, post = whole if spoken.per == "job" else 0, 0, candidate.post
        if post is not None:
            repeated = terms.prices.work_price("conversion", post.model.engine, post.model.info.id)
            charge = price.estimate_charge(repeated, estimated_s=seconds, characters=0)
            whole, repeated_by_job = whole + charge, charge if repeated.per == "job" else 0
        return MostCharge(whole, whole - by_job - repeated_by_job, by_job, repeated_by_job)


class Totals:
    """The sound and the attempts of a request so far. The streams and the pipeline write it.

    The client waits for the first audio since `began`, a moment of `time.monotonic`. `cache` is the state of
    the audio cache for this request. A cached clip sets `names`, its engine and model; otherwise they follow
    from the parts, joined by a plus. Once it `is_held`, the request gets a row in usage, and the `rows` of
    features are committed with it. `substitute_note` is None before the headers; then it tells whether they
    announce a rule-based voice in place of a natural one, or another speaker.
    """

    def __init__(self, request: SpeechRequest, plan: SpeechPlan) -> None:
        runs = list[PartRun]()
        for number, part in enumerate(plan.parts):
            text = request.text[part.start : part.end]
            runs.append(PartRun(number, part, text, source=request.source))
        self.parts = tuple(runs)
        self.parts[0].begins = 0
        self.began, self.samples = 0.0, 0
        self.attempts: list[Attempt] = []
        self.sample_rate_hz = request.form.sample_rate_hz
        self.first_byte_ms: int | None = None
        self.error: str | None = None
        self.cache = "off"
        self.names: tuple[str, str] | None = None
        self.is_held = False
        self.substitute_note: bool | None = None
        self.rows: list[msgspec.Struct] = []
        self.kind: Operation = "speech"
        self.check: AnswerCheck | None = None
        if plan.check is not None:
            self.check = outside("proxy.speech_steps.check_totals", "CheckTotals", AnswerCheck)(plan)
        self._request = request
        self._plan = plan

    @property
    def current_part(self) -> PartRun:
        """The part whose turn it is. If the answer breaks, its engine has failed."""
        for part in reversed(self.parts):
            if part.begins is not None:
                return part
        return self.parts[0]

    @property
    def speaking_candidates(self) -> list[Candidate]:
        found: list[Candidate] = []
        for run in self.parts:
            if not run.is_passed_over:
                found.append(run.winner or run.part.candidates[0])
        return found

    @property
    def substitute(self) -> str:
        """The substituted voices so far, which the answer must state, joined by commas; "" for none."""
        found: dict[str, None] = {}
        for run in self.parts:
            if run.winner is not None and run.winner.substitute:
                found[run.winner.substitute] = None
        return ", ".join(found)

    def keep_voice(self, run: PartRun, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """Return the candidates of a part, the model that spoke the last part of its voice first. Other
        substitutes of the voice are left out, unless nothing would be left."""
        for before in reversed(self.parts[: run.number]):
            if before.winner is not None and before.part.voice.id == run.part.voice.id:
                name = before.winner.model.name
                able = [each for each in candidates if each.model.name == name or not each.is_other_speaker]
                return sorted(able, key=lambda each: each.model.name != name) if able else candidates
        return candidates

    def replay(self, names: tuple[str, str], speakers: Sequence[str]) -> None:
        """Note the engine and the model of a cached answer, and the speaker of each part."""
        self.names = names
        for run, speaker in zip(self.parts, speakers, strict=True):
            for candidate in run.part.candidates:
                if candidate.speaker == speaker:
                    run.winner = candidate
                    break

    def announce_substitutes(self) -> str:
        """Return the substituted voices among the speaking ones for the headers, which are sent now."""
        found: dict[str, None] = {}
        self.substitute_note = False
        for run in self.parts:
            each = run.winner or run.part.candidates[0]
            if each.substitute and not run.is_passed_over:
                found[each.substitute] = None
                self.substitute_note = self.substitute_note or each.needs_note
        return ", ".join(found)

    def written_parts(self, samples: int | None = None) -> list[tuple[PartRun, int]]:
        """Return each part with its written samples, or with its share of so many."""
        written: list[tuple[PartRun, int]] = []
        end = most = self.samples if samples is None else samples
        for run in reversed(self.parts):
            begins = most if run.begins is None else run.begins
            written.append((run, max(0, min(most, end) - begins)))
            end = begins
        written.reverse()
        return written

    def check_report(self, samples: int) -> CheckReport | None:
        """Return the report on the check of the first `samples`, or None if no check was requested."""
        if self.check is None:
            return None
        lengths_s = {run.number: each / self.sample_rate_hz for run, each in self.written_parts(samples)}
        return self.check.report_parts(lengths_s, is_stored=self.names is not None)

    def spent(self) -> Spent:
        """Return the state for the settlement by the ledger."""
        attempts: list[SpentAttempt] = []
        submitted: set[tuple[int, str, str]] = set()
        for attempt in self.attempts:
            attempts.append(written := attempt.spent())
            if written.was_submitted:
                submitted.add((attempt.part, written.engine, written.model))
        kind: Operation | None
        parts: list[SpentPart] = []
        engines, models = dict[str, None](), dict[str, None]()
        total, source = 0, self._request.source
        # The hold covers the length of the recording. Sound that an engine adds is free.
        most = self.samples if source is None else max(1, int(source.seconds * self.sample_rate_hz))
        for run, samples in self.written_parts():
            if run.is_passed_over:
                continue
            candidate = run.candidate  # None: none was tried, or a cached clip answers
            measured = run.part if candidate is None else run.measured_text
            characters, kind = measured.characters, None
            total += characters
            for model in (None,) if candidate is None else candidate.models:
                engine, model_id = ("", "") if model is None else (model.engine, model.info.id)
                part = SpentPart(
                    engine=engine,
                    model=model_id,
                    characters=characters,
                    estimated_s=measured.estimated_s,
                    samples=min(samples, most),
                    was_submitted=(run.number, engine, model_id) in submitted,
                    kind=kind,
                    is_free=self.check is not None and run.number in self.check.free_parts,
                )
                parts.append(part)
                # The repetition of a speech is as long, and has no characters.
                characters, kind = 0, "conversion"
                if model is not None:
                    engines[engine] = models[model_id] = None
        names = self.names or ("+".join(engines), "+".join(models))
        return Spent(
            engine=names[0],
            model=names[1],
            voice=self._plan.voice_id,
            language=self._plan.language,
            format=self._request.form.format,
            characters=total,
            samples=self.samples,
            charged_samples=min(self.samples, most),
            sample_rate_hz=self.sample_rate_hz,
            first_byte_ms=self.first_byte_ms,
            error=self.error,
            cache=self.cache,
            substitute=self.substitute,
            parts=tuple(parts),
            attempts=tuple(attempts),
            kind=self.kind if source is None else "conversion",
            rows=tuple(self.rows),
            make_rows=self.check.make_rows if self.check else None,
            checked=encode_json(own.sums) if self.check and (own := self.check_report(self.samples)) else "",
        )


OpenObserver = Callable[["SpeechCall"], Observer]
"""Opens an observer of a call, before the look-up and the hold. Raises RequestFailed to refuse the call."""


class SpeechCall(Redacted, msgspec.Struct, frozen=True, eq=False):
    """A request that was admitted and planned. Only its totals change.

    `clip` is its path in the audio cache, if any; `openers` open its observers, in order. An answer that
    `goes_whole`, such as a WAV with its true length, is sent when it is complete; one that `is_paced` is sent
    as fast as it plays. A call of a `job` has no listener, does not count as a stream, and engines serve it
    last. A piece of an utterance does not count as a stream either, and has no facts. All attempts at a
    step of a job have its name, `step`. Engines also serve a call last that `is_idle`. It does not count as
    activity of the worker.
    """

    id: str
    caller: Caller
    request: SpeechRequest
    plan: SpeechPlan
    totals: Totals
    clip: str | None = None
    openers: tuple[OpenObserver, ...] = ()
    goes_whole: bool = False
    is_paced: bool = False
    job: str = ""
    step: str = ""
    tag: str = ""
    is_idle: bool = False
    is_stream: bool = True

    @property
    def terms(self) -> Terms:
        return self.plan.terms

    def ignored_fields(self) -> tuple[str, ...]:
        request, speakers = self.request, self.totals.speaking_candidates
        names = {*request.ignored}.union(*[each.ignores for each in speakers])
        taken = [{name for model in each.models for name in model.info.client_fields} for each in speakers]
        names.update(name for name, _ in request.extra for each in taken if name not in each)
        if request.instructions and not all(each.model.info.max_instructions for each in speakers):
            names.add("instructions")
        return tuple(sorted(names))

    @property
    def form(self) -> OutputForm:
        form = self.request.form
        if self.plan.treatment is None:
            return form
        models = [model for part in self.plan.parts for each in part.candidates for model in each.models]
        source = IPTC_TRAINED if any(model.info.is_trained for model in models) else IPTC_RULES
        return msgspec.structs.replace(form, source=source)

    def form_by(self, speaker: str) -> OutputForm:
        """Return the form of the answer of this speaker. A spared speaker gets no tag."""
        return self.request.form if self.plan.spares(speaker) else self.form

    @property
    def sound_form(self) -> OutputForm:
        """The form of the speech before the filter, if there is one: filters take PCM."""
        treatment = self.plan.treatment
        return self.form if treatment is None or treatment.filter is None else _pcm(self.form)

    def part_form(self, candidate: Candidate) -> OutputForm:
        """Return the form in which a candidate makes a part. Several parts are joined as PCM. A candidate
        that is spared makes the final form."""
        plan, form = self.plan, self.request.form
        if plan.treatment is None:
            return _pcm(form) if plan.is_joined else form
        if plan.spares(candidate.speaker):
            return form
        return _pcm(form) if plan.is_joined else self.sound_form


def _pcm(form: OutputForm) -> OutputForm:
    return OutputForm("pcm", form.sample_rate_hz, is_usual=form.sample_rate_hz == OUTPUT_RATE_HZ)
