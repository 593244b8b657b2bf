"""Which requests a page of this server has sent. Pages of other origins must not act for its visitors."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope


def origin_of(url: str) -> str:
    """Return the origin of `public_url` as a browser writes it, or "" without one."""
    parts = urlsplit(url)
    host = parts.netloc.lower()
    usual = {"https": ":443", "http": ":80"}.get(parts.scheme, "")
    return f"{parts.scheme}://{host.removesuffix(usual)}" if host else ""


def is_own_page(scope: Scope, own_origin: str) -> bool:
    """Tell whether a script of this server's own page has sent the request.

    Browsers send the two Sec-Fetch headers to https and loopback, and no script can set them. Old ones send
    `Origin` alone.
    """
    headers = Headers(scope=scope)
    site, destination = headers.getlist("sec-fetch-site"), headers.getlist("sec-fetch-dest")
    if site or destination:
        return site == ["same-origin"] and destination == ["empty"]
    return own_origin != "" and headers.getlist("origin") == [own_origin]


def is_foreign_page(scope: Scope, own_origin: str) -> bool:
    """Tell whether a page has sent the request that is none of this server. Programs send no such headers."""
    headers = Headers(scope=scope)
    is_page = any(name in headers for name in ("sec-fetch-site", "sec-fetch-dest", "origin"))
    return is_page and not is_own_page(scope, own_origin)
