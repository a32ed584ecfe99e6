"""A Markdown file in; its fenced blocks with what the comment above each says, its headings as anchors, its links and its code spans out."""

import dataclasses
import pathlib
import re

FENCE = re.compile(r"^(?P<indent> *)```(?P<language>[\w-]*)[^`\n]*\n(?P<text>.*?)^(?P=indent)```[ \t]*$", re.MULTILINE | re.DOTALL)
MARK = re.compile(r"<!--\s*(.*?)\s*-->")
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


@dataclasses.dataclass
class Block:
    document: str
    line: int
    language: str
    text: str
    # What the comments on the line above say: {"not run": "needs a GPU"}, {"serves": ""}.
    marks: dict

    def __str__(self):
        first = next((line for line in self.text.splitlines() if line.strip()), "")
        return f"{self.document}:{self.line}: {first[:90]}"


class Document:
    def __init__(self, root, name):
        self.name = name
        self.folder = pathlib.PurePosixPath(name).parent
        self.source = (root / name).read_text()
        self.blocks = list(self._blocks())
        # Lines keep their numbers.
        self.prose = FENCE.sub(lambda found: "\n" * found.group(0).count("\n"), self.source)

    def _blocks(self):
        for found in FENCE.finditer(self.source):
            before = self.source[: found.start()]
            above = before.rstrip("\n").rpartition("\n")[2].strip()
            said = MARK.findall(above) if above.startswith("<!--") else []
            marks = {name.strip(): value.strip() for name, _, value in (one.partition(":") for one in said)}
            indent = found["indent"]
            text = "".join(line.removeprefix(indent) for line in found["text"].splitlines(keepends=True))
            yield Block(self.name, before.count("\n") + 1, found["language"], text, marks)

    def headings(self):
        """(level, title) in order."""
        for line in COMMENT.sub("", self.prose).splitlines():
            if found := re.match(r"(#{1,6}) +(.*?)\s*#*$", line):
                yield len(found[1]), found[2]

    def anchors(self):
        """As GitHub makes them: lower case, no punctuation, hyphens for spaces, a number for what comes again."""
        seen = {}
        for _, title in self.headings():
            text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).replace("`", "")
            anchor = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            seen[anchor] = again = seen.get(anchor, -1) + 1
            yield f"{anchor}-{again}" if again else anchor
        yield from re.findall(r'<a (?:id|name)="([^"]+)"', self.prose)

    def links(self):
        """(line, target) of each link and picture."""
        without_code = re.sub(r"(`+)(?:(?!\1).)*?\1", lambda found: " " * len(found[0]), self.prose)
        for number, line in enumerate(without_code.splitlines(), 1):
            for target in re.findall(r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)", line):
                yield number, target
            for target in re.findall(r"^\s*\[[^\]]+\]:\s+(\S+)", line):
                yield number, target
            for target in re.findall(r'<(?:img|a|source)\b[^>]*\b(?:src|href|srcset)="([^"]+)"', line):
                yield number, target

    def spans(self):
        """(line, code) of each code span outside of blocks."""
        for number, line in enumerate(COMMENT.sub(lambda found: "\n" * found[0].count("\n"), self.prose).splitlines(), 1):
            for _, code in re.findall(r"(`+)((?:(?!\1).)+?)\1(?!`)", line):
                yield number, code.strip()


NOT_OURS = {"target", "node_modules", ".git", ".venv", ".venv-accuracy", "artifacts", "__pycache__"}


def everything(root):
    """Each Markdown file of the repository, relative to its root."""
    found = (path.relative_to(root) for path in root.rglob("*.md"))
    return sorted(str(path) for path in found if not NOT_OURS & set(path.parts))
