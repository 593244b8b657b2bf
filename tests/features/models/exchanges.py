"""What the offer of own voices is asked by the test of /openapi.json, in this order."""

from tests.proxy.http.described import Exchange

_PATH = "/admin/own_voices"

EXCHANGES = (
    Exchange("get_own_voices", "GET", f"{_PATH}?language=pt"),
    Exchange("get_own_voices", "GET", f"{_PATH}?language=eo", status=404),
    Exchange("fetch_own_voices", "POST", _PATH, {"language": "eo", "agree": True}, 404),
    Exchange("fetch_own_voices", "POST", _PATH, {"language": "pt", "agree": False}, 400),
)
