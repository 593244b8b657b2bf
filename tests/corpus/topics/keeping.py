"""Answers that are kept: the cache, and requests that are sent again with their Idempotency-Key."""

from typing import Any

from tests.corpus.steps import Step, Topic, account, get, put, speak


def _cached(name: str, text: str, key: str = "cached", **fields: Any) -> Step:
    return speak(name, text, step={"key": key}, **{"cache": True, **fields})


_cache = (
    *account("cached", "metered"),
    *account("keeps", "keeping"),
    *account("other", "metered"),
    _cached("spoken first", "Welcome, everybody."),
    _cached("the same again", "Welcome, everybody."),
    _cached("the same as WAV", "Welcome, everybody.", response_format="wav"),
    _cached("the same as WAV again", "Welcome, everybody.", response_format="wav"),
    _cached("the same in JSON", "Welcome, everybody.", response_format="json", audio_format="pcm"),
    _cached("the same in events", "Welcome, everybody.", model="tone", stream_format="sse"),
    _cached("a fresh take", "Welcome, everybody.", cache=False),
    _cached("nothing said of it", "Welcome, everybody.", cache=None),
    _cached("another seed", "Welcome, everybody.", seed=1),
    _cached("another speed", "Welcome, everybody.", speed=2),
    _cached("another voice", "Welcome, everybody.", voice="nova", model="tone"),
    _cached("another account", "Welcome, everybody.", key="other"),
    _cached("the plan keeps", "Good morning.", key="keeps", cache=None),
    _cached("the plan gives again", "Good morning.", key="keeps", cache=None),
    _cached("the plan is told not to", "Good morning.", key="keeps", cache=False),
    _cached("a failure is not kept", "Hello.", voice="breaks"),
    _cached("the failure again", "Hello.", voice="breaks"),
    _cached("another engine steps in", "Hello.", voice="breaks", model="with-spare"),
    # Not asked again: its take may be found at once, or a moment later.
    _cached("a dialogue", "[Ana] Hi. [Ben] Ho.", voice="pair", model="tone"),
    _cached("the dialogue again", "[Ana] Hi. [Ben] Ho.", voice="pair", model="tone"),
    put("a lexicon changes", "/v1/lexicons/en", {"words": {"welcome": "well come"}}, "cached"),
    _cached("spoken anew", "Welcome, everybody."),
    get("what all of it cost", "/v1/usage?by=cache", "cached"),
    get("what is left", "/v1/me", "cached"),
)


def _once(name: str, text: str, key: str, caller: str = "once", **fields: Any) -> Step:
    more: dict[str, Any] = {"key": caller, "headers": {"idempotency-key": key}}
    kind = fields.pop("kind", "whole")
    return speak(name, text, step={**more, "kind": kind}, **fields)


_LONG = "This is said slowly, so that it takes a while until all of it is said at last."

_idempotency = (
    *account("once", "metered"),
    *account("twin", "metered"),
    _once("spoken first", "Your order.", "order-1"),
    _once("sent again", "Your order.", "order-1"),
    _once("with another body", "Your other order.", "order-1"),
    _once("by another account", "Your other order.", "order-1", "twin"),
    _once("with another key", "Your order.", "order-2"),
    _once("in JSON", "Your order.", "order-3", response_format="json"),
    _once("in JSON again", "Your order.", "order-3", response_format="json"),
    _once("in events", "Your order.", "order-4", model="tone", stream_format="sse"),
    _once("in events again", "Your order.", "order-4", model="tone", stream_format="sse"),
    _once("as a whole WAV", "Your order.", "order-5", response_format="wav"),
    _once("as a whole WAV again", "Your order.", "order-5", response_format="wav"),
    _once("that fails", "Your order.", "order-6", voice="breaks"),
    _once("that failed is spoken now", "Your order.", "order-6"),
    _once("that breaks off", "Your order is on its way.", "order-7", voice="breaks-late"),
    _once("that broke off", "Your order is on its way.", "order-7"),
    _once("a bad body keeps nothing", "", "order-8"),
    _once("after a bad body", "Your order.", "order-8"),
    _once("a key too long", "Your order.", "o" * 256),
    _once("a key of 255", "Your order.", "o" * 255),
    _once("an empty key", "Your order.", ""),
    _once("under way", _LONG, "order-9", voice="slow", kind="open"),
    _once("while it is under way", _LONG, "order-9", voice="slow"),
    _once("another body while it is under way", "Hello.", "order-9", voice="slow"),
    get("it was charged once", "/v1/usage?by=outcome", "twin"),
)

TOPICS = (Topic("cache", "house", _cache), Topic("idempotency", "house", _idempotency))
