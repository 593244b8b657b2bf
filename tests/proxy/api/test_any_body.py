"""No body of any kind makes a 5xx, and no error repeats what was to be spoken."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from proxy.access.admission import MOST_A_MINUTE
from proxy.audio.formats import FORMATS
from proxy.speech import speech_body
from tests.proxy.api.inside import TONE, Inside, envelope, inside_fixture

SECRET = "the cat sat on seventeen mats"

# One worker serves all examples of a test: nothing that one sends may change what the next one gets.
# Each is a request, so there are fewer of them than usual; the long run has thousands here, too.
many = settings(
    max_examples=settings().max_examples // 2,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
likely = {
    "model": st.sampled_from(["tts-1", "gpt-4o-mini-tts", "tone", "tone/standard", "gone", "tone/x", "/"]),
    "voice": st.sampled_from(["alloy", "tone/fail", "tone/bug", "Tone", {"id": "alloy"}, {"id": ""}, "x/y"]),
    "input": st.just(SECRET) | st.sampled_from([".", "\u200b", "", SECRET * 150]),
    "response_format": st.sampled_from([*FORMATS, "json", "MP3", "ogg"]),
    "stream_format": st.sampled_from(["audio", "sse"]),
    "speed": st.floats(0.2, 4.2),
    "language": st.sampled_from(["", "auto", "th", "pt-BR", "xx\n", "e"]),
    "emotion": st.sampled_from(["happy", ""]),
    "lexicon": st.sampled_from(["none", "", "gone"])
    | st.dictionaries(st.text(max_size=5), st.text(max_size=9)),
}
fields = {
    name: st.one_of(likely.get(name, json_values), json_values)
    for name in speech_body.SpeechBody.__struct_fields__
}
bodies = st.fixed_dictionaries({}, optional=fields)
whole_bodies = st.fixed_dictionaries(
    {"model": likely["model"], "voice": likely["voice"], "input": likely["input"]},
    optional={name: fields[name] for name in fields if name not in ("model", "voice", "input")},
)


@pytest.fixture(autouse=True)
def _many_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute takes more requests than an account may make."""
    monkeypatch.setattr("proxy.access.admission.MOST_A_MINUTE", dict.fromkeys(MOST_A_MINUTE, 1_000_000))


async def check(server: Inside, content: bytes) -> int:
    async with server.client() as client:
        answer = await client.post("/v1/audio/speech", content=content)
    if answer.is_success:
        assert answer.content
        return answer.status_code
    error = envelope(answer)
    assert SECRET not in answer.text
    if answer.status_code == 503:
        # The voices that fail on purpose, and nobody else.
        assert b"tone/fail" in content or b"tone/bug" in content
        return answer.status_code
    assert answer.status_code in (400, 404)
    assert error["type"] == "invalid_request_error"
    assert error["param"] is None or error["param"] in speech_body.SpeechBody.__struct_fields__
    return answer.status_code


server = inside_fixture()


@given(st.one_of(bodies, whole_bodies))
@example({"model": "tts-1", "voice": "alloy", "input": SECRET, "language": "en\n"})
@example({"model": "tts-1", "voice": "alloy", "input": SECRET, "speed": 10**200})
@many
async def test_any_fields_are_spoken_or_refused(server: Inside, body: dict[str, Any]) -> None:
    await check(server, json.dumps(body).encode())


names = st.sampled_from(["pt", "none", "a%20b", "%00", "%F0%9F%98%80"])
texts = st.text(max_size=5) | st.sampled_from(["alloy", "tone/tone", "/a/", "(ma1)", "\x00", "\ud800"])
said = texts | st.just(SECRET)
kept = st.fixed_dictionaries(
    {},
    optional={
        "name": texts | json_values,
        "cast": st.dictionaries(texts, texts, max_size=3) | json_values,
        "words": st.dictionaries(said, said, max_size=3) | json_values,
        "account": st.sampled_from(["ada", "nobody", "\x00"]) | json_values,
    },
)


@given(kept, names)
@many
async def test_anything_is_saved_or_refused(server: Inside, body: dict[str, Any], name: str) -> None:
    content = json.dumps(body).encode()
    for key in (server.key, server.admin_key):
        root = "/admin" if key == server.admin_key else "/v1"
        async with server.client(key) as client:
            answers = [
                await client.put(f"{root}/lexicons/{name}", content=content),
                await client.get(f"{root}/lexicons/{name}?account=ada"),
                await client.delete(f"{root}/lexicons/{name}?account=ada"),
                await client.post(f"{root}/voices", content=content),
                await client.delete(f"{root}/voices/{name}"),
            ]
        for answer in answers:
            assert answer.is_success or answer.status_code in (400, 404, 409)
            # Given back where it is kept, and in no refusal.
            assert answer.is_success or SECRET not in answer.text


ROUTED = (
    TONE
    + """
[voices.onyx]
tone = "tone"
[lexicons.th]
"กรุงเทพ" = "กรุงเทพมหานคร"
[lexicons.pt]
voxgate = "vóx gueite"
"""
    + "".join(
        f'''
[[routes]]
language = "{language}"
candidates = ["tone/standard"]
front_end = "{front_end}"
sentences = true
'''
        for language, front_end in (("th", "pythainlp"), ("pt", "latin"), ("es", "latin"), ("en", "latin"))
    )
)
"""Every front-end there is, and a text's sentences each by its own."""

# Pieces that rules look at, and much more of what they stumble over than chance would give.
pieces = st.one_of(
    st.sampled_from(("สวัสดีครับ", "ๆ", "ฯลฯ", "พ.ศ. 2569", "๑๒", "กรุงเทพ", "12:30 น.", "฿5", "voxgate")),
    st.sampled_from(("R$ 1.234,50", "1/2", "20/11/2026", "14h30", "Dr. ", "3º", "$5.99", "-7", "1,2,3", "%")),
    st.sampled_from(
        ("[Ana] ", "[Ben]", "[", "]", ". ", "\n\n", "\u200b", "e\u0301", "https://a.b/1 ", "a@b.c")
    ),
    st.text(max_size=5),
    st.text("0123456789.,:/-", max_size=8),
)

routed = inside_fixture(ROUTED)


@given(
    text=st.lists(pieces, min_size=1, max_size=12).map("".join).filter(bool),
    language=st.sampled_from(("auto", "", "th", "pt-BR", "es", "en-NG", "ja")),
    voice=st.sampled_from(("alloy", {"cast": {"Ana": "alloy", "Ben": "onyx"}})),
    lexicon=st.sampled_from((None, "none", {"a": "b", "๑๒": "สิบสอง"})),
)
@many
async def test_any_text_in_any_language_is_spoken_or_refused(
    routed: Inside, text: str, language: str, voice: object, lexicon: object
) -> None:
    body = {"model": "tts-1", "voice": voice, "input": text, "language": language, "lexicon": lexicon}
    content = json.dumps({**body, "response_format": "pcm"}).encode()
    async with routed.client() as client:
        answer = await client.post("/v1/audio/speech", content=content)
    if answer.status_code != 200:
        assert (answer.status_code, envelope(answer)["param"]) in ((400, "input"), (400, None))
