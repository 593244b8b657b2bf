"""SRT and WebVTT as turns of speakers with their times. It reads strangers' files, so it runs in a child.

All regular expressions here take linear time: repetitions are bounded, or cannot contain their first sign.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter

import msgspec

from policies.text_tags import MOST_NAME_CHARACTERS, likely_names, name_key
from speech_engine.redacted import Redacted

MOST_TURNS = 5_000
MOST_MS = 4 * 3600 * 1000
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_HEAD_BYTES = 4096
_CLOCK = r"(-?)(?:(\d{1,4}):)?(\d{1,4}):(\d{1,2})[.,](\d{1,3})"
_TIMES = re.compile(rf"\s{{0,20}}{_CLOCK}[ \t]{{0,20}}-->[ \t]{{0,20}}{_CLOCK}", re.ASCII)
_TAG = re.compile(r"<([^<>\n]{0,300})>|\{\\[^{}\n]{0,300}\}")
_VOICE = re.compile(r"v(?:\.\S{0,100})?[ \t]{1,20}(\S.*)")
_SOUND = re.compile(r"\[[^\[\]\n]{0,300}\]|[♪♫]+[^♪♫]*[♪♫]+|[♪♫]+")
_DASH = re.compile(r"[-–—‐]\s{1,10}|[-–—‐](?=\w)")
_BLANKS = re.compile(r"\s+")
_ENTITIES = {"&lt;": "<", "&gt;": ">", "&nbsp;": " ", "&lrm;": "", "&rlm;": "", "&amp;": "&"}
_BLOCKS = ("NOTE", "STYLE", "REGION")


class UnusableSubtitles(ValueError):
    """Subtitles that cannot be dubbed. The message completes "Invalid 'x': …"."""


class SpokenTurn(Redacted, msgspec.Struct, frozen=True, kw_only=True):
    """What one speaker says in the cue of this number. Without a `speaker`, the cue has named none."""

    number: int
    speaker: str
    start_ms: int
    end_ms: int
    text: str


class Subtitles(msgspec.Struct, frozen=True, kw_only=True, tag="read"):
    """The turns in the order of their times. `mute` cues have only sounds, such as `[door slams]`."""

    turns: Sequence[SpokenTurn]
    mute: int = 0
    warnings: Sequence[str] = ()


def read_subtitles(data: bytes, cast: Sequence[str]) -> Subtitles:
    """Read a file. `cast` has the names that may stand before a colon. Raises UnusableSubtitles."""
    text, warnings = _decode(data)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    names = {name_key(name): name for name in cast}
    turns, mute, cues = list[SpokenTurn](), 0, 0
    for start_ms, end_ms, texts in _cues(lines, is_vtt=lines[0].startswith("WEBVTT")):
        cues += 1
        own = [*_read_turns(texts, names)]
        mute += not own
        turns += _share_time(cues, start_ms, end_ms, own)
        if max(cues, len(turns)) > MOST_TURNS:
            raise UnusableSubtitles(f"they have more than {MOST_TURNS} cues and turns of speakers")
    if not turns:
        raise UnusableSubtitles(
            "they have no cue with a text" if cues else "they have no cue: no line of times"
        )
    if others := likely_names("\n".join(turn.text for turn in turns), cast):
        warnings = (*warnings, f"These look like names, but have no voice, and are read: {', '.join(others)}")
    return Subtitles(turns=sorted(turns, key=attrgetter("start_ms")), mute=mute, warnings=warnings)


def _decode(data: bytes) -> tuple[str, Sequence[str]]:
    for bom, encoding in _BOMS:
        if data.startswith(bom):
            return _decode_strictly(data[len(bom) :], encoding), ()
    head = data[:_HEAD_BYTES]
    odd, even = head[1::2].count(0), head[::2].count(0)
    if max(odd, even) * 4 > len(head):
        return _decode_strictly(data, "utf-16-le" if odd > even else "utf-16-be"), ()
    try:
        return _decode_strictly(data, "utf-8"), ()
    except UnusableSubtitles:
        text = _decode_strictly(data, "windows-1252")
    return text, ("The subtitles are not UTF-8, and were read as windows-1252.",)


def _decode_strictly(data: bytes, encoding: str) -> str:
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise UnusableSubtitles("their letters are unknown: save them as UTF-8")
    return text


def _cues(lines: Sequence[str], *, is_vtt: bool) -> Iterator[tuple[int, int, Sequence[str]]]:
    """Yield the times of the cues with their lines of text. Raises UnusableSubtitles."""
    times, texts, number, has_ended = None, list[str](), 0, False
    # The line of times at the end only makes the last cue end.
    for line in (*lines, "0:00.000 --> 0:00.000"):
        if "-->" in line and (found := _TIMES.match(line)):
            if times is not None:
                yield *times, texts if has_ended else _without_number(texts, number + 1)
            number += 1
            times, texts, has_ended = _read_times(found, number), list[str](), False
        elif times is None or has_ended:
            continue
        elif is_vtt and (not line.strip() or line.startswith(_BLOCKS)):
            # After a blank line, WebVTT has a note, a style, or the name of the next cue.
            has_ended = not line.strip()
        else:
            texts.append(line)


def _read_times(found: re.Match[str], number: int) -> tuple[int, int]:
    groups = found.groups()
    start, end = _ms(groups[:5]), _ms(groups[5:])
    if "-" in (groups[0], groups[5]):
        raise UnusableSubtitles(f"the time of cue {number} is negative")
    if max(start, end) > MOST_MS:
        raise UnusableSubtitles(f"cue {number} is later than four hours")
    return start, max(start, end)


def _ms(clock: Sequence[str]) -> int:
    _, hours, minutes, seconds, fraction = clock
    return 1000 * (3600 * int(hours or 0) + 60 * int(minutes) + int(seconds)) + int(fraction.ljust(3, "0"))


def _without_number(texts: list[str], number: int) -> Sequence[str]:
    """Leave out the number of the next cue, which stands behind the text of this one."""
    while texts and not texts[-1].strip():
        texts.pop()
    last = texts[-1].strip() if texts else ""
    if (
        last.isdecimal()
        and len(last) < 7
        and (len(texts) < 2 or not texts[-2].strip() or int(last) == number)
    ):
        texts.pop()
    return texts


def _read_turns(lines: Sequence[str], names: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the speakers of a cue with their texts. A line that begins without a speaker goes on."""
    found: list[tuple[str, list[str]]] = [("", [])]
    for line in lines:
        offset = 0
        for tag in (*_TAG.finditer(line), None):
            _add_text(found, line[offset : tag.start() if tag else None], names, is_begin=offset == 0)
            if tag is None:
                break
            offset = tag.end()
            if voice := _VOICE.fullmatch(tag[1] or ""):
                name = _plain(voice[1])
                found.append((names.get(name_key(name), name[:MOST_NAME_CHARACTERS]), []))
            elif tag[1] == "/v":
                found.append(("", []))
        found[-1][1].append(" ")
    texts = [(name, _plain(_SOUND.sub(" ", "".join(parts)))) for name, parts in found]
    return [(name, text) for name, text in texts if any(map(str.isalnum, text))]


def _add_text(
    found: list[tuple[str, list[str]]], text: str, names: Mapping[str, str], *, is_begin: bool
) -> None:
    if is_begin and (dash := _DASH.match(text.lstrip())):
        text = text.lstrip()[dash.end() :]
    name, colon, rest = text[: MOST_NAME_CHARACTERS + 10].partition(":")
    known = names.get(name_key(_SOUND.sub(" ", name))) if colon else None
    if known is not None:
        found.append((known, []))
        text = rest + text[MOST_NAME_CHARACTERS + 10 :]
    found[-1][1].append(text)


def _plain(text: str) -> str:
    for entity, sign in _ENTITIES.items():
        text = text.replace(entity, sign)
    return _BLANKS.sub(" ", text).strip()


def _share_time(
    number: int, start_ms: int, end_ms: int, texts: Sequence[tuple[str, str]]
) -> Iterator[SpokenTurn]:
    """Yield the turns of a cue, which share its time by their letters."""
    whole, before = sum(len(text) for _, text in texts), 0
    for speaker, text in texts:
        begin = start_ms + (end_ms - start_ms) * before // whole
        before += len(text)
        until = start_ms + (end_ms - start_ms) * before // whole
        yield SpokenTurn(number=number, speaker=speaker, start_ms=begin, end_ms=until, text=text)
