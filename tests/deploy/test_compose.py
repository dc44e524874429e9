"""The compose file: valid by the specification, true to what it mounts, without a secret in it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

from proxy.config import load

ROOT = Path(__file__).parents[2]
DIRECTORY = ROOT / "deploy/compose"
FILE = DIRECTORY / "compose.yaml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def parse(compose: dict[str, Any]) -> PyCompose:
    """The file as the specification's own types have it; merge keys are YAML's and done by now."""
    return PyCompose.from_json(json.dumps(compose))


def test_it_is_valid() -> None:
    assert sorted(parse(COMPOSE).service_names()) == ["grafana", "headgate", "prometheus", "store"]


@pytest.mark.parametrize("option", ["read_onyl", "memory_limit"])
def test_an_option_that_is_none_would_be_found(option: str) -> None:
    broken = json.loads(json.dumps(COMPOSE))
    broken["services"]["headgate"][option] = "x"
    with pytest.raises(ValueError, match=option):
        parse(broken)


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_confined(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not re.search(r":latest$|^[^:]+$", service["image"]), "which version?"
    for port in service.get("ports", []):
        assert port.startswith("127.0.0.1:"), "for everyone on the network"


@pytest.mark.parametrize("name", SERVICES)
def test_what_it_names_is_there(name: str) -> None:
    service = SERVICES[name]
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        there = (DIRECTORY / source).exists() if source.startswith(".") else None
        assert there is not False, source
        assert there or source in COMPOSE["volumes"]
    assert set(service.get("secrets", [])) <= COMPOSE["secrets"].keys()
    assert set(service.get("networks", [])) <= COMPOSE["networks"].keys()
    assert set(service.get("depends_on", [])) <= SERVICES.keys()


def test_prometheus_finds_headgate_and_the_rules() -> None:
    scraping = yaml.safe_load((ROOT / "deploy/monitoring/prometheus.yaml").read_text())
    mounted = {one.split(":")[1] for one in SERVICES["prometheus"]["volumes"]}
    assert {f"/etc/prometheus/{name}" for name in scraping["rule_files"]} <= mounted
    (job,) = scraping["scrape_configs"]
    host, _, port = job["static_configs"][0]["targets"][0].partition(":")
    assert host in SERVICES
    settings = load([DIRECTORY / "headgate.toml"], {"HEADGATE_ADMIN__TOKEN": "x" * 20}).settings
    assert settings.admin.bind.endswith(f":{port}")
    secret = Path(job["authorization"]["credentials_file"]).name
    assert secret in SERVICES["prometheus"]["secrets"]
    assert secret in SERVICES["headgate"]["secrets"]
    shared = set(SERVICES["prometheus"]["networks"]) & set(SERVICES["headgate"]["networks"])
    assert "monitoring" in shared


def test_headgate_gets_its_secrets_and_its_time(tmp_path: Path) -> None:
    shutil.copytree(DIRECTORY, tmp_path / "compose", ignore=shutil.ignore_patterns("secrets.d"))
    made = tmp_path / "compose/secrets.d"
    assert subprocess.run([tmp_path / "compose/secrets"], check=False).returncode == 0
    environ = {
        name: value.replace("/run/secrets", str(made))
        for name, value in SERVICES["headgate"]["environment"].items()
    }
    settings = load([tmp_path / "compose/headgate.toml"], environ).settings
    assert int(SERVICES["headgate"]["stop_grace_period"].removesuffix("s")) >= (
        settings.server.graceful_timeout + 10
    )
    told = dict(line.split("=") for line in (made / "store.env").read_text().splitlines())
    assert told["AWS_ACCESS_KEY_ID"] == (made / "access-key-id").read_text()
    before = {file.name: file.read_bytes() for file in made.iterdir()}
    assert before.keys() == {
        "store.env",
        *(Path(one["file"]).name for one in COMPOSE["secrets"].values()),
    }
    for file in made.iterdir():
        os.chmod(file, 0o600)
    subprocess.run([tmp_path / "compose/secrets"], check=True)
    assert before == {file.name: file.read_bytes() for file in made.iterdir()}, "made anew"


def test_no_secret_is_in_the_tree() -> None:
    assert "/secrets.d/" in (DIRECTORY / ".gitignore").read_text()
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            assert not re.search("PASSWORD|SECRET|TOKEN", name) or value.startswith("/run/secrets/")


def test_grafana_is_given_the_dashboard_and_where_to_ask() -> None:
    (source,) = yaml.safe_load((DIRECTORY / "grafana/datasources/prometheus.yaml").read_text())[
        "datasources"
    ]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load((DIRECTORY / "grafana/dashboards/headgate.yaml").read_text())[
        "providers"
    ]
    mounted = [one.split(":")[1] for one in SERVICES["grafana"]["volumes"]]
    assert any(one.startswith(f"{provider['options']['path']}/") for one in mounted)
