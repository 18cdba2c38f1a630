"""The manifests: what Kubernetes would take, as safe as they say, and about settings that there are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from schemas.settings import Settings

KUBERNETES = Path(__file__).parents[3] / "deploy" / "kubernetes"
VERSION = "1.34"

Manifest = dict[str, Any]


def manifests(folder: str) -> list[Manifest]:
    """Return all that a kustomization names, those of its bases included."""
    directory = KUBERNETES / folder
    kustomization = yaml.safe_load((directory / "kustomization.yaml").read_text())
    found: list[Manifest] = []
    for resource in kustomization["resources"]:
        path = (directory / resource).resolve()
        if path.is_dir():
            found += manifests(str(path.relative_to(KUBERNETES)))
        else:
            found += yaml.safe_load_all(path.read_text())
    return found


def pods() -> Iterator[tuple[str, Manifest]]:
    for manifest in manifests("base"):
        if "template" in manifest.get("spec", {}):
            yield manifest["metadata"]["name"], manifest["spec"]["template"]["spec"]


def named(kind: str, name: str) -> Manifest:
    (found,) = (m for m in manifests("autoscaling") if (m["kind"], m["metadata"]["name"]) == (kind, name))
    return found


@pytest.mark.parametrize(
    "manifest",
    [*manifests("autoscaling"), *manifests("ingress")],
    ids=lambda manifest: f"{manifest['kind']} {manifest['metadata']['name']}",
)
def test_a_manifest_keeps_to_the_schema(manifest: Manifest) -> None:
    kubernetes_validate.validate(manifest, VERSION, strict=True)


def test_there_are_the_three_processes_and_the_two_jobs() -> None:
    assert {name for name, _ in pods()} == {"gateway", "stream", "sinks", "topics", "migrate"}


@pytest.mark.parametrize(("name", "pod"), list(pods()), ids=[name for name, _ in pods()])
def test_a_pod_may_do_nothing_it_does_not_need(name: str, pod: Manifest) -> None:
    (container,) = pod["containers"]

    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert "memory" in container["resources"]["limits"]
    assert pod["terminationGracePeriodSeconds"] > 15 + 5  # the drain, and the wait before it


@pytest.mark.parametrize("name", ["gateway", "stream", "sinks"])
def test_a_process_is_probed_and_no_two_of_it_are_disrupted_at_once(name: str) -> None:
    (container,) = dict(pods())[name]["containers"]

    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert named("PodDisruptionBudget", name)["spec"]["maxUnavailable"] == 1


def test_a_gateway_has_time_to_empty_its_spool_before_it_stops() -> None:
    pod = dict(pods())["gateway"]
    command = pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][-1]
    before, wait = (float(seconds) for seconds in re.findall(r"\d+", command))

    assert command == f"sleep {before:g}; eye spool wait --seconds {wait:g}"
    assert pod["terminationGracePeriodSeconds"] >= before + wait + 15 + 5  # the stop itself, and the command's start


def test_metrics_and_details_of_a_gateway_are_not_for_everybody() -> None:
    (container,) = dict(pods())["gateway"]["containers"]
    ports = {port["name"]: str(port["containerPort"]) for port in container["ports"]}
    everybody, some = named("NetworkPolicy", "gateway")["spec"]["ingress"]

    assert {"name": "EYE_GATEWAY_ADMIN_PORT", "value": ports["admin"]} in container["env"]
    template = named("StatefulSet", "gateway")["spec"]["template"]
    assert template["metadata"]["annotations"]["prometheus.io/port"] == ports["admin"]
    assert [port["port"] for port in everybody["ports"]] == ["http"]
    assert [port["port"] for port in some["ports"]] == ["admin"]
    assert some["from"]
    assert [port["targetPort"] for port in named("Service", "gateway")["spec"]["ports"]] == ["http"]


@pytest.mark.parametrize("name", ["stream", "sinks"])
def test_a_worker_keeps_its_name_in_the_group(name: str) -> None:
    (container,) = dict(pods())[name]["containers"]

    assert named("StatefulSet", name)["spec"]["serviceName"] == name
    assert {"name": "EYE_INSTANCE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}} in container["env"]


def test_every_variable_is_a_setting() -> None:
    (settings,) = (m["data"] for m in manifests("base") if m["kind"] == "ConfigMap")
    variables = {entry["name"] for _, pod in pods() for entry in pod["containers"][0].get("env", [])} | settings.keys()

    assert variables <= {f"EYE_{name.upper()}" for name in Settings.model_fields}


def test_no_more_workers_are_asked_for_than_there_are_partitions() -> None:
    (settings,) = (m["data"] for m in manifests("base") if m["kind"] == "ConfigMap")

    for name in ("stream", "sinks"):
        autoscaler = named("HorizontalPodAutoscaler", name)["spec"]
        assert autoscaler["scaleTargetRef"]["name"] == name
        assert autoscaler["maxReplicas"] == int(settings["EYE_PARTITIONS"])


def test_the_adapter_serves_the_metric_that_each_autoscaler_asks_for() -> None:
    rules = yaml.safe_load((KUBERNETES / "autoscaling" / "adapter.yaml").read_text())["externalRules"]

    asked = {
        metric["external"]["metric"]["name"]
        for name in ("stream", "sinks")
        for metric in named("HorizontalPodAutoscaler", name)["spec"]["metrics"]
    }

    assert {rule["name"]["as"] for rule in rules} == asked
