"""A real browser against a real server, from a page of another origin. In: the folder where npm put `playwright-core`, and the command
that starts verbatim. Out: exit 0 where recordings of a synthetic microphone (MediaRecorder), a dictation in its pieces and the page of
docs/realtime.md are heard right, and where pages of origins that are not listed are kept out. Needs chromium and ffmpeg.

    npm install --prefix FOLDER playwright-core@1.65.1
    python3 tools/clients/browser.py FOLDER target/release/verbatim
"""

import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools/smoke"))

from server import Server  # noqa: E402
from smoke import SPEECH, word_errors, words  # noqa: E402

# Silence around the clip, so that neither a recorder that starts late nor one that stops early cuts a word.
BEFORE, AFTER = 1, 2


def main():
    folder, *command = sys.argv[1:]
    clip = json.loads((SPEECH / "truth.json").read_text())[0]
    truth = words(clip["text"])
    seconds = BEFORE + clip["duration"] + AFTER
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        page = free.getsockname()[1]
    origins = f"VERBATIM_SERVER__CORS_ORIGINS=http://127.0.0.1:{page}"
    with tempfile.TemporaryDirectory() as made, Server(["env", origins, *command]) as server, Server(command) as closed:
        speech = pathlib.Path(made) / "microphone.wav"
        pad = f"adelay={BEFORE}s:all=1,apad=pad_dur={AFTER}"
        subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-i", SPEECH / clip["file"], "-af", pad, speech], check=True)
        given = {
            "page": page, "server": f"http://127.0.0.1:{server.port}", "closed": f"http://127.0.0.1:{closed.port}", "speech": str(speech),
            "seconds": seconds, "words": len(truth), "example": str(ROOT / "docs/realtime.md"),
        }
        line = ["node", pathlib.Path(__file__).with_suffix(".mjs"), json.dumps(given)]
        told = subprocess.run(line, env=os.environ | {"CLIENTS": os.path.abspath(folder)}, stdout=subprocess.PIPE, text=True, timeout=300)
        seen = [judged(one, truth, seconds) for one in map(json.loads, told.stdout.splitlines())]
        assert told.returncode == 0, f"the browser's script ended with {told.returncode}"
        # Two kinds of recording, two dictations, a page, and three origins by two ways in; the first line is the version.
        assert len(seen) == 1 + 2 + 2 + 1 + 6, seen
        assert server.get("/livez")[0] == closed.get("/livez")[0] == 200


def heard(text, truth):
    errors = word_errors(truth, words(text))
    assert errors <= 0.1 * len(truth), f"{errors} of {len(truth)} words are wrong: {text}"
    return f"{errors} of {len(truth)} words wrong"


def judged(one, truth, seconds):
    """One line for what the browser did; an AssertionError where it should not have come out so."""
    what, whose = one["what"], one.get("whose")
    if what == "browser":
        line = f"Chromium {one['version']}"
    elif what == "take" and one.get("unsupported"):
        line = f"SKIPPED: this Chromium records no {one['type']}"
    elif what in ("fetch", "socket") and whose != "listed":
        # The browser's own words, so that a server that is merely down does not pass for one that keeps pages out.
        why = " ".join(one["console"])
        kept_out = "blocked by CORS policy" if what == "fetch" else "Unexpected response code: 403"
        assert "data" not in one and "first" not in one and kept_out in why, one
        line = f"{what} from a page, {whose}: {kept_out}"
    else:
        assert not one.get("error"), one
        if what == "take":
            assert one["status"] == 200 and one["incomplete"] is None and one["id"], one
            assert abs(one["duration"] - seconds) < 0.5, one["duration"]
            line = f"{one['type']} in one take: {heard(one['text'], truth)}, {one['duration']:.2f} s"
        elif what in ("dictation", "named"):
            assert one["chunks"] >= 4 and one["missing"] == [] and abs(one["duration"] - seconds) < 0.5, one
            # What is committed only ever grows.
            assert all(after.startswith(before) for before, after in zip(one["committed"], one["committed"][1:])), one
            assert one["committed"][-1], one
            opened = "opened by PUT" if what == "named" else "opened by POST"
            line = f"dictation in {one['chunks']} pieces, {opened}: {heard(one['text'], truth)}, {heard(one['live'], truth)} while it was spoken"
        elif what == "realtime":
            line = f"the page of docs/realtime.md: {heard(one['text'], truth)}"
        elif what == "fetch":
            assert "whisper-1" in [model["id"] for model in one["data"]], one
            line = f"fetch from a page, {whose}: answered"
        else:
            assert one["first"] == "session.created", one
            line = f"socket from a page, {whose}: {one['first']}"
    print(f"  {line}", flush=True)
    return line


if __name__ == "__main__":
    main()
