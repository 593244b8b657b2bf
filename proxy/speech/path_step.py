"""A step between the engines of a call and its speech. `proxy/speech_steps/relay.py` is one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from proxy.speech.call import SpeechCall
from proxy.speech.candidate_race import FirstAudio
from proxy.speech.loudness_levels import LoudnessLevels
from proxy.speech.part_check import PlanCheck
from proxy.speech.speech_stream import Speech
from proxy.speech.spill import SpillQuota

Begin = Callable[[float], Awaitable[Speech]]
"""Begins to speak a call that has waited so many seconds. Returns as soon as there are bytes to send."""


class PathTools(NamedTuple):
    """What steps need of the pipeline."""

    first_audio: FirstAudio
    levels: LoudnessLevels
    part_check: PlanCheck
    spill_quota: SpillQuota


class PathStep:
    """A step that changes nothing."""

    def __init__(self, tools: PathTools) -> None:
        self._tools = tools

    def wraps(self, call: SpeechCall, begin: Begin) -> Begin:
        return begin
