"""Commands for what a server as shipped has not: they say so, in words for an operator."""

from tests.server import Server
from tests.tables import each_row


def test_where_a_server_is_the_only_one_all_says_so(plain_server: Server) -> None:
    assert "the only one; leave out --all" in plain_server.cli("engines", "--all").stdout
    for order in (("reload",), ("engines", "load", "tone")):
        asked = plain_server.cli(*order, "--all", check=False)
        assert (asked.returncode, "so leave out --all" in asked.stderr) == (1, True)


@each_row(
    ("words", "says"),
    [
        (
            ("users", "list"),
            "users is off on this server. To turn it on: set sign_up in [users].",
        ),
        (("orders", "list"), "payments is off on this server. To turn it on: set [payments]."),
    ],
)
def test_what_is_off_is_named_and_not_its_url(
    plain_server: Server, words: tuple[str, ...], says: str
) -> None:
    assert plain_server.cli(*words, check=False).stderr.strip() == f"The feature {says}"
