"""Fingerprints of clips: what is spoken, by which model and voice, and how. Equal ones sound alike, so a job
may take over the clip of an earlier one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import islice, product

import msgspec

from policies.routing import Candidate
from proxy.file_store.vault import Vault
from proxy.speech.call import PartRun, PreparedText, SpeechCall

_MOST = 64
"""The combinations of candidates that are compared, where several voices speak in a step."""
_SOUND = ("form", "speed", "pitch", "seed", "instructions", "extra", "check")
"""The fields of a request that change its sound, and are not in its parts."""


async def usable_fingerprints(vault: Vault, account: str, call: SpeechCall) -> list[str]:
    """Return the fingerprints that the clip of a call may have: one for each candidate that may speak now.
    Its texts are prepared. Raises VaultFailed."""
    return [await vault.name_digest(account, _digest(call, chosen)) for chosen in _combinations(call)]


async def spoken_fingerprint(vault: Vault, account: str, call: SpeechCall) -> str:
    """Return the fingerprint of a call that was spoken. Raises VaultFailed."""
    return await vault.name_digest(account, _digest(call, call.totals.speaking))


def _combinations(call: SpeechCall) -> Iterator[Sequence[Candidate]]:
    """Yield who may speak each part. A voice has the same speaker in all parts, as in an answer."""
    runs = call.totals.parts
    voices = dict[tuple[str, str], list[str]]()
    for run in runs:
        able = [each.speaker for each in run.candidates if _prepared(run, each) is not None]
        before = voices.setdefault(_voice(run), able)
        before[:] = [name for name in before if name in able]
    for names in islice(product(*voices.values()), _MOST):
        speakers = dict(zip(voices, names, strict=True))
        yield [next(each for each in run.candidates if each.speaker == speakers[_voice(run)]) for run in runs]


def _voice(run: PartRun) -> tuple[str, str]:
    return run.part.voice.id, run.part.language


def _prepared(run: PartRun, candidate: Candidate) -> PreparedText | None:
    text = run.texts.get(candidate.text_key)
    return text if isinstance(text, PreparedText) else None


def _digest(call: SpeechCall, chosen: Sequence[Candidate]) -> str:
    parts = [_spoken(run, candidate) for run, candidate in zip(call.totals.parts, chosen, strict=True)]
    treatment = call.plan.treatment_of(chosen[0].speaker)
    is_marked = treatment is not None and treatment.filter is not None
    sound = [getattr(call.request, field) for field in _SOUND]
    return hashlib.sha256(msgspec.msgpack.encode((sound, is_marked, parts))).hexdigest()


def _spoken(run: PartRun, candidate: Candidate) -> Sequence[object]:
    text, part, model, post = _prepared(run, candidate), run.part, candidate.model, candidate.post
    if text is None or text.is_silent:
        return ()
    spoken = [(each.spoken, each.ends_paragraph) for each in text.segments]
    sounds = text.pronunciations.get(model.info.phonemes, ())
    speaker = (part.voice.id, part.voice.revision, model.name, model.info.digest, candidate.voice)
    how = (part.language, part.pause_s, part.emotion)
    if post is None:
        return spoken, sounds, speaker, how
    repeated = (post.whose.id, post.whose.revision, post.model.name, post.model.info.digest, post.voice)
    return spoken, sounds, speaker, how, repeated, post.pitch
