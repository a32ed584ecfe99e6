"""Every Markdown file of a repository in; complaints about relative links and anchors that lead nowhere out.

    python3 tools/docs/links.py
"""

import pathlib
import posixpath
import sys
import urllib.parse

from markdown import Document, everything

ROOT = pathlib.Path(__file__).resolve().parents[2]


def check(root):
    """(complaints, how many links were followed)"""
    documents = {name: Document(root, name) for name in everything(root)}
    anchors = {name: set(document.anchors()) for name, document in documents.items()}
    complaints, followed = [], 0
    for name, document in documents.items():
        for line, target in document.links():
            if urllib.parse.urlsplit(target).scheme:
                continue
            followed += 1
            path, _, anchor = urllib.parse.unquote(target).partition("#")
            there = posixpath.normpath(posixpath.join(str(document.folder), path)) if path else name
            if there.startswith("..") or not (root / there).exists():
                complaints.append(f"{name}:{line}: {target}: there is no {there}")
            elif anchor and there in anchors and anchor not in anchors[there]:
                complaints.append(f"{name}:{line}: {target}: {there} has no heading #{anchor}")
    return complaints, followed


if __name__ == "__main__":
    bad, count = check(ROOT)
    print("\n".join([*bad, f"{count} links followed, {len(bad)} of them lead nowhere"]))
    sys.exit(bool(bad))
