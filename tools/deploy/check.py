"""The files of deploy/ against what they name. In: the repository. Out: exit 0 where every YAML file loads; every kustomization builds from files
that exist; every document is valid for Kubernetes; Services, budgets, policies and scalers find what they select; configuration and secrets that
pods read are there; every VERBATIM_ variable is a setting of config/default.toml; every image is pinned. Otherwise a line for each fault, and 1.

    python tools/deploy/check.py               everything
    python tools/deploy/check.py --self-test   plants faults in copies of deploy/, each of which must be found

`kubectl` or `kustomize`, where there is one, must build the same documents as this file does without it.
"""

import argparse
import contextlib
import copy
import io
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib

import jsonschema
import kubernetes_validate
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Strict: a field that Kubernetes does not know is a fault.
KUBERNETES = "1.32"
BUILT = ("deploy/kubernetes/base", "deploy/kubernetes/overlays/single", "deploy/kubernetes/overlays/many")
COMPOSE = ("deploy/compose.yaml", "deploy/compose.jobs.yaml", "deploy/compose.monitoring.yaml")
# What is not a setting but is read all the same; src/config.rs.
SHORT = {"VERBATIM_MODEL", "VERBATIM_DEVICE", "VERBATIM_LOG", "VERBATIM_CONFIG"}
PINNED = re.compile(r"^[^\s@]+(:v?\d+\.\d+[\w.-]*|@sha256:[0-9a-f]{64})$")
# Built here, by the compose files themselves.
OWN_IMAGES = {"verbatim:cpu", "verbatim:cuda"}
KNOWN = {"apiVersion", "kind", "namespace", "labels", "resources", "components", "patches", "configurations", "configMapGenerator",
         "secretGenerator", "images"}  # fmt: skip
KEDA = {
    "type": "object", "required": ["jobTargetRef", "triggers"], "additionalProperties": False,
    "properties": {
        # A batch/v1 JobSpec, checked as one.
        "jobTargetRef": {"type": "object"},
        "pollingInterval": {"type": "integer", "minimum": 1}, "minReplicaCount": {"type": "integer", "minimum": 0},
        "maxReplicaCount": {"type": "integer", "minimum": 1}, "successfulJobsHistoryLimit": {"type": "integer"},
        "failedJobsHistoryLimit": {"type": "integer"}, "envSourceContainerName": {"type": "string"},
        "rollout": {"type": "object", "additionalProperties": False, "properties": {
            "strategy": {"enum": ["default", "immediate", "gradual"]}, "propagationPolicy": {"enum": ["background", "foreground"]}}},
        "scalingStrategy": {"type": "object", "additionalProperties": False, "properties": {
            "strategy": {"enum": ["default", "custom", "accurate", "eager"]}, "customScalingQueueLengthDeduction": {"type": "integer"},
            "customScalingRunningJobPercentage": {"type": "string"}, "pendingPodConditions": {"type": "array"},
            "multipleScalersCalculation": {"enum": ["max", "min", "avg", "sum"]}}},
        "triggers": {"type": "array", "minItems": 1, "items": {
            "type": "object", "required": ["type", "metadata"], "additionalProperties": False, "properties": {
                "type": {"const": "nats-jetstream"}, "name": {"type": "string"},
                # As the scaler reads it: texts, all of them.
                "metadata": {"type": "object", "required": ["natsServerMonitoringEndpoint", "account", "stream", "consumer"],
                             "additionalProperties": False, "properties": {
                                 "natsServerMonitoringEndpoint": {"type": "string"}, "account": {"type": "string"},
                                 "stream": {"const": "VERBATIM_ITEMS"}, "consumer": {"enum": ["high", "normal", "low"]},
                                 "lagThreshold": {"type": "string", "pattern": r"^\d+$"},
                                 "activationLagThreshold": {"type": "string", "pattern": r"^\d+$"},
                                 "useHttps": {"enum": ["true", "false"]}}}}}}},
}  # fmt: skip


class Faults(list):
    def add(self, where, what):
        self.append(f"{where}: {what}")


# ---- Building


def load(path, faults):
    try:
        return [document for document in yaml.safe_load_all(path.read_text()) if document is not None]
    except (OSError, yaml.YAMLError) as error:
        faults.add(path, f"cannot be read: {str(error).splitlines()[0]}")
        return []


def lines_of(path, faults):
    """NAME=value, as kustomize reads it."""
    if not path.is_file():
        faults.add(path, "is named by a kustomization and does not exist")
        return {}
    texts = [line for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
    return dict(line.split("=", 1) for line in texts if "=" in line or faults.add(path, f"{line!r} is not NAME=value"))


def name_of(document):
    return (document.get("kind"), document.get("metadata", {}).get("name"))


def overlaid(below, above):
    """A strategic merge of what these files use: mappings are merged, all else is replaced."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return {**below, **{key: overlaid(below.get(key), value) for key, value in above.items()}}


def patched(documents, patch, where, faults):
    if set(patch) - {"patch", "target"}:
        faults.add(where, f"a patch with {sorted(patch)}: this tool builds only those with `patch`")
    change = yaml.safe_load(patch["patch"])
    if not isinstance(change, dict):
        faults.add(where, "a patch that is no document: this tool builds strategic merges alone")
        return documents
    deletes = change.pop("$patch", None) == "delete"
    if name_of(change) not in [name_of(document) for document in documents]:
        faults.add(where, f"patches {name_of(change)}, which does not exist")
    same = lambda document: name_of(document) == name_of(change)  # noqa: E731
    if deletes:
        return [document for document in documents if not same(document)]
    return [overlaid(document, change) if same(document) else document for document in documents]


def containers_in(node):
    """Every container, wherever a custom resource keeps it."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("containers", "initContainers") and isinstance(value, list):
                yield from (each for each in value if isinstance(each, dict))
            else:
                yield from containers_in(value)
    elif isinstance(node, list):
        for value in node:
            yield from containers_in(value)


def build(folder, faults, below=()):
    """What `kustomize build` gives, without the hashes in the names of generated documents."""
    path = folder / "kustomization.yaml"
    found = load(path, faults)
    if not found:
        faults.add(folder, "has no kustomization.yaml that can be read")
        return list(below)
    kustomization = found[0]
    for unknown in sorted(set(kustomization) - KNOWN):
        faults.add(path, f"`{unknown}` is not built by this tool; teach it, or what it does is not checked")
    documents = list(below)
    for name in kustomization.get("resources", []):
        each = folder / name
        if not each.exists():
            faults.add(path, f"names {name}, which does not exist")
        documents += build(each, faults) if each.is_dir() else load(each, faults)
    for name in kustomization.get("components", []):
        if not (folder / name).is_dir():
            faults.add(path, f"names {name}, which does not exist")
        else:
            documents = build(folder / name, faults, documents)
    for name in kustomization.get("configurations", []):
        load(folder / name, faults)
    for key, kind in (("configMapGenerator", "ConfigMap"), ("secretGenerator", "Secret")):
        for each in kustomization.get(key, []):
            data = {}
            for name in each.get("envs", []):
                data |= lines_of(folder / name, faults)
            for name in each.get("files", []):
                if not (folder / name).is_file():
                    faults.add(path, f"names {name}, which does not exist")
                data[pathlib.Path(name).name] = (folder / name).read_text() if (folder / name).is_file() else ""
            made = {"apiVersion": "v1", "kind": kind, "metadata": {"name": each["name"]}, "data" if kind == "ConfigMap" else "stringData": data}
            if each.get("behavior") in ("replace", "merge"):
                documents = [document for document in documents if name_of(document) != name_of(made)]
            documents.append(made)
    for patch in kustomization.get("patches", []):
        documents = patched(documents, patch, path, faults)
    for document in documents:
        metadata = document.setdefault("metadata", {})
        if "namespace" in kustomization:
            metadata["name" if document.get("kind") == "Namespace" else "namespace"] = kustomization["namespace"]
        for pairs in kustomization.get("labels", []):
            metadata["labels"] = {**metadata.get("labels", {}), **pairs["pairs"]}
        for container in containers_in(document):
            for image in kustomization.get("images", []):
                if container.get("image", "").split(":")[0] == image["name"]:
                    container["image"] = f"{image.get('newName', image['name'])}:{image.get('newTag')}"
    seen = [name_of(document) for document in documents]
    for twice in sorted({str(name) for name in seen if seen.count(name) > 1}):
        faults.add(path, f"{twice} is there twice")
    return documents


def by_others(folder):
    """The same from the real program, where there is one."""
    for program in (["kustomize", "build"], ["kubectl", "kustomize"]):
        if shutil.which(program[0]):
            ran = subprocess.run([*program, str(folder)], capture_output=True, text=True)
            return ran.returncode, ran.stdout, ran.stderr, program[0]
    return None


def without_hashes(documents):
    """The real names end in ten characters of a hash; data of Secrets is in base64 there. What is compared is all else."""
    text = json.dumps([document for document in documents if document["kind"] not in ("Secret", "ConfigMap")])
    text = re.sub(r"(verbatim-[a-z]+)-[a-z0-9]{10}\b", r"\1", text)
    named = {}
    for document in json.loads(text):
        named[str(name_of(document))] = document
    return named


# ---- Judging


def settings():
    """Keys of config/default.toml, those that are commented out too, as the environment spells them."""
    section, keys = "", set(SHORT)
    for line in (ROOT / "config/default.toml").read_text().splitlines():
        if header := re.match(r"\[([\w.]+)\]", line):
            section = header[1].upper().replace(".", "__")
        elif key := re.match(r"(?:# )?([a-z_0-9]+) = ", line):
            keys.add(f"VERBATIM_{section}__{key[1].upper()}")
    return keys


def variables(where, names, keys, faults):
    for name in names:
        if name.startswith("VERBATIM_") and name not in keys:
            faults.add(where, f"{name} is no setting of config/default.toml")


def image(where, name, faults):
    if name not in OWN_IMAGES and not PINNED.match(name or ""):
        faults.add(where, f"the image {name!r} is not pinned to a version or a digest")


def fits_schema(document, where, faults):
    document = copy.deepcopy(document)
    if document.get("kind") == "ScaledJob":
        try:
            jsonschema.validate(document.get("spec"), KEDA)
        except jsonschema.ValidationError as error:
            faults.add(where, f"{'/'.join(map(str, error.path))}: {error.message[:200]}")
        document = {"apiVersion": "batch/v1", "kind": "Job", "metadata": document["metadata"], "spec": (document.get("spec") or {}).get("jobTargetRef")}
    try:
        # It tells versions that it takes for another on standard output.
        with contextlib.redirect_stdout(io.StringIO()):
            kubernetes_validate.validate(document, KUBERNETES, strict=True)
    except kubernetes_validate.ValidationError as error:
        faults.add(where, f"{'/'.join(map(str, error.path))}: {str(error.message)[:200]}")
    except kubernetes_validate.SchemaNotFoundError:
        faults.add(where, f"no schema of Kubernetes {KUBERNETES} for {document.get('apiVersion')} {document.get('kind')}")


def pods(documents):
    """(owner, labels, pod spec) of everything that makes pods."""
    for document in documents:
        spec = document.get("spec") or {}
        template = spec.get("template") or (spec.get("jobTargetRef") or {}).get("template")
        if document["kind"] in ("Deployment", "StatefulSet", "Job", "ScaledJob") and template:
            yield document, (template.get("metadata") or {}).get("labels") or {}, template.get("spec") or {}


def selects(selector, labels):
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    for each in selector.get("matchExpressions") or []:
        if each["operator"] != "In" or labels.get(each["key"]) not in each["values"]:
            return False
    return True


def has(documents, kind, name):
    return next((document for document in documents if name_of(document) == (kind, name)), None)


def reads(documents, where, container, spec, keys, faults):
    """What a container takes from elsewhere."""
    for each in container.get("envFrom", []):
        for key, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
            if key in each:
                source = has(documents, kind, each[key]["name"])
                if source is None:
                    faults.add(where, f"reads the {kind} {each[key]['name']}, which does not exist")
                else:
                    variables(where, source.get("data", source.get("stringData", {})), keys, faults)
    env = container.get("env", [])
    variables(where, [each["name"] for each in env], keys, faults)
    for at, each in enumerate(env):
        value_from = each.get("valueFrom", {})
        for key, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
            if key in value_from:
                source = has(documents, kind, value_from[key]["name"])
                data = {} if source is None else source.get("data", source.get("stringData", {}))
                if value_from[key]["key"] not in data:
                    faults.add(where, f"{each['name']} reads {value_from[key]['key']} of the {kind} {value_from[key]['name']}, which is not there")
        for name in re.findall(r"\$\(([A-Z0-9_]+)\)", each.get("value", "")):
            if name not in [before["name"] for before in env[:at]]:
                faults.add(where, f"{each['name']} names $({name}), which is not set before it")
    volumes = {volume["name"] for volume in spec.get("volumes", [])}
    for mount in container.get("volumeMounts", []):
        if mount["name"] not in volumes:
            faults.add(where, f"mounts {mount['name']}, which is no volume of the pod")


def judge_pods(documents, folder, keys, faults):
    for document, labels, spec in pods(documents):
        where = f"{folder}: {document['kind']} {document['metadata']['name']}"
        selector = (document["spec"].get("selector") or {})
        if document["kind"] in ("Deployment", "StatefulSet") and not (selector and selects(selector, labels)):
            faults.add(where, "its selector does not match its own pods")
        claims = [each["metadata"]["name"] for each in document["spec"].get("volumeClaimTemplates", [])]
        spec = {**spec, "volumes": spec.get("volumes", []) + [{"name": name} for name in claims]}
        for volume in spec["volumes"]:
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            for kind, name in (("PersistentVolumeClaim", claim), ("ConfigMap", volume.get("configMap", {}).get("name")), ("Secret", volume.get("secret", {}).get("secretName"))):  # fmt: skip
                if name and not has(documents, kind, name):
                    faults.add(where, f"mounts the {kind} {name}, which does not exist")
        if spec.get("enableServiceLinks") is not False:
            faults.add(where, "without enableServiceLinks: false Kubernetes sets variables that look like settings (VERBATIM_PORT)")
        if not spec.get("securityContext", {}).get("runAsNonRoot"):
            faults.add(where, "may run as root")
        # Of 300 s that requests under way may take, and 5 s before.
        if document["kind"] != "Job" and labels.get("app.kubernetes.io/name") == "verbatim" and spec.get("terminationGracePeriodSeconds", 0) <= 305:
            faults.add(where, "is killed before its drain is over (terminationGracePeriodSeconds)")
        for container in containers_in(spec):
            image(where, container.get("image"), faults)
            reads(documents, where, container, spec, keys, faults)
            tight = container.get("securityContext", {})
            if not (tight.get("readOnlyRootFilesystem") and tight.get("allowPrivilegeEscalation") is False and "ALL" in tight.get("capabilities", {}).get("drop", [])):  # fmt: skip
                faults.add(where, f"{container['name']}: the root is writable, or a capability is left")
            ports = {port.get("name") for port in container.get("ports", [])}
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                port = container.get(probe, {}).get("httpGet", {}).get("port")
                if port is not None and port not in ports:
                    faults.add(where, f"{probe} asks the port {port}, which the container does not name")


def judge_selectors(documents, folder, faults):
    every = [(document, labels, spec) for document, labels, spec in pods(documents)]
    for document in documents:
        kind, name = name_of(document)
        where, spec = f"{folder}: {kind} {name}", document.get("spec") or {}
        if kind == "Service":
            found = [pod for _, labels, pod in every if selects({"matchLabels": spec.get("selector", {})}, labels)]
            names = {port.get("name") for pod in found for container in containers_in(pod) for port in container.get("ports", [])}
            if not found:
                faults.add(where, "selects no pods")
            for port in spec["ports"]:
                if found and port.get("targetPort") not in names:
                    faults.add(where, f"its port {port.get('targetPort')} is none of its pods'")
        elif kind in ("PodDisruptionBudget", "NetworkPolicy"):
            selector = spec.get("selector" if kind == "PodDisruptionBudget" else "podSelector") or {}
            found = [document for document, labels, _ in every if selects(selector, labels)]
            if not found:
                faults.add(where, "selects no pods")
            if kind == "PodDisruptionBudget" and not any(owner["kind"] in ("Deployment", "StatefulSet") for owner in found):
                faults.add(where, "selects only pods whose owner cannot be scaled")
            for rule in (spec.get("ingress") or []) + (spec.get("egress") or []):
                for peer in (rule.get("from") or []) + (rule.get("to") or []):
                    if "podSelector" in peer and "namespaceSelector" not in peer and not any(selects(peer["podSelector"], labels) for _, labels, _ in every):
                        faults.add(where, "has a peer that is none of the pods here")
        elif kind == "HorizontalPodAutoscaler":
            target = spec["scaleTargetRef"]
            scaled = has(documents, target["kind"], target["name"])
            if scaled is None:
                faults.add(where, f"scales {target['kind']} {target['name']}, which does not exist")
            elif "replicas" in scaled["spec"]:
                faults.add(where, "what it scales says a number of its own (spec.replicas)")
        elif kind == "ScaledJob":
            for trigger in spec["triggers"]:
                host, port = trigger["metadata"]["natsServerMonitoringEndpoint"].rsplit(":", 1)
                service = has(documents, "Service", host.split(".")[0])
                if host.split(".")[1:] != [document["metadata"]["namespace"], "svc", "cluster", "local"]:
                    faults.add(where, f"asks {host}, which is not in its namespace {document['metadata']['namespace']}")
                if service is None or int(port) not in [each["port"] for each in service["spec"]["ports"]]:
                    faults.add(where, f"asks {host}:{port}, which is no Service here")
        elif kind == "StatefulSet" and not has(documents, "Service", spec.get("serviceName")):
            faults.add(where, f"its Service {spec.get('serviceName')} does not exist")
    if has(documents, "NetworkPolicy", "default-deny") is None:
        faults.add(folder, "has no NetworkPolicy default-deny")


def judge_scaled_job(folder, faults):
    """Its pod is the worker Deployment's, but for what a Job must say."""
    component = load(folder / "components/keda/scaledjob.yaml", faults)
    base = load(folder / "base/worker.yaml", faults)
    scaled, deployment = has(component, "ScaledJob", "worker"), has(base, "Deployment", "worker")
    if scaled is None or deployment is None:
        return faults.add(folder, "has no ScaledJob worker, or no Deployment worker")
    theirs, ours = (copy.deepcopy(each["template"]) for each in (scaled["spec"]["jobTargetRef"], deployment["spec"]))
    if theirs["spec"].pop("restartPolicy", None) != "Never":
        faults.add("ScaledJob worker", "podFailurePolicy needs restartPolicy: Never")
    arguments = theirs["spec"]["containers"][0].pop("args", [])
    if arguments[: len(ours["spec"]["containers"][0]["args"])] != ours["spec"]["containers"][0].pop("args") or "--exit-when-idle" not in arguments:
        faults.add("ScaledJob worker", f"its arguments {arguments}: a worker that does not end when idle is a Job that never does")
    if theirs != ours:
        faults.add("ScaledJob worker", "its pod is another than that of the Deployment in base/worker.yaml")


def judge_broker(folder, faults):
    for path in (folder / "kubernetes/base/nats.conf", folder / "compose.jobs.yaml"):
        text = re.sub(r"#.*", "", path.read_text()) if path.is_file() else ""
        if not re.search(r"^\s*sync_interval: always$", text, re.M):
            faults.add(path, "sync_interval is not always: acknowledged jobs would be lost with the power")


def judge_compose(root, keys, faults):
    for name in COMPOSE:
        path = root / name
        for document in load(path, faults):
            services = document.get("services", {})
            volumes, configs = document.get("volumes") or {}, document.get("configs") or {}
            for service, spec in services.items():
                where = f"{name}: {service}"
                image(where, spec.get("image"), faults)
                environment = spec.get("environment") or {}
                if not isinstance(environment, dict):
                    faults.add(where, "its environment is a list; a mapping is checked more easily")
                    continue
                variables(where, environment, keys, faults)
                for other in spec.get("depends_on") or []:
                    if other not in services:
                        faults.add(where, f"depends on {other}, which does not exist")
                    elif spec["depends_on"][other]["condition"] == "service_healthy" and "healthcheck" not in services[other] and not services[other]["image"].startswith("verbatim:"):  # fmt: skip
                        faults.add(where, f"waits for the health of {other}, which has no health check")
                for volume in spec.get("volumes") or []:
                    source = volume.split(":")[0]
                    if source.startswith((".", "/")):
                        if not (path.parent / source).exists():
                            faults.add(where, f"mounts {source}, which does not exist")
                    elif source not in volumes:
                        faults.add(where, f"mounts the volume {source}, which is not declared")
                for each in spec.get("configs") or []:
                    if each["source"] not in configs:
                        faults.add(where, f"reads the config {each['source']}, which is not declared")
                if "worker" in (spec.get("command") or [])[:1] and not (spec.get("healthcheck") or {}).get("disable"):
                    faults.add(where, "a worker has no listener, so the image's health check would call it sick")


# The tables of fly.toml that are used here, with the keys that flyctl reads in each.
FLY = {
    "": "app primary_region kill_signal kill_timeout build processes env vm mounts http_service restart metrics",
    "build": "dockerfile build-target", "vm": "size memory cpus cpu_kind", "mounts": "source destination initial_size",
    "http_service": "processes internal_port force_https auto_stop_machines auto_start_machines min_machines_running concurrency http_options checks",
    "http_service.concurrency": "type soft_limit hard_limit", "http_service.http_options": "idle_timeout",
    "http_service.checks": "grace_period interval timeout method path", "restart": "policy retries", "metrics": "port path",
}  # fmt: skip


def judge_fly(path, root, keys, faults):
    try:
        text = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        return faults.add(path, f"cannot be read: {error}")

    def known(table, name):
        for key, value in table.items():
            if key not in FLY[name].split():
                faults.add(path, f"[{name}] {key} is not known to flyctl, or not to this tool")
            below = f"{name}.{key}".strip(".")
            for each in (value if isinstance(value, list) else [value]) if below in FLY else ():
                known(each, below)

    known(text, "")
    variables(path, text.get("env", {}), keys, faults)
    target = text["build"]["build-target"]
    if not re.search(rf"^FROM .* AS {target}$", (root / "Dockerfile").read_text(), re.M):
        faults.add(path, f"the Dockerfile has no stage {target}")
    if text["kill_timeout"] > 300:
        faults.add(path, "Fly waits 300 s at most")
    if target == "cpu" and text["vm"][0]["size"] in ("a10", "a100-40gb", "a100-80gb", "l40s"):
        faults.add(path, "asks for a GPU, which Fly does not give any more")


def check(root):
    faults, keys = Faults(), settings()
    for path in (root / "fly.toml", root / "deploy/fly/gateway.toml"):
        judge_fly(path, root, keys, faults)
    for path in sorted((root / "deploy").rglob("*.yaml")):
        load(path, faults)
    seen = 0
    for name in BUILT:
        before = len(faults)
        documents = build(root / name, faults)
        folder = pathlib.Path(name).name
        for document in documents:
            fits_schema(document, f"{folder}: {document.get('kind')} {document['metadata'].get('name')}", faults)
        try:
            judge_pods(documents, folder, keys, faults)
            judge_selectors(documents, folder, faults)
        except (KeyError, TypeError, AttributeError) as error:
            faults.add(folder, f"is not of the shape that is expected: {error!r}")
        seen += len(documents)
        other = by_others(root / name)
        if other is not None and len(faults) == before:
            status, text, error, program = other
            if status != 0:
                faults.add(name, f"{program} does not build it: {error.strip()}")
            elif (theirs := without_hashes([each for each in yaml.safe_load_all(text) if each])) != (ours := without_hashes(documents)):
                different = [key for key in {*theirs, *ours} if theirs.get(key) != ours.get(key)]
                faults.add(name, f"{program} builds something else: {', '.join(sorted(different))}")
            elif re.search(r"name: verbatim-[a-z]+$", re.sub(r"volumes:.*?(?=\n---|\Z)", "", text, flags=re.S), re.M) and "ScaledJob" in text:
                faults.add(name, f"{program} leaves a generated name without its hash (components/keda/names.yaml)")
    for judge, folder in ((judge_scaled_job, root / "deploy/kubernetes"), (judge_broker, root / "deploy")):
        try:
            judge(folder, faults)
        except (KeyError, TypeError, IndexError) as error:
            faults.add(folder, f"is not of the shape that is expected: {error!r}")
    try:
        judge_compose(root, keys, faults)
    except (KeyError, TypeError, AttributeError) as error:
        faults.add("compose", f"is not of the shape that is expected: {error!r}")
    return faults, seen


# ---- Planting faults

BASE, KEDA_JOB = "deploy/kubernetes/base", "deploy/kubernetes/components/keda/scaledjob.yaml"
PLANTED = [
    ("a file that is gone", f"{BASE}/network.yaml", None, None, "network.yaml"),
    ("YAML that is none", f"{BASE}/gateway.yaml", "kind: Deployment", "kind: [Deployment", "cannot be read"),
    ("a field that Kubernetes does not know", f"{BASE}/gateway.yaml", "maxSurge: 1", "maxSurges: 1", "maxSurges"),
    ("a number where a text must be", f"{BASE}/worker.yaml", 'value: "1"', "value: 1", "is not of type"),
    ("a Service that selects nobody", f"{BASE}/nats.yaml", "    app.kubernetes.io/component: broker\n  ports:\n    - name: client\n      port: 4222\n      targetPort: client\n---",
     "    app.kubernetes.io/component: brokers\n  ports:\n    - name: client\n      port: 4222\n      targetPort: client\n---", "selects no pods"),
    ("a budget that selects nobody", f"{BASE}/worker.yaml", "  selector:\n    matchLabels:\n      app.kubernetes.io/name: verbatim\n", "  selector:\n    matchLabels:\n      app.kubernetes.io/name: other\n", "selects no pods"),
    ("a Secret by a wrong name", f"{BASE}/gateway.yaml", "name: verbatim-store", "name: verbatim-stores", "verbatim-stores"),
    ("a key that a Secret has not", f"{BASE}/secrets/broker.env.example", "NATS_PASSWORD=", "PASSWORD=", "NATS_PASSWORD"),
    ("a setting that does not exist", f"{BASE}/jobs.env", "VERBATIM_JOBS__STORE_URL", "VERBATIM_JOBS__STORAGE_URL", "STORAGE_URL"),
    ("a setting that does not exist, in a pod", f"{BASE}/gateway.yaml", "VERBATIM_SERVER__MAX_UPLOADS_BYTES", "VERBATIM_SERVER__MAX_UPLOAD_BYTES", "MAX_UPLOAD_BYTES"),
    ("an image that is not pinned", f"{BASE}/nats.yaml", "nats:2.14.6-alpine", "nats:latest", "not pinned"),
    ("an image without a tag", f"{BASE}/nats.yaml", "nats:2.14.6-alpine", "nats", "not pinned"),
    ("service links", f"{BASE}/worker.yaml", "      enableServiceLinks: false\n", "", "enableServiceLinks"),
    ("a short grace", f"{BASE}/gateway.yaml", "terminationGracePeriodSeconds: 330", "terminationGracePeriodSeconds: 30", "drain"),
    ("a writable root", f"{BASE}/gateway.yaml", "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "writable"),
    ("a variable before it is set", f"{BASE}/worker.yaml", "$(NATS_PASSWORD)", "$(BROKER_PASSWORD)", "BROKER_PASSWORD"),
    ("a claim that does not exist", f"{BASE}/worker.yaml", "claimName: models", "claimName: weights", "weights"),
    ("a probe of a port without a name", f"{BASE}/nats.yaml", "port: monitor\n            periodSeconds: 10", "port: health\n            periodSeconds: 10", "health"),
    ("a broker that syncs now and then", f"{BASE}/nats.conf", "sync_interval: always", "sync_interval: 2m", "sync_interval"),
    ("a number beside an autoscaler", f"{BASE}/gateway.yaml", "spec:\n  # How many", "spec:\n  replicas: 2\n  # How many", "spec.replicas"),
    ("a worker that never ends", KEDA_JOB, 'args: [worker, --exit-when-idle, "120"]', "args: [worker]", "never does"),
    ("a ScaledJob whose pod is another", KEDA_JOB, "memory: 16Gi", "memory: 12Gi", "its pod is another"),
    ("a scaler of a stream that does not exist", KEDA_JOB, "stream: VERBATIM_ITEMS", "stream: ITEMS", "VERBATIM_ITEMS"),
    ("a number where KEDA reads a text", KEDA_JOB, 'lagThreshold: "20"', "lagThreshold: 20", "is not of type"),
    ("a broker in another namespace", "deploy/kubernetes/overlays/many/kustomization.yaml", "\nnamespace: verbatim\n", "\nnamespace: verbatim-2\n", "not in its namespace"),
    ("a port that the broker does not have", KEDA_JOB, "cluster.local:8222", "cluster.local:8223", "is no Service"),
    ("a patch of what is not there", "deploy/kubernetes/components/keda/kustomization.yaml", "kind: PodDisruptionBudget\n      metadata:\n        name: worker", "kind: PodDisruptionBudget\n      metadata:\n        name: workers", "does not exist"),
    ("a peer that is nobody", f"{BASE}/network.yaml", "    - to:\n        - podSelector:\n            matchLabels:\n              app.kubernetes.io/name: nats", "    - to:\n        - podSelector:\n            matchLabels:\n              app.kubernetes.io/name: broker", "peer"),
    ("no default-deny", "deploy/kubernetes/overlays/single/network.yaml", "name: default-deny", "name: deny", "default-deny"),
    ("a kustomization this tool cannot build", f"{BASE}/kustomization.yaml", "namespace: verbatim\n", "namespace: verbatim\nnamePrefix: x-\n", "namePrefix"),
    ("compose: a setting that does not exist", "deploy/compose.jobs.yaml", "VERBATIM_JOBS__STORE_ENDPOINT", "VERBATIM_JOBS__ENDPOINT", "VERBATIM_JOBS__ENDPOINT"),
    ("compose: an image that is not pinned", "deploy/compose.jobs.yaml", "nats:2.14.6-alpine", "nats:alpine", "not pinned"),
    ("compose: a worker that is asked for its health", "deploy/compose.jobs.yaml", "disable: true", "disable: false", "sick"),
    ("fly: a key that flyctl does not know", "deploy/fly/gateway.toml", "internal_port", "internal_ports", "internal_ports"),
    ("fly: a stage that does not exist", "deploy/fly/gateway.toml", 'build-target = "cpu"', 'build-target = "gpu"', "no stage"),
    ("fly: a setting that does not exist", "fly.toml", "VERBATIM_DEVICE", "VERBATIM_DEVICES", "VERBATIM_DEVICES"),
    ("compose: a volume that is not declared", "deploy/compose.jobs.yaml", "\nvolumes:\n  models:", "\nvolumes:\n  weights:", "not declared"),
]  # fmt: skip


def self_test():
    missed = []
    for what, name, old, new, word in PLANTED:
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            shutil.copytree(ROOT / "deploy", root / "deploy")
            for name_beside in ("fly.toml", "Dockerfile"):
                shutil.copy(ROOT / name_beside, root)
            path = root / name
            if old is None:
                path.unlink()
            else:
                text = path.read_text()
                if old not in text:
                    missed.append(f"{what}: {old!r} is not in {name}, so nothing was planted")
                    continue
                path.write_text(text.replace(old, new, 1))
            found = [fault for fault in check(root)[0] if word in fault]
            print(f"  {what}: {found[0].removeprefix(folder)[:150] if found else 'NOT FOUND'}")
            if not found:
                missed.append(what)
    print(f"{len(PLANTED) - len(missed)} of {len(PLANTED)} planted faults were found")
    return missed


def main():
    asked = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    asked.add_argument("--self-test", action="store_true")
    if asked.parse_args().self_test:
        return sys.exit(1 if self_test() else 0)
    faults, seen = check(ROOT)
    print("\n".join(faults))
    program = by_others(ROOT / BUILT[0])
    print(f"{seen} documents in {len(BUILT)} kustomizations and {len(COMPOSE)} compose files, {len(faults)} faults"
          f"{'; built by ' + program[3] + ' too' if program else '; neither kustomize nor kubectl is here to build them too'}")  # fmt: skip
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
