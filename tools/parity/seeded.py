"""Numbers and inputs that any language can make again exactly: a hash of a name, weights, log-mel windows.

Twin of `tests/support/random_weights.rs`; a change here is a change there, and every fixture is recorded anew.
"""

import math

import numpy as np

GOLDEN = 0x9E3779B97F4A7C15
WINDOW_FRAMES = 3000


def fnv1a(name: str) -> int:
    """FNV-1a, 64 bits, of the UTF-8 bytes."""
    hashed = 0xCBF29CE484222325
    for byte in name.encode():
        hashed = ((hashed ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return hashed


def uniform(name: str, count: int) -> np.ndarray:
    """`count` float32 in [-1, 1): element i is the top 24 bits of splitmix64(fnv1a(name) + i * GOLDEN).

    24 bits fit float32's mantissa, so the value is exact and no language's rounding can differ.
    """
    z = np.arange(count, dtype=np.uint64)
    z *= np.uint64(GOLDEN)
    z += np.uint64(fnv1a(name))
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return (z >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-23) - np.float32(1)


def weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """A tensor of transformers' Whisper, float32, decided by its name and shape alone."""
    if name == "model.encoder.embed_positions.weight":
        return sinusoids(*shape)
    noise = uniform(name, math.prod(shape)).reshape(shape)
    if name.endswith("layer_norm.weight"):
        return np.float32(gain(name)) * (np.float32(1) + np.float32(0.1) * noise)
    if len(shape) == 1:
        return np.float32(0.1) * noise
    return np.float32(math.sqrt(3 / math.prod(shape[1:])) * gain(name)) * noise


def gain(name: str) -> float:
    """Factor over what would keep the size of what passes through: 1/sqrt(fan_in) for a matrix, 1 for a norm.

    Chosen by trial so that each step's tokens differ, depend on the audio and win clearly; at 1 throughout, a tied
    embedding repeats its last token for ever and attention is an average that hides mistakes.
    """
    if name == "model.decoder.layer_norm.weight":
        return 4.0  # Logits then deviate by 4, which sets the best well apart from the next.
    if name.startswith("model.decoder."):
        if "q_proj" in name or "k_proj" in name:
            return 2.5
        if "encoder_attn.out_proj" in name:
            return 0.7
        return 2.0 if "fc2" in name else 1.0
    if "q_proj" in name or "k_proj" in name:
        return 1.5
    return 2.0 if ".conv" in name else 1.0  # Convolutions: else the sinusoids would drown the audio.


def sinusoids(length: int, channels: int) -> np.ndarray:
    """Whisper's encoder positions: `[length, channels]`, sines then cosines. In float64, rounded once."""
    step = math.log(10_000) / (channels // 2 - 1)
    angle = np.arange(length)[:, None] * np.exp(-step * np.arange(channels // 2))[None, :]
    return np.concatenate([np.sin(angle), np.cos(angle)], axis=1).astype(np.float32)


def log_mel(n_mels: int, window: int) -> np.ndarray:
    """`[n_mels, 3000]`, float32, in log-mel's range: three gliding bands, a syllable beat, noise, silence after.

    Only + - * / and whole numbers in float64, so that it is exact everywhere; no sine, no exponential.
    """
    spoken = WINDOW_FRAMES - 700 * window % 2400  # Later windows end in silence, as a last window of a file does.
    frame = np.arange(WINDOW_FRAMES)[None, :]
    height = (np.arange(n_mels) / n_mels)[:, None]
    total = np.zeros((n_mels, WINDOW_FRAMES))
    for band in range(3):
        centre = 0.15 + 0.3 * band + 0.12 * triangle(frame + 37 * window, 190 + 66 * band)
        distance = (height - centre) / (0.03 + 0.02 * band)
        total += (1 - 0.25 * band) / (1 + distance * distance)
    beat = 0.5 + 0.5 * triangle(frame + 11 * window, 26)
    noise = uniform(f"log-mel {window}", n_mels * WINDOW_FRAMES).reshape(n_mels, WINDOW_FRAMES).astype(np.float64)
    values = total * beat * 1.75 - 0.75 + 0.15 * noise
    return np.where(frame < spoken, values, -0.9).astype(np.float32)


def triangle(at: np.ndarray, period: int) -> np.ndarray:
    """A wave from 1 down to -1 and back, `period` frames long."""
    return abs((at % period) / period * 4 - 2) - 1
