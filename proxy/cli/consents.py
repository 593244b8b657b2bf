"""`voxgate consents …`: the consents of speakers whose voices accounts have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from proxy.cli.admin_requests import ask, ask_all, be_sure_of, path, send_file
from proxy.cli.options import ConfigFile, OfAccount, Printed, Sure
from proxy.cli.tables import Grid, Line, Part, account_names
from proxy.errors import CommandRefused

consents = typer.Typer(help="Consents of speakers.", no_args_is_help=True)

_Consent = Annotated[str, typer.Argument(metavar="CONSENT", help="A consent, by its id (cons_…).")]


@consents.command("add")
def consents_add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who agrees.")],
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="A recording of the phrase.")] = None,
    account: Annotated[str, typer.Option(help="The account that makes the voice.")] = "",
    language: Annotated[str, typer.Option(help="The language of the consent: pt-BR.")] = "en",
    statement: Annotated[str, typer.Option(help="In place of FILE: what was agreed, and where.")] = "",
    providers: Annotated[str, typer.Option(help="Engines that may have the voice; else all.")] = "",
    config_file: ConfigFile = None,
    form: Printed = None,
) -> None:
    """Keep a consent: a recording of the phrase, or a statement."""
    if not account:
        raise CommandRefused("--account: whose consent is it? Name the account")
    if (file is None) == (not statement):
        raise CommandRefused("give a FILE with the phrase, or --statement: one of them")
    engines = [engine.strip() for engine in providers.split(",") if engine.strip()]
    if file is not None:
        fields = {"account": account, "name": name, "language": language, "providers[]": engines}
        send_file(config_file, form, _table, "consents", fields, "recording", file)
        return
    body: dict[str, Any] = {"name": name, "language": language, "statement": statement}
    if engines:
        body["providers"] = engines
    ask(config_file, form, _table, "POST", "consents", {"account": account, **body})


@consents.command("list")
def consents_list(account: OfAccount = None, config_file: ConfigFile = None, form: Printed = None) -> None:
    """List consents, the newest first."""
    ask_all(config_file, form, _list_table, "consents", account=account)


@consents.command("show")
def consents_show(consent: _Consent, config_file: ConfigFile = None, form: Printed = None) -> None:
    """Show a consent with its statement."""
    ask(config_file, form, _table, "GET", path("consents", consent))


@consents.command("delete")
def consents_delete(
    consent: _Consent, is_sure: Sure = False, config_file: ConfigFile = None, form: Printed = None
) -> None:
    """Delete a consent that no voice needs."""
    where = path("consents", consent)
    be_sure_of(config_file, is_sure, f"Delete the consent {consent} for good?", where)
    ask(config_file, form, _deletion, "DELETE", where)


def _list_table(answer: dict[str, Any]) -> list[Part]:
    names = account_names(answer)
    rows = [
        (
            row["name"],
            names.get(row["account"], row["account"]),
            row["language"],
            row["kind"],
            "all" if row["providers"] is None else ", ".join(row["providers"]) or "none",
            row["made_by"],
            row["id"],
        )
        for row in answer["data"]
    ]
    return [Grid(("name", "account", "language", "kind", "providers", "by", "id"), rows, wide=("by",))]


def _table(row: dict[str, Any]) -> list[Part]:
    parts = _list_table({"data": [row]})
    if row["statement"]:
        parts.append(Line(row["statement"]))
    else:
        parts.append(Line("That the words were said is not checked.", "dim"))
    return parts


def _deletion(answer: dict[str, Any]) -> list[Part]:
    return [Line(f"{answer['id']} is gone.")]
