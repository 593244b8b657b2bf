"""The sounds of espeak-ng that Kokoro's alphabet lacks, where piper-tts is. `bench.shipped_voices` starts it.

It reads JSON, {"alphabet": …, "sentences": {letter of the voices' language: […]}}, and prints the number of
each such sound by language.
"""

from __future__ import annotations

import json
import sys
from collections import Counter

from piper.phonemize_espeak import EspeakPhonemizer

from plugins.kokoro.model_format import READINGS
from plugins.kokoro.reading import own_alphabet
from speech_engine.text.sounds import EspeakReader, safe_text


def main() -> None:
    asked = json.load(sys.stdin)
    reader = EspeakReader(EspeakPhonemizer)
    lost: dict[str, Counter[str]] = {}
    for letter, sentences in asked["sentences"].items():
        reading = READINGS[letter]
        lost[letter] = Counter()
        for sentence in sentences:
            for sounds in reader.read(safe_text(sentence), reading.espeak):
                written = own_alphabet("".join(sounds), reading)
                lost[letter].update(sound for sound in written if sound not in asked["alphabet"])
    print(json.dumps(lost))


if __name__ == "__main__":
    main()
