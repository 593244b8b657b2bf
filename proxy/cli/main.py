"""`voxgate …`: all commands together, `voxgate serve` and `voxgate reload`.

The imports inside functions are slow, and `voxgate --help` needs none of them.
"""

from __future__ import annotations

import logging
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from proxy import __version__
from proxy.cli.accounts import ACCOUNTS
from proxy.cli.admin_requests import show_answer, shown_failures, typer_function, typer_group
from proxy.cli.backup import backup, restore
from proxy.cli.book import BOOK
from proxy.cli.checked_speech import VOICE_CHECK
from proxy.cli.database import DATABASE, MIGRATE
from proxy.cli.diagnosis import check, doctor
from proxy.cli.dub import DUB
from proxy.cli.engines import engines
from proxy.cli.env import env
from proxy.cli.features import FEATURE_LIST
from proxy.cli.from_openai import FROM_OPENAI
from proxy.cli.init import INIT, natural_command
from proxy.cli.keys import KEYS
from proxy.cli.machine_orders import AllMachines, OneMachine, give_order
from proxy.cli.options import ConfigFile, Printed
from proxy.cli.reports import AUDIT, LEDGER, PLANS, usage
from proxy.cli.route import route
from proxy.cli.sound_commands import convert, say, train
from proxy.cli.transcribe import TRANSCRIBE
from proxy.commands.command import (
    AdminRequest,
    Command,
    FeatureCommands,
    Group,
    merge_groups,
)
from proxy.commands.tables import Line, Part
from proxy.errors import CommandRefused
from proxy.feature_list import feature_modules, load_config

if TYPE_CHECKING:
    from proxy.config.config_toml import Config

_BANNER = """\
voxgate serves on {base}/v1
Clients need a key. To make one: voxgate accounts create{config} NAME, then \
voxgate keys create{config} --account NAME
Open {base}/ with it"""

_TRIAL_BANNER = """\
voxgate serves on {base}/v1
key: {key}
Open {base}/#key={key}

Try it with curl:

curl -s {base}/v1/audio/speech -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \
-d '{{"model": "tts-1", "voice": "alloy", "input": "Hello from voxgate."}}' > hello.mp3

or with OpenAI's Python SDK:

from openai import OpenAI
client = OpenAI(base_url="{base}/v1", api_key="{key}")
client.audio.speech.create(model="tts-1", voice="alloy", input="Hello!").write_to_file("hello.mp3")

Ctrl-C stops it."""


def _show_version(is_given: bool) -> None:
    if is_given:
        print(f"voxgate {__version__}")  # noqa: T201 - the answer
        raise typer.Exit


def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """One OpenAI-compatible speech endpoint in front of every voice you have."""
    from proxy.telemetry import logs

    logs.configure_logs("cli", logging.WARNING)


def main() -> None:
    """Run the console script. A failure is one line on stderr and a status of 1."""
    try:
        make_app(_named_command())()
    except SystemExit:
        raise
    except shown_failures() as error:
        from rich.console import Console

        Console(stderr=True).print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)


def serve(
    config_file: ConfigFile = None,
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[
        int | None, typer.Option(help="The port to listen on. A default one of the metrics moves as far.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="How many workers; more than one need PostgreSQL and Redis.")
    ] = None,
    voices: Annotated[
        Literal["natural", "plain"] | None,
        typer.Option(
            help="natural: the first start fetches natural voices, as it does without a config file."
        ),
    ] = None,
) -> None:
    """Run the server until Ctrl-C or SIGTERM."""
    is_trial = is_trial_server(config_file)
    options: dict[str, str | int | None] = {"host": host, "port": port, "workers": workers}
    given_options = {key: value for key, value in options.items() if value is not None}
    if port and "VOXGATE_SERVER__METRICS" not in os.environ:
        given_options["metrics"] = metrics_beside(port, config_file)

    def load() -> Config:
        config = load_config(config_file, server=given_options)
        return with_dev_key(config) if is_trial else config

    def announce(base_url: str, dev_key: str | None) -> None:
        lines = filter(None, (banner(base_url, dev_key, config_file), more))
        print(*lines, sep="\n", flush=True)  # noqa: T201 - printed for a person

    more, later_fetch, data = "", None, ""
    if voices == "natural" or (voices is None and is_trial):
        data = (config := load()).data
        more, later_fetch = _fetch_voices(config_file, config)
    try:
        _run_server(load, announce)
    finally:
        if later_fetch is not None:
            later_fetch.terminate()
            later_fetch.wait()
            from proxy.hosts.stored_models import FETCH_NOTE, ModelStore

            # The next server may fetch nothing.
            (ModelStore(data).folder / FETCH_NOTE).unlink(missing_ok=True)


def metrics_beside(port: int, config_file: Path | None = None) -> str:
    """Return the address of the metrics of a server at another port than the configured one. The default
    address moves as far, so that two servers with the shipped configuration can run."""
    from proxy.config.sections import Server
    from proxy.config.server_section import server_of

    server = server_of(config_file)
    address, _, default = Server().metrics.rpartition(":")
    moved = int(default) + port - server.port
    may_move = server.metrics == Server().metrics and 0 < moved < 65_536
    return f"{address}:{moved}" if may_move else server.metrics


def is_trial_server(config_file: Path | None) -> bool:
    """Tell whether this is a trial: without a configuration file or a public address, and without
    the data of a server that began otherwise."""
    from proxy.config import config_toml

    if config_toml.find_file(config_file, os.environ) is not None:
        return False
    config = load_config()
    data = Path(config.data)
    is_new = (data / "dev-key").exists() or not (data / "voxgate.db").exists()
    return config.storage.url == "sqlite" and not config.server.public_url and is_new


def with_dev_key(config: Config) -> Config:
    """Return the configuration of a server on trial: its banner has a key that works."""
    from msgspec.structs import replace

    from proxy.config.addresses import is_local

    if "VOXGATE_SERVER__DEV_KEY" in os.environ or not is_local(config.server.host):
        return config
    return replace(config, server=replace(config.server, dev_key=True))


def _fetch_voices(config_file: Path | None, config: Config) -> tuple[str, subprocess.Popen[bytes] | None]:
    """Fetch natural voices in a process of its own: the server starts whatever happens there. If one can
    speak, return a sentence on the others, and a process that fetches them. Raises CannotServe if the server
    could not start afterwards, since its port is taken."""
    from proxy.processes import start_checks, supervisor

    if supervisor.is_running(config):
        return "", None  # the start is refused, with that as the reason
    start_checks.try_ports(config.server)
    command = natural_command(config_file)
    done = subprocess.run((*command, "--at-start"), check=False, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip(), subprocess.Popen((*command, "--beside")) if done.stdout else None


def worker(config_file: ConfigFile = None) -> None:
    """Speak the jobs of a server until Ctrl-C or SIGTERM."""
    from msgspec.structs import replace

    from proxy.processes.start_checks import check_worker_settings

    def load() -> Config:
        config = replace(load_config(config_file), serves=False)
        check_worker_settings(config)
        return config

    def announce(_base_url: str, _dev_key: str | None) -> None:
        print("voxgate works on jobs", flush=True)  # noqa: T201 - printed for a person

    _run_server(load, announce)


def host(
    config_file: ConfigFile = None,
    engine: Annotated[
        list[str] | None, typer.Option(help="Only this engine of the file; again for each further one.")
    ] = None,
    join: Annotated[
        str | None, typer.Option(help="https://GATEWAY to dial, with the key in VOXGATE_HOST_KEY.")
    ] = None,
    ends_with_stdin: Annotated[
        bool, typer.Option("--ends-with-stdin", help="End when standard input closes.")
    ] = False,
) -> None:
    """Run engines for gateways until Ctrl-C or SIGTERM."""
    from msgspec.structs import replace

    from proxy.engines import registry
    from proxy.hosts.supervisor import hosted_specs
    from proxy.processes.agent import host_that_joins, run_host
    from proxy.telemetry import logs

    logs.configure_logs("host")
    config = load_config(config_file)
    if join is not None:
        config = replace(config, host=host_that_joins(config.host, join, os.environ))
    unknown = [name for name in engine or () if name not in config.engines]
    if unknown:
        raise CommandRefused(f"engines: there is no [engines.{unknown[0]}] in {config.source}")
    engines = {name: each for name, each in config.engines.items() if not engine or name in engine}
    config = replace(config, engines=engines)

    def announce(where: str) -> None:
        print(f"voxgate has engines for gateways on {where}", flush=True)  # noqa: T201 - printed for a person

    specs = hosted_specs(config, registry.load())
    sys.exit(run_host(config, specs, announce, ends_with_stdin=ends_with_stdin))


def _run_server(load: Callable[[], Config], announce: Callable[[str, str | None], None]) -> NoReturn:
    from msgspec.structs import replace

    from proxy.diagnosis.text_check import front_end_remarks
    from proxy.engines import registry
    from proxy.processes import supervisor
    from proxy.telemetry import logs

    logs.configure_logs("supervisor")
    plugins = registry.load()

    def load_with_remarks() -> Config:
        config = load()
        return replace(config, warnings=(*config.warnings, *front_end_remarks(config, plugins)))

    sys.exit(supervisor.serve(load_with_remarks(), load_with_remarks, plugins, announce))


def reload(
    machine: OneMachine = None,
    is_for_all: AllMachines = False,
    config_file: ConfigFile = None,
    form: Printed = None,
) -> None:
    """Let the running server read its config file again. SIGHUP does the same."""
    from proxy.config.server_section import server_of
    from proxy.file_store import data_folder

    if machine is not None or is_for_all:
        give_order("reload", machine, is_for_all, config_file, form)
        return
    data = Path(server_of(config_file).data)
    if not data_folder.is_held(data):
        raise CommandRefused(f"no server runs on {data}; start it: voxgate serve")
    show_answer(AdminRequest("POST", "reload"), config_file, form, _reload_result)


def _reload_result(answer: dict[str, Any]) -> list[Part]:
    changed, waiting = ", ".join(answer["changed"]), ", ".join(answer["needs_restart"])
    lines = [
        Line(f"Changed: {changed}." if changed else "Nothing has changed. Keys in files were read again.")
    ]
    if waiting:
        lines.append(Line(f"These wait for a restart: {waiting}.", "yellow"))
    return [*lines]


def all_commands() -> FeatureCommands:
    """Return the commands of all features, in the order of the features."""
    fields = zip(*(module.COMMANDS for module in feature_modules("commands")), strict=True)
    return FeatureCommands(*(tuple(chain.from_iterable(of_features)) for of_features in fields))


_FEATURE_COMMANDS = all_commands()

# `_COMMANDS` and `_GROUPS` are in the order of the help, which begins with the commands for a new operator.
_FIRST_COMMANDS: tuple[Command | Callable[..., None], ...] = (
    *(serve, worker, host, say, convert, TRANSCRIBE, BOOK, DUB, train, FROM_OPENAI, reload, check),
    *(doctor, FEATURE_LIST, PLANS, usage, AUDIT, MIGRATE),
)
_COMMANDS = {
    command.name if isinstance(command, Command) else command.__name__: command
    for command in (*_FIRST_COMMANDS, *_FEATURE_COMMANDS.commands, backup, restore)
}
_GROUPS: dict[str, Group | typer.Typer] = {
    "engines": engines,
    **merge_groups(
        (
            ACCOUNTS,
            *_FEATURE_COMMANDS.key_groups,
            KEYS,
            LEDGER,
            *_FEATURE_COMMANDS.groups,
            VOICE_CHECK,
        )
    ),
    "route": route,
    "env": env,
    **merge_groups((INIT, DATABASE)),
    **merge_groups(_FEATURE_COMMANDS.last_groups),
}


def make_app(only_command: str = "") -> typer.Typer:
    """Make the app of all commands, or of the one command or group with a name.

    To build all of them takes longer than most of them run.
    """
    app = typer.Typer(
        name="voxgate",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        # Plain help: its lines can be copied, and it starts in half the time.
        rich_markup_mode=None,
    )
    app.callback()(root)
    for name, command in _COMMANDS.items():
        if only_command in ("", name):
            settings = command.settings if isinstance(command, Command) else {}
            app.command(name, **settings)(
                typer_function(command) if isinstance(command, Command) else command
            )
    for name, group in _GROUPS.items():
        if only_command in ("", name):
            app.add_typer(typer_group(group) if isinstance(group, Group) else group, name=name)
    return app


def _named_command() -> str:
    """Return the name of the command or group to run, or "" if the help may show all of them."""
    if "_VOXGATE_COMPLETE" in os.environ or len(sys.argv) < 2:
        return ""
    return sys.argv[1] if sys.argv[1] in _COMMANDS.keys() | _GROUPS.keys() else ""


def banner(base: str, key: str | None, config_file: Path | None = None) -> str:
    """Return the text for a server that serves. Its lines can be copied and run.

    `config_file` is the value of `--config`: without it, the commands would use another server's database.
    The key of this machine goes into the fragment of the page's address, which a browser never sends.
    """
    config = "" if config_file is None else f" --config {shlex.quote(str(config_file))}"
    reachable = base.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
    return (_BANNER if key is None else _TRIAL_BANNER).format(base=reachable, key=key, config=config)
