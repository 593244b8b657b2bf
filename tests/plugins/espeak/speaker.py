"""A process that speaks texts with the library: one line of JSON is a language and a text, one answer each.

The library may end it. That is why it is a process.
"""

import json
import sys
from collections.abc import Sequence

from plugins.espeak.data import Build, build_of, short_path
from plugins.espeak.plugin import EspeakSettings
from plugins.espeak.rendering import SAMPLE_RATE_HZ, Mark
from plugins.espeak.utterance import utterance_of
from plugins.espeak.worker import _Library, _opened
from tests.plugins.espeak.heard import said

_MOST_BYTES = 20 * SAMPLE_RATE_HZ * 2


def main() -> None:
    settings = EspeakSettings()
    build = build_of(settings)
    with short_path(build.data) as data:
        build = Build(build.library, data)
        library = _Library(_opened(build), build)
        for line in sys.stdin:
            language, text = json.loads(line)
            spoken_bytes = 0

            def take(_segment: int, pcm: bytes, _marks: Sequence[Mark]) -> bool:
                nonlocal spoken_bytes
                spoken_bytes += len(pcm)
                return spoken_bytes < _MOST_BYTES

            library.speak(utterance_of(said(text, language=language), settings), take)
            print(spoken_bytes, flush=True)


if __name__ == "__main__":
    main()
