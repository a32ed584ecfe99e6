"""A reader at a terminal: a folder that looks like a checkout with a recording or two in it, the programs of the documents on the path, a server on
port 8080. In: a block. Out: its exit code and what it printed. Everything that a document started ends with it.
"""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

# What is not there is another program's than the one of the documents: whoever reads types `cargo run`, and waits for the compiler.
CARGO = """#!/bin/sh
# cargo run --release [--features F] -- ARGUMENTS
[ "$1 $2" = "run --release" ] || { echo "the documents' cargo knows 'cargo run --release ... -- ...' alone, not: cargo $*" >&2; exit 97; }
while [ $# -gt 0 ] && [ "$1" != "--" ]; do shift; done
[ $# -gt 0 ] && shift
exec verbatim "$@"
"""
# An answer of 4xx and 5xx ends a block, but where the document says that it has one.
CURL = """#!/bin/sh
if [ -n "$DOCS_STATUS" ]; then exec %(curl)s -sS --max-time 200 -w '%%{stderr}[status %%{http_code}]\\n' "$@"; fi
exec %(curl)s -sS --fail-with-body --max-time 200 "$@"
"""
PORT = 8080
PATIENCE = 150  # seconds that one block may take


class Reader:
    """`with Reader(binary, root, python) as reader:` for one document."""

    def __init__(self, binary, root, python, modules):
        self.binary, self.root, self.python, self.modules = binary, root, python, modules
        self.made = tempfile.TemporaryDirectory(prefix="verbatim-docs-")
        self.folder = pathlib.Path(self.made.name) / "verbatim"
        self.groups, self.served = [], None

    def __enter__(self):
        self.folder.mkdir()
        for path in self.root.iterdir():
            if path.name not in (".git", "target", "artifacts"):
                (self.folder / path.name).symlink_to(path)
        if self.modules:
            (self.folder / "node_modules").symlink_to(self.modules)
        programs = self.folder.parent / "bin"
        programs.mkdir()
        (programs / "verbatim").symlink_to(self.binary)
        for name, text in (("cargo", CARGO), ("curl", CURL % {"curl": shutil.which("curl")})):
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        home = self.folder.parent / "home"
        home.mkdir()
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("VERBATIM_", "XDG_", "AWS_", "RUST_LOG"))}
        path = f"{programs}:{pathlib.Path(self.python).parent}:{os.environ['PATH']}"
        self.environment = inherited | {"PATH": path, "HOME": str(home), "TMPDIR": str(self.folder.parent), "NO_COLOR": "1"}
        self._recordings()
        return self

    def __exit__(self, *_):
        self.end_everything()
        self.made.cleanup()

    def _recordings(self):
        """What the documents call speech.mp3 and the like is somebody's own; here it is what the tests speak."""
        speech = self.root / "tests/fixtures/speech"
        for name, source in (("speech.mp3", "english.wav"), ("spanish.mp3", "spanish.wav")):
            subprocess.run(["ffmpeg", "-v", "error", "-i", speech / source, self.folder / name], check=True)
        subprocess.run(["ffmpeg", "-v", "error", "-i", speech / "english.wav", "-i", speech / "german.wav", "-filter_complex",
                        "[0:a][1:a]join=inputs=2:channel_layout=stereo", self.folder / "call.wav"], check=True)  # fmt: skip
        recordings = self.folder / "recordings"
        recordings.mkdir()
        for name in ("english.wav", "spanish.wav", "german.wav"):
            shutil.copy(speech / name, recordings / name)

    def run(self, block):
        """(exit code, standard output, standard error)."""
        environment = self.environment | ({"DOCS_STATUS": block.marks["status"]} if "status" in block.marks else {})
        return self._finish(*self._start(block, environment))

    def _start(self, block, environment):
        """Output goes to files: a program that stays in the background would keep a pipe open."""
        if block.language == "sh":
            line = ["bash", "-e", "-o", "pipefail", "-c", block.text]
        else:
            suffix, program = {"python": (".py", self.python), "js": (".mjs", "node")}[block.language]
            script = self.folder / f"block-{block.line}{suffix}"
            script.write_text(block.text)
            line = [program, script]
        out, err = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        process = subprocess.Popen(line, cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True)
        self.groups.append(process.pid)
        return process, out, err

    def _finish(self, process, out, err):
        try:
            code = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            _kill(process.pid, signal.SIGKILL)
            process.wait()
            code = 124
        return code, *_read(out, err)

    def serve(self, block):
        """Starts what the block starts and waits until it answers; None, or what went wrong. What ran before it is ended."""
        self.end_everything()
        process, out, err = self._start(block, self.environment)
        self.served = block
        _wait_until(lambda: process.poll() or _is_ready(), PATIENCE)
        if process.poll() or not _is_ready():
            how = f"ended with {process.poll()}" if process.poll() else f"was not ready within {PATIENCE} s"
            return f"the server {how}:\n{' '.join(_read(out, err))[-3000:]}"
        return None

    def end_everything(self):
        """As an interrupt at the terminal does: it goes to all that was started there, and does not wait for balancers as SIGTERM does."""
        for number, seconds in ((signal.SIGINT, 20), (signal.SIGKILL, 10)):
            for group in self.groups:
                _kill(group, number)
            if _wait_until(lambda: not any(_lives(group) for group in self.groups), seconds):
                break
        self.groups.clear()
        assert _wait_until(lambda: not listens(PORT), 10), "somebody still listens to port 8080"


def _kill(group, number):
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        pass


def _lives(group):
    """Whether the group has a process that is more than a name; those that have ended are waited for."""
    try:
        while os.waitpid(-group, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def _read(*files):
    texts = []
    for file in files:
        file.seek(0)
        texts.append(file.read().decode(errors="replace"))
    return texts


def listens(port):
    with socket.socket() as asked:
        return asked.connect_ex(("127.0.0.1", port)) == 0


def _is_ready():
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/readyz", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def _wait_until(condition, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.1)
    return False
