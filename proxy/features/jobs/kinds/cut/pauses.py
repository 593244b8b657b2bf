"""Finds where a stretch of a recording is cut: at pauses, into pieces of a few seconds."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from proxy.audio.formats import SAMPLE_BYTES
from proxy.audio.recordings.derivation import to_pcm
from proxy.audio.recordings.master import Master, make_master
from proxy.audio.recordings.measures import STEP_S, speech_steps
from proxy.features.jobs.kinds.cut.piece import CutPiece

MOST_S = 15.0
_LEAST_S = 3.2
"""A run with less speech is joined with a neighbour, and a shorter piece is left out: a recording of a voice
needs three seconds."""
_MARGIN_S = 0.15
"""The silence that a piece keeps at both ends: a word begins before it is loud. Each pause has room for two
margins."""


class SpeechRun(NamedTuple):
    begin: int
    end: int


def find_pieces(master: bytes, begin_ms: int, *, is_last: bool) -> list[CutPiece]:
    """Find the pieces of a stretch that begins at `begin_ms` of the recording, in order. Pieces at the
    borders of the stretch are left out, since a word may be cut in two there, unless the recording itself
    begins or ends there. Call it in a thread: it takes milliseconds for each second of sound."""
    whole, begin_s = Master(master), begin_ms / 1000
    speech = speech_steps(whole)
    return [
        _piece(
            run,
            begin_s,
            whole.seconds,
            is_whole=(begin_ms == 0 or run.begin > 0) and (is_last or run.end < len(speech)),
        )
        for run in _join_runs(speech)
    ]


def cut_master(master: bytes, begin_ms: int, piece: CutPiece) -> bytes:
    """Return a piece of the stretch that begins at `begin_ms` of the recording, as a master."""
    whole = Master(master)
    first, last = (round((at_s - begin_ms / 1000) * whole.rate_hz) for at_s in (piece.start_s, piece.end_s))
    samples = whole.read(first, last)
    return make_master(to_pcm(samples), whole.rate_hz, SAMPLE_BYTES)


def _join_runs(speech: NDArray[np.bool_]) -> Sequence[SpeechRun]:
    """Return the runs of speech, in steps of `STEP_S`. A run that is too short is joined with a neighbour,
    over the shortest pause."""
    edges = np.flatnonzero(np.diff(speech.astype(np.int8), prepend=0, append=0))
    runs = [SpeechRun(int(begin), int(end)) for begin, end in edges.reshape(-1, 2)]
    spoken, most = np.concatenate(([0], np.cumsum(speech))), (MOST_S - 2 * _MARGIN_S) / STEP_S

    def is_short(run: SpeechRun) -> bool:
        return bool((spoken[run.end] - spoken[run.begin]) * STEP_S < _LEAST_S)

    while pauses := [
        (right.begin - left.end, place)
        for place, (left, right) in enumerate(pairwise(runs))
        if right.end - left.begin <= most and (is_short(left) or is_short(right))
    ]:
        _, place = min(pauses)
        runs[place : place + 2] = [SpeechRun(runs[place].begin, runs[place + 1].end)]
    return runs


def _piece(run: SpeechRun, begin_s: float, whole_s: float, *, is_whole: bool) -> CutPiece:
    start_s = max(0.0, run.begin * STEP_S - _MARGIN_S)
    end_s = min(whole_s, run.end * STEP_S + _MARGIN_S)
    # A piece that is cut at a border, too short or too long had no pause in reach.
    fits = is_whole and _LEAST_S <= end_s - start_s <= MOST_S
    return CutPiece(
        round(begin_s + start_s, 3), round(begin_s + end_s, 3), left_out="" if fits else "no_pause"
    )
