"""[server], [storage] and [limits]: what is trusted, where it is counted, and what several workers share."""

from pathlib import Path

import pytest

from tests.proxy.config.files import faults, load
from tests.tables import each_row

POSTGRES = '[storage]\nurl = "postgresql://ada:hunter2@db/voxgate"\n'
REDIS = '[limits]\nurl = "redis://:hunter2@cache:6379/1"\n'


def test_several_workers_need_both_a_database_and_limits_that_they_share(tmp_path: Path) -> None:
    assert load(tmp_path, f"[server]\nworkers = 3\n{POSTGRES}{REDIS}").server.workers == 3
    assert load(tmp_path, f"{POSTGRES}{REDIS}").server.workers == 1


@each_row(
    ("stores", "named", "not_named"),
    [
        ("", ("storage.url", "SQLite takes one writer", "limits.url", "count alone"), ()),
        (POSTGRES, ("limits.url", "Redis"), ("storage.url",)),
        (REDIS, ("storage.url", "PostgreSQL"), ("limits.url",)),
    ],
)
def test_without_them_the_fault_says_why_and_what_to_set(
    tmp_path: Path, stores: str, named: tuple[str, ...], not_named: tuple[str, ...]
) -> None:
    (line,) = faults(tmp_path, f"[server]\nworkers = 2\n{stores}")
    assert line.startswith("server.workers: 2 workers share one state: set ")
    assert all(word in line for word in named)
    assert not any(word in line for word in (*not_named, "hunter2"))


def test_an_address_that_is_wrong_is_the_only_fault_then(tmp_path: Path) -> None:
    text = "[server]\nworkers = 3\n[storage]\nurl = 'env:DB'\n[limits]\nurl = 'env:CACHE'\n"
    lines = faults(tmp_path, text)
    assert [line.partition(":")[0] for line in lines] == ["storage.url", "limits.url"]


def test_where_it_is_counted_may_be_said_outside_the_file(tmp_path: Path) -> None:
    url = "rediss://ada:hunter2@cache.example:6380/3"
    (tmp_path / "cache-url").write_text(f"{url}\n")
    assert load(tmp_path, f"[limits]\nurl = '{url}'").limits.url == url
    assert load(tmp_path, "[limits]\nurl = 'file:cache-url'").limits.url == url
    assert load(tmp_path, "", VOXGATE_LIMITS__URL=url).limits.url == url
    loaded = load(tmp_path, "[limits]\nurl = 'env:CACHE'", CACHE=url)
    assert loaded.limits.url == url
    assert repr(loaded.limits) == "<LimitsStore cache.example:6380/3>"
    assert load(tmp_path, "").limits.url == "memory"


@each_row(
    ("named", "fault"),
    [
        ("env:CACHE", "env:CACHE is not set"),
        ("env:BAD", "unknown kind of limits"),
        ("file:nowhere", "nowhere cannot be read"),
        ("redis://u:hunter2/@cache", "the address cannot be read"),
    ],
)
def test_a_fault_names_the_key_and_never_the_address(tmp_path: Path, named: str, fault: str) -> None:
    (line,) = faults(tmp_path, f"[limits]\nurl = '{named}'", BAD="hunter2")
    assert line.startswith("limits.url: ")
    assert fault in line
    assert "hunter2" not in line


@pytest.mark.parametrize("section", ["storage", "limits"])
def test_an_address_in_the_wrong_form_is_not_repeated_either(tmp_path: Path, section: str) -> None:
    (line,) = faults(tmp_path, f"[{section}]\nurl = ['redis://ada:hunter2@cache']")
    assert line.startswith(f"{section}.url: must be ")
    assert line.endswith("; got an address")


def test_addresses_and_networks_are_trusted(tmp_path: Path) -> None:
    trusted = ("10.0.0.0/8", "127.0.0.1", "::1", "fd00::/8")
    text = f"[server]\ntrusted_proxies = {list(trusted)}"
    assert load(tmp_path, text).server.trusted_proxies == trusted


@each_row("wrong", ["*", "proxy.example", "10.0.0.1/8", "10.0.0.0/33", "10.0.0", "unix:", "1"])
def test_a_text_that_is_no_address_is_named(tmp_path: Path, wrong: str) -> None:
    (line,) = faults(tmp_path, f"[server]\ntrusted_proxies = ['127.0.0.1', '{wrong}']")
    assert line.startswith("server.trusted_proxies: must be IP addresses or networks, such as")
    assert repr(wrong) in line
    assert "127.0.0.1" not in line


@each_row(
    ("text", "says"),
    [
        ("usage_days = -1", "server.usage_days: must be a number of days, 0 (for good) to 36500"),
        ("usage_days = 1.5", "server.usage_days: must be a number of days, 0 (for good) to 36500"),
        ("idempotency_mb = -1", "server.idempotency_mb: must be a number of megabytes, 0 (none) to 1000000"),
        ("spill_mb = 1000001", "server.spill_mb: must be a number of megabytes, 0 (none) to 1000000"),
        (
            "least_bytes_per_s = 1000001",
            "server.least_bytes_per_s: must be a number of bytes, 0 (no limit) to",
        ),
        ("workers = 0", "server.workers: must be a number of workers, 1 to 64"),
    ],
)
def test_numbers_out_of_range_are_named(tmp_path: Path, text: str, says: str) -> None:
    (line,) = faults(tmp_path, f"[server]\n{text}")
    assert line.startswith(says)
