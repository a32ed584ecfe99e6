//! The text that a dictation had while it was spoken, and that of the whole take, in; what was changed, word by word, out.

use similar::{Algorithm, DiffOp, capture_diff_slices};

/// One stretch of words that is not the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub kind: Kind,
    /// Number of the first word in the live text, counted from 0; of an insertion, of the word that it stands before.
    pub at: usize,
    pub live: String,
    pub finished: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Insert,
    Delete,
    Replace,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Insert => "insert",
            Kind::Delete => "delete",
            Kind::Replace => "replace",
        }
    }
}

/// Words are what stands between spaces, as written.
pub fn difference(live: &str, finished: &str) -> Vec<Change> {
    let live: Vec<&str> = live.split_whitespace().collect();
    let finished: Vec<&str> = finished.split_whitespace().collect();
    let operations = capture_diff_slices(Algorithm::Myers, &live, &finished);
    // Counted here: similar 2.7 moves operations to where they read better, and leaves some of their places behind.
    let (mut at, mut come) = (0, 0);
    let change = |operation: DiffOp| {
        let old = at..at + operation.old_range().len();
        let new = come..come + operation.new_range().len();
        (at, come) = (old.end, new.end);
        let kind = match operation {
            DiffOp::Equal { .. } => return None,
            DiffOp::Insert { .. } => Kind::Insert,
            DiffOp::Delete { .. } => Kind::Delete,
            DiffOp::Replace { .. } => Kind::Replace,
        };
        Some(Change { kind, at: old.start, live: live[old].join(" "), finished: finished[new].join(" ") })
    };
    operations.into_iter().filter_map(change).collect()
}
