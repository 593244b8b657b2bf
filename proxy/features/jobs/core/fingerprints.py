"""Computes fingerprints of clips, of everything that affects their sound: texts, models, voices and options.
Clips with equal fingerprints sound the same, so a job may take over such a clip of an earlier job."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import islice, product

import msgspec

from policies.routing import Candidate
from proxy.file_store.vault import Vault
from proxy.speech.call import PartRun, PreparedText, SpeechCall

_MOST_COMBINATIONS = 64
"""The most combinations of candidates that are computed for a step with several voices."""
_SOUND_FIELDS = ("form", "speed", "pitch", "seed", "instructions", "extra", "check")
"""The fields of a request that affect its sound, and are not in its parts."""


async def usable_fingerprints(vault: Vault, account: str, call: SpeechCall) -> list[str]:
    """Return the fingerprints that the clip of a call may have: one for each combination of candidates that
    may speak now. The call's texts must be prepared. Raises VaultFailed."""
    return [await vault.name_digest(account, _digest(call, chosen)) for chosen in _combinations(call)]


async def spoken_fingerprint(vault: Vault, account: str, call: SpeechCall) -> str:
    """Return the fingerprint of a call that was spoken. Raises VaultFailed."""
    return await vault.name_digest(account, _digest(call, call.totals.speaking_candidates))


def _combinations(call: SpeechCall) -> Iterator[Sequence[Candidate]]:
    """Yield combinations of a candidate for each part. A voice has the same speaker in all its parts, as in
    an answer."""
    runs = call.totals.parts
    # By voice: the speakers that can speak all of its parts.
    voices = dict[tuple[str, str], list[str]]()
    for run in runs:
        able = [each.speaker for each in run.candidates if _prepared_text(run, each) is not None]
        common = voices.setdefault(_voice_key(run), able)
        common[:] = [name for name in common if name in able]
    for names in islice(product(*voices.values()), _MOST_COMBINATIONS):
        speakers = dict(zip(voices, names, strict=True))
        yield [
            next(each for each in run.candidates if each.speaker == speakers[_voice_key(run)]) for run in runs
        ]


def _voice_key(run: PartRun) -> tuple[str, str]:
    return run.part.voice.id, run.part.language


def _prepared_text(run: PartRun, candidate: Candidate) -> PreparedText | None:
    text = run.texts.get(candidate.text_key)
    return text if isinstance(text, PreparedText) else None


def _digest(call: SpeechCall, chosen: Sequence[Candidate]) -> str:
    parts = [_part_facts(run, candidate) for run, candidate in zip(call.totals.parts, chosen, strict=True)]
    treatment = call.plan.treatment_of(chosen[0].speaker)
    is_marked = treatment is not None and treatment.filter is not None
    sound = [getattr(call.request, field) for field in _SOUND_FIELDS]
    return hashlib.sha256(msgspec.msgpack.encode((sound, is_marked, parts))).hexdigest()


def _part_facts(run: PartRun, candidate: Candidate) -> Sequence[object]:
    text, part, model, post = _prepared_text(run, candidate), run.part, candidate.model, candidate.post
    if text is None or text.is_silent:
        return ()
    spoken = [(each.spoken, each.ends_paragraph) for each in text.segments]
    sounds = text.pronunciations.get(model.info.phonemes, ())
    speaker = (part.voice.id, part.voice.revision, model.name, model.info.digest, candidate.voice)
    how = (part.language, part.pause_s, part.emotion)
    if post is None:
        return spoken, sounds, speaker, how
    named = post.named_voice
    repeated = (named.id, named.revision, post.model.name, post.model.info.digest, post.voice)
    return spoken, sounds, speaker, how, repeated, post.pitch
