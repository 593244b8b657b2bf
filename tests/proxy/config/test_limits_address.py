"""Which addresses name a place to count in, and that none is shown with its password."""

from __future__ import annotations

import pytest

from proxy.config.limits_address import check_url, shown


@pytest.mark.parametrize(
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
def test_a_good_address_is_shown_without_who_and_how(url: str, name: str) -> None:
    check_url(url)
    assert shown(url) == name


@pytest.mark.parametrize(
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
def test_any_other_is_refused_unseen(url: str) -> None:
    with pytest.raises(ValueError, match=r'"memory", "redis://') as caught:
        check_url(url)
    assert "hunter2" not in str(caught.value)
