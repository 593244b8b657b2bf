"""docs/operations.md, "Reload the configuration": its list is what waits for a restart, and no more."""

from proxy.config import reload
from proxy.config.sections import PLUGIN_KINDS
from proxy.feature_list import all_sections
from tests.docs import pages


def test_every_setting_that_waits_is_listed_and_no_other() -> None:
    section = pages.section(pages.doc("operations.md"), "Reload the configuration")
    sections, keys, _engines = (line for line in section.splitlines() if line.startswith("- "))
    own = (each.name for each in all_sections() if each.needs_restart)
    opened = {name.removesuffix("_off") for name in reload._SECTIONS_OPENED_ONCE} - {"plugins"}
    waiting = {*opened, *(f"{kind}s" for kind in PLUGIN_KINDS), *own}
    assert set(pages.codes(sections)) == {f"[{name}]" for name in waiting}
    assert set(pages.codes(keys)) == {"[server]", *reload.NEEDS_RESTART}
