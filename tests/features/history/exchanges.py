"""What the endpoints of the history are asked by the test of /openapi.json, in this order."""

from tests.proxy.http.described import Exchange

EXCHANGES = (
    Exchange("list_history", "GET", "/v1/history"),
    Exchange("list_history", "GET", "/v1/history?limit=0", status=400),
    Exchange("get_history_entry", "GET", "/v1/history/req_gone", status=404),
    Exchange("get_history_content", "GET", "/v1/history/req_gone/content", status=404),
    Exchange("delete_history_entry", "DELETE", "/v1/history/req_gone", status=404),
    Exchange("delete_history", "DELETE", "/v1/history?since=never", status=400),
    Exchange("delete_history", "DELETE", "/v1/history?until=2026-01-31"),
)
