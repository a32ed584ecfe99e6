//! Forged, mutated and foreign bytes in; an error or an honest part out, within the limits, and never a panic.

use std::time::Duration;

use bytes::Bytes;
use verbatim::audio::{AudioError, Limits, decode};

use super::{Dice, fixture, generous, read, wav, wav_of};

/// One small file of each container and codec.
const SEEDS: [&str; 37] = [
    "16k-u8.wav",
    "16k-alaw.wav",
    "48k-surround.wav",
    "16k.flac",
    "surround.flac",
    "flac.ogg",
    "cbr.mp3",
    "vbr.mp3",
    "no-xing.mp3",
    "cover.mp3",
    "stereo.ogg",
    "mono-22k.ogg",
    "moov-first.m4a",
    "moov-last.m4a",
    "fragmented.mp4",
    "adts.aac",
    "video.mp4",
    "silk-12k-60ms.opus",
    "hybrid-32k.opus",
    "celt-48k-5ms.opus",
    "surround.opus",
    "live.webm",
    "opus.mp4",
    "video-aac.mkv",
    "vorbis.mkv",
    "mp3.mkv",
    "16k-s24be.mov",
    "alac.mov",
    "alac.m4a",
    "16k-s16be.aiff",
    "16k-mulaw.aifc",
    "16k-s16be.caf",
    "alac.caf",
    "adpcm.caf",
    "adpcm-ms.wav",
    "adpcm-ima.wav",
    "layer-2.mp2",
];

/// Tight enough to be met by mutants.
fn tight() -> Limits {
    Limits {
        max_duration: Duration::from_secs(120),
        max_decoded_bytes: 16 << 20,
        max_channels: 8,
        max_decode_time: Duration::from_secs(60),
    }
}

/// Decodes, and holds the outcome against what must be true of any.
fn survive(bytes: Vec<u8>, what: &str) {
    match decode(bytes.into(), &tight()) {
        Ok(decoded) => {
            let samples = decoded.pcm.samples();
            assert!(
                samples.len() <= 120 * 16_000 && !samples.is_empty(),
                "{what}: {} samples",
                samples.len()
            );
            assert!(samples.iter().all(|sample| (-1.0..=1.0).contains(sample)), "{what}");
        }
        Err(error) => {
            let sentence = error.to_string();
            assert!(sentence.len() > 10 && !sentence.contains("symphonia"), "{what}: {sentence}");
        }
    }
}

fn setting_of(result: Result<verbatim::audio::Decoded, AudioError>) -> &'static str {
    match result {
        Err(AudioError::TooLarge { setting, .. }) => setting,
        other => panic!("not refused for its size: {:?}", other.map(|decoded| decoded.pcm.duration())),
    }
}

#[test]
fn files_cut_anywhere_are_survived() {
    for name in SEEDS {
        let whole = fixture(name);
        for cut in
            (0..64).map(|point| point.min(whole.len())).chain((1..24).map(|part| whole.len() * part / 24))
        {
            survive(whole[..cut].to_vec(), &format!("{name} cut at {cut}"));
        }
    }
}

#[test]
fn mutants_of_every_format_are_survived() {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for name in SEEDS {
        let seed = fixture(name);
        for round in 0..100 {
            let mut mutant = seed.clone();
            for _ in 0..1 + dice.below(8) {
                // Headers are where a wrong byte does most.
                let reach = if dice.below(2) == 0 { mutant.len().min(400) } else { mutant.len() };
                let at = dice.below(reach);
                match dice.below(5) {
                    0 => mutant[at] ^= 1 << dice.below(8),
                    1 => mutant[at] = dice.roll() as u8,
                    2 => mutant[at] = [0, 0xff, 0x7f, 0x80][dice.below(4)],
                    3 => drop(mutant.drain(at..(at + 1 + dice.below(16)).min(mutant.len()))),
                    _ => {
                        let end = (at + 4).min(mutant.len());
                        let word = dice.roll().to_le_bytes();
                        mutant[at..end].copy_from_slice(&word[..end - at]);
                    }
                }
                if mutant.is_empty() {
                    break;
                }
            }
            survive(mutant, &format!("{name}, mutant {round}"));
        }
    }
}

#[test]
fn what_is_no_audio_is_refused() {
    let mut dice = Dice(42);
    let mut noise = |len: usize| (0..len).map(|_| dice.roll() as u8).collect::<Vec<u8>>();
    let mut foreign = vec![
        b"Hello, this is a text and no sound.".repeat(100),
        b"<!doctype html><html><body>404</body></html>".to_vec(),
        b"{\"audio\": null}".to_vec(),
        [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec(), noise(60_000)].concat(),
        [b"\xff\xd8\xff\xe0\0\x10JFIF\0".to_vec(), noise(60_000)].concat(),
        [b"PK\x03\x04".to_vec(), noise(60_000)].concat(),
        [b"%PDF-1.7\n".to_vec(), noise(60_000)].concat(),
        b"RIFF\x24\0\0\0AVI LIST".to_vec(),
        b"ID3\x04\0\0\0\0\0\0".to_vec(),
        b"OggS".to_vec(),
        b"fLaC".to_vec(),
        b"\x1a\x45\xdf\xa3".to_vec(),
        b"\0\0\0\x18ftypM4A ".to_vec(),
        b"caff\0\x01\0\0desc".to_vec(),
        vec![0; 1 << 20],
        vec![0xff; 1 << 20],
        vec![0],
    ];
    foreign.extend([1, 10, 100, 1000, 10_000, 100_000, 1_000_000].map(&mut noise));
    for bytes in foreign {
        let what = String::from_utf8_lossy(&bytes[..bytes.len().min(12)]).into_owned();
        let result = read(bytes);
        assert!(result.is_err(), "{what:?} decoded to {:?}", result.map(|decoded| decoded.pcm.duration()));
    }
    assert_eq!(read(Vec::new()).unwrap_err(), AudioError::Empty);
}

#[test]
fn known_containers_without_readable_audio_say_what_they_hold() {
    for (name, word) in [("ac3.mkv", "AC-3"), ("speex.ogg", "Speex"), ("silent-film.mp4", "no audio")] {
        let error = read(fixture(name)).unwrap_err();
        assert!(matches!(error, AudioError::Unsupported(_)), "{name}: {error:?}");
        assert!(error.to_string().contains(word), "{name}: {error}");
    }
    let empty = read(wav(16_000, 1, &[])).unwrap_err();
    assert!(matches!(empty, AudioError::Unsupported(_)), "{empty:?}");
}

#[test]
fn files_that_are_not_read_are_called_by_their_names() {
    let mut gsm = wav(8000, 1, &[1; 500]);
    gsm[20] = 0x31;
    let transport_stream =
        |sound: &[u8]| sound.chunks_exact(184).flat_map(|piece| [b"G\x01\0\x10", piece].concat()).collect();
    let files: [(Vec<u8>, &str); 6] = [
        ([b"#!AMR\n".as_slice(), &[0x3c; 320]].concat(), "AMR"),
        ([b"\x0b\x77".as_slice(), &[0xff; 3000]].concat(), "AC-3"),
        ([b"wvpk".as_slice(), &[0xff, 0xf1, 0x50, 0x80].repeat(500)].concat(), "WavPack"),
        ([b"RIFF\x00\x01\x00\x00AVI LIST".as_slice(), &[0; 300]].concat(), "AVI"),
        // The sound itself is MP3, in pieces that would be heard as noise.
        (transport_stream(&fixture("no-xing.mp3")), "MPEG transport stream"),
        (gsm, "GSM in WAV"),
    ];
    for (file, name) in files {
        let error = read(file).unwrap_err();
        assert!(matches!(error, AudioError::Unsupported(_)), "{name}: {error:?}");
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn a_table_of_packets_that_would_fill_the_memory_is_refused() {
    // ALAC's table has a byte for each packet, of which symphonia makes 32.
    let file = fixture("alac.caf");
    let at = file.windows(4).position(|word| word == b"pakt").expect("a packet table");
    let mut forged = file[..at + 4].to_vec();
    forged.extend((24 + (8i64 << 20)).to_be_bytes());
    forged.extend((8i64 << 20).to_be_bytes());
    forged.extend([0; 16]);
    forged.resize(forged.len() + (8 << 20), 1);
    assert!(matches!(read(forged), Err(AudioError::Damaged(_))));
}

#[test]
fn forged_shapes_are_refused_before_they_cost_anything() {
    let limits = Limits { max_channels: 2, ..generous() };
    assert_eq!(setting_of(decode(wav(16_000, 6, &[0; 600]).into(), &limits)), "audio.max_channels");
    for channels in [33, 255, 65_535] {
        // symphonia may refuse the header by itself; what counts is that it is refused.
        read(wav_of(1, 48_000, channels, 16, &[0; 400])).unwrap_err();
    }
    read(wav_of(1, 48_000, 0, 16, &[0; 400])).unwrap_err();
    for bits in [0, 1, 7, 33, 65_535] {
        survive(wav_of(1, 48_000, 1, bits, &[0; 400]), "impossible width");
    }
}

#[test]
fn each_limit_stops_the_decoding_and_names_its_setting() {
    let second: Bytes = wav(44_100, 2, &[0; 88_200]).into();
    let short = Limits { max_duration: Duration::from_millis(500), ..generous() };
    assert_eq!(setting_of(decode(second.clone(), &short)), "audio.max_duration_seconds");
    let small = Limits { max_decoded_bytes: 20_000, ..generous() };
    assert_eq!(setting_of(decode(second.clone(), &small)), "audio.max_decoded_bytes");
    let mono = Limits { max_channels: 1, ..generous() };
    assert_eq!(setting_of(decode(second.clone(), &mono)), "audio.max_channels");
    let late = Limits { max_decode_time: Duration::ZERO, ..generous() };
    assert_eq!(setting_of(decode(second, &late)), "audio.max_decode_seconds");
    let sentence = decode(fixture("cbr.mp3").into(), &short).unwrap_err().to_string();
    assert_eq!(sentence, "the audio is longer than 0.5 seconds (limit set by audio.max_duration_seconds)");
}

#[test]
fn a_deadline_ends_every_demuxer() {
    let late = Limits { max_decode_time: Duration::ZERO, ..generous() };
    for name in SEEDS {
        assert_eq!(setting_of(decode(fixture(name).into(), &late)), "audio.max_decode_seconds", "{name}");
    }
}

#[test]
fn a_mebibyte_of_flac_that_holds_three_days_is_stopped_at_the_limit() {
    let bomb: Bytes = flac_bomb(1 << 20).into();
    assert_eq!(bomb.len() >> 20, 1);
    let hour = Limits { max_decoded_bytes: 32 << 20, ..generous() };
    assert_eq!(setting_of(decode(bomb.clone(), &hour)), "audio.max_decoded_bytes");
    let minute = Limits { max_duration: Duration::from_secs(60), ..generous() };
    assert_eq!(setting_of(decode(bomb, &minute)), "audio.max_duration_seconds");
}

/// Frames of 65,535 equal samples in some 14 bytes each, with no length in the header.
fn flac_bomb(len: usize) -> Vec<u8> {
    let mut file = b"fLaC\x80\0\0\x22\xff\xff\xff\xff\0\0\0\0\0\0".to_vec();
    // 16,000 Hz in 20 bits, one channel, 16 bits, unknown length.
    file.extend([0x03, 0xe8, 0x00, 0xf0, 0, 0, 0, 0]);
    file.extend([0; 16]);
    for number in 0u32.. {
        if file.len() >= len {
            break;
        }
        let mut frame = vec![0xff, 0xf8, 0x75, 0x08];
        let mut coded = [0; 4];
        // Frame numbers are coded as UTF-8 codes characters; those below 2^16 but the surrogates are characters.
        let number = if number < 0xd800 { number } else { number + 0x800 };
        frame.extend(char::from_u32(number).unwrap().encode_utf8(&mut coded).as_bytes());
        frame.extend([0xff, 0xfe]);
        frame.push(crc(&frame, 8, 0x07) as u8);
        frame.extend([0x00, 0x01, 0x00]);
        let check = crc(&frame, 16, 0x8005);
        frame.extend(check.to_be_bytes());
        file.extend(frame);
    }
    file
}

fn crc(bytes: &[u8], width: u32, polynomial: u16) -> u16 {
    let top = 1u32 << (width - 1);
    let mask = (1u32 << width) - 1;
    bytes.iter().fold(0u32, |crc, &byte| {
        let mut crc = crc ^ u32::from(byte) << (width - 8);
        for _ in 0..8 {
            crc = if crc & top == 0 { crc << 1 } else { crc << 1 ^ u32::from(polynomial) } & mask;
        }
        crc
    }) as u16
}
