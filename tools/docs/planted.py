"""Faults planted in a document of its own and in copies of the real ones, each of which must be found, and sound blocks between them, which must not.
In: the binary. Out: what was not found.

    python tools/docs/run.py target/release/verbatim --self-test
"""

import pathlib
import shutil
import tempfile

SPEECH = "tests/fixtures/speech/english.wav"
# (block, what the complaint has; None: there is none)
BLOCKS = [
    ("<!-- not run: needs a card that is not here -->\n```sh\ncargo run --release -- serve --prot 1\n```", "`verbatim serve` has no flag --prot"),
    ("<!-- not run: needs a card that is not here -->\n```sh\ndocker run --gpus all verbatim:cuda serve --modle x\n```", "`verbatim serve` has no flag --modle"),
    ("<!-- not run: needs a card that is not here -->\n```sh\nif true; then echo\n```", "syntax error"),
    ("<!-- not run: needs a card that is not here -->\n```python\nprint(\n```", "never closed"),
    ("<!-- not run: needs a card that is not here -->\n```js\nconst x = ;\n```", "SyntaxError"),
    ("<!-- not run: no -->\n```sh\ntrue\n```", "wants its reason"),
    ("<!-- not run: needs a card that is not here -->\n```sh\nVERBATIM_SERVER__PROT=1 verbatim serve\n```", "no variable VERBATIM_SERVER__PROT"),
    ("```text\nverbatim transcribe FILE... [--fromat text]\n```", "has no flag --fromat"),
    (f"```sh\nverbatim transcribe {SPEECH}\n```", None),
    ("<!-- output -->\n```text\nWe need … and sugar. Martha and Daniel are travelling to Rome next month.\n```", None),
    ("<!-- output -->\n```text\nWe need legs, fish and sugar. …\n```", "We need legs"),
    (f"```sh\nverbatim transcribe --langauge en {SPEECH}\n```", "has no flag --langauge"),
    ("<!-- output -->\n```text\nanything\n```", "no block before it ran"),
    (f"```sh\ncurl -F file=@{SPEECH} -F langauge=en localhost:8080/transcribe\n```", "has no field 'langauge'"),
    ('<!-- output -->\n```json\n{"language": "english", "duration": 7.1, "...": "..."}\n```', None),
    ('<!-- output -->\n```json\n{"language": "german", "...": "..."}\n```', ".language is 'english', not 'german'"),
    ('<!-- output -->\n```json\n{"language": "english"}\n```', "too"),
    ('<!-- output -->\n```json\n{"speaker": "A", "...": "..."}\n```', "has no ['speaker']"),
    ('<!-- output -->\n```json\n{"duration": 8.1, "...": "..."}\n```', ".duration is 7.132, not 8.1"),
    ('<!-- output -->\n```json\n{"segments": [{"id": 0, "...": "..."}], "...": "..."}\n```', "not a list of 1"),
    (f"```sh\ncurl -F file=@{SPEECH} localhost:8080/transcript\n```", "there is no route POST /transcript"),
    (f"```sh\ncurl -H 'X-Dedline-Ms: 5' -F file=@{SPEECH} localhost:8080/transcribe\n```", "no header 'x-dedline-ms'"),
    (f"<!-- status: 404 -->\n```sh\ncurl -F file=@{SPEECH} localhost:8080/transcribe\n```", "no answer has the status 404"),
    ("<!-- status: 404 -->\n```sh\ncurl localhost:8080/v1/models/none\n```", None),
    ("```sh\ncurl localhost:8080/v1/models/none\n```", "exit code 22"),
    ('```python\nimport requests\nrequests.get("http://localhost:8080/v1/models/none").raise_for_status()\n```', "404 Client Error"),
    ("```js\nthrow new Error('planted')\n```", "planted"),
    ("```js\nconsole.log((await fetch('http://127.0.0.1:8080/livez')).status)\n```", None),
    ("<!-- serves -->\n```sh\nverbatim serve --config none.toml\n```", "the server ended with 64"),
    ('<!-- file: own.toml -->\n```toml\n[server]\nidempotency_seconds = 1\n```', None),
    ("<!-- serves -->\n```sh\nverbatim serve --config own.toml\n```", None),
    ("```toml\n[server\n```", "Expected"),
    ("```json\n{'single': 1}\n```", "this is no JSON"),
    ("```cobol\nSTOP RUN.\n```", "nobody knows what to do with ```cobol"),
    ("<!-- rnu -->\n```sh\ntrue\n```", "nobody knows the mark"),
    ("`server.max_bodies` is a setting", "there is no setting server.max_bodies"),
    ("`server.max_body_bytes` is one, and `GET /livez` a route", None),
    ("`POST /livez` is a route", "there is no route POST /livez"),
    ("`verbatim serve --prot` is a flag", "`verbatim serve` has no flag --prot"),
    ("`verbatim_requests_totals` is a metric, `verbatim_step_seconds_bucket` is one", "there is no metric verbatim_requests_totals"),
]
# (file, what stands there, what stands there instead, what the complaint has)
COPIES = [
    ("docs/api.md", "(options.md#not-offered-yet)", "(options.md#not-offered)", "has no heading #not-offered"),
    ("docs/api.md", "](settings.md)", "](sittings.md)", "there is no docs/sittings.md"),
    ("docs/api.md", "| `item_not_done` | 409 |", "| `item_not_done` | 404 |", "item_not_done is {409}, not {404}"),
    ("docs/api.md", "| `timeout` | 504 |", "| timeout | 504 |", "the error timeout is missing"),
    ("docs/api.md", "| `sessions.max_seconds` | 7200 |", "| `sessions.max_seconds` | 720 |", "sessions.max_seconds is 7200, not 720"),
    ("docs/api.md", 'server + "/v1/estimate"', 'server + "/v1/estimates"', "no python example asks GET /v1/estimate"),
    ("docs/operations.md", "| `verbatim_ready` |", "| verbatim_ready |", "the metric verbatim_ready is missing"),
    ("docs/operations.md", "| `verbatim_steps_total` | counter |", "| `verbatim_steps_total` | gauge |", "verbatim_steps_total is a counter"),
    ("docs/operations.md", "`gpu_error`", "`gpu_fault`", "the outcome gpu_error"),
    ("docs/operations.md", "`upload_bytes`", "`upload_sizes`", "the reason upload_bytes"),
]  # fmt: skip


def copy(root, folder):
    """A checkout whose documents may be changed."""
    for path in root.iterdir():
        if path.name in ("docs", "README.md"):
            (shutil.copytree if path.is_dir() else shutil.copy)(path, folder / path.name)
        elif path.name not in (".git", "target"):
            (folder / path.name).symlink_to(path)


def check(root, judge, judge_tables):
    """`judge`: a root and the name of its document in, failures out; `judge_tables`: a root in, complaints out."""
    missed = []
    with tempfile.TemporaryDirectory() as made:
        folder = pathlib.Path(made)
        copy(root, folder)
        (folder / "docs/planted.md").write_text("# Planted\n\n" + "\n\n".join(block for block, _ in BLOCKS) + "\n")
        failed = judge(folder, "docs/planted.md")
        for block, complaint in BLOCKS:
            if complaint and not any(complaint in failure for failure in failed):
                missed.append(f"{complaint}\n      in {block!r}")
        # A block that must not fail has no complaint of its own: each failure is one that was expected.
        for failure in failed:
            if not any(complaint and complaint in failure for _, complaint in BLOCKS):
                # What is wrong by its name fails when it runs as well.
                if not any(word in failure for word in ("exit code 2\n", "exit code 22\n", "exit code 28\n")):
                    missed.append(f"a sound block fails: {failure}")
        for name, is_there, instead, complaint in COPIES:
            path = folder / name
            text = path.read_text()
            assert is_there in text, f"{name} has no {is_there!r}"
            path.write_text(text.replace(is_there, instead))
            if not any(complaint in one for one in judge_tables(folder)):
                missed.append(f"{complaint}\n      in {name}")
            path.write_text(text)
    return missed, len([1 for _, complaint in BLOCKS if complaint]) + len(COPIES)
