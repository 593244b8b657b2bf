"""`make serve` again, where the first had no index."""

from __future__ import annotations

from pathlib import Path

from proxy.config import natural
from tests.deploy.test_natural_serve import LINE, MAKE, REPOSITORY, SHIPPED, said, serve_without_an_index
from tests.server import running


def test_nobody_asks_the_index_again_and_the_line_is_there_again(tmp_path: Path) -> None:
    away = serve_without_an_index(tmp_path)
    kept = tmp_path / "data" / natural.FILE
    before = kept.stat().st_mtime_ns
    (tmp_path / "server.log").unlink()
    with running(tmp_path, SHIPPED, command=MAKE, cwd=REPOSITORY, environ=away) as again:
        (line,) = said(again)
    assert LINE in line
    assert "index" not in line
    assert kept.stat().st_mtime_ns == before
