"""Records decoding.json and longform.json of tests/fixtures/parity: what OpenAI's own code and transformers answer for tests/fixtures/speech.

    .venv/bin/python tools/parity/decoding.py
    .venv/bin/python tools/parity/decoding.py --only longform

Every answer is given again for log-mels that differ by 1e-4, as two right implementations of the log-mel may. A case whose answer
stays is `stable`, and another implementation must give it; for the others it need only be one as good.
"""

import argparse
import hashlib
import json
from pathlib import Path

import soundfile
import tiktoken
import torch
import whisper
import whisper.tokenizer
from whisper.version import __version__ as whisper_version

import alignment
import longform
import reference
import theirs
import windows
from record import readable, versions

HOUSE = Path(__file__).resolve().parents[2]
SPEECH = HOUSE / "tests/fixtures/speech"
# Compressed by the reference; it is the server's compressor that differs.
TEXTS = [
    "", "a", "The library is opposite the park.", "Turn off the light. " * 2, "Turn off the light. " * 4, "Turn off the light. " * 10,
    "Meine Mutter ist zu Hause und das Kind singt sehr gut.", "¿Dónde está la farmacia? ¿Dónde está la farmacia?",
    "no no no no no no no no no no no no no no no", "字幕由社区提供 字幕由社区提供 字幕由社区提供", "0123456789" * 7, "♪♪♪♪♪♪♪♪",
    " Take two tablets before breakfast. The train to Madrid leaves at half past nine. Set a timer for twelve minutes.",
]  # fmt: skip
# Split into words by the reference: text, language.
SPLIT = [
    (" We need eggs, fish and sugar.", "en"), (" It's Martha's, isn't it? \"No,\" she said.", "en"), (" ¿Quisiera café con huevos?", "es"),
    (" Größe dreißig-vier (oder so) ...", "de"), (" naïve 字幕 ok", "en"), ("今天 天气。", "zh"), (" -- well -", "en"), ("word", "en"),
]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=HOUSE / "models/demo")
    parser.add_argument("--out", type=Path, default=HOUSE / "tests/fixtures/parity")
    parser.add_argument("--only", choices=["decoding", "longform"], help="this file alone")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    model, generation = reference.load(asked.model)
    peer = theirs.Transformers(asked.model)
    audio = {}
    for file in ("truth.json", "more.json"):
        for clip in json.loads((SPEECH / file).read_text(encoding="utf-8")):
            if not clip["file"].endswith(".mp3"):  # Decoders of MP3 differ.
                audio[clip["file"]], rate = soundfile.read(SPEECH / clip["file"], dtype="float32")
                assert rate == 16_000, clip["file"]
    made = {
        "made_with": versions() | {"openai-whisper": whisper_version, "tiktoken": tiktoken.__version__},
        "model": asked.model.name,
        "weights_sha256": hashlib.sha256((asked.model / "model.safetensors").read_bytes()).hexdigest(),
        "mel_noise": windows.NOISE,
    }
    for name, record in (("decoding", decoding), ("longform", longform_cases)):
        if asked.only in (None, name):
            path = asked.out / f"{name}.json"
            path.write_text(readable(made | record(model, generation, audio, peer)), encoding="utf-8")
            print(f"{path}: {path.stat().st_size} bytes", flush=True)


def decoding(model, generation: dict, audio: dict, peer) -> dict:
    """One window at a time, and the parts."""
    tokenizer = whisper.tokenizer.get_tokenizer(True)
    return {
        "checkpoint_suppress_tokens": reference.suppressed(generation, tokenizer),
        "non_speech_tokens": list(tokenizer.non_speech_tokens),
        "dynamic_time_warping": alignment.warps(),
        "median_filter": alignment.medians(),
        "compression_ratios": [{"text": text, "ratio": whisper.utils.compression_ratio(text)} for text in TEXTS],
        "word_splits": [alignment.split(text, language) for text, language in SPLIT],
        "languages": windows.languages(model, audio),
        "alignments": alignment.record(model, generation, audio),
        "windows": windows.record(model, generation, audio, peer),
    }


def longform_cases(model, generation: dict, audio: dict, peer) -> dict:
    return {"cases": longform.record(model, generation, audio, peer)}


if __name__ == "__main__":
    main()
