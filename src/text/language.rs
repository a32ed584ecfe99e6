//! Whisper's languages: code, name, and how to find one by either.
