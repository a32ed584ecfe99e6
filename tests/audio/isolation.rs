//! The same uploads in a process and in a thread: the same answers out; and what a decoder that fails costs.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use verbatim::audio::{Apart, AudioError, DecodeError, Decoder, Limits, decode_channels};
use verbatim::transcript::Channels;

use super::{fixture, generous, wav};

const ROOM: usize = 1 << 30;

fn processes(limits: &Limits) -> Decoder {
    Decoder::in_processes(limits.clone(), ROOM, Path::new(env!("CARGO_BIN_EXE_verbatim"))).unwrap()
}

async fn decode(decoder: &Decoder, upload: Bytes, channels: Channels) -> Result<Apart, DecodeError> {
    let pending = decoder.decode(upload, channels, ()).await?;
    let _room = pending.room().await;
    pending.samples().await
}

/// What a client would see of either.
async fn told(decoder: &Decoder, upload: Bytes, channels: Channels) -> Result<Apart, AudioError> {
    decode(decoder, upload, channels).await.map_err(|error| match error {
        DecodeError::Audio(error) => error,
        other => panic!("{other:?}"),
    })
}

#[tokio::test]
async fn every_fixture_gives_the_same_samples_or_the_same_error_in_a_process() {
    let limits = generous();
    let decoder = processes(&limits);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/audio");
    let (mut heard, mut refused) = (0, 0);
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let upload: Bytes = std::fs::read(&path).unwrap().into();
        for channels in [Channels::Mix, Channels::Split] {
            let here = decode_channels(upload.clone(), &limits, channels);
            let there = told(&decoder, upload.clone(), channels).await;
            match (here, there) {
                (Ok(here), Ok(there)) => {
                    let same = here.channels == there.channels && here.incomplete == there.incomplete;
                    assert!(same, "{}", path.display());
                    heard += 1;
                }
                (here, there) => {
                    assert_eq!(here.unwrap_err(), there.unwrap_err(), "{}", path.display());
                    refused += 1;
                }
            }
        }
    }
    assert!(heard >= 96 && refused >= 6, "{heard} heard, {refused} refused");
}

#[tokio::test]
async fn every_kind_of_refusal_comes_out_of_a_process_as_it_went_in() {
    let second: Bytes = wav(44_100, 2, &[100; 88_200]).into();
    let cut: Bytes = fixture("cbr.mp3")[..fixture("cbr.mp3").len() / 2].to_vec().into();
    let short = Limits { max_duration: Duration::from_millis(500), ..generous() };
    let small = Limits { max_decoded_bytes: 20_000, ..generous() };
    let mono = Limits { max_channels: 1, ..generous() };
    let late = Limits { max_decode_time: Duration::ZERO, ..generous() };
    let cases = [
        (second.clone(), &short),
        (second.clone(), &small),
        (second.clone(), &mono),
        (second, &late),
        (Bytes::new(), &generous()),
        (Bytes::from_static(b"this is no audio"), &generous()),
        (wav(16_000, 1, &[]).into(), &generous()),
        (fixture("ac3.mkv").into(), &generous()),
        (Bytes::from_static(b"RIFF\x24\0\0\0WAVEfmt "), &generous()),
        (cut, &generous()),
    ];
    let mut kinds = std::collections::HashSet::new();
    for (upload, limits) in cases {
        let here = decode_channels(upload.clone(), limits, Channels::Mix);
        let there = told(&processes(limits), upload, Channels::Mix).await;
        match (here, there) {
            (Err(here), Err(there)) => {
                kinds.insert(std::mem::discriminant(&here));
                assert_eq!(here, there);
            }
            (here, there) => {
                assert_eq!(here.unwrap().incomplete, there.unwrap().incomplete);
            }
        }
    }
    assert_eq!(kinds.len(), 5, "Empty, UnknownFormat, Unsupported, Damaged and TooLarge");
}

#[cfg(any(feature = "faults", debug_assertions))]
#[tokio::test]
async fn a_process_that_crashes_or_balloons_costs_its_own_upload() {
    let limits = Limits { max_decoded_bytes: 1 << 20, ..generous() };
    let decoder = processes(&limits);
    for (fault, reason) in
        [("abort", "aborted"), ("overflow", "aborted"), ("balloon", "aborted"), ("exit", "crashed")]
    {
        let upload: Bytes = format!("REHEARSED:{fault}").into();
        let (staying, failing) = tokio::join!(
            told(&decoder, fixture("cbr.mp3").into(), Channels::Mix),
            decode(&decoder, upload, Channels::Mix),
        );
        assert!(staying.is_ok(), "{fault}: {staying:?}");
        match failing {
            Err(DecodeError::GaveUp { error: AudioError::GaveUp(_), reason: got }) => {
                assert_eq!(got, reason, "{fault}")
            }
            other => panic!("{fault}: {other:?}"),
        }
    }
}

#[cfg(any(feature = "faults", debug_assertions))]
#[tokio::test]
async fn a_process_that_hangs_is_ended_and_named_by_the_limit_of_time() {
    let limits = Limits { max_decode_time: Duration::ZERO, ..generous() };
    let decoder = processes(&limits);
    for fault in ["hang", "spin"] {
        match decode(&decoder, format!("REHEARSED:{fault}").into(), Channels::Mix).await {
            Err(DecodeError::GaveUp { error: AudioError::TooLarge { setting, .. }, reason }) => {
                assert_eq!((setting, reason), ("audio.max_decode_seconds", "late"), "{fault}");
            }
            other => panic!("{fault}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_program_that_cannot_decode_is_told_at_the_start() {
    assert!(Decoder::in_processes(generous(), ROOM, Path::new("/nowhere/verbatim")).is_err());
    let wrong = Decoder::in_processes(generous(), ROOM, Path::new("/bin/true")).unwrap();
    assert!(wrong.check().await.is_err());
    processes(&generous()).check().await.unwrap();
}

#[tokio::test]
async fn recordings_wait_for_room_in_both_ways() {
    let minute: Bytes = wav(8_000, 1, &vec![100; 60 * 8_000]).into();
    let room = 5 << 20;
    let program = Path::new(env!("CARGO_BIN_EXE_verbatim"));
    for decoder in
        [Decoder::in_threads(generous(), room), Decoder::in_processes(generous(), room, program).unwrap()]
    {
        // A minute takes 3.84 MB.
        let first = decoder.decode(minute.clone(), Channels::Mix, ()).await.unwrap();
        let second = decoder.decode(minute.clone(), Channels::Mix, ()).await.unwrap();
        let short = decoder.decode(wav(8_000, 1, &[100; 8_000]).into(), Channels::Mix, ()).await.unwrap();
        let held = first.room().await;
        let mut waiting = Box::pin(second.room());
        assert!(futures::poll!(&mut waiting).is_pending());
        let _short = short.room().await;
        drop(held);
        let _held = waiting.await;
        assert_eq!(second.samples().await.unwrap().channels[0].samples().len(), 60 * 16_000);
    }
}

/// A hundred seconds of a slow ramp, no two samples of which are alike for long.
fn long() -> Bytes {
    wav(8_000, 1, &(0..100 * 8_000).map(|at: i32| (at / 40) as i16).collect::<Vec<_>>()).into()
}

#[tokio::test]
async fn parts_are_the_whole_and_wait_for_whoever_asks() {
    // Much less than the pauses of whoever asks.
    let limits = Limits { max_decode_time: Duration::from_secs(2), ..generous() };
    let whole = decode_channels(long(), &limits, Channels::Mix).unwrap().channels.swap_remove(0);
    let program = Path::new(env!("CARGO_BIN_EXE_verbatim"));
    let threads = Decoder::in_threads(limits.clone(), ROOM);
    for decoder in [threads, Decoder::in_processes(limits, ROOM, program).unwrap()] {
        let mut parts = decoder.parts(long()).await.unwrap();
        let mut samples = Vec::new();
        let mut count = 0;
        while let Some(part) = parts.next().await.unwrap() {
            assert_eq!(part.expected, Some(Duration::from_secs(100)));
            assert!(part.pcm.duration() <= Duration::from_secs(31));
            samples.extend_from_slice(part.pcm.samples());
            count += 1;
            tokio::time::sleep(Duration::from_millis(800)).await;
        }
        assert!(samples == whole.samples() && (4..=5).contains(&count), "{count}");
        assert_eq!(parts.incomplete(), None);
        assert!(parts.next().await.unwrap().is_none());
    }
}

#[tokio::test]
async fn every_fixture_in_parts_is_what_it_is_as_a_whole() {
    let limits = generous();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/audio");
    for decoder in [Decoder::in_threads(limits.clone(), ROOM), processes(&limits)] {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let upload: Bytes = std::fs::read(&path).unwrap().into();
            let in_parts = async {
                let mut parts = decoder.parts(upload.clone()).await?;
                let mut samples = Vec::new();
                while let Some(part) = parts.next().await? {
                    samples.extend_from_slice(part.pcm.samples());
                }
                Ok::<_, DecodeError>((samples, parts.incomplete().cloned()))
            };
            match (decode_channels(upload.clone(), &limits, Channels::Mix), in_parts.await) {
                (Ok(whole), Ok((samples, incomplete))) => {
                    assert!(samples == whole.channels[0].samples(), "{}", path.display());
                    assert_eq!(incomplete, whole.incomplete, "{}", path.display());
                }
                (Err(whole), Err(DecodeError::Audio(error))) => assert_eq!(whole, error),
                (whole, parts) => panic!("{}: {whole:?}, {parts:?}", path.display()),
            }
        }
    }
}

/// The demuxers of a hundred recordings that nobody waits for any more hold neither processes nor threads.
#[tokio::test]
async fn whoever_leaves_in_the_middle_leaves_nothing_behind() {
    let limits = generous();
    let decoders = [Decoder::in_threads(limits.clone(), ROOM), processes(&limits)];
    for decoder in &decoders {
        for _ in 0..20 {
            let mut parts = decoder.parts(long()).await.unwrap();
            assert!(parts.next().await.unwrap().is_some());
        }
    }
    let children = || {
        let of = format!("/proc/self/task/{}/children", std::process::id());
        std::fs::read_to_string(of).unwrap_or_default().split_whitespace().count()
    };
    // Those that wait for their first job stay.
    for _ in 0..100 {
        if children() <= 8 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(children() <= 8, "{}", children());
    let begun = std::time::Instant::now();
    drop(decoders);
    // A thread that still waited to hand on its part would keep the runtime from ending.
    tokio::task::spawn_blocking(|| ()).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(30));
}
