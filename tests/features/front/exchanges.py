"""What the files of the front are asked by the test of /openapi.json, in this order."""

from tests.proxy.http.described import Exchange

EXCHANGES = (Exchange("front_file", "GET", "/front/none.css", status=404),)
