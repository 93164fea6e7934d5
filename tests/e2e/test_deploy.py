#!/usr/bin/python3
"""The files in deploy/: weir takes the configurations, and what the Kubernetes manifests name exists."""
import os
import platform
import subprocess
import sys

import weirtest

try:
    import yaml
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(weirtest.SKIPPED)
import otlp_client

DEPLOY = os.path.join(weirtest.ROOT, "deploy")
MIB = 1 << 20


def read(name):
    with open(os.path.join(DEPLOY, name), encoding="utf-8") as f:
        return f.read()


def manifests(name):
    """{(kind, name): object}"""
    objects = [o for o in yaml.safe_load_all(read(name)) if o]
    for o in objects:
        assert o["apiVersion"] and o["kind"] and o["metadata"]["name"], o
    return {(o["kind"], o["metadata"]["name"]): o for o in objects}


def gateway():
    found = manifests("kubernetes/gateway.yaml")
    pod = found["Deployment", "weir-gateway"]["spec"]["template"]
    return found, pod, pod["spec"]["containers"][0]


def test_weir_takes_the_gateways_configuration(stage):
    done = subprocess.run(["setarch", platform.machine(), "-R", weirtest.BINARY, "validate", "--config",
                           os.path.join(DEPLOY, "gateway.yaml")], capture_output=True, text=True, check=False,
                          timeout=weirtest.PATIENCE)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


def test_the_gateway_runs_as_it_is_deployed(stage):
    """On other ports than its own, which may be in use here."""
    ports = {name: weirtest.free_port() for name in ("4317", "4318", "13133", "8888")}
    text = read("gateway.yaml")
    for standard, port in ports.items():
        assert standard in text
        text = text.replace(f"0.0.0.0:{standard}", f"127.0.0.1:{port}").replace(f"}}:{standard}", f"}}:{port}")
        text = text.replace(f"port: {standard}", f"port: {port}")
    weir = stage.weir(text, env={"WEIR_BACKEND": "http://127.0.0.1:1", "WEIR_STATUS_HOST": "127.0.0.1"})
    assert otlp_client.request(ports["13133"], "/ready").status == 200
    assert otlp_client.send(ports["4318"], otlp_client.spans(3)).status == 200
    assert b"otelcol" in otlp_client.request(ports["8888"], "/metrics").body.encode()
    weir.kill()


def test_the_config_map_holds_the_gateways_configuration(stage):
    found, _, container = gateway()
    assert found["ConfigMap", "weir-gateway"]["data"] == {"gateway.yaml": read("gateway.yaml")}
    mount = next(m for m in container["volumeMounts"] if m["name"] == "config")
    assert container["args"] == ["--config", mount["mountPath"] + "/gateway.yaml"]


def test_what_the_manifests_name_exists(stage):
    found, pod, container = gateway()
    spec, labels = pod["spec"], pod["metadata"]["labels"]
    assert all(o["metadata"].get("namespace") == "telemetry" for (kind, _), o in found.items() if kind != "Namespace")
    assert ("Namespace", "telemetry") in found and ("ServiceAccount", spec["serviceAccountName"]) in found
    ports = {p["name"]: p["containerPort"] for p in container["ports"]}
    config = yaml.safe_load(read("gateway.yaml"))
    protocols = config["receivers"]["otlp"]["protocols"]
    assert protocols["grpc"]["endpoint"].endswith(f":{ports['otlp-grpc']}")
    assert protocols["http"]["endpoint"].endswith(f":{ports['otlp-http']}")
    assert config["extensions"]["health_check"]["endpoint"].endswith(f":{ports['health']}")
    assert config["service"]["telemetry"]["metrics"]["port"] == ports["metrics"]
    assert int(pod["metadata"]["annotations"]["prometheus.io/port"]) == ports["metrics"]
    for probe, path in (("livenessProbe", "/live"), ("readinessProbe", "/ready")):
        assert container[probe]["httpGet"] == {"path": path, "port": "health"}
    volumes = {v["name"]: v for v in spec["volumes"]}
    for mount in container["volumeMounts"]:
        assert mount["name"] in volumes
    assert ("ConfigMap", volumes["config"]["configMap"]["name"]) in found
    services = [o for (kind, _), o in found.items() if kind == "Service"]
    assert len(services) == 2
    for service in services:
        assert service["spec"]["selector"] == labels
        for port in service["spec"]["ports"]:
            assert ports[port["targetPort"]] == port["port"]
    assert found["Deployment", "weir-gateway"]["spec"]["selector"]["matchLabels"] == labels
    assert found["PodDisruptionBudget", "weir-gateway"]["spec"]["selector"]["matchLabels"] == labels
    for spread in spec["topologySpreadConstraints"]:
        assert spread["labelSelector"]["matchLabels"] == labels
    target = found["HorizontalPodAutoscaler", "weir-gateway"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) in found
    used = {e["name"] for e in container["env"]}
    assert used == {"WEIR_BACKEND", "WEIR_STATUS_HOST"} and all("${env:" + name in read("gateway.yaml") for name in used)


def test_the_network_policy_speaks_of_the_gateway(stage):
    _, pod, container = gateway()
    policy = manifests("kubernetes/gateway-networkpolicy.yaml")["NetworkPolicy", "weir-gateway"]["spec"]
    assert policy["podSelector"]["matchLabels"] == pod["metadata"]["labels"]
    named = {p["name"] for p in container["ports"]}
    assert all(p["port"] in named for rule in policy["ingress"] for p in rule["ports"])


def test_the_pod_has_no_rights_and_time_to_drain(stage):
    found, pod, container = gateway()
    spec, config = pod["spec"], yaml.safe_load(read("gateway.yaml"))
    assert spec["securityContext"]["runAsNonRoot"] and spec["automountServiceAccountToken"] is False
    assert found["ServiceAccount", "weir-gateway"]["automountServiceAccountToken"] is False
    rights = container["securityContext"]
    assert rights["readOnlyRootFilesystem"] and rights["allowPrivilegeEscalation"] is False
    assert rights["capabilities"] == {"drop": ["ALL"]}
    drain = float(config["service"]["shutdown_timeout"].rstrip("s"))
    hook = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert spec["terminationGracePeriodSeconds"] > drain + hook + 2  # and what a late component may take


def test_the_queues_stay_below_the_soft_limit_of_memory(stage):
    _, _, container = gateway()
    config = yaml.safe_load(read("gateway.yaml"))
    assert container["resources"]["limits"]["memory"] == "512Mi"
    limiter, queue = config["processors"]["memory_limiter"], config["exporters"]["otlp"]["sending_queue"]
    soft = 512 * MIB * (limiter["limit_percentage"] - limiter["spike_limit_percentage"]) / 100
    assert queue["sizer"] == "bytes" and 3 * queue["queue_size"] < soft
    for pipeline in config["service"]["pipelines"].values():
        assert pipeline["processors"][0] == "memory_limiter"


weirtest.main()
