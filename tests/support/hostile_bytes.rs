//! Any bytes in, a panic where what must be true of every outcome is not: what `fuzz/` runs, and `tests/corpus.rs` on all that it has kept.

use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::{Builder, Runtime};
use verbatim::audio::{Limits, decode_channels};
use verbatim::http::fuzzing;
use verbatim::transcript::Channels;

type Target = (&'static str, fn(&[u8]));

/// Each target by its name, which is that of its corpus.
pub const TARGETS: &[Target] = &[
    ("wav", audio),
    ("flac", audio),
    ("mp3", audio),
    ("ogg", audio),
    ("opus", audio),
    ("aac", audio),
    ("mp4", audio),
    ("mkv", audio),
    ("aiff", audio),
    ("caf", audio),
    ("form", form),
    ("options", options),
    ("subtitles", subtitles),
];

thread_local! {
    /// An upload is read against deadlines.
    static CLOCK: Runtime = Builder::new_current_thread().enable_time().build().expect("a runtime needs nothing");
}

const MOST_SECONDS: u64 = 20;

/// A file of whatever container. Tight limits, so that a fuzzer is not kept busy by audio that is merely long.
pub fn audio(bytes: &[u8]) {
    let limits = Limits {
        max_duration: Duration::from_secs(MOST_SECONDS),
        max_decoded_bytes: 4 << 20,
        max_channels: 8,
        max_decode_time: Duration::from_secs(60),
    };
    let channels = if bytes.len() % 4 == 3 { Channels::Split } else { Channels::Mix };
    match decode_channels(Bytes::copy_from_slice(bytes), &limits, channels) {
        Ok(apart) => {
            for pcm in &apart.channels {
                let samples = pcm.samples();
                assert!(!samples.is_empty() && samples.len() <= MOST_SECONDS as usize * 16_000);
                assert!(
                    samples.iter().all(|sample| (-1.0..=1.0).contains(sample)),
                    "a sample is out of range"
                );
            }
        }
        Err(error) => said(&error.to_string()),
    }
}

/// One byte for the length of the chunks, a line for the content type, and the body.
pub fn form(bytes: &[u8]) {
    let Some((size, rest)) = bytes.split_first() else { return };
    let (content_type, body) = at(rest, b'\n');
    let chunks = body.chunks(1 + usize::from(*size)).map(Bytes::copy_from_slice).collect();
    match CLOCK.with(|clock| clock.block_on(fuzzing::form(content_type, chunks))) {
        None => {}
        Some(Ok(form)) => {
            let taken: usize = form.fields.iter().map(|(name, value)| name.len() + value.len()).sum();
            // Those of the query come on top.
            assert!(form.audio.len() + taken <= body.len() + 64, "more came out than went in");
            let _ = fuzzing::options(&form.fields);
        }
        Some(Err(error)) => said(&error),
    }
}

/// A field a line, `name=value`.
pub fn options(bytes: &[u8]) {
    if let Err(error) = fuzzing::options(&fields(bytes)) {
        said(&error);
    }
}

/// The fields, a line with nothing else, and the document.
pub fn subtitles(bytes: &[u8]) {
    let split = bytes.windows(2).position(|pair| pair == b"\n\n");
    let (head, json) = split.map_or((&b""[..], bytes), |at| (&bytes[..at], &bytes[at + 2..]));
    match fuzzing::subtitles(&fields(head), Bytes::copy_from_slice(json)) {
        // A short document may ask for many cues, but each of them is made of something in it.
        Ok(body) => {
            assert!(body.len() <= 4096 + json.len() * 4096, "{} bytes from {}", body.len(), json.len())
        }
        Err(error) => said(&error),
    }
}

fn fields(bytes: &[u8]) -> Vec<(String, String)> {
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    lines.map(|line| at(line, b'=')).map(|(name, value)| (text(name), text(value))).collect()
}

/// Before and behind the first `mark`.
fn at(bytes: &[u8], mark: u8) -> (&[u8], &[u8]) {
    let found = bytes.iter().position(|byte| *byte == mark);
    found.map_or((bytes, &b""[..]), |at| (&bytes[..at], &bytes[at + 1..]))
}

/// What a client is told is a sentence, and no program's inner words.
fn said(error: &str) {
    assert!(error.len() > 10 && !error.contains("symphonia") && !error.contains("multer"), "{error}");
}
