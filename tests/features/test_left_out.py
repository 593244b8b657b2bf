"""A server that leaves a feature out: the others work, and what it has kept is still erased."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from proxy import features
from proxy.catalogue.voice_records import VoiceRecord
from proxy.config.reader import Section
from proxy.features.all import all_features, all_sections
from proxy.features.own_voices import records as voices
from proxy.storage import tombstones
from proxy.storage.store import Statement
from tests.features.erasure.erasing import erasure_of, kept, sound
from tests.proxy.api.inside import TONE, Inside, inside
from tests.proxy.api.owning import clone
from tests.tables import each_row

CACHED = f"{TONE}[cache]\non = true\n"
SECTIONS = f"{CACHED}[marking]\nmark = ''\n[lexicons.en]\nAna = 'Anna'\n"
_CLONED = """
INSERT INTO bindings (id, voice, account, revision, engine, credential, state, name, engine_voice)
SELECT 'bind_1', id, account, 1, 'minimax', 'default', 'ready', 'voxgate-1', 'clone-1' FROM voices
"""


def test_the_list_has_every_section() -> None:
    """So one is read, and checked, whether its feature opens or not."""
    files = Path(features.__file__).parent.glob("*/section.py")
    modules = [import_module(f"{features.__name__}.{file.parent.name}.section") for file in files]
    declared = [each for module in modules for each in vars(module).values() if isinstance(each, Section)]
    assert sorted(each.name for each in declared) == sorted(each.name for each in all_sections())
    assert len(modules) >= 3


@each_row("name", [feature.name for feature in all_features()])
async def test_the_others_work(tmp_path: Path, name: str) -> None:
    async with inside(tmp_path, SECTIONS, left_out=name) as server:
        assert (await server.speech()).status_code == 200
        assert (await server.ask("GET", "/v1/audio/voices")).status_code == 200
        assert (await server.ask("GET", "/healthz", key="")).status_code == 200
        served = await operations(server)
    async with inside(tmp_path, name="bob") as server:
        assert served <= await operations(server)


async def operations(server: Inside) -> set[str]:
    """What OpenAPI says that the server can do."""
    document = (await server.ask("GET", "/openapi.json", key=server.admin_key)).json()
    return {
        operation["operationId"] for methods in document["paths"].values() for operation in methods.values()
    }


async def saved(server: Inside, voice: str) -> VoiceRecord:
    found = await voices.get(server.worker.store, None, voice)
    assert found is not None
    return found


async def test_clips_of_an_erased_voice_keep_its_receipt_open_until_the_cache_is_back(tmp_path: Path) -> None:
    async with inside(tmp_path, CACHED) as server:
        voice = (await clone(server))["id"]
        assert (await server.speech(model="tone", voice=voice)).status_code == 200
        await kept(tmp_path, 1)
    async with inside(tmp_path, CACHED, left_out="cache", name="bob") as server:
        erasure = erasure_of(server.worker)
        receipt = await erasure.erase_voice(await saved(server, voice))
        assert receipt.pending == ("files",)
        assert [each.pending for each in await erasure.finish_left_over()] == [("files",)]
        assert len(sound(tmp_path)) == 1
    async with inside(tmp_path, CACHED, name="eve") as server:
        (receipt,) = await erasure_of(server.worker).finish_left_over()
        assert (receipt.pending, sound(tmp_path)) == ((), [])
        assert receipt.completed is not None


async def test_a_clone_of_an_erased_voice_keeps_its_receipt_open(tmp_path: Path) -> None:
    async with inside(tmp_path) as server:
        voice = (await clone(server))["id"]
        await server.worker.store.write(Statement(_CLONED))
    async with inside(tmp_path, left_out="clones", name="bob") as server:
        erasure = erasure_of(server.worker)
        receipt = await erasure.erase_voice(await saved(server, voice))
        assert receipt.pending == ("providers",)
        await server.worker.store.write(Statement("DELETE FROM bindings"))
        await erasure.finish_left_over()
        assert all(each.completed for each in await tombstones.list_since(server.worker.store, 0))
