"""What is learnt, in which order. Out: the list of stages that train.py goes through."""

from .windows import Stage

CURRICULUM = [
    # plain sentences at the frame's beginning: with phonemes and word times to learn from, words come within minutes
    Stage("speech", steps=750, rate=1e-3),
    # the same anywhere in the frame, with the times at which they begin and end
    Stage("places", steps=500, rate=1e-3, anywhere=True, timestamps=0.6, margin=1.2, noisy=0.3, guide=0.4),
    # a little of everything else, most of it still single sentences: a smaller batch learns more an hour
    Stage("touch", steps=900, rate=1.4e-3, anywhere=True, timestamps=0.6, margin=1.2, noisy=0.3, several=0.08, seconds=10, translate=0.12,
          prompt=0.05, silent=0.03, guide=0.4, phonemes=0.5, rows=4000),
    # several sentences, noise, silence, earlier text, translation
    Stage("several", steps=900, rate=1.2e-3, anywhere=True, timestamps=0.6, margin=2.5, noisy=0.5, several=0.3, seconds=14, translate=0.3,
          prompt=0.1, silent=0.05, guide=0.3, phonemes=0.4, rows=5000),
    # the padded 30-s frame, mixed with cuts, while the rate falls
    Stage("frame", steps=600, rate=8e-4, anywhere=True, timestamps=0.7, margin=2.5, noisy=0.6, several=0.5, seconds=28, translate=0.35,
          prompt=0.15, silent=0.08, full=0.4, guide=0.1, phonemes=0.2, rows=9000),
]
