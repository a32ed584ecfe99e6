"""The same recordings by other programs on the same model. In: the corpus, a model folder. Out: one JSON a peer, kept by what it was made of.

    .venv-accuracy/bin/python tools/accuracy/peers.py --corpus target/accuracy/corpus --out target/accuracy/peers

Every peer decodes in float32 on one thread with the checkpoint's own suppressed tokens, no bound on the first timestamp, and the language
its own guess. Everything else is as it comes.
"""

import argparse
import hashlib
import importlib.metadata
import json
import sys
import time
from pathlib import Path

import soundfile
import torch

HOUSE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(HOUSE / "tools/parity"))


class OpenAI:
    """openai-whisper's own transcribe: greedy, its ladder of temperatures, its defaults."""

    package = "openai-whisper"

    def __init__(self, folder, work, **options):
        import reference
        import whisper

        self.whisper, self.options = whisper, options
        self.model, generation = reference.load(folder)
        self.suppress = reference.suppressed(generation, whisper.tokenizer.get_tokenizer(True))

    def hear(self, samples, task):
        torch.manual_seed(0)
        words = task == "transcribe"
        found = self.whisper.transcribe(
            self.model, samples, task=task, fp16=False, word_timestamps=words, suppress_tokens=list(self.suppress), max_initial_timestamp=None,
            **self.options,
        )  # fmt: skip
        heard = [word for segment in found["segments"] for word in segment.get("words", [])]
        return answer(found["language"], found["text"], found["segments"], heard if words else None)


class Transformers:
    """transformers' generate: short form up to 30 s, sequential long form beyond."""

    package = "transformers"

    def __init__(self, folder, work, **options):
        from tokenizers import Tokenizer

        import theirs

        self.peer, self.options = theirs.Transformers(folder), options
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.names = {token: name.strip("<|>") for name, token in self.peer.model.generation_config.lang_to_id.items()}

    @torch.no_grad()
    def hear(self, samples, task):
        features = self.peer.extractor(samples, sampling_rate=16_000, return_tensors="pt").input_features
        language = self.names[int(self.peer.model.detect_language(features)[0])]
        options = {"task": task, "language": language} | (self.options if len(samples) > 480_000 else {})
        segments = self.peer.whole(samples, options)
        for segment in segments:
            segment["text"] = self.tokenizer.decode([t for t in segment["tokens"] if t < self.peer.end])
        return answer(language, "".join(s["text"] for s in segments), segments, None)


class Faster:
    """faster-whisper, sequential or batched."""

    package = "faster-whisper"

    def __init__(self, folder, work, batched=False, **options):
        import faster_whisper

        import faster

        model = faster.load(folder, work / "ctranslate2")
        # Its own default is the reference's list of symbols, which in a small vocabulary has the space alone: words begin with that.
        self.suppress = json.loads((folder / "generation_config.json").read_text())["suppress_tokens"]
        self.pipeline = faster_whisper.BatchedInferencePipeline(model) if batched else model
        self.options = options

    def hear(self, samples, task):
        words = task == "transcribe"
        segments, facts = self.pipeline.transcribe(
            samples, task=task, word_timestamps=words, max_initial_timestamp=30.0, suppress_tokens=list(self.suppress), **self.options
        )
        segments = [
            {"start": float(s.start), "end": float(s.end), "text": s.text,
             "words": [{"word": w.word, "start": float(w.start), "end": float(w.end)} for w in s.words or []]}
            for s in segments
        ]  # fmt: skip
        heard = [word for segment in segments for word in segment["words"]]
        return answer(facts.language, "".join(s["text"] for s in segments), segments, heard if words else None)


def answer(language, text, segments, words):
    def times(entry):
        return {"start": round(float(entry["start"]), 3), "end": round(float(entry["end"]), 3)}

    return {
        "language": language, "text": text.strip(), "segments": [times(s) | {"text": s["text"]} for s in segments],
        "words": words if words is None else [{"word": w["word"]} | times(w) for w in words],
    }  # fmt: skip


PEERS = {
    "openai-whisper": (OpenAI, {}),
    "openai-whisper, not conditioned": (OpenAI, {"condition_on_previous_text": False}),
    "transformers": (Transformers, {"condition_on_prev_tokens": False}),
    "faster-whisper": (Faster, {"beam_size": 1}),
    "faster-whisper, VAD": (Faster, {"beam_size": 1, "vad_filter": True}),
    "faster-whisper, VAD, not conditioned": (Faster, {"beam_size": 1, "vad_filter": True, "condition_on_previous_text": False}),
    "faster-whisper, VAD, not conditioned, beam 5": (Faster, {"beam_size": 5, "vad_filter": True, "condition_on_previous_text": False}),
    "faster-whisper, batched": (Faster, {"beam_size": 1, "batched": True}),
    "faster-whisper, batched, beam 5": (Faster, {"beam_size": 5, "batched": True}),
}


def tasks(truth: list[dict], kinds: list[str]) -> list[tuple[dict, str]]:
    """What is asked of every peer: all transcribed, Spanish and German singles translated too."""
    asked = [(clip, "transcribe") for clip in truth if clip["kind"] in kinds]
    return asked + [(clip, "translate") for clip in truth if clip["kind"] == "single" and "single" in kinds and clip["languages"] != ["en"]]


def tools() -> str:
    """A hash of what asks the peers: another question is another answer."""
    here, parity = Path(__file__).parent, HOUSE / "tools/parity"
    sources = [here / "peers.py", here / "faster.py", parity / "reference.py", parity / "theirs.py"]
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()


def run(name: str, folder: Path, corpus: Path, out: Path, kinds: list[str]) -> None:
    """Writes OUT/NAME.json after each file, and goes on from it where model, audio and options are the same."""
    kind, options = PEERS[name]
    truth = json.loads((corpus / "truth.json").read_text(encoding="utf-8"))
    path = out / f"{name.replace(', ', '-').replace(' ', '-')}.json"
    made_of = {
        "model": hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest(), "corpus": hashlib.sha256((corpus / "truth.json").read_bytes()).hexdigest(),
        "version": importlib.metadata.version(kind.package), "torch": torch.__version__, "options": options, "tools": tools(),
    }  # fmt: skip
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if kept.get("made_of") != made_of:
        kept = {"peer": name, "package": kind.package, "made_of": made_of, "answers": {}}
    wanted = [(clip, task) for clip, task in tasks(truth, kinds) if f"{task} {clip['file']}" not in kept["answers"]]
    if not wanted:
        return
    peer = kind(folder, out, **options)
    for done, (clip, task) in enumerate(wanted, 1):
        samples, _ = soundfile.read(corpus / clip["file"], dtype="float32")
        begun = time.monotonic()
        heard = peer.hear(samples, task)
        kept["answers"][f"{task} {clip['file']}"] = heard | {"seconds": round(time.monotonic() - begun, 2)}
        if clip["kind"] != "single" or done % 20 == 0 or done == len(wanted):
            path.write_text(json.dumps(kept, ensure_ascii=False), encoding="utf-8")
            print(f"{name}: {done} of {len(wanted)}, {clip['file']}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=HOUSE / "models/demo")
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="*", choices=[*PEERS], help="these peers")
    parser.add_argument("--kinds", nargs="*", default=["single", "quiet", "long"], help="of recordings")
    given = parser.parse_args()
    torch.set_num_threads(1)
    given.out.mkdir(parents=True, exist_ok=True)
    for one in given.only or PEERS:
        run(one, given.model, given.corpus, given.out, given.kinds)
