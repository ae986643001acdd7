"""D: the files of the stack agree with each other and with the code; no Docker, no cluster."""

from __future__ import annotations

import importlib.util
import re
import stat
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from packaging.requirements import Requirement
from typer.main import get_command

from search_service.cli.commands import app
from search_service.settings import Settings
from tests.conftest import REPOSITORY
from tests.test_installed import required

DEPLOY = REPOSITORY / "deploy"
EXAMPLE = (REPOSITORY / ".env.example").read_text()
COMPOSE = {
    path.name: path.read_text() for path in (REPOSITORY / "docker-compose.yml", REPOSITORY / "docker-compose.gpu.yml")
}
SERVICES: dict[str, Any] = yaml.safe_load(COMPOSE["docker-compose.yml"])["services"]
MANIFESTS = [
    document
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
]
# Read by Ray, MLflow, PostgreSQL or the NVIDIA toolkit: names that were seen to work.
FOREIGN = {
    "MLFLOW_BACKEND_STORE_URI",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION",
    "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW",
    "MLFLOW_SQLALCHEMYSTORE_POOL_SIZE",
    "MLFLOW_TRACKING_URI",
    "NVIDIA_DRIVER_CAPABILITIES",
    "NVIDIA_VISIBLE_DEVICES",
    "PGDATA",
    "PGPASSWORD",
    "POSTGRES_PASSWORD",
    "RAY_AUTH_MODE",
    "RAY_AUTH_TOKEN",
}
# Read by databases.sql, or by the manifests themselves to write an address.
OURS = {"MLFLOW_DATABASE_PASSWORD", "SEARCH_SERVICE_DATABASE_PASSWORD"}


def load(name: str) -> ModuleType:
    """A script of deploy/, which are no package."""
    spec = importlib.util.spec_from_file_location(name, DEPLOY / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def stack(monkeypatch) -> ModuleType:
    monkeypatch.syspath_prepend(DEPLOY)
    return load("stack")


def interpolated(text: str) -> dict[str, str | None]:
    """Variables of a compose file with their defaults; None where one is required."""
    found: dict[str, str | None] = {}
    for name, sign, rest in re.findall(r"\$\{(\w+)(:[-?])([^}]*)\}", text):
        default = rest if sign == ":-" else None
        assert found.setdefault(name, default) == default, f"{name} has two defaults"
    assert len(re.findall(r"\$\{", text)) == len(re.findall(r"\$\{\w+:[-?]", text))
    return found


def pods() -> list[dict[str, Any]]:
    """The pods of all manifests, whoever makes them."""
    found = []
    for manifest in MANIFESTS:
        spec = manifest.get("spec", {})
        groups = [spec["headGroupSpec"], *spec["workerGroupSpecs"]] if manifest["kind"] == "RayCluster" else [spec]
        found += [group["template"]["spec"] for group in groups if "template" in group]
    return found


def test_d_every_variable_of_the_stack_is_in_the_example_with_its_default():
    for name, default in interpolated(COMPOSE["docker-compose.yml"]).items():
        line = f"{name}=" if default is None else f"# {name}={default}"
        assert line in EXAMPLE.splitlines(), line


def test_d_no_secret_is_in_a_file(stack):
    secrets = set(stack.required(REPOSITORY))
    assert secrets == {name for name, default in interpolated(COMPOSE["docker-compose.yml"]).items() if default is None}
    tracked = subprocess.run(["git", "check-ignore", ".env"], cwd=REPOSITORY, capture_output=True, check=False)
    assert tracked.returncode == 0, ".env is not ignored"
    for path in [*REPOSITORY.glob("docker-compose*.yml"), *DEPLOY.rglob("*"), REPOSITORY / "Dockerfile"]:
        if path.is_file() and path.suffix != ".pyc":
            for name in secrets:
                # Only ever by reference: ${NAME…}, $(NAME), a key of a Secret.
                given = re.findall(rf"{name}[=:] *([A-Za-z0-9_-]{{3,}})", path.read_text())
                assert not given, f"{path}: {name} is {given}"


def test_d_ports_are_published_on_loopback_alone():
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(ports) == {"service", "mlflow", "ray-head"}
    assert all(port.startswith("127.0.0.1:") for published in ports.values() for port in published)
    assert "NodePort" not in str(MANIFESTS)
    assert "LoadBalancer" not in str(MANIFESTS)


def test_d_postgres_is_out_of_reach_for_ray():
    on_its_network = {name for name, service in SERVICES.items() if "database" in service["networks"]}
    assert on_its_network == {"postgres", "databases", "mlflow", "service"}
    (policy,) = [m for m in MANIFESTS if m["kind"] == "NetworkPolicy" and m["metadata"]["name"] == "postgres"]
    (allowed,) = policy["spec"]["ingress"][0]["from"]
    assert set(allowed["podSelector"]["matchExpressions"][0]["values"]) == on_its_network - {"postgres"}


def test_d_what_is_told_to_containers_is_read_by_somebody():
    settings = {f"SEARCH_SERVICE_{name.upper()}" for name in Settings.model_fields}
    # The service's own settings stand in its package.
    sources = "".join(path.read_text() for path in (REPOSITORY / "search_service").rglob("*.py"))
    told = {name for service in SERVICES.values() for name in service.get("environment", {})}
    told |= {entry["name"] for pod in pods() for container in pod["containers"] for entry in container.get("env", [])}
    for name in told - FOREIGN - OURS - settings:
        field = name.removeprefix("SEARCH_SERVICE_").lower()
        assert name in sources or re.search(rf"^    {field}: ", sources, re.MULTILINE), name
    databases = (DEPLOY / "databases.sql").read_text()
    assert set(re.findall(r"\\getenv \w+ (\w+)", databases)) == OURS


def test_d_every_command_exists():
    commands = get_command(app).commands
    compose = [service.get("command", service.get("entrypoint")) for service in SERVICES.values()]
    kubernetes = [container["args"] for pod in pods() for container in pod["containers"] if "args" in container]
    for command in compose + kubernetes:
        program, *arguments = command
        assert program in {"postgres", "psql", "mlflow", "ray", "search-service"}
        if program == "search-service":
            assert arguments[0] in commands, command
    dockerfile = (REPOSITORY / "Dockerfile").read_text()
    assert 'CMD ["search-service", "serve"]' in dockerfile


def test_d_health_checks_ask_with_the_script_of_the_image():
    ours = [service for name, service in SERVICES.items() if name != "databases"]
    checks = [service["healthcheck"]["test"][1:] for service in ours]
    checks += [
        container[probe]["exec"]["command"]
        for pod in pods()
        for container in pod["containers"]
        for probe in ("startupProbe", "readinessProbe", "livenessProbe")
        if probe in container
    ]
    dockerfile = (REPOSITORY / "Dockerfile").read_text()
    for program, *arguments in checks:
        if program != "pg_isready":
            assert program == "/opt/search-service/healthy.py"
            assert urlsplit(arguments[0]).hostname == "127.0.0.1"
    for name in re.findall(r"deploy/(\w+\.py)", dockerfile):
        assert f"!deploy/{name}" in (REPOSITORY / ".dockerignore").read_text()
        assert (DEPLOY / name).stat().st_mode & stat.S_IXUSR


def test_d_both_compose_versions_can_read_the_files():
    for text in COMPOSE.values():
        file = yaml.safe_load(text)
        assert not {"name", "version"} & set(file)
        assert "ulimits" not in text
    waited_for = {name for service in SERVICES.values() for name in service.get("depends_on", {})}
    for name in waited_for - {"databases"}:
        assert "healthcheck" in SERVICES[name]
    assert set(yaml.safe_load(COMPOSE["docker-compose.gpu.yml"])["services"]) <= set(SERVICES)


def test_d_kubernetes_manifests_refer_to_what_exists():
    kustomization = yaml.safe_load((DEPLOY / "kustomization.yaml").read_text())
    assert {DEPLOY / path for path in kustomization["resources"]} == set((DEPLOY / "kubernetes").glob("*.yaml"))
    names = {(m["kind"], m["metadata"]["name"]) for m in MANIFESTS}
    names |= {("ConfigMap", generated["name"]) for generated in kustomization["configMapGenerator"]}
    for pod in pods():
        volumes = pod.get("volumes", [])
        for volume in volumes:
            kind, name = (
                ("PersistentVolumeClaim", "claimName") if "persistentVolumeClaim" in volume else ("ConfigMap", "name")
            )
            source = volume.get("persistentVolumeClaim", volume.get("configMap"))
            assert (kind, source[name]) in names
        for container in pod["containers"]:
            assert container["image"] in {kustomization["images"][0]["name"], SERVICES["postgres"]["image"]}
            for entry in container.get("env", []):
                if "valueFrom" in entry:
                    secret = entry["valueFrom"]["secretKeyRef"]
                    assert secret["name"] == "search-service"
                    assert f"{secret['key']}=" in EXAMPLE.splitlines()


def test_d_versions_of_ray_agree():
    pinned = dict(
        line.split("==") for line in (REPOSITORY / "constraints.txt").read_text().splitlines() if "==" in line
    )
    (cluster,) = [manifest for manifest in MANIFESTS if manifest["kind"] == "RayCluster"]
    assert cluster["spec"]["rayVersion"] == pinned["ray"]


def test_d_env_is_made_once_with_secrets_of_its_own(stack, tmp_path):
    (tmp_path / ".env.example").write_text(EXAMPLE)
    assert stack.write_secrets(tmp_path)
    first = (tmp_path / ".env").read_text()
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    assert not stack.problems(tmp_path)
    given = stack.read(tmp_path / ".env")
    secrets = [given[name] for name in stack.required(tmp_path)]
    assert len(set(secrets)) == len(secrets) == 5
    assert not stack.write_secrets(tmp_path)
    assert (tmp_path / ".env").read_text() == first


def test_d_a_missing_secret_is_named(stack, tmp_path):
    (tmp_path / ".env.example").write_text(EXAMPLE)
    (tmp_path / ".env").write_text("POSTGRES_PASSWORD=postgres\n")
    found = "\n".join(stack.problems(tmp_path))
    assert "POSTGRES_PASSWORD is one that others know" in found
    assert "RAY_AUTH_TOKEN is empty" in found


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        ("", "empty"),
        ("postgres", "know"),
        ("changeme-changeme", "know"),
        ("Password12345678", "know"),
        ("aaaaaaaaaaaaaaaaaaaa", "know"),
        ("f7Hq2xLmB9v0", "fewer than 20"),
        ("f7Hq2x:9@kk/2Lq8vvTb", "letters, digits"),
    ],
)
def test_d_containers_refuse_secrets_that_others_know(secret, said):
    script = [sys.executable, DEPLOY / "entrypoint.py", sys.executable, "-c", "print('started')"]
    good = "k3J-x_9QmZ7tVwB2Lc8R"
    url = "postgresql+psycopg://search_service:{}@postgres:5432/search_service"

    def start(**environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(script, env=environment, capture_output=True, text=True, check=False)

    assert start(RAY_AUTH_TOKEN=good, SEARCH_SERVICE_DATABASE_URL=url.format(good)).stdout == "started\n"
    refused = start(RAY_AUTH_TOKEN=secret)
    assert refused.returncode == 2
    assert said in refused.stderr
    assert not secret or secret not in refused.stderr.replace("python3", "")
    if said != "letters, digits":
        assert start(SEARCH_SERVICE_DATABASE_URL=url.format(secret)).returncode == 2


def test_d_the_slurm_script_is_a_script_and_its_options_are_those_of_run():
    script = DEPLOY / "slurm" / "ray-cluster.sbatch"
    subprocess.run(["bash", "-n", script], check=True)
    options = {option for parameter in get_command(app).commands["run"].params for option in parameter.opts}
    assert {"--ray-address", "--study", "--set"} <= options


def test_d_what_the_guide_names_exists():
    guide = (REPOSITORY / "docs" / "deploy.md").read_text()
    for target in re.findall(r"\]\(([^)#]+)\)", guide):
        if not target.startswith("http"):
            assert (REPOSITORY / "docs" / target).exists(), target
    for path in re.findall(r"(?:deploy/[\w./-]+|configs/[\w.]+)", guide):
        assert (REPOSITORY / path.rstrip(".")).exists(), path
    variables = {line.lstrip("# ").split("=")[0] for line in EXAMPLE.splitlines() if re.match(r"(# )?[A-Z_]+=", line)}
    for name in re.findall(r"`([A-Z]+_[A-Z_]+)`", guide):
        assert name in variables | FOREIGN | {"SEARCH_SERVICE_HOME"}, name
    makefile = (REPOSITORY / "Makefile").read_text()
    for target in re.findall(r"make (up|down|\w+ WORKERS)", guide):
        assert f"\n{target.split()[0]}:" in makefile


def test_d_the_image_installs_what_the_project_depends_on():
    dockerfile = (REPOSITORY / "Dockerfile").read_text()
    # As Docker reads it: a line goes on after a backslash.
    code = re.search(r'python -c "(.*?)" >requirements.txt', dockerfile.replace("\\\n", ""))[1]
    listed = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    names = {Requirement(line).name for line in listed.stdout.splitlines()}
    # What studies need, what the service does, and what the client alone has.
    assert {"torch", "ray", "mlflow", "fastapi", "httpx", "pydantic"} <= names
    assert names == {one.name for extra in ("", "all") for one in required("search-service", extra)}
    assert Path("/var/lib/search-service").as_posix() in dockerfile
