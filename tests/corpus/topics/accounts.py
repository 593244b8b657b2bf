"""Accounts and keys, as an administrator makes, changes and ends them."""

from typing import Any

from tests.corpus.steps import Step, Topic, account, delete, get, post, speak


def _new(name: str, /, **body: Any) -> Step:
    return post(name, "/admin/accounts", body, "admin")


def _agree(name: str, **agreed: Any) -> Step:
    return post(name, "/admin/accounts/ada", {"agreed": agreed}, "admin")


_accounts = (
    *account("ada", "metered"),
    get("shows it by name", "/admin/accounts/ada", "admin"),
    get("shows it by id", "/admin/accounts/{acc_ada}", "admin"),
    get("lists the newest", "/admin/accounts?limit=1", "admin", save={"last": "last_id"}),
    get("lists what came before it", "/admin/accounts?limit=1&after={acc_ada}", "admin", ignores_body=True),
    get("a list after nothing", "/admin/accounts?after=acc_0", "admin"),
    get("a limit too high", "/admin/accounts?limit=5000", "admin"),
    get("no account", "/admin/accounts/nobody", "admin"),
    _new("the name is taken", name="ada"),
    _new("no name"),
    _new("an empty name", name=""),
    _new("a name too long", name="a" * 101),
    _new("a name with a line feed", name="a\nb"),
    _new("a name with a slash at the end", name="a/"),
    _new("a name that ends like a path", name="a/grants"),
    _new("a name with dots", name="a/../b"),
    _new("a name with a slash inside", name="team/one"),
    get("shows the name with a slash", "/admin/accounts/team/one", "admin"),
    _new("no such plan", name="bob", plan="gold"),
    _new("a plan of the wrong type", name="bob", plan=3),
    _new("an unknown field", name="cleo", plan="metered", colour="red"),
    _new("agreed with an unknown field", name="bob", plan="metered", agreed={"colour": 1}),
    _new("agreed of the wrong type", name="bob", plan="metered", agreed=3),
    _new(
        "agreed from the start",
        name="dora",
        plan="agreed",
        agreed={"allowance": 10.5, "rpm": 3, "streams": 1, "voices": 1},
    ),
    Step("no JSON", "POST", "/admin/accounts", "admin", raw="{"),
    Step("too large", "POST", "/admin/accounts", "admin", raw='{"name":"' + "a" * 66_000 + '"}'),
    post("another plan", "/admin/accounts/ada", {"plan": "tiny"}, "admin"),
    post("no such other plan", "/admin/accounts/ada", {"plan": "gold"}, "admin"),
    post("nothing to change", "/admin/accounts/ada", {}, "admin"),
    post("a plan that leaves it open", "/admin/accounts/ada", {"plan": "agreed"}, "admin"),
    _agree("an allowance", allowance=0.1),
    _agree("limits", rpm=60, streams=2, voices=3, max_characters=4096),
    _agree("engines", engines=["tone", "spare"]),
    _agree("engines that are not there", engines=["nobody"]),
    _agree("budgets", budget_usd_day=1, budget_usd_month=20.5),
    _agree("prices", prices={"speech": {"credits": 2, "per": "minute"}}),
    _agree("a price per nothing", prices={"speech": {"credits": 2, "per": "word"}}),
    _agree("too many decimals", allowance=0.1234567),
    _agree("an allowance below zero", allowance=-1),
    _agree("a limit of nothing", rpm=0),
    _agree("taken back", rpm=None, prices=None),
    get("after all of it", "/admin/accounts/ada", "admin"),
    delete("closes it", "/admin/accounts/ada", "admin"),
    delete("closes it twice", "/admin/accounts/ada", "admin"),
    delete("closes nobody", "/admin/accounts/nobody", "admin"),
    speak("its key is dead", "Hello.", step={"key": "ada"}),
    post("no changes any more", "/admin/accounts/ada", {"plan": "metered"}, "admin"),
    post("no keys any more", "/admin/keys", {"account": "ada"}, "admin"),
    get("all of it is in the audit", "/admin/audit?account={acc_ada}", "admin"),
    Step("no such method", "PATCH", "/admin/accounts/ada", "admin", body={}),
    get("not for clients", "/admin/accounts"),
)


def _key(name: str, /, **body: Any) -> Step:
    return post(name, "/admin/keys", body, "admin")


_keys = (
    *account("holder", "metered"),
    post(
        "with everything",
        "/admin/keys",
        {
            "account": "holder",
            "role": "speech",
            "name": "laptop",
            "expires_in_s": 3600,
            "caps": {"rpm": 5, "streams": 2, "max_characters": 50},
        },
        "admin",
        save={"laptop": "key", "key_laptop": "id"},
    ),
    _key("an administrator's", account="holder", role="admin"),
    get("of the account", "/admin/keys?account=holder", "admin"),
    get("a page", "/admin/keys?account=holder&limit=1", "admin", save={"last": "last_id"}),
    get("the next page", "/admin/keys?account=holder&limit=1&after={last}", "admin"),
    get("of nobody", "/admin/keys?account=nobody", "admin"),
    _key("of no account", account="nobody"),
    _key("without an account", name="x"),
    _key("no such role", account="holder", role="king"),
    _key("expires at once", account="holder", expires_in_s=0),
    _key("expires as a text", account="holder", expires_in_s="1h"),
    _key("unknown caps", account="holder", caps={"colour": 1}),
    _key("caps of nothing", account="holder", caps={"rpm": 0}),
    speak("is good", "Hello.", step={"key": "laptop"}),
    post(
        "is rotated", "/admin/keys/{key_laptop}/rotate", {}, "admin", save={"newer": "key", "key_newer": "id"}
    ),
    speak("the old one is dead", "Hello.", step={"key": "laptop"}),
    speak("the new one is good", "Hello.", step={"key": "newer"}),
    post("a dead one is not rotated", "/admin/keys/{key_laptop}/rotate", {}, "admin"),
    post("one that is not there is not rotated", "/admin/keys/key_0/rotate", {}, "admin"),
    delete("is revoked", "/admin/keys/{key_newer}", "admin"),
    delete("is revoked twice", "/admin/keys/{key_newer}", "admin"),
    delete("one that is not there", "/admin/keys/key_0", "admin"),
    speak("the revoked one is dead", "Hello.", step={"key": "newer"}),
    get("one key is not shown", "/admin/keys/{key_newer}", "admin"),
    get("who did it", "/admin/audit?account=holder&limit=3", "admin"),
)

TOPICS = (Topic("admin_accounts", "house", _accounts), Topic("admin_keys", "house", _keys))
