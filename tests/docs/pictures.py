"""The pictures in docs/images, made with Chromium: `python -m tests.docs.pictures 'http://127.0.0.1:8000/#key=…'`.

The link is of a server that runs, such as `make serve` prints, with natural voices.
"""

import base64
import sys
import tempfile
from pathlib import Path

from tests.browser import Tab, chromium

_IMAGES = Path("docs/images")
_TEXT = "Good morning! The river had no name then, so we gave it one."
_INPUT = "document.querySelector('#speak-input')"
_HEARD = "document.querySelector('#speak-result') && !document.querySelector('#speak-stop')"


def main(link: str) -> None:
    """Speak a text, and save what is seen."""
    with tempfile.TemporaryDirectory() as folder, chromium(Path(folder)) as tab:
        tab.show(width=1280, height=800)
        tab.open(link)
        tab.wait("document.querySelector('#speak-voice')?.disabled === false")
        tab.run(f"({_INPUT}.focus(), {_INPUT}.select())")
        tab.type(_TEXT)
        tab.wait("document.querySelector('#speak-estimate').textContent")
        tab.run("document.querySelector('#speak-go').focus()")
        tab.press("Enter")
        tab.wait(_HEARD)
        seek = "document.querySelector('#player-seek')"
        tab.run(f"({seek}.value = {seek}.max * 0.4, {seek}.dispatchEvent(new Event('input')))")
        _save(tab, "first-screen")
        tab.run("void (location.hash = '#/voices')")
        tab.wait("document.querySelector('.voices li')")
        _save(tab, "voices")


def _save(tab: Tab, name: str) -> None:
    picture = tab.call("Page.captureScreenshot", format="png")["data"]
    (_IMAGES / f"{name}.png").write_bytes(base64.b64decode(picture))


if __name__ == "__main__":
    main(sys.argv[1])
