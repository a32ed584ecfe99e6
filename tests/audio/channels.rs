//! Recordings of several channels in; each channel apart, and all of one length, out.

use verbatim::audio::{AudioError, Limits, decode_channels};
use verbatim::transcript::Channels;

use super::{fixture, generous, read, wav};

#[test]
fn each_channel_is_heard_for_itself() {
    let (left, right) = (|at: usize| (at % 50) as i16 * 100, |at: usize| (at % 20) as i16 * -200);
    let samples: Vec<i16> = (0..16_000).flat_map(|at| [left(at), right(at)]).collect();
    let apart = decode_channels(wav(16_000, 2, &samples).into(), &generous(), Channels::Split).unwrap();
    assert_eq!(apart.channels.len(), 2);
    for (channel, wanted) in apart.channels.iter().zip([left as fn(usize) -> i16, right]) {
        let exact = channel
            .samples()
            .iter()
            .enumerate()
            .all(|(at, sample)| *sample == f32::from(wanted(at)) / 32768.0);
        assert!(exact && channel.samples().len() == 16_000);
    }
}

#[test]
fn channels_apart_add_up_to_the_mix_in_every_kind_of_file() {
    for name in ["44k-stereo.wav", "stereo.ogg", "celt-96k-stereo.opus"] {
        let mixed = read(fixture(name)).unwrap().pcm;
        let apart = decode_channels(fixture(name).into(), &generous(), Channels::Split).unwrap().channels;
        assert_eq!(apart.len(), 2, "{name}");
        for (at, sample) in mixed.samples().iter().enumerate() {
            let sum = (apart[0].samples()[at] + apart[1].samples()[at]) / 2.0;
            assert!((sum - sample).abs() < 1e-4, "{name}, sample {at}: {sum}, {sample}");
        }
    }
}

#[test]
fn one_channel_is_one_voice_and_rumble_is_none() {
    let voices = |name: &str| {
        decode_channels(fixture(name).into(), &generous(), Channels::Split).unwrap().channels.len()
    };
    assert_eq!((voices("16k.flac"), voices("surround.flac")), (1, 5));
}

#[test]
fn every_channel_counts_against_the_limit_of_decoded_bytes() {
    let limits = Limits { max_decoded_bytes: 100_000, ..generous() };
    let stereo = wav(16_000, 2, &[0; 32_000]);
    assert!(decode_channels(stereo.clone().into(), &limits, Channels::Mix).is_ok());
    let refused = decode_channels(stereo.into(), &limits, Channels::Split).unwrap_err();
    assert!(matches!(refused, AudioError::TooLarge { setting: "audio.max_decoded_bytes", .. }), "{refused}");
}

#[test]
fn channels_that_come_late_are_counted_before_they_are_made() {
    // 2.2 s of one channel, and then as much of two: 282 kB mixed, 563 kB apart, of which the first half is silence in one.
    let chained = [fixture("hybrid-32k.opus"), fixture("stereo.ogg")].concat();
    let limits = Limits { max_decoded_bytes: 250_000, ..generous() };
    let refused = decode_channels(chained.clone().into(), &limits, Channels::Split).unwrap_err();
    assert!(matches!(refused, AudioError::TooLarge { setting: "audio.max_decoded_bytes", .. }), "{refused}");
    let apart = decode_channels(chained.into(), &generous(), Channels::Split).unwrap().channels;
    assert_eq!(apart.len(), 2);
    assert_eq!(apart[0].samples().len(), apart[1].samples().len());
    assert!(apart[1].samples()[..35_000].iter().all(|sample| *sample == 0.0));
}
