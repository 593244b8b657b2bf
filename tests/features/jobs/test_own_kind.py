"""A kind of jobs that a feature brings: its body, its words and its columns."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from proxy.api.speech_forms import BackgroundRequest
from proxy.feature import RevisionContext
from proxy.features.jobs.commands import JOBS
from proxy.features.jobs.core.fields import StepFields
from proxy.features.jobs.core.kind import Columns, JobKinds, JobUpload, Words
from proxy.features.jobs.core.making import MadeJob, NewJob, add_job, make_once
from proxy.features.jobs.core.records import Job
from proxy.features.jobs.kinds.speech.kind import SpeechKind
from proxy.speech import speech_request
from tests.features.jobs.job_rig import content, job_with, jobs_inside, said
from tests.proxy.api.inside import Inside
from tests.replies import json_of


class PoemBody(msgspec.Struct, frozen=True, kw_only=True):
    """The body of POST /v1/jobs for a poem."""

    kind: Annotated[Literal["poem"], Meta(description="poem")]
    lines: Annotated[list[str], Meta(min_length=1, description="the lines")]


class PoemFields(StepFields, frozen=True, kw_only=True):
    lines: int


class PoemKind(SpeechKind):
    """Its steps are lines."""

    name = "poem"
    body = PoemBody
    words: ClassVar[Words] = {
        "en": {"kind": "Poem", "lines": "Lines"},
        "es": {"kind": "Poema", "lines": "Versos"},
    }

    async def make(
        self, background: BackgroundRequest, revision: RevisionContext, upload: JobUpload | None
    ) -> MadeJob:
        body = speech_request.parse(PoemBody, background.body)
        return await make_once(self.files, background, partial(self._add_poem, background, body.lines))

    async def _add_poem(
        self, background: BackgroundRequest, lines: Sequence[str], id_: str, digest: bytes
    ) -> None:
        sent = {"model": "tone", "voice": "alloy", "response_format": "pcm"}
        raw = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in sent.items()}
        fields = PoemFields(sent=raw, request=digest.hex(), model="tone", voice="alloy", lines=len(lines))
        ends = [sum(map(len, lines[: number + 1])) for number in range(len(lines))]
        pieces = [*zip([0, *ends], ends, strict=False)]
        text = "".join(lines)
        new = NewJob(id_, self.name, "pcm", fields, text.encode(), pieces, len(text))
        await add_job(self.files, background, new)

    def columns(self, job: Job) -> Columns:
        return {"lines": self.files.vault.open_record(job.account, job.id, job.record, PoemFields).lines}


def _add(server: Inside) -> None:
    context = server.worker.open_features.context
    kinds = context.find(JobKinds)
    kinds.add_kind(PoemKind(kinds.files))
    server.worker.revise(context.config_at_start)


async def test_a_feature_brings_a_kind_with_its_body_words_and_columns(tmp_path: Path) -> None:
    body = {"kind": "poem", "lines": ["One.", "Two."]}
    async with jobs_inside(tmp_path) as server:
        unknown = {**body, "model": "tone", "voice": "alloy", "input": "One."}
        refused = json_of(await server.ask("POST", "/v1/jobs", body=unknown), 400)
        assert refused["error"]["param"] == "kind", "an unknown kind is not made as speech"
        _add(server)
        made = json_of(await server.ask("POST", "/v1/jobs", body=body), 202)
        shown = await job_with(server, made["id"], "done")
        assert (shown["kind"], shown["columns"], shown["steps"]) == ("poem", {"lines": 2}, 2)
        assert shown["words"]["es"] == {"kind": "Poema", "lines": "Versos"}
        assert said((await content(server, made["id"])).content) == ["One.", "Two."]
        assert (await server.ask("GET", f"/v1/jobs/{made['id']}/subtitles")).status_code == 200
        document = json_of(await server.ask("GET", "/openapi.json"))
        (schema,) = [
            each["requestBody"]["content"]["application/json"]["schema"]
            for each in document["paths"]["/v1/jobs"].values()
            if "requestBody" in each
        ]
        assert "#/components/schemas/PoemBody" in str(schema)
        listed = json_of(await server.administer("GET", f"jobs/{made['id']}"))
        (show,) = [each.show for each in JOBS.commands if each.name == "show"]
        assert "Poem" in str(show(listed))
        assert "Lines: 2" in str(show(listed))
        fault = json_of(await server.ask("POST", "/v1/jobs", body={"kind": "poem", "lines": []}), 400)
        assert fault["error"]["param"] == "lines"


async def test_a_job_whose_feature_is_off_is_seen_and_deleted(tmp_path: Path) -> None:
    body = {"kind": "poem", "lines": ["One."]}
    async with jobs_inside(tmp_path) as server:
        _add(server)
        made = json_of(await server.ask("POST", "/v1/jobs", body=body), 202)
        await job_with(server, made["id"], "done")
    async with jobs_inside(tmp_path, name="eve") as server:
        path = f"jobs/{made['id']}"
        assert json_of(await server.administer("GET", path))["kind"] == "poem"
        listed = json_of(await server.administer("GET", "jobs"))
        assert [each["status"] for each in listed["data"]] == ["done"]
        retried = json_of(await server.administer("POST", f"{path}/retry"), 409)
        assert "feature is off" in retried["error"]["message"]
        assert json_of(await server.administer("DELETE", path))["deleted"] is True
