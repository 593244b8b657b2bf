"""`voxgate consents …`: the consents of speakers whose voices accounts have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from proxy.commands.command import AdminRequest, FeatureCommands, Group, admin_path
from proxy.commands.options import OfAccount, Sure
from proxy.commands.tables import SHOW_GONE, Cell, Line, Part, make_grid
from proxy.errors import CommandRefused

CONSENTS = Group("consents", "Consents of speakers.")

_Consent = Annotated[str, typer.Argument(metavar="CONSENT", help="A consent, by its id (cons_…).")]


_WORDS = {
    "differs": "Its recording says something else than the phrase.",
    "unsure": "It is not sure that its recording says the phrase.",
    "unchecked": "That the words were said is not checked.",
}


def _list_table(answer: dict[str, Any]) -> list[Part]:
    fields: dict[str, str | Cell] = {name: name for name in ("name", "account", "language", "kind")}
    fields |= {"providers": _providers, "uses": _uses, "words": "words", "by": "made_by", "id": "id"}
    return [make_grid(answer, fields, wide=("uses", "words", "by"))]


def _providers(row: dict[str, Any]) -> str:
    return "all" if row["providers"] is None else ", ".join(row["providers"]) or "none"


def _uses(row: dict[str, Any]) -> str:
    return ", ".join(row["uses"])


def _consent_table(row: dict[str, Any]) -> list[Part]:
    parts = _list_table({"data": [row]})
    if row["statement"]:
        parts.append(Line(row["statement"]))
    elif row["words"] != "match":
        parts.append(Line(_WORDS[row["words"]], "dim"))
    return parts


def _saved_lines(answer: dict[str, Any]) -> list[Part]:
    return [Line(f"{answer['file']}: {answer['bytes'] / 1e6:,.2f} MB, in plain.")]


@CONSENTS.command("add", _consent_table)
def consents_add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who agrees.")],
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="A recording of the phrase.")] = None,
    account: Annotated[str, typer.Option(help="The account that makes the voice.")] = "",
    language: Annotated[str, typer.Option(help="The language of the consent: pt-BR.")] = "en",
    statement: Annotated[str, typer.Option(help="In place of FILE: what was agreed, and where.")] = "",
    providers: Annotated[str, typer.Option(help="Engines that may have the voice; else all.")] = "",
    uses: Annotated[str, typer.Option(help="What for: speech,conversion,training; else the first two.")] = "",
) -> AdminRequest:
    """Keep a consent: a recording of the phrase, or a statement."""
    if not account:
        raise CommandRefused("--account: whose consent is it? Name the account")
    if (file is None) == (not statement):
        raise CommandRefused("give a FILE with the phrase, or --statement: one of them")
    engines, what_for = _split_names(providers), _split_names(uses)
    if file is not None:
        fields: dict[str, Any] = {"account": account, "name": name, "language": language}
        fields |= {"providers[]": engines, "uses[]": what_for}
        return AdminRequest("POST", "consents", fields, files={"recording": file})
    body: dict[str, Any] = {"name": name, "language": language, "statement": statement}
    if engines:
        body["providers"] = engines
    if what_for:
        body["uses"] = what_for
    return AdminRequest("POST", "consents", {"account": account, **body})


def _split_names(written: str) -> list[str]:
    return [name.strip() for name in written.split(",") if name.strip()]


@CONSENTS.command("list", _list_table)
def consents_list(account: OfAccount = None) -> AdminRequest:
    """List consents, the newest first."""
    return AdminRequest("GET", "consents", query={"account": account}, pages="all")


@CONSENTS.command("show", _consent_table)
def consents_show(consent: _Consent) -> AdminRequest:
    """Show a consent with its statement."""
    return AdminRequest("GET", admin_path("consents", consent))


@CONSENTS.command("save", _saved_lines)
def consents_save(
    consent: _Consent,
    to: Annotated[Path | None, typer.Option(help="The new file; else CONSENT.wav.")] = None,
) -> AdminRequest:
    """Write the recording of a consent to a file."""
    file = to or Path(f"{consent.replace('/', '_')}.wav")
    return AdminRequest("GET", admin_path("consents", consent, "recording"), new_file=file)


@CONSENTS.command("accept", _consent_table)
def consents_accept(consent: _Consent) -> AdminRequest:
    """Accept a consent that waits: a statement, or unsure words."""
    return AdminRequest("POST", admin_path("consents", consent, "accept"))


@CONSENTS.command("delete", SHOW_GONE)
def consents_delete(consent: _Consent, is_sure: Sure = False) -> AdminRequest:
    """Delete a consent that no voice needs."""
    question = "" if is_sure else f"Delete the consent {consent} for good?"
    return AdminRequest("DELETE", admin_path("consents", consent), question=question)


COMMANDS = FeatureCommands(groups=(CONSENTS,))
