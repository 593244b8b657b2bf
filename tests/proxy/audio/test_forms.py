"""Rates, bit rates and G.711: what each form of an answer sounds like, and which forms there are."""

import io
import math

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from proxy.audio.encode import open_encoder
from proxy.audio.formats import AUDIO_FORMATS, RATES_HZ, USUAL_FORMS, OutputForm, find_form, silence
from proxy.audio.sound import Sound
from proxy.config.fields import FieldFault
from tests.proxy.audio.pieces import body, cut, encoded
from tests.sound import PADDING_S, Heard, a_law_samples, decoded, mu_law_samples, tone
from tests.tables import each_row

G711 = {"g711_ulaw": (mu_law_samples, "mulaw"), "g711_alaw": (a_law_samples, "alaw")}


def _form(name: str, rate_hz: int | None, kbit_s: int | None) -> OutputForm:
    form = find_form(name, rate_hz, kbit_s)
    assert isinstance(form, OutputForm)
    return form


FORMS = [
    _form(name, rate_hz, None)
    for name, format_ in AUDIO_FORMATS.items()
    for rate_hz in sorted(set(format_.rates_hz))
]
KBITS = (
    *(("mp3", 8_000, 64), ("mp3", 24_000, 160), ("mp3", 48_000, 320), ("mp3", 44_100, 32)),
    *(("aac", 8_000, 40), ("aac", 24_000, 120), ("aac", 48_000, 240), ("opus", 16_000, 96)),
)


def libav_samples(data: bytes, muxer: str) -> NDArray[np.int16]:
    with av.open(io.BytesIO(data), "r", format=muxer, options={"sample_rate": "8000"}) as container:
        frames = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
    return np.concatenate(frames)


def heard(data: bytes, form: OutputForm) -> Heard:
    return decoded(data, form.format, form.sample_rate_hz)


@each_row("form", FORMS, ids=lambda form: f"{form.format}-{form.sample_rate_hz}")
@each_row("factor", [1.0, 0.7])
def test_every_form_has_the_sound_at_its_rate_and_counts_its_samples(form: OutputForm, factor: float) -> None:
    pcm = tone(440, 0.6, 22_050)
    chunks = encoded(Sound(22_050, form, factor=factor), cut(pcm, [1_111]))
    samples = sum(chunk.samples for chunk in chunks)
    assert samples == pytest.approx(0.6 / factor * form.sample_rate_hz, abs=2)
    assert {chunk.sample_rate_hz for chunk in chunks} == {form.sample_rate_hz}
    sound = heard(body(chunks), form)
    # Opus always plays at 48 kHz.
    assert sound.sample_rate_hz == (48_000 if form.format == "opus" else form.sample_rate_hz)
    padding_s = PADDING_S[form.format] * max(1.0, 24_000 / form.sample_rate_hz)
    assert -0.001 <= sound.seconds - samples / form.sample_rate_hz <= padding_s
    assert sound.pitch_hz == pytest.approx(440, rel=0.03)
    assert sound.loudness == pytest.approx(0.237, rel=0.15)


@pytest.mark.parametrize("name", G711)
def test_g711_is_read_alike_by_libav_and_by_the_rule_of_the_standard(name: str) -> None:
    expand, muxer = G711[name]
    pcm = tone(1_004, 0.5, 8_000)
    data = body(encoded(open_encoder(USUAL_FORMS[name]), cut(pcm, [320])))
    assert len(data) == len(pcm) // 2
    assert np.array_equal(expand(data), libav_samples(data, muxer))
    spoken = np.frombuffer(pcm, "<i2").astype(np.int32)
    # A step is at most a 16th of the sample, as G.711 has four bits in each of its segments.
    assert (np.abs(expand(data) - spoken) <= np.maximum(16, np.abs(spoken) // 16)).all()


@pytest.mark.parametrize(("name", "code"), [("g711_ulaw", b"\xff"), ("g711_alaw", b"\xd5")])
def test_silence_is_the_code_that_telephones_send_for_it(name: str, code: bytes) -> None:
    assert body(encoded(open_encoder(USUAL_FORMS[name]), cut(silence(800), [160]))) == code * 800


@each_row("form", [f for f in FORMS if f.sample_rate_hz == 8_000], ids=lambda f: f.format)
def test_what_8_khz_cannot_carry_is_filtered_out_and_not_folded_down(form: OutputForm) -> None:
    """5 kHz would be heard as 3 kHz."""
    high = heard(body(encoded(Sound(24_000, form), cut(tone(5_000, 0.5), [960]))), form)
    kept = heard(body(encoded(Sound(24_000, form), cut(tone(3_300, 0.5), [960]))), form)
    assert 20 * math.log10(max(high.loudness, 1e-9) / kept.loudness) < -50


@each_row(("name", "rate_hz", "kbit_s"), KBITS)
def test_the_bits_a_second_are_those_that_were_named(name: str, rate_hz: int, kbit_s: int) -> None:
    noise = np.random.default_rng(1).normal(0, 6_000, 3 * rate_hz).clip(-32_000, 32_000).astype("<i2")
    form = _form(name, rate_hz, kbit_s)
    data = body(encoded(open_encoder(form), cut(noise.tobytes(), [9_600])))
    if name == "mp3":
        with av.open(io.BytesIO(data), "r") as container:
            assert container.streams.audio[0].bit_rate == kbit_s * 1000
    assert len(data) * 8 / 3 == pytest.approx(kbit_s * 1000, rel=0.2)


def test_a_rate_that_changes_nothing_is_the_usual_form() -> None:
    for name in ("wav", "pcm", "flac"):
        assert find_form(name, 24_000, None) is USUAL_FORMS[name]
    for name in G711:
        assert find_form(name, 8_000, None) is USUAL_FORMS[name]
    # An engine's own MP3 may have another rate, and passes unless a client names one.
    assert find_form("mp3", 24_000, None) != USUAL_FORMS["mp3"]


@each_row(
    ("name", "rate_hz", "kbit_s", "field", "said"),
    [
        ("opus", 44_100, None, "sample_rate", "one of 8000, 16000, 24000, 48000 for opus"),
        ("opus", 22_050, 32, "sample_rate", "one of 8000"),
        ("g711_ulaw", 16_000, None, "sample_rate", "8000 for g711_ulaw"),
        ("g711_alaw", None, 64, "bitrate", "left out"),
        ("wav", 16_000, 128, "bitrate", "left out"),
        ("mp3", None, 320, "bitrate", "160 for mp3 at 24000 Hz"),
        ("mp3", 8_000, 80, "bitrate", "64 for mp3 at 8000 Hz"),
        ("mp3", 48_000, 100, "bitrate", "one of 32, 40"),
        ("aac", 8_000, 64, "bitrate", "16 to 40 for aac at 8000 Hz"),
        ("opus", None, 257, "bitrate", "8 to 256 for opus"),
    ],
)
def test_what_a_format_cannot_have_names_its_field(
    name: str, rate_hz: int | None, kbit_s: int | None, field: str, said: str
) -> None:
    fault = find_form(name, rate_hz, kbit_s)
    assert isinstance(fault, FieldFault)
    assert fault.field == field
    assert said in fault.expected


def test_every_rate_that_a_request_may_name_has_usual_bits() -> None:
    for format_ in AUDIO_FORMATS.values():
        assert set(format_.rates_hz) <= set(RATES_HZ)
        for rate_hz, allowed in format_.kbits.items():
            assert format_.codec is not None
            assert format_.codec.kbits[rate_hz] in allowed
