"""A real browser: Chromium without a window, driven over its own protocol."""

import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.programs import program
from tests.waiting import LIMIT_S, until

_FLAGS = (
    "--headless=new",
    "--remote-debugging-port=0",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-extensions",
    "--disable-component-extensions-with-background-pages",
    "--disable-default-apps",
    "--disable-breakpad",
    "--disable-gpu",
    "--disable-software-rasterizer",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--mute-audio",
    # It opens our own page alone, and neither root nor a container may have the sandbox.
    "--no-sandbox",
    # A container gives shared memory little room, or none.
    "--disable-dev-shm-usage",
)
_KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, "Space": 32, "ArrowDown": 40, "ArrowRight": 39}
_TEXTS = {"Enter": "\r", "Space": " "}


class Tab:
    """A page in the browser. It notes the addresses that it asked for, and what its console says."""

    def __init__(self, socket: ClientConnection, session: str) -> None:
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.downloads: list[str] = []
        self._socket = socket
        self._session = session
        self._number = 0
        self._saving = ""
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")

    def call(self, method: str, **parameters: Any) -> Any:
        """What the browser answers. Events that come in between are noted."""
        message = self._ask(method, parameters)
        assert "error" not in message, (method, message["error"])
        return message["result"]

    def _ask(self, method: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        self._number += 1
        sent = {
            "id": self._number,
            "method": method,
            "params": parameters,
            "sessionId": self._session,
        }
        self._socket.send(json.dumps(sent))
        until_s = time.monotonic() + LIMIT_S
        while (message := self._next(until_s)).get("id") != self._number:
            self._note(message)
        return message

    def run(self, script: str) -> Any:
        """The value of an expression in the page; a promise is awaited."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, condition: str) -> None:
        """Returns when the condition holds. Looking with each frame would make the browser draw each."""
        self.run(
            "new Promise(resolve => { const look = () =>"
            f" ({condition}) ? resolve() : setTimeout(look, 10); look(); }})"
        )

    def arrive(self, condition: str) -> None:
        """Returns when it holds, while the browser goes to another document: the old one has no answer."""
        wanted = {"expression": f"Boolean({condition})", "returnByValue": True}

        def holds() -> bool:
            found = self._ask("Runtime.evaluate", wanted).get("result", {})
            return found.get("result", {}).get("value") is True

        until(holds)

    def press(self, key: str, *, ctrl: bool = False) -> None:
        """One key of the keyboard, to whatever has the focus."""
        text = {"text": _TEXTS[key]} if key in _TEXTS else {}
        name = " " if key == "Space" else key
        common = {"key": name, "code": key, "windowsVirtualKeyCode": _KEYS[key], "modifiers": 2 * ctrl}
        self.call("Input.dispatchKeyEvent", type="keyDown", **common, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def type(self, text: str) -> None:
        self.call("Input.insertText", text=text)

    def choose_file(self, selector: str, file: Path) -> None:
        """What a reader does in the browser's own dialog."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", files=[str(file)], nodeId=node)

    def show(self, *, width: int, height: int = 900, scheme: str = "light") -> None:
        """The window's size, and the colours that the reader prefers."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        # With motion, a colour would take its time to change.
        preferences = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
        features = [{"name": name, "value": value} for name, value in preferences.items()]
        self.call("Emulation.setEmulatedMedia", features=features)

    def downloaded(self, folder: Path, click: str) -> bytes:
        """What the browser saves once an expression has run."""
        self.call(
            "Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder), eventsEnabled=True
        )
        before = len(self.downloads)
        self.run(click)
        until_s = time.monotonic() + LIMIT_S
        while len(self.downloads) == before:
            self._note(self._next(until_s))
        return (folder / self.downloads[-1]).read_bytes()

    def _next(self, until_s: float) -> dict[str, Any]:
        """The next message. A page that tells something again and again lengthens no wait."""
        if (left_s := until_s - time.monotonic()) <= 0.0:
            raise TimeoutError("the page tells of other things alone")
        message: dict[str, Any] = json.loads(self._socket.recv(timeout=left_s))
        return message

    def _note(self, message: Mapping[str, Any]) -> None:
        parameters = message.get("params", {})
        match message.get("method"):
            case "Network.requestWillBeSent":
                self.requests.append(parameters["request"]["url"])
            case "Log.entryAdded":
                self.complaints.append(parameters["entry"]["text"])
            case "Runtime.exceptionThrown":
                self.complaints.append(str(parameters["exceptionDetails"]))
            case "Browser.downloadWillBegin":
                self._saving = parameters["suggestedFilename"]
            case "Browser.downloadProgress" if parameters["state"] == "completed":
                self.downloads.append(self._saving)


@contextmanager
def chromium(folder: Path, *flags: str) -> Iterator[Tab]:
    """A fresh browser with an empty profile; skips the test where there is none, and fails it under CI."""
    found = program("chromium")
    command = [found.file, *_FLAGS, *flags, f"--user-data-dir={folder}", "about:blank"]
    environ = {**os.environ, **found.environ, "HOME": str(folder)}
    process = subprocess.Popen(
        command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        with connect(_address(process), max_size=None) as socket:
            yield Tab(socket, _session(socket))
    finally:
        process.terminate()
        process.communicate()


def _address(process: subprocess.Popen[str]) -> str:
    """Where the browser listens, which it says once it does."""
    assert process.stderr
    printed = []
    for line in process.stderr:
        printed.append(line)
        if "DevTools listening on " in line:
            return line.split("listening on ")[1].strip()
    raise AssertionError(f"the browser did not start: {''.join(printed)}")


def _session(socket: ClientConnection) -> str:
    """Attaches to a new page."""
    answer: dict[str, Any] = {"url": "about:blank"}
    for number, method in ((-2, "Target.createTarget"), (-1, "Target.attachToTarget")):
        socket.send(json.dumps({"id": number, "method": method, "params": {**answer}}))
        while (message := json.loads(socket.recv(timeout=LIMIT_S))).get("id") != number:
            pass
        answer = {**message["result"], "flatten": True}
    return str(answer["sessionId"])
