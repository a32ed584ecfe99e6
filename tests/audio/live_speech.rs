//! The detector for live streams held against the one for files, which knows what comes.

use std::ops::Range;

use verbatim::audio::{FRAME, LATENCY, LiveSpeech, Pcm, SAMPLE_RATE, speech};
use verbatim::transcript::Speech;

use super::speech::told;

/// Where it hears speech, frame by frame, put back by the network's latency.
fn live(pcm: &Pcm) -> Vec<bool> {
    let mut live = LiveSpeech::default();
    let mut heard: Vec<bool> =
        pcm.samples().chunks_exact(FRAME).map(|frame| live.hear(frame) >= 0.5).collect();
    heard.drain(..(LATENCY / FRAME).min(heard.len()));
    heard
}

fn share(heard: &[bool], spans: &[Range<usize>], slack: usize) -> f64 {
    let within = |at: usize| {
        spans.iter().any(|span| (span.start.saturating_sub(slack)..span.end + slack).contains(&at))
    };
    let there: Vec<bool> = heard
        .iter()
        .enumerate()
        .filter(|(index, _)| within(index * FRAME))
        .map(|(_, heard)| *heard)
        .collect();
    there.iter().filter(|heard| **heard).count() as f64 / there.len().max(1) as f64
}

fn outside(heard: &[bool], spans: &[Range<usize>], slack: usize) -> f64 {
    let within = |at: usize| {
        spans.iter().any(|span| (span.start.saturating_sub(slack)..span.end + slack).contains(&at))
    };
    let wrong = heard.iter().enumerate().filter(|(index, heard)| **heard && !within(index * FRAME)).count();
    wrong as f64 / heard.len().max(1) as f64
}

#[test]
fn speech_at_any_level_is_heard_where_the_detector_for_files_hears_it() {
    for (number, told) in told().iter().enumerate() {
        let spans = speech(&told.pcm, &Speech::default());
        for decibels in [-40.0f32, -20.0, 0.0] {
            let factor = 10f32.powf(decibels / 20.0);
            let samples = told.pcm.samples().iter().map(|sample| sample * factor).collect();
            let heard = live(&Pcm::from_16k_mono(samples));
            let (found, wrong) = (share(&heard, &spans, 0), outside(&heard, &spans, SAMPLE_RATE / 5));
            println!("recording {number} at {decibels} dB: {found:.3} of the speech, {wrong:.4} beside it");
            assert!(found > 0.75, "recording {number} at {decibels} dB: {found} of the speech");
            assert!(wrong < 0.02, "recording {number} at {decibels} dB: {wrong} beside it");
        }
    }
}

#[test]
fn a_word_in_the_first_second_is_heard() {
    for (number, told) in told().iter().enumerate() {
        let first = told.segments[0].clone();
        // The recording begins with the first word.
        let samples = told.pcm.samples()[first.start..].to_vec();
        let heard = live(&Pcm::from_16k_mono(samples));
        let second = &heard[..SAMPLE_RATE / FRAME];
        assert!(second.iter().filter(|heard| **heard).count() > 25, "recording {number}");
    }
}
