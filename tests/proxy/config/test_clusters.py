"""[host] and [clusters.NAME]: gateways and keys, what is gone, and engines that have a cluster."""

from pathlib import Path

from proxy.config.clusters import ClusterSection, HostSection
from tests.proxy.config.files import faults, load
from tests.tables import each_row

SECRET = "never-to-be-shown"
LOCAL = "[clusters.gpu]\n"
ENGINE = f'{LOCAL}[engines.tone]\ncluster = "gpu"\n'


def test_left_out_there_is_no_host_and_no_cluster(tmp_path: Path) -> None:
    loaded = load(tmp_path, "")
    assert (loaded.host, loaded.clusters) == (HostSection(), {})
    assert loaded.engines["espeak"].cluster == ""


def test_the_authority_is_beside_the_config_file_and_the_key_is_never_shown(tmp_path: Path) -> None:
    text = (
        '[host]\ngateways = ["https://one.example"]\napi_key = "env:KEY"\nauthority = "a.pem"\n'
        "[clusters.gpu]\nmost_hosts = 3\n"
    )
    loaded = load(tmp_path, text, KEY=SECRET)
    assert (loaded.host.authority, loaded.host.api_key) == (str(tmp_path / "a.pem"), SECRET)
    assert loaded.clusters == {"gpu": ClusterSection(3)}
    assert SECRET not in f"{loaded!r} {loaded.host!r} {loaded.clusters!r}"
    assert loaded.secrets == ("KEY",)


def test_a_key_in_a_file_is_read_when_the_host_dials(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{SECRET}\n")
    text = '[host]\ngateways = ["https://one.example"]\napi_key = "file:key"'
    assert load(tmp_path, text).host.api_key == f"file:{tmp_path / 'key'}"


def test_what_a_host_has_alone_is_none_of_the_digest(tmp_path: Path) -> None:
    texts = [f'[host]\ngateways = ["https://{name}.example"]\napi_key = "env:KEY"' for name in ("one", "two")]
    one, two = (load(tmp_path, text, KEY=SECRET).digest for text in texts)
    assert one == two


def host(*lines: str) -> str:
    return "\n".join(("[host]", *lines))


def cluster(*lines: str) -> str:
    return "\n".join(("[clusters.gpu]", *lines))


DIALS = 'a host dials since 0.2.0: write gateways = ["https://GATEWAY"] and api_key'
KEY_OF = "give each the key of voxgate keys create --role host --cluster gpu"
GATEWAYS = 'gateways = ["https://one.example"]'


@each_row(
    ("text", "key", "right"),
    [
        (host('listen = "127.0.0.1:7070"'), "host.listen", DIALS),
        (host('address = "10.0.0.5"'), "host.address", DIALS),
        (host("ports = 64"), "host.ports", DIALS),
        (host('certificate = "a.pem"'), "host.certificate", DIALS),
        (host('key = "a.key"'), "host.key", DIALS),
        (host(GATEWAYS), "host.api_key", "is missing: host.gateways needs it"),
        (host('api_key = "env:KEY"'), "host.gateways", "is missing: host.api_key needs it"),
        (host(GATEWAYS, 'api_key = "plain"'), "host.api_key", "a key is never written in this file"),
        (host(GATEWAYS, 'api_key = "env:NONE"'), "host.api_key", "env:NONE is not set"),
        (host('gateways = ["http://one.example"]'), "host.gateways", '["https://…"]'),
        (host("gateway = []"), "host.gateway", "did you mean gateways?"),
        ("host = 1", "host", "must be a table"),
        (cluster('hosts = ["gpu1:7070"]'), "clusters.gpu.hosts", KEY_OF),
        (cluster("ports = 64"), "clusters.gpu.ports", KEY_OF),
        (cluster("announced = true"), "clusters.gpu.announced", KEY_OF),
        (cluster('networks = ["10.0.0.0/8"]'), "clusters.gpu.networks", KEY_OF),
        (cluster('certificate = "a.pem"'), "clusters.gpu.certificate", KEY_OF),
        (cluster('key = "a.key"'), "clusters.gpu.key", KEY_OF),
        (cluster('authority = "b.pem"'), "clusters.gpu.authority", KEY_OF),
        (cluster("most_hosts = 0"), "clusters.gpu.most_hosts", "a number of hosts, 1 to 1000"),
        (cluster("most_host = 1"), "clusters.gpu.most_host", "did you mean most_hosts?"),
        ("[clusters.GPU]", "clusters.GPU", "lower-case letters"),
        ("[clusters]\ngpu = 1", "clusters.gpu", "must be a table"),
        ('[engines.tone]\ncluster = "gpu"', "engines.tone.cluster", "there is no [clusters.gpu]"),
        (f'{LOCAL}[engines.tone]\ncluster = "gpi"', "engines.tone.cluster", "did you mean gpu?"),
        (f"{ENGINE}hosted = false", "engines.tone.hosted", "must be left out beside cluster"),
        (f'{ENGINE}runner = "a"\nbudget_usd_day = 1\n[runners.a]', "engines.tone.runner", "must be left out"),
        (f"{ENGINE}processes = 1", "engines.tone.processes", "must be left out beside cluster"),
        (f'{ENGINE}device = "cuda"', "engines.tone.device", "must be left out beside cluster"),
        (f"{ENGINE}memory_gb = 6", "engines.tone.memory_gb", "must be left out beside cluster"),
        (f"{ENGINE}on_demand = true", "engines.tone.on_demand", "must be left out beside cluster"),
    ],
)  # fmt: skip
def test_a_fault_names_its_key(tmp_path: Path, text: str, key: str, right: str) -> None:
    found = [line for line in faults(tmp_path, text, KEY=SECRET) if line.startswith(f"{key}: ")]
    assert any(right in line for line in found), found


def test_an_engine_with_keys_at_their_defaults_has_no_fault(tmp_path: Path) -> None:
    load(tmp_path, f'{ENGINE}hosted = true\ndevice = "auto"\non_demand = false')
