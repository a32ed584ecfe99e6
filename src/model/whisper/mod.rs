//! Whisper on candle tensors.
