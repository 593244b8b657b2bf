# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker of the embedded voice: the only file that loads espeak-ng, in its own host process.

The library keeps voice, parameters and callback in globals of the process. So one engine may have it
at a time, and all calls come from that engine's one thread. Every utterance sets everything again.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import random
import re
import threading
from _ctypes import dlclose, dlopen
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from itertools import takewhile
from typing import ClassVar

from plugins.espeak.data import Build, build_of, short_path
from plugins.espeak.engine import EspeakEngine, Take
from plugins.espeak.plugin import EspeakSettings
from plugins.espeak.rendering import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ, Mark
from plugins.espeak.utterance import Utterance
from speech_engine import Context, EngineFailed, EngineUnavailable, Plugin

# Numbers of espeak-ng's speak_lib.h: how it starts, its parameters, flags of a text, and kinds of events.
_SYNCHRONOUS = 2
_BUFFER_MS = 60  # the smallest value that it takes
_DO_NOT_EXIT = 0x8000  # without it, the library ends the process if its data is missing
_RATE, _VOLUME, _PITCH, _RANGE, _WORD_GAP = 1, 2, 3, 4, 7
_UTF8, _END_PAUSE = 0x1, 0x1000
_IPA = 0x2
_OTHER_LANGUAGE = re.compile(r"\([a-z-]+\)")
"""The mark where another language begins."""
_END_OF_LIST, _WORD = 0, 1
_LARGEST_SEED = 2**31 - 1

_in_use = threading.Lock()


class _EventId(ctypes.Union):
    _fields_: ClassVar = [
        ("number", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("string", ctypes.c_char * 8),
    ]


class _Event(ctypes.Structure):
    _fields_: ClassVar = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    ]


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(_Event))


class _Library:
    """The library espeak-ng, loaded and initialised. Every method belongs to the engine's thread."""

    def __init__(self, handle: int, build: Build) -> None:
        self._c = ctypes.CDLL(build.library, handle=handle)
        try:
            self._declare()
        except AttributeError as error:
            raise EngineUnavailable(f"{build.library} is not an espeak-ng of 1.52 or later") from error
        self._start(build.data)

    def _declare(self) -> None:
        self._c.espeak_Initialize.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int)
        self._c.espeak_SetSynthCallback.argtypes = (_Callback,)
        self._c.espeak_SetSynthCallback.restype = None
        self._c.espeak_Synth.argtypes = (
            *(ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint, ctypes.c_uint),
            *(ctypes.POINTER(ctypes.c_uint), ctypes.c_void_p),
        )
        self._c.espeak_SetVoiceByName.argtypes = (ctypes.c_char_p,)
        self._c.espeak_SetParameter.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int)
        self._c.espeak_ng_SetRandSeed.argtypes = (ctypes.c_long,)
        self._c.espeak_TextToPhonemes.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_int)
        self._c.espeak_TextToPhonemes.restype = ctypes.c_char_p

    def _start(self, data: str) -> None:
        rate = self._c.espeak_Initialize(_SYNCHRONOUS, _BUFFER_MS, os.fsencode(data), _DO_NOT_EXIT)
        if rate != SAMPLE_RATE_HZ:
            raise EngineUnavailable(
                f"espeak-ng did not start from {data} (it answered {rate}, not {SAMPLE_RATE_HZ}): reinstall "
                "espeakng-loader, or set `data` to the folder that belongs to `library`"
            )

    def speak(self, utterance: Utterance, take: Take) -> None:
        self._prepare(utterance)
        last = len(utterance.texts) - 1
        for segment, text in enumerate(utterance.texts):
            if not self._say(text, partial(take, segment), is_last=segment == last):
                break

    def _prepare(self, utterance: Utterance) -> None:
        """Set every parameter, so that no default of the library ever shows."""
        seed = random.getrandbits(31) if utterance.seed is None else utterance.seed & _LARGEST_SEED
        self._c.espeak_ng_SetRandSeed(seed)
        self._c.srand(seed)  # some variants take their noise from the C library
        # The voice comes first, because the choice of a voice resets some parameters.
        self._choose(utterance.identifier)
        for parameter, value in (
            (_RATE, utterance.rate),
            (_VOLUME, utterance.volume),
            (_PITCH, utterance.pitch),
            (_RANGE, utterance.intonation),
            (_WORD_GAP, utterance.word_gap),
        ):
            if self._c.espeak_SetParameter(parameter, value, 0) != 0:
                raise EngineFailed(f"espeak-ng refused parameter {parameter} = {value}")

    def _choose(self, identifier: str) -> None:
        if self._c.espeak_SetVoiceByName(identifier.encode()) != 0:
            raise EngineFailed(f"this build of espeak-ng has no voice {identifier}")

    def pronounce(self, text: str, identifier: str) -> str:
        """Return the sounds of a text, clause by clause."""
        self._choose(identifier)
        data = ctypes.create_string_buffer(text.encode(errors="replace"))
        rest = ctypes.c_void_p(ctypes.addressof(data))
        clauses = []
        while rest.value:
            clause = self._c.espeak_TextToPhonemes(ctypes.byref(rest), _UTF8, _IPA) or b""
            clauses.append(clause.decode(errors="replace"))
        return _OTHER_LANGUAGE.sub("", " ".join(clauses)).strip()

    def _say(self, text: str, take: Callable[[bytes, Sequence[Mark]], bool], *, is_last: bool) -> bool:
        """Speak one text to its end. `take` gets PCM and its words, and returns whether it wants more. Return
        False if it refused more."""
        is_stopped = False

        def on_audio(samples: int | None, count: int, events: Iterable[_Event]) -> int:
            nonlocal is_stopped
            if not is_stopped:
                # If `take` raises, ctypes can only print the error and answer 0. Then the next call
                # ends the speech.
                is_stopped = True
                pcm = b"" if samples is None else ctypes.string_at(samples, count * BYTES_PER_SAMPLE)
                listed = takewhile(lambda event: event.type != _END_OF_LIST, events)
                words = (event for event in listed if event.type == _WORD)
                is_stopped = not take(pcm, [Mark(each.text_position - 1, each.sample) for each in words])
            return int(is_stopped)

        self._callback = _Callback(on_audio)  # stored, because the library has only its address
        self._c.espeak_SetSynthCallback(self._callback)
        # A lone surrogate cannot be written as UTF-8; the question mark keeps the positions right.
        data = text.encode(errors="replace") + b"\0"
        # The pause after a sentence is part of it. No listener waits for a pause after the last one.
        flags = _UTF8 if is_last else _UTF8 | _END_PAUSE
        status = self._c.espeak_Synth(data, len(data), 0, 0, 0, flags, None, None)
        if status != 0 and not is_stopped:
            raise EngineFailed(f"espeak-ng stopped with status {status}")
        return not is_stopped

    def end(self) -> None:
        self._c.espeak_Terminate()


def _opened(build: Build) -> int:
    try:
        return dlopen(build.library)
    except OSError as error:
        raise EngineUnavailable(
            f"espeak-ng cannot be loaded from {build.library}: reinstall espeakng-loader, "
            "or set the engine's `library`"
        ) from error


@asynccontextmanager
async def _create(name: str, settings: EspeakSettings, context: Context) -> AsyncIterator[EspeakEngine]:
    if not _in_use.acquire(blocking=False):
        raise EngineUnavailable("espeak-ng runs once in a process: give each engine a host of its own")
    with ExitStack() as stack:
        stack.callback(_in_use.release)
        build = build_of(settings)
        build = Build(build.library, stack.enter_context(short_path(build.data)))
        handle = _opened(build)
        # The library is unloaded at the end, because it does not forget all its state by itself.
        stack.callback(dlclose, handle)
        thread = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix=name))
        library = await asyncio.get_running_loop().run_in_executor(thread, _Library, handle, build)
        stack.callback(thread.submit, library.end)
        context.log.info("espeak.load.complete", engine=name)
        engine = EspeakEngine(settings, thread, library.speak, library.pronounce)
        stack.callback(engine.close)
        yield engine


def voxgate_register() -> tuple[Plugin[EspeakSettings], ...]:
    return (Plugin(kind="engine", name="espeak", settings=EspeakSettings, create=_create),)
