"""What the network hears: the bands that librosa gives, and speech without its long silences."""

import numpy as np
import pytest
from numpy.typing import NDArray

from plugins.resemblyzer.spectrogram import BANDS, RATE_HZ, audible_speech, mel_spectrogram
from tests.tables import each_row

SECOND = np.arange(RATE_HZ) / RATE_HZ
# Of librosa 0.11.0: melspectrogram(y=SOUND, sr=16000, n_fft=400, hop_length=160, n_mels=40).
SOUND = 0.5 * np.sin(2 * np.pi * 440 * SECOND) + 0.25 * np.sin(2 * np.pi * 3000 * SECOND) * SECOND
OF_LIBROSA = {
    (50, 5): 41.077713,
    (50, 4): 5.439242,
    (50, 27): 0.926209,
    (99, 6): 4.538958,
    (99, 28): 0.327246,
}


def test_the_bands_are_those_of_librosa() -> None:
    bands = mel_spectrogram(SOUND.astype(np.float32))
    assert bands.shape == (101, BANDS)
    for place, expected in OF_LIBROSA.items():
        assert bands[place] == pytest.approx(expected, rel=1e-5)


def _pcm(samples: NDArray[np.float64]) -> bytes:
    return np.rint(samples * 32767).astype("<i2").tobytes()


def _is_loud(window: bytes) -> bool:
    return bool(np.abs(np.frombuffer(window, "<i2")).max() > 100)


def test_long_silences_are_left_out_and_short_ones_stay() -> None:
    silence = np.zeros(RATE_HZ)
    parts = (silence, SOUND, silence, silence, SOUND, silence)
    heard = audible_speech(_pcm(np.concatenate(parts)), _is_loud)
    assert len(heard) / RATE_HZ == pytest.approx(2.4, abs=0.3)
    close = audible_speech(_pcm(np.concatenate([SOUND, np.zeros(1600), SOUND])), _is_loud)
    assert len(close) / RATE_HZ == pytest.approx(2.1, abs=0.1)


def test_a_soft_voice_is_raised_and_a_loud_one_left() -> None:
    soft = audible_speech(_pcm(SOUND * 0.01), _is_loud)
    assert 20 * np.log10(np.sqrt(np.mean(soft**2))) == pytest.approx(-30, abs=0.5)
    loud = audible_speech(_pcm(SOUND), _is_loud)
    assert np.abs(loud).max() == pytest.approx(np.abs(SOUND).max(), abs=0.01)


@each_row("sound", [b"", bytes(2), bytes(2 * RATE_HZ)])
def test_of_nothing_there_is_something_to_hear(sound: bytes) -> None:
    heard = audible_speech(sound, lambda _window: False)
    assert len(heard) >= RATE_HZ // 2
    assert np.isfinite(mel_spectrogram(heard)).all()
