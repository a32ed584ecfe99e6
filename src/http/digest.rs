//! Bytes in, their SHA-256 out: what stands for a secret, an upload or a request where the thing itself must not be kept.

use std::fmt;

use serde::{Deserialize, Deserializer};
use sha2::Digest as _;
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};

/// Written as `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

const PREFIX: &str = "sha256:";

impl Digest {
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(Sha256::digest(bytes).into())
    }

    pub fn bytes(self) -> [u8; 32] {
        self.0
    }

    /// Of several things, so that none can pass for a part of its neighbour.
    pub fn of_all<'a>(things: impl IntoIterator<Item = &'a [u8]>) -> Digest {
        let mut hash = Sha256::new();
        for thing in things {
            hash.update((thing.len() as u64).to_le_bytes());
            hash.update(thing);
        }
        Digest(hash.finalize().into())
    }

    pub fn parse(text: &str) -> Option<Digest> {
        let digits = text.trim().strip_prefix(PREFIX)?;
        if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&digits[at..at + 2], 16).ok()?;
        }
        Some(Digest(bytes))
    }

    /// Takes the same time wherever the two differ.
    pub fn matches(&self, other: &Digest) -> Choice {
        self.0.ct_eq(&other.0)
    }

    /// A number that stands for it where one is wanted; never 0.
    pub fn number(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_le_bytes([a, b, c, d, e, f, g, h]).max(1)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // Not quoted: somebody may have written the secret itself here.
        Digest::parse(&text).ok_or_else(|| {
            serde::de::Error::custom("a digest is written as sha256: and 64 hexadecimal digits")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_sha256sum_says_and_reads_what_it_writes() {
        let digest = Digest::of(b"abc");
        let text = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest.to_string(), text);
        assert_eq!(Digest::parse(text), Some(digest));
        assert_eq!(Digest::parse(&text.replace("ba78", "BA78")), Some(digest));
        for wrong in ["", "abc", &text[..70], &text.replace("sha256", "md5"), &text.replace("ba78", "é78")] {
            assert_eq!(Digest::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn equals_match_and_nothing_else() {
        assert!(bool::from(Digest::of(b"a").matches(&Digest::of(b"a"))));
        assert!(!bool::from(Digest::of(b"a").matches(&Digest::of(b"b"))));
        assert_ne!(Digest::of_all([&b"ab"[..], b"c"]), Digest::of_all([&b"a"[..], b"bc"]));
    }
}
