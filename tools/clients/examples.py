"""The documents' own examples, run as they are written. In: the command that starts verbatim. Out: exit 0 where every line of shell that
asks a server, and every line of openai's client, in the documents below did what it says; only the address is another.

    python tools/clients/examples.py target/release/verbatim
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools/smoke"))

from server import Server  # noqa: E402

DOCUMENTS = ("README.md", "docs/openai.md", "docs/dictation.md", "docs/subtitles.md", "docs/realtime.md")
SPEECH = ROOT / "tests/fixtures/speech"
# An answer of 4xx or 5xx ends the example.
PRELUDE = 'set -euo pipefail\ncurl() { command curl --silent --show-error --fail-with-body --max-time 120 "$@"; echo; }\nverbatim() { "%s" "$@"; }\n'


def blocks(document, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / document).read_text(), re.MULTILINE | re.DOTALL)


def run(line, folder, **more):
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=300, **more)
    assert done.returncode == 0 and done.stdout.strip(), f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def main(command):
    ran = {"sh": 0, "python": 0}
    with Server(command) as server, tempfile.TemporaryDirectory() as made:
        folder = pathlib.Path(made)
        here = f"localhost:{server.port}"
        for name, source in [("speech.mp3", "english.wav"), ("spanish.mp3", "spanish.wav")]:
            subprocess.run(["ffmpeg", "-v", "error", "-i", SPEECH / source, folder / name], check=True)
        (folder / "speech.json").write_bytes(server.request("POST", "/transcribe", (folder / "speech.mp3").read_bytes())[2])
        shutil.copytree(ROOT / "tests/fixtures/speech", folder / "tests/fixtures/speech")
        for document in DOCUMENTS:
            for block in blocks(document, "sh"):
                # Keys, containers and builds have checks of their own.
                if "curl" not in block or "Bearer" in block or "docker" in block:
                    continue
                said = run(["bash", "-c", PRELUDE % command[0] + block.replace("localhost:8080", here)], folder)
                assert not re.search(r'"error": ?\{', said), said
                ran["sh"] += 1
                print(f"  {document}: {' '.join(block.split())[:70]} ... {' '.join(said.split())[-60:]!r}")
            for block in blocks(document, "python"):
                if not block.startswith("client ="):
                    continue
                program = "import openai\n" + re.sub(r"^(client\.audio.*)$", r"print(\1)", block, flags=re.MULTILINE)
                said = run([sys.executable, "-c", program.replace("localhost:8080", here)], folder)
                ran["python"] += 1
                print(f"  {document}: {' '.join(block.split())[-70:]} ... {' '.join(said.split())[:60]!r}")
    assert ran["sh"] >= 4 and ran["python"] >= 1, ran


if __name__ == "__main__":
    main(sys.argv[1:])
