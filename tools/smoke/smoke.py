"""The quick start for real. In: the command that starts verbatim. Out: exit 0 where a real server understood real audio in every
format of formats.py, refused what it does not read and what is broken in one sentence, and stopped in good order.

    python3 tools/smoke/smoke.py target/release/verbatim
    python3 tools/smoke/smoke.py cargo run --release --
"""

import json
import pathlib
import subprocess
import sys
import tempfile

from edits import word_errors, words
from formats import FAULTS, READ, REFUSED
from server import Server

SPEECH = pathlib.Path(__file__).resolve().parents[2] / "tests/fixtures/speech"


def understood(server, clips):
    """Every clip as it is."""
    wrong = total = 0
    for clip in clips:
        status, answer = server.transcribe((SPEECH / clip["file"]).read_bytes(), clip["file"])
        assert status == 200, (status, answer)
        truth = words(clip["text"])
        wrong, total = wrong + word_errors(truth, words(answer["text"])), total + len(truth)
        assert answer["model"] == "demo" and answer["segments"] and answer["timing"]["total_ms"] > 0, answer
        print(f"  {clip['file']}: {answer['text'][:70]!r} in {answer['timing']['total_ms']:.0f} ms")
    assert wrong <= 0.03 * total, f"{wrong} of {total} words are wrong"


def containers(server, clip):
    """The clip in every row of formats.py: understood, refused in a sentence that says why, or a fault that is known."""
    truth = words(clip["text"])

    def sent(name, how):
        """(status, answer, wrong words)"""
        made = pathlib.Path(folder) / name
        line = ["ffmpeg", "-nostdin", "-v", "error", "-i", SPEECH / clip["file"], *how.split(), made]
        subprocess.run(line, check=True, timeout=60)
        status, answer = server.transcribe(made.read_bytes(), name)
        return status, answer, word_errors(truth, words(answer.get("text", "")))

    with tempfile.TemporaryDirectory() as folder:
        for name, how in READ:
            status, answer, errors = sent(name, how)
            assert status == 200, (name, status, answer)
            assert errors <= 1, (name, answer["text"])
            assert abs(answer["duration"] - clip["duration"]) < 0.15, (name, answer["duration"])
            assert answer["incomplete"] is None, (name, answer["incomplete"])
            print(f"  {name}: {errors} of {len(truth)} words wrong, {answer['duration']:.2f} s")
        for name, how, sentence in REFUSED:
            status, answer, _ = sent(name, how)
            assert status == 415, f"{name} is no longer refused but answered with {status}: {answer}"
            error = answer["error"]
            assert set(error) == {"message", "type", "param", "code"}, (name, answer)
            assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", "file", "unsupported_audio"), (name, answer)
            assert sentence in error["message"], (name, error["message"])
            print(f"  {name}: {status} {error['message']}")
        for name, how, now, reason in FAULTS:
            status, answer, errors = sent(name, how)
            as_ever = errors > 1 and status == 200 if now is None else now in answer.get("error", {}).get("message", "")
            assert as_ever, f"{name} is answered otherwise than before: move its row in formats.py. {status} {answer}"
            print(f"  {name}: SKIPPED, a known fault: {reason}")
    print(f"  {len(READ)} pairs are understood, {len(REFUSED)} refused, {len(FAULTS)} known to be wrong")


def refused(server, audio):
    """Broken uploads get a 4xx with a sentence, or an answer that says what is missing; the server goes on."""
    hostile = {
        "empty": (b"", 400), "text": (b"this is no audio at all " * 50, 415), "noise": (bytes(range(256)) * 64, 415),
        "picture": (b"\x89PNG\r\n\x1a\n" + bytes(4000), 415), "header alone": (audio[:44], 400),
    }
    for name, (upload, expected) in hostile.items():
        status, answer = server.transcribe(upload)
        assert status == expected, (name, status, answer)
        error = answer["error"]
        assert set(error) == {"message", "type", "param", "code"} and len(error["message"]) > 10, answer
        print(f"  {name}: {status} {error['message']}")
    status, answer = server.transcribe(audio[: len(audio) // 2])
    assert status == 200 and answer["incomplete"]["reason"], answer
    print(f"  cut off: {answer['incomplete']['reason']}")


def formats(server, audio):
    """The other ways to ask and to be answered."""
    for wanted, start in [("text", ""), ("srt", "1\n00:00:"), ("vtt", "WEBVTT\n\n"), ("json", "{")]:
        status, answer = server.transcribe(audio, response_format=wanted)
        text = json.dumps(answer) if isinstance(answer, dict) else answer
        assert status == 200 and text.startswith(start) and len(text) > 20, (wanted, answer)
    status, _, body = server.request("POST", "/transcribe?language=en&response_format=text", audio, {"Content-Type": "audio/wav"})
    assert status == 200 and len(body) > 10, body
    for path in ["/livez", "/health", "/metrics", "/gpu-info"]:
        assert server.get(path)[0] == 200, path
    info = json.loads(server.get("/gpu-info")[2])
    assert info["model"] == "demo" and info["cuda_available"] is False and info["note"], info


def main():
    clips = json.loads((SPEECH / "truth.json").read_text())
    audio = (SPEECH / clips[0]["file"]).read_bytes()
    server = Server(sys.argv[1:])
    with server:
        print("understood:")
        understood(server, clips)
        print("containers and codecs:")
        containers(server, clips[0])
        print("refused:")
        refused(server, audio)
        formats(server, audio)
        assert server.get("/livez")[0] == 200
        code = server.stop()
    assert code == 0, f"SIGTERM ended the server with {code}:\n{server.said()}"
    print("the server stopped in good order")


if __name__ == "__main__":
    main()
