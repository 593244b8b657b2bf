"""What the files of the console are asked by the test of /openapi.json, in this order."""

from proxy.features.console.files import console
from tests.proxy.http.described import Exchange

_FOLDER = f"/console/{console().build}"

EXCHANGES = (
    Exchange("console_file", "GET", f"{_FOLDER}/head.js"),
    Exchange("console_file", "GET", f"{_FOLDER}/console.css"),
    Exchange("console_file", "GET", f"{_FOLDER}/texts/en.json"),
    Exchange("console_file", "GET", f"{_FOLDER}/none.js", status=404),
)
