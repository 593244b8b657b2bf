"""What the endpoint of samples is asked by the test of /openapi.json. That server makes none."""

from tests.proxy.http.described import Exchange

EXCHANGES = (Exchange("get_sample", "GET", "/v1/audio/samples/none.mp3", status=404),)
