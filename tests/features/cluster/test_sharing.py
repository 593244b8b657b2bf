"""What machines must share, checked at each start: on one schema, with separate data folders."""

import asyncio
from contextlib import nullcontext

import pytest
import structlog
from msgspec.structs import replace

from proxy.feature_list import load_config, open_store
from proxy.features.cluster import machines, sharing
from proxy.features.cluster.membership import Membership
from proxy.features.marks.checker import _known_keys
from proxy.features.marks.stored_rings import StoredRings
from proxy.file_store.key_ring import add_key, ensure_keys
from proxy.file_store.master_keys import rewrap_some
from proxy.file_store.vault import Vault, open_vault
from proxy.storage.store import Statement, StorageFailed
from proxy.telemetry.metrics import Metrics
from tests.features.cluster.rig import Link, Site, age, key, living, renewed


@pytest.fixture(autouse=True)
def _looks_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "AGAIN_S", 0.03)


OTHER = 'old_master_keys = ["env:OLD"]\n'
RINGS = '[marking]\nkeys = "env:MARKS"\n'


async def test_a_second_machine_with_the_same_things_starts_and_one_with_others_names_them(
    site: Site,
) -> None:
    refusals = [
        ("vault.folder", site.settings.replace("/vault", "/other"), {}),
        ("limits.url", site.settings.replace('url = "redis://127.0.0.1:1/0"', 'url = "memory"'), {}),
        ("vault.master_key", site.settings, {"MASTER": key(2)}),
        # It knows the other's key, and makes its own things with one that the other does not know.
        ("does not know the newest master key", site.settings + OTHER, {"MASTER": key(2), "OLD": key(1)}),
        ("marking.keys", site.settings + RINGS, {"MARKS": key(3)}),
    ]
    async with site.machine("a") as first, renewed(first.store):
        for named, settings, environ in refusals:
            with pytest.raises(StorageFailed) as refused:
                async with site.machine("b", settings, environ=environ):
                    pytest.fail(f"it started without {named}")
            assert named in str(refused.value)
            assert "it becomes the newest" in str(refused.value) or named in ("vault.folder", "limits.url")
        assert len(await living(first.store)) == 1
        async with site.machine("b", site.settings + OTHER, environ={"OLD": key(9)}) as second:
            one, other = await living(second.store)
            assert (one.kind, one.key_ids["mark"]) == ("server", other.key_ids["mark"])
            assert one.name != other.name, "they are on one host, in two folders"


async def test_a_machine_that_counts_in_memory_or_has_another_ring_lets_no_other_start(site: Site) -> None:
    memory = site.settings.replace("redis://127.0.0.1:1/0", "memory")
    environ = {"MARKS": key(3)}
    async with site.machine("a", memory + RINGS, environ=environ) as first, renewed(first.store):
        for settings, named in ((memory, "marking.keys"), (site.settings + RINGS, "limits.url: .* machine")):
            with pytest.raises(StorageFailed, match=named):
                async with site.machine("b", settings, environ=environ):
                    pytest.fail("it started")


async def test_keys_are_rotated_in_three_steps(site: Site) -> None:
    """One machine after the other takes a step; a machine that is two steps ahead is refused."""
    begin, both, end = {"MASTER": key(1)}, site.settings + OTHER, {"MASTER": key(2), "OLD": key(9)}
    joined, newest = {"MASTER": key(1), "OLD": key(2)}, {"MASTER": key(2), "OLD": key(1)}
    steps = [(begin, joined, True), (begin, newest, False), (joined, newest, True), (joined, end, False)]
    steps += [(newest, end, True), (end, newest, True)]
    for running, new, is_right in steps:
        settings = both if "OLD" in running else site.settings
        async with site.machine("a", settings, environ=running) as first, renewed(first.store):
            if running is newest:
                # The rings are sealed rows, too.
                step = await rewrap_some(first.store, first.open_features.context.find(Vault).masters)
                assert step is not None
                assert (step.rewrapped, step.left) == (2, 0)
            refused = pytest.raises(StorageFailed, match=r"vault\.master_key: .* then it becomes the newest")
            with nullcontext() if is_right else refused:
                async with site.machine("b", both, environ=new) as second:
                    one, other = await living(second.store)
                    assert one.key_ids["mark"] == other.key_ids["mark"] != []
        async with open_store(site.url, site.folder) as store:
            await store.write(Statement("DELETE FROM machines"))


async def test_a_machine_that_was_killed_is_waited_for_and_its_vault_taken_over(site: Site) -> None:
    other = site.settings.replace("/vault", "/other")
    async with site.machine("a") as killed:
        async with asyncio.TaskGroup() as group:

            async def start() -> None:
                with structlog.testing.capture_logs() as logs:
                    async with site.machine("b", other):
                        assert [each["event"] for each in logs].count("vault.taken_over") == 1

            group.create_task(start())
            await age(killed.store, 15.1)
        # What was in another vault before is the vault now.
        await killed.store.write(Statement("DELETE FROM machines"))
        with structlog.testing.capture_logs() as logs:
            async with site.machine("b", other):
                assert "vault.taken_over" not in [each["event"] for each in logs]


async def test_two_first_starts_at_once_make_one_vault_and_one_ring(new_site: Site) -> None:
    has_ended = asyncio.Event()

    async def start(name: str, settings: str) -> str:
        try:
            async with new_site.machine(name, settings) as worker:
                async with renewed(worker.store):
                    await has_ended.wait()
                return "started"
        except StorageFailed as error:
            has_ended.set()
            return str(error)

    own = new_site.settings.partition("[vault]")[0]
    found = sorted(await asyncio.gather(start("a", own), start("b", own)))
    assert found[0] == "started"
    assert "vault.folder" in found[1]
    assert "vault.master_key" in found[1]


async def test_another_worker_is_not_asked_and_a_restart_replaces_the_killed_life(site: Site) -> None:
    link, memory = Link(), site.settings.replace("redis://127.0.0.1:1/0", "memory")
    async with (
        site.machine("a", memory, link=link) as first,
        site.machine("a", memory, link=link, environ={"MASTER": key(2)}),
    ):
        assert [each.id for each in await living(first.store)] == [link.machine]
        # The row of the killed life is still alive.
        async with site.machine("a", memory), asyncio.timeout(5):
            (machine,) = await living(first.store)
            assert machine.id != link.machine


async def test_a_voxgate_worker_joins_and_takes_nothing_over(site: Site) -> None:
    memory = site.settings.replace("redis://127.0.0.1:1/0", "memory") + RINGS
    rings = {"MARKS": key(3)}
    async with site.machine("w", memory, environ=rings, serves=False) as worker:
        assert await machines.vault_id(worker.store) is None
        async with site.machine("a", memory, environ=rings) as first:
            vault = await machines.vault_id(first.store)
            assert [each.kind for each in await living(first.store)] == ["worker", "server"]
            with pytest.raises(StorageFailed, match="not the vault of this database"):
                async with site.machine("v", memory.replace("/vault", "/other"), environ=rings, serves=False):
                    pytest.fail("it started")
            assert await machines.vault_id(first.store) == vault


async def test_the_files_of_an_older_server_are_taken_over(site: Site) -> None:
    data = [site.folder / name / "data" for name in "ab"]
    for each in data:
        each.mkdir(parents=True)
        for name in ("mark-keys", "receipt-keys"):
            ensure_keys(each / name)
    newest = add_key(data[0] / "mark-keys").newest.id
    ids = [{key.id for key in ensure_keys(each / "mark-keys")} for each in data]
    async with site.machine("a") as first:
        (machine,) = await living(first.store)
        assert machine.key_ids["mark"][0] == newest
        assert {*machine.key_ids["mark"]} == ids[0]
        await first.store.write(Statement("DELETE FROM machines"))
        async with site.machine("b") as second:
            (machine,) = await living(second.store)
            assert machine.key_ids["mark"][0] == newest, "the keys of the second are old ones"
            assert {*machine.key_ids["mark"]} == ids[0] | ids[1]
            rows = await second.store.read("SELECT count(*) AS number FROM ring_keys")
            assert rows[0]["number"] == 5


async def test_a_spoilt_file_is_no_reason_for_a_new_key(site: Site) -> None:
    data = site.folder / "a" / "data"
    data.mkdir(parents=True)
    (data / "mark-keys").write_text("spoilt")
    async with site.machine("a") as first:
        (machine,) = await living(first.store)
        assert (machine.key_ids["mark"], len(machine.key_ids["receipt"])) == ([], 1)


async def test_before_the_first_start_of_this_version_a_command_knows_the_keys_in_the_file(
    site: Site,
) -> None:
    ring = ensure_keys(site.folder / "mark-keys")
    file = site.folder / "config.toml"
    file.write_text(site.settings)
    config = replace(load_config(file, {"MASTER": key(1)}), data=str(site.folder))
    async with (
        open_store(site.url, site.folder) as store,
        open_vault(store, site.folder, config.vault, Metrics()) as vault,
    ):
        stored = StoredRings(store, vault)
        await stored.refresh()
        assert [*(_known_keys(config, stored) or ())] == [*ring]


async def test_a_ring_that_cannot_be_made_is_reported_once(site: Site) -> None:
    data = site.folder / "a" / "data"
    data.mkdir(parents=True)
    (data / "mark-keys").write_text("spoilt")
    async with site.machine("a") as first:
        (look,) = [
            task
            for task in first.tasks_of_each_server
            if isinstance(getattr(task, "__self__", None), Membership)
        ]
        with structlog.testing.capture_logs() as logs:
            for _ in range(3):
                await getattr(look, "__self__").look()  # noqa: B009 - a bound method has it
        assert logs == []
