"""What is in the binary, as a CycloneDX bill. In: Cargo.lock, and the features of a build. Out: target/sbom/verbatim-NAME.cdx.json, valid by
CycloneDX' own schema, with every crate that cargo would compile for the binary and no other; otherwise what differs, and exit 1.

    python tools/deploy/sbom.py [--features cuda]          needs cargo-cyclonedx
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = "x86_64-unknown-linux-gnu"


def run(*command):
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if ran.returncode:
        raise SystemExit(f"{' '.join(command)}: exit {ran.returncode}\n{ran.stderr}")
    return ran.stdout


def compiled(features):
    """(name, version) of what cargo compiles into the binary or to build it."""
    tree = run("cargo", "tree", "--locked", "--target", TARGET, "--edges", "normal,build", "--prefix", "none", "--format", "{p}", "--features", features)
    return set(re.findall(r"^(\S+) v(\S+)", tree, re.M))


def main():
    asked = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    asked.add_argument("--features", default="")
    features = asked.parse_args().features
    name = f"verbatim-{features.replace(',', '-') or 'cpu'}.cdx"
    run("cargo", "cyclonedx", "--format", "json", "--spec-version", "1.5", "--target", TARGET, "--override-filename", name, "--features", features)
    folder = ROOT / "target/sbom"
    folder.mkdir(parents=True, exist_ok=True)
    path = (ROOT / f"{name}.json").rename(folder / f"{name}.json")
    bill, wanted = json.loads(path.read_text()), compiled(features)
    # It also lists what optional features of dependencies would bring.
    bill["components"] = [each for each in bill["components"] if (each["name"], each["version"]) in wanted]
    known = {each["bom-ref"] for each in [*bill["components"], bill["metadata"]["component"]]}
    bill["dependencies"] = [each | {"dependsOn": [other for other in each.get("dependsOn", []) if other in known]}
                            for each in bill["dependencies"] if each["ref"] in known]  # fmt: skip
    text = json.dumps(bill, indent=1)
    path.write_text(text)
    wrong = JsonStrictValidator(SchemaVersion.V1_5).validate_str(text)
    listed = {(each["name"], each["version"]) for each in [*bill["components"], bill["metadata"]["component"]]}
    unlicensed = sorted(each["name"] for each in bill["components"] if not each.get("licenses"))
    print(f"{path.relative_to(ROOT)}: {len(listed)} crates, {len(bill['dependencies'])} of them with what they need")
    faults = [f"not valid: {wrong}"] if wrong else []
    faults += [f"{crate} {version} is compiled and not listed" for crate, version in sorted(wanted - listed)]
    faults += [f"{crate} {version} is listed and not compiled" for crate, version in sorted(listed - wanted)]
    faults += [f"{crate} is listed without a licence" for crate in unlicensed]
    print("\n".join(faults) or "valid; it lists what cargo compiles, each with its licence")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
