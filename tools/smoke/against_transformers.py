"""models/demo in transformers beside the server, greedy and with 5 beams. In: the binary. Out: exit 0 where both give the same tokens for every clip.

    .venv/bin/python tools/smoke/against_transformers.py target/release/verbatim
"""

import json
import pathlib
import sys

import soundfile
import torch
from transformers import WhisperForConditionalGeneration, WhisperProcessor

from server import Server

ROOT = pathlib.Path(__file__).resolve().parents[2]
SPEECH = ROOT / "tests/fixtures/speech"
NAMES = {"en": "english", "es": "spanish", "de": "german"}


def main():
    processor = WhisperProcessor.from_pretrained(ROOT / "models/demo")
    model = WhisperForConditionalGeneration.from_pretrained(ROOT / "models/demo", dtype=torch.float32).eval()
    special = model.generation_config.no_timestamps_token_id
    end = model.generation_config.eos_token_id
    clips = [clip for clip in json.loads((SPEECH / "truth.json").read_text()) if clip["duration"] <= 30]
    compared = 0
    with Server(sys.argv[1:]) as server:
        for clip in clips:
            audio, rate = soundfile.read(SPEECH / clip["file"], dtype="float32")
            features = processor(audio, sampling_rate=rate, return_tensors="pt").input_features
            for task in ["transcribe"] + ["translate"] * (clip["language"] != "en"):
                for beams in (1, 5):
                    with torch.no_grad():
                        given = model.generate(features, return_timestamps=True, language=clip["language"], task=task, num_beams=beams)
                    # Prompts and the end are left out by some versions and given by others.
                    theirs = [token for token in given[0].tolist() if token < end or token > special]
                    upload = (SPEECH / clip["file"]).read_bytes()
                    status, answer = server.transcribe(upload, clip["file"], language=clip["language"], task=task, beam_size=beams, vad="false")
                    assert status == 200, answer
                    ours = [token for segment in answer["segments"] for token in segment["tokens"]]
                    assert answer["language"] == NAMES[clip["language"]]
                    assert ours == theirs, (clip["file"], task, processor.decode(ours), processor.decode(theirs))
                    compared += len(ours)
                    print(f"  {clip['file']} {task}, beams {beams}: the same {len(ours)} tokens: {answer['text']!r}")
    print(f"{compared} tokens compared, all equal")


if __name__ == "__main__":
    main()
