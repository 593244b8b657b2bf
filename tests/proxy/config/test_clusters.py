"""[host] and [clusters.NAME]: addresses, files and keys, and engines that have a cluster."""

from pathlib import Path

import pytest

from proxy.config.clusters import ClusterSection, HostAddress, HostSection, parse_address
from tests.proxy.config.files import faults, load
from tests.tables import each_row

SECRET = "never-to-be-shown"
TLS = 'certificate = "a.pem"\nkey = "a.key"\nauthority = "b.pem"\n'
LOCAL = '[clusters.gpu]\nhosts = ["127.0.0.1:7070"]\n'
ENGINE = f'{LOCAL}[engines.tone]\ncluster = "gpu"\n'


def test_left_out_there_is_no_host_and_no_cluster(tmp_path: Path) -> None:
    loaded = load(tmp_path, "")
    assert (loaded.host, loaded.clusters) == (HostSection(), {})
    assert loaded.engines["espeak"].cluster == ""


def test_files_are_beside_the_config_file_and_the_key_is_never_shown(tmp_path: Path) -> None:
    text = (
        f'[host]\nlisten = "0.0.0.0:7070"\naddress = "10.0.0.5"\n{TLS}gateways = ["https://one.example"]\n'
        f'api_key = "env:KEY"\n[clusters.gpu]\nhosts = ["gpu1:7070", "[fd00::1]:7071"]\n{TLS}'
    )
    loaded = load(tmp_path, text, KEY=SECRET)
    files = tuple(str(tmp_path / name) for name in ("a.pem", "a.key", "b.pem"))
    host, cluster = loaded.host, loaded.clusters["gpu"]
    assert (host.certificate, host.key, host.authority) == files
    assert (cluster.certificate, cluster.key, cluster.authority) == files
    assert host.announced_address == HostAddress("10.0.0.5", 7070)
    assert host.api_key == SECRET
    assert SECRET not in f"{loaded!r} {host!r} {loaded.clusters!r}"
    assert loaded.secrets == ("KEY",)


def test_the_environment_says_where_a_machine_is(tmp_path: Path) -> None:
    text = f'[host]\nlisten = "[::]:7070"\n{TLS}'
    one = load(tmp_path, text, VOXGATE_HOST__ADDRESS="fd00::5")
    other = load(tmp_path, text, VOXGATE_HOST__ADDRESS="10.0.0.6")
    assert str(one.host.announced_address) == "[fd00::5]:7070"
    assert one.digest == other.digest


def test_this_machine_alone_does_without_tls(tmp_path: Path) -> None:
    for listen in ("127.0.0.1:7070", "[::1]:7070", "localhost:7070"):
        loaded = load(tmp_path, f'[host]\nlisten = "{listen}"\n{ENGINE}')
        assert str(loaded.host.announced_address) == listen
        assert loaded.clusters == {"gpu": ClusterSection(hosts=("127.0.0.1:7070",))}
        assert loaded.engines["tone"].cluster == "gpu"


@each_row(
    "text",
    ["", ":7070", "gpu1", "gpu1:", "gpu1:0", "gpu1:65536", "gpu1:x", "gpu1:70 70", "::1:7070", "[::x]:1",
     "[1.2.3.4]:1", "http://gpu1:7070", "gpu1:7070\n", "a/b:1", "gpu1:٣"],
)  # fmt: skip
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_address(text)


def host(*lines: str, listen: str = "127.0.0.1:7070") -> str:
    return "\n".join(("[host]", f'listen = "{listen}"', *lines))


def cluster(*lines: str, hosts: str = '["127.0.0.1:7070"]') -> str:
    return "\n".join(("[clusters.gpu]", f"hosts = {hosts}", *lines))


GATEWAYS = 'gateways = ["https://one.example"]'


@each_row(
    ("text", "key", "right"),
    [
        (host(listen="7070"), "host.listen", 'must be "NAME:PORT"'),
        (host(listen="gpu1:65536"), "host.listen", 'must be "NAME:PORT"'),
        (host("ports = 0"), "host.ports", "a number of ports, 1 to 1000"),
        (host("ports = 1001"), "host.ports", "a number of ports, 1 to 1000"),
        (host(listen="127.0.0.1:65472"), "host.listen", "a port up to 65471"),
        (host(TLS, listen="0.0.0.0:7070"), "host.address", "is missing: where others reach"),
        (host(TLS, listen="[::0]:7070"), "host.address", "is missing: where others reach"),
        (host(TLS, 'address = "0.0.0.0"'), "host.address", "where others reach this machine"),
        (host(TLS, 'address = "gpu1:7070"'), "host.address", "without a port"),
        (host('certificate = "a.pem"\nkey = "a.key"'), "host.authority", "the other two need it"),
        (host('key = "a.key"\nauthority = "b"'), "host.certificate", "the other two need it"),
        (host('authority = "a"\ncertificate = "b"'), "host.key", "the other two need it"),
        (host(listen="gpu1:7070"), "host.certificate", "only loopback does without TLS"),
        (host(listen="127.0.0.1.example:7070"), "host.key", "only loopback does without TLS"),
        (host(GATEWAYS), "host.api_key", "is missing: host.gateways needs it"),
        (host('api_key = "env:KEY"'), "host.gateways", "is missing: host.api_key needs it"),
        (host(GATEWAYS, 'api_key = "plain"'), "host.api_key", "a key is never written in this file"),
        (host(GATEWAYS, 'api_key = "env:NONE"'), "host.api_key", "env:NONE is not set"),
        (host('gateways = ["http://one.example"]'), "host.gateways", '["https://…"]'),
        (host("lisen = 1"), "host.lisen", "did you mean listen?"),
        ("host = 1", "host", "must be a table"),
        (cluster(hosts='["gpu1"]'), "clusters.gpu.hosts", 'must be "NAME:PORT"'),
        (cluster(hosts='["127.0.0.1:1", "gpu1:1"]'), "clusters.gpu.key", "only loopback does without TLS"),
        (cluster('key = "a.key"'), "clusters.gpu.authority", "the other two need it"),
        (cluster("most_hosts = 0"), "clusters.gpu.most_hosts", "a number of hosts, 1 to 1000"),
        (cluster('networks = ["10.0.0.1/8"]'), "clusters.gpu.networks", "'10.0.0.1/8' is no network such as"),
        (cluster(TLS, "announced = true"), "clusters.gpu.announced", "needs PostgreSQL"),
        (cluster("announced = true"), "clusters.gpu.certificate", "only loopback does without TLS"),
        (cluster("host = []"), "clusters.gpu.host", "did you mean hosts?"),
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


def test_announced_hosts_are_noted_in_postgres(tmp_path: Path) -> None:
    text = f'[storage]\nurl = "postgresql://db/voxgate"\n[clusters.gpu]\nannounced = true\n{TLS}'
    assert load(tmp_path, text).clusters["gpu"].announced
