"""The manifests, as kubectl renders them: valid in every Kubernetes, and true to one another.

Schemas find a misspelt field. What they can't see is a port that no container has or a time that
does not fit another; that is here too.
"""

from __future__ import annotations

import copy
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from deploy.tools.k8s import render
from proxy.config import load
from tests.config.test_files import certificates
from tests.deploy.schemas import CUSTOM

ROOT = Path(__file__).parents[2]
OVERLAYS = ("dev", "production", "production with HTTP/3")
# From the oldest we support to the newest whose schemas there are.
VERSIONS = [f"1.{minor}" for minor in range(30, 38)]

Document = dict[str, Any]


def documents(overlay: str) -> list[Document]:
    """What is rendered; behind "with" is a component, as one switches it on in a copy."""
    name, _, component = overlay.partition(" with ")
    if not component:
        return list(yaml.safe_load_all(render(name)))
    with TemporaryDirectory() as made:
        # Kustomize takes no absolute path.
        there = os.path.relpath(ROOT / "deploy/k8s", Path(made).resolve())
        parts = {
            "resources": [f"{there}/overlays/{name}"],
            "components": [f"{there}/components/{component.lower().replace('/', '')}"],
        }
        Path(made, "kustomization.yaml").write_text(yaml.safe_dump(parts))
        return list(yaml.safe_load_all(render(made)))


RENDERED: dict[str, list[Document]] = {name: documents(name) for name in OVERLAYS}


def every() -> list[Any]:
    """Each document of each overlay, as a case."""
    return [
        pytest.param(one, id=f"{name}-{one['kind']}-{one['metadata']['name']}")
        for name, documents in RENDERED.items()
        for one in documents
    ]


def the(overlay: str, kind: str, name: str = "headgate") -> Document:
    """The one document of this kind and name."""
    (found,) = (
        one
        for one in RENDERED[overlay]
        if one["kind"] == kind and re.fullmatch(name, one["metadata"]["name"])
    )
    return found


def pod(overlay: str) -> Document:
    found: Document = the(overlay, "Deployment")["spec"]["template"]["spec"]
    return found


def container(overlay: str) -> Document:
    (found,) = pod(overlay)["containers"]
    assert isinstance(found, dict)
    return found


def check(document: Document, version: str) -> None:
    """Raises if the document is not valid, or nothing here can tell."""
    if document["kind"] in CUSTOM:
        jsonschema.validate(document, CUSTOM[document["kind"]])
    else:
        checked = kubernetes_validate.validate(document, version, strict=True)
        assert checked == version, "another version's schema was taken"


@pytest.mark.parametrize("document", every())
def test_every_document_is_valid_in_every_version(document: Document) -> None:
    for version in VERSIONS:
        check(document, version)


def test_the_newest_version_that_can_be_checked_is() -> None:
    assert kubernetes_validate.latest_version().startswith(f"{VERSIONS[-1]}.")


@pytest.mark.parametrize("document", every())
def test_a_misspelt_field_is_found(document: Document) -> None:
    """The check can fail: one unknown field below what each document is about."""
    body = copy.deepcopy(document)
    place = body.get("spec", body)
    place["misspelt"] = "x"
    with pytest.raises((jsonschema.ValidationError, kubernetes_validate.ValidationError)):
        check(body, VERSIONS[0])


def test_an_unknown_kind_is_not_passed_over() -> None:
    with pytest.raises(kubernetes_validate.SchemaNotFoundError):
        check({"apiVersion": "example/v1", "kind": "Unknown", "metadata": {}}, VERSIONS[0])


def test_production_has_all_that_was_meant() -> None:
    assert sorted(one["kind"] for one in RENDERED["production"]) == [
        "ConfigMap",
        "Deployment",
        "HorizontalPodAutoscaler",
        "Namespace",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "PrometheusRule",
        "Service",
        "Service",
        "ServiceAccount",
        "ServiceMonitor",
    ]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_pod_is_restricted(overlay: str) -> None:
    """The rules of the "restricted" pod security standard, and a root that can't be written."""
    security = pod(overlay)["securityContext"]
    assert security["runAsNonRoot"] is True
    assert security["runAsUser"] == 10001
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    own = container(overlay)["securityContext"]
    assert own["allowPrivilegeEscalation"] is False
    assert own["readOnlyRootFilesystem"] is True
    assert own["capabilities"] == {"drop": ["ALL"]}
    assert pod(overlay)["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod(overlay).keys()
    kinds = {kind for volume in pod(overlay)["volumes"] for kind in volume.keys() - {"name"}}
    assert kinds <= {"configMap", "emptyDir", "secret", "ephemeral"}
    labels = the(overlay, "Namespace", ".*")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_variables_of_services_stay_out(overlay: str) -> None:
    """A Service of our name makes HEADGATE_PORT, which would be an unknown option."""
    assert pod(overlay)["enableServiceLinks"] is False


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_selectors_find_the_pods(overlay: str) -> None:
    labels = the(overlay, "Deployment")["spec"]["template"]["metadata"]["labels"].items()
    selectors = [
        the(overlay, "Deployment")["spec"]["selector"]["matchLabels"],
        the(overlay, "Service")["spec"]["selector"],
        the(overlay, "Service", "headgate-admin")["spec"]["selector"],
        the(overlay, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        the(overlay, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        *(one["labelSelector"]["matchLabels"] for one in pod(overlay)["topologySpreadConstraints"]),
    ]
    for selector in selectors:
        assert selector
        assert selector.items() <= labels


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_ports_and_volumes_that_are_named_are_there(overlay: str) -> None:
    def kind(port: Document) -> str:
        return str(port.get("protocol", "TCP"))

    ports = {(kind(one), one["name"]) for one in container(overlay)["ports"]}
    shown = {(kind(one), one["targetPort"]) for name in ("headgate", "headgate-admin")
             for one in the(overlay, "Service", name)["spec"]["ports"]}  # fmt: skip
    let_in = {(kind(one), one["port"]) for rule in the(overlay, "NetworkPolicy")["spec"]["ingress"]
              for one in rule["ports"]}  # fmt: skip
    assert shown == let_in == ports
    probes = [container(overlay)[f"{one}Probe"] for one in ("startup", "liveness", "readiness")]
    assert {("TCP", one["httpGet"]["port"]) for one in probes} <= ports
    volumes = {one["name"] for one in pod(overlay)["volumes"]}
    assert {one["name"] for one in container(overlay)["volumeMounts"]} == volumes
    configuration = next(one for one in pod(overlay)["volumes"] if "configMap" in one)
    assert configuration["configMap"]["name"] == the(overlay, "ConfigMap", ".*")["metadata"]["name"]


def test_the_monitor_finds_the_operators_door() -> None:
    spec = the("production", "ServiceMonitor")["spec"]
    service = the("production", "Service", "headgate-admin")
    assert spec["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert not (
        spec["selector"]["matchLabels"].items()
        <= the("production", "Service")["metadata"]["labels"].items()
    ), "the public Service is scraped too"
    (endpoint,) = spec["endpoints"]
    assert endpoint["port"] in {one["name"] for one in service["spec"]["ports"]}
    assert spec["jobLabel"] in service["metadata"]["labels"]
    token = endpoint["authorization"]["credentials"]
    volume = next(one for one in pod("production")["volumes"] if one["name"] == "admin")
    assert token["name"] == volume["secret"]["secretName"]
    settings = tomllib.loads((ROOT / "deploy/k8s/base/pod.toml").read_text())
    assert Path(settings["admin"]["token_file"]).name == token["key"]


def test_the_autoscaler_goes_by_three_measures_from_2_to_20() -> None:
    spec = the("production", "HorizontalPodAutoscaler")["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 20)
    target = the("production", "Deployment")
    assert spec["scaleTargetRef"]["name"] == target["metadata"]["name"]
    assert "replicas" not in target["spec"], "an apply would undo the autoscaler"
    resources = {one["resource"]["name"] for one in spec["metrics"] if one["type"] == "Resource"}
    assert resources == {"cpu", "memory"}
    requests = container("production")["resources"]["requests"]
    assert resources <= requests.keys(), "a share of what?"
    (pods,) = (one["pods"]["metric"]["name"] for one in spec["metrics"] if one["type"] == "Pods")
    adapter = yaml.safe_load((ROOT / "deploy/monitoring/prometheus-adapter.yaml").read_text())
    assert [rule["name"]["as"] for rule in adapter["rules"]["custom"]] == [pods]


def test_http3_is_off_and_its_component_gives_it_the_number_of_tls() -> None:
    for overlay in ("dev", "production"):
        assert "UDP" not in str([container(overlay)["ports"], the(overlay, "Service")])
    overlay = "production with HTTP/3"
    numbers = [one["containerPort"] for one in container(overlay)["ports"]]
    assert numbers == [8080, 8443, 9090, 8443]
    ports = the(overlay, "Service")["spec"]["ports"]
    assert [(one["port"], one.get("protocol", "TCP")) for one in ports] == [
        (80, "TCP"),
        (443, "TCP"),
        (443, "UDP"),
    ]
    assert len(RENDERED[overlay]) == len(RENDERED["production"])


def volume_paths(text: str, directory: Path) -> str:
    """Configuration with the paths of a pod's Secrets replaced by files that are there."""
    certificate, key = certificates(directory, "pod")
    token = directory / "token"
    token.write_text("a-token-that-is-long-enough-for-anyone")
    text = text.replace("/etc/headgate-tls/tls.crt", str(certificate))
    text = text.replace("/etc/headgate-tls/tls.key", str(key))
    return text.replace("/etc/headgate-admin/token", str(token))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_a_pod_is_given_can_be_served(overlay: str, tmp_path: Path) -> None:
    """The ConfigMap, read as the container's arguments say; times and ports agree with the pod."""
    data = the(overlay, "ConfigMap", ".*")["data"]
    arguments = container(overlay)["args"]
    assert arguments[0] == "serve"
    files = []
    for argument in arguments[1:]:
        name = argument.removeprefix("--config=/etc/headgate/")
        files.append(tmp_path / name)
        files[-1].write_text(volume_paths(data[name], tmp_path))
    environment = {one["name"]: one["value"] for one in container(overlay).get("env", [])}
    settings = load(files, environment).settings

    grace = pod(overlay)["terminationGracePeriodSeconds"]
    before = container(overlay)["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert grace >= before + settings.server.graceful_timeout + 5, "a drain would be killed"

    tls = settings.server.tls
    secure = tls.bind if tls else ()
    binds = {("TCP", one) for one in (*settings.server.bind, settings.admin.bind, *secure)}
    binds |= {("UDP", one) for one in secure if tls and tls.http3}
    opened = container(overlay)["ports"]
    ports = {(one.get("protocol", "TCP"), one["containerPort"]) for one in opened}
    assert {(kind, int(one.rpartition(":")[2])) for kind, one in binds} == ports
    assert {one.rpartition(":")[0] for _, one in binds} == {"0.0.0.0"}
    if tls and tls.http3:
        shown = the(overlay, "Service")["spec"]["ports"]
        (told,) = (one["port"] for one in shown if one.get("protocol") == "UDP")
        assert tls.http3_port == told, "clients would be told the pod's own port"
    assert settings.server.workers != "auto", "that counts the node's processors"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_no_secret_is_written_down(overlay: str) -> None:
    kinds = {one["kind"] for one in RENDERED[overlay]}
    assert "Secret" not in kinds
    for entry in container(overlay).get("env", []):
        sensitive = re.search("KEY|SECRET|TOKEN|PASSWORD", entry["name"])
        assert not sensitive or "value" not in entry
    text = "\n".join(the(overlay, "ConfigMap", ".*")["data"].values())
    assert not re.search(r"^(secret\w*|token|session_token) = \"[^\"]", text, re.MULTILINE)


def test_the_image_is_the_version_of_this_tree() -> None:
    from proxy import __version__  # noqa: PLC0415  # the only use

    for overlay in OVERLAYS:
        assert container(overlay)["image"].rpartition(":")[2] == __version__


def deploy(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "deploy.tools.k8s", *arguments]
    nowhere = {"PATH": "/usr/bin:/bin", "KUBECONFIG": "/dev/null", "HOME": "/nonexistent"}
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=ROOT, env=nowhere
    )


def test_a_dry_run_lists_what_would_be_applied_and_needs_no_cluster() -> None:
    done = deploy("deploy", "production", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "would apply Deployment headgate/headgate" in done.stdout
    assert done.stdout.count("would apply") == len(RENDERED["production"])


def test_without_a_cluster_a_deployment_and_a_comparison_fail() -> None:
    for command in ("deploy", "diff"):
        done = deploy(command, "dev")
        assert done.returncode != 0, command
        assert "connection refused" in done.stderr
    assert deploy("diff", "dev").returncode != 1, "that would mean differences"


def test_an_overlay_that_is_not_there_is_named() -> None:
    done = deploy("diff", "staging")
    assert done.returncode == 1
    assert "staging" in done.stderr
    assert "dev, production" in done.stderr
