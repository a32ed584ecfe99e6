"""A document in; complaints about verbs, flags, fields, routes, headers, settings, variables and metrics that it names and that are not there out.

Blocks are looked at whether they run or not: a flag that no longer exists must not hide in a command that needs a GPU.
"""

import re
import shlex
import urllib.parse

from known import HEADERS

# Where a document shows our server: as the reader has it, behind a proxy, as a container's neighbour.
OURS = re.compile(r"^(?:\$\{?(?:server|SERVER)\}?|(?:https?://)?(?:localhost:8080|127\.0\.0\.1:8080|\[::1\]:8080|host:8080|HOST:8080|verbatim:8080|speech\.example\.com))(?=[/?]|$)")
SEPARATORS = {";", "&", "|", "&&", "||", "(", ")", "\n", ";;", "|&"}
BEFORE = {"if", "then", "do", "while", "until", "!", "exec", "sudo", "time", "nohup", "else", "elif", "command", "{"}
# curl's flags that take a value which is no address.
VALUED = set("-o --output -H --header -X --request -F --form -d --data --data-binary --data-urlencode --json -T --upload-file -m --max-time -w --write-out"
             " --retry --retry-delay -u --user --form-string -A --connect-timeout -b -c --limit-rate --url-query --resolve --cacert --dump-header -D".split())  # fmt: skip
FORMS = {"-F", "--form", "--form-string"}
# Documents about other servers name what is theirs.
ABOUT_OTHERS = re.compile(r"^docs/migration/|^tools/|^CHANGELOG")


def commands(script):
    """Lists of words, one for each command of a script, those in $(...) as well. What it redirects is left out."""
    script = re.sub(r"<<-?\s*'?(\w+)'?([^\n]*)\n.*?\n\1(?=\n|$)", r"\2", script, flags=re.DOTALL)
    script = script.replace("\\\n", " ")
    for inner in re.findall(r"\$\(((?:[^()]|\([^()]*\))*)\)", script):
        yield from commands(inner)
    words = []
    for line in script.splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|()<>")
        lexer.whitespace_split, lexer.commenters = True, ""
        tokens = []
        try:
            for token in lexer:
                if token.startswith("#"):
                    break
                tokens.append(token)
        except ValueError:
            # Quotes that reach over several lines: `bash -n` is there for those that are never closed.
            continue
        for token in [*tokens, "\n"]:
            if token in SEPARATORS or set(token) <= set(";&|()\n"):
                if words:
                    yield words
                words = []
            elif token in BEFORE and not words:
                continue
            elif re.match(r"^[A-Za-z_]\w*=", token) and not words:
                continue
            else:
                words.append(token)


# What is not to be had where documents run, and why a command that wants it is only looked at. A mark of the block's own goes before.
ABSENT = (
    (r"docker|podman|docker-compose", "needs Docker"),
    (r"kubectl|helm|kustomize|keda", "needs a cluster"),
    (r"fly|flyctl|systemctl|journalctl|sudo|nvidia-smi|nvidia-ctk|launchctl|terraform|gcloud|aws|az", "needs a machine of its own"),
    (r"make", "builds first; CI calls what it calls"),
    (r"pip3?|npm|npx|apt|apt-get|brew|rustup|git|uv|uvx|winget|scoop", "fetches something"),
)
CARGO = "compiles; CI calls it by itself"


def why_not(block):
    """Why the block's commands cannot run in CI, or None."""
    if block.language != "sh":
        return None
    for words in commands(block.text):
        program = words[0].rsplit("/", 1)[-1]
        for pattern, reason in ABSENT:
            if re.fullmatch(pattern, program):
                return reason
        if program == "cargo" and words[1:3] != ["run", "--release"]:
            return CARGO
        ours = program == "verbatim" or (program == "cargo" and "--" in words)
        if ours and ("pull" in words or any("openai/" in word or "distil-whisper/" in word for word in words)):
            return "fetches a model"
        if ours and any(word in ("cuda", "metal") or word.startswith("cuda:") for word in words):
            return "needs a GPU"
    return None


class Names:
    def __init__(self, known):
        self.known = known
        self.flags = {flag for flags in known.verbs.values() for flag in flags}

    def block(self, block):
        """Complaints about one block."""
        here = f"{block.document}:{block.line}"
        found = []
        if block.language == "sh":
            for words in commands(block.text):
                found += self._command(words)
        elif block.language == "text":
            for line in block.text.splitlines():
                if line.startswith("verbatim "):
                    found += self._synopsis(line)
        found += self._everywhere(block.text)
        meant = tuple(f"has no field {field.strip()!r}" for field in block.marks.get("ignored", "").split(",") if field)
        return [f"{here}: {complaint}" for complaint in found if not (meant and complaint.endswith(meant))]

    def prose(self, document):
        """Complaints about a document's code spans."""
        found = []
        for line, code in document.spans():
            complaints = self._everywhere(code)
            if not ABOUT_OTHERS.search(document.name):
                complaints += self._span(code)
            found += [f"{document.name}:{line}: {complaint}" for complaint in complaints]
        return found

    def _command(self, words):
        program = words[0].rsplit("/", 1)[-1]
        if program == "curl":
            return self._curl(words[1:])
        if program == "verbatim":
            return self._verbatim(words[1:])
        if program == "cargo" and "--" in words and "run" in words[:3]:
            return self._verbatim(words[words.index("--") + 1 :])
        if program in ("docker", "podman", "kubectl"):
            # The program's own words begin behind an image, a container or `--` and are one of its verbs.
            for at, word in enumerate(words[2:], 2):
                if (word,) in self.known.verbs and ("verbatim" in words[at - 1] or words[at - 1] == "--"):
                    return self._verbatim(words[at:])
        return []

    def _verbatim(self, words):
        verb, rest = self.known.verb_of([word.rstrip(",") for word in words])
        name = " ".join(("verbatim", *verb))
        if not verb and rest and not rest[0].startswith("-"):
            return [f"`verbatim {rest[0]}` is no verb"]
        allowed = self.known.verbs[verb]
        asked = [re.split("[=]", word)[0] for word in rest if re.match(r"--?[a-zA-Z]", word)]
        return [f"`{name}` has no flag {flag}" for flag in asked if flag not in allowed]

    def _synopsis(self, line):
        """`verbatim serve [--port 8080]`: flags in brackets, alternatives with bars."""
        found = []
        for one in re.split(r", (?=verbatim )", line.split(" > ")[0].split(" >> ")[0]):
            words = re.sub(r"[\[\]]", " ", re.sub(r"\|(?=\S)", " ", one) if " jobs " not in one else one).split()
            names = words[2].split("|") if len(words) > 2 and "|" in words[2] else [words[2] if len(words) > 2 else ""]
            for name in names:
                found += self._verbatim([words[1], name, *(word for word in words[2:] if word.startswith("--"))])
        return found

    def _curl(self, words):
        method, address, fields, said, skip = None, None, [], [], False
        for at, word in enumerate(words):
            if skip:
                skip = False
                continue
            following = words[at + 1] if at + 1 < len(words) else ""
            if word.startswith("-") and len(word) > 1:
                skip = word in VALUED
                if word in ("-X", "--request"):
                    method = following
                elif word in FORMS:
                    fields.append(following.split("=")[0])
                elif word in ("-H", "--header"):
                    header = following.split(":")[0].lower()
                    if header not in HEADERS:
                        said.append(f"no header {header!r} is known")
                elif word in ("-I", "--head"):
                    method = "GET"
                has_body = word in FORMS | {"-d", "--data", "--data-binary", "--json", "--data-urlencode"}
                if has_body and method is None:
                    method = "POST"
                elif word in ("-T", "--upload-file"):
                    method = method or "PUT"
            elif address is None:
                address = word
        where = OURS.match(address or "")
        if not where:
            return said
        path, _, query = address[where.end() :].partition("?")
        path = urllib.parse.unquote(re.sub(r"\$\{?\w+\}?", "x", path)) or "/"
        fields += [pair.split("=")[0] for pair in query.split("&") if pair]
        there = self.known.route(method or "GET", path)
        if there is None:
            return [*said, f"there is no route {method or 'GET'} {path}"]
        plain = (re.sub(r"\[.*\]$", "", field) for field in fields)
        return said + [f"{method or 'GET'} {there[0]} has no field {field!r}" for field in plain if field not in there[1]]

    def _everywhere(self, text):
        found = []
        for name in re.findall(r"\bVERBATIM_[A-Z0-9_]+\b", text):
            if name not in self.known.variables:
                found.append(f"no variable {name} is read")
        for name in re.findall(r"(?<![\w/.-])(?:verbatim|process)_[a-z_]+\b(?![\w./-])", text):
            base = re.sub(r"_(bucket|sum|count)$", "", name)
            if name not in self.known.metrics and base not in self.known.metrics:
                found.append(f"there is no metric {name}")
        return found

    def _span(self, code):
        found = []
        for section, key in re.findall(r"^([a-z]+)\.([a-z_.]+)$", re.sub(r" = .*$", "", code)):
            name = f"{section}.{key}"
            if section not in self.known.sections or re.search(r"\.(rs|py|md|toml|json|html|sh|yaml|yml|safetensors|env)$", name):
                continue
            if name not in self.known.settings and not any(other.startswith(name + ".") for other in self.known.settings):
                found.append(f"there is no setting {name}")
        if match := re.match(r"(GET|POST|PUT|DELETE|PATCH) (/[^\s?`]*)", code):
            path = re.sub(r"\{[^}]*\}", "x", match[2])
            if self.known.route(match[1], path) is None:
                found.append(f"there is no route {match[1]} {match[2]}")
        if code.startswith("verbatim "):
            found += self._verbatim(re.sub(r"[\[\]]", " ", code).split()[1:])
        return found
