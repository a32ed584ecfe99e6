"""A transformers folder for whisper.cpp. In: the folder, a type. Out: one file in the format of its models/convert-h5-to-ggml.py.

Types: `f16`, as its published files are, and `q8_0`, as its quantize tool writes: matrices in blocks of 32, all else as in f16.
"""

import json
import struct
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

HOUSE = Path(__file__).resolve().parents[2]
F32, F16, Q8_0 = 0, 1, 8
# What ggml calls a file of such tensors; with the version of the quantised blocks (2) in the thousands.
FILE_TYPES = {"f16": 1, "q8_0": 2007}
KEPT_F32 = {"encoder.conv1.bias", "encoder.conv2.bias", "encoder.positional_embedding", "decoder.positional_embedding"}


def convert(folder: Path, path: Path, kind: str) -> None:
    sys.path.insert(0, str(HOUSE / "tools/parity"))
    import reference
    from transformers.audio_utils import mel_filter_bank

    config = json.loads((folder / "config.json").read_text())
    numbers = [
        config["vocab_size"], config["max_source_positions"], config["d_model"], config["encoder_attention_heads"], config["encoder_layers"],
        config["max_target_positions"], config["d_model"], config["decoder_attention_heads"], config["decoder_layers"], config["num_mel_bins"],
        FILE_TYPES[kind],
    ]  # fmt: skip
    filters = mel_filter_bank(201, config["num_mel_bins"], 0.0, 8000.0, 16_000, norm="slaney", mel_scale="slaney").T
    with path.open("wb") as out:
        out.write(struct.pack("<12i", 0x67676D6C, *numbers))
        out.write(struct.pack("<2i", *filters.shape) + np.ascontiguousarray(filters, np.float32).tobytes())
        # No vocabulary: it invents names for what is missing, and text is not what is raced.
        out.write(struct.pack("<i", 0))
        for name, value in load_file(folder / "model.safetensors").items():
            tensor(out, reference.rename(name), value.astype(np.float32), kind)


def tensor(out, name: str, value: np.ndarray, kind: str) -> None:
    # It adds a convolution's bias over all frames.
    value = value.reshape(-1, 1) if name in ("encoder.conv1.bias", "encoder.conv2.bias") else value
    if value.ndim == 1 or name in KEPT_F32:
        stored, body = F32, np.ascontiguousarray(value).tobytes()
    elif kind == "q8_0" and value.ndim == 2:
        stored, body = Q8_0, blocks(value)
    else:
        stored, body = F16, np.ascontiguousarray(value, np.float16).tobytes()
    encoded = name.encode()
    out.write(struct.pack("<3i", value.ndim, len(encoded), stored))
    # ggml counts dimensions from the innermost.
    out.write(struct.pack(f"<{value.ndim}i", *reversed(value.shape)) + encoded + body)


def blocks(value: np.ndarray) -> bytes:
    """A scale in f16 and 32 whole numbers each (`quantize_row_q8_0_ref`)."""
    rows = value.reshape(-1, 32)
    scale = np.abs(rows).max(axis=1) / 127.0
    inverse = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)
    made = np.empty(len(rows), np.dtype([("scale", "<f2"), ("values", "i1", 32)]))
    made["scale"], made["values"] = scale, np.rint(rows * inverse[:, None])
    return made.tobytes()
