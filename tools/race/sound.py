"""The windows that `verbatim bench` hears (`sound` of src/cli/bench/stages.rs), so that the peers hear the same: a number in, 30 s of samples out."""

import numpy as np

RATE, SECONDS = 16_000, 30
SAMPLES = RATE * SECONDS


def window(number: int) -> np.ndarray:
    """float32; equal to the binary's up to the rounding of its running sum."""
    time = np.arange(SAMPLES) / RATE
    pitch = 90.0 + number * 37 % 120
    phase = np.cumsum((pitch + 30.0 * np.sin(time * 1.7)) / RATE) % 1.0
    syllable = np.abs(np.sin(time * (3.1 + number * 0.07) * np.pi))
    breath = (noise(0x9E3779B9 * (number + 1) % 2**32) >> 8) / float(1 << 23) - 1.0
    return (0.3 * syllable * (2.0 * phase - 1.0) + 0.02 * breath).astype(np.float32)


def noise(seed: int) -> np.ndarray:
    """Every state of the generator at once: a ** n * seed + c * (1 + a + ... + a ** (n - 1)), modulo 2 ** 32 as the type itself does."""
    factor = np.cumprod(np.full(SAMPLES, 1_664_525, np.uint32), dtype=np.uint32)
    series = np.cumsum(np.concatenate([[np.uint32(1)], factor[:-1]]), dtype=np.uint32)
    return factor * np.uint32(seed) + np.uint32(1_013_904_223) * series


def windows(count: int) -> list[np.ndarray]:
    return [window(number) for number in range(count)]
