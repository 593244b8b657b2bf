"""docs/operations.md, "Reload the configuration": its table is what a reload does, setting by setting."""

from __future__ import annotations

from proxy.config.reload import NEEDS_RESTART
from proxy.config.sections import Config, Server
from tests.docs import pages

_SECTIONS = set(Config.__struct_fields__) - {"server", "secrets", "data", "source", "warnings"}


def test_every_setting_stands_where_a_reload_puts_it() -> None:
    ((at_once, restart),) = pages.rows(pages.section(pages.doc("operations.md"), "Reload the configuration"))
    now, later = (set(pages.codes(cell)) - {"[server]"} for cell in (at_once, restart))
    assert {name for name in later if not name.startswith("[")} == set(NEEDS_RESTART)
    assert {name for name in now if not name.startswith("[")} == {*Server.__struct_fields__} - {
        *NEEDS_RESTART
    }
    assert {name.strip("[]") for name in now | later if name.startswith("[")} == _SECTIONS
    assert later >= {"[storage]", "[limits]", "[upstream]", "[engines]"}
