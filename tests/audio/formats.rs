//! Fixtures in, the reference sound out: compared by correlation, delay and length.

use super::{fixture, read, reference, wav, wav_of};

const SAMPLE_RATE: usize = 16_000;

/// Exactly as long as the sound and in its place: lossless, or with delay and padding told by the container.
const IN_PLACE: [(&str, f64, f64); 51] = [
    ("reference.wav", 2.2, 0.9999),
    ("16k-u8.wav", 0.25, 0.99),
    ("16k-s16le.wav", 0.25, 0.9999),
    ("16k-s24le.wav", 0.25, 0.9999),
    ("16k-s32le.wav", 0.25, 0.9999),
    ("16k-f32le.wav", 0.25, 0.9999),
    ("16k-f64le.wav", 0.25, 0.9999),
    ("16k-alaw.wav", 0.25, 0.999),
    ("16k-mulaw.wav", 0.25, 0.999),
    ("8k.wav", 1.0, 0.98),
    ("44k-stereo.wav", 0.25, 0.999),
    ("48k-surround.wav", 0.1, 0.999),
    ("pipe.wav", 0.25, 0.9999),
    ("16k.flac", 2.2, 0.9999),
    ("surround.flac", 0.5, 0.999),
    ("flac.ogg", 1.0, 0.9999),
    ("flac.mkv", 1.0, 0.9999),
    ("pcm.mkv", 0.5, 0.9999),
    ("cbr.mp3", 2.2, 0.98),
    ("vbr.mp3", 2.2, 0.98),
    ("cover.mp3", 2.2, 0.98),
    ("stereo.ogg", 2.2, 0.98),
    ("mono-22k.ogg", 2.2, 0.97),
    ("silk-8k.opus", 2.2, 0.93),
    ("silk-12k-60ms.opus", 2.2, 0.95),
    ("silk-16k-40ms-stereo.opus", 2.2, 0.95),
    ("hybrid-24k-10ms.opus", 2.2, 0.96),
    ("hybrid-32k.opus", 2.2, 0.97),
    ("celt-64k-2.5ms.opus", 2.2, 0.99),
    ("celt-48k-5ms.opus", 2.2, 0.99),
    ("celt-96k-stereo.opus", 2.2, 0.99),
    ("hybrid-48k-stereo.opus", 2.2, 0.97),
    ("120ms.opus", 2.2, 0.97),
    ("surround.opus", 2.2, 0.97),
    ("16k-s24be.mov", 0.25, 0.9999),
    ("16k-s32be.mov", 0.25, 0.9999),
    ("16k-f32be.mov", 0.25, 0.9999),
    ("16k-f64be.mov", 0.25, 0.9999),
    ("16k-alaw.mov", 0.25, 0.999),
    ("16k-mulaw.mov", 0.25, 0.999),
    ("alac.mov", 0.5, 0.9999),
    ("alac.m4a", 0.5, 0.9999),
    ("16k-s16be.aiff", 1.0, 0.9999),
    ("16k-s24be.aiff", 0.25, 0.9999),
    ("16k-f32be.aifc", 0.25, 0.9999),
    ("16k-s16le.aifc", 0.25, 0.9999),
    ("16k-mulaw.aifc", 0.25, 0.999),
    ("pipe.aiff", 0.25, 0.9999),
    ("16k-s16be.caf", 1.0, 0.9999),
    ("16k-s24le.caf", 0.25, 0.9999),
    ("pipe.caf", 0.25, 0.9999),
];

/// In its place, with up to a few packets of padding behind it.
const PADDED: [(&str, f64, f64); 12] = [
    ("moov-first.m4a", 2.2, 0.95),
    ("moov-last.m4a", 2.2, 0.95),
    ("22k.m4a", 2.2, 0.95),
    ("video.mp4", 2.2, 0.95),
    ("opus.mp4", 2.2, 0.97),
    ("live.webm", 2.2, 0.97),
    ("opus.webm", 2.2, 0.97),
    ("vorbis.mkv", 2.2, 0.97),
    ("alac.caf", 0.5, 0.9999),
    ("adpcm.caf", 0.5, 0.99),
    ("adpcm-ms.wav", 1.0, 0.99),
    ("adpcm-ima.wav", 1.0, 0.99),
];

/// With a delay, too, that the file does not tell.
const DELAYED: [(&str, f64, f64); 8] = [
    ("no-xing.mp3", 2.2, 0.97),
    ("vbr-no-xing.mp3", 2.2, 0.97),
    ("mp3.mkv", 2.2, 0.97),
    ("fragmented.mp4", 2.2, 0.95),
    ("adts.aac", 2.2, 0.95),
    ("video-aac.mkv", 2.2, 0.95),
    ("layer-2.mp2", 2.2, 0.97),
    ("layer-2.mkv", 1.0, 0.97),
];

/// The highest correlation of `got` with `want` over delays of up to `most` samples, and that delay.
fn best_fit(want: &[f32], got: &[f32], most: usize) -> (f64, usize) {
    let fit = |delay: usize| {
        let pairs =
            want.iter().zip(&got[delay.min(got.len())..]).map(|(&a, &b)| (f64::from(a), f64::from(b)));
        let (ab, aa, bb) =
            pairs.fold((0.0, 0.0, 0.0), |(ab, aa, bb), (a, b)| (ab + a * b, aa + a * a, bb + b * b));
        ab / (aa * bb).sqrt().max(1e-9)
    };
    (0..=most).map(|delay| (fit(delay), delay)).max_by(|a, b| a.0.total_cmp(&b.0)).unwrap()
}

/// Whether `name` decodes to `seconds` of the reference, at most `later` and `longer` than it, in seconds.
fn check(name: &str, seconds: f64, least: f64, later: f64, longer: f64) -> Result<(), String> {
    let want = &reference()[..(seconds * SAMPLE_RATE as f64) as usize];
    let decoded = read(fixture(name)).map_err(|error| format!("{name}: {error}"))?;
    let got = decoded.pcm.samples();
    let (fit, delay) = best_fit(want, got, (later * SAMPLE_RATE as f64) as usize);
    let level = |samples: &[f32]| (samples.iter().map(|s| s * s).sum::<f32>() / samples.len() as f32).sqrt();
    let louder = level(got) / level(want);
    let surplus = got.len() as f64 / SAMPLE_RATE as f64 - seconds;
    let whole = decoded.incomplete.is_none() && (-0.001..=longer + 0.001).contains(&surplus);
    // Stereo and surround fixtures are quieter by a known factor, never louder.
    if whole && fit >= least && (0.4..1.1).contains(&louder) {
        return Ok(());
    }
    let incomplete = decoded.incomplete;
    Err(format!("{name}: fit {fit:.4} at {delay}, surplus {surplus:.4} s, level {louder:.2}, {incomplete:?}"))
}

#[test]
fn every_format_decodes_to_the_same_sound_in_its_place() {
    let wrong: Vec<_> = IN_PLACE
        .iter()
        .filter_map(|&(name, seconds, least)| check(name, seconds, least, 0.0, 0.0).err())
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn formats_that_hide_their_padding_decode_to_the_same_sound_and_a_little_more() {
    let wrong: Vec<_> = PADDED
        .iter()
        // Vorbis loses its first block, 128 samples at 48 kHz, in Matroska.
        .filter_map(|&(name, seconds, least)| check(name, seconds, least, 0.003, 0.13).err())
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn formats_that_hide_their_delay_decode_to_the_same_sound_a_little_later() {
    let wrong: Vec<_> = DELAYED
        .iter()
        .filter_map(|&(name, seconds, least)| check(name, seconds, least, 0.13, 0.13).err())
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn quicktime_is_little_endian_where_it_says_so() {
    for (name, width) in
        [("16k-s24be.mov", 3), ("16k-s32be.mov", 4), ("16k-f32be.mov", 4), ("16k-f64be.mov", 8)]
    {
        let mut file = fixture(name);
        let want = read(file.clone()).unwrap().pcm;
        let behind = |word: &[u8]| file.windows(4).position(|window| window == word).unwrap() + 4;
        let (said, samples) = (behind(b"enda"), behind(b"mdat"));
        file[said + 1] = 1;
        file[samples..samples + 4000 * width].chunks_exact_mut(width).for_each(<[u8]>::reverse);
        assert_eq!(read(file).unwrap().pcm, want, "{name}");
    }
}

#[test]
fn sixteen_khz_mono_comes_out_to_the_bit() {
    assert_eq!(read(fixture("reference.wav")).unwrap().pcm.samples(), reference());
}

#[test]
fn he_aac_that_announces_itself_is_decoded_from_its_core() {
    // ffmpeg has no free HE-AAC encoder. The core of HE-AAC is AAC-LC at half the rate; this file is one, told by its
    // header to be extended to 44.1 kHz.
    let mut file = fixture("22k.m4a");
    let plain = [0x13, 0x88, 0x56, 0xe5, 0x00];
    let at = file.windows(5).position(|bytes| bytes == plain).expect("AudioSpecificConfig of 22.05 kHz mono");
    file[at..at + 5].copy_from_slice(&[0x2b, 0x8a, 0x08, 0x00, 0x00]);
    let decoded = read(file).unwrap();
    assert_eq!(decoded.incomplete, None);
    assert!(best_fit(&reference(), decoded.pcm.samples(), 2000).0 > 0.95);
}

#[test]
fn a_container_that_says_nothing_of_its_rate_is_not_believed_about_opus() {
    // Matroska repeats the rate of the source; Opus does not care.
    let mut file = fixture("opus.webm");
    let forty_eight = [0xb5, 0x88, 0x40, 0xe7, 0x70, 0, 0, 0, 0, 0];
    let at = file.windows(10).position(|bytes| bytes == forty_eight).expect("SamplingFrequency of 48000.0");
    file[at + 2..at + 10].copy_from_slice(&44_100f64.to_be_bytes());
    let decoded = read(file).unwrap();
    assert!(best_fit(&reference(), decoded.pcm.samples(), 2000).0 > 0.95);
}

#[test]
fn all_rates_from_1_khz_to_384_khz_are_read_and_others_refused() {
    for rate in [1_000, 7_350, 11_025, 22_050, 96_000, 192_000, 352_800, 384_000] {
        let decoded = read(wav(rate, 1, &vec![100; rate as usize / 2])).unwrap();
        assert_eq!(decoded.pcm.samples().len(), 8000, "{rate} Hz");
    }
    for rate in [0, 1, 999, 384_001, u32::MAX] {
        let error = read(wav(rate, 1, &[100; 1000])).unwrap_err().to_string();
        assert!(error.contains("rate"), "{rate} Hz: {error}");
    }
}

#[test]
fn floats_that_are_no_numbers_or_too_loud_come_out_as_sound() {
    let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e38, -1e38, 3.0, 0.25];
    for rate in [16_000, 44_100] {
        let data: Vec<u8> = odd.iter().cycle().take(7000).flat_map(|sample| sample.to_le_bytes()).collect();
        let decoded = read(wav_of(3, rate, 1, 32, &data)).unwrap();
        assert!(decoded.pcm.samples().iter().all(|sample| (-1.0..=1.0).contains(sample)), "{rate} Hz");
    }
}

#[test]
fn a_wav_whose_recorder_died_before_it_wrote_the_sizes_is_read_to_its_end() {
    let mut file = wav(16_000, 1, &[500; 16_000]);
    file[4..8].fill(0);
    file[40..44].fill(0);
    let decoded = read(file).unwrap();
    assert_eq!((decoded.pcm.samples().len(), decoded.incomplete), (16_000, None));
}

#[test]
fn streams_chained_in_one_ogg_file_are_heard_one_after_the_other() {
    let file = [fixture("stereo.ogg"), fixture("hybrid-32k.opus")].concat();
    let decoded = read(file).unwrap();
    assert_eq!(decoded.incomplete, None);
    assert_eq!(decoded.pcm.samples().len(), 2 * reference().len());
}
