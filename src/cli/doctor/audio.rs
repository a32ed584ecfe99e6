//! A sentence in every format that is read in; whether each decodes to the same sound, and whether a process of its own can do it, out.

use bytes::Bytes;

use crate::audio::{Isolation, SAMPLE_RATE, decode};

use super::case::{Case, wait};
use super::finding::Finding;

/// "We need eggs, fish and sugar.", synthetic speech that the demo model understands; tools/fixtures/doctor.sh makes them.
pub const SENTENCE: &[u8] = include_bytes!("clips/sentence.wav");
pub const WORDS: &str = "We need eggs, fish and sugar.";

/// A name of ours, what is in the file, the file.
const CLIPS: &[(&str, &str, &[u8])] = &[
    ("wav", "16-bit PCM in WAV", SENTENCE),
    ("aiff", "u-law in AIFF-C", include_bytes!("clips/sentence.aifc")),
    ("caf", "IMA ADPCM in CAF", include_bytes!("clips/sentence.caf")),
    ("flac", "FLAC", include_bytes!("clips/sentence.flac")),
    ("mp3", "MP3", include_bytes!("clips/sentence.mp3")),
    ("mp2", "MP2", include_bytes!("clips/sentence.mp2")),
    ("aac", "AAC in ADTS", include_bytes!("clips/sentence.aac")),
    ("ogg", "Vorbis in Ogg", include_bytes!("clips/sentence.ogg")),
    ("opus", "Opus in Ogg", include_bytes!("clips/sentence.opus")),
    ("m4a", "AAC in MP4", include_bytes!("clips/sentence.m4a")),
    ("alac", "ALAC in MP4", include_bytes!("clips/alac.m4a")),
    ("webm", "Opus in WebM", include_bytes!("clips/sentence.webm")),
];

/// The sentence begins within so many samples: encoders put silence before it that not every container tells.
const LATEST: usize = SAMPLE_RATE / 10;
/// The stretch of the sentence that is compared: a quarter of a second of speech.
const STRETCH: std::ops::Range<usize> = SAMPLE_RATE / 2..SAMPLE_RATE / 4 * 3;
/// The coarsest codec of the clips, MP3 at 32 kbit/s, comes to 0.93.
const LEAST_LIKENESS: f64 = 0.9;

const AGAIN: &str = "install verbatim again; if it stays, report it with this line";

pub fn format(case: &Case, name: &str) -> Finding {
    let Some((_, what, clip)) = CLIPS.iter().find(|(known, ..)| *known == name) else {
        return Finding::fault(format!("there is no clip {name}"), AGAIN);
    };
    let limits = case.config.audio.limits();
    let heard = |clip: &'static [u8]| decode(Bytes::from_static(clip), &limits);
    let (clip, sentence) = match (heard(clip), heard(SENTENCE)) {
        (Ok(clip), Ok(sentence)) => (clip, sentence),
        // Limits that are too low for anybody's audio are the settings'.
        (Err(error), _) | (_, Err(error)) => {
            return Finding::fault(
                format!("{what} cannot be decoded: {error}"),
                format!("if a limit is named, raise it; else {AGAIN}"),
            );
        }
    };
    let (got, want) = (clip.pcm.samples(), sentence.pcm.samples());
    if let Some(incomplete) = &clip.incomplete {
        return Finding::fault(format!("{what} is decoded in part: {}", incomplete.reason), AGAIN);
    }
    let seconds = |samples: &[f32]| samples.len() as f64 / SAMPLE_RATE as f64;
    let (likeness, found) = (likeness(want, got), seconds(got));
    let is_long_enough = (-0.01..=0.25).contains(&(found - seconds(want)));
    let told = format!("{what}: {found:.2} s, {:.1} % like the original", likeness * 100.0);
    match is_long_enough && likeness >= LEAST_LIKENESS {
        true => Finding::ok(told),
        false => Finding::fault(format!("{told}, which has {:.2} s", seconds(want)), AGAIN),
    }
}

/// The best correlation of a stretch of `want` with `got` over the delays that there may be. Levels count too: half as loud is half as like.
fn likeness(want: &[f32], got: &[f32]) -> f64 {
    let Some(want) = want.get(STRETCH) else { return 0.0 };
    let energy = |samples: &[f32]| samples.iter().map(|s| f64::from(s * s)).sum::<f64>();
    let own = energy(want);
    let at = |delay: usize| {
        let got = got.get(STRETCH.start + delay..STRETCH.end + delay)?;
        let both: f32 = want.iter().zip(got).map(|(want, got)| want * got).sum();
        let louder = (own / energy(got)).sqrt();
        // 1 where both are the same, less where one is louder.
        Some(f64::from(both) / own * if louder < 1.0 { louder * louder } else { 1.0 })
    };
    (0..=LATEST).filter_map(at).fold(0.0, f64::max)
}

pub fn isolation(case: &Case) -> Finding {
    let wanted = case.config.audio.decode_isolation.unwrap_or(Isolation::safest());
    if wanted == Isolation::Thread {
        return Finding::skipped("uploads are decoded in the server's own process (audio.decode_isolation)");
    }
    let mut settings = case.config.audio.clone();
    settings.decode_isolation = Some(wanted);
    let tried = wait(async {
        let decoder = settings.decoder().map_err(|error| error.to_string())?;
        decoder.check().await.map_err(|error| error.to_string())
    });
    match tried.and_then(|tried| tried) {
        Ok(()) => Finding::ok(
            "a process of its own decoded a file, under its limits on memory, time, files and processes",
        ),
        Err(error) => Finding::fault(
            format!("no process of its own can decode: {error}"),
            "raise the limits of processes and open files (ulimit -u, -n) and mount /proc, or let the server decode by itself with \
             --decode-isolation thread (audio.decode_isolation)",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn likeness_sees_other_sounds_and_other_levels() {
        let want: Vec<f32> =
            (0..2 * SAMPLE_RATE).map(|at| (at as f32 * 0.05).sin() * (at as f32 * 0.0007).cos()).collect();
        let times = |factor: f32| want.iter().map(|s| s * factor).collect::<Vec<f32>>();
        let late = [vec![0.0; 700], want.clone()].concat();
        assert!(likeness(&want, &want) > 0.999 && likeness(&want, &late) > 0.999);
        assert!(likeness(&want, &times(0.5)) < 0.6 && likeness(&want, &times(2.0)) < 0.6);
        let other: Vec<f32> = (0..2 * SAMPLE_RATE).map(|at| (at as f32 * 0.31).sin()).collect();
        assert!(likeness(&want, &other) < 0.3);
        assert_eq!(likeness(&want, &[]), 0.0);
    }
}
