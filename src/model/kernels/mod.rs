//! Our own kernels, each beside the plain candle version that it must agree with. None yet: the plain version serves.
