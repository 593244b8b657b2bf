"""/openapi.json: valid by an independent validator, complete, and true of what a running server answers."""

import json
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from proxy import errors
from proxy.app import open_worker
from proxy.config.sections import Config, Server
from proxy.engines.registry import Registry
from proxy.errors import RequestFailed
from tests import server
from tests.corpus.topics import TOPICS
from tests.proxy.api.inside import inside
from tests.proxy.audio.recordings.clips import wav
from tests.proxy.http import described
from tests.proxy.http.described import Document, Exchange, faults, operation, operations, violations
from tests.sound import tone
from tests.tables import each_row

pytestmark = pytest.mark.slow

FEATURES = Path(__file__).parents[2] / "features"
_SPEECH = {"model": "tts-1", "voice": "alloy", "input": "Hello there."}
_CAST = {"name": "stage", "cast": {"Ana": "alloy", "Ben": "tone/slow"}}


OF_FEATURES: list[Exchange] = [
    exchange
    for file in sorted(FEATURES.glob("*/exchanges.py"))
    for exchange in import_module(f"tests.features.{file.parent.name}.exchanges").EXCHANGES
]
"""Those that lie in the folder of a feature's tests. They have the accounts `dev` and `bob`."""
# In this order on one server: `{voice}` and the like are what was made before. What `tests/corpus` plays is
# judged there.
_MIX = {"name": "blend", "mix": [{"id": "alloy"}, {"id": "tone/slow", "weight": 2}]}
_TONE = wav(tone(440, 0.3))
_CONSENT = {"name": "Ana", "language": "pt-BR", "statement": "Ana agreed on paper."}
EXCHANGES = (
    Exchange("create_speech", "POST", "/v1/audio/speech", _SPEECH),
    Exchange("create_speech", "POST", "/v1/audio/speech", _SPEECH | {"model": "gone"}, 404),
    Exchange("list_voices", "GET", "/v1/audio/voices?format=x", status=400),
    Exchange("list_voices", "GET", "/v1/audio/voices?describe=woman"),
    Exchange("create_voice", "POST", "/v1/audio/voices", _CAST),
    Exchange("create_voice", "POST", "/v1/audio/voices", _CAST, 409),
    Exchange("delete_voice", "DELETE", "/v1/audio/voices/{voice}"),
    Exchange("delete_voice", "DELETE", "/v1/audio/voices/{voice}", status=404),
    Exchange("create_voice", "POST", "/v1/audio/voices", _MIX),
    Exchange("update_voice", "POST", "/v1/audio/voices/{voice}", {"labels": {"accent": "Bahian"}}),
    Exchange("update_voice_by_short_path", "POST", "/v1/voices/{voice}", {"name": ""}, 400),
    Exchange("get_voice", "GET", "/v1/audio/voices/{voice}"),
    Exchange("preview_voice", "GET", "/v1/audio/voices/alloy/preview"),
    Exchange("preview_voice_by_short_path", "GET", "/v1/voices/nobody/preview", status=404),
    Exchange("export_voice", "GET", "/v1/audio/voices/{voice}/export"),
    Exchange("export_voice_by_short_path", "GET", "/v1/voices/alloy/export", status=404),
    Exchange("delete_voice", "DELETE", "/v1/audio/voices/{voice}"),
    Exchange("get_voice_erasure", "GET", "/v1/audio/voices/erasures/{voice}"),
    Exchange("get_voice_erasure_by_short_path", "GET", "/v1/voices/erasures/nobody", status=404),
    Exchange("create_voice_consent", "POST", "/v1/audio/voice_consents", _CONSENT),
    Exchange("create_voice_consent", "POST", "/v1/audio/voice_consents", {"name": "Ana"}, 400),
    Exchange("list_voice_consents", "GET", "/v1/audio/voice_consents?limit=1"),
    Exchange("get_consent_phrase", "GET", "/v1/audio/voice_consents/phrases?language=pt-BR"),
    Exchange("get_voice_consent", "GET", "/v1/audio/voice_consents/{consent}"),
    Exchange("update_voice_consent", "POST", "/v1/audio/voice_consents/{consent}", {"name": "Bea"}),
    Exchange("delete_voice_consent", "DELETE", "/v1/audio/voice_consents/{consent}"),
    Exchange("delete_voice_consent", "DELETE", "/v1/audio/voice_consents/{consent}", status=404),
    Exchange("get_manifest", "GET", "/v1/audio/manifests/req_1-0", status=404),
    *(
        exchange
        for name, path in (
            ("detect_marks", "/v1/audio/marks/detect"),
            ("check_content_provenance", "/v1/content_provenance_checks"),
            ("admin_detect_marks", "/admin/marks/detect"),
        )
        for exchange in (
            Exchange(name, "POST", path, file=_TONE),
            Exchange(name, "POST", path, file=b"no recording", status=400),
        )
    ),
    Exchange("docs", "GET", "/docs"),
    Exchange("is_live_by_other_path", "GET", "/health"),
    Exchange("create_account", "POST", "/admin/accounts", {"name": "bob"}, 201),
    Exchange("list_misheard_rates", "GET", "/admin/misheard"),
    Exchange("list_alerts", "GET", "/admin/alerts"),
    Exchange("test_alerts", "POST", "/admin/alerts/test", None, 409),
    Exchange("save_voice", "POST", "/admin/voices", _CAST | {"account": "bob"}, 201),
    Exchange("export_saved_voice", "GET", "/admin/voices/{voice}/export"),
    Exchange("clone_voice", "POST", "/admin/voices/{voice}/clones", {"engine": "tone"}, 400),
    Exchange("list_clones", "GET", "/admin/voices/{voice}/clones"),
    Exchange("compare_clones", "GET", "/admin/clones/differences"),
    Exchange("reclone_lost", "POST", "/admin/clones/differences", {"reclone": True}),
    Exchange("create_consent", "POST", "/admin/consents", _CONSENT | {"account": "bob"}, 201),
    Exchange("list_consents", "GET", "/admin/consents?account=bob"),
    Exchange("get_consent", "GET", "/admin/consents/{consent}"),
    Exchange("export_consent", "GET", "/admin/consents/{consent}/recording", None, 404),
    Exchange("accept_consent", "POST", "/admin/consents/{consent}/accept"),
    Exchange("delete_consent", "DELETE", "/admin/consents/{consent}"),
    *OF_FEATURES,
    Exchange("reset_cycle", "POST", "/admin/accounts/bob/reset-cycle", {"reason": "x"}, 409),
    Exchange("suspend_account", "POST", "/admin/accounts/bob/suspend", {"reason": "x"}),
    Exchange("suspend_account", "POST", "/admin/accounts/bob/suspend", {}, 400),
    Exchange("resume_account", "POST", "/admin/accounts/bob/resume", {"reason": "x"}),
    Exchange("rotate_master_key", "POST", "/admin/vault/rotations", {"skip": 0}),
    Exchange("rotate_master_key", "POST", "/admin/vault/rotations", {"skip": -1}, 400),
    Exchange("get_usage_stats", "GET", "/v1/usage/stats"),
    Exchange("list_all_usage", "GET", "/admin/usage?since=x", status=400),
)

OF_SESSIONS = ("SessionEnded", "SessionNeeded", "SignInAgain", "SignInFailed")
"""The failures of tests/features/users/test_access.py."""


@pytest.fixture(scope="module")
def shared(plain_server: server.Server) -> server.Server:
    return plain_server


@pytest.fixture(scope="module")
def document(shared: server.Server) -> Document:
    """As anybody gets it, without a key."""
    answer = httpx2.get(f"{shared.url}/openapi.json")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    fetched: Document = answer.json()
    return fetched


def test_the_document_is_valid_openapi(document: Document) -> None:
    assert document["openapi"].startswith("3.1.")
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


def test_every_failure_a_client_can_see_is_described(document: Document) -> None:
    named = {name for group in document["components"]["responses"] for name in group.split("Or")}
    # A method that a path does not have belongs to none of its operations. As shipped, there are no sessions.
    # The document has no WebSockets.
    absent = {"MethodNotAllowed", "UpgradeRequired", *OF_SESSIONS}
    assert named == {failure.__name__ for failure in _subclasses(RequestFailed)} - absent
    assert errors.MethodNotAllowed.status == 405


def test_nothing_is_described_that_nothing_refers_to(document: Document) -> None:
    text = json.dumps(document["paths"]) + json.dumps(document["components"])
    for kind in ("headers", "responses", "schemas"):
        for name in document["components"][kind]:
            assert f'"#/components/{kind}/{name}"' in text, f"{kind}/{name}"


def test_a_program_can_rely_on_every_field_of_an_answer(document: Document) -> None:
    schemas = document["components"]["schemas"]
    # A request may leave fields out; what is degraded is either an engine or a plugin.
    leave_out = {name for name, schema in schemas.items() if schema["properties"].keys() - schema["required"]}
    requests = {
        "SpeechBody",
        "VoiceReference",
        "MixMember",
        "ReferenceForm",
        "NewAccount",
        "AccountChange",
        "AgreedChange",
        "NewKey",
        "NewCaps",
    }
    assert leave_out == requests | {
        "NewGrant",
        "NewRefund",
        "NextRows",
        "DegradedPart",
        "RouteQuestion",
        "NewClone",
        *("JobBody", "BatchJobBody", "BatchBody", "TrainingBody", "BookBody", "DubBody", "AgainBody"),
        *("Pauses", "ReadRules"),
        # `substitute` is there if the header is, and `settling` while steps of a canceled job are under way.
        *("AudioDone", "ShownJob"),
        # A key of the role host has a cluster.
        "ShownCaps",
        # `repeated_by` is there if a second model repeats the speech.
        "ShownCandidate",
        # OpenAI's object has no such field: `jobs_only` is there if it is so.
        *("NamedModel", "ModelEntry"),
        *("ConversionForm", "TranscriptionForm", "TranslationForm"),
        # As OpenAI, it has the times that were asked for.
        "VerboseTranscript",
        *("VoiceModelForm", "SavedVoiceModelForm"),
        *("ConversionJobForm", "TranscriptionJobForm"),
        "NewVoice",
        "NewSavedVoice",
        *("VoiceForm", "SavedVoiceForm", "ChangedVoice", "ConsentBody", "AccountConsentBody"),
        *("WebhookUpdate", "WebhookTest", "SecretRotation"),
        # Of words whose times were not told by the engine alone.
        "WordTime",
        # Of a request that was not followed in all.
        "SpokenAnswer",
        # The words are there if some are wrong, or may be.
        "CheckReport",
        # A hint where nothing can speak a recording.
        "VoiceList",
        # Of a text whose tags change its emotion.
        "ExplainedPart",
        # Of voices that an account made of recordings alone.
        *("VoiceEntry", "MatchedVoice", "SavedVoice", "ClipForm", "CutForm"),
        # Of a recording whose speaker was compared with the consent's alone.
        "VoiceSample",
    }


def test_answers_of_a_running_server_are_as_described(shared: server.Server, document: Document) -> None:
    key = shared.mint_key("dev", role="admin").secret
    seen: set[str] = set()
    last: dict[str, str] = {}
    with shared.client(key) as client:
        for exchange in EXCHANGES:
            body = json.loads(_filled(json.dumps(exchange.body), last))
            path, sent = _filled(exchange.path, last), {"json": body}
            if exchange.file is not None:
                form = {name: _filled(value, last) for name, value in (exchange.body or {}).items()}
                sent = {"data": form, "files": {exchange.file_field: exchange.file}}
            answer = client.request(exchange.method, path, **sent)
            assert answer.status_code == exchange.status, (exchange, answer.text)
            assert faults(document, operation(document, exchange.operation), answer) == [], exchange
            seen.add(exchange.operation)
            if exchange.operation in _MADE and answer.is_success:
                last[_MADE[exchange.operation]] = answer.json()["id"]
            if exchange.operation == "create_speech":
                last["request"] = answer.headers["x-request-id"]
    steps = [step for topic in TOPICS for step in topic.steps if step.kind == "whole"]
    played = [described.operation_of(document, step.method, step.path) for step in steps]
    seen |= {each["operationId"] for each in played if each is not None}
    assert seen == {each["operationId"] for each in operations(document)}


_MADE = {
    **dict.fromkeys(("create_voice", "save_voice"), "voice"),
    **dict.fromkeys(("create_voice_consent", "create_consent"), "consent"),
    **dict.fromkeys(("add_voice_sample", "add_saved_voice_sample"), "sample"),
    "create_job": "job",
    "create_file": "file",
    "create_batch": "batch",
}
"""What an operation makes, whose id stands for `{key}` and the like in what is asked then."""


def _filled(text: str, last: dict[str, str]) -> str:
    for name, id_ in last.items():
        text = text.replace(f"{{{name}}}", id_)
    return text


def test_the_last_event_of_an_answer_that_breaks_is_as_described(
    shared: server.Server, document: Document
) -> None:
    body = _SPEECH | {"model": "tone", "voice": "tone/fail-late", "stream_format": "sse"}
    received: list[str] = []
    with shared.client() as client, client.stream("POST", "/v1/audio/speech", json=body) as answer:
        with pytest.raises(httpx2.RemoteProtocolError):
            received.extend(answer.iter_text())
    events = described.events("".join(received))
    assert events[-1]["type"] == "error"
    media = operation(document, "create_speech")["responses"]["200"]["content"]["text/event-stream"]
    for event in events:
        assert violations(document, media["schema"], event, closed=True) == []


def test_refusals_of_a_running_server_are_as_described(shared: server.Server, document: Document) -> None:
    speech, accounts = operation(document, "create_speech"), operation(document, "list_accounts")
    nobody = httpx2.post(f"{shared.url}/v1/audio/speech", json=_SPEECH)
    with shared.client() as client:
        large = client.post("/v1/audio/speech", content=b" " * 300_000)
        form = client.post("/v1/audio/speech", content=b"--x", headers={"content-type": "multipart/mixed"})
        not_admin = client.get("/admin/accounts")
    assert [answer.status_code for answer in (nobody, large, form, not_admin)] == [401, 413, 415, 403]
    for asked, answer in ((speech, nobody), (speech, large), (speech, form), (accounts, not_admin)):
        assert faults(document, asked, answer) == []


def test_the_headers_of_an_answer_are_those_described(shared: server.Server, document: Document) -> None:
    answer = shared.speech("Hello.")
    headers = operation(document, "create_speech")["responses"]["200"]["headers"]
    sent = {name for name in answer.headers if name.startswith(("x-voxgate", "x-request", "openai-"))}
    assert sent == described.always(document, headers)


def test_an_answer_given_once_more_is_as_described(shared: server.Server, document: Document) -> None:
    speech = operation(document, "create_speech")
    key = next(each for each in speech["parameters"] if each["name"] == "Idempotency-Key")
    headers = speech["responses"]["200"]["headers"]
    with shared.client() as client:
        first, again, refused = (
            client.post("/v1/audio/speech", json=_SPEECH, headers={key["name"]: sent})
            for sent in ("once", "once", "o" * 256)
        )
    assert faults(document, speech, first) == faults(document, speech, again) == []
    assert {name for name in again.headers if name not in first.headers} == {
        "x-voxgate-replayed",
        "x-voxgate-replay-of",
    }
    assert "x-voxgate-replayed" in headers.keys() - described.always(document, headers)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, key["name"])
    assert re.fullmatch(key["schema"]["pattern"], "o" * 256) is None


async def test_a_server_that_is_not_ready_answers_as_described(tmp_path: Path, document: Document) -> None:
    config = '[server]\ndefault_model = "gone"\n[engines.tone]\nhosted = false\nfail_start = 1\n'
    async with inside(tmp_path, config) as open_inside:
        answer = await open_inside.ask("GET", "/readyz")
    assert answer.status_code == 503
    assert answer.json()["degraded"], "an engine that cannot be configured is degraded"
    assert faults(document, operation(document, "is_ready"), answer) == []


@each_row(
    "more",
    [
        {},
        {"speed": 4.0},
        {"speed": 4.01},
        {"speed": "1"},
        {"voice": {"id": "alloy"}},
        {"voice": {}},
        {"voice": {"id": None}},
        {"voice": {"cast": {"Ana": "alloy"}}},
        {"voice": {"cast": {}}},
        {"voice": {"cast": {"Ana": "alloy"}, "id": "alloy"}},
        {"language": "pt-BR"},
        {"language": "english language"},
        {"response_format": "wav"},
        {"response_format": "ogg"},
        {"stream_format": "events"},
        {"pitch": 13},
        {"seed": -1},
        {"emotion": ""},
        {"input": ""},
        {"input": "a" * 4097},
        {"instructions": "a" * 4097},
    ],
    ids=lambda more: str(more)[:40],
)
def test_the_server_takes_what_is_described_and_refuses_the_rest(
    shared: server.Server, document: Document, more: dict[str, Any]
) -> None:
    schema = operation(document, "create_speech")["requestBody"]["content"]["application/json"]["schema"]
    with shared.client() as client:
        answer = client.post("/v1/audio/speech", json=_SPEECH | more)
    is_described = not violations(document, schema, _SPEECH | more)
    assert (answer.status_code == 200) == is_described, answer.text


@pytest.mark.parametrize("is_public", [True, False])
async def test_the_document_says_whether_the_catalogue_needs_a_key(tmp_path: Path, is_public: bool) -> None:
    config = Config(server=Server(public_catalogue=is_public), data=str(tmp_path))
    async with open_worker(config, Registry({}, [])) as worker:
        transport = httpx2.ASGITransport(app=worker.public)
        async with httpx2.AsyncClient(transport=transport, base_url="http://voxgate.test") as client:
            document = (await client.get("/openapi.json")).json()
            for each in operations(document):
                if each["method"] == "get" and "{" not in each["path"]:
                    answer = await client.get(each["path"])
                    needs_none = {} in each.get("security", document["security"])
                    assert (answer.status_code != 401) == needs_none, each["operationId"]


def _subclasses(type_: type[RequestFailed]) -> set[type[RequestFailed]]:
    """Those of the product; other tests may have made some of their own."""
    found = {found for sub in type_.__subclasses__() for found in (sub, *_subclasses(sub))}
    return {failure for failure in found if failure.__module__ == errors.__name__}
