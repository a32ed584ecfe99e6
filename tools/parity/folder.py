"""Records a model folder on real audio: WAV files in; log-mel, encodings and tokens under the timestamp rules out."""

import functools
import hashlib
import json
from pathlib import Path

import soundfile
import torch
from tokenizers import Tokenizer
from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration

import oracle
import rules

FRAMES = [*range(0, 3000, 311), 2999]
POSITIONS = [*range(0, 1500, 157), 1499]
# openai/whisper's sample_len: half of the decoder's positions.
MOST_TOKENS = 224
# A log-mel may differ by 1e-4 between two right implementations; a choice as close as this could turn on that.
LEAST_MARGIN = 0.005


def record(path: Path, audio: list[Path]) -> tuple[dict, dict]:
    """Facts for the JSON file and arrays for the safetensors file of a folder."""
    if not audio:
        raise SystemExit("no audio: give --audio FILE.wav..., 16 kHz mono")
    tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
    generation = json.loads((path / "generation_config.json").read_text())
    vocabulary = rules.Vocabulary.read(tokenizer, generation)
    extractor = WhisperFeatureExtractor.from_pretrained(path)
    model = WhisperForConditionalGeneration.from_pretrained(path, attn_implementation="eager", dtype=torch.float32).eval()
    width = model.config.d_model
    channels = [*range(0, width, max(1, width // 24))]

    clips, arrays, left_out = [], {}, []
    for file in audio:
        samples, rate = soundfile.read(file, dtype="float32")
        if rate != 16_000 or samples.ndim != 1 or len(samples) > 480_000:
            raise SystemExit(f"{file}: must be 16 kHz mono and at most 30 s, so that no resampling or cutting is compared")
        mel = extractor(samples, sampling_rate=rate, return_tensors="np").input_features[0]
        encoding = oracle.encode(model, mel)
        clip = transcribe(model, encoding, vocabulary)
        if min(clip["margins"]) < LEAST_MARGIN:
            left_out.append(file.name)
            print(f"{file.name}: left out, a choice is won by {min(clip['margins'])} only", flush=True)
            continue
        place = len(clips)
        clips.append({"file": file.name, "text": tokenizer.decode(text_only(clip["tokens"], vocabulary))} | clip)
        arrays[f"clip.{place}.log_mel"] = mel[:, FRAMES]
        arrays[f"clip.{place}.encoder"] = encoding[0][POSITIONS][:, channels].numpy()
        print(f"{file.name}: {clip['language']} {min(clip['margins']):.4f} {clips[-1]['text']}", flush=True)
    facts = {
        "weights_sha256": hashlib.sha256((path / "model.safetensors").read_bytes()).hexdigest(),
        "left_out": left_out,
        "frames": FRAMES,
        "positions": POSITIONS,
        "channels": channels,
        "vocabulary": vars(vocabulary),
        "clips": clips,
    }
    return facts, arrays


def transcribe(model, encoding: torch.Tensor, vocabulary: rules.Vocabulary) -> dict:
    """The language by its likeliest token, then one greedy decode under the rules."""
    first, _ = oracle.decode(model, encoding, [vocabulary.start])
    chances = torch.log_softmax(first[0], dim=-1)
    language = max(vocabulary.languages, key=lambda name: float(chances[vocabulary.languages[name]]))
    prompt = [vocabulary.start, vocabulary.languages[language], vocabulary.tasks["transcribe"]]
    rule = functools.partial(rules.constraint, vocabulary)
    found = oracle.greedy(model, encoding, prompt, MOST_TOKENS, rule, end=vocabulary.end)
    return {
        "language": language,
        "prompt": prompt,
        "tokens": found.tokens,
        "logprobs": [round(value, 6) for value in found.logprobs],
        "margins": [round(value, 4) if value < float("inf") else 1e9 for value in found.margins],
        "no_speech": float(chances[vocabulary.no_speech].exp()),
    }


def text_only(tokens: list[int], vocabulary: rules.Vocabulary) -> list[int]:
    return [token for token in tokens if token < vocabulary.end]
