"""The corpus through a real server. In: the binary's command line, the corpus. Out: answers in the form of peers.py, and what was refused."""

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HOUSE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(HOUSE / "tools/smoke"))

import sentences  # noqa: E402
from server import Server  # noqa: E402

WORDS = "timestamp_granularities"
# Name of a row: kinds of recordings it hears, fields of the form.
ROWS = {
    "verbatim": (["single", "long", "quiet"], {}),
    "verbatim, beam 5": (["single", "long", "quiet"], {"beam_size": "5"}),
    "verbatim, without VAD": (["single", "long", "quiet"], {"vad": "false"}),
    "verbatim, conditioned": (["long"], {"condition_on_previous_text": "true"}),
    "verbatim, multilingual": (["long"], {"multilingual": "true"}),
    "verbatim, windows of 8 s": (["cuts"], {"chunk_length": "8"}),
    "verbatim, channels apart": (["call"], {"channels": "split"}),
    "verbatim, sentences alone": (["alone"], {}),
}


def hear(command: list[str], corpus: Path, rows: list[str], kinds: list[str], model: str) -> dict:
    """Row -> {"options", "refused", "answers"}; a field that the server does not offer is named in `refused`, and left out."""
    truth = json.loads((corpus / "truth.json").read_text(encoding="utf-8"))
    if "alone" in kinds and any("alone" in ROWS[row][0] for row in rows):
        truth += sentences.alone(truth, corpus)
    out = {}
    os.environ.setdefault("VERBATIM_SERVER__REQUEST_TIMEOUT_SECONDS", "7200")
    with Server(command, "--model", model) as server:
        server.answer_within = 7200
        for row in rows:
            heard_kinds, options = ROWS[row]
            clips = [clip for clip in truth if clip["kind"] in heard_kinds and clip["kind"] in kinds]
            tasks = [(clip, "transcribe") for clip in clips]
            tasks += [(clip, "translate") for clip in clips if clip["kind"] == "single" and clip["languages"] != ["en"]]
            if not tasks:
                continue
            fields = dict(options)
            out[row] = {"options": options, "refused": probe(server, corpus / truth[0]["file"], fields), "answers": {}}
            if not fields.keys() >= options.keys():  # Its answers would be another row's.
                continue
            with ThreadPoolExecutor(8 if len(tasks) > 20 else 2) as pool:
                answers = pool.map(lambda asked: ask(server, corpus, *asked, fields), tasks)
                for (clip, task), answer in zip(tasks, answers):
                    out[row]["answers"][f"{task} {clip['file']}"] = answer
            print(f"{row}: {len(tasks)} answers" + "".join(f"; refused: {r}" for r in out[row]["refused"]), flush=True)
    return out


def probe(server, clip: Path, fields: dict) -> list[str]:
    """Takes out of `fields` what the server refuses or passes over; adds the fields for words where it gives them."""
    refused = []
    fields[WORDS] = "segment,word"
    for name in [*fields]:
        status, answer = server.transcribe(clip.read_bytes(), clip.name, **{name: fields[name]})
        if status != 200:
            refused.append(f"{name}={fields.pop(name)}: {answer['error']['message'] if isinstance(answer, dict) else answer}")
        elif server.answered.get("x-verbatim-ignored"):
            refused.append(f"{name}={fields.pop(name)}: passed over")
    return refused


def ask(server, corpus: Path, clip: dict, task: str, fields: dict) -> dict:
    begun = time.monotonic()
    fields = {name: value for name, value in fields.items() if task == "transcribe" or name != WORDS}
    status, answer = server.transcribe((corpus / clip["file"]).read_bytes(), clip["file"], task=task, **fields)
    if status != 200:
        raise SystemExit(f"{clip['file']} {fields}: {status} {answer}")
    segments = answer["segments"]
    words = answer.get("words")
    if words is None and any("words" in segment for segment in segments):
        words = [word for segment in segments for word in segment.get("words", [])]
    times = ("start", "end")
    return {
        "language": answer["language_code"], "text": answer["text"],
        "segments": [{key: s[key] for key in (*times, "text", "language", "channel") if key in s} for s in segments],
        "words": None if words is None or WORDS not in fields else [{key: w[key] for key in (*times, "word", "channel") if key in w} for w in words],
        "windows": answer.get("windows_at"), "dropped": answer.get("dropped", []), "fallbacks": answer.get("fallbacks"),
        "seconds": round(time.monotonic() - begun, 2),
    }  # fmt: skip
