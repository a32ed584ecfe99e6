//! A file's samples in, windows of at most 30 s out, cut where it is quiet.

use super::{Pcm, Window};

/// Covers the whole of `pcm`, in order, without gaps or overlaps.
pub fn cut(_pcm: &Pcm) -> Vec<Window> {
    Vec::new()
}
