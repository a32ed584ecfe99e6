"""The page at `/` in a real browser against real servers. In: the folder where npm put `playwright-core` and `axe-core`, and the command
that starts verbatim. Out: a line for everything that the page must do, and exit 0 where it did all of it. Needs chromium and ffmpeg.
With `SHOTS=FOLDER`, pictures of it as well; with `ONLY=REGEX`, the
things of these names alone.

    npm install --prefix FOLDER playwright-core@1.65.1 axe-core@4.14.1
    python3 tools/page/page.py FOLDER target/release/verbatim
"""

import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools/smoke"))

from judge import CHECKS  # noqa: E402
from server import Server  # noqa: E402
from smoke import SPEECH  # noqa: E402

KEY = "a-key-of-the-test-0123456789"
# Silence around what the microphone hears, so that neither a recorder that starts late nor one that stops early cuts a word.
BEFORE, AFTER = 1, 2


class Open(Server):
    """A server of one kind; killed and started anew on its port when the browser's script says so."""

    def kill(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def again(self, command):
        self.__init__(command, port=self.port)
        self.__enter__()


def main():
    folder, *command = sys.argv[1:]
    clips = {clip["file"]: clip for name in ("truth", "more") for clip in json.loads((SPEECH / f"{name}.json").read_text())}
    clip = clips["english.wav"]
    plain = ["env", "VERBATIM_JOBS__ENABLED=false", *command]
    keyed = ["env", f"VERBATIM_SERVER__KEYS=page:{KEY}", "VERBATIM_SERVER__MAX_REQUESTS=1", *plain]
    started = time.monotonic()
    # Whole numbers say nonsense three times as fast.
    raving = ["--model", "random:tiny", "--dtype", "q8_0"]
    kinds = {"server": Open(plain), "closed": Open(keyed), "raving": Open(plain, *raving)}
    with contextlib.ExitStack() as stack:
        made = stack.enter_context(tempfile.TemporaryDirectory())
        kinds["bare"] = Open(command, "--no-model", "--jobs-dir", made)
        for one in kinds.values():
            stack.enter_context(one)
        server = kinds["server"]
        speech = pathlib.Path(made) / "microphone.wav"
        pad = f"adelay={BEFORE}s:all=1,apad=pad_dur={AFTER}"
        subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-i", SPEECH / clip["file"], "-af", pad, speech], check=True)
        given = {
            **{name: f"http://127.0.0.1:{one.port}/" for name, one in kinds.items()},
            "key": KEY, "files": str(SPEECH), "speech": str(speech), "seconds": BEFORE + clip["duration"] + AFTER,
            "words": len(clip["text"].split()), "only": os.environ.get("ONLY", ""),
        }
        line = ["node", pathlib.Path(__file__).with_suffix(".mjs"), json.dumps(given)]
        environment = os.environ | {"CLIENTS": os.path.abspath(folder)}
        told = subprocess.Popen(line, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        failed, seen = [], []
        for one in map(json.loads, told.stdout):
            if "please" in one:
                server.kill() if one["please"] == "kill" else server.again(plain)
                print("done", file=told.stdin, flush=True)
                continue
            seen.append(one["what"])
            try:
                assert "error" not in one, one["error"]
                # The browser complains of what a policy forbids, of scripts that fail and of what does not load.
                assert not one.get("complaints"), one["complaints"]
                print(f"  {one['what']}: {CHECKS[one['what']](one, clips)}", flush=True)
            except (AssertionError, KeyError, IndexError, TypeError) as error:
                failed.append(one["what"])
                print(f"  FAILED: {one['what']}: {type(error).__name__} {error}", flush=True)
        assert told.wait(timeout=60) == 0, "the browser's script failed"
        assert sorted(seen) == sorted(name for name in CHECKS if re.search(given["only"], name)), f"not done: {set(CHECKS) - set(seen)}"
        assert not failed, f"failed: {', '.join(failed)}"
    print(f"the page does all of it, in {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
