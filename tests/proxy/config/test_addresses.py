"""Which addresses name a database or a place to count in; none is shown with its password."""

import pytest

from proxy.config.addresses import check_limits, check_storage, show_limits, show_storage
from tests.tables import each_row


@each_row(
    ("url", "name"),
    [
        ("sqlite", "sqlite"),
        ("postgresql://ada:hunter2@db/voxgate", "db/voxgate"),
        ("postgres://ada:hunter2@db.example:5433/voxgate?sslmode=require", "db.example:5433/voxgate"),
        ("postgresql://ada:hunt%2Fer2@[::1]:5433/voxgate", "[::1]:5433/voxgate"),
        ("postgresql://ada:hunter2@one:5432,two:5433/voxgate", "one:5432,two:5433/voxgate"),
        ("postgresql://ada:hunter2@/voxgate?host=/run/pg", "/run/pg/voxgate"),
        ("postgresql:///voxgate?password=hunter2", "the local socket/voxgate"),
    ],
)
def test_a_good_address_of_a_store_is_shown_without_who_and_how(url: str, name: str) -> None:
    check_storage(url)
    assert show_storage(url) == name


@each_row(
    "url",
    [
        *("", "mysql://u:hunter2@db/vg", "sqlite:///somewhere", "postgresql:u:hunter2@db"),
        *("postgresql://u:hunter2/@db/vg", "postgresql://u:hunter2#@db/vg", "postgresql://u:hunter2?@db/vg"),
        *(
            "postgresql://u:hunter2@[::1/vg",
            "postgresql://u:hunter2@db/vg\n",
            "postgresql://u:hunter2@d b/vg",
        ),
    ],
)
def test_any_other_storage_address_is_refused_unseen(url: str) -> None:
    with pytest.raises(ValueError, match=r'"sqlite" or "postgresql://') as caught:
        check_storage(url)
    assert "hunter2" not in str(caught.value)


@each_row(
    ("url", "name"),
    [
        ("memory", "memory"),
        ("redis://cache", "cache"),
        ("redis://ada:hunter2@cache.example:6380/3", "cache.example:6380/3"),
        ("rediss://:hunter2@cache/0?ssl_ca_certs=/etc/ca.pem", "cache/0"),
        ("redis://:hunt%2Fer2@[::1]:6379/", "[::1]:6379/"),
        ("unix:///run/redis.sock", "/run/redis.sock"),
        ("unix://ada:hunter2@/run/redis.sock?db=2", "/run/redis.sock"),
    ],
)
def test_a_good_address_of_limits_is_shown_without_who_and_how(url: str, name: str) -> None:
    check_limits(url)
    assert show_limits(url) == name


@each_row(
    "url",
    [
        *(
            "",
            "Memory",
            "redis",
            "redis:hunter2@cache",
            "memcached://u:hunter2@cache",
            "redis://",
            "redis:///3",
        ),
        *(
            "redis://u:hunter2/@cache",
            "redis://:123/@cache/0",
            "redis://u:123/@hunter2",
            "redis://u:hunter2#@cache",
        ),
        *("redis://u:hunter2@cache/three", "redis://u:hunter2@cache:0", "redis://u:hunter2@cache:70000"),
        *("redis://u:hunter2@one,two", "redis://u:hunter2@[::1/0", "redis://u:hunter2@cache\n"),
        *("redis://u:12?hunter2=1@cache", "redis://cache?socket_timeout=60", "redis://cache?ssl_ca_certs=/x"),
        *("rediss://cache?db=1", "unix:///run/redis.sock?db=hunter2", "redis://cache/0#hunter2"),
        *("unix://", "unix:///", "unix://run/hunter2.sock"),
    ],
)
def test_any_other_limits_address_is_refused_unseen(url: str) -> None:
    with pytest.raises(ValueError, match=r'"memory", "redis://') as caught:
        check_limits(url)
    assert "hunter2" not in str(caught.value)
