//! Any rate in, 16 kHz out.
