"""The page at / for people without a session, and the name under which the server shows itself to people.

The feature `front` shares a subclass of `PublicFront`. Without it, the page is the sign-in alone.
"""

from __future__ import annotations

import re

from starlette.requests import Request

from proxy.http.endpoint import Query
from proxy.http.replies import Compressed

LANGUAGES = ("en", "pt-BR", "th", "es")
"""The languages of the page and of the console."""
LANGUAGE = Query("lang", "The language of the page, in place of the one that the browser prefers.", LANGUAGES)
HTML_TYPE = "text/html; charset=utf-8"
NAME = "voxgate"
_PLACEHOLDERS = re.compile("LANGUAGE|LOOK|<!-- (?:head|look|front) -->")
_ICON = re.compile(r'<link rel="icon"[^>]*>\n')


class PublicFront:
    """`name` is that of the operator's service, "" without one."""

    name = ""

    async def document(self, request: Request, shell: str) -> Compressed:
        """Return the page: the console's `shell`, with what a visitor sees in it."""
        del request
        return fill_shell(shell)


def fill_shell(
    shell: str, *, language: str = "en", look: str = "", head: str = "", styles: str = "", body: str = ""
) -> Compressed:
    """Put HTML into the placeholders of a shell. Without a `head`, search engines do not index the page. An
    icon in the `styles` replaces that of the shell."""
    if 'rel="icon"' in styles:
        shell = _ICON.sub("", shell, count=1)
    parts = {
        "LANGUAGE": language,
        "LOOK": look,
        "<!-- head -->": head or f'<title>{NAME}</title>\n<meta name="robots" content="noindex">',
        "<!-- look -->": styles,
        "<!-- front -->": body,
    }
    shell = _PLACEHOLDERS.sub(lambda place: parts[place[0]], shell)
    return Compressed.compress(HTML_TYPE, shell.encode())
