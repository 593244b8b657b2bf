"""The lists of models and voices, and the voices that an account saves."""

from __future__ import annotations

from tests.corpus.steps import Step, Topic, account, delete, get, post, speak

_models = (
    get("models", "/v1/models"),
    get("models of audio", "/v1/audio/models"),
    get("one alias", "/v1/models/tts-1"),
    get("one model of an engine", "/v1/models/spare/standard"),
    get("no model", "/v1/models/tts-9"),
    get("an escaped slash", "/v1/models/tone%2Fstandard"),
    *account("models", "espeak-only"),
    get("models of a plan with one engine", "/v1/models", "models"),
    get("a model outside of the plan", "/v1/models/tone/standard", "models"),
    post("models cannot be made", "/v1/models", {}, "key"),
    get("voices", "/v1/voices?language=en&format=names"),
    get("voices of audio", "/v1/audio/voices?gender=female&describe=bright"),
    get("names alone", "/v1/voices?format=names&gender=male"),
    get("by a description", "/v1/voices?describe=warm+young+woman&gender=female"),
    get("by a description in Portuguese", "/v1/voices?describe=homem&language=pt&format=names"),
    get("a description of nothing", "/v1/voices?describe="),
    get("a description too long", f"/v1/voices?describe={'a' * 2000}"),
    get("a format that is not there", "/v1/voices?format=xml"),
    get("a language that is no tag", "/v1/voices?language=english+please&gender=female&format=names"),
    get("a gender that is not there", "/v1/voices?gender=nothing"),
    get("one voice", "/v1/audio/voices/alloy"),
    get("one cast", "/v1/voices/pair"),
    get("one voice of an engine", "/v1/voices/spare/ben"),
    get("one voice by another path", "/v1/voices/nova"),
    get("no voice", "/v1/voices/nobody"),
)

_PAIR = {"Ana": "nova", "Ben": "onyx"}

_saved = (
    *account("saver", "metered"),
    *account("stranger", "metered"),
    post(
        "saves a cast",
        "/v1/audio/voices",
        {"name": "interview", "cast": _PAIR, "description": "Two who talk", "tags": ["warm", "two"]},
        "saver",
        save={"interview": "id"},
    ),
    get("shows it by id", "/v1/audio/voices/{interview}", "saver"),
    get("shows it by name", "/v1/voices/interview", "saver"),
    get("lists it first", "/v1/voices?format=names&gender=female", "saver"),
    get("finds it by description", "/v1/voices?describe=two+who+talk&format=names", "saver"),
    speak("speaks with it", "[Ana] Hi. [Ben] Ho.", model="tone", voice="interview", step={"key": "saver"}),
    speak("speaks with its id", "[Ben] Ho.", model="tone", voice="{interview}", step={"key": "saver"}),
    speak("a stranger cannot", "[Ana] Hi.", voice="interview", step={"key": "stranger"}),
    get("a stranger does not see it", "/v1/voices/{interview}", "stranger"),
    delete("a stranger cannot delete it", "/v1/voices/{interview}", "stranger"),
    post("the name is taken", "/v1/voices", {"name": "interview", "cast": _PAIR}, "saver"),
    post("the server has the name", "/v1/voices", {"name": "alloy", "cast": _PAIR}, "saver"),
    post("no name", "/v1/voices", {"cast": _PAIR}, "saver"),
    post("an empty name", "/v1/voices", {"name": "", "cast": _PAIR}, "saver"),
    post("a name with a slash", "/v1/voices", {"name": "a/b", "cast": _PAIR}, "saver"),
    post("a name too long", "/v1/voices", {"name": "a" * 300, "cast": _PAIR}, "saver"),
    post("no cast", "/v1/voices", {"name": "alone"}, "saver"),
    post("an empty cast", "/v1/voices", {"name": "alone", "cast": {}}, "saver"),
    post("a member that is not there", "/v1/voices", {"name": "x", "cast": {"Ana": "nobody"}}, "saver"),
    post("a member that is a cast", "/v1/voices", {"name": "x", "cast": {"Ana": "pair"}}, "saver"),
    post(
        "a description too long",
        "/v1/voices",
        {"name": "x", "cast": _PAIR, "description": "a" * 501},
        "saver",
    ),
    post("too many tags", "/v1/voices", {"name": "x", "cast": _PAIR, "tags": ["t"] * 21}, "saver"),
    Step(
        "a recording",
        "POST",
        "/v1/voices",
        "saver",
        {"content-type": "multipart/form-data; boundary=x"},
        raw="x",
    ),
    Step("no JSON", "POST", "/v1/audio/voices", "saver", raw="{"),
    Step("too large", "POST", "/v1/voices", "saver", raw='{"name":"' + "a" * 66_000 + '"}'),
    post("a second", "/v1/voices", {"name": "second", "cast": _PAIR}, "saver", save={"second": "id"}),
    post("one too many", "/v1/voices", {"name": "third", "cast": _PAIR}, "saver"),
    delete("deletes by name", "/v1/audio/voices/second", "saver"),
    delete("deletes by id", "/v1/voices/{interview}", "saver"),
    delete("deletes it twice", "/v1/voices/{interview}", "saver"),
    delete("the server's own", "/v1/voices/alloy", "saver"),
    get("it is gone", "/v1/voices/{interview}", "saver"),
    speak("nobody speaks with it", "[Ana] Hi.", voice="interview", step={"key": "saver"}),
    Step("changes nothing", "PUT", "/v1/voices/alloy", "saver", body={}),
)

TOPICS = (Topic("models", "house", _models), Topic("voices_saved", "house", _saved))
