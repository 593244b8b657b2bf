"""An audiobook of a text file, with a voice for each speaker: a zip of chapters with their subtitles.

A line `# Title` begins a chapter, and a name in brackets says who speaks from there on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

from openai import HttpxBinaryResponseContent, OpenAI

_CHAPTER = re.compile(r"^# (.+)\n", re.MULTILINE)
_LOOK_EVERY_S = 1.0

Job = dict[str, Any]


def chapters_of(text: str) -> list[dict[str, str]]:
    """What stands before the first title is no part of the book."""
    _, *parts = _CHAPTER.split(text)
    titles, inputs = parts[::2], parts[1::2]
    if not titles:
        raise SystemExit("The text has no chapter: begin each with a line such as `# The shed`.")
    return [{"title": title, "input": body.strip()} for title, body in zip(titles, inputs, strict=True)]


def begin(client: OpenAI, book: dict[str, Any]) -> Job:
    """Hand in a book, or find the job that an earlier run has handed in."""
    digest = hashlib.sha256(json.dumps(book).encode()).hexdigest()
    headers = {"Idempotency-Key": f"audiobook {digest}"}
    job = client.post("/jobs", cast_to=Job, body=book, options={"headers": headers})
    # The same key gives the job as it was at the start.
    job = client.get(f"/jobs/{job['id']}", cast_to=Job)
    if job["status"] in ("failed", "canceled"):
        job = client.post(f"/jobs/{job['id']}/retry", cast_to=Job)
    return job


def wait(client: OpenAI, job: Job) -> Job:
    """Wait for the end, however long it takes: the job goes on without us, too."""
    printed = ""
    while job["ended"] is None:
        waits = f", waits for {job['waits_for']}" if job["waits_for"] else ""
        line = f"{job['status']}: {job['steps_done']} of {job['steps']} steps{waits}"
        if line != printed:
            print(line, file=sys.stderr)
            printed = line
        time.sleep(_LOOK_EVERY_S)
        job = client.get(f"/jobs/{job['id']}", cast_to=Job)
    if job["status"] != "done":
        raise SystemExit(f"{job['id']} {job['status']}: {job['error']}")
    return job


def fetch(client: OpenAI, job: Job, file: Path) -> None:
    """Write a zip with the sound of each chapter, and beside each its subtitles."""
    path = f"/jobs/{job['id']}"
    client.get(f"{path}/content", cast_to=HttpxBinaryResponseContent).write_to_file(file)
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as book:
        for number, name in enumerate(book.namelist(), 1):
            asked = {"format": "srt", "chapter": number}
            subtitles = client.get(f"{path}/subtitles", cast_to=str, options={"params": asked})
            book.writestr(f"{Path(name).stem}.srt", subtitles)


def main() -> None:
    parser = argparse.ArgumentParser(description="Make an audiobook of a text file.")
    parser.add_argument("text", type=Path)
    parser.add_argument("zip", type=Path)
    parser.add_argument("--cast", nargs="+", required=True, metavar="NAME=VOICE", help="the first narrates")
    parser.add_argument("--language", default="en")
    parser.add_argument("--format", default="mp3")
    given = parser.parse_args()

    book = {
        "model": "tts-1",
        "voice": {"cast": dict(member.split("=", 1) for member in given.cast)},
        "language": given.language,
        "response_format": given.format,
        "files": "chapters",
        "chapters": chapters_of(given.text.read_text(encoding="utf-8")),
    }
    with OpenAI(base_url=os.environ["VOXGATE_URL"], api_key=os.environ["VOXGATE_KEY"]) as client:
        job = wait(client, begin(client, book))
        fetch(client, job, given.zip)
    print(f"{given.zip}: {job['seconds'] / 60:.1f} minutes, {job['credits']:g} credits, {job['id']}")


if __name__ == "__main__":
    main()
