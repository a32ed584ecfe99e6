"""What there is to be named: the program's verbs and flags, routes, fields, settings, metrics, error codes. In: the binary and a checkout. Out: sets of names.

The flags are those of `--help`, the routes and their parameters those of `verbatim openapi`, further spellings of options those of docs/options.md
(a test holds that page to the parser), settings those of config/default.toml, metrics and error codes those of the source.
"""

import json
import re
import subprocess

# What clients may send and what is looked at; an unknown header in an example would do nothing, and nobody would notice.
HEADERS = {
    "accept", "authorization", "content-type", "x-api-key", "x-deadline-ms", "x-priority", "x-request-id", "idempotency-key", "prefer",
    "openai-beta", "origin", "traceparent", "expect", "connection", "upgrade", "sec-websocket-version", "sec-websocket-key", "sec-websocket-protocol",
}  # fmt: skip


class Known:
    def __init__(self, binary, root):
        self.binary = binary
        self.verbs = {}
        self.variables = set()
        self._ask(())
        document = json.loads(subprocess.run([binary, "openapi"], check=True, capture_output=True, text=True).stdout)
        self.options = options(root)
        self.routes = {}
        for path, methods in document["paths"].items():
            pattern = re.compile(re.sub(r"\{[^}]*\}", lambda found: ".+" if found[0] == "{model}" else "[^/]+", path))
            for method, operation in methods.items():
                self.routes[method.upper(), path] = pattern, self._fields(document, operation)
        # Served by the program, and no part of the interface that it describes.
        for path in ("/openapi.json", "/docs"):
            self.routes["GET", path] = re.compile(re.escape(path) + "(/.*)?"), set()
        self.settings = settings((root / "config/default.toml").read_text())
        self.sections = {key.split(".")[0] for key in self.settings}
        self.variables |= {"VERBATIM_" + key.upper().replace(".", "__") for key in self.settings}
        sources = [path.read_text(errors="replace") for folder in ("src", "deploy", ".ci", "config") for path in (root / folder).rglob("*")
                   if path.is_file() and "__pycache__" not in path.parts]  # fmt: skip
        self.variables |= {name for text in sources for name in re.findall(r"\bVERBATIM_[A-Z_]+\b", text) if "__" not in name}
        self.metrics = metrics(root)

    def _ask(self, verb):
        text = subprocess.run([self.binary, *verb, "--help"], check=True, capture_output=True, text=True).stdout
        flags = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", text)) | set(re.findall(r"(?<![\w-])-[a-zA-Z](?=,? )", text))
        self.verbs[verb] = flags | {"--help", "-h", "--version", "-V"}
        self.variables |= set(re.findall(r"\[env: (\w+)=", text))
        commands = re.search(r"^Commands:\n(.*?)(?:\n\n|\Z)", text, re.MULTILINE | re.DOTALL)
        for name in re.findall(r"^  ([a-z][a-z-]*)(?:\s|$)", commands[1], re.MULTILINE) if commands else ():
            if name != "help":
                self._ask((*verb, name))

    def _fields(self, document, operation):
        def look_up(part):
            while "$ref" in part:
                target = document
                for step in part["$ref"].removeprefix("#/").split("/"):
                    target = target[step]
                part = target
            return part

        named = {parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "query"}
        forms = operation.get("requestBody", {}).get("content", {}).values()
        for form in forms:
            schema = look_up(form["schema"])
            named |= set(schema.get("properties", {}))
        # The form's part has two names everywhere (src/http/form.rs).
        named |= {"audio_file"} if "file" in named else set()
        # What takes the options of a transcription takes them in every spelling, in the query too.
        return named | self.options if named & {"language", "max_line_width"} else named

    def verb_of(self, words):
        """The longest verb that the words begin with, and the rest of them."""
        verb = ()
        while len(words) > len(verb) and (*verb, words[len(verb)]) in self.verbs:
            verb = (*verb, words[len(verb)])
        return verb, words[len(verb) :]

    def route(self, method, path):
        """(its path as documented, its fields), or None."""
        for (one, name), (pattern, fields) in self.routes.items():
            if one == method and (path == name or pattern.fullmatch(path)):
                return name, fields
        return None


def options(root):
    """Every spelling of every option of docs/options.md."""
    first_columns = re.findall(r"^\| (`[^|]*) \|", (root / "docs/options.md").read_text(), re.MULTILINE)
    return {name for column in first_columns for name in re.findall(r"`([a-z_]+)`", column)}


def settings(text):
    """`section.key` of each key of config/default.toml, those that are commented out as well."""
    section, found = "", set()
    for line in text.splitlines():
        if head := re.match(r"\[([\w.]+)\]", line):
            section = head[1]
        elif key := re.match(r"(?:# )?([a-z][a-z0-9_]*) = ", line):
            found.add(f"{section}.{key[1]}")
    return found


def metrics(root):
    """{name: (kind, help)}, as src/telemetry/metrics.rs declares them."""
    text = (root / "src/telemetry/metrics.rs").read_text()
    declared = re.search(r"^declare! \{\n(.*?)^\}", text, re.MULTILINE | re.DOTALL)[1]
    found = {}
    for kind, body in re.findall(r"^    (counter|gauge|histogram)s \{\n(.*?)^    \}", declared, re.MULTILINE | re.DOTALL):
        found |= {name: (kind, help) for name, help in re.findall(r'[A-Z_]+ = "(\w+)", "([^"]*)"', body)}
    assert len(found) > 40, "the metrics were not found"
    return found


def codes(root):
    """{code of an error: its statuses}, as src/http tells them."""
    numbers = dict(BAD_REQUEST=400, UNAUTHORIZED=401, FORBIDDEN=403, NOT_FOUND=404, METHOD_NOT_ALLOWED=405, REQUEST_TIMEOUT=408, CONFLICT=409,
                   GONE=410, PAYLOAD_TOO_LARGE=413, UNSUPPORTED_MEDIA_TYPE=415, TOO_MANY_REQUESTS=429, INTERNAL_SERVER_ERROR=500,
                   NOT_IMPLEMENTED=501, SERVICE_UNAVAILABLE=503, GATEWAY_TIMEOUT=504)  # fmt: skip
    text = (root / "src/http/error.rs").read_text()
    found = {}
    for status, code in re.findall(r'StatusCode::([A-Z_]+),(?:(?!StatusCode::).)*?Some\("([a-z_]+)"\),\s*"', text, re.DOTALL):
        found.setdefault(code, set()).add(numbers[status])
    for path in (root / "src/http").rglob("*.rs"):
        source = path.read_text().split("#[cfg(test)]")[0]
        for code in re.findall(r'Conflict \{ code: "([a-z_]+)"|Refusal::\w+ \{ \.\. \} => "([a-z_]+)"', source):
            found.setdefault("".join(code), set()).add(409)
        for code in re.findall(r'\.spent\("([a-z_]+)"', source):
            found.setdefault(code, set()).add(429)
    assert len(found) > 25, found
    return found
