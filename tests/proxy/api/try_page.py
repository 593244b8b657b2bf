"""The page at / in a browser: its fields are filled in, and it is looked at as everybody sees it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import soundfile
import soxr  # type: ignore[import-untyped]

from tests import speech_clips
from tests.browser import Tab, chromium
from tests.clients.environments import modules
from tests.programs import present
from tests.server import Server
from tests.sound import decoded

_MICROPHONE = "--use-fake-device-for-media-stream"
_ALLOWED = "--use-fake-ui-for-media-stream"
"""The reader says yes when the browser asks."""

_TAKEN = """
window.tracks = [];
window.sounds = [];
const address = URL.createObjectURL;
URL.createObjectURL = (blob) => (window.sounds.push(blob), address(blob));
const open = navigator.mediaDevices?.getUserMedia.bind(navigator.mediaDevices);
if (open) navigator.mediaDevices.getUserMedia = async (wanted) => {
  const stream = await open(wanted);
  window.tracks.push(...stream.getTracks());
  return stream;
};
window.requestAnimationFrame = (draw) => setTimeout(() => draw(performance.now()), 50);
window.cancelAnimationFrame = clearTimeout;
"""
"""Notes what the page took of the microphone, and the sounds that it can play. It draws as often as a test
looks: without a screen, sixty frames a second are work for nobody."""

HAS_VOICES = "!at('model').disabled"
IS_HEARD = "!at('heard').hidden && !at('play').disabled"
"""The clip is whole, was heard, and can be heard again."""

MICROPHONE_IS_FREE = "tracks.length && tracks.every(({ readyState }) => readyState === 'ended')"


@contextmanager
def speaking_browser(folder: Path, *flags: str, is_allowed: bool = True) -> Iterator[Tab]:
    """A browser whose microphone hears twelve seconds of speech, again and again."""
    heard = decoded(speech_clips.wav(), "wav")
    file = folder / "microphone.wav"
    # Chromium takes 24 and 48 kHz only.
    soundfile.write(file, soxr.resample(heard.samples, heard.sample_rate_hz, 48_000), 48_000, "PCM_16")
    asked = (_ALLOWED,) if is_allowed else ()
    capture = f"--use-file-for-fake-audio-capture={file}"
    with chromium(folder, _MICROPHONE, capture, *asked, *flags) as tab:
        tab.call("Page.addScriptToEvaluateOnNewDocument", source=_TAKEN)
        yield tab


def part(recorder: str, name: str) -> str:
    """An expression for a part of a recorder."""
    return f"document.querySelector('#{recorder} [data-part={name}]')"


def told(page: Tab, recorder: str) -> str:
    """What the recorder says of the recording that it has by now."""
    page.wait(f"!{part(recorder, 'kept')}.hidden")
    return str(page.run(f"{part(recorder, 'said')}.textContent"))


def record(page: Tab, recorder: str, seconds: float) -> str:
    """Speak into the microphone until the page shows so many seconds."""
    page.run(f"{part(recorder, 'record')}.click()")
    page.wait(f"!{part(recorder, 'stop')}.hidden")
    page.wait(f"parseFloat({part(recorder, 'seconds')}.textContent) >= {seconds}")
    page.run(f"{part(recorder, 'stop')}.click()")
    return told(page, recorder)


def open_maker(page: Tab, server: Server, key: str) -> None:
    """Open the form for a new voice, as a new reader does."""
    open_page(page, server)
    enter_key(page, key)
    page.wait("!at('own-new').hidden")
    page.run("at('own-new').click()")
    page.wait("at('own-language').options.length")
    speaks(page, "en-US")


def speaks(page: Tab, tag: str) -> None:
    """Choose the language of the recording, and wait for its sentence."""
    page.run(f"(at('own-language').value = '{tag}', at('own-language').dispatchEvent(new Event('change')))")
    page.wait(f"at('phrase').lang === '{tag}'")


def state(page: Tab, name: str) -> None:
    """Choose a name, and a consent in writing."""
    fill(page, "own-name", name)
    page.run("document.querySelector('[name=way][value=statement]').click()")
    fill(page, "own-statement", "Ana agreed on paper.")


def create(page: Tab) -> str:
    """Press the button, and return what the page says."""
    page.run("at('create').click()")
    page.wait("!making && (at('maker').hidden || !at('alert').hidden)")
    return str(page.run("at('maker').hidden ? at('own-status').textContent : at('alert').textContent"))


def fill(page: Tab, field: str, text: str) -> None:
    page.run(f"(at('{field}').focus(), at('{field}').select())")
    page.type(text)


def open_page(page: Tab, server: Server) -> None:
    """Open the page as somebody who has not been there: nothing is left of the reader before."""
    if page.run("location.protocol") != "about:":
        page.run("sessionStorage.clear()")
    page.open(f"{server.url}/")


def enter_key(page: Tab, key: str) -> None:
    fill(page, "key", key)
    page.press("Tab")
    page.wait(HAS_VOICES)


def speak(page: Tab) -> None:
    """Press the button as a hand does: what no key or click has asked for, a browser does not let sound."""
    page.run("at('speak').focus()")
    page.press("Enter")


def load_axe(page: Tab) -> None:
    """Bring the rules of accessibility into the page."""
    axe = (present(lambda: modules("axe")) / "axe-core" / "axe.min.js").read_text()
    page.run(f"(() => {{ {axe} }})()")


Looks = tuple[tuple[int, str], ...]
NARROW: Looks = ((375, "light"),)
WIDE: Looks = ((1280, "dark"),)
IN_TURN = (NARROW, WIDE)
"""For the states of a page by turns. A look takes axe seconds: `make soak` has all four of each state."""

ALL_LOOKS: tuple[Looks, ...] = ((*NARROW, *WIDE, (375, "dark"), (1280, "light")),)


def assert_readable(page: Tab, looks: Looks, part: str = "html") -> None:
    """In each of these looks. To look at a part takes a third of the time."""
    for width, scheme in looks:
        page.show(width=width, scheme=scheme)
        found = page.run(
            f"axe.run('{part}').then(({{ violations }}) =>"
            " violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]))"
        )
        assert found == []
        assert page.run("document.documentElement.scrollWidth") <= width
