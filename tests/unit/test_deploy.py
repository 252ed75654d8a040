"""What is in `deploy/` holds together, gives no secret away, and runs as nobody special."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from consumer_analytics.airflow import processes

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("consumer-analytics*.service"))
TIMERS = sorted((DEPLOY / "systemd").glob("*.timer"))
#: What `systemd-analyze security` may find at most, of 100: its own word for that is OK.
EXPOSED = "15"


def compose(name: str = "compose.yaml") -> dict[str, Any]:
    """Return a Compose file's content."""
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / name).read_text())
    return loaded


SERVICES: dict[str, dict[str, Any]] = compose()["services"]
OURS = [name for name, one in SERVICES.items() if "consumer-analytics" in one["image"]]


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    """Return a copy of the folder in which `./prepare` has run."""
    copy = tmp_path / "deploy"
    shutil.copytree(DEPLOY, copy, ignore=shutil.ignore_patterns("secrets", ".env"))
    prepare(copy)
    return copy


def prepare(folder: Path, *arguments: str) -> None:
    done = subprocess.run(
        [folder / "prepare", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def variables(folder: Path) -> dict[str, str]:
    """Return what is in the folder's `.env`."""
    lines = (folder / ".env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


# -- Compose ---------------------------------------------------------------------------


def test_containers_and_volume_have_the_names_that_commands_use() -> None:
    names = {one["container_name"] for one in SERVICES.values()}
    assert {"fintegrate-airflow-scheduler", "fintegrate-airflow-webserver"} <= names
    assert len(names) == len(SERVICES)
    assert compose()["volumes"]["airflow_logs"] == {"name": "airflow_logs"}
    for name in OURS:
        assert "airflow_logs:/opt/airflow/logs" in SERVICES[name]["volumes"]


def test_every_component_of_airflow_runs_with_its_own_command() -> None:
    commands = [str(one.get("command")) for one in SERVICES.values()]
    # Logs are on the volume, where the web server reads them: no servers for them, no ports.
    for wanted in processes.COMMANDS.values():
        assert sum(wanted in command for command in commands) == 1


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_started_again_and_not_as_root(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == ("no" if name == "airflow-init" else "unless-stopped")
    # PostgreSQL's image begins as root and goes on as a user of its own.
    if name != "postgres":
        assert service["user"] == "${AIRFLOW_UID:-50000}:0"


def test_every_secret_is_a_file_and_no_value_is_one() -> None:
    secrets = compose()["secrets"]
    assert all(one == {"file": f"secrets/{name}"} for name, one in secrets.items())
    used = {name for one in SERVICES.values() for name in one.get("secrets", [])}
    assert used == secrets.keys()
    for name in OURS:
        for variable, value in SERVICES[name]["environment"].items():
            if re.search(r"PASSWORD|SECRET|KEY|TOKEN|_CONN|BROKER|BACKEND", variable):
                assert re.search(r"/(run/secrets/\w+|passwords.json)$", str(value)), variable


def test_what_this_machine_reaches_is_on_its_own_address() -> None:
    assert not any("ports" in one for one in SERVICES.values())
    published = compose("compose.override.yaml")["services"]
    assert published["airflow-webserver"]["ports"] == ["127.0.0.1:8081:8081"]
    for service in published.values():
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_without_a_registry_nothing_else_is_replaced() -> None:
    """The file says what it replaces: images, entry points, networks and addresses to listen on."""
    replaced = compose("without-a-registry/compose.yaml")["services"]
    assert replaced.keys() == SERVICES.keys()
    for service in replaced.values():
        assert service.keys() <= {
            "network_mode",
            "extra_hosts",
            "image",
            "entrypoint",
            "environment",
        }
        assert all("HOST" in name for name in service.get("environment", {}))


def test_preparing_makes_what_compose_names_for_its_owner_alone(prepared: Path) -> None:
    made = {file.name: file for file in (prepared / "secrets").iterdir()}
    assert made.keys() == compose()["secrets"].keys()
    for file in made.values():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    texts = [file.read_text() for file in made.values()]
    assert len({*texts}) == len(texts)
    broker, redis = made["celery_broker_url"].read_text(), made["redis_password"].read_text()
    assert broker == f"redis://:{redis.strip()}@redis:6379/0\n"
    owner = 50000 if os.getuid() == 0 else os.getuid()
    assert variables(prepared) == {
        "COMPOSE_PROJECT_NAME": "fintegrate",
        "AIRFLOW_UID": str(owner),
    }
    assert {file.stat().st_uid for file in made.values()} == {owner}


def test_preparing_again_keeps_the_secrets_and_takes_profiles(prepared: Path) -> None:
    before = {file.name: file.read_text() for file in (prepared / "secrets").iterdir()}
    prepare(prepared, "--celery", "--monitoring")
    assert before == {file.name: file.read_text() for file in (prepared / "secrets").iterdir()}
    assert variables(prepared)["COMPOSE_PROFILES"] == "celery,monitoring"
    assert variables(prepared)["AIRFLOW_EXECUTOR"] == "CeleryExecutor"
    prepare(prepared, "--monitoring")
    assert variables(prepared)["AIRFLOW_EXECUTOR"] == "LocalExecutor"


# -- the image -------------------------------------------------------------------------


def test_the_image_is_of_locked_parts_and_runs_as_nobody_special() -> None:
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    steps = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert [line for line in steps if line.startswith("USER ")] == ["USER airflow"]
    assert steps.index("USER airflow") > max(
        n for n, line in enumerate(steps) if line.startswith(("FROM ", "RUN ", "COPY "))
    )
    assert [line for line in steps if line.startswith("ARG ")] == ["ARG BASE=python:3.12-slim"]
    assert all("--require-hashes" in line for line in steps if "pip install" in line)
    assert all("--frozen" in line for line in steps if "uv sync" in line)
    assert any(line.startswith("HEALTHCHECK ") for line in steps)
    assert not re.search(r"(?i)password|secret|token|_key", " ".join(steps))


def test_nothing_of_a_checkout_gets_into_an_image_but_what_is_named() -> None:
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in rules if line and not line.startswith("#")]
    assert rules[0] == "*"
    let_in = {line.removeprefix("!") for line in rules if line.startswith("!")}
    copied = {
        source
        for file in (DEPLOY / "Dockerfile", DEPLOY / "without-a-registry" / "services.Dockerfile")
        for step in re.findall(r"^COPY (?!--from)(.+)$", file.read_text(), re.MULTILINE)
        for source in step.split()[:-1]
    }
    assert {
        source for source in copied if not any(source.startswith(one) for one in let_in)
    } == set()
    assert all((ROOT / source).exists() for source in copied)


# -- Kubernetes ------------------------------------------------------------------------


def manifests() -> Iterator[dict[str, Any]]:
    """Yield what `kubectl apply` is given: what of it Kubernetes takes is checked by hand."""
    for name in ("migrate.yaml", "metrics.yaml"):
        yield from yaml.safe_load_all((DEPLOY / "kubernetes" / name).read_text())


def test_pods_may_do_little_and_take_secrets_from_secrets() -> None:
    pods = [one["spec"]["template"]["spec"] for one in manifests() if one["kind"] != "Service"]
    assert len(pods) == 2
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"]
        assert not pod["automountServiceAccountToken"]
        assert [volume["secret"]["secretName"] for volume in pod["volumes"]] == [
            "consumer-analytics"
        ]
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["image"].endswith(f"/consumer-analytics:{version('consumer-analytics')}")
        for variable in container["env"]:
            assert "secret" not in variable["name"].lower()
            assert not re.search(r"://[^/@]*:[^/@]*@", variable["value"])


def test_the_charts_values_are_for_this_version_and_hold_no_secret() -> None:
    values = yaml.safe_load((DEPLOY / "kubernetes" / "values.yaml").read_text())
    assert values["images"]["airflow"]["tag"] == version("consumer-analytics")
    assert values["airflowVersion"] == values["defaultAirflowTag"] == version("apache-airflow")
    named = [values[f"{name}SecretName"] for name in ("fernetKey", "apiSecretKey")]
    named += [values["jwtSecretName"], values["data"]["metadataSecretName"]]
    page = (ROOT / "docs" / "how-to" / "kubernetes.md").read_text()
    # Each is made by a command on the page.
    assert all(f"create secret generic {name} " in page for name in named)
    assert not re.search(r"://[^/@\s]*:[^/@…\s]+@", yaml.safe_dump(values, allow_unicode=True))


# -- systemd ---------------------------------------------------------------------------


def analyze(*arguments: str | Path) -> str:
    """Run `systemd-analyze`; return what it said of what is wrong."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("no systemd on this machine")
    done = subprocess.run(
        [program, *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    return done.stderr if done.returncode == 0 else done.stdout + done.stderr


def test_systemd_takes_the_units_and_timers(tmp_path: Path) -> None:
    for unit in [*UNITS, *TIMERS]:
        # A program that is there, in place of one that will be.
        program = re.compile(r"(?<=^ExecStart=)\S+", re.MULTILINE)
        (tmp_path / unit.name).write_text(program.sub("/bin/true", unit.read_text()))
    assert len(UNITS) == len(TIMERS) == 3
    assert analyze("verify", *(tmp_path / unit.name for unit in [*UNITS, *TIMERS])) == ""


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: str(unit.stem))
def test_a_service_is_exposed_to_little(unit: Path) -> None:
    assert analyze("security", "--offline=yes", f"--threshold={EXPOSED}", unit) == ""


def test_a_password_is_a_credential_and_in_no_unit() -> None:
    for unit in UNITS:
        text = unit.read_text()
        assert "LoadCredential=database_password:/etc/consumer-analytics/database_password" in text
        assert "PASSWORD_FILE=%d/database_password" in text
        assert "User=consumer-analytics\n" in text
