"""A video dubbed into several languages with the same voices: a track for each file of subtitles.

A file is named after its language: `video.pt-BR.srt` becomes `video.pt-BR.flac`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from openai import HttpxBinaryResponseContent, OpenAI

_LOOK_EVERY_S = 1.0

Job = dict[str, Any]


def upload(client: OpenAI, file: Path) -> str:
    return client.files.create(file=file, purpose="user_data").id


def begin(client: OpenAI, dub: dict[str, Any], subtitles: Path, original: Path) -> Job:
    """Hand in a dub, or find the job that an earlier run has handed in."""
    content = subtitles.read_bytes() + original.read_bytes() + json.dumps(dub).encode()
    key, known = f"dub {hashlib.sha256(content).hexdigest()}", Path(f"{subtitles}.files.json")
    headers = {"Idempotency-Key": key}
    # The same key wants the same request, and so the same uploaded files.
    uploaded = json.loads(known.read_text()) if known.exists() else {}
    if key not in uploaded:
        ids = {"input_file_id": upload(client, subtitles), "original_file_id": upload(client, original)}
        uploaded = {key: ids}
        known.write_text(json.dumps(uploaded))
    body = {**dub, **uploaded[key]}
    return client.post("/jobs", cast_to=Job, body=body, options={"headers": headers})


def wait(client: OpenAI, job: Job) -> Job:
    """Wait for the end, however long it takes: the job goes on without us, too."""
    job = client.get(f"/jobs/{job['id']}", cast_to=Job)
    while job["ended"] is None:
        time.sleep(_LOOK_EVERY_S)
        job = client.get(f"/jobs/{job['id']}", cast_to=Job)
    if job["status"] != "done":
        raise SystemExit(f"{job['id']} {job['status']}: {job['error']}")
    return job


def main() -> None:
    parser = argparse.ArgumentParser(description="Dub a video into the languages of its subtitles.")
    parser.add_argument("original", type=Path, help="the sound of the video")
    parser.add_argument("subtitles", type=Path, nargs="+", help="named after their language: video.pt-BR.srt")
    parser.add_argument("--cast", nargs="+", required=True, metavar="NAME=VOICE")
    given = parser.parse_args()
    cast = dict(member.split("=", 1) for member in given.cast)
    with OpenAI(base_url=os.environ["VOXGATE_URL"], api_key=os.environ["VOXGATE_KEY"]) as client:
        jobs = dict[Path, Job]()
        for file in given.subtitles:
            dub = {"kind": "dub", "model": "tts-1", "voice": {"cast": cast}}
            dub["language"] = file.suffixes[-2].removeprefix(".")
            jobs[file] = begin(client, dub, file, given.original)
        for file, begun in jobs.items():
            job, track = wait(client, begun), file.with_suffix(".flac")
            path = f"/jobs/{job['id']}/content"
            client.get(path, cast_to=HttpxBinaryResponseContent).write_to_file(track)
            report = client.get(path, cast_to=Job, options={"params": {"file": "report.json"}})
            print(f"{track}: {job['credits']:g} credits, {job['id']}")
            for cue in report["cues"]:
                if cue["is_late"]:
                    print(f"{file}: cue {cue['number']} is {cue['shift']} s late", file=sys.stderr)


if __name__ == "__main__":
    main()
