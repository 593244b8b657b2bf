"""The call of a speech: the one value that goes the whole way, and its tally, by which the ledger settles."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import NamedTuple

import msgspec

from policies import price
from policies.plans import Terms
from policies.routing import Candidate, Model
from proxy.access.callers import Caller
from proxy.audio.formats import OUTPUT_RATE_HZ, RULES, TRAINED, Chunk, OutputForm
from proxy.ledger import Spent, SpentPart
from proxy.speech.attempt import Attempt
from proxy.speech.planning import Part, SpeechPlan
from proxy.speech.speech_request import SpeechRequest
from speech_engine import EngineError, Segment


class PreparedText(msgspec.Struct, frozen=True):
    """A part as one front-end lets it be spoken.

    `characters` are the charged ones: those that were sent, and those that the account's own lexicon added.
    `written_characters` count numbers as if they were written out.
    """

    segments: tuple[Segment, ...]
    spoken_characters: int
    written_characters: int
    characters: int
    estimated_s: float

    def __repr__(self) -> str:
        return f"<PreparedText of {self.spoken_characters} characters>"


class PartRun:
    """One part of a request while it is spoken, and the model that speaks it or tries to.

    `texts` has its text by front-end, or why there is none. `begins` is the sample of the answer at which the
    part begins, None before its turn.
    """

    __slots__ = ("_front_end", "begins", "model", "number", "part", "text", "texts")

    def __init__(self, number: int, part: Part, text: str) -> None:
        self.number = number
        self.part = part
        self.text = text
        self.texts: dict[str, PreparedText | EngineError] = {}
        self.model: Model | None = None
        self.begins: int | None = None
        self._front_end: str | None = None

    def __repr__(self) -> str:
        return f"<PartRun {self.number} by {self.speaker or 'nobody'}>"

    @property
    def speaker(self) -> str:
        """The model as `engine/model`, or "" before one was tried."""
        return self.model.name if self.model is not None else ""

    @property
    def engine(self) -> str:
        return self.model.engine if self.model is not None else ""

    @property
    def model_id(self) -> str:
        return self.model.info.id if self.model is not None else ""

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        return self.part.candidates

    @property
    def characters(self) -> int:
        """The charged characters."""
        text = self.texts.get(self._front_end or "")
        return text.characters if isinstance(text, PreparedText) else self.part.characters

    @property
    def estimated_s(self) -> float:
        text = self.texts.get(self._front_end or "")
        return text.estimated_s if isinstance(text, PreparedText) else self.part.estimated_s

    def give_to(self, candidate: Candidate) -> None:
        """Note that this candidate speaks the part, or tries to."""
        self.model = candidate.model
        self._front_end = candidate.front_end

    def text_for(self, candidate: Candidate) -> PreparedText:
        """Return the text that a candidate speaks. Raises EngineError if there is none."""
        text = self.texts[candidate.front_end]
        if isinstance(text, EngineError):
            raise text
        return text

    def dearest(self, terms: Terms) -> tuple[int, float]:
        """Return the highest price of the part, and its longest estimate, by any of its candidates.

        The pause after the part is heard, so it is charged with the part.
        """
        price_, longest_s = 0, 0.0
        for candidate in self.part.candidates:
            text = self.texts[candidate.front_end]
            if isinstance(text, PreparedText):
                of_model = terms.prices.of_model(candidate.model.engine, candidate.model.info.id)
                estimated_s = text.estimated_s + self.part.pause_s
                charge = price.estimate_charge(of_model, estimated_s=estimated_s, characters=text.characters)
                price_, longest_s = max(price_, charge), max(longest_s, estimated_s)
        return price_, longest_s


class Tally:
    """The sound and the attempts of a request so far. The streams and the pipeline write it while they speak.

    `began` is the moment of `time.monotonic` since which the client waits for the first audio.
    `cache` is the state of the audio cache for this request. A clip `names` the engine and the model that
    spoke it; otherwise they follow from the parts, joined by a plus. The answer `keeps_manifest` if its own
    has the provider's in it.
    """

    def __init__(self, request: SpeechRequest, plan: SpeechPlan) -> None:
        self.parts = tuple(
            [
                PartRun(number, part, request.text[part.start : part.end])
                for number, part in enumerate(plan.parts)
            ]
        )
        self.parts[0].begins = 0
        self.began = 0.0
        self.attempts: list[Attempt] = []
        self.samples = 0
        self.sample_rate_hz = request.form.sample_rate_hz
        self.first_byte_ms: int | None = None
        self.error: str | None = None
        self.cache = "off"
        self.names: tuple[str, str] | None = None
        self.keeps_manifest = False
        self._request = request
        self._plan = plan

    def __repr__(self) -> str:
        return f"<Tally {self.samples} samples, {self.parts!r}>"

    @property
    def current_part(self) -> PartRun:
        """The part whose turn it is. When the answer breaks, its engine is to blame."""
        return next(part for part in reversed(self.parts) if part.begins is not None)

    @property
    def characters(self) -> int:
        """The charged characters of all parts."""
        return sum([run.characters for run in self.parts])

    @property
    def seconds(self) -> float:
        return self.samples / self.sample_rate_hz

    def add(self, chunk: Chunk) -> None:
        """Count a chunk as written."""
        self.samples += chunk.samples
        self.sample_rate_hz = chunk.sample_rate_hz

    def written_parts(self) -> Iterator[tuple[PartRun, int]]:
        """Give each part with its written samples. The last ones may end inside a part."""
        ends = [run.begins for run in self.parts[1:]]
        for run, end in zip_longest(self.parts, ends):
            begins = self.samples if run.begins is None else run.begins
            yield run, max(0, min(self.samples, self.samples if end is None else end) - begins)

    def spent(self) -> Spent:
        """Return what the ledger settles: frozen, as things stand now."""
        parts = tuple([self._spent_part(part, samples) for part, samples in self.written_parts()])
        engine, model = self.names or (
            "+".join(dict.fromkeys([part.engine for part in parts if part.engine])),
            "+".join(dict.fromkeys([part.model for part in parts if part.model])),
        )
        return Spent(
            engine=engine,
            model=model,
            voice=self._plan.voice.id,
            language=self._plan.language,
            format=self._request.form.format,
            characters=self.characters,
            samples=self.samples,
            sample_rate_hz=self.sample_rate_hz,
            first_byte_ms=self.first_byte_ms,
            error=self.error,
            cache=self.cache,
            parts=parts,
            attempts=tuple(attempt.spent() for attempt in self.attempts),
        )

    def _spent_part(self, run: PartRun, samples: int) -> SpentPart:
        return SpentPart(
            engine=run.engine,
            model=run.model_id,
            characters=run.characters,
            estimated_s=run.estimated_s,
            samples=samples,
            was_submitted=any(
                attempt.was_submitted and attempt.part == run.number and attempt.model == run.model
                for attempt in self.attempts
            ),
        )


class SpeechCall(NamedTuple):
    """A request that was admitted and planned. Only its tally changes: it counts what came out so far.

    `clip` is its path in the audio cache, None without one. One that `goes_whole` is heard when all is there.
    """

    id: str
    caller: Caller
    request: SpeechRequest
    plan: SpeechPlan
    tally: Tally
    clip: str | None = None
    goes_whole: bool = False

    def __repr__(self) -> str:
        return f"<SpeechCall {self.id}, {self.tally!r}>"

    @classmethod
    def of(
        cls, id_: str, caller: Caller, request: SpeechRequest, plan: SpeechPlan, clip: str | None = None
    ) -> SpeechCall:
        return cls(id_, caller, request, plan, Tally(request, plan), clip)

    @property
    def terms(self) -> Terms:
        return self.plan.terms

    @property
    def form(self) -> OutputForm:
        """The form of the answer."""
        form = self.request.form
        if self.plan.marking is None:
            return form
        models = [candidate.model.info for part in self.plan.parts for candidate in part.candidates]
        source = TRAINED if any(info.is_trained for info in models) else RULES
        return msgspec.structs.replace(form, source=source)

    @property
    def sound_form(self) -> OutputForm:
        """The form that the speech is made in: PCM if it gets a mark, which comes before encoding."""
        marking = self.plan.marking
        return self.form if marking is None or marking.mark is None else _pcm(self.form)

    @property
    def part_form(self) -> OutputForm:
        """The form that each part is made in: several parts meet as PCM, and are encoded as one."""
        return self.sound_form if len(self.plan.parts) == 1 else _pcm(self.request.form)


def _pcm(form: OutputForm) -> OutputForm:
    rate_hz = form.sample_rate_hz
    return OutputForm("pcm", rate_hz, is_usual=rate_hz == OUTPUT_RATE_HZ)
