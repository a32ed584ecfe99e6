"""The log-mel alone. In: how many calls, how many threads. Out: milliseconds of each call of openai-whisper's log_mel_spectrogram on 30 s.

    python tools/race/mel.py CALLS THREADS

One call is one window, as in the first stage of `verbatim bench --batch 1`. Only race.py starts it.
"""

import json
import sys
import time

import torch
import whisper

import sound


def main() -> None:
    calls, threads = map(int, sys.argv[1:])
    torch.set_num_threads(threads)
    window = sound.window(0)
    spent = []
    for _ in range(calls + 2):
        begun = time.perf_counter()
        whisper.log_mel_spectrogram(window)
        spent.append(round((time.perf_counter() - begun) * 1e3, 3))
    # The first ones read the filters and choose a plan for the transform.
    print(json.dumps(spent[2:]))


if __name__ == "__main__":
    main()
