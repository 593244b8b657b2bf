"""`voxgate check`: the findings of a configuration, without a server."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from policies.limits import AGREED_LIMITS
from policies.plans import Plan
from policies.price import Price, in_credits
from proxy.config import addresses
from proxy.config.config_toml import Config
from proxy.config.credits import shown_limits
from proxy.config.finding import NO_RESULTS, Finding, ProbeResults, note, ok, wrong
from proxy.config.reader import nearest_name
from proxy.config.sections import PLUGIN_KINDS
from proxy.diagnosis import text_check
from proxy.diagnosis.model_check import check_models, check_retirements
from proxy.engines.plugin_instances import known_by, names_of_engines
from proxy.engines.registry import EngineConfigError, HostedEngineSpec, Registry, RemoteSpec
from proxy.feature_list import features_of
from proxy.hosts.environments.environments import EnvironmentRefused, interpreter
from proxy.speech.language_detection import SHIPPED
from speech_engine.licences import terms_of
from speech_engine.names import no_names
from speech_engine.plugin import Cautious


def check_config(config: Config, registry: Registry, results: ProbeResults = NO_RESULTS) -> list[Finding]:
    """Return all findings of a configuration. `results` has the models and voices that only engines know."""
    findings = [ok("config", f"data in {config.data}", name=config.source)]
    findings += _server_findings(config, results.address)
    findings += [
        wrong("plugin", f"failed at {fault.stage}: {fault.reason}", name=fault.name)
        for fault in registry.faults
    ]
    engines = [finding for name in config.engines for finding in _engine_findings(config, registry, name)]
    findings += engines
    broken_engines = {each.name for each in engines if (each.what, each.verdict) == ("engine", "wrong")}
    if not config.host.is_used:
        findings += [ok("plan", _plan_text(plan), name=plan.name) for plan in config.plans.values()]
    findings += [
        note("plan", remark.text, name=remark.key)
        for remark in config.warnings
        if remark.key.startswith("plans.")
    ]
    for feature in features_of(config):
        for check in feature.checks:
            findings += check(config, registry, results)
    findings += check_models(config, registry, results, broken_engines)
    findings += text_check.check_routes(config, registry, results, broken_engines)
    findings += check_retirements(config, registry, results.models)
    findings += _setting_findings(config, registry)
    voices = _offered_voices(config, registry)
    if not config.host.is_used:  # a host has no clients that could leave these out
        findings += [_default_model_finding(config), _default_voice_finding(config, results, voices)]
    findings += text_check.check_voices(config, results)
    for feature in features_of(config):
        for check in feature.text_checks:
            findings += check(config, registry, results)
    return [*findings, ok("voices", ", ".join(voices) or "none of our own", name=f"{len(voices)}")]


def _offered_voices(config: Config, registry: Registry) -> list[str]:
    names = names_of_engines(registry, config)
    return [
        name for name, section in config.voices.items() if not section.is_known_name or known_by(name, names)
    ]


def _server_findings(config: Config, running_address: str) -> list[Finding]:
    server = config.server
    metrics = ok("metrics", "Prometheus text" if server.metrics else "", name=server.metrics or "none")
    if config.host.is_used:
        gateways = ", ".join(config.host.gateways) or "the gateway of --join"
        return [ok("address", f"none: voxgate host dials {gateways}", name="no port"), metrics]
    listens = f"; the running server listens on {running_address}" if running_address else ""
    retention = (
        f"usage is kept for {server.usage_days} days" if server.usage_days else "usage is kept for good"
    )
    return [
        ok("address", f"{server.workers} worker(s){listens}", name=f"{server.host}:{server.port}"),
        ok("storage", retention, name=addresses.show_storage(config.storage.url)),
        ok("limits", "where requests are counted", name=addresses.show_limits(config.limits.url)),
        metrics,
    ]


def _setting_findings(config: Config, registry: Registry) -> list[Finding]:
    """Return findings about the settings of plugins that are no engines, and about the detector."""
    findings = []
    for kind in PLUGIN_KINDS:
        for name, section in config.plugins_of(kind).items():
            try:
                registry.settings(kind, name, section)
                findings.append(ok(kind, f"{len(section.settings)} setting(s)", name=name))
            except EngineConfigError as error:
                findings.append(wrong(kind, str(error), name=name))
    detector = config.server.detector
    if detector and detector not in registry.plugins("detector"):
        found = f"server.detector: {detector} is not installed; only the script of a text tells its language"
        do = f'write detector = "{SHIPPED}", and remove [detectors.{detector}] if there is one'
        findings.append(note("detector", found, do, name=detector))
    converter = config.server.converter
    if converter and converter not in config.engines:
        found = f"server.converter: there is no [engines.{converter}], so it repeats no voice"
        do = f'add [engines.{converter}], or write converter = ""'
        findings.append(note("converter", found, do, name=converter))
    return [*findings, *_unpriced_findings(config)]


def _unpriced_findings(config: Config) -> Iterator[Finding]:
    """Yield a note for each plan that allows the converter and sells speech, but not its conversions."""
    converter = config.server.converter
    if converter not in config.engines or config.host.is_used:
        return
    for plan in config.plans.values():
        allows = plan.engines is None or converter in {name.partition("/")[0] for name in plan.engines}
        if allows and plan.prices.conversion_price(converter, "") is None:
            found = f"plans.{plan.name} sells speech by characters and has no price for conversions, so "
            found += f"{converter} repeats no voice for its accounts: 403 conversion_not_priced"
            yield note("converter", found, f"add conversion to [plans.{plan.name}.prices]", name=plan.name)


def _engine_findings(config: Config, registry: Registry, name: str) -> Iterator[Finding]:
    section = config.engines[name]
    try:
        spec = registry.engine(name, section, config.data)
        missing_findings = [
            wrong("engine", lack.what, lack.do, name=name)
            for lack in registry.missing(name, section, config.data)
        ]
    except EngineConfigError as error:
        yield wrong("engine", str(error), name=name)
        return
    if isinstance(spec, RemoteSpec):
        yield from _remote_engine_findings(registry, spec)
        return
    if isinstance(spec, HostedEngineSpec):
        try:
            interpreter(section.plugin, spec.hosted)
        except EnvironmentRefused as refused:
            missing_findings.insert(0, wrong("engine", str(refused), name=name))
    if missing_findings:
        yield from missing_findings
        return
    names = ", ".join(model.manifest.name for model in spec.models)
    model = f", {'model' if len(spec.models) == 1 else 'models'} {names}" if names else ""
    if isinstance(spec, HostedEngineSpec):
        yield ok("engine", f"{section.plugin}, in {spec.processes} host process(es){model}", name=name)
    else:
        credentials = dict.fromkeys(spec.credentials)
        named = f", credentials {', '.join(credentials)}" if section.credentials else ""
        yield ok("engine", f"{section.plugin}, in the server{named}{model}", name=name)
        settings = spec.settings[0]
        for caution in settings.cautions() if isinstance(settings, Cautious) else ():
            yield note("engine", caution, name=name)
    if spec.licence:
        yield _licence_finding(config, name, spec.licence, names)


def _remote_engine_findings(registry: Registry, spec: RemoteSpec) -> Iterator[Finding]:
    name, section = spec
    try:
        registry.first_settings(name, section, data="")
    except EngineConfigError as error:
        if registry.plugins("engine")[section.plugin].names is not no_names:
            found = f"an empty section cannot tell which of OpenAI's names it knows: {error}"
            yield note("engine", found, f'bind them: [voices.alloy] {name} = "VOICE"', name=name)
    if section.cluster:
        yield ok("engine", f"{section.plugin}, on the hosts of {spec.place}", name=name)
        return
    limits = f"up to ${section.budget_usd_day:g} a day and ${section.job_usd:g} a job"
    yield ok("engine", f"{section.plugin}, for jobs only, at {spec.place}; {limits}", name=name)


def _licence_finding(config: Config, name: str, licence: str, models: str) -> Finding:
    """Return a finding about the limits of the licence of imported models, with the remedy."""
    terms, section = terms_of(licence), config.engines[name]
    found = f"{models} is under {licence}: {terms.says}"
    is_sold = config.server.commercial and any(plan.price for plan in config.plans.values())
    is_forbidden = is_sold and not terms.paid_use
    no_paid_use = f"plans with a price do not have it; name what allows it in engines.{name}.paid_use_basis"
    if terms.must_accept and section.accept_licence.casefold() != licence.casefold():
        accept = f'it speaks for nobody before engines.{name}.accept_licence = "{licence}"'
        addition = f"; {no_paid_use}" if is_forbidden and not section.paid_use_basis else ""
        return wrong("licence", f"{found}; {accept}{addition}", name=name)
    if not is_forbidden:
        return ok("licence", found, name=name)
    if f"engines.{name}" in config.natural and not section.paid_use_basis:
        # The operator did not choose the model, and plans with a price use other models.
        return ok("licence", f"{found}; plans with a price do not have it", name=name)
    if section.paid_use_basis:
        return ok("licence", f"{found}; paid plans have it by your paid_use_basis", name=name)
    return note("licence", f"{found}; {no_paid_use}", name=name)


def _plan_text(plan: Plan) -> str:
    kinds = ("speech", "cached", "clone", "conversion", "training", "transcription")
    by_kind = {kind: getattr(plan.prices, kind) for kind in kinds}
    prices = {kind: price for kind, price in by_kind.items() if price is not None} | dict(plan.prices.models)
    words = {None: "unlimited", "account": "per account"}
    parts = [
        plan.price or "free",
        *(f"{name} {words.get(limit, limit)}" for name, limit in shown_limits(plan, AGREED_LIMITS).items()),
        *(f"{kind} {_price_text(price)}" for kind, price in prices.items()),
        *([] if plan.marking is None else [f"marked {'always' if plan.marking else 'never'}"]),
    ]
    return ", ".join(parts)


def _price_text(price: Price) -> str:
    return f"{in_credits(price.micro)}/{price.per}" if price.micro else "free"


def _default_voice_finding(config: Config, results: ProbeResults, voices: Collection[str]) -> Finding:
    name = config.server.default_voice
    section = config.voices.get(name)
    if section is not None and text_check.is_silent(section, results):
        found = f"server.default_voice: no engine has {name!r}; /readyz says unready"
        return wrong("default", found, name="default_voice")
    why = f"no engine here has a line in [voices.{name}]"
    do = (
        f'write [voices.{name}] with {next(iter(config.engines), "ENGINE")} = "VOICE", a voice of that engine'
    )
    return _default_finding(voices, "default_voice", name, why, do)


def _default_model_finding(config: Config) -> Finding:
    name = config.server.default_model
    why = f"no line {name!r} in [models] names a model of an engine here"
    do = f'write "{name}" = ["{next(iter(config.engines), "ENGINE")}/MODEL"] in [models]'
    return _default_finding(config.models, "default_model", name, why, do)


def _default_finding(known: Collection[str], key: str, name: str, why: str, do: str) -> Finding:
    if name in known or "/" in name:
        return ok("default", name, name=key)
    similar = nearest_name(name, known)
    found = f"server.{key}: {name!r} is not configured: {why}; /readyz will say unready"
    return wrong("default", found, f"did you mean {similar}? Else {do}" if similar else do, name=key)
