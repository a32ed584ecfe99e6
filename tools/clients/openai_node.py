"""OpenAI's own JavaScript client against a real server. In: the folder where npm put `openai`, and the command that starts verbatim.

    npm install --prefix FOLDER openai@6.49.0
    python3 tools/clients/openai_node.py FOLDER target/release/verbatim
"""

import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "smoke"))

from server import Server  # noqa: E402

folder, *command = sys.argv[1:]
with Server(command) as server:
    script = pathlib.Path(__file__).with_suffix(".mjs")
    environment = os.environ | {"CLIENTS": os.path.abspath(folder)}
    raise SystemExit(subprocess.run(["node", script, f"http://127.0.0.1:{server.port}"], env=environment).returncode)
