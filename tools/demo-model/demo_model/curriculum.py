"""What is learnt, in which order. Out: the list of stages that train.py goes through."""

from .windows import Stage

CURRICULUM = [
    Stage("speech", steps=1500, rate=1e-3),
    Stage("places", steps=1000, rate=1e-3, anywhere=True, timestamps=0.5, margin=0.6, noisy=0.3),
]
