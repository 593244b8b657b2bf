"""The refusals of the fake: the four shapes of `detail`, and a gateway's page that is none of them."""

from __future__ import annotations

from itertools import count
from typing import Any

from starlette.responses import HTMLResponse, JSONResponse, Response

_numbers = count(1)


class Refused(Exception):
    """Raised anywhere in the fake to send `response` as the answer."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status_code)
        self.response = response


def request_id() -> str:
    return f"fake-request-{next(_numbers)}"


def refuse(http_status: int, name: str, message: str = "No.", *, param: str | None = None) -> Refused:
    """Return a refusal in today's shape."""
    return Refused(_json(http_status, _today(name, message, param)))


def refuse_as_before(http_status: int, name: str, message: str = "No.") -> Refused:
    return Refused(_json(http_status, {"status": name, "message": message}))


def refuse_fields(*faults: tuple[tuple[str, ...], str]) -> Refused:
    detail = [{"loc": ["body", *place], "msg": message, "type": "value_error"} for place, message in faults]
    return Refused(_json(422, detail))


def scripted(code: str, http_status: int, default: str) -> Response:
    """Return the refusal that a test scripts.

    `code` is a name, or `SHAPE:NAME`. The shapes are older, list, bare and html.
    """
    shape, _, name = code.rpartition(":")
    name = name or default
    if shape == "html":
        return HTMLResponse("<html><body><h1>502 Bad Gateway</h1></body></html>", http_status)
    detail: Any = _today(name, "No.", None)
    if shape == "older":
        detail = {"status": name, "message": "No."}
    elif shape == "list":
        detail = [{"loc": ["body", name], "msg": "No.", "type": "value_error"}]
    elif shape == "bare":
        detail = name
    return _json(http_status, detail)


def _today(name: str, message: str, param: str | None) -> dict[str, Any]:
    return {
        "type": "error",
        "code": name,
        "message": message,
        "status": name,
        "request_id": request_id(),
        "param": param,
    }


def _json(http_status: int, detail: Any) -> JSONResponse:
    return JSONResponse({"detail": detail}, http_status, {"request-id": request_id()})
