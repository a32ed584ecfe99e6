//! Numbered chunks in, in any order and more than once; one take in the right order out, and which numbers are still missing.

use std::collections::BTreeMap;

use super::overlap::repeated;

/// SHA-256 of a chunk as it was sent: two with the same are the same.
pub type Digest = [u8; 32];

/// A dictation as far as its chunks have come.
#[derive(Debug)]
pub struct Take {
    /// Numbers beyond the next one that may come before it.
    max_ahead: u64,
    digests: BTreeMap<u64, Digest>,
    /// Everything before it is in `samples` and `stream`.
    next: u64,
    waiting: BTreeMap<u64, Piece>,
    samples: Vec<f32>,
    stream: Vec<u8>,
    /// How much the last chunk added.
    usual: usize,
}

/// The audio of one chunk.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    pub content: Content,
    /// Samples that it is said to repeat of the one before.
    pub overlap: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Audio of its own.
    Samples(Vec<f32>),
    /// The next bytes of a file that grows; what they sound like, `Take::decoded` is told.
    Bytes(Vec<u8>),
}

/// A take that is given up on.
#[derive(Clone, Debug, PartialEq)]
pub struct Closed {
    pub samples: Vec<f32>,
    pub stream: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    New,
    /// The very same chunk is here already.
    Duplicate,
}

/// Why a chunk cannot be taken; `Display` is the sentence for who sent it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("chunk {seq} is here already with other bytes; what was taken is not replaced")]
    Conflict { seq: u64 },
    #[error(
        "chunk {seq} is too far ahead: {expected} is expected, and at most {most} may come before it \
         (limit set by sessions.max_chunks_ahead)"
    )]
    TooFar { seq: u64, expected: u64, most: u64 },
}

impl Take {
    pub fn new(max_ahead: u64) -> Take {
        Take {
            max_ahead,
            digests: BTreeMap::new(),
            next: 0,
            waiting: BTreeMap::new(),
            samples: Vec::new(),
            stream: Vec::new(),
            usual: 0,
        }
    }

    /// What would become of a chunk, before it is decoded.
    pub fn offer(&self, seq: u64, digest: &Digest) -> Result<Offer, Refusal> {
        match self.digests.get(&seq) {
            Some(known) if known == digest => Ok(Offer::Duplicate),
            Some(_) => Err(Refusal::Conflict { seq }),
            None if seq > self.next.saturating_add(self.max_ahead) => {
                Err(Refusal::TooFar { seq, expected: self.next, most: self.max_ahead })
            }
            None => Ok(Offer::New),
        }
    }

    /// Takes a chunk that `offer` called new, and every one that waited for it.
    pub fn put(&mut self, seq: u64, digest: Digest, piece: Piece) {
        self.digests.insert(seq, digest);
        self.waiting.insert(seq, piece);
        while let Some(piece) = self.waiting.remove(&self.next) {
            let before = self.samples.len();
            append(&mut self.samples, &mut self.stream, &piece);
            self.usual = self.samples.len() - before;
            self.next += 1;
        }
    }

    /// The take if nothing more comes: silence as long as the chunk before each stands in for those that never came, so that
    /// times stay right where chunks are equally long. In a file that grows nothing can stand in: its pieces are joined.
    pub fn closed(&self) -> Closed {
        let (mut samples, mut stream) = (self.samples.clone(), self.stream.clone());
        let mut expected = self.next;
        for (&seq, piece) in &self.waiting {
            let silence = self.usual * (seq - expected) as usize;
            samples.extend(std::iter::repeat_n(0.0, silence));
            append(&mut samples, &mut stream, piece);
            expected = seq + 1;
        }
        Closed { samples, stream }
    }

    /// The number that is expected.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Numbers that must be sent again: gaps before one that is here, and up to `count` where the client says how many it has.
    pub fn missing(&self, count: Option<u64>) -> Vec<u64> {
        let last = self.waiting.keys().next_back().map_or(0, |last| last + 1);
        let end = count.unwrap_or(0).max(last);
        // Nobody needs to be told of more than may come.
        let end = end.min(self.next.saturating_add(self.max_ahead).saturating_add(1));
        (self.next..end).filter(|seq| !self.waiting.contains_key(seq)).collect()
    }

    /// How many chunks are here.
    pub fn received(&self) -> usize {
        self.digests.len()
    }

    pub fn samples(&self) -> &[f32] {
        &self.samples
    }

    /// The file as far as it has grown; empty where every chunk is a file of its own.
    pub fn stream(&self) -> &[u8] {
        &self.stream
    }

    /// The file as it will be with these bytes as the next piece, and with what waits for them.
    pub fn followed_by(&self, bytes: &[u8]) -> Vec<u8> {
        let mut file = [&self.stream[..], bytes].concat();
        for (next, (&seq, piece)) in (self.next + 1..).zip(&self.waiting) {
            match &piece.content {
                Content::Bytes(bytes) if seq == next => file.extend_from_slice(bytes),
                _ => break,
            }
        }
        file
    }

    /// What `stream` sounds like.
    pub fn decoded(&mut self, samples: Vec<f32>) {
        self.samples = samples;
    }

    /// In memory.
    pub fn bytes(&self) -> usize {
        let waiting = self.waiting.values().map(|piece| piece.content.bytes());
        size_of_val(&self.samples[..]) + self.stream.len() + waiting.sum::<usize>()
    }
}

fn append(samples: &mut Vec<f32>, stream: &mut Vec<u8>, piece: &Piece) {
    match &piece.content {
        Content::Samples(chunk) => {
            let repeated = repeated(samples, chunk, piece.overlap);
            samples.extend_from_slice(&chunk[repeated..]);
        }
        Content::Bytes(bytes) => stream.extend_from_slice(bytes),
    }
}

impl Content {
    pub fn bytes(&self) -> usize {
        match self {
            Content::Samples(samples) => size_of_val(&samples[..]),
            Content::Bytes(bytes) => bytes.len(),
        }
    }
}
