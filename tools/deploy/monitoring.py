"""Alerts and dashboard against what the server really tells. In: a binary. Out: exit 0 where promtool takes the rules and their tests, every
metric named is declared in src/telemetry/metrics.rs, every label is one of a real scrape or of the source, and a real Prometheus that scrapes
a real server evaluates every rule and every panel; otherwise a line for each fault, and 1.

    python3 tools/deploy/monitoring.py target/release/verbatim          needs prometheus and promtool
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools/smoke"))
from server import Server  # noqa: E402

SPEECH = ROOT / "tests/fixtures/speech/english.wav"
RULES, TESTS = ROOT / "deploy/prometheus/rules.yml", ROOT / "deploy/prometheus/rules_test.yml"
# Prometheus' own, and those of the kubelet and the node exporter that VerbatimJobsDiskFull reads.
FOREIGN = {"up", "kubelet_volume_stats_available_bytes", "kubelet_volume_stats_capacity_bytes", "node_filesystem_avail_bytes", "node_filesystem_size_bytes"}
FOREIGN_LABELS = {"job", "instance", "le", "persistentvolumeclaim", "mountpoint"}


def declared():
    """Names as they are scraped."""
    text = (ROOT / "src/telemetry/metrics.rs").read_text()
    plain, histograms = text.split("    histograms {\n", 1)
    pattern = r'^\s+[A-Z_]+ = "(\w+)",'
    names = set(re.findall(pattern, plain, re.M))
    return names | {name + end for name in re.findall(pattern, histograms, re.M) for end in ("_bucket", "_sum", "_count")}


def label_names(scrape):
    source = "\n".join(path.read_text() for path in (ROOT / "src").rglob("*.rs"))
    return set(re.findall(r'[{,](\w+)="', scrape)) | set(re.findall(r'\("(\w+)", [^)]', source))


def expressions():
    """(where, expression) of rules and of panels, with Grafana's variables as Grafana would fill them."""
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        for rule in group["rules"]:
            yield rule.get("alert") or rule["record"], rule["expr"]
    for panel in json.loads((ROOT / "deploy/grafana/verbatim.json").read_text())["panels"]:
        for target in panel.get("targets", []):
            yield f"panel {panel['title']}", target["expr"].replace("$__rate_interval", "1m").replace("$instance", ".*")


def judge_names(labels, faults):
    names, recorded = declared(), {rule["record"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"] if "record" in rule}
    for where, text in expressions():
        bare = text
        for name in recorded:
            bare = bare.replace(name, " ")
        for name in set(re.findall(r"\b((?:verbatim|process|node|kubelet)_\w+|up)\b", re.sub(r'"[^"]*"', '""', bare))) - names - FOREIGN:
            faults.append(f"{where}: no metric is called {name}")
        used = set(re.findall(r"[{,]\s*(\w+)\s*(?:=~|!~|!=|=)", bare)) | {each.strip() for group in re.findall(r"\bby \(([^)]*)\)", bare) for each in group.split(",")}
        for name in used - labels - FOREIGN_LABELS:
            faults.append(f"{where}: no label is called {name}")


def judge_rules(faults):
    for command in (["promtool", "check", "rules", RULES], ["promtool", "test", "rules", TESTS]):
        ran = subprocess.run(command, capture_output=True, text=True, cwd=RULES.parent)
        if ran.returncode:
            faults.append(f"{' '.join(map(str, command))}: {ran.stdout}{ran.stderr}")
    tested = {test["name"] for test in yaml.safe_load(TESTS.read_text())["tests"]}
    runbook = ROOT / "docs/operations.md"
    for rule in (rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"] if "alert" in rule):
        name = rule["alert"]
        if name not in tested:
            faults.append(f"{name}: no test has it fire")
        if rule["labels"]["severity"] not in ("page", "ticket") or not rule["annotations"]["summary"]:
            faults.append(f"{name}: no severity or no summary")
        if rule["annotations"]["runbook"] != f"docs/operations.md#{name.lower()}":
            faults.append(f"{name}: its runbook is not docs/operations.md#{name.lower()}")
        if runbook.is_file() and not re.search(rf"^#+ {name}$", runbook.read_text(), re.M):
            faults.append(f"{name}: docs/operations.md has no heading of that name")


def judge_dashboard(faults):
    dashboard = json.loads((ROOT / "deploy/grafana/verbatim.json").read_text())
    taken, ids = {}, set()
    for panel in dashboard["panels"]:
        if panel["id"] in ids:
            faults.append(f"panel {panel['title']}: its id is another's")
        ids.add(panel["id"])
        place = panel["gridPos"]
        if place["x"] + place["w"] > 24:
            faults.append(f"panel {panel['title']}: wider than the page")
        for cell in ((x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])):
            if taken.setdefault(cell, panel["title"]) != panel["title"]:
                faults.append(f"panel {panel['title']}: lies on {taken[cell]}")
        if panel["type"] != "row" and panel["datasource"]["uid"] != "${datasource}":
            faults.append(f"panel {panel['title']}: its data source is not the variable")


def judge_running(binary, faults):
    """The labels of a real scrape."""
    with tempfile.TemporaryDirectory() as folder, Server([binary], "--jobs-dir", f"{folder}/jobs") as server:
        config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(RULES)]
        config["scrape_configs"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{server.port}"]
        path = pathlib.Path(folder) / "prometheus.yml"
        path.write_text(yaml.safe_dump(config))
        port = server.port + 1 if server.port < 65000 else server.port - 1
        prometheus = subprocess.Popen(["prometheus", f"--config.file={path}", f"--storage.tsdb.path={folder}/series", f"--web.listen-address=127.0.0.1:{port}"],
                                      stderr=subprocess.DEVNULL, env=os.environ)  # fmt: skip
        try:
            def ask(what):
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/{what}", timeout=10) as answer:
                    return json.load(answer)["data"]

            # Traffic between scrapes, so that rates have something to tell.
            for _ in range(4):
                assert server.transcribe(SPEECH.read_bytes())[0] == 200
                server.transcribe(b"no audio at all")
                time.sleep(1.5)
            assert server.request("POST", "/v1/jobs", SPEECH.read_bytes(), {"Content-Type": "audio/wav"})[0] == 202
            time.sleep(5)
            scrape = server.get("/metrics")[2].decode()
            silent = []
            for where, text in expressions():
                try:
                    if not ask("query?" + urllib.parse.urlencode({"query": text}))["result"] and where.startswith("panel"):
                        silent.append(where.removeprefix("panel "))
                except OSError as error:
                    faults.append(f"{where}: {error}")
            rules = [rule for group in ask("rules")["groups"] for rule in group["rules"]]
            faults += [f"{rule['name']}: {rule['lastError']}" for rule in rules if rule["health"] != "ok"]
            firing = [rule["name"] for rule in rules if rule.get("state") == "firing"]
            if firing:
                faults.append(f"on a server that is well: {', '.join(firing)}")
            if any(where in ("Requests by outcome", "Speed, in times real time", "Mean batch", "Items", "Memory") for where in silent):
                faults.append(f"panels without data: {silent}")
            print(f"{len(rules)} rules evaluated; without data on a CPU without faults: {', '.join(sorted(set(silent)))}")
        finally:
            prometheus.terminate()
            prometheus.wait()
    return label_names(scrape)


def main():
    faults = []
    judge_rules(faults)
    judge_dashboard(faults)
    judge_names(judge_running(sys.argv[1], faults), faults)
    print("\n".join(faults) or f"{len(list(expressions()))} expressions name metrics and labels that are there, and Prometheus evaluates them")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
