"""OpenAI's own Whisper code on a transformers folder: the folder in; `whisper.model.Whisper` with tokenizer and alignment heads out.

Nothing of the reference is changed but where it looks its vocabulary up: its tokenizers are files inside the package, for 99 or
100 languages in a fixed order, and a folder here may have three.
"""

import functools
import importlib
import json
from pathlib import Path

import tiktoken
import torch
import whisper.decoding
import whisper.model
import whisper.tokenizer
from safetensors.torch import load_file

# How GPT-2 splits text before BPE; the folder's ByteLevel pre-tokenizer does the same.
SPLIT = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
# transformers' names, and those of whisper/model.py; in this order, because some names contain others.
RENAMED = [
    ("model.encoder.layer_norm", "encoder.ln_post"),
    ("model.decoder.layer_norm", "decoder.ln"),
    ("model.", ""),
    ("embed_positions.weight", "positional_embedding"),
    ("embed_tokens", "token_embedding"),
    (".layers.", ".blocks."),
    ("encoder_attn_layer_norm", "cross_attn_ln"),
    ("encoder_attn", "cross_attn"),
    ("self_attn_layer_norm", "attn_ln"),
    ("self_attn", "attn"),
    ("q_proj", "query"),
    ("k_proj", "key"),
    ("v_proj", "value"),
    ("out_proj", "out"),
    ("fc1", "mlp.0"),
    ("fc2", "mlp.2"),
    ("final_layer_norm", "mlp_ln"),
]


class Model(whisper.model.Whisper):
    """The reference derives these two from the size of the vocabulary."""

    is_multilingual = True
    num_languages = 0


class Tokenizer(whisper.tokenizer.Tokenizer):
    """The reference finds a language's token by its place in its own table."""

    def __post_init__(self):
        asked, self.language = self.language, None
        super().__post_init__()
        self.language = asked
        start, *task = self.sot_sequence
        language = [] if asked is None else [self.special_tokens[f"<|{asked}|>"]]
        self.sot_sequence = (start, *language, *task)


def encoding(folder: Path) -> tiktoken.Encoding:
    """The folder's byte-level BPE: its text ids are the ranks of its merges, as GPT-2's are."""
    described = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    byte_of = {letter: byte for byte, letter in byte_letters().items()}
    special = {token["content"]: token["id"] for token in described["added_tokens"]}
    ranks = {
        bytes(byte_of[letter] for letter in text): rank
        for text, rank in described["model"]["vocab"].items()
        if text not in special
    }
    return tiktoken.Encoding(name=folder.name, pat_str=SPLIT, mergeable_ranks=ranks, special_tokens=special)


def byte_letters() -> dict[int, str]:
    """The printable letter that stands for each byte in a byte-level vocabulary."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [byte for byte in range(256) if byte not in plain]
    return {byte: chr(byte) for byte in plain} | {byte: chr(256 + place) for place, byte in enumerate(rest)}


def load(folder: Path) -> tuple[Model, dict]:
    """The model in float32, and its generation_config.json; from now on the reference's own functions use its tokenizer."""
    config = json.loads((folder / "config.json").read_text())
    generation = json.loads((folder / "generation_config.json").read_text())
    dimensions = whisper.model.ModelDimensions(
        n_mels=config["num_mel_bins"],
        n_audio_ctx=config["max_source_positions"],
        n_audio_state=config["d_model"],
        n_audio_head=config["encoder_attention_heads"],
        n_audio_layer=config["encoder_layers"],
        n_vocab=config["vocab_size"],
        n_text_ctx=config["max_target_positions"],
        n_text_state=config["d_model"],
        n_text_head=config["decoder_attention_heads"],
        n_text_layer=config["decoder_layers"],
    )
    model = Model(dimensions)
    weights = {rename(name): value.float() for name, value in load_file(folder / "model.safetensors").items()}
    weights.pop("proj_out.weight", None)  # Tied to the token embedding.
    model.load_state_dict(weights)
    heads = torch.zeros(dimensions.n_text_layer, dimensions.n_text_head, dtype=torch.bool)
    for layer, head in generation["alignment_heads"]:
        heads[layer, head] = True
    model.register_buffer("alignment_heads", heads.to_sparse(), persistent=False)
    model.num_languages = len(generation["lang_to_id"])
    install(encoding(folder), model.num_languages)
    return model.eval(), generation


def rename(name: str) -> str:
    for theirs, ours in RENAMED:
        name = name.replace(theirs, ours)
    return name


def install(vocabulary: tiktoken.Encoding, languages: int) -> None:
    """Puts the vocabulary in the place of the reference's files."""

    @functools.cache
    def get_tokenizer(multilingual, *, num_languages=languages, language=None, task=None):
        return Tokenizer(vocabulary, languages, language or "en", task or "transcribe")

    for module in ("whisper.tokenizer", "whisper.decoding", "whisper.transcribe", "whisper.timing"):
        importlib.import_module(module).get_tokenizer = get_tokenizer


def suppressed(generation: dict, tokenizer: Tokenizer) -> list[int]:
    """What is never said: the checkpoint's own list where it has one, else the reference's (src/decoding/rules.rs)."""
    return list(generation.get("suppress_tokens") or tokenizer.non_speech_tokens)
