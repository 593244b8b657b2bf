"""A second judge of sentences that were called wrong: `python bench/heard_judge.py FOLDER MODEL`.

FOLDER has the sounds of `bench.heard_check`, and MODEL is a folder of faster-whisper, such as tiny.en. It
needs an environment with faster-whisper. Where the judge hears the wanted words, the first ear was wrong;
where it hears the same other words, it was the voice; else it is open.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from pathlib import Path

from faster_whisper import WhisperModel  # type: ignore[import-not-found, unused-ignore]


def words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9']+", text.lower())


def has(found: list[str], part: list[str]) -> bool:
    return not part or any(found[at : at + len(part)] == part for at in range(len(found)))


def main() -> None:
    folder, model = Path(sys.argv[1]), WhisperModel(sys.argv[2], device="cpu", compute_type="int8")
    sums: Counter[tuple[str, str]] = Counter()
    for sound in sorted(folder.glob("*.wav"), key=lambda each: int(each.stem)):
        facts = json.loads(sound.with_suffix(".json").read_text())
        segments, _ = model.transcribe(str(sound), language=facts["language"], beam_size=5)
        said = words(text := " ".join(each.text for each in segments))
        wrong = facts["wrong"]
        is_ear = all(each["wanted"] and has(said, words(each["wanted"])) for each in wrong)
        is_voice = all(each["heard"] and has(said, words(each["heard"])) for each in wrong)
        verdict = "the voice" if is_voice else "the ear" if is_ear else "open"
        sums[facts["speaker"], verdict] += 1
        print(f"- {facts['speaker']}, {facts['voice']}: {facts['text']} Heard:{text} ({verdict})")
    for (speaker, verdict), count in sorted(sums.items()):
        print(f"{speaker}: {verdict} {count}")


if __name__ == "__main__":
    main()
