"""Models of voices that are no good, and requests that nobody may make: each says which field it is."""

import os
import zipfile
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import psutil
import pytest

from proxy.features.own_voices.trained import bodies
from proxy.helpers.helper import HelperSpec
from tests.checkpoints import Called, pickled
from tests.features.own_voices.test_trained_models import TOML, bring, listener, made
from tests.features.own_voices.trained_files import CONFIG, rvc_voice, tone_voice
from tests.proxy.api.inside import Inside, envelope, inside
from tests.proxy.file_store.owned import add_voice
from tests.tables import each_row, soak

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
_CALLED = "/dev/shm/voxgate-was-called"
_HEAD = (768).to_bytes(4, "little") + (1).to_bytes(8, "little") + bytes(16) + b"\x01" + bytes(4)
"""The beginning of an index of one feature."""


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Inside]:
    async with inside(tmp_path, TOML, {"listener": listener()}, "free") as opened:
        yield opened


async def refused(
    server: Inside, file: bytes | None = None, index: bytes | None = None, **fields: Any
) -> Any:
    answer = await bring(server, file, index, **{"name": "Ana", **fields})
    error = envelope(answer)
    assert 400 <= answer.status_code < 500, answer.text
    assert await server.worker.store.read("SELECT id FROM trained_models") == []
    assert await server.worker.store.read("SELECT id FROM voices") == []
    return error["param"], error["message"]


def _with(place: int, value: object) -> bytes:
    return rvc_voice([*CONFIG[:place], value, *CONFIG[place + 1 :]])


def _was_called() -> bool:
    return os.path.exists(_CALLED)


def _zipped(value: object) -> bytes:
    made = BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("archive/data.pkl", pickled(value))
    return made.getvalue()


def _numpy_scalar() -> bytes:
    """A voice in whose config is a number of numpy, as some programs save them."""
    whole = rvc_voice()
    with zipfile.ZipFile(BytesIO(whole)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    scalar = b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(X\x02\x00\x00\x00f4tRC\x04\x00\x00\x00\x00tR"
    number = b"J\x01\x04\x00\x00"  # the first of the config: 1025
    members["archive/data.pkl"] = members["archive/data.pkl"].replace(number, scalar, 1)
    made = BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return made.getvalue()


@each_row(
    ("file", "says"),
    [
        (_with(3, 10**9), "names hidden 1000000000; it must be"),
        (_with(13, 10**9), "names initial 1000000000"),
        (_with(12, [10, 10, 2, 4]), "makes no network"),
        (_with(3, 32), "has the shape"),
        (rvc_voice(values={"version": "v9"}), "its version is"),
        (rvc_voice(values={"f0": 7}), "its f0 is"),
        (rvc_voice([1]), "18 values"),
        (rvc_voice()[:-2000], "cut off or damaged"),
        (rvc_voice()[:20_000], "cut off or damaged"),
        (_zipped({"weight": Called("os system", (f"touch {_CALLED}",))}), "names os.system"),
        (_zipped({"weight": {}}), "no tensors"),
        (_numpy_scalar(), "numbers of numpy"),
        (b"RIFF, but no voice", "neither safetensors nor an archive"),
        (b"", "neither safetensors nor an archive"),
    ],
)
async def test_a_voice_of_rvc_that_is_no_good(server: Inside, file: bytes, says: str) -> None:
    param, message = await refused(server, file, format="rvc")
    assert param == "file"
    assert says in message
    assert not _was_called()


async def test_the_number_of_speakers_is_read_from_the_tensors(server: Inside) -> None:
    assert (await made(server, _with(15, 0), format="rvc"))["trained"], "whatever the config says of it"


@each_row(
    ("index", "says"),
    [
        (b"IxF2" + b"\xff" * 40, "features are -1 wide"),
        (b"IxPQ" + _HEAD, "an index of the kind"),
        (b"IxF2\x00\x03\x00\x00" + (10**12).to_bytes(8, "little") + bytes(60), "features"),
        (b"", "cut off"),
    ],
)
async def test_an_index_that_is_no_good(server: Inside, index: bytes, says: str) -> None:
    param, message = await refused(server, rvc_voice(), index, format="rvc")
    assert param == "index"
    assert says in message


@each_row(
    ("fields", "param", "says"),
    [
        ({"name": None}, "name", "one of them"),
        ({"voice": "Ben"}, "name", "one of them"),
        ({"name": None, "voice": "Ben", "consent": "cons_1"}, "consent", "leave it out"),
        ({"name": None, "voice": "nobody"}, "voice", "does not exist"),
        ({"name": None, "voice": "alloy"}, "voice", "not yours"),
        ({"name": "alloy"}, "name", "voice of the server"),
        ({"name": "a/b"}, "name", "'/'"),
        ({"consent": "cons_none"}, "consent", ""),
        ({"format": "other"}, "format", "it takes: rvc, tone"),
        ({"language": "!"}, "language", ""),
    ],
)
async def test_a_form_that_makes_no_sense(
    server: Inside, fields: dict[str, Any], param: str, says: str
) -> None:
    found, message = await refused(server, **fields)
    assert found == param
    assert says in message


async def test_tone_takes_no_index_and_nothing_without_a_pitch(server: Inside) -> None:
    assert (await refused(server, index=b"x"))[0] == "index"
    assert "50 to 500" in (await refused(server, tone_voice(5)))[1]
    assert (await refused(server, b"{}"))[0] == "file"
    assert "larger than 65536 bytes" in (await refused(server, b" " * 70_000))[1]


async def test_a_file_that_is_too_large_is_refused_while_it_comes(
    server: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bodies.MOST_BYTES == {"file": 200 * 1024 * 1024, "index": 640 * 1024 * 1024}
    monkeypatch.setitem(bodies.MOST_BYTES, "file", 1_000_000)
    param, message = await refused(server, bytes(1_000_001), format="rvc")
    assert (param, message) == ("file", "Invalid value for 'file': the file is larger than 1000000 bytes.")


@pytest.mark.parametrize("reader", ["voice_reading", *soak("conversion")])
async def test_a_reader_that_stands_still_is_not_waited_for(
    server: Inside, monkeypatch: pytest.MonkeyPatch, reader: str
) -> None:
    def standing_still(**told: Any) -> HelperSpec:
        return HelperSpec(**{**told, "module": "tests.features.own_voices.still_program"})

    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr(f"proxy.features.models.{reader}.HelperSpec", standing_still)
    monkeypatch.setattr("proxy.features.models.voice_reading.WITHIN_S", 3.0)
    assert await refused(server, rvc_voice(), format="rvc") == (
        "file",
        "Invalid value for 'file': to read it takes too long.",
    )
    assert not [each for each in psutil.Process().children() if "still_program" in " ".join(each.cmdline())]


async def test_nobody_gives_a_voice_of_others_a_model_or_reads_one(server: Inside) -> None:
    store = server.worker.store
    other = await add_voice(store, "acc_other")
    answer = await bring(server, voice=other)
    assert (answer.status_code, envelope(answer)["param"]) == (404, "voice")
    assert (await server.ask("GET", f"/v1/audio/voices/{other}/model")).status_code == 404
    assert await store.read("SELECT id FROM trained_models") == []


async def test_a_voice_without_a_recording_is_not_cloned(server: Inside) -> None:
    entry = await made(server)
    answer = await server.ask("POST", f"/v1/audio/voices/{entry['id']}", body={"engines": ["tone"]})
    assert envelope(answer)["param"] == "engines"


async def test_a_mix_has_no_model(server: Inside) -> None:
    await made(server)
    await made(server, tone_voice(300), name="Ben")
    mixed = await server.ask(
        "POST", "/v1/audio/voices", body={"name": "Both", "cast": {"a": "Ana", "b": "Ben"}}
    )
    assert mixed.status_code == 200, mixed.text
    assert envelope(await bring(server, voice="Both"))["param"] == "voice"


async def test_a_voice_without_a_model_leaves_nothing_behind(server: Inside) -> None:
    made_ = await server.administer("POST", "voices", {"name": "House", "bindings": {"tone": "tone"}})
    assert made_.status_code == 201
    answer = await server.administer("GET", "voices/House/model")
    assert (answer.status_code, envelope(answer)["code"]) == (404, "model_not_found")


async def test_the_room_of_a_plan_counts_imported_voices(tmp_path: Path) -> None:
    async with inside(tmp_path, TOML, {"listener": listener()}, "small") as server:
        await made(server)
        answer = await bring(server, name="Ben")
        assert (answer.status_code, envelope(answer)["code"]) == (403, "too_many_voices")
        assert len(await server.worker.store.read("SELECT digest FROM blobs")) == 1


async def test_a_plan_may_want_the_speakers_consent(tmp_path: Path) -> None:
    async with inside(
        tmp_path, TOML.replace('consent = "waived"', ""), {"listener": listener()}, "free"
    ) as server:
        error = envelope(await bring(server, name="Ana"))
        assert (error["param"], error["code"]) == ("consent", "consent_required")
        said = {"name": "Ana", "language": "en", "statement": "Ana agreed on paper.", "uses": ["conversion"]}
        agreed = await server.ask("POST", "/v1/audio/voice_consents", body=said)
        entry = await made(server, consent=agreed.json()["id"])
        assert entry["consent"] == agreed.json()["id"]
        refusal = await server.speech(voice="Ana", model="tone/standard")
        assert refusal.status_code == 403, "it may be used for conversions alone"
