"""Findings of `voxgate check` about trainings and about the ceilings of rented machines."""

from __future__ import annotations

from collections.abc import Iterator

from proxy.config.config_toml import Config
from proxy.config.finding import Finding, note
from proxy.config.sections import EngineSection
from proxy.engines.registry import EngineConfigError, Registry
from proxy.features.jobs.section import SECTION
from speech_engine import Hosted
from speech_engine.runner import PricedRuns


def check_trainings(config: Config, registry: Registry, *_: object) -> Iterator[Finding]:
    is_booked = any(section.memory_gb is not None for section in config.engines.values())
    for name, section in config.engines.items():
        if not _trains(section, registry):
            continue
        if section.runner and not config.server.public_url:
            found = f"it speaks at {section.runner}, but trains nothing there"
            do = "set [server] public_url: machines fetch and bring all there"
            yield note("training", found, do, name=name)
        elif not section.runner and is_booked and SECTION.of(config).training_gb is None:
            found = "engines book memory, and a training begins without asking whether there is any"
            yield note("training", found, "set [jobs] training_gb, such as 8.0", name=name)


def _trains(section: EngineSection, registry: Registry) -> bool:
    plugin = registry.plugins("engine").get(section.plugin)
    return plugin is not None and isinstance(plugin.create, Hosted) and bool(plugin.create.trainer)


def check_ceilings(config: Config, registry: Registry, *_: object) -> Iterator[Finding]:
    for name, section in config.engines.items():
        day_usd, account_usd = section.budget_usd_day, section.account_usd_day
        if not section.runner or day_usd is None:
            continue
        account_usd = day_usd / 2 if account_usd is None else account_usd
        if section.job_usd > account_usd:
            found = f"job_usd is ${section.job_usd:g}, and one account may use ${account_usd:g} of its day"
            yield note("engine", found, "lower job_usd, or raise account_usd_day", name=name)
        run_usd = _most_usd_of_run(config, registry, section.runner)
        if run_usd > min(section.job_usd, day_usd):
            found = (
                f"one run may cost ${run_usd:.2f}, and job_usd or budget_usd_day is less: it stays starting"
            )
            yield note("engine", found, "raise them, or bound runs by their seconds", name=name)


def _most_usd_of_run(config: Config, registry: Registry, runner: str) -> float:
    """Return the most that a run may cost. 0.0: its settings do not tell, or are wrong, which another check
    reports."""
    try:
        settings = registry.settings("runner", runner, config.plugin("runner", runner))
    except EngineConfigError:
        return 0.0
    return settings.most_usd if isinstance(settings, PricedRuns) else 0.0
