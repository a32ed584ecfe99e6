"""Random weights of the published shapes for every program. In: a size, a folder. Out: a transformers folder, CTranslate2 folders, ggml files.

    python tools/race/weights.py FOLDER tiny ctranslate2-int8 ggml-f16

The values are those that `verbatim bench --model random:SIZE` draws (src/model/whisper/draw.rs), so all programs multiply the same numbers.
Nothing is downloaded.
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import WhisperConfig, WhisperForConditionalGeneration

import ggml

# Width, layers of the encoder and of the decoder; 80 bins and 51,865 tokens, as src/model/random.rs says.
SIZES = {"tiny": (384, 4), "base": (512, 6), "small": (768, 12), "medium": (1024, 24)}
END, START, ENGLISH, TRANSLATE, TRANSCRIBE, NO_TIMESTAMPS = 50_257, 50_258, 50_259, 50_358, 50_359, 50_363
PROMPT = [START, ENGLISH, TRANSCRIBE, NO_TIMESTAMPS]
STEP, MASK = np.uint64(0x9E3779B97F4A7C15), 2**64 - 1
# What made a folder: another recipe makes it anew.
RECIPE = "1"


def config(size: str) -> WhisperConfig:
    width, layers = SIZES[size]
    return WhisperConfig(
        vocab_size=51_865, num_mel_bins=80, d_model=width, max_source_positions=1500, max_target_positions=448,
        encoder_layers=layers, encoder_attention_heads=width // 64, encoder_ffn_dim=width * 4,
        decoder_layers=layers, decoder_attention_heads=width // 64, decoder_ffn_dim=width * 4,
        pad_token_id=END, bos_token_id=END, eos_token_id=END, decoder_start_token_id=START,
        suppress_tokens=None, begin_suppress_tokens=None, dtype="float32",
    )  # fmt: skip


def draw(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """`values` of src/model/whisper/draw.rs."""
    inputs = int(np.prod(shape[1:])) if len(shape) > 1 else 1
    if len(shape) > 1:
        centre, spread = 0.0, (3.0 / inputs) ** 0.5
    else:
        centre, spread = (1.0 if name.endswith("norm.weight") else 0.0), 0.1
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = (seed ^ byte) * 0x100000001B3 & MASK
    z = np.arange(int(np.prod(shape)), dtype=np.uint64) * STEP + np.uint64(seed) + STEP
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    uniform = (z >> np.uint64(40)).astype(np.float32) / np.float32(1 << 23) - np.float32(1)
    return torch.from_numpy((np.float32(centre) + np.float32(spread) * uniform).reshape(shape))


def transformers_folder(size: str, folder: Path) -> None:
    """`from_pretrained` reads it; CTranslate2's converter and transformers' generate know its languages."""
    with torch.device("meta"):
        shapes = {name: tuple(value.shape) for name, value in WhisperForConditionalGeneration(config(size)).state_dict().items()}
    # Tied to the token embedding, and read from there.
    shapes.pop("proj_out.weight", None)
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: draw(name, shape) for name, shape in shapes.items()}, folder / "model.safetensors", {"format": "pt"})
    config(size).save_pretrained(folder)
    generation = {
        "bos_token_id": END, "eos_token_id": END, "pad_token_id": END, "decoder_start_token_id": START, "is_multilingual": True,
        "lang_to_id": {"<|en|>": ENGLISH}, "task_to_id": {"transcribe": TRANSCRIBE, "translate": TRANSLATE},
        "no_timestamps_token_id": NO_TIMESTAMPS, "prev_sot_token_id": 50_361, "max_length": 448, "return_timestamps": False,
    }  # fmt: skip
    (folder / "generation_config.json").write_text(json.dumps(generation, indent=1))


class Names:
    """In the place of a tokenizer: the converter wants the names alone, and the program finds its special tokens by them."""

    special = {END: "<|endoftext|>", START: "<|startoftranscript|>", ENGLISH: "<|en|>", TRANSLATE: "<|translate|>", TRANSCRIBE: "<|transcribe|>",
               50_360: "<|startoflm|>", 50_361: "<|startofprev|>", 50_362: "<|nospeech|>", NO_TIMESTAMPS: "<|notimestamps|>"}  # fmt: skip

    def get_vocab(self) -> dict[str, int]:
        return {self.special.get(token, f"<{token}>"): token for token in range(NO_TIMESTAMPS + 1)}


def ctranslate2_folder(source: Path, folder: Path, quantization: str) -> None:
    from ctranslate2.converters import TransformersConverter

    class Converter(TransformersConverter):
        def load_tokenizer(self, *_, **__):
            return Names()

    Converter(str(source)).convert(str(folder), quantization=quantization, force=True)


def make(cache: Path, size: str, kinds: list[str]) -> dict[str, str]:
    """Kind -> path, of what is asked for; kept between runs."""
    source = cache / f"{size}-transformers"
    makers = {
        "transformers": lambda path: transformers_folder(size, path),
        "ctranslate2-float32": lambda path: ctranslate2_folder(source, path, "float32"),
        "ctranslate2-int8": lambda path: ctranslate2_folder(source, path, "int8"),
        "ggml-f16": lambda path: ggml.convert(source, path / "model.bin", "f16"),
        "ggml-q8_0": lambda path: ggml.convert(source, path / "model.bin", "q8_0"),
    }
    paths = {}
    for kind in dict.fromkeys(["transformers", *kinds]):
        path = cache / f"{size}-{kind}"
        made = path / "made"
        if not made.exists() or made.read_text() != RECIPE:
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir(parents=True)
            makers[kind](path)
            made.write_text(RECIPE)
        paths[kind] = str(path)
    return paths


if __name__ == "__main__":
    print(json.dumps(make(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])))
