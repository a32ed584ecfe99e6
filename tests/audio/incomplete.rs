//! Files cut off or damaged in the middle in; what can be heard of them out, with where and why it is not all.

use std::time::Duration;

use verbatim::audio::AudioError;

use super::{fixture, read, reference, wav};

/// Formats that tell their length, or whose end is marked.
const TELLING: [&str; 16] = [
    "reference.wav",
    "44k-stereo.wav",
    "16k.flac",
    "cbr.mp3",
    "vbr.mp3",
    "cover.mp3",
    "stereo.ogg",
    "hybrid-32k.opus",
    "moov-first.m4a",
    "opus.webm",
    "flac.mkv",
    "vorbis.mkv",
    "video-aac.mkv",
    "16k-s16be.aiff",
    "16k-s16be.caf",
    "adpcm.caf",
];

#[test]
fn a_file_cut_off_in_its_second_half_gives_its_first_and_says_so() {
    for name in TELLING {
        let whole = fixture(name);
        let full = read(whole.clone()).unwrap().pcm.duration();
        for percent in [60, 75, 90] {
            let cut = whole[..whole.len() * percent / 100].to_vec();
            let decoded = read(cut).unwrap_or_else(|error| panic!("{name} at {percent} %: {error}"));
            let heard = decoded.pcm.duration();
            let incomplete =
                decoded.incomplete.unwrap_or_else(|| panic!("{name} at {percent} %: passed off as whole"));
            assert!(heard < full && heard > full / 4, "{name} at {percent} %: {heard:?} of {full:?}");
            assert!(
                incomplete.at.abs_diff(heard) < Duration::from_millis(1),
                "{name}: {incomplete:?}, heard {heard:?}"
            );
            assert!(incomplete.expected.is_none_or(|expected| expected > heard), "{name}: {incomplete:?}");
            assert!(incomplete.reason.contains(" s"), "{name}: {}", incomplete.reason);
        }
    }
}

#[test]
fn what_was_heard_of_a_cut_off_file_is_the_sound() {
    let whole = fixture("reference.wav");
    let decoded = read(whole[..44 + 32_000].to_vec()).unwrap();
    let got = decoded.pcm.samples();
    assert_eq!(got, &reference()[..got.len()]);
    assert!(got.len().abs_diff(16_000) < 64);
}

#[test]
fn a_cut_off_mp4_with_its_index_at_the_end_is_refused_with_the_reason() {
    let whole = fixture("moov-last.m4a");
    let error = read(whole[..whole.len() / 2].to_vec()).unwrap_err();
    assert!(error.to_string().contains("index"), "{error}");
}

#[test]
fn a_cut_off_wav_of_adpcm_says_so() {
    // Where a block was cut in two, silence may stand for it.
    for name in ["adpcm-ms.wav", "adpcm-ima.wav"] {
        let whole = fixture(name);
        for percent in [40, 60, 90] {
            let decoded = read(whole[..whole.len() * percent / 100].to_vec()).unwrap();
            let incomplete =
                decoded.incomplete.unwrap_or_else(|| panic!("{name} at {percent} %: passed off as whole"));
            assert!(incomplete.at < Duration::from_millis(950), "{name} at {percent} %: {incomplete:?}");
        }
    }
}

#[test]
fn a_cut_off_caf_with_its_packet_table_at_the_end_is_refused_with_the_reason() {
    let whole = fixture("alac.caf");
    let error = read(whole[..whole.len() / 2].to_vec()).unwrap_err();
    assert!(matches!(error, AudioError::Damaged(_)) && error.to_string().contains("index"), "{error:?}");
}

#[test]
fn packets_damaged_in_the_middle_are_counted_and_keep_their_time() {
    // Flips in the middle of a FLAC frame fail its checksum.
    let mut file = fixture("16k.flac");
    let middle = file.len() / 2;
    file[middle..middle + 40].iter_mut().for_each(|byte| *byte ^= 0x55);
    let decoded = read(file).unwrap();
    let incomplete = decoded.incomplete.expect("damage in the middle is told");
    assert!(
        incomplete.at > Duration::from_millis(500) && incomplete.at < Duration::from_millis(1900),
        "{incomplete:?}"
    );
}

#[test]
fn opus_packets_that_are_none_count_as_silence() {
    let mut file = fixture("opus.webm");
    // Short simple blocks of track 1 without lacing: 0xa3, size, 0x81, time, flags. An Opus packet of no frames is invalid.
    let blocks: Vec<usize> = (0..file.len() - 8)
        .filter(|&at| {
            file[at] == 0xa3 && file[at + 1] & 0x80 != 0 && file[at + 2] == 0x81 && file[at + 5] == 0x80
        })
        .collect();
    assert!(blocks.len() > 30, "{} blocks", blocks.len());
    for block in &blocks[20..24] {
        file[block + 6] = 0xff;
        file[block + 7] = 0x00;
    }
    let whole = read(fixture("opus.webm")).unwrap().pcm.duration();
    let decoded = read(file).unwrap();
    let incomplete = decoded.incomplete.expect("lost packets are told");
    assert!(incomplete.reason.starts_with("4 packets"), "{}", incomplete.reason);
    assert!(
        decoded.pcm.duration().abs_diff(whole) < Duration::from_millis(1),
        "{:?}",
        decoded.pcm.duration()
    );
}

#[test]
fn trailing_tags_and_rubbish_behind_the_whole_sound_are_no_damage() {
    for name in [
        "reference.wav",
        "cbr.mp3",
        "moov-first.m4a",
        "moov-last.m4a",
        "16k.flac",
        "16k-s16be.aiff",
        "16k-s16be.caf",
    ] {
        let mut file = fixture(name);
        let whole = read(file.clone()).unwrap().pcm.duration();
        file.extend([b"TAG".as_slice(), &[b' '; 125]].concat());
        let decoded = read(file).unwrap();
        assert_eq!(decoded.incomplete, None, "{name}");
        assert!(decoded.pcm.duration().abs_diff(whole) < Duration::from_millis(60), "{name}");
    }
}

#[test]
fn a_recording_that_begins_in_the_middle_of_a_stream_is_no_damage() {
    // What a radio's listener saves: frames that refer to bits before the beginning.
    for name in ["no-xing.mp3", "adts.aac"] {
        let file = fixture(name);
        let decoded = read(file[file.len() / 3 + 17..].to_vec()).unwrap();
        assert_eq!(decoded.incomplete, None, "{name}");
        assert!(decoded.pcm.duration() > Duration::from_secs(1), "{name}");
    }
}

#[test]
fn a_wav_that_promises_more_than_it_holds_is_incomplete() {
    let mut file = wav(16_000, 1, &[300; 16_000]);
    file[4..8].copy_from_slice(&(36 + 64_000u32).to_le_bytes());
    file[40..44].copy_from_slice(&64_000u32.to_le_bytes());
    let incomplete = read(file).unwrap().incomplete.unwrap();
    assert_eq!((incomplete.at, incomplete.expected), (Duration::from_secs(1), Some(Duration::from_secs(2))));
    assert_eq!(incomplete.reason, "the file ends at 1.00 s, it announces 2.00 s");
}
