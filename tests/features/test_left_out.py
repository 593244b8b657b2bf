"""Features that are off: the others go on, and what is off says how to turn it on."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from proxy.config.feature_switches import _ALWAYS_ON
from proxy.config.reader import ConfigError
from proxy.feature_list import FEATURES, all_features, load_config
from proxy.http.closed_paths import ClosedPaths
from proxy.storage.store import StorageFailed
from tests.proxy.api.inside import TONE, Inside, envelope, inside
from tests.tables import each_row

_ADDRESS = '[server]\npublic_url = "https://voices.test"'
WHOLE = f"""
{TONE.replace("[server]", _ADDRESS, 1)}
[mail]
url = "smtp://127.0.0.1:9"
from = "Voices <voices@voices.test>"
[users]
sign_up = "invite"
[alerts]
mail = ["ops@voices.test"]
[payments.packs.small]
credits = 500
amount = "5.00"
currency = "BRL"
providers = ["stripe"]
"""
"""Each feature has what it needs."""
MAY_BE_OFF = [name for name in FEATURES if name not in _ALWAYS_ON]


def with_users(*names: str) -> tuple[str, ...]:
    """These features, and those that need them."""
    off = {*names}
    for name, needed in FEATURES.items():
        if off & {*needed}:
            off.add(name)
    return tuple(name for name in FEATURES if name in off)


SINGLES = {with_users(name) for name in MAY_BE_OFF}
PAIRS = {with_users(name, needed) for name in MAY_BE_OFF for needed in FEATURES[name] if needed in MAY_BE_OFF}
ALL = tuple(MAY_BE_OFF)


@cache
def paths_of_all() -> frozenset[str]:
    """The paths of a server with all features."""
    with TemporaryDirectory() as folder, ThreadPoolExecutor(1) as thread:

        async def read() -> frozenset[str]:
            async with inside(Path(folder), WHOLE) as server:
                return paths(server)

        return thread.submit(asyncio.run, read()).result()


def paths(server: Inside) -> frozenset[str]:
    return frozenset(endpoint.path for endpoint in server.worker.endpoints)


async def is_whole(server: Inside, off: tuple[str, ...]) -> None:
    """The contract of each server: speech, accounts, erasure, and a sentence for what is off."""
    spoken = await server.speech("Hello there.", response_format="wav")
    assert spoken.status_code == 200
    assert len(spoken.content) > 10_000
    assert (await server.administer("GET", "ledger")).json()["is_clean"]
    made = await server.administer("POST", "accounts", {"name": "bob", "plan": "unlimited"})
    if "own_voices" not in off:
        listed = await server.ask("GET", "/v1/audio/voices/erasures/ers_none")
        assert listed.status_code == 404
    assert (await server.administer("DELETE", f"accounts/{made.json()['id']}")).status_code == 200
    on = (await server.ask("GET", "/v1")).json()["features"]
    assert {*on} == {*FEATURES} - {*off}
    for feature in (each for each in all_features() if each.name in off):
        for root in (each for each in feature.paths if each.startswith(("/v1/", "/admin/"))):
            answer = await server.ask("DELETE", root.replace("{id}", "x") + "/y", key=server.admin_key)
            error = envelope(answer)
            assert (answer.status_code, error["code"]) == (404, "feature_off"), root
            assert f"take {feature.name!r} out of off in [features]" in error["message"]


@each_row("off", [*sorted(SINGLES), *sorted(PAIRS - SINGLES), ALL])
async def test_the_others_go_on_without_it(off: tuple[str, ...], tmp_path: Path) -> None:
    async with inside(tmp_path, f"{WHOLE}[features]\noff = {[*off]}\n") as server:
        await is_whole(server, off)
        off_roots = [root for each in all_features() if each.name in off for root in each.paths]
        roots = ClosedPaths(dict.fromkeys(off_roots, ("", False)))
        gone = paths_of_all() - paths(server)
        assert not {path for path in gone if roots.reason_closed(path) is None}


@each_row(
    ("off", "says"),
    [
        (["webhook"], "there is no feature 'webhook'; did you mean webhooks"),
        (["erasure"], "erasure cannot be off: each start repeats"),
        (["models"], "models cannot be off: each start reads natural.toml"),
        (["vault"], "vault cannot be off: features seal there"),
        (["mail"], "users needs mail: turn users off as well"),
    ],
)
def test_what_cannot_be_off_is_refused(off: list[str], says: str, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f"[features]\noff = {off}\n")
    with pytest.raises(ConfigError, match="features.off: .*" + says):
        load_config(file, {})


def test_a_server_on_postgresql_is_seen_by_the_others(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[features]\noff = ["cluster"]\n[storage]\nurl = "postgresql://127.0.0.1/voxgate"\n')
    with pytest.raises(ConfigError, match="cluster can be off on SQLite alone"):
        load_config(file, {})


async def test_a_feature_with_rows_stays_on(tmp_path: Path) -> None:
    async with inside(tmp_path) as server:
        put = await server.ask("PUT", "/v1/lexicons/mine", body={"words": {"voxgate": "vox gate"}})
        assert put.status_code in (200, 201)
    with pytest.raises(StorageFailed, match=r"lexicons has 1 row.*take 'lexicons' out of off"):
        async with inside(tmp_path, f'{TONE}[features]\noff = ["lexicons"]\n'):
            pass
    async with inside(tmp_path, name="eve") as server:
        assert len((await server.ask("GET", "/v1/lexicons", key=server.admin_key)).json()["data"]) == 0
