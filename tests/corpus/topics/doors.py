"""The doors themselves: what needs no key, keys of every kind, methods, paths, other origins."""

from tests.corpus.steps import Step, Topic, account, delete, get, post, speak

_ORIGIN = {"origin": "https://app.example.com"}
_STRANGE = {"origin": "https://strange.example"}
_ASKS = {
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type",
}

_open = (
    get("the root", "/", ""),
    get("the base", "/v1", ""),
    get("the base with a slash", "/v1/", ""),
    get("is alive", "/healthz", ""),
    get("is ready", "/readyz", ""),
    get("OpenAPI", "/openapi.json", "", ignores_body=True),
    Step("the head of the root", "HEAD", "/", ""),
    Step("the head of health", "HEAD", "/healthz", ""),
    get("the root with a good key", "/"),
    get("no such path, without a key", "/v2", ""),
    get("no such path", "/v2"),
    get("v1 twice", "/v1/v1/models"),
    get("without v1", "/audio/speech"),
    get("speech is not got", "/v1/audio/speech"),
    Step("the head of speech", "HEAD", "/v1/audio/speech"),
    Step("the head of models", "HEAD", "/v1/models/tts-1"),
    Step("options of speech", "OPTIONS", "/v1/audio/speech"),
    Step("options without a key", "OPTIONS", "/v1/audio/speech", ""),
    Step("speech is not put", "PUT", "/v1/audio/speech", body={}),
    Step("models are not deleted", "DELETE", "/v1/models/tts-1"),
    Step("a method of nobody", "BREW", "/v1/models"),
    post("health is not posted", "/healthz", {}),
    get("a path too strange", "/v1/models/%00"),
    get("a query that nobody knows", "/v1/models/tts-1?colour=red"),
    get("transcription is elsewhere", "/v1/audio/transcriptions"),
    get("chat is elsewhere", "/v1/chat/completions"),
)

_origins = (
    Step("is asked first", "OPTIONS", "/v1/audio/speech", "", {**_ORIGIN, **_ASKS}),
    Step("is asked first for a list", "OPTIONS", "/v1/models", "", {**_ORIGIN, **_ASKS}),
    Step("another origin is asked first", "OPTIONS", "/v1/audio/speech", "", {**_STRANGE, **_ASKS}),
    get("a list", "/v1/models/tts-1", headers=_ORIGIN),
    get("a list for another origin", "/v1/models/tts-1", headers=_STRANGE),
    get("a failure", "/v1/models/tts-9", headers=_ORIGIN),
    get("without a key", "/v1/models", "", headers=_ORIGIN),
    speak("speech", "Hello.", step={"headers": _ORIGIN}),
    speak("speech that is refused", "", step={"headers": _ORIGIN}),
    get("lists are not public here", "/v1/voices", ""),
)

_WRONG = "sk-vg-" + "a" * 38

_keys = (
    *account("guest", "unlimited"),
    get("public models", "/v1/models", ""),
    get("one model is not public", "/v1/models/tone", ""),
    get("public voices", "/v1/voices?format=names&language=en", ""),
    get("a bad key where none is needed", "/v1/models", "", headers={"authorization": "Bearer nonsense"}),
    get("a bad key at the root", "/", "", headers={"authorization": "Bearer nonsense"}),
    get("no key", "/v1/me", ""),
    get("an empty key", "/v1/me", "", headers={"authorization": "Bearer"}),
    get("another scheme", "/v1/me", "", headers={"authorization": "Basic {guest}"}),
    get("a scheme in small letters", "/v1/me", "", headers={"authorization": "bearer {guest}"}),
    get("a key of another service", "/v1/me", "", headers={"authorization": "Bearer sk-proj-123"}),
    get("a key that was mistyped", "/v1/me", "", headers={"authorization": f"Bearer {_WRONG}"}),
    get("Azure's header", "/v1/me", "", headers={"api-key": "{guest}"}),
    get("a bad key in Azure's header", "/v1/me", "", headers={"api-key": "nonsense"}),
    get("both headers", "/v1/me", "guest", headers={"api-key": "nonsense"}),
    get("a speech key for administrators' doors", "/admin/accounts", "guest"),
    get("no key for administrators' doors", "/admin/accounts", ""),
    get("no such administrators' door", "/admin/nothing", "guest"),
    speak("defaults are filled in", "Hello.", model=None, voice=None, step={"key": "guest"}),
    speak("no keys are kept here", "Hello.", step={"key": "guest", "headers": {"idempotency-key": "a"}}),
    speak(
        "no keys are kept here, again", "Hello.", step={"key": "guest", "headers": {"idempotency-key": "a"}}
    ),
    get("an engine that failed", "/admin/engines", "admin"),
    get("is ready without it", "/readyz", ""),
    delete("is revoked", "/admin/keys/{key_guest}", "admin"),
    get("a revoked key", "/v1/me", "guest"),
    get("too many wrong keys", "/v1/me", "", headers={"authorization": f"Bearer {_WRONG}"}, times=25),
    get("a good key after too many wrong ones", "/v1/me"),
    get("no key after too many wrong ones", "/v1/me", ""),
)

TOPICS = (
    Topic("doors", "house", _open),
    Topic("doors_origins", "house", _origins),
    Topic("doors_keys", "gate", _keys),
)
