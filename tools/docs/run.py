"""The documents as a reader takes them: every block of README.md, docs/ and deploy/README.md run as it is written, in order, against a real server.

    python tools/docs/run.py target/release/verbatim [--modules NODE_MODULES] [--only docs/api.md ...] [--no-run] [--self-test]

In: the binary, and a Python and a folder of node modules that have what the examples import (tools/clients/requirements.txt). Out: how many blocks
ran, how many did not and why; exit 1 where one fails, prints something else than the document says, names what is not there, or is of a kind that
nobody here knows. Port 8080 is that of a network of its own where the system allows it (`unshare --net`), so nothing else is in its way.

A comment on the line above a block, which readers do not see, says what else there is to know of it:

    <!-- not run: needs a GPU -->       only its syntax and its names are checked; what calls docker, make, pip and the like needs no mark (names.py)
    <!-- serves -->                     it stays; what follows in this document asks it. Without one, `verbatim serve` does
    <!-- status: 400 -->                curl's answer has this status
    <!-- ignored: colour, size -->      fields that the server does not know, and that are sent to show what it says of them
    <!-- output -->                     of ```json and ```text: what the block before it prints (tools/docs/expected.py says how it is compared)
    <!-- file: verbatim.toml -->        of any kind: written into the reader's folder under this name
"""

import argparse
import ast
import collections
import ctypes
import fcntl
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import sys
import time
import tomllib

import expected
import links
import pages
import planted
from known import Known
from markdown import Block, Document
from names import Names, why_not
from reader import PORT, Reader, listens

ROOT = pathlib.Path(__file__).resolve().parents[2]
MARKS = {"not run", "serves", "status", "ignored", "output", "file"}
RUN = {"sh", "python", "js"}
# Looked at, and never run.
READ = {"json", "toml", "text", "html", "yaml", "caddyfile", "nginx", "ini"}
NEEDS_A_SERVER = re.compile(r"localhost:8080|127\.0\.0\.1:8080|verbatim jobs|bench --server")
DEFAULT = "verbatim serve"


def documents(root):
    return ["README.md", *sorted(str(path.relative_to(root)) for path in (root / "docs").rglob("*.md")), "deploy/README.md"]


class Report:
    def __init__(self):
        self.ran, self.read, self.held, self.not_run, self.failed = collections.Counter(), collections.Counter(), 0, [], []

    def fail(self, where, what):
        self.failed.append(f"{where}\n      {what}")
        print(f"  FAILED {where}\n      {what}".replace("\n", "\n      "), flush=True)


def syntax(block, folder):
    """None, or what is wrong with it."""
    path = pathlib.Path(folder) / f"looked-at{ {'js': '.mjs', 'html': '.mjs'}.get(block.language, '') }"
    text = block.text
    if block.language == "python":
        try:
            compile(text, str(block), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        except SyntaxError as error:
            return str(error)
    elif block.language == "sh":
        done = subprocess.run(["bash", "-n", "-c", text], capture_output=True, text=True)
        return done.stderr or None
    elif block.language in ("js", "html"):
        text = "\n".join(re.findall(r"<script[^>]*>(.*?)</script>", text, re.DOTALL)) if block.language == "html" else text
        path.write_text(text)
        done = subprocess.run(["node", "--check", path], capture_output=True, text=True)
        return done.stderr or None
    elif block.language == "json" and not expected.values(text):
        return "this is no JSON"
    elif block.language == "toml":
        try:
            tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            return str(error)
    elif block.language == "yaml":
        try:
            import yaml
        except ImportError:
            return None
        try:
            list(yaml.safe_load_all(text))
        except yaml.YAMLError as error:
            return str(error)
    return None


def walk(document, reader, names, report, is_running):
    """Every block of one document, in order."""
    printed = None
    for block in document.blocks:
        unknown = set(block.marks) - MARKS
        if unknown:
            report.fail(block, f"nobody knows the mark {sorted(unknown)} ({', '.join(sorted(MARKS))} are known)")
            continue
        if block.language not in RUN | READ:
            report.fail(block, f"nobody knows what to do with ```{block.language}; {', '.join(sorted(RUN | READ))} are known")
            continue
        for complaint in names.block(block):
            report.fail(block, complaint)
        wrong = syntax(block, reader.folder.parent)
        if wrong:
            report.fail(block, wrong)
            continue
        if "output" in block.marks:
            if block.language not in ("json", "text"):
                report.fail(block, "only ```json and ```text can be what something prints")
            elif not is_running:
                report.read[block.language] += 1
            elif printed is None:
                report.fail(block, "no block before it ran")
            else:
                report.held += 1
                compare = expected.json_differs if block.language == "json" else expected.text_differs
                if difference := compare(block.text, printed):
                    report.fail(block, difference)
            continue
        if "file" in block.marks:
            (reader.folder / block.marks["file"]).write_text(block.text)
            report.read[block.language] += 1
            continue
        if block.language in READ:
            report.read[block.language] += 1
            continue
        reason = block.marks.get("not run", why_not(block))
        if reason is not None:
            if len(reason) < 10:
                report.fail(block, "`not run` wants its reason")
            report.not_run.append((block, reason))
            printed = None
            continue
        if is_running:
            printed = run(block, reader, report)


def run(block, reader, report):
    """What it printed, or None where it failed."""
    started = time.monotonic()
    if "serves" in block.marks:
        if problem := reader.serve(block):
            report.fail(block, problem)
            return None
        report.ran[block.language] += 1
        print(f"  serves  {block} ({time.monotonic() - started:.1f} s)", flush=True)
        return ""
    if reader.served is None and NEEDS_A_SERVER.search(block.text):
        if problem := reader.serve(Block(block.document, 0, "sh", DEFAULT, {})):
            report.fail(block, problem)
            return None
    code, out, err = reader.run(block)
    wanted = block.marks.get("status")
    if wanted and f"[status {wanted}]" not in err:
        report.fail(block, f"no answer has the status {wanted}:\n{out[-1000:]}\n{err[-1000:]}")
        return None
    if code:
        report.fail(block, f"exit code {code}\n{out[-1500:]}\n{err[-2500:]}")
        return None
    report.ran[block.language] += 1
    print(f"  ran     {block} ({time.monotonic() - started:.1f} s)", flush=True)
    return out


def alone():
    """A network of its own, in which port 8080 is free and nothing leads out; the system may not allow it."""
    if os.environ.get("VERBATIM_DOCS_ALONE"):
        # Interfaces are down in a new network: SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP.
        with socket.socket() as any_socket:
            request = struct.pack("16sh14s", b"lo", 0, b"")
            flags = struct.unpack("16sh14s", fcntl.ioctl(any_socket, 0x8913, request))[1]
            fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14s", b"lo", flags | 1, b""))
        return
    line = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--net", "--map-root-user"]
    if shutil.which("unshare") and subprocess.run([*line, "true"], capture_output=True).returncode == 0:
        sys.stdout.flush()
        os.execvpe(line[0], [*line, sys.executable, *sys.argv], os.environ | {"VERBATIM_DOCS_ALONE": "1"})
    print("no network of its own is to be had (unshare --net)")
    if listens(PORT):
        raise SystemExit(f"port {PORT}, which the documents name, is taken: stop what listens there, or run as root")


def die_together():
    """PR_SET_CHILD_SUBREAPER: what a block leaves in the background is ours to end, wherever it puts itself."""
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", type=pathlib.Path)
    parser.add_argument("--only", nargs="+", default=[], metavar="DOCUMENT")
    parser.add_argument("--no-run", action="store_true", help="check syntax, names and links alone")
    parser.add_argument("--modules", type=pathlib.Path, help="a folder node_modules for the JavaScript examples")
    parser.add_argument("--self-test", action="store_true", help="plant faults, each of which must be found")
    asked = parser.parse_args()
    if not asked.no_run:
        alone()
        die_together()
    binary, modules = asked.binary.resolve(), asked.modules and asked.modules.resolve()
    known, started = Known(binary, ROOT), time.monotonic()

    def judge(root, name, report, is_running=True):
        document, names = Document(root, name), Names(known)
        for complaint in names.prose(document):
            report.fail(*complaint.split(": ", 1))
        if document.blocks:
            with Reader(binary, root, sys.executable, modules) as reader:
                walk(document, reader, names, report, is_running)
        return report.failed

    def judge_tables(root):
        complaints, _ = links.check(root)
        return complaints + pages.check(known, root)

    if asked.self_test:
        missed, count = planted.check(ROOT, lambda root, name: judge(root, name, Report()), judge_tables)
        print("\n".join(f"NOT FOUND: {one}" for one in missed))
        print(f"{count} faults were planted, {len(missed)} complaints are not as they should be, in {time.monotonic() - started:.0f} s")
        raise SystemExit(bool(missed))
    report, followed = Report(), 0
    for name in documents(ROOT):
        if not asked.only or name in asked.only:
            print(name, flush=True)
            judge(ROOT, name, report, not asked.no_run)
    if not asked.only:
        complaints, followed = links.check(ROOT)
        for complaint in complaints + pages.check(known, ROOT):
            report.fail(*complaint.split(": ", 1))
    tell(report, followed, time.monotonic() - started)
    raise SystemExit(bool(report.failed))


def tell(report, followed, seconds):
    reasons = collections.Counter(reason for _, reason in report.not_run)
    print(f"\n{sum(report.ran.values())} blocks ran ({', '.join(f'{count} {kind}' for kind, count in sorted(report.ran.items()))}), "
          f"{report.held} times what one prints was held to the document, {sum(report.read.values())} further blocks were read, "
          f"{followed} links followed, in {seconds:.0f} s")  # fmt: skip
    print(f"{len(report.not_run)} blocks did not run, only their syntax and names were checked:")
    for reason, count in reasons.most_common():
        print(f"  {count:3} {reason}")
    if report.failed:
        print(f"\n{len(report.failed)} FAILED:")
        print("\n".join(f"  {failure.splitlines()[0]}" for failure in report.failed))


if __name__ == "__main__":
    main()
