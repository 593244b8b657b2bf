"""The report of a dub, and its subtitles with the times of the speech."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from proxy.features.dubs.line_values import Fit, Lines, fitted_length
from proxy.features.dubs.request import DubText
from proxy.features.transcriptions.formats import cue
from proxy.http.replies import csv_bytes


class ReportCue(msgspec.Struct, frozen=True, kw_only=True):
    """A line as it was placed. `number` is that of its first cue. `start` and `end` are planned, in seconds,
    `spoken` was charged, `pace` is how fast it is, and `shift` how late it begins. Of a line that `is_cut`,
    the end does not fit into the track."""

    number: int
    speaker: str
    start: float
    end: float
    spoken: float
    pace: float
    shift: float
    is_late: bool
    is_short: bool
    is_cut: bool = False


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """`paces` are those of the speakers, `mute` are the cues without a text to speak."""

    cues: list[ReportCue]
    late: int
    longest_shift: float
    paces: dict[str, float]
    mute: int = 0
    warnings: Sequence[str] = ()


def report_of(text: DubText, planned: Lines, fitted: Fit, spoken_s: Sequence[float]) -> Report:
    rate_hz, cues, paces = planned.rate_hz, list[ReportCue](), dict[str, float]()
    for number, (line, start, pace) in enumerate(zip(text.lines, fitted.starts, fitted.paces, strict=True)):
        end = start + fitted_length(planned.lengths[number], pace)
        paces[line.speaker] = fitted.of_speakers[planned.speakers[number]]
        cues.append(
            ReportCue(
                number=line.turns[0].number,
                speaker=line.speaker,
                start=round(start / rate_hz, 3),
                end=round(end / rate_hz, 3),
                spoken=round(spoken_s[number], 3),
                pace=round(pace, 4),
                shift=round((start - planned.starts[number]) / rate_hz, 3),
                is_late=fitted.is_late(planned, number),
                is_short=line.is_short,
                is_cut=end > text.samples,
            )
        )
    return Report(
        cues=cues,
        late=sum(each.is_late for each in cues),
        longest_shift=max(each.shift for each in cues),
        paces=paces,
        mute=text.mute,
        warnings=text.warnings,
    )


def report_warnings(report: Report) -> list[str]:
    late, cut = report.late, sum(each.is_cut for each in report.cues)
    begin = "1 line begins" if late == 1 else f"{late} lines begin"
    are_cut = "1 line is" if cut == 1 else f"{cut} lines are"
    return [
        *report.warnings,
        *([f"{begin} more than 200 ms late: shorten what is said before"] if late else []),
        *([f"{are_cut} cut by the end of the track"] if cut else []),
    ]


def report_csv(report: Report) -> bytes:
    return csv_bytes(ReportCue.__struct_fields__, report.cues)


def timed_subtitles(text: DubText, report: Report, *, is_vtt: bool) -> bytes:
    """Return the spoken texts with the times at which they are heard."""
    parts = ["WEBVTT\n\n"] if is_vtt else []
    for number, (line, placed) in enumerate(zip(text.lines, report.cues, strict=True), 1):
        start_ms, end_ms = round(1000 * placed.start), round(1000 * placed.end)
        parts.append(cue(number, start_ms, max(end_ms, start_ms + 1), line.text, is_vtt=is_vtt) + "\n")
    return "".join(parts).encode()
