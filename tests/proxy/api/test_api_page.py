"""/docs: the API as a page that a person reads, made of openapi.json, and of nothing from elsewhere."""

import json
from collections.abc import Sequence
from html.parser import HTMLParser

import pytest

from proxy.features.pages.api_page import api_html
from tests.proxy.api.inside import Inside

pytestmark = pytest.mark.slow


class _Reader(HTMLParser):
    """Reads a page: its texts, ids, links, and whatever is open at a time."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.add(tag)
        self.ids += filter(None, [values.get("id")])
        self.links += filter(None, [values.get("href"), values.get("src")])
        if tag not in ("meta", "link"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


async def test_the_page_tells_each_request_and_each_object(server: Inside) -> None:
    document = (await server.ask("GET", "/openapi.json", key="")).json()
    answer = await server.ask("GET", "/docs", key="")
    assert answer.headers["content-type"].startswith("text/html")
    page = _Reader(answer.text)
    requests = {f"{verb.upper()} {path}" for path, verbs in document["paths"].items() for verb in verbs}
    assert requests <= set(page.texts)
    assert {f"schema-{name}" for name in document["components"]["schemas"]} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert {link for link in page.links if link.startswith("#")} <= {f"#{id_}" for id_ in page.ids}


async def test_nothing_of_it_comes_from_elsewhere_and_nothing_runs(server: Inside) -> None:
    answer = await server.ask("GET", "/docs", key="")
    page = _Reader(answer.text)
    assert {link for link in page.links if not link.startswith("#")} == {".", "openapi.json"}
    assert not page.tags & {"script", "link", "img", "iframe"}
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy


def test_what_a_description_says_is_shown_as_it_is_written() -> None:
    evil = "<script>alert('x')</script> & `<b>`"
    schema = {"type": "object", "description": evil, "properties": {"<i>": {"enum": [evil], "default": evil}}}
    document = {
        "info": {"description": evil, "version": evil},
        "paths": {
            "/<u>": {
                "get": {
                    "operationId": "u",
                    "tags": ["<s>"],
                    "summary": evil,
                    "description": evil,
                    "responses": {},
                }
            }
        },
        "components": {"schemas": {"Evil": schema}, "responses": {}},
    }
    page = _Reader(api_html(document))
    assert not page.tags & {"script", "b", "i", "u", "s"}
    assert "<i>" in page.texts
    assert json.dumps(evil) in page.texts
