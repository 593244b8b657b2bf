"""The page /sign-in: it asks for an address, takes a code, and spends a mailed link by a button."""

from __future__ import annotations

import html
import json
from pathlib import Path

from proxy.api.welcome import HtmlPage
from proxy.features.users.section import UsersSection

_PAGE = Path(__file__).with_name("page")


def sign_in_page(section: UsersSection) -> HtmlPage:
    texts = json.loads((_PAGE / "texts.json").read_text())
    links = "".join(
        f'<a href="{html.escape(address)}" data-text="{name}"></a>'
        for name, address in (("terms", section.terms), ("privacy", section.privacy))
        if address
    )
    # Each `<` is escaped, so no text can end the script.
    script = f"const TEXTS = {json.dumps(texts)};".replace("<", "\\u003c")
    script += (_PAGE / "sign_in.js").read_text()
    page = (_PAGE / "sign_in.html").read_text().replace("<!--links-->", links)
    page = page.replace("<style></style>", f"<style>\n{(_PAGE / 'sign_in.css').read_text()}</style>")
    return HtmlPage(page.replace("<script></script>", f"<script>\n{script}</script>"))
