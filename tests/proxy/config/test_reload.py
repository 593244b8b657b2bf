"""What a reload takes on, and what it leaves for a restart."""

from typing import Any

import msgspec

from policies.plans import Plan, Prices
from policies.price import Price, Rate
from policies.routing import Route
from proxy.config.clusters import ClusterSection, HostSection
from proxy.config.reload import NEEDS_RESTART, dropped_plans, merge_config
from proxy.config.sections import (
    PLUGIN_KINDS,
    Config,
    EngineSection,
    LimitsStore,
    PluginSection,
    Server,
    Storage,
    Upstream,
    VaultSection,
    VoiceSection,
)
from speech_engine.plugin import InstanceKind
from tests.tables import each_row

_OTHER: dict[str, Any] = {
    "host": "0.0.0.0",
    "port": 9,
    "workers": 2,
    "data": "x",
    "secrets_file": "x",
    "drain_s": 1.0,
    "drain_lag_s": 1.0,
    "stall_s": 1.0,
    "least_bytes_per_s": 1,
    "connections": 1,
    "connections_per_client": 1,
    "sockets": 1,
    "sockets_per_account": 1,
    "first_audio_s": 1.0,
    "robot_fallback": True,
    "commercial": False,
    "public_catalogue": True,
    "public_url": "https://speech.example",
    "default_model": "x",
    "default_voice": "x",
    "fill_missing": True,
    "default_language": "pt",
    "detector": "",
    "converter": "x",
    "turn_pause_ms": 0,
    "cors_origins": ("https://x",),
    "hosts": ("x",),
    "trusted_proxies": ("10.0.0.0/8",),
    "usage_days": 1,
    "idempotency_mb": 1,
    "spill_mb": 1,
    "metrics": "",
    "links": "127.0.0.1:1",
    "dev_key": True,
}


@each_row("field", Server.__struct_fields__)
def test_each_setting_of_the_server_is_taken_on_or_named(field: str) -> None:
    running = Config()
    read = Config(server=msgspec.structs.replace(Server(), **{field: _OTHER[field]}))
    reload = merge_config(running, read, ())
    if field in NEEDS_RESTART:
        assert (reload.changed, reload.needs_restart) == ((), (f"server.{field}",))
        assert reload.config.server == running.server
    else:
        assert (reload.changed, reload.needs_restart) == ((f"server.{field}",), ())
        assert reload.config.server == read.server


_OF_VAULT: dict[str, Any] = {
    "master_key": "x",
    "old_master_keys": ("x",),
    "folder": "x",
    "store": "s3://bucket",
    "endpoint": "https://x",
    "region": "x",
    "access_key": "x",
    "secret_key": "x",
    "allow_http": True,
}


@each_row("field", VaultSection.__struct_fields__)
def test_the_place_of_the_vault_waits_for_a_restart_and_its_keys_do_not(field: str) -> None:
    read = Config(vault=msgspec.structs.replace(VaultSection(), **{field: _OF_VAULT[field]}))
    reload = merge_config(Config(), read, ())
    if field in ("master_key", "old_master_keys"):
        assert reload == (read, ("vault",), ())
    else:
        assert reload == (Config(), (), ("vault",))


_LATE = Config(
    engines={"late": EngineSection("tone")},
    models={"m": ("late/standard",)},
    routes=(Route(language="th", candidates=("late/standard",)),),
    voices={"v": VoiceSection(bindings={"late": "x"})},
)


def test_models_routes_and_voices_are_taken_on() -> None:
    read = msgspec.structs.replace(_LATE, engines={})
    reload = merge_config(Config(), read, ())
    assert (reload.changed, reload.needs_restart) == (("models", "routes", "voices"), ())
    assert reload.config == read


def test_models_routes_and_voices_of_other_engines_wait_for_them() -> None:
    running = Config(engines={"espeak": EngineSection("espeak")}, models={"tts-1": ("espeak/standard",)})
    reload = merge_config(running, _LATE, ())
    assert (reload.changed, reload.needs_restart) == ((), ("engines", "models", "routes", "voices"))
    assert reload.config == running


@each_row(
    ("name", "section"),
    [
        ("storage", Storage("postgresql://db/voxgate")),
        ("limits", LimitsStore("redis://cache")),
        ("upstream", Upstream(connections=7)),
        ("host", HostSection(authority="/ca.pem")),
        ("clusters", {"gpu": ClusterSection()}),
    ],
)
def test_a_setting_that_is_opened_once_waits_for_a_restart(name: str, section: object) -> None:
    reload = merge_config(Config(), msgspec.structs.replace(Config(), **{name: section}), ())
    assert reload == (Config(), (), (name,))


@each_row("kind", PLUGIN_KINDS)
def test_a_setting_of_a_plugin_waits_for_a_restart(kind: InstanceKind) -> None:
    read = Config(plugins={kind: {"any": PluginSection(settings={"a": 1})}})
    assert merge_config(Config(), read, ()) == (Config(), (), (f"{kind}s",))


def plans(*listed: Plan) -> dict[str, Plan]:
    return {plan.name: plan for plan in listed}


ESPEAK = {"espeak": EngineSection("espeak")}
FREE, PRO = Plan(name="free", rpm=10), Plan(name="pro")
_PRICES = Prices(speech=Price(60, "minute"), models={"espeak/standard": Price(1, "character")})
_WITH_COSTS = {"espeak": EngineSection("espeak", costs={"*": Rate(0.1, "hour")})}


def test_plans_are_taken_on_at_once() -> None:
    running, read = Config(plans=plans(FREE)), Config(plans=plans(Plan(name="free", rpm=20), PRO))
    assert merge_config(running, read, ()) == (read, ("plans",), ())


def test_plans_do_not_wait_for_engines_that_they_do_not_name() -> None:
    running = Config(engines=ESPEAK)
    read = Config(plans=plans(Plan(name="small", engines=("espeak",))))
    reload = merge_config(running, read, ())
    assert (reload.changed, reload.needs_restart) == (("plans",), ("engines",))
    assert (reload.config.plans, reload.config.engines) == (read.plans, ESPEAK)


def test_plans_of_an_engine_that_is_not_there_yet_wait_for_it() -> None:
    running = Config(engines=ESPEAK, plans=plans(FREE))
    read = msgspec.structs.replace(_LATE, plans=plans(Plan(name="free", engines=("late",))))
    reload = merge_config(running, read, ())
    assert (reload.changed, reload.config) == ((), running)
    assert set(reload.needs_restart) == {"engines", "models", "routes", "voices", "plans"}


def test_the_plans_that_would_be_gone_are_named() -> None:
    running = Config(plans=plans(FREE, PRO, Plan(name="old")))
    assert dropped_plans(running, Config(plans=plans(Plan(name="new"), PRO))) == ("free", "old")
    assert dropped_plans(running, Config(plans=plans(PRO, Plan(name="old"), Plan(name="free", rpm=1)))) == ()


def test_a_configuration_with_plans_reaches_a_worker_whole() -> None:
    read = Config(plans=plans(Plan(name="free", rpm="account", prices=_PRICES), PRO), engines=_WITH_COSTS)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(read), type=Config) == read


def test_an_unchanged_file_changes_nothing() -> None:
    assert merge_config(Config(), Config(), ()) == (Config(), (), ())


def test_a_digest_is_that_of_what_counts() -> None:
    before, after = Config(digest="one"), Config(digest="two")
    assert merge_config(before, after, ()).config.digest == "two"
    moved = msgspec.structs.replace(after, server=Server(workers=2))
    assert merge_config(before, moved, ()).config.digest == "one", "it waits for a restart"
