"""deploy/kustomize: each field is known to Kubernetes, KEDA or KubeRay, the parts fit together, and voxgate
understands the configurations. `crds/README.md` says where the schemas of custom resources come from.
"""

import copy
import json
import re
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from openapi_schema_validator import OAS30Validator

from proxy.config.config_toml import load
from proxy.config.sections import Config
from proxy.feature_list import all_sections
from tests.clients import environments
from tests.commands import command
from tests.programs import present

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "kustomize"
README = (FOLDER / "README.md").read_text()
DOCKERFILE = (FOLDER / "Dockerfile").read_text()
_CRDS = Path(__file__).parent / "crds"
_SCHEMAS = {"ScaledObject": "scaledobject.json", "RayService": "rayservice.json"}
_ENDED_S = 15
"""What a server needs after `drain_s`."""
_ENVIRON = {
    "DATABASE_URL": "postgresql://voxgate:x@127.0.0.1:1/voxgate",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "MASTER_KEY": "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=",
    **dict.fromkeys(("VAULT_ACCESS_KEY", "VAULT_SECRET_KEY", "VOXGATE_HOST_KEY"), "secret"),
    "VOXGATE_SERVER__HOST": "0.0.0.0",
}


@cache
def rendered(name: str) -> list[Any]:
    """The objects of a folder. Of kustomize, it knows lists of files and ConfigMaps of files, and no more."""
    folder = FOLDER / name
    written = yaml.safe_load((folder / "kustomization.yaml").read_text())
    assert written.keys() <= {"apiVersion", "kind", "resources", "configMapGenerator", "generatorOptions"}
    objects = [
        one for file in written["resources"] for one in yaml.safe_load_all((folder / file).read_text())
    ]
    for made in written["configMapGenerator"]:
        data = {file: (folder / file).read_text() for file in made["files"]}
        named = {"kind": "ConfigMap", "metadata": {"name": made["name"]}}
        objects.append({"apiVersion": "v1", **named, "data": data})
    return objects


def every() -> list[Any]:
    return [*rendered("gateways"), *rendered("hosts"), *rendered("ray")]


def find(folder: str, kind: str) -> Any:
    """A copy of the only object of a kind in a folder."""
    [one] = [one for one in rendered(folder) if one["kind"] == kind]
    return copy.deepcopy(one)


def pod_templates(one: Any) -> list[Any]:
    if one["kind"] == "RayService":
        cluster = one["spec"]["rayClusterConfig"]
        return [group["template"] for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])]
    return [one["spec"]["template"]] if one["kind"] == "Deployment" else []


def template(folder: str) -> Any:
    return find(folder, "Deployment")["spec"]["template"]


def pods() -> list[Any]:
    return [template["spec"] for one in every() for template in pod_templates(one)]


def complaints(objects: list[Any]) -> list[str]:
    """Each wrong or unknown field, beside the name of its object."""
    told, others = [], []
    for one in objects:
        if file := _SCHEMAS.get(one["kind"]):
            schema = _strict(json.loads((_CRDS / file).read_text()))
            name = one["metadata"]["name"]
            told += [f"{name}: {each.message}" for each in OAS30Validator(schema).iter_errors(one)]
            known = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": one["metadata"]}
            others += [{**known, "template": {"metadata": {}, **each}} for each in pod_templates(one)]
        else:
            others.append(one)
    python = present(lambda: environments.python("kubernetes"))
    validate = [str(python), "-m", "kubernetes_validate", "--strict", "-"]
    text = yaml.safe_dump_all(others)
    ran = subprocess.run(validate, input=text, capture_output=True, text=True, check=False)
    lines = ran.stdout.splitlines()
    assert (len(lines), ran.stderr) == (len(others), "")
    return told + [line for line in lines if not line.startswith("INFO - passed")]


def _strict(schema: Any) -> Any:
    """Refuse what the schema does not have, as the API server does."""
    if isinstance(schema, list):
        return [_strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _strict(value) for key, value in schema.items()}
    return {"additionalProperties": False, **made} if isinstance(made.get("properties"), dict) else made


@pytest.mark.slow
def test_each_field_is_known() -> None:
    assert complaints(every()) == []


@pytest.mark.slow
def test_a_wrong_field_is_found() -> None:
    gateways, scaled = find("gateways", "Deployment"), find("hosts", "ScaledObject")
    service, template = find("ray", "RayService"), find("ray", "RayService")
    gateways["spec"]["template"]["spec"]["containers"][0]["readinessprobe"] = {}
    scaled["spec"]["triggers"][0]["metricTypes"] = "Value"
    service["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]["maxReplicas"] = "8"
    template["spec"]["rayClusterConfig"]["headGroupSpec"]["template"]["spec"]["serviceLinks"] = False
    spoilt = [gateways, scaled, service, template]
    for number, one in enumerate(spoilt):
        one["metadata"]["name"] = f"spoilt-{number}"
    assert sorted(re.findall(r"spoilt-(\d)", "".join(complaints(spoilt)))) == ["0", "1", "2", "3"]


def created_secrets() -> Iterator[tuple[str, set[str]]]:
    """Those of the README's commands, with the files or keys in them."""
    for name, rest in re.findall(r"create secret generic (\S+) ((?:.*\\\n)*.*)", README):
        yield name, set(re.findall(r"--from-literal ([\w.-]+)", rest))


def test_the_readme_makes_all_that_pods_need() -> None:
    secrets = dict(created_secrets())
    keyed = re.findall(r"secretKeyRef:\n +key: (\S+)\n +name: (\S+)", yaml.safe_dump_all(every()))
    assert all(key in secrets[name] for key, name in keyed)
    boxes = [box for pod in pods() for box in pod["containers"]]
    volumes = [volume for pod in pods() for volume in pod.get("volumes", ()) if "configMap" in volume]
    used = {source["secretRef"]["name"] for box in boxes for source in box.get("envFrom", ())}
    assert used | {name for _, name in keyed} == secrets.keys()
    maps = {one["metadata"]["name"] for one in every() if one["kind"] == "ConfigMap"}
    assert {volume["configMap"]["name"] for volume in volumes} == maps
    pushed = set(re.findall(r"^\$ docker push (\S+)$", README, re.MULTILINE))
    assert {box["image"] for box in boxes} == pushed


def read_config(name: str, folder: Path, **environ: str) -> Config:
    (folder / "config.toml").write_text((FOLDER / name / "config.toml").read_text())
    return load(all_sections(), folder / "config.toml", {**_ENVIRON, **environ})


def engines(name: str) -> Any:
    return tomllib.loads((FOLDER / name / "config.toml").read_text())["engines"]


def test_gateways_are_ready_find_hosts_and_end_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = read_config("gateways", tmp_path)
    for name, value in {**_ENVIRON, "VOXGATE_SERVER__DATA": str(tmp_path / "data")}.items():
        monkeypatch.setenv(name, value)
    command(tmp_path / "config.toml", "check")
    pod, server = template("gateways")["spec"], config.server
    assert pod["terminationGracePeriodSeconds"] >= server.drain_s + server.drain_lag_s + _ENDED_S
    [box] = pod["containers"]
    assert [port["containerPort"] for port in box["ports"]] == [server.port, int(server.metrics[-4:])]
    probe = box["readinessProbe"]
    assert probe["httpGet"] == {"path": "/readyz", "port": "http"}
    assert probe["failureThreshold"] * probe["periodSeconds"] < server.drain_lag_s
    assert {*config.clusters} == {config.engines[name].cluster for name in engines("hosts")}
    assert {*engines("hosts"), *engines("ray")} < set(config.engines)


def test_hosts_end_in_time_and_dial_the_gateways(tmp_path: Path) -> None:
    config = read_config("hosts", tmp_path)
    assert config.host.gateways == (read_config("gateways", tmp_path).server.public_url,)
    pod = template("hosts")["spec"]
    assert pod["terminationGracePeriodSeconds"] >= config.server.drain_s + _ENDED_S
    metrics, [box] = int(config.server.metrics[-4:]), pod["containers"]
    assert [port["containerPort"] for port in box["ports"]] == [metrics]
    [prometheus] = find("hosts", "NetworkPolicy")["spec"]["ingress"]
    assert prometheus["ports"] == [{"port": metrics}]
    assert find("hosts", "ScaledObject")["spec"]["scaleTargetRef"] == {"name": "hosts"}


def test_hosts_of_ray_end_in_time_and_dial_the_gateways(tmp_path: Path) -> None:
    assert read_config("ray", tmp_path).host.gateways
    service = find("ray", "RayService")
    [application] = yaml.safe_load(service["spec"]["serveConfigV2"])["applications"]
    arguments = application["args"]
    assert (application["import_path"], [arguments["engine"]]) == ("app:app", [*engines("ray")])
    [group] = service["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    assert group["maxReplicas"] == arguments["max_replicas"] * arguments["num_gpus"]
    assert group["template"]["spec"]["terminationGracePeriodSeconds"] >= arguments["drain_s"] + _ENDED_S


def test_selectors_find_their_pods() -> None:
    labels = {name: template(name)["metadata"]["labels"] for name in ("gateways", "hosts")}
    for name, own in labels.items():
        if name == "gateways":
            assert find(name, "Service")["spec"]["selector"] == own
        assert find(name, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == own
        assert find(name, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"] == own


def test_a_policy_names_the_namespaces_from_which_it_lets_in() -> None:
    for name in ("gateways", "hosts", "ray"):
        for rule in find(name, "NetworkPolicy")["spec"]["ingress"]:
            for peer in rule.get("from", ()):
                assert peer.get("namespaceSelector") != {}, "every namespace"


def test_no_pod_has_the_rights_of_root() -> None:
    for pod in pods():
        assert pod["securityContext"]["runAsNonRoot"]
        for box in pod["containers"]:
            assert not box["securityContext"]["allowPrivilegeEscalation"]
            assert box["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_the_images_have_what_the_configurations_name() -> None:
    defaults = dict(re.findall(r"^ARG (\w+)=(\S+)$", DOCKERFILE, re.MULTILINE))
    for engine in (*engines("hosts").values(), *engines("ray").values()):
        assert defaults == {"MODEL": engine["model"], "LICENCE": engine["accept_licence"]}
    lines = DOCKERFILE.replace("\\\n", " ").splitlines()
    bucket, ray = (line for line in lines if "pip" in line and not line.startswith("#"))
    assert "--require-hashes" in bucket
    assert "--require-hashes" in ray
    assert "obstore==" in (ROOT / bucket.split("/opt/voxgate/")[-1]).read_text()
    assert re.findall(r" AS (\w+)$", DOCKERFILE, re.MULTILINE) == re.findall(r"--target (\w+)", README)
