"""The sections of a configuration as frozen structs. The description of a field is its right form."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple, get_args

import msgspec

from policies.plans import Plan
from policies.price import Rate
from policies.routing import Route
from proxy.config import addresses
from proxy.config.clusters import ClusterSection, HostSection
from speech_engine.device import DeviceName
from speech_engine.model_manifest import ModelName
from speech_engine.plugin import InstanceKind
from speech_engine.redacted import Redacted


class VaultSection(Redacted, msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[vault]: the keys that seal recordings and other personal data, and the place of the sealed objects.

    The keys are resolved, in base64. Without `master_key`, the key is a file in the data folder. Without
    `access_key`, obstore looks for the keys of the store: in variables, in files, at the provider's host.
    """

    master_key: Annotated[
        str, msgspec.Meta(description='"env:NAME" or "file:PATH", or "" for a file in the data folder')
    ] = ""
    old_master_keys: Annotated[
        tuple[str, ...], msgspec.Meta(description='a list such as ["env:NAME", "file:PATH"]')
    ] = ()
    folder: Annotated[
        str,
        msgspec.Meta(description='a folder, relative to the config file, or "" for one in the data folder'),
    ] = ""
    store: Annotated[
        str,
        msgspec.Meta(
            pattern=r"^\Z|^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9._/-]*)?\Z",
            description='"s3://BUCKET/PREFIX", or "" for a folder',
        ),
    ] = ""
    endpoint: Annotated[
        str,
        msgspec.Meta(
            pattern=r"^\Z|^https?://[^\s/?#@]+\Z",
            description='"https://HOST", or "" for Amazon\'s of the region',
        ),
    ] = ""
    region: Annotated[str, msgspec.Meta(description='a name, such as "eu-central-1", or ""')] = ""
    access_key: Annotated[str, msgspec.Meta(description='"env:NAME" or "file:PATH", or ""')] = ""
    secret_key: Annotated[str, msgspec.Meta(description='"env:NAME" or "file:PATH", or ""')] = ""
    allow_http: Annotated[bool, msgspec.Meta(description="true or false")] = False

    @property
    def is_shared(self) -> bool:
        """Whether other machines may have the same vault."""
        return bool(self.store or self.folder)


_DEFAULT_OPERATOR = "voxgate"


class ConsentSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[consent]: the operator named in consents. `comparer` compares the speakers of consent and sample."""

    operator: Annotated[
        str,
        msgspec.Meta(
            max_length=100, pattern=r"^[^\x00-\x1f]+\Z", description="a name of up to 100 characters"
        ),
    ] = _DEFAULT_OPERATOR
    comparer: Annotated[str, msgspec.Meta(description='the name of a comparer, or "" for none')] = ""
    other_speaker: Annotated[
        Literal["record", "refuse"], msgspec.Meta(description='"record" or "refuse"')
    ] = "record"
    words: Annotated[Literal["record", "refuse"], msgspec.Meta(description='"record" or "refuse"')] = "record"


_Port = Annotated[
    int, msgspec.Meta(ge=0, le=65535, description="a port number, 0 to 65535 (0: any free one)")
]
_Seconds = Annotated[
    float, msgspec.Meta(gt=0, le=3600, description="a number of seconds, above 0 and up to 3600")
]
Megabytes = Annotated[
    int, msgspec.Meta(ge=0, le=1_000_000, description="a number of megabytes, 0 (none) to 1000000")
]
_CountFromOne = Annotated[int, msgspec.Meta(ge=1, le=1_000_000, description="a number, 1 to 1000000")]
Switch = Annotated[bool, msgspec.Meta(description="true or false")]
_Text = Annotated[str, msgspec.Meta(min_length=1, description="a text in quotes")]
_PLACE = r"^\Z|^[^:\s]+:\d{1,5}\Z"
_Texts = Annotated[tuple[_Text, ...], msgspec.Meta(description='a list of texts, ["…", "…"]')]


Tag = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*\Z",
        max_length=35,
        description='a language tag such as "en" or "pt-BR"',
    ),
]
Usd = Annotated[
    Annotated[float, msgspec.Meta(ge=0, le=1e9)] | None,
    msgspec.Meta(description="US dollars, 0 to 1000000000"),
]


Hosts = Annotated[
    tuple[Annotated[str, msgspec.Meta(pattern=r"^(\*\.)?([\w.-]+|\[[0-9A-Fa-f:.]+\])\Z")], ...],
    msgspec.Meta(description='a list of names without ports, ["api.example.org", "*.example.org"]'),
]


PLUGIN_KINDS: tuple[InstanceKind, ...] = get_args(InstanceKind)
"""The kinds of plugins that have a section each, [KINDs.NAME]."""


class Server(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[server]: the address, the processes, and the defaults of requests."""

    host: _Text = "127.0.0.1"
    port: _Port = 8000
    workers: Annotated[
        int,
        msgspec.Meta(
            ge=1, le=64, description="a number of workers, 1 to 64; more than one need PostgreSQL and Redis"
        ),
    ] = 1
    data: Annotated[str, msgspec.Meta(min_length=1, description="a folder, relative to the config file")] = (
        "data"
    )
    secrets_file: Annotated[
        str,
        msgspec.Meta(
            max_length=4096,
            description='a file of lines NAME=value, of the service\'s user and mode 0600, or "" for none',
        ),
    ] = ""
    drain_s: _Seconds = 30.0
    drain_lag_s: Annotated[
        float, msgspec.Meta(ge=0, le=60, description="a number of seconds, 0 (none) to 60")
    ] = 0.0
    stall_s: _Seconds = 30.0
    least_bytes_per_s: Annotated[
        int, msgspec.Meta(ge=0, le=1_000_000, description="a number of bytes, 0 (no limit) to 1000000")
    ] = 1000
    connections: _CountFromOne = 2000
    connections_per_client: _CountFromOne = 500
    sockets: _CountFromOne = 500
    sockets_per_account: _CountFromOne = 100
    first_audio_s: _Seconds = 30.0
    robot_fallback: Switch = False
    commercial: Switch = True
    public_catalogue: Switch = False
    default_model: _Text = "tts-1"
    default_voice: _Text = "alloy"
    fill_missing: Switch = False
    default_language: Tag = "en"
    detector: Annotated[str, msgspec.Meta(description='the name of a detector, or "" for none')] = "pycld2"
    converter: Annotated[str, msgspec.Meta(description='an engine that converts, or "" for none')] = ""
    turn_pause_ms: Annotated[
        int, msgspec.Meta(ge=0, le=5000, description="a number of milliseconds, 0 to 5000")
    ] = 250
    cors_origins: _Texts = ()
    hosts: Hosts = ()
    public_url: Annotated[
        str,
        msgspec.Meta(
            # Plain HTTP is for trials on one machine only: anyone with such an address gets a recording.
            pattern=r"^\Z|^(https://[^\s/?#@]+|http://(127\.0\.0\.1|localhost)(:\d+)?)(/[^\s?#]*)?\Z",
            max_length=300,
            description='this server\'s address as others reach it, "https://…", or "" for none',
        ),
    ] = ""
    trusted_proxies: _Texts = ()
    usage_days: Annotated[
        int, msgspec.Meta(ge=0, le=36_500, description="a number of days, 0 (for good) to 36500")
    ] = 0
    idempotency_mb: Megabytes = 256
    spill_mb: Megabytes = 1024
    metrics: Annotated[
        str, msgspec.Meta(pattern=_PLACE, description='"host:port" of the metrics page, or "" for none')
    ] = "127.0.0.1:9464"
    links: Annotated[
        str, msgspec.Meta(pattern=_PLACE, description='"host:port" of links, or "" for none')
    ] = ""
    dev_key: Switch = False


class Storage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[storage]: the database. `url` is the resolved address, without env: or file:."""

    url: Annotated[
        str,
        msgspec.Meta(
            min_length=1,
            description='"sqlite", "postgresql://USER:PASSWORD@HOST/DATABASE", "env:NAME" or "file:PATH"',
        ),
    ] = "sqlite"
    connections: Annotated[
        int, msgspec.Meta(ge=6, le=1000, description="a number of connections, 6 to 1000")
    ] = 14
    migrate: Switch = True

    def __repr__(self) -> str:
        return f"<Storage {addresses.show_storage(self.url)}>"


class LimitsStore(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[limits]: where requests a minute are counted. `url` is resolved, as in [storage]."""

    url: Annotated[
        str,
        msgspec.Meta(
            min_length=1,
            description='"memory", "redis://USER:PASSWORD@HOST:PORT/NUMBER", "env:NAME" or "file:PATH"',
        ),
    ] = "memory"

    def __repr__(self) -> str:
        return f"<LimitsStore {addresses.show_limits(self.url)}>"


class Upstream(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[upstream]: how cloud engines reach their providers. `proxy` is resolved, as in [storage]."""

    proxy: Annotated[
        str,
        msgspec.Meta(
            description='"http://USER:PASSWORD@HOST:PORT", "env:NAME", "file:PATH", or "" for what the '
            "environment says"
        ),
    ] = ""
    ca_file: Annotated[str, msgspec.Meta(description='a file of certificates, or "" for the system\'s')] = ""
    connections: Annotated[
        int, msgspec.Meta(ge=1, le=10_000, description="a number of connections, 1 to 10000")
    ] = 100

    def __repr__(self) -> str:
        return f"<Upstream {self.connections} connections>"


class EngineSection(Redacted, msgspec.Struct, frozen=True):
    """[engines.NAME]: the server's keys, and all other keys as the plugin's `settings`.

    `costs` has the provider's prices by model. "*" stands for all models without a line of their own.
    `credentials` has the settings that differ for each named account at the provider. `fault` names a missing
    secret.
    """

    plugin: _Text
    model: ModelName = ""
    default: Switch = False
    hosted: Switch = True
    processes: Annotated[
        Annotated[int, msgspec.Meta(ge=1, le=64)] | None,
        msgspec.Meta(description="a number of processes, 1 to 64"),
    ] = None
    queue: Annotated[int, msgspec.Meta(ge=0, le=10000, description="how many may wait, 0 to 10000")] = 64
    tick_s: _Seconds = 5.0
    device: DeviceName = "auto"
    memory_gb: Annotated[
        Annotated[float, msgspec.Meta(gt=0, le=4096)] | None,
        msgspec.Meta(description="a number of gigabytes, up to 4096"),
    ] = None
    load_s: _Seconds = 600.0
    on_demand: Switch = False
    idle_unload_s: Annotated[
        float, msgspec.Meta(ge=0, le=604_800, description="a number of seconds, 0 (never) to 604800")
    ] = 0.0
    concurrency: Annotated[
        Annotated[int, msgspec.Meta(ge=1, le=10_000)] | None,
        msgspec.Meta(description="how many requests at the same time, 1 to 10000"),
    ] = None
    rpm: Annotated[
        Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None,
        msgspec.Meta(description="requests a minute, 1 to 1000000"),
    ] = None
    budget_usd_day: Usd = None
    budget_usd_month: Usd = None
    account_usd_day: Usd = None
    runner: Annotated[str, msgspec.Meta(description='the name of a runner, or "" for none')] = ""
    cluster: Annotated[str, msgspec.Meta(description='the name of a cluster, or "" for none')] = ""
    job_usd: Annotated[
        float, msgspec.Meta(gt=0, le=1e6, description="US dollars, above 0, up to 1000000")
    ] = 10.0
    hedge_s: Annotated[
        Annotated[float, msgspec.Meta(ge=0, le=60)] | None,
        msgspec.Meta(description="a number of seconds, 0 (never) to 60"),
    ] = None
    stands_in: Switch = False
    silent_s: Annotated[
        Annotated[float, msgspec.Meta(gt=0, le=300)] | None,
        msgspec.Meta(description="a number of seconds, above 0 and up to 300"),
    ] = None
    accept_licence: Annotated[
        str, msgspec.Meta(description='the name of the licence that you accept, or "" for none')
    ] = ""
    paid_use_basis: Annotated[
        str, msgspec.Meta(max_length=500, description="a text of up to 500 characters")
    ] = ""
    marking: Annotated[
        bool | None, msgspec.Meta(description="true or false; without it, local engines are marked")
    ] = None
    costs: dict[str, Rate] = {}
    credentials: Annotated[
        dict[str, dict[str, Any]], msgspec.Meta(description="a table of accounts, each a table of settings")
    ] = {}
    fault: str = ""
    settings: dict[str, Any] = {}


class PluginSection(Redacted, msgspec.Struct, frozen=True):
    """[KINDs.NAME], such as [front_ends.NAME]: the plugin's settings. `plugin` is its name if not NAME."""

    fault: str = ""
    settings: dict[str, Any] = {}
    plugin: str = ""


class VoiceSection(msgspec.Struct, frozen=True):
    """[voices.NAME]: any other key is the name of an engine, with the voice's id on that engine.

    A `cast` has no engines, but names and the voice of each name. OpenAI's names, which are shipped, have
    neither: the plugins of engines map them to voices.
    """

    language: _Text | None = None
    gender: _Text | None = None
    age: _Text | None = None
    tags: _Texts = ()
    description: Annotated[str, msgspec.Meta(description="a text in quotes")] = ""
    cast: Annotated[
        dict[str, str],
        msgspec.Meta(description='a table of names and voices, { Ana = "nova", Ben = "onyx" }'),
    ] = {}
    bindings: dict[str, str] = {}

    @property
    def is_known_name(self) -> bool:
        """Whether it is one of OpenAI's names as it was shipped."""
        return not self.bindings and not self.cast


class Remark(NamedTuple):
    """A note for the operator about a key of the configuration."""

    key: str
    text: str


class Config(Redacted, msgspec.Struct, frozen=True):
    """The whole configuration. `secrets` has the names of the environment variables that hold secrets.

    `features` has the sections of features, for `Section.of`, and `features_off` those that do not open.
    `warnings` has the keys of the file without an effect, and `natural` the effective sections of
    natural.toml. `built_in_models` are the keys of `models` that the operator did not write. `data` is the
    absolute folder, `source` the file. A `voxgate worker` `serves` none. `digest` is that of all machines.
    """

    server: Server = Server()
    storage: Storage = Storage()
    limits: LimitsStore = LimitsStore()
    upstream: Upstream = Upstream()
    consent: ConsentSection = ConsentSection()
    engines: dict[str, EngineSection] = {}
    plugins: dict[InstanceKind, dict[str, PluginSection]] = {}
    vault: VaultSection = VaultSection()
    host: HostSection = HostSection()
    clusters: dict[str, ClusterSection] = {}
    plans: dict[str, Plan] = {}
    models: dict[str, tuple[str, ...]] = {}
    routes: tuple[Route, ...] = ()
    voices: dict[str, VoiceSection] = {}
    features_off: tuple[str, ...] = ()
    features: dict[str, Any] = {}
    warnings: tuple[Remark, ...] = ()
    secrets: tuple[str, ...] = ()
    natural: tuple[str, ...] = ()
    built_in_models: frozenset[str] = frozenset()
    data: str = "data"
    source: str = "the built-in defaults"
    serves: bool = True
    digest: str = ""

    @property
    def used_clusters(self) -> dict[str, ClusterSection]:
        """The clusters that have engines."""
        used_names = {section.cluster for section in self.engines.values()}
        return {name: section for name, section in self.clusters.items() if name in used_names}

    def plugins_of(self, kind: InstanceKind) -> dict[str, PluginSection]:
        return self.plugins.get(kind, {})

    def plugin(self, kind: InstanceKind, name: str) -> PluginSection:
        """Return the section of a plugin, an empty one if the file has none."""
        return self.plugins_of(kind).get(name, PluginSection())
