"""From a server without a cloning model to a voice that is heard on the page, with a restart between."""

from pathlib import Path

import pytest

from tests import speech_clips
from tests.browser import Tab
from tests.checkpoints import install_chirp
from tests.faults.plugin_folders import environ
from tests.features.console.console_page import ALL_LOOKS, Reader, forget
from tests.features.console.test_new_voice import _SAMPLE, chosen, create, own, state
from tests.features.models.conftest import hub
from tests.features.models.hub import Hub
from tests.features.models.test_own_voices import TERMS, lay_gallery
from tests.server import running

pytestmark = pytest.mark.slow

__all__ = ["hub"]

_LANGUAGES = ("en", "es", "pt-BR", "th")


def _speaks(tab: Tab, *languages: str) -> None:
    """Let the browser prefer these languages."""
    tab.call("Emulation.setUserAgentOverride", userAgent="", acceptLanguage=",".join(languages))


def test_an_admin_agrees_on_the_page_and_after_a_restart_a_voice_is_recorded(
    browser: Tab, hub: Hub, tmp_path: Path
) -> None:
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    install_chirp(plugins)
    lay_gallery(plugins, hub, tmp_path / "source")
    (tmp_path / "server").mkdir()
    environment = environ(plugins)
    try:
        with running(tmp_path / "server", "", environ=environment) as server:
            _speaks(browser, "eo", "th", "en")
            forget(browser)
            user = Reader(browser, server, server.mint_key("dev"))
            user.open("voices/new")
            user.wait("at('#offer-ask')")
            assert "voxgate voices own" in user.text("#offer-ask")
            admin = user._replace(key=server.mint_key("dev", role="admin"))
            admin.open("voices/new")
            admin.wait("at('#offer-language')")
            # No model speaks the browser's first language, so the server's is chosen.
            assert browser.run("at('#offer-language').value") == "en"
            offered = browser.run("[...at('#offer-language').options].map(({ value }) => value)")
            assert offered[:2] == ["th", "en"]
            assert {"de", "es", "fr", "it", "pt"} < set(offered)
            admin.choose("#offer-language", "th")
            admin.reads(TERMS, "#offer blockquote")
            _speaks(browser, "th", "en")
            for language in _LANGUAGES:
                browser.run(f"localStorage.setItem('voxgate-language', '{language}')")
                admin.open("voices/new")
                admin.wait("at('#offer-fetch')")
                admin.assert_readable(ALL_LOOKS)
            assert TERMS in admin.text("#offer blockquote")
            assert browser.run("at('#offer-fetch').disabled")
            admin.tab_to("#offer-agree")
            browser.press("Space")
            admin.tab_to("#offer-fetch")
            browser.press("Enter")
            admin.wait("at('#offer') && !at('#offer progress') && !at('#offer-fetch')")
        with running(tmp_path / "server", "", environ=environment) as server:
            ana = Reader(browser, server, server.mint_key("dev"))
            _speaks(browser, "en")
            forget(browser)
            ana.open("voices/new")
            ana.choose("#new-language", "th")
            state(ana, "Ana")
            chosen(ana, _SAMPLE, speech_clips.wav_file())
            assert create(ana) == ""
            assert [voice["name"] for voice in own(ana)] == ["Ana"]
    finally:
        _speaks(browser, "en")
