"""The dashboard against Grafana's own types. In: a folder where npm put `@grafana/schema` and `typescript`. Out: exit 0 where
deploy/grafana/verbatim.json is a Dashboard and each panel's options and fields are those of its kind of panel, without a key that Grafana
does not know; and where the same with a fault planted is not. Queries are monitoring.py's: Grafana's types have nothing of them.

    npm install --prefix FOLDER --ignore-scripts --legacy-peer-deps @grafana/schema@13.2.3 typescript@5.9.3
    python3 tools/deploy/grafana.py FOLDER
"""

import json
import pathlib
import subprocess
import sys
import tempfile

DASHBOARD = pathlib.Path(__file__).resolve().parents[2] / "deploy/grafana/verbatim.json"
KINDS = {"timeseries": "TimeSeries"}
# Grafana's enumerations are texts in a file.
HEAD = """
import type { Dashboard } from "@grafana/schema";
%s
type Plain<T> = T extends string ? `${T}` : T extends (infer E)[] ? Plain<E>[] : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;
"""


def program(dashboard):
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    kinds = {panel["type"] for panel in panels}
    assert kinds <= KINDS.keys(), f"no types of Grafana are known here for {kinds - KINDS.keys()}"
    place = "@grafana/schema/dist/esm/raw/composable/{0}/panelcfg/x/{1}PanelCfg_types.gen"
    imports = [f'import type {{ Options as {KINDS[kind]}, FieldConfig as {KINDS[kind]}Fields }} from "{place.format(kind, KINDS[kind])}";'
               for kind in sorted(kinds)]  # fmt: skip
    lines = [HEAD % "\n".join(imports), f"export const dashboard: Plain<Dashboard> = {json.dumps(dashboard)};"]
    for at, panel in enumerate(panels):
        kind = KINDS[panel["type"]]
        lines.append(f"export const options{at}: Plain<Partial<{kind}>> = {json.dumps(panel.get('options', {}))};")
        custom = panel.get("fieldConfig", {}).get("defaults", {}).get("custom", {})
        lines.append(f"export const fields{at}: Plain<Partial<{kind}Fields>> = {json.dumps(custom)};")
        assert panel["targets"] and all(query["expr"] for query in panel["targets"]), f"{panel['title']} asks for nothing"
    return "\n".join(lines), len(panels)


def complaints(folder, dashboard):
    """What the compiler says of it; nothing where all is right."""
    text, _ = program(dashboard)
    with tempfile.TemporaryDirectory(dir=folder) as made:
        made = pathlib.Path(made)
        (made / "dashboard.ts").write_text(text, encoding="utf-8")
        settings = {"strict": True, "noEmit": True, "skipLibCheck": True, "module": "esnext", "moduleResolution": "bundler", "target": "es2022"}
        (made / "tsconfig.json").write_text(json.dumps({"compilerOptions": settings, "files": ["dashboard.ts"]}))
        line = ["node", folder / "node_modules/typescript/bin/tsc", "-p", made]
        ran = subprocess.run(line, stdout=subprocess.PIPE, text=True)
    return ran.stdout if ran.returncode else ""


def main(folder):
    folder = pathlib.Path(folder).resolve()
    text = DASHBOARD.read_text(encoding="utf-8")
    said = complaints(folder, json.loads(text))
    if said:
        raise SystemExit(f"{DASHBOARD.name} is not what Grafana takes:\n{said}")
    faults = {
        "a title that is a number": lambda it: it.update(title=3),
        "a key that no dashboard has": lambda it: it.update(colour="red"),
        "a legend of no known kind": lambda it: panel(it)["options"].update(legend={"displayMode": "heap"}),
        "a field of no panel": lambda it: panel(it)["fieldConfig"]["defaults"].setdefault("custom", {}).update(lineWeight=2),
    }
    for name, plant in faults.items():
        planted = json.loads(text)
        plant(planted)
        assert complaints(folder, planted), f"{name} was not found"
    print(f"the dashboard, {program(json.loads(text))[1]} panels, is what Grafana's types say; {len(faults)} planted faults were found")


def panel(dashboard):
    found = next(panel for panel in dashboard["panels"] if panel["type"] == "timeseries")
    found.setdefault("options", {})
    return found


if __name__ == "__main__":
    main(sys.argv[1])
