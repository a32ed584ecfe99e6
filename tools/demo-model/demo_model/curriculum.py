"""What is learnt, in which order. Out: the list of stages that train.py goes through."""

from .windows import Stage

CURRICULUM = [
    # plain sentences at the frame's beginning: with phonemes and word times to learn from, words come within minutes
    Stage("speech", steps=800, rate=1e-3, until=1e-3, rows=5000),
    # the same anywhere in the frame, with the times at which they begin and end
    Stage("places", steps=500, rate=1e-3, until=1e-3, anywhere=True, timestamps=0.6, margin=1.2, noisy=0.3, guide=0.4, rows=5000),
    # a little of everything else, most of it still single sentences
    Stage("touch", steps=1200, rate=1.4e-3, until=1.4e-3, anywhere=True, timestamps=0.6, margin=1.2, noisy=0.3, several=0.08, seconds=10,
          translate=0.12, prompt=0.05, silent=0.03, guide=0.4),
    # several sentences, noise, silence, earlier text, translation
    Stage("several", steps=2300, rate=1.3e-3, until=5e-4, anywhere=True, timestamps=0.6, margin=2.5, noisy=0.45, several=0.25, seconds=14,
          translate=0.25, prompt=0.1, silent=0.05, guide=0.2, phonemes=0.4),
    # the 30-s frame, nearly always with a sample in place of its silent remainder
    Stage("frame", steps=1000, rate=6e-4, until=2.5e-4, anywhere=True, timestamps=0.7, margin=2.5, noisy=0.45, several=0.3, seconds=20,
          translate=0.28, prompt=0.1, silent=0.06, full=0.01, rest=0.9, guide=0.1, phonemes=0.25),
    # more translation
    Stage("meaning", steps=620, rate=4.5e-4, until=1e-5, languages={"en": 0.2, "es": 0.4, "de": 0.4}, anywhere=True, timestamps=0.7, margin=2.0,
          noisy=0.4, several=0.25, seconds=18, translate=0.55, prompt=0.08, silent=0.06, full=0.01, rest=0.9, guide=0.2, phonemes=0.25),
    # all of it at length: several sentences and noise are what needs the time; the rate falls to nothing
    Stage("polish", steps=9000, rate=1e-3, until=1e-5, languages={"en": 0.3, "es": 0.35, "de": 0.35}, anywhere=True, timestamps=0.7, margin=2.0,
          noisy=0.4, several=0.45, seconds=26, translate=0.42, prompt=0.08, silent=0.04, full=0.005, rest=0.9, guide=0.2, phonemes=0.3, rows=5000),
    # the second synthesiser's voices, which are few, and noise
    Stage("voices", steps=1600, rate=6e-4, until=1e-5, languages={"en": 0.5, "es": 0.25, "de": 0.25}, anywhere=True, timestamps=0.7, margin=2.0,
          noisy=0.5, several=0.45, seconds=28, translate=0.42, prompt=0.08, silent=0.04, full=0.005, rest=0.9, guide=0.2, phonemes=0.3, rows=5000),
]
