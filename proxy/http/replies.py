"""Whole JSON answers, errors included, in the one encoding that all endpoints share."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.responses import Response

from policies import rate
from proxy.errors import RequestFailed

encode_json = msgspec.json.Encoder().encode


def reply(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(encode_json(value), status, headers, media_type="application/json")


def failure_reply(failure: RequestFailed) -> Response:
    headers = dict(failure.headers)
    if failure.retry_after_s is not None:
        headers["retry-after"] = str(rate.retry_after_s(failure.retry_after_s))
    return reply(failure.body(), failure.status, headers)
