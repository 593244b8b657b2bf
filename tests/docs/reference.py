"""The pages in docs/reference, docs/index.md and llms.txt: made from the code and from the other pages.

`python -m tests.docs.reference` writes them anew, beside a server of its own.
"""

import re
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import httpx2
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.registry import Collector

from proxy.config.config_toml import load
from proxy.feature_list import all_sections
from proxy.features.models.entries import read_gallery
from proxy.hosts.cluster.cluster_hosts import ClusterHosts
from proxy.hosts.cluster.links_child import LinksChild
from scripts.scatter import core_map
from speech_engine.licences import terms_of
from tests.docs import config_reference, found, http_reference, markdown, pages, plugin_reference
from tests.docs.found import sentence
from tests.docs.pages import ROOT
from tests.server import Server, running

INDEX = Path("docs/index.md")
_FOLDER = ROOT / "docs" / "reference"
_MOST_MESSAGES = 4
_GROUPS = {
    "Begin": (
        "start",
        "audiobook",
        "dub",
        "dublar-um-video",
        "telegram",
        "n8n",
        "home-assistant",
        "clients",
        "glossary",
    ),
    "Speak": (
        *(
            "console",
            "http",
            "agents",
            "jobs",
            "heard",
            "transcribe",
            "make-a-voice",
            "marking",
            "webhooks",
            "errors",
        ),
    ),
    "Run a server": (
        "run-a-server",
        "operations",
        "monitoring",
        "backup",
        "machines",
        "upgrade",
        "plans",
        "accounts",
        "payments",
        "which-engine",
        "engines",
        "configuration",
        "security",
    ),
    "Change it": ("writing-a-plugin", "first-change", "architecture"),
}
_DUB_COMMANDS = {"video": "testsrc", "sound": " -vn ", "dub": "voxgate dub ", "track": "out.mp4"}
"""The commands of dub.md that its translation has, each by what only its block has."""
_IN_PORTUGUESE = {
    "Where have you been?": "Onde você estava?",
    "Here. Only here.": "Aqui. Só aqui.",
    "video.srt": "video.pt.srt",
    "sound.opus": "original.opus",
    "--language en": "--language pt-BR",
    "dub.flac": "video.pt.flac",
    "language=eng": "language=por",
    "out.mp4": "dublado.mp4",
    "two-languages.mp4": "dois-idiomas.mp4",
}


def texts(server: Server) -> dict[Path, str]:
    """Each generated file with its text."""
    document = httpx2.get(f"{server.url}/openapi.json").json()
    made = {
        _FOLDER / "commands.md": _commands(),
        _FOLDER / "configuration.md": config_reference.text(),
        _FOLDER / "errors.md": _errors(),
        _FOLDER / "events.md": _events(),
        _FOLDER / "http.md": http_reference.text(document),
        _FOLDER / "libraries.md": _libraries(),
        _FOLDER / "models.md": _models(),
        _FOLDER / "metrics.md": _metrics(_metrics_page(server)),
        _FOLDER / "plugin.md": plugin_reference.text(),
    }
    index = [*markdown.head("All pages", "Find a page."), *_listed(ROOT / "docs", made)]
    readme = sentence(_first_paragraph((ROOT / "README.md").read_text()))
    llms = ["# voxgate", "", f"> {readme}", "", *_listed(ROOT, made)]
    choice = ROOT / "docs/which-engine.md"
    plan = ROOT / "docs/architecture.md"
    dublar = ROOT / "docs/dublar-um-video.md"
    made_parts = {
        choice: pages.with_made(choice.read_text(), {"tried": _tried()}),
        plan: pages.with_made(plan.read_text(), {"map": core_map()}),
        dublar: pages.with_made(dublar.read_text(), _dub_in_portuguese()),
    }
    return {**made, **made_parts, ROOT / INDEX: markdown.page(index), ROOT / "llms.txt": markdown.page(llms)}


def _tried() -> str:
    """Return the table of what each plugin was tried with, as its README says."""
    rows = []
    for readme in sorted(pages.TRIED_PAGES):
        plugin = readme.parent.relative_to(ROOT / "plugins").as_posix()
        tried = re.search(r"^Tried: (.+)\.$", readme.read_text(), re.MULTILINE)
        link = f"[{plugin.replace('/', '-')}](../{readme.relative_to(ROOT).as_posix()})"
        rows.append((link, tried[1] if tried else ""))
    return markdown.page([*markdown.table(("plugin", "tried"), rows)])


def _dub_in_portuguese() -> dict[str, str]:
    """Return the commands of dub.md, with the names and the texts of its translation."""
    commands = [block.text for block in pages.blocks(ROOT / "docs/dub.md", "sh")]
    parts = {}
    for name, sign in _DUB_COMMANDS.items():
        (text,) = (command for command in commands if sign in command)
        for english, portuguese in _IN_PORTUGUESE.items():
            text = text.replace(english, portuguese)
        parts[name] = f"```sh\n{text}```\n"
    return parts


def metric_names(server: Server) -> set[str]:
    return set(re.findall(r"^# TYPE (\S+)", _metrics_page(server), re.MULTILINE))


def _metrics_page(server: Server) -> str:
    """A server's page, with what only one with clusters has."""
    registry = CollectorRegistry()
    registry.register(_Clusters())
    return httpx2.get(server.metrics).text + generate_latest(registry).decode()


class _Clusters(Collector):
    def collect(self) -> Iterable[Metric]:
        no_tools: Any = None
        links, config = LinksChild(no_tools), load(all_sections(), ROOT / "config.toml", {})
        yield from ClusterHosts(config, lambda _state: None, "", links).metrics()
        yield from links.metrics()


def _commands() -> str:
    lines = [
        *markdown.head(
            "Commands",
            "Look up a command and its options. [A session](session.txt) shows what commands print.",
            "A command talks to the running server through the data folder, as the user who owns it. Without "
            "a server it opens the database itself. A failure is one line on stderr, and a status other than "
            "0. Every command takes `--config FILE`; all but `serve` and `worker` take `--json`, or `--wide` "
            "for all columns.",
        ),
    ]
    for command in found.commands():
        lines += [f"## {' '.join(part for part in command.usage.split() if part.islower())}", ""]
        lines += [f"`{command.usage}`: {command.what}", ""]
        if command.options:
            lines += [
                *markdown.table(
                    ("option", "meaning"), [(f"`{name}`", help_) for name, help_ in command.options]
                ),
                "",
            ]
    return markdown.page(lines)


def _errors() -> str:
    messages: dict[tuple[int, str, str], dict[str, None]] = {}
    for refusal in found.refusals():
        known = messages.setdefault((refusal.status, refusal.code, refusal.type_), {})
        known |= {refusal.when: None} if refusal.when else {}
    rows = [
        (
            f"`{code}`",
            str(status),
            f"`{type_}`",
            "<br>".join([*known][:_MOST_MESSAGES]) or "The message says it.",
        )
        for (status, code, type_), known in sorted(messages.items())
    ]
    return markdown.page(
        [
            *markdown.head(
                "Error codes",
                "Look up the `code` of an error: its status, its type, and what is said of it. `…` is a "
                "value of yours. How to act on errors: [errors](../errors.md).",
            ),
            *markdown.table(("code", "status", "type", "what is said"), rows),
        ]
    )


def _events() -> str:
    rows = [
        (f"`{line.event}`", line.level, " ".join(f"`{field}`" for field in line.fields), line.about)
        for line in found.logged()
    ]
    return markdown.page(
        [
            *markdown.head(
                "Log events",
                "Look up an event of the log: a thing, what was done with it, and how that ended. The last "
                "column tells which part of the server writes it. What to do about errors: "
                "[monitoring](../monitoring.md#logs).",
            ),
            *markdown.table(("event", "level", "fields", "written by"), rows),
        ]
    )


def _metrics(page: str) -> str:
    meanings = dict(re.findall(r"^# HELP (\S+) (.+)$", page, re.MULTILINE))
    labels = found.labels()
    rows = [
        (
            f"`{name}`",
            kind,
            " ".join(f"`{each}`" for each in labels.get(name, labels.get(name.removesuffix("_total"), ()))),
            meanings[name],
        )
        for name, kind in sorted(re.findall(r"^# TYPE (\S+) (\S+)$", page, re.MULTILINE))
    ]
    return markdown.page(
        [
            *markdown.head(
                "Metrics",
                "Look up a metric of the [Prometheus page](../monitoring.md#metrics). It is the sum of all "
                "workers since the start. No label has an account, a key or a voice.",
            ),
            *markdown.table(("metric", "kind", "labels", "meaning"), rows),
        ]
    )


def _models() -> str:
    rows = []
    for gallery in sorted((ROOT / "plugins").glob("*/gallery.toml")):
        for name, entry in read_gallery(gallery).items():
            licence = entry.licence + (f", tuned from {entry.basis}" if entry.basis else "")
            for_sale = "yes" if terms_of(entry.bound_by).paid_use else "no"
            about = " ".join(filter(None, (entry.title + ".", entry.description, "Gated." * entry.gated)))
            languages = " ".join(entry.languages)
            rows.append((f"`{name}`", gallery.parent.name, languages, licence, for_sale, about))
    return markdown.page(
        [
            *markdown.head(
                "Models",
                "Look up a model that `voxgate models pull` fetches: its languages, its licence, and whether "
                "a plan with a price may use it. How: [pull a model](../engines.md#pull-a-model).",
            ),
            *markdown.table(("model", "engine", "languages", "licence", "for sale", "what"), rows),
        ]
    )


def _libraries() -> str:
    rows = [(f"`{name}`", reason, "tests" if is_test else "") for name, reason, is_test in found.libraries()]
    return markdown.page(
        [
            *markdown.head(
                "Libraries",
                "Look up why a library is here. The reasons stand in `pyproject.toml`, behind each.",
            ),
            *markdown.table(("library", "reason", "only for"), rows),
        ]
    )


def _listed(folder: Path, made: Mapping[Path, str]) -> list[str]:
    """All pages with their first sentences, as links from a folder."""
    lines: list[str] = []
    for title, names in _GROUPS.items():
        lines += [f"## {title}", ""]
        for name in names:
            page = ROOT / "docs" / f"{name}.md"
            lines.append(_link(page, page.read_text(), folder))
        lines.append("")
    return [*lines, "## Look up", "", *(_link(page, text, folder) for page, text in made.items())]


def _link(page: Path, text: str, folder: Path) -> str:
    title = text.partition("\n")[0].removeprefix("# ")
    return f"- [{title}]({page.relative_to(folder)}): {sentence(_first_paragraph(text))}"


def _first_paragraph(text: str) -> str:
    """As plain text: links lead elsewhere from another folder."""
    parts = pages.prose(text).split("\n\n")[1:]
    first = next(part for part in parts if part and not part.startswith(("!", "<", "|", "#", "-")))
    return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", first)


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        running(Path(folder), (ROOT / "config.toml").read_text()) as server,
    ):
        for file, text in texts(server).items():
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)


if __name__ == "__main__":
    main()
