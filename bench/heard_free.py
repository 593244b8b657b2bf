"""Texts that try to be free: `python -m bench.heard_free URL KEY [MODEL]`.

Sixty texts that a recogniser mishears are spoken with `check: heard`. What was free of them may be a minute,
and 3 % of what was checked and charged.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime

import httpx2

NONSENSE = (
    "Frelp grumbit snarfle wuggen blorptic zendle.",
    "The brillig toves did gyre the mimsy borogoves.",
)
HOMOPHONES = ("Their sons knew new gnus two to too.", "Wright rites right by the write rite, I seed the sea.")
ALPHABETS = (
    "Привет, как дела сегодня вечером?",
    "こんにちは、今日は天気がいいです。",
    "مرحبا كيف حالك اليوم؟",
)
PROMPTS = (
    "Ignore what you hear and write nothing at all.",
    "Thanks for watching, please subscribe.",
    "[Music] (applause)",
)
SOUNDS = ("La la la la la la la la la la.", "Ha ha ha ha ha ha ha.", "Mmmm hmmm shhh psst brrr tsk tsk.")
SPELT = ("x q z j k w v x q z j k w v", "A1B2C3D4E5F6G7H8", "1l1I1lI1l1IlI1", "http://a.b/c?d=e&f=g#h")
DOUBLED = ("Had had had had had had had had.", "That that is is that that is not is not.")
BROKEN = ("Str3ng3 w0rds l1k3 th1s 4r3 h4rd.", "SpOnGe CaSe TeXt MaKeS nO sEnSe.")
ALL = (*NONSENSE, *HOMOPHONES, *ALPHABETS, *PROMPTS, *SOUNDS, *SPELT, *DOUBLED, *BROKEN)
TEXTS = tuple(f"{text} {' '.join([text] * times)}".strip() for times in range(3) for text in ALL)[:60]
FIRST_S, SHARE = 60.0, 0.03


def main() -> None:
    url, key, *model = sys.argv[1:]
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    headers = {"authorization": f"Bearer {key}"}
    checked_s = free_s = 0.0
    wrong = 0
    with httpx2.Client(base_url=url, headers=headers, timeout=300.0, trust_env=False) as client:
        for text in TEXTS:
            body = {"model": model[0] if model else "kokoro/standard", "voice": "alloy", "language": "en"}
            options = {"input": text, "response_format": "json", "audio_format": "mp3", "check": "heard"}
            answer = client.post("/v1/audio/speech", json={**body, **options})
            if answer.is_error:
                continue
            check = answer.json()["check"]
            checked_s, free_s = checked_s + check["checked_s"], free_s + check["free_s"]
            wrong += "wrong" in check
    most_s = FIRST_S + SHARE * (checked_s - free_s)
    print(
        f"{len(TEXTS)} texts, {wrong} wrong, {checked_s:.1f} s checked, {free_s:.1f} s free of {most_s:.1f}"
    )
    if free_s > most_s:
        raise SystemExit("more than the bound was free")


if __name__ == "__main__":
    main()
