"""Credits by hand: grants, corrections, refunds, entries, and whether the books agree."""

from typing import Any

from tests.corpus.steps import Step, Topic, account, delete, get, post, speak


def _grant(name: str, /, to: str = "payer", **body: Any) -> Step:
    return post(name, f"/admin/accounts/{to}/grants", body, "admin")


def _correct(name: str, /, **body: Any) -> Step:
    return post(name, "/admin/accounts/payer/corrections", body, "admin")


def _refund(name: str, request: str, /, **body: Any) -> Step:
    return post(name, f"/admin/requests/{request}/refund", body, "admin")


_ID = "header x-request-id"

_books = (
    *account("payer", "tiny"),
    _grant("a grant", credits=10, reference="invoice-{acc_payer}", reason="a payment"),
    _grant("the same grant again", credits=10, reference="invoice-{acc_payer}"),
    _grant("another grant with its reference", credits=11, reference="invoice-{acc_payer}"),
    _grant("a grant of a part", credits=0.000001),
    _grant("a grant of nothing", credits=0),
    _grant("a grant below zero", credits=-1),
    _grant("a grant with too many decimals", credits=0.0000001),
    _grant("a grant as a text", credits="10"),
    _grant("a grant without credits", reason="x"),
    _grant("a grant with a reason too long", credits=1, reason="a" * 501),
    _grant("a grant to nobody", "nobody", credits=1),
    _correct("more", credits=1.5, reason="a mistake"),
    _correct("fewer", credits=-2, reason="another mistake"),
    _correct("a correction of nothing", credits=0, reason="x"),
    _correct("a correction without a reason", credits=1),
    speak(
        "spends both pools",
        "Hello, this text has more than fifty characters in all.",
        step={"key": "payer", "save": {"req_both": _ID}},
    ),
    speak("spends what was granted", "Hello.", step={"key": "payer", "save": {"req_one": _ID}}),
    speak("spends nothing", "Hello.", voice="breaks", step={"key": "payer", "save": {"req_failed": _ID}}),
    get("what is left", "/v1/me", "payer"),
    _refund("a part", "{req_both}", reason="it was noisy", credits=0.1),
    _refund("the same twice", "{req_both}", reason="it was noisy"),
    _refund("all of it", "{req_one}", reason="it was noisy"),
    _refund("too much", "{req_one}", reason="x", credits=1000),
    _refund("of what cost nothing", "{req_failed}", reason="x"),
    _refund("of no request", "req_0", reason="x"),
    _refund("without a reason", "{req_one}"),
    get("the entries", "/admin/accounts/payer/entries", "admin"),
    get("a page of them", "/admin/accounts/payer/entries?limit=2", "admin", save={"last": "last_id"}),
    get("the next page", "/admin/accounts/payer/entries?limit=2&after={last}", "admin"),
    get("entries of nobody", "/admin/accounts/nobody/entries", "admin"),
    get("the usage knows of refunds", "/v1/usage", "payer"),
    get("the balance", "/admin/accounts/payer", "admin"),
    get("the books agree", "/admin/ledger", "admin", ignores_body=True),
    get("the audit", "/admin/audit?account=payer&limit=4", "admin"),
    delete("closes it", "/admin/accounts/payer", "admin"),
    _grant("no grants any more", credits=1),
    _refund("no refunds any more", "{req_one}", reason="x"),
    get("not for clients", "/admin/ledger"),
)

TOPICS = (Topic("admin_books", "house", _books),)
