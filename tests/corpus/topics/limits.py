"""What plans and keys allow: requests a minute, streams, characters, engines, credits and budgets."""

from typing import Any

from tests.corpus.steps import Step, Topic, account, get, post, speak


def _by(
    key: str, name: str, text: str = "Hello.", *, headers: dict[str, str] | None = None, **fields: Any
) -> Step:
    return speak(name, text, step={"key": key, "headers": headers or {}}, **fields)


def _capped(name: str, owner: str, **caps: int) -> Step:
    body = {"account": owner, "name": name, "caps": caps}
    return post(f"{name}: key", "/admin/keys", body, "admin", save={name: "key"})


_limits = (
    *account("twice", "twice"),
    _by("twice", "the first of two"),
    _by("twice", "the second of two", input=""),
    _by("twice", "the third is not refused yet"),
    _by("twice", "a refusal counts no more"),
    get("lists are not counted", "/v1/models/tts-1", "twice"),
    *account("single", "single"),
    speak("a stream", "Hello, this is long.", voice="hangs-late", step={"key": "single", "kind": "open"}),
    _by("single", "a second stream"),
    Step("the first is left", kind="leave", path="a stream"),
    _by("single", "after it was left"),
    *account("metered", "metered"),
    _by("metered", "a text too long", "a" * 101),
    _by("metered", "a text just short enough", "Hello. " * 14, voice="silent"),
    _capped("slowkey", "metered", rpm=2, max_characters=10, streams=1),
    _by("slowkey", "too long for the key", "Hello, world."),
    _by("slowkey", "short enough for the key", "Hello."),
    _by("slowkey", "once more with the key", "Hello."),
    _by("metered", "the account's other key", "Hello."),
    get("what the key may do", "/v1/me", "slowkey"),
    *account("tiny", "tiny"),
    _by("tiny", "what its credits pay", "Hello."),
    _by("tiny", "what its credits do not pay", "Hello, this text has more than fifty characters in all."),
    get("what is left of tiny", "/v1/me", "tiny"),
    *account("jobs", "by-job"),
    _by("jobs", "a job"),
    _by("jobs", "a second job", response_format="json"),
    _by("jobs", "a third job"),
    _by("jobs", "a job too many"),
    *account("small", "espeak-only"),
    _by("small", "an engine that the plan has not"),
    _by("small", "an engine that the plan has", model="small", response_format="wav"),
    _by("small", "a pin that the plan has not", model="tone/standard"),
    *account("poor", "poor"),
    _by("poor", "a budget of nothing", "Hi."),
    _by("poor", "a budget of nothing, and who costs nothing", model="small", response_format="wav"),
    *account("homely", "at-home"),
    _by("homely", "spoken at home"),
    post("nothing agreed yet", "/admin/accounts", {"name": "open", "plan": "agreed"}, "admin"),
    *account("agreed", "agreed", allowance=1, rpm=5, streams=1, voices=0, max_characters=6),
    _by("agreed", "as agreed"),
    _by("agreed", "longer than agreed", "Hello, world."),
    post("a voice more than agreed", "/v1/voices", {"name": "x", "cast": {"A": "nova"}}, "agreed"),
    get("what was agreed", "/v1/me", "agreed"),
    *account("prices", "metered", engines=["tone"], prices={"speech": {"credits": 5, "per": "job"}}),
    _by("prices", "an agreed price"),
    _by("prices", "an engine that was not agreed", model="spare"),
    get("agreed prices", "/v1/me", "prices"),
)

_me = (
    get("the key of the shell", "/v1/me"),
    get("an administrator's key", "/v1/me", "admin"),
    *account("mine", "metered"),
    get("a metered account", "/v1/me", "mine"),
    _by("mine", "spends", "Hello."),
    get("a metered account that spent", "/v1/me", "mine"),
    get("with a slash", "/v1/me/", "mine"),
    post("is not posted", "/v1/me", {}, "mine"),
)

TOPICS = (Topic("limits", "house", _limits), Topic("me", "house", _me))
