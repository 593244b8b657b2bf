"""The sound of a job, for a command that waits for it."""

from __future__ import annotations

import time
from typing import Any, BinaryIO

import typer

from proxy.cli.sound import Asked, Serving
from proxy.errors import CommandRefused

JOBS = "/v1/jobs"
_LOOK_S = 1.0


def write_job(serving: Serving, asked: Asked, to: BinaryIO) -> dict[str, Any]:
    """Have a job made, wait for its end, and write its sound. It goes on if the command ends before.

    Raise CommandRefused.
    """
    client, head = serving.client, serving.head
    answer = client.post(asked.path, headers=head, **asked.body)
    serving.check(answer)
    job, seen = answer.json(), ""
    path = f"{asked.path}/{job['id']}"
    typer.echo(f"It is long: the job {job['id']} converts it.", err=True)
    while job["ended"] is None:
        if (said := _progress(job)) != seen:
            typer.echo(said, err=True)
            seen = said
        time.sleep(_LOOK_S)
        answer = client.get(path, headers=head)
        serving.check(answer)
        job = answer.json()
    if job["status"] != "done":
        raise CommandRefused(f"the job {job['id']} is {job['status']}: {job['error'] or 'it has no sound'}")
    with client.stream("GET", f"{path}/content", headers=head) as sound:
        serving.check(sound)
        size = sum(to.write(part) for part in sound.iter_bytes())
    sent = asked.body["data"]
    return {
        "engine": sent["model"],
        "voice": sent["voice"],
        "language": "und",
        "substitute": job["substitute"] or None,
        "bytes": size,
    }


def _progress(job: dict[str, Any]) -> str:
    waits = f", waits for {job['waits_for']}" if job["waits_for"] else ""
    return f"{job['steps_done']} of {job['steps']} steps{waits}"
