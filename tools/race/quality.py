"""What Verbatim and others hear on the demo model. In: the binary, its dtypes. Out: JSON, the text of each program for each file.

    python tools/race/quality.py BINARY CACHE THREADS DTYPE...

Speed is worth nothing if the words are others: the same model and the same files, each program as tools/accuracy asks it.
"""

import json
import subprocess
import sys
from pathlib import Path

import soundfile
import torch

HOUSE = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(HOUSE / "tools/accuracy"), str(HOUSE / "tools/parity")]
MODEL, SPEECH = HOUSE / "models/demo", HOUSE / "tests/fixtures/speech"


def verbatim(binary: str, dtype: str, files: list[Path]) -> dict[str, str]:
    texts = {}
    for file in files:
        command = [binary, "transcribe", str(file), "--model", str(MODEL), "--device", "cpu", "--dtype", dtype, "--format", "json"]
        texts[file.name] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["text"].strip()
    return texts


def main() -> None:
    binary, cache, threads, *dtypes = sys.argv[1:]
    import peers

    torch.set_num_threads(int(threads))
    files = sorted(SPEECH.glob("*.wav"))
    truth = {clip["file"]: clip["text"] for clip in json.loads((SPEECH / "truth.json").read_text(encoding="utf-8"))}
    texts = {f"verbatim {dtype}": verbatim(binary, dtype, files) for dtype in dtypes}
    for name, kind, options in (("transformers float32", peers.Transformers, {}), ("faster-whisper float32", peers.Faster, {"beam_size": 1})):
        peer = kind(MODEL, Path(cache), **options)
        texts[name] = {file.name: peer.hear(soundfile.read(file, dtype="float32")[0], "transcribe")["text"] for file in files}
    print(json.dumps({"texts": texts, "truth": {file.name: truth[file.name] for file in files}}, ensure_ascii=False))


if __name__ == "__main__":
    main()
