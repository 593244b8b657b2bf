"""The console of a server with few features: it draws no page, link or field of one that is off."""

from pathlib import Path

import pytest

from tests.browser import Tab
from tests.features.console.conftest import CONFIG, _watched
from tests.features.console.console_page import ALL_LOOKS, Reader
from tests.features.console.test_speak import heard, speak
from tests.features.test_left_out import MAY_BE_OFF
from tests.server import running

OFF = [name for name in MAY_BE_OFF if name not in ("console", "pages")]
_LINKS = "[...document.querySelectorAll('nav a, main a')].map((each) => each.hash)"


@pytest.mark.kit("axe")
def test_what_is_off_is_nowhere_and_the_rest_speaks(browser: Tab, tmp_path: Path) -> None:
    with running(tmp_path, f"{CONFIG}\n[features]\noff = {OFF}\n") as server, _watched(browser, server.url):
        reader = Reader(browser, server, server.mint_key(role="admin"))
        reader.open()
        reader.wait("at('nav')")
        assert browser.run(_LINKS) == ["#/speak", "#/scripts", "#/voices", "#/account", "#/admin"]
        assert browser.run("[at('#speak-kept'), at('#speak-estimate')?.textContent.trim()]") == [None, ""]
        speak(reader, "Good morning.")
        assert heard(reader) == "Good morning."
        assert (
            browser.run("[...document.querySelectorAll('[role=alert]')].map((each) => each.innerText)") == []
        )
        reader.assert_readable(ALL_LOOKS[:1])
        for page, gone in (("voices", "#voices-new, [href='#/marks']"), ("account", "[href^='#/orders']")):
            reader.go(page)
            assert browser.run(f'document.querySelectorAll("{gone}").length') == 0
        reader.go("admin")
        tabs = "[...document.querySelectorAll('#page nav a, #page [role=tab]')].map((each) => each.hash)"
        assert browser.run(tabs) == ["#/admin", "#/admin/accounts", "#/admin/plans", "#/admin/audit"]
        browser.run("void (location.hash = '#/history')")
        reader.wait("at('#speak-input')")
