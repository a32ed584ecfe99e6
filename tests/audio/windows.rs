//! Sentences with short pauses between them in; windows out, none of which begins or ends within a word.

use std::ops::Range;
use std::time::Duration;

use verbatim::audio::{Pcm, SAMPLE_RATE, Timeline, speech};
use verbatim::transcript::Speech;

use super::Dice;
use super::speech::{Told, told};

/// Sentences in any order with pauses of 0.25 to 0.6 s, over hiss; and where their words are.
fn talk(told: &[Told], seconds: usize, hiss: f32, dice: &mut Dice) -> (Pcm, Vec<Range<usize>>) {
    let (mut samples, mut words) = (Vec::new(), Vec::new());
    while samples.len() < seconds * SAMPLE_RATE {
        let one = &told[dice.below(told.len())];
        let segment = &one.segments[dice.below(one.segments.len())];
        let at = samples.len();
        let within = one.words.iter().filter(|word| segment.start <= word.start && word.end <= segment.end);
        words.extend(within.map(|word| at + word.start - segment.start..at + word.end - segment.start));
        samples.extend_from_slice(&one.pcm.samples()[segment.clone()]);
        samples.resize(samples.len() + SAMPLE_RATE / 4 + dice.below(SAMPLE_RATE * 7 / 20), 0.0);
    }
    let mut noise = || ((dice.roll() >> 40) as f32 / (1 << 23) as f32 - 1.0) * hiss;
    samples.iter_mut().for_each(|sample| *sample += noise());
    (Pcm::from_16k_mono(samples), words)
}

/// The edges of the windows, and those of them that lie more than 30 ms inside a word: its last sound
/// fades away in the hiss before the synthesiser calls it over.
fn edges(timeline: &Timeline, pcm: &Pcm, longest: u64, words: &[Range<usize>]) -> (usize, Vec<usize>) {
    let windows = timeline.windows(pcm, Duration::from_secs(longest));
    let ends: Vec<usize> = windows[..windows.len() - 1]
        .iter()
        .flat_map(|window| window.pieces().last())
        .map(|piece| piece.end)
        .collect();
    let within = |end: &&usize| words.iter().any(|word| word.start + 480 < **end && **end + 480 < word.end);
    (ends.len(), ends.iter().filter(within).copied().collect())
}

#[test]
fn of_a_thousand_cuts_none_goes_through_a_word() {
    let (told, mut dice, mut made) = (told(), Dice(3), 0);
    for (longest, seconds) in [(30, 7_200), (8, 4_800)] {
        for hiss in [0.0, 0.01] {
            let (pcm, words) = talk(&told, seconds, hiss, &mut dice);
            let (cuts, wrong) = edges(&Timeline::whole(&pcm), &pcm, longest, &words);
            made += cuts;
            assert!(wrong.is_empty(), "windows of {longest} s, hiss {hiss}: {} of {cuts} cuts", wrong.len());
        }
    }
    assert!(made > 1000, "{made} cuts");
}

#[test]
fn speech_cut_out_of_silence_is_cut_between_words_too() {
    let (told, mut dice) = (told(), Dice(8));
    let (pcm, words) = talk(&told, 600, 0.003, &mut dice);
    // A minute of silence every two minutes, so that there are several pieces.
    let mut samples = pcm.samples().to_vec();
    let pauses: Vec<Range<usize>> =
        words.windows(2).map(|pair| pair[0].end..pair[1].start).filter(|gap| gap.len() > 3200).collect();
    let holes: Vec<usize> = pauses.iter().step_by(30).map(|gap| gap.start.midpoint(gap.end)).collect();
    for hole in holes.iter().rev() {
        samples.splice(*hole..*hole, vec![0.0; 5 * SAMPLE_RATE]);
    }
    let moved = |at: usize| at + holes.iter().filter(|hole| **hole <= at).count() * 5 * SAMPLE_RATE;
    let words: Vec<_> = words.iter().map(|word| moved(word.start)..moved(word.end)).collect();
    let pcm = Pcm::from_16k_mono(samples);
    let how = Speech::default();
    let timeline = Timeline::of_speech(&speech(&pcm, &how), pcm.samples().len(), &how);
    assert!(timeline.pieces().len() > holes.len() / 2);
    for longest in [30, 8] {
        let (cuts, wrong) = edges(&timeline, &pcm, longest, &words);
        assert!(wrong.is_empty(), "windows of {longest} s: {} of {cuts} cuts", wrong.len());
    }
}
