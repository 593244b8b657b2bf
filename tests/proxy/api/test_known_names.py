"""OpenAI's names on engines that share their voices: whose voice a name has, and what is told of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from speech_engine import (
    Context,
    Engine,
    EngineUnavailable,
    EngineVoice,
    KnownName,
    Language,
    Names,
    Plugin,
    VoiceInfo,
    share_voices,
)
from tests.proxy.api.inside import Inside, NoSettings, envelope, inside
from tests.proxy.api.scripted import Scripted, Step, spoken
from tests.tables import each_row

CONFIG = """
[server]
public_catalogue = true
[engines.men]
plugin = "own"
default = true
[engines.women]
[engines.table]
[models]
"tts-1" = ["men/m", "women/m", "table/m"]
"alone" = ["men/m"]
"""


class Speakers(Scripted):
    """Speaks tones in voices of its own, unless it fails."""

    def __init__(
        self, *voices: VoiceInfo, tags: tuple[str, ...] = ("en", "en-US"), fails: bool = False, **stated: Any
    ) -> None:
        script: list[Step] = [EngineUnavailable("down")] if fails else [*spoken(0.5)]
        super().__init__(*script, languages=tuple(map(Language, tags)), **stated)
        self._voices = voices

    def voices(self) -> tuple[VoiceInfo, ...]:
        return self._voices


def voice(id_: str, gender: str, language: str = "en-US") -> VoiceInfo:
    return VoiceInfo(id=id_, name=id_, gender=gender, language=language)


def plugin(name: str, engine: Engine, names: Any) -> Plugin[NoSettings]:
    @asynccontextmanager
    async def create(_name: str, _settings: NoSettings, _context: Context) -> AsyncIterator[Engine]:
        yield engine

    return Plugin(kind="engine", name=name, settings=NoSettings, create=create, names=names)


def table(_settings: NoSettings) -> Names:
    return {"onyx": KnownName("big", ("deep",)), "sage": KnownName("gone")}


@asynccontextmanager
async def three(folder: Path, text: str = CONFIG) -> AsyncIterator[Inside]:
    men = Speakers(*(voice(id_, "male") for id_ in ("joe", "joe:up2.6")))
    women = Speakers(
        voice("eva", "female"), voice("bia", "female", "pt-BR"), tags=("en-US", "en", "pt-BR", "pt")
    )
    other = Speakers(voice("big", "male"), tags=("*",))
    more = {
        ("engine", "own"): plugin("own", men, share_voices),
        ("engine", "women"): plugin("women", women, share_voices),
        ("engine", "table"): plugin("table", other, table),
    }
    async with inside(folder, text, more=more) as server:  # type: ignore[arg-type]  # kinds are literals
        yield server


async def told(server: Inside, name: str, **more: Any) -> tuple[str, str | None]:
    answer = await server.speech(voice=name, response_format="pcm", **more)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-voxgate-voice"] == name
    return answer.headers["x-voxgate-engine"], answer.headers.get("x-voxgate-substitute")


@each_row(
    ("name", "asked", "engine", "substitute"),
    [
        ("alloy", {}, "men/m", None),
        ("ash", {}, "men/m", None),
        ("ballad", {}, "men/m", "joe"),
        ("coral", {}, "women/m", None),
        ("nova", {}, "women/m", "eva"),
        # Nobody else is asked.
        ("coral", {"model": "men/m"}, "men/m", "joe"),
        ("coral", {"model": "alone"}, "men/m", "joe"),
        # Another language than the voices'.
        ("alloy", {"language": "pt"}, "women/m", None),
        ("ash", {"language": "pt-BR"}, "women/m", "bia"),
        # Where the first model has no woman, alloy is a man, and she is nobody's alias.
        ("coral", {"model": "women/m"}, "women/m", "eva"),
        ("alloy", {"model": "women/m"}, "women/m", None),
        ("onyx", {"language": "th"}, "table/m", None),
    ],
)
async def test_a_name_goes_to_a_voice_of_its_own_and_an_alias_is_told(
    tmp_path: Path, name: str, asked: dict[str, object], engine: str, substitute: str | None
) -> None:
    async with three(tmp_path) as server:
        assert await told(server, name, **{"language": "en", **asked}) == (engine, substitute)


async def test_the_listing_says_what_a_request_without_a_language_gets(tmp_path: Path) -> None:
    async with three(tmp_path) as server:
        rows = (await server.ask("GET", "/v1/voices")).json()["data"]
        aliases = {row["id"]: row.get("alias_of") for row in rows if "/" not in row["id"]}
        assert len(aliases) == 13
        for name, alias_of in aliases.items():
            _, substitute = await told(server, name)
            assert (alias_of is None) == (substitute is None), name
        assert {name for name, alias in aliases.items() if alias is None} == {"alloy", "ash", "coral"}
        assert {aliases[name] for name in ("ballad", "cedar", "verse")} <= {"alloy", "ash"}
        assert aliases["nova"] == "coral"
        # Nobody's tags are true of it on all engines.
        assert all(not row["tags"] for row in rows)
        one = (await server.ask("GET", "/v1/audio/voices/nova")).json()
        assert one["alias_of"] == "coral"
        public = (await server.ask("GET", "/v1/voices", key="")).json()["data"]
        assert {row["id"]: row.get("alias_of") for row in public if "/" not in row["id"]} == aliases


async def test_a_plan_that_may_not_use_an_engine_has_other_aliases(tmp_path: Path) -> None:
    async with three(tmp_path) as server:
        engines = {
            row["id"]: row["engines"] for row in (await server.ask("GET", "/v1/voices")).json()["data"]
        }
        assert engines["onyx"] == ["men", "women", "table"]
        # The engine does not have the voice that its plugin names.
        assert engines["sage"] == ["men", "women"]


async def test_equal_sound_under_two_names_is_kept_by_the_voice_that_spoke(tmp_path: Path) -> None:
    async with three(tmp_path) as server:
        first = await server.speech(voice="ballad", cache=True, response_format="pcm", language="en")
        again = await server.speech(voice="ballad", cache=True, response_format="pcm", language="en")
        other = await server.speech(voice="ash", cache=True, response_format="pcm", language="en")
        assert [each.headers["x-voxgate-cache"] for each in (first, again, other)] == ["miss", "hit", "miss"]
        assert again.headers["x-voxgate-substitute"] == first.headers["x-voxgate-substitute"]


async def test_a_model_without_the_gender_covers_for_one_that_fails(tmp_path: Path) -> None:
    women = Speakers(voice("eva", "female"), fails=True)
    more = {
        ("engine", "own"): plugin("own", Speakers(voice("joe", "male")), share_voices),
        ("engine", "women"): plugin("women", women, share_voices),
    }
    text = '[engines.men]\nplugin = "own"\n[engines.women]\n[models]\n"tts-1" = ["men/m", "women/m"]\n'
    async with inside(tmp_path, text, more=more) as server:  # type: ignore[arg-type]  # kinds are literals
        assert await told(server, "coral", language="en") == ("men/m", "joe")
        assert women.jobs


async def test_the_gender_of_an_entry_is_the_one_that_is_heard(tmp_path: Path) -> None:
    more = {("engine", "own"): plugin("own", Speakers(voice("joe", "male")), share_voices)}
    text = '[engines.own]\n[models]\n"tts-1" = ["own/m"]\n'
    async with inside(tmp_path, text, more=more) as server:  # type: ignore[arg-type]  # kinds are literals
        assert (await server.ask("GET", "/v1/voices?gender=female")).json()["data"] == []
        men = (await server.ask("GET", "/v1/voices?gender=male")).json()["data"]
        assert "coral" in {row["id"] for row in men}
        one = (await server.ask("GET", "/v1/voices/coral")).json()
        assert (one["gender"], one["alias_of"]) == ("male", "alloy")


async def test_a_mix_of_two_names_for_one_voice_is_no_mix(tmp_path: Path) -> None:
    one = Speakers(voice("joe", "male"), voice("bob", "male"), mixes=True, most_mixed=4)
    text = '[engines.own]\n[models]\n"tts-1" = ["own/m"]\n'
    more = {("engine", "own"): plugin("own", one, share_voices)}
    async with inside(tmp_path, text, more=more) as server:  # type: ignore[arg-type]  # kinds are literals
        refused = await server.speech(voice={"mix": [{"id": "alloy"}, {"id": "ballad"}]}, language="en")
        assert (refused.status_code, envelope(refused)["param"]) == (400, "voice.mix")
        good = await server.speech(voice={"mix": [{"id": "alloy"}, {"id": "ash"}]}, language="en")
        assert good.status_code == 200


async def test_a_name_that_the_file_gives_to_others_is_nobodys_alias(tmp_path: Path) -> None:
    lines = '[voices]\nash = { table = "big" }\nnarrator = { men = "ballad" }\nteller = { men = "ash" }\n'
    async with three(tmp_path, CONFIG + lines) as server:
        rows = (await server.ask("GET", "/v1/voices")).json()["data"]
        aliases = {row["id"]: row.get("alias_of") for row in rows}
        assert (aliases["ash"], aliases["ballad"]) == (None, "alloy")
        assert "ash" not in aliases.values()
        for name in ("cedar", "narrator", "teller", "verse"):
            _, substitute = await told(server, name)
            assert (aliases[name] is None) == (substitute is None), name


async def test_a_line_of_the_file_may_mean_the_share_of_a_name(tmp_path: Path) -> None:
    lines = '[voices]\nalloy = { women = "alloy" }\nnarrator = { men = "ash" }\nnone = { men = "eve" }\n'
    text = CONFIG + lines
    async with three(tmp_path, text) as server:
        assert await told(server, "alloy") == ("women/m", None)
        assert await told(server, "narrator") == ("men/m", None)
        refused = await server.speech(voice="none")
        assert (refused.status_code, envelope(refused)["code"]) == (400, "voice_not_available")


class Unlisting(Speakers):
    """Lists voices of its own, and may have others."""

    unlisted_voices = None


async def test_a_server_that_lists_other_voices_may_have_the_names_all_the_same(tmp_path: Path) -> None:
    one = Unlisting(voice("af_bella", "female"))
    more = {("engine", "table"): plugin("table", one, table)}
    text = '[engines.table]\n[models]\n"tts-1" = ["table/m"]\n'
    async with inside(tmp_path, text, more=more) as server:  # type: ignore[arg-type]  # kinds are literals
        assert await told(server, "onyx") == ("table/m", None)
        assert one.jobs[-1].voice == EngineVoice("big")
        row = (await server.ask("GET", "/v1/voices/onyx")).json()
        assert (row["engines"], row["tags"]) == (["table"], ["deep"])
