"""Log-mel features equal to OpenAI's Whisper. In: samples at 16 kHz. Out: raw log10 mel power [frames, 80], and its normalised form."""

import numpy as np
import scipy.fft

RATE, WINDOW, HOP, MELS, FRAMES = 16000, 400, 160, 80, 3000
SILENCE = -10.0  # log10 of the power floor


def mel_filters(mels=MELS, size=WINDOW, rate=RATE):
    """Slaney's mel filters with area normalisation, as librosa computes them: [mels, size // 2 + 1]."""
    def to_hz(mel):
        return np.where(mel >= 15, 1000.0 * np.exp((mel - 15) * np.log(6.4) / 27), mel * 200.0 / 3)

    top = 15 + np.log(rate / 2 / 1000.0) * 27 / np.log(6.4)
    edges = to_hz(np.linspace(0.0, top, mels + 2))
    bins = np.linspace(0, rate / 2, size // 2 + 1)
    slopes = edges[:, None] - bins[None, :]
    widths = np.diff(edges)
    rising, falling = -slopes[:-2] / widths[:-1, None], slopes[2:] / widths[1:, None]
    filters = np.maximum(0, np.minimum(rising, falling))
    return (filters * (2.0 / (edges[2:] - edges[:-2]))[:, None]).astype(np.float32)


FILTERS = mel_filters()
HANN = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)).astype(np.float32)


def log_mel(samples):
    """log10 of the mel power, floored at 1e-10, one row each 10 ms; the last frame is dropped as in the reference."""
    padded = np.pad(samples.astype(np.float32), WINDOW // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP][:-1]
    power = np.abs(scipy.fft.rfft(frames * HANN, axis=-1)) ** 2
    return np.log10(np.maximum(power @ FILTERS.T, 1e-10))


def normalised(raw):
    """What the network sees: eight decades below the loudest value, shifted and scaled."""
    return (np.maximum(raw, raw.max() - 8.0) + 4.0) / 4.0


def window(samples):
    """The padded 30-s window of up to 480,000 samples: [80, 3000]."""
    full = np.zeros(FRAMES * HOP, np.float32)
    full[: len(samples)] = samples[: len(full)]
    return normalised(log_mel(full)).T.astype(np.float32)
