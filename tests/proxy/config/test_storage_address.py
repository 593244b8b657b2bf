"""Which addresses name a database, and that none is shown with its password."""

from __future__ import annotations

import pytest

from proxy.config.storage_address import check_url, shown


@pytest.mark.parametrize(
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
def test_a_good_address_is_shown_without_who_and_how(url: str, name: str) -> None:
    check_url(url)
    assert shown(url) == name


@pytest.mark.parametrize(
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
def test_any_other_is_refused_unseen(url: str) -> None:
    with pytest.raises(ValueError, match=r'"sqlite" or "postgresql://') as caught:
        check_url(url)
    assert "hunter2" not in str(caught.value)
