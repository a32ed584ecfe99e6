//! Two pieces of audio that may share some in; how much of the second repeats the first out.

use crate::audio::SAMPLE_RATE;

/// How far a stated overlap may be off: clients count in their own buffers.
const SLACK: usize = SAMPLE_RATE / 10;
/// So much is compared at most: longer than a pause, in which everything is the same, and short enough to try every place.
const COMPARED: usize = 3 * SAMPLE_RATE;
/// How often a comparison looks whether it can be given up.
const LOOK: usize = 512;
/// Two stretches are the same where their difference has no more than this share of their energy: codecs change samples a little.
const SAME: f32 = 0.02;

/// Samples at the beginning of `chunk` that are the end of `before`. Where the two are the same somewhere near `stated`,
/// that many, else `stated` itself: what a client says it repeats is not said twice.
pub fn repeated(before: &[f32], chunk: &[f32], stated: usize) -> usize {
    let most = before.len().min(chunk.len());
    let stated = stated.min(most);
    if stated == 0 {
        return 0;
    }
    if is_same(before, chunk, stated) {
        return stated;
    }
    // The nearest first, so that silence, which is the same everywhere, moves nothing.
    let near = (1..=SLACK).flat_map(|off| [stated.checked_sub(off), stated.checked_add(off)]);
    let mut places = near.flatten().filter(|place| (1..=most).contains(place));
    places.find(|place| is_same(before, chunk, *place)).unwrap_or(stated)
}

/// Whether the last `overlap` samples of one are the first of the other.
fn is_same(before: &[f32], chunk: &[f32], overlap: usize) -> bool {
    let compared = overlap.min(COMPARED);
    let from = before.len() - overlap;
    let pairs = before[from..from + compared].iter().zip(&chunk[..compared]);
    let (mut energy, mut difference) = (0.0_f32, 0.0_f32);
    for (count, (one, other)) in pairs.enumerate() {
        energy += one * one + other * other;
        difference += (one - other) * (one - other);
        // Most places are wrong, and show it early.
        if count % LOOK == LOOK - 1 && difference > 0.5 * energy {
            return false;
        }
    }
    difference <= SAME * energy
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Never twice the same within a second.
    fn sound(samples: usize) -> Vec<f32> {
        let mut state = 1_u32;
        let mut last = 0.0;
        let next = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            last = 0.8 * last + 0.2 * ((state >> 8) as f32 / (1 << 23) as f32 - 1.0);
            last
        };
        (0..samples).map(next).collect()
    }

    #[test]
    fn equal_samples_decide_where_the_stated_time_is_a_little_off() {
        let whole = sound(20_000);
        let (before, chunk) = (&whole[..12_000], &whole[9_000..]);
        for stated in [3_000, 2_000, 4_200, 3_001] {
            assert_eq!(repeated(before, chunk, stated), 3_000, "{stated}");
        }
    }

    #[test]
    fn a_codec_between_them_changes_nothing() {
        let whole = sound(20_000);
        let coarse: Vec<f32> = whole[9_000..].iter().map(|sample| (sample * 64.0).round() / 64.0).collect();
        assert_eq!(repeated(&whole[..12_000], &coarse, 2_700), 3_000);
    }

    #[test]
    fn without_equal_samples_the_stated_time_is_taken() {
        let (before, chunk) = (sound(9_000), vec![0.25; 9_000]);
        assert_eq!(repeated(&before, &chunk, 4_000), 4_000);
        assert_eq!(repeated(&before, &chunk, 0), 0);
    }

    #[test]
    fn no_more_is_dropped_than_there_is() {
        assert_eq!(repeated(&[0.5; 10], &[0.1; 400], 300), 10);
        assert_eq!(repeated(&[], &[0.1; 400], 300), 0);
        assert_eq!(repeated(&[0.5; 400], &[], 300), 0);
    }

    #[test]
    fn a_pause_at_its_beginning_does_not_hide_where_it_lies() {
        let whole = [vec![0.0; 8_000], sound(12_000)].concat();
        assert_eq!(repeated(&whole[..16_000], &whole[2_000..], 13_200), 14_000);
    }

    #[test]
    fn silence_is_as_long_as_it_is_said_to_be() {
        assert_eq!(repeated(&[0.0; 8_000], &[0.0; 8_000], 1_600), 1_600);
    }
}
