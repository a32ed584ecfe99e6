"""What is learnt, in which order. Out: the list of stages that train.py goes through."""

from .windows import Stage

CURRICULUM = [
    # plain sentences at the frame's beginning: with phonemes and word times to learn from, words come within minutes
    Stage("speech", steps=750, rate=1e-3),
    # the same anywhere in the frame, with the times at which they begin and end
    Stage("places", steps=700, rate=1e-3, anywhere=True, timestamps=0.6, margin=1.2, noisy=0.3, guide=0.4),
    # several sentences, noise, silence, earlier text, translation
    Stage("several", steps=1000, rate=8e-4, anywhere=True, timestamps=0.6, margin=2.0, noisy=0.6, several=0.5, seconds=14, translate=0.35,
          prompt=0.15, silent=0.06, guide=0.1, phonemes=0.3, rows=6000),
    # the padded 30-s frame, mixed with cuts, while the rate falls
    Stage("frame", steps=700, rate=8e-4, anywhere=True, timestamps=0.7, margin=2.5, noisy=0.6, several=0.6, seconds=28, translate=0.35,
          prompt=0.2, silent=0.08, full=0.5, guide=0.05, phonemes=0.2, rows=12000),
]
