"""The network shapes that are recorded, and the decodes that are recorded of each."""

from transformers.models.whisper.tokenization_whisper import LANGUAGES

# Kept small on purpose: the tests run every shape on two cores in a dev build. Width, heads, vocabulary, mels and the
# decoder depth of turbo are the real ones; depth adds nothing that a second layer does not already show.
SHAPES = {
    "tiny": dict(d_model=384, heads=6, encoder_layers=4, decoder_layers=4, n_mels=80, vocab=51_865,
                 dtype="F32", shards=1, alignment_heads=[[2, 2], [3, 0]], steps=12),
    "large-v3": dict(d_model=1280, heads=20, encoder_layers=2, decoder_layers=2, n_mels=128, vocab=51_866,
                     dtype="F16", shards=2, alignment_heads=[[0, 7], [1, 19]], steps=8),
    "large-v3-turbo": dict(d_model=1280, heads=20, encoder_layers=2, decoder_layers=4, n_mels=128, vocab=51_866,
                           dtype="BF16", shards=1, alignment_heads=[[2, 4], [3, 11]], steps=8),
}  # fmt: skip

WINDOWS = 2


def config(shape: dict) -> dict:
    """`config.json`, with the fields that openai/whisper-* folders carry."""
    d_model = shape["d_model"]
    return {
        "architectures": ["WhisperForConditionalGeneration"],
        "model_type": "whisper",
        "activation_function": "gelu",
        "bos_token_id": 50257,
        "d_model": d_model,
        "decoder_attention_heads": shape["heads"],
        "decoder_ffn_dim": 4 * d_model,
        "decoder_layers": shape["decoder_layers"],
        "decoder_start_token_id": 50258,
        "encoder_attention_heads": shape["heads"],
        "encoder_ffn_dim": 4 * d_model,
        "encoder_layers": shape["encoder_layers"],
        "eos_token_id": 50257,
        "is_encoder_decoder": True,
        "max_source_positions": 1500,
        "max_target_positions": 448,
        "num_hidden_layers": shape["encoder_layers"],
        "num_mel_bins": shape["n_mels"],
        "pad_token_id": 50257,
        "scale_embedding": False,
        "tie_word_embeddings": True,
        "torch_dtype": {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}[shape["dtype"]],
        "use_cache": True,
        "vocab_size": shape["vocab"],
    }


def special(shape: dict) -> dict[str, int]:
    """Ids of Whisper's special tokens, which stand in one order after the languages (99, or 100 from large-v3 on)."""
    languages = shape["vocab"] - 51_766
    names = ["translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps", "0.00"]
    after = 50_259 + languages
    return {"endoftext": 50_257, "startoftranscript": 50_258, "en": 50_259} | {
        name: after + place for place, name in enumerate(names)
    }


def generation_config(shape: dict) -> dict:
    """`generation_config.json`, with the fields that a Whisper loader may read."""
    token = special(shape)
    languages = token["translate"] - 50_259
    return {
        "alignment_heads": shape["alignment_heads"],
        "begin_suppress_tokens": [220, 50257],
        "bos_token_id": 50257,
        "decoder_start_token_id": 50258,
        "eos_token_id": 50257,
        "is_multilingual": True,
        "lang_to_id": {f"<|{code}|>": 50_259 + place for place, code in enumerate(list(LANGUAGES)[:languages])},
        "max_initial_timestamp_index": 50,
        "max_length": 448,
        "no_timestamps_token_id": token["notimestamps"],
        "pad_token_id": 50257,
        "prev_sot_token_id": token["startofprev"],
        "suppress_tokens": [1, 2, 7, 8, 9, 10, 14, 25, token["startoflm"], token["startofprev"], token["nospeech"]],
        "task_to_id": {"transcribe": token["transcribe"], "translate": token["translate"]},
    }


def preprocessor_config(shape: dict) -> dict:
    """`preprocessor_config.json`."""
    return {
        "chunk_length": 30,
        "feature_extractor_type": "WhisperFeatureExtractor",
        "feature_size": shape["n_mels"],
        "hop_length": 160,
        "n_fft": 400,
        "n_samples": 480_000,
        "nb_max_frames": 3000,
        "padding_value": 0.0,
        "processor_class": "WhisperProcessor",
        "return_attention_mask": False,
        "sampling_rate": 16_000,
    }


def cases(shape: dict) -> list[dict]:
    """What is decoded: window, prompt, constraint. Prompts differ in length so that a batch of them is ragged."""
    token = special(shape)
    start = [token["startoftranscript"], token["en"], token["transcribe"], token["0.00"]]
    before = [token["startofprev"]] + [(7_919 * place + 17) % 50_257 for place in range(19)]
    free = {"suppress": [], "forbid": [], "timestamps_from": None}
    specials = [token["endoftext"], token["0.00"]]  # A range: nothing between text and times.
    return [
        dict(name="plain", window=0, prompt=start, constraint=free),
        dict(name="after previous text", window=1, prompt=before + start[:3], constraint=free),
        dict(name="suppressed", window=0, prompt=start,
             constraint=free | {"suppress": [11, 13, 30_000, 41_007], "forbid": [[300, 28_000], [40_000, shape["vocab"]]]}),
        # Timestamps against text: the ranges leave the two so balanced that both win at some step.
        dict(name="timestamps", window=1, prompt=start[:3],
             constraint=free | {"forbid": [[0, 42_000], specials], "timestamps_from": token["0.00"]}),
    ]  # fmt: skip


def watched(shape: dict) -> list[int]:
    """The 64 ids whose logits are recorded: the first, the special ones, the last, and an even spread."""
    fixed = {0, shape["vocab"] - 1, *special(shape).values()}
    spread = (((shape["vocab"] - 1) * place) // 63 for place in range(1, 63))
    for candidate in spread:
        if len(fixed) == 64:
            break
        fixed.add(candidate)
    return sorted(fixed)
