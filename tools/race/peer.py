"""One program in a process of its own. In: its name, its weights, a batch; then a line for each run. Out: a line of JSON for each: what it took.

    python tools/race/peer.py NAME FOLDER BATCH TOKENS THREADS

Nothing but what the program itself needs is imported, so that the peak memory of this process is the least that the program does with.
Only race.py starts it, with the variables that bound the threads set before anything is loaded.
"""

import ctypes
import importlib.util
import json
import os
import sys
import time
from pathlib import Path

import numpy as np

import sound

# weights.PROMPT, which is not imported because it imports torch: start, English, transcribe, no timestamps.
PROMPT, END = [50_258, 50_259, 50_359, 50_363], 50_257


class CTranslate2:
    """faster-whisper's two halves: its own log-mel, and CTranslate2's Whisper as it calls it, without beams."""

    def __init__(self, folder, batch, tokens, threads):
        import ctranslate2

        self.ctranslate2, self.tokens = ctranslate2, tokens
        # The precision is the folder's own.
        self.model = ctranslate2.models.Whisper(folder, device="cpu", compute_type="default", inter_threads=1, intra_threads=threads)
        # The file alone: the package around it brings a video decoder and more, which this race does not need.
        package = Path(importlib.util.find_spec("faster_whisper").submodule_search_locations[0])
        spec = importlib.util.spec_from_file_location("feature_extractor", package / "feature_extractor.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        # It pads what it is given by another window, as faster-whisper does with a file; a window of one is cut off it.
        self.extractor = module.FeatureExtractor()

    def mel(self, windows):
        return np.stack([self.extractor(window, padding=0)[:, :3000] for window in windows])

    def encode(self, mel):
        return self.model.encode(self.ctranslate2.StorageView.from_array(mel))

    def whole(self, mel):
        encoded = self.encode(mel)
        # It gives each window half of the length at most.
        found = self.model.generate(
            encoded, [PROMPT] * len(mel), beam_size=1, max_length=2 * self.tokens, suppress_blank=False, suppress_tokens=[END]
        )
        return [one.sequences_ids[0] for one in found]


class OpenAI:
    def __init__(self, folder, batch, tokens, threads):
        import torch
        import whisper

        torch.set_num_threads(threads)
        sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "parity"))
        import reference
        from safetensors.torch import load_file

        self.torch, self.whisper = torch, whisper
        config = json.loads((Path(folder) / "config.json").read_text())
        width, heads = config["d_model"], config["encoder_attention_heads"]
        shape = whisper.model.ModelDimensions(
            config["num_mel_bins"], 1500, width, heads, config["encoder_layers"], config["vocab_size"], 448, width, heads, config["decoder_layers"]
        )
        self.model = whisper.model.Whisper(shape).eval()
        self.model.load_state_dict({reference.rename(name): value for name, value in load_file(Path(folder) / "model.safetensors").items()})
        self.options = whisper.DecodingOptions(
            language="en", without_timestamps=True, fp16=False, sample_len=tokens, suppress_blank=False, suppress_tokens=[END]
        )

    def mel(self, windows):
        return self.torch.stack([self.whisper.log_mel_spectrogram(window) for window in windows])

    def encode(self, mel):
        with self.torch.inference_mode():
            return self.model.encoder(mel)

    def whole(self, mel):
        return [found.tokens for found in self.whisper.decode(self.model, mel, self.options)]


class Transformers:
    def __init__(self, folder, batch, tokens, threads):
        import torch
        import transformers

        torch.set_num_threads(threads)
        transformers.logging.set_verbosity_error()
        self.torch, self.tokens = torch, tokens
        self.model = transformers.WhisperForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
        self.extractor = transformers.WhisperFeatureExtractor()

    def mel(self, windows):
        return self.extractor(windows, sampling_rate=sound.RATE, return_tensors="pt").input_features

    def encode(self, mel):
        with self.torch.inference_mode():
            return self.model.model.encoder(mel)

    def whole(self, mel):
        with self.torch.inference_mode():
            found = self.model.generate(
                mel, language="en", task="transcribe", num_beams=1, do_sample=False, min_new_tokens=self.tokens, max_new_tokens=self.tokens
            )
        # Some versions give the prompt as well.
        return [one[len(PROMPT) :] if one[: len(PROMPT)] == PROMPT else one for one in found.tolist()]


class WhisperCpp:
    """whisper.cpp has no batch of windows: they go through one after the other. Its next token is not searched for, but given.

    Its library is called directly: pywhispercpp's own `whisper_decode` can pass one token alone, and the prompt has four.
    """

    def __init__(self, folder, batch, tokens, threads):
        beside = Path(importlib.util.find_spec("_pywhispercpp").origin).parent
        # Built on this machine, they look for each other where they were built; they lie beside the module.
        for name in ("libggml-base.so.0", "libggml-cpu.so.0", "libggml.so.0"):
            ctypes.CDLL(str(beside / name), ctypes.RTLD_GLOBAL)
        self.library = ctypes.CDLL(str(beside / "libwhisper.so.1"))
        self.library.whisper_init_from_file.restype = ctypes.c_void_p
        self.context = ctypes.c_void_p(self.library.whisper_init_from_file(str(Path(folder) / "model.bin").encode()))
        assert self.context, "whisper.cpp does not read the file"
        self.tokens, self.threads = tokens, threads

    def mel(self, windows):
        # It keeps one window's in itself: each is made again where it is wanted.
        for window in windows:
            self.own(window)
        return windows

    def encode(self, windows):
        spent = 0.0
        for window in windows:
            spent += self.own(window)
            assert self.library.whisper_encode(self.context, 0, self.threads) == 0
        return Spent(spent)

    def whole(self, windows):
        spent = 0.0
        for window in windows:
            spent += self.own(window)
            assert self.library.whisper_encode(self.context, 0, self.threads) == 0
            self.decode(PROMPT, 0)
            for position in range(len(PROMPT), len(PROMPT) + self.tokens - 1):
                self.decode([1000 + position], position)
        return Spent(spent, [range(self.tokens)] * len(windows))

    def decode(self, tokens, position):
        given = (ctypes.c_int32 * len(tokens))(*tokens)
        assert self.library.whisper_decode(self.context, given, len(tokens), position, self.threads) == 0

    def own(self, window) -> float:
        """The time of a spectrogram, which is no part of what comes after."""
        begun = time.perf_counter()
        samples = window.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        assert self.library.whisper_pcm_to_mel(self.context, samples, len(window), self.threads) == 0
        return time.perf_counter() - begun


class Spent:
    """What of a stage's time is not its own, and how many tokens came of it."""

    def __init__(self, seconds: float, tokens: list | None = None):
        self.seconds, self.tokens = seconds, tokens


PEERS = {
    "ctranslate2 int8": CTranslate2,
    "ctranslate2 float32": CTranslate2,
    "openai-whisper float32": OpenAI,
    "transformers float32": Transformers,
    "whisper.cpp q8_0": WhisperCpp,
    "whisper.cpp f16": WhisperCpp,
}


def waits() -> tuple[float, float]:
    """Seconds that this process's threads ran, and that they waited for a core while others had it."""
    ran = waited = 0
    for thread in Path("/proc/self/task").iterdir():
        try:
            one, other, _ = (thread / "schedstat").read_text().split()
        except OSError:
            continue
        ran, waited = ran + int(one), waited + int(other)
    return ran / 1e9, waited / 1e9


def run(peer, windows, tokens: int) -> dict:
    before = waits()
    spent = {}

    def timed(stage, work, given):
        begun = time.perf_counter()
        done = work(given)
        spent[stage] = (time.perf_counter() - begun - (done.seconds if isinstance(done, Spent) else 0.0)) * 1e3
        return done

    mel = timed("mel", peer.mel, windows)
    timed("encode", peer.encode, mel)
    found = timed("encode_tokens", peer.whole, mel)
    chosen = not isinstance(found, Spent)
    lengths = [len(said) for said in (found if chosen else found.tokens)]
    assert lengths == [tokens] * len(windows), f"{lengths} tokens where {tokens} were asked for"
    ran, waited = (now - then for now, then in zip(waits(), before))
    said = {"said": list(map(int, found[0]))} if chosen else {}
    return {stage: round(ms, 3) for stage, ms in spent.items()} | said | {"ran_s": round(ran, 3), "waited_s": round(waited, 3)}


def main() -> None:
    name, folder, batch, tokens, threads = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
    # What the libraries print is not an answer.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    windows = sound.windows(batch)
    peer = PEERS[name](folder, batch, tokens, threads)
    print(json.dumps({"ready": True}), file=answers)
    for _ in sys.stdin:
        print(json.dumps(run(peer, windows, tokens)), file=answers)


if __name__ == "__main__":
    main()
