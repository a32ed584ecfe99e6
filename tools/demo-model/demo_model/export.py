"""The model folder. In: a checkpoint and the tokenizer. Out: the files that transformers, and this project's server, load unchanged."""

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer

from . import features, tokens
from .model import Shape, Whisper

ALIGNMENT_HEADS = [[1, 1], [2, 0], [2, 2]]  # decoder layer and head: the best set that align.py found


def configuration(shape):
    """config.json, in the words of transformers."""
    return {
        "architectures": ["WhisperForConditionalGeneration"], "model_type": "whisper", "torch_dtype": "float16",
        "activation_function": "gelu", "activation_dropout": 0.0, "attention_dropout": 0.0, "dropout": 0.0, "init_std": 0.02,
        "d_model": shape.width, "num_mel_bins": shape.mels, "vocab_size": shape.vocabulary,
        "encoder_layers": shape.encoder_layers, "encoder_attention_heads": shape.heads, "encoder_ffn_dim": 4 * shape.width,
        "encoder_layerdrop": 0.0, "num_hidden_layers": shape.encoder_layers,
        "decoder_layers": shape.decoder_layers, "decoder_attention_heads": shape.heads, "decoder_ffn_dim": 4 * shape.width,
        "decoder_layerdrop": 0.0, "max_source_positions": shape.source_positions, "max_target_positions": shape.target_positions,
        "is_encoder_decoder": True, "scale_embedding": False, "tie_word_embeddings": True, "use_cache": True,
        "pad_token_id": tokens.EOT, "bos_token_id": tokens.EOT, "eos_token_id": tokens.EOT, "decoder_start_token_id": tokens.SOT,
        "suppress_tokens": None, "begin_suppress_tokens": None, "forced_decoder_ids": None, "median_filter_width": 7,
    }


def generation(space):
    """generation_config.json: how to decode."""
    return {
        "alignment_heads": ALIGNMENT_HEADS, "begin_suppress_tokens": [space, tokens.EOT], "bos_token_id": tokens.EOT,
        "decoder_start_token_id": tokens.SOT, "eos_token_id": tokens.EOT, "pad_token_id": tokens.EOT, "is_multilingual": True,
        "lang_to_id": {f"<|{code}|>": number for code, number in tokens.LANGUAGE.items()},
        "task_to_id": {"transcribe": tokens.TRANSCRIBE, "translate": tokens.TRANSLATE},
        "max_initial_timestamp_index": 1500, "max_length": 448, "no_timestamps_token_id": tokens.NO_TIMESTAMPS,
        "prev_sot_token_id": tokens.PREV, "return_timestamps": False,
        "suppress_tokens": [tokens.SOT, tokens.TRANSLATE, tokens.TRANSCRIBE, tokens.START_OF_LM, tokens.PREV, tokens.NO_SPEECH],
    }


PREPROCESSOR = {
    "feature_extractor_type": "WhisperFeatureExtractor", "processor_class": "WhisperProcessor", "chunk_length": 30, "feature_size": features.MELS,
    "hop_length": features.HOP, "n_fft": features.WINDOW, "n_samples": 480000, "nb_max_frames": features.FRAMES, "padding_side": "right",
    "padding_value": 0.0, "return_attention_mask": False, "sampling_rate": features.RATE,
}
TOKENIZER = {
    "tokenizer_class": "WhisperTokenizer", "processor_class": "WhisperProcessor", "add_prefix_space": False, "add_bos_token": False,
    "bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>", "pad_token": "<|endoftext|>",
    "clean_up_tokenization_spaces": False, "errors": "replace", "model_max_length": 448, "return_attention_mask": False,
    "additional_special_tokens": tokens.SPECIAL,
}


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def weights_of(checkpoints):
    """The mean of the checkpoints' weights: of the last two stages it keeps what the first and the second are each better at."""
    saved = [torch.load(path, map_location="cpu", weights_only=True)["mean"] for path in checkpoints]
    names = [name for name in saved[0] if name.startswith("whisper.")]
    return {name.removeprefix("whisper."): (sum(one[name] for one in saved) / len(saved)).half().contiguous() for name in names}


def export(checkpoints, tokenizer_path, folder):
    """Writes every file but the card."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = weights_of(checkpoints)
    model = Whisper()
    assert set(weights) == set(model.state_dict())
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)
    tokenizer = Tokenizer.from_file(str(tokenizer_path))
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    trained = json.loads(tokenizer.to_str())["model"]
    write_json(folder / "vocab.json", dict(sorted(trained["vocab"].items(), key=lambda entry: entry[1])))
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in trained["merges"]]
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", encoding="utf-8")
    write_json(folder / "config.json", configuration(Shape()))
    write_json(folder / "generation_config.json", generation(tokenizer.encode(" ").ids[0]))
    write_json(folder / "preprocessor_config.json", PREPROCESSOR)
    write_json(folder / "tokenizer_config.json", TOKENIZER)
    special = {name: TOKENIZER[name] for name in ("bos_token", "eos_token", "unk_token", "pad_token", "additional_special_tokens")}
    write_json(folder / "special_tokens_map.json", special)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoints", type=Path, nargs="+", required=True, help="several are averaged")
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    given = parser.parse_args()
    export(given.checkpoints, given.tokenizer, given.folder)
