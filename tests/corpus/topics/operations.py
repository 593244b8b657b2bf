"""What an operator looks at: plans, engines, the audit, routes explained, the metrics, and commands."""

from typing import Any

from tests.corpus.steps import Step, Topic, account, cli, get, post


def _explain(name: str, /, **body: Any) -> Step:
    return post(name, "/admin/route/explain", body, "admin")


_looks = (
    get("engines", "/admin/engines", "admin"),
    get("plans", "/admin/plans", "admin"),
    get("an audit since a day", "/admin/audit?since=2020-01-01&limit=1", "admin", ignores_body=True),
    get("an audit since no day", "/admin/audit?since=soon", "admin"),
    get("an audit of nobody", "/admin/audit?account=nobody", "admin"),
    get("nothing here", "/admin/nothing", "admin"),
    get("engines are not for clients", "/admin/engines"),
    Step("plans cannot be made", "POST", "/admin/plans", "admin", body={}),
    Step("metrics", kind="metrics"),
)

_routes = (
    *account("asker", "espeak-only"),
    _explain("by default", input="Good morning to you all."),
    _explain("by its language", input="Bom dia.", language="pt", voice="alloy"),
    _explain("by its pin", input="Bom dia.", language="pt", model="tone/standard"),
    _explain("for an account", input="Hello.", account="asker"),
    _explain("for nobody", input="Hello.", account="nobody"),
    _explain("by its voice", input="Bom dia.", voice="onyx"),
    _explain("a route that lacks one", input="Bonjour.", language="fr", voice="alloy"),
    _explain("a dialogue", input="[Ana] Hi. [Ben] Ho.", voice="pair"),
    _explain(
        "sentences", input="Good morning to you all. Bom dia a todos, hoje vamos falar.", language="auto"
    ),
    _explain("a voice of nobody", input="Hello.", voice="nobody"),
    _explain("a voice elsewhere", input="Hello.", voice="only-spare"),
    _explain("no input"),
    _explain("a pitch", input="Hello.", pitch=5),
    _explain("an emotion", input="Hello.", emotion="happy"),
    _explain("no model", input="Hello.", model="tts-9"),
)

_commands = (
    cli("an account", "accounts", "create", "teller", "--plan", "basic", "--json"),
    cli("a key", "keys", "create", "--account", "teller", "--name", "till", "--expires", "30d", "--json"),
    cli("another plan", "accounts", "set-plan", "teller", "pro", "--rpm", "7", "--json"),
    cli("credits", "accounts", "grant", "teller", "2.5", "--reason", "a gift", "--json"),
    cli("shows nobody", "accounts", "show", "nobody", "--json"),
    cli(
        "a route", "route", "explain", "--text", "Bom dia.", "--language", "pt", "--voice", "alloy", "--json"
    ),
    cli("no such command", "nothing"),
    cli("closes it", "accounts", "close", "teller", "--yes", "--json"),
)

TOPICS = (
    Topic("admin_looks", "house", _looks),
    Topic("admin_routes", "house", _routes),
    Topic("commands", "gate", _commands),
)
