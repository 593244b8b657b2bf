"""What the endpoints of lexicons are asked by the test of /openapi.json, in this order."""

from __future__ import annotations

from tests.proxy.http.described import Exchange

EXCHANGES = (
    Exchange("put_lexicon", "PUT", "/v1/lexicons/pt-BR", {"words": {"Ana": "Âna"}}),
    Exchange("put_lexicon", "PUT", "/v1/lexicons/pt-BR", {"words": {"": "x"}}, 400),
    Exchange("list_lexicons", "GET", "/v1/lexicons"),
    Exchange("get_lexicon", "GET", "/v1/lexicons/pt-BR"),
    Exchange("delete_lexicon", "DELETE", "/v1/lexicons/pt-BR"),
    Exchange("delete_lexicon", "DELETE", "/v1/lexicons/pt-BR", status=404),
    Exchange("put_lexicon_of", "PUT", "/admin/lexicons/en", {"account": "bob", "words": {"a": "b"}}),
    Exchange("list_lexicons_of", "GET", "/admin/lexicons?account=bob"),
    Exchange("get_lexicon_of", "GET", "/admin/lexicons/en?account=bob"),
    Exchange("delete_lexicon_of", "DELETE", "/admin/lexicons/en?account=bob"),
    Exchange("delete_lexicon_of", "DELETE", "/admin/lexicons/en", status=400),
)
