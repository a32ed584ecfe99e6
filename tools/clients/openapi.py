"""The OpenAPI document against the server that serves it. In: the server's binary. Out: exit 0 where docs/openapi.json is what the server
serves and is valid OpenAPI 3.1, and where thousands of requests made from it (by schemathesis, some with real speech in them) were
answered as it says: no status, header, content type or JSON that it does not name.

    python tools/clients/openapi.py target/release/verbatim
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

from openapi_spec_validator import validate

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools/smoke"))

from server import Server  # noqa: E402

# What is asked of each answer. Not that a document with wrong values is refused, nor that one with right values is taken: a form has
# rules between its fields, and its file is audio, neither of which OpenAPI can say.
CHECKS = ("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
          "response_schema_conformance")  # fmt: skip


def main(binary):
    with Server([binary]) as server:
        status, _, body = server.get("/openapi.json")
        served = json.loads(body)
        assert status == 200 and served == json.loads((ROOT / "docs/openapi.json").read_text()), "docs/openapi.json is another"
        validate(served)
        operations = sum(len(path) for path in served["paths"].values())
        print(f"  valid {served['openapi']}, {operations} operations, {len(served['components']['schemas'])} schemas")
        page = server.get("/docs/")[2].decode()
        script = server.get("/docs/swagger-ui-bundle.js")
        assert "swagger-ui" in page and "//" not in page.replace("<!--", ""), page
        assert script[0] == 200 and len(script[2]) > 500_000, script[0]
        print("  /docs is there, and asks nobody else for anything")

        with tempfile.TemporaryDirectory() as folder:
            environment = {**os.environ, "SCHEMATHESIS_HOOKS": "openapi_hooks", "PYTHONPATH": str(ROOT / "tools/clients"),
                           "VERBATIM_URL": f"http://127.0.0.1:{server.port}"}  # fmt: skip
            # The websocket is not HTTP.
            line = [str(pathlib.Path(sys.executable).with_name("schemathesis")), "run", f"http://127.0.0.1:{server.port}/openapi.json",
                    "--exclude-path", "/v1/realtime", "--phases", "examples,coverage,fuzzing", "--max-examples", "30", "--seed", "1",
                    "--checks", ",".join(CHECKS), "--continue-on-failure", "--request-timeout", "60", "--no-color"]  # fmt: skip
            ran = subprocess.run(line, env=environment, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if ran.returncode != 0:
            raise SystemExit(ran.stdout)
        print("  " + next(line.strip() for line in ran.stdout.splitlines() if re.search(r"\d generated", line)))
        heard = json.loads(server.get("/gpu-info")[2])["windows_done"]
        assert heard > 50, f"only {heard} windows of speech were among them"
        print(f"  {heard} windows of speech among them; the server is well: {server.get('/readyz')[0]}")


if __name__ == "__main__":
    main(sys.argv[1])
