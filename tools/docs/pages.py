"""Pages that list what the code has, held to the code. In: what there is, and a checkout. Out: complaints."""

import re

from known import codes
from markdown import Document


def check(known, root):
    found = []
    for one in (metrics_table, error_table, routes_have_examples, alerts_have_headings, defaults_are_told, label_values):
        found += one(known, root)
    return found


def rows(text, first):
    """Rows of the tables whose first column is a code span that `first` matches, as lists of cells."""
    lines = (line for line in text.splitlines() if re.match(rf"\| `{first}`", line))
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def metrics_table(known, root):
    name = "docs/operations.md"
    told = {row[0].strip("`"): row for row in rows((root / name).read_text(), "(?:verbatim|process)_[a-z_]+")}
    found = [f"{name}: the metric {metric} is missing" for metric in known.metrics if metric not in told]
    for metric, row in told.items():
        if metric not in known.metrics:
            found.append(f"{name}: there is no metric {metric}")
        elif row[1] != known.metrics[metric][0] or not row[-1].startswith(known.metrics[metric][1]):
            found.append(f"{name}: {metric} is a {known.metrics[metric][0]}: {known.metrics[metric][1]}")
    return found


def error_table(known, root):
    name, there = "docs/api.md", codes(root)
    told = {}
    for row in rows((root / name).read_text(), "[a-z_]+"):
        if re.fullmatch(r"\d{3}", row[1]):
            told.setdefault(row[0].strip("`"), set()).add(int(row[1]))
    found = [f"{name}: the error {code} is missing" for code in there if code not in told]
    found += [f"{name}: there is no error {code}" for code in told if code not in there]
    return found + [f"{name}: {code} is {there[code]}, not {told[code]}" for code in told if code in there and told[code] != there[code]]


def routes_have_examples(known, root):
    """Each route is a heading, and is asked in an example of each language below it (a path of its own, or a group's)."""
    name = "docs/api.md"
    document = Document(root, name)
    text = {language: "\n".join(block.text for block in document.blocks if block.language == language) for language in ("sh", "python", "js")}
    titles = " ".join(title for _, title in document.headings()) + document.prose
    found = []
    for (method, path), (_, _) in known.routes.items():
        if f"`{method} {path}`" not in titles:
            found.append(f"{name}: {method} {path} is not there")
        pattern = re.sub(r"\\\{[^}]*\\\}", r"""[^\\s"'`?]+""", re.escape(path)) + r"""(?=[?"'`\s)]|$)"""
        if path == "/":
            pattern = r"8080/(?=[\"'`\s)]|$)"
        for language, blocks in text.items():
            if not re.search(pattern, blocks):
                found.append(f"{name}: no {language} example asks {method} {path}")
    return found


def alerts_have_headings(known, root):
    name, rules = "docs/operations.md", root / "deploy/prometheus/rules.yml"
    if not rules.exists():
        return []
    alerts = re.findall(r"^\s*- alert: *\"?(\w+)\"?", rules.read_text(), re.MULTILINE)
    titles = {title for _, title in Document(root, name).headings()}
    found = [f"{name}: the alert {alert} has no heading" for alert in alerts if alert not in titles]
    return found + ([] if alerts else [f"{rules}: no alert was found"])


def defaults_are_told(known, root):
    """Rows of a setting and a number, in any document, have the default of config/default.toml."""
    section, there = "", {}
    for line in (root / "config/default.toml").read_text().splitlines():
        if head := re.match(r"\[([\w.]+)\]", line):
            section = head[1]
        elif key := re.match(r"([a-z][a-z0-9_]*) = (\S.*)", line):
            there[f"{section}.{key[1]}"] = key[2].strip('"')
    found = []
    for path in sorted((root / "docs").glob("*.md")):
        for row in rows(path.read_text(), r"[a-z]+(?:\.[a-z_]+)+"):
            name, told = row[0].strip("`"), row[1].strip("`")
            if name in there and re.fullmatch(r"[\d.]+", told) and told != there[name]:
                found.append(f"docs/{path.name}: {name} is {there[name]}, not {told}")
    return found


def label_values(known, root):
    """How requests end and why they are refused, as src/http says it, against docs/operations.md."""
    name = "docs/operations.md"
    told = {row[0]: set(re.findall(r"`([a-z_]+)`", row[1])) for row in
            ([cell.strip() for cell in line.split("|")[1:-1]] for line in (root / name).read_text().splitlines() if line.startswith("| `"))
            if len(row) == 2}  # fmt: skip
    errors = (root / "src/http/error.rs").read_text()
    outcomes = {"ok", "cancelled"} | set(re.findall(r'"([a-z_]+)",\s*(?:Unsaid|After|Never|NotBefore)\b', errors))
    sources = [path.read_text().split("#[cfg(test)]")[0] for path in (root / "src/http").rglob("*.rs")]
    reasons = set(re.findall(r'=> Some\("([a-z_]+)"\),\n', errors[errors.index("fn refused") :].split("fn failure")[0]))
    reasons |= {what for text in sources for what in re.findall(r'Busy \{\s*what: "([a-z_]+)"', text)}
    found = []
    for label, there in (("outcome", outcomes), ("reason", reasons)):
        row = told.get({"outcome": "`outcome` of requests", "reason": "`reason` of refusals"}[label], set())
        found += [f"{name}: the {label} {one} is missing" for one in sorted(there - row)]
        found += [f"{name}: there is no {label} {one}" for one in sorted(row - there)]
    return found
