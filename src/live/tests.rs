//! Takes and agreements under every order, repetition and cut that chance makes up.

use std::time::Duration;

use proptest::prelude::*;

use super::agreement::{Agreement, Said, text};
use super::difference::{Change, Kind, difference};
use super::take::{Content, Digest, Offer, Piece, Refusal, Take};

fn digest(seq: u64) -> Digest {
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&seq.to_le_bytes());
    digest
}

fn piece(samples: &[f32], overlap: usize) -> Piece {
    Piece { content: Content::Samples(samples.to_vec()), overlap }
}

/// No two stretches of it are alike.
fn sound(samples: usize) -> Vec<f32> {
    let next = |index: usize| ((index as u64).wrapping_mul(2_654_435_761) % 65_521) as f32 / 65_521.0 - 0.5;
    (0..samples).map(next).collect()
}

fn send(take: &mut Take, seq: u64, piece: Piece) -> Result<Offer, Refusal> {
    let offer = take.offer(seq, &digest(seq))?;
    if offer == Offer::New {
        take.put(seq, digest(seq), piece);
    }
    Ok(offer)
}

proptest! {
    #[test]
    fn any_order_and_any_repetition_gives_the_take_in_order(
        cuts in prop::collection::vec(200_usize..900, 1..24),
        overlap in 0_usize..150,
        order in prop::collection::vec((0_u64..24, any::<bool>()), 0..80),
    ) {
        let whole = sound(cuts.iter().sum());
        let mut from = 0;
        let mut pieces = Vec::new();
        for cut in &cuts {
            let repeats = overlap.min(from);
            pieces.push(piece(&whole[from - repeats..from + cut], repeats));
            from += cut;
        }
        let mut take = Take::new(4);
        for (seq, _) in order {
            if let Some(piece) = pieces.get(seq as usize) {
                let next = take.next();
                match send(&mut take, seq, piece.clone()) {
                    Ok(_) => prop_assert!(seq <= next + 4),
                    Err(refusal) => prop_assert_eq!(refusal, Refusal::TooFar { seq, expected: next, most: 4 }),
                }
            }
        }
        // What it says is missing, and then what it expects, completes it.
        while take.next() < pieces.len() as u64 {
            let mut wanted = take.missing(None);
            wanted.push(take.next());
            for seq in wanted {
                prop_assert!(send(&mut take, seq, pieces[seq as usize].clone()).is_ok());
            }
        }
        prop_assert!(take.missing(Some(pieces.len() as u64)).is_empty());
        prop_assert_eq!(take.samples(), &whole[..]);
    }

    #[test]
    fn what_is_committed_is_never_taken_back(
        hypotheses in prop::collection::vec(
            (prop::collection::vec((0_u8..6, 50_u64..900, 0_u64..700), 0..12), 100_u64..6_000),
            1..30,
        ),
    ) {
        let mut agreement = Agreement::default();
        let mut end = Duration::ZERO;
        for (words, more) in hypotheses {
            end += Duration::from_millis(more);
            let mut at = agreement.from();
            let mut said = Vec::new();
            for (name, length, pause) in words {
                let start = at + Duration::from_millis(pause);
                at = start + Duration::from_millis(length);
                said.push(Said { text: format!(" {name}"), start, end: at });
            }
            let (before, from) = (agreement.committed().to_vec(), agreement.from());
            agreement.update(said, end);
            prop_assert_eq!(&agreement.committed()[..before.len()], &before[..]);
            prop_assert!(agreement.from() >= from);
            prop_assert!(agreement.heard() - agreement.from().min(end) <= Duration::from_secs(28));
        }
    }

    #[test]
    fn a_difference_turns_one_text_into_the_other(
        live in prop::collection::vec("[abc]", 0..20),
        finished in prop::collection::vec("[abc]", 0..20),
    ) {
        let mut words: Vec<String> = live.clone();
        for change in difference(&live.join(" "), &finished.join(" ")).into_iter().rev() {
            let gone = change.live.split_whitespace().count();
            let come: Vec<String> = change.finished.split_whitespace().map(str::to_owned).collect();
            words.splice(change.at..change.at + gone, come);
        }
        prop_assert_eq!(words, finished);
    }
}

#[test]
fn the_same_number_with_other_bytes_is_refused_by_name() {
    let mut take = Take::new(4);
    send(&mut take, 0, piece(&[0.5; 100], 0)).unwrap();
    assert_eq!(take.offer(0, &digest(0)), Ok(Offer::Duplicate));
    assert_eq!(take.offer(0, &digest(7)), Err(Refusal::Conflict { seq: 0 }));
    assert_eq!(take.samples().len(), 100);
}

#[test]
fn a_gap_is_named_and_what_waits_is_kept() {
    let mut take = Take::new(8);
    for seq in [0, 2, 3, 6] {
        send(&mut take, seq, piece(&[0.5; 100], 0)).unwrap();
    }
    assert_eq!((take.next(), take.missing(None), take.samples().len()), (1, vec![1, 4, 5], 100));
    assert_eq!(take.missing(Some(9)), [1, 4, 5, 7, 8]);
    assert_eq!(take.bytes(), 1_600);
    send(&mut take, 1, piece(&[0.5; 100], 0)).unwrap();
    assert_eq!((take.next(), take.missing(None), take.samples().len()), (4, vec![4, 5], 400));
    // Silence stands in for what never came.
    let closed = take.closed().samples;
    assert_eq!(
        (&closed[..400], &closed[400..600], &closed[600..]),
        (&[0.5; 400][..], &[0.0; 200][..], &[0.5; 100][..])
    );
    assert_eq!((take.next(), take.samples().len()), (4, 400));
}

#[test]
fn pieces_of_a_file_that_grows_are_joined_as_bytes() {
    let mut take = Take::new(8);
    for (seq, bytes) in [(1, b"cd"), (0, b"ab"), (2, b"ef")] {
        let piece = Piece { content: Content::Bytes(bytes.to_vec()), overlap: 0 };
        take.put(seq, digest(seq), piece);
    }
    assert_eq!(take.stream(), b"abcdef");
}

/// Words of 300 ms from `start` on, one after the other.
fn said(start: u64, words: &str) -> Vec<Said> {
    let at = |index: usize| Duration::from_millis(start + 300 * index as u64);
    let said = |(index, word)| Said { text: format!(" {word}"), start: at(index), end: at(index + 1) };
    words.split_whitespace().enumerate().map(said).collect()
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn two_hypotheses_in_a_row_commit_what_they_agree_on() {
    let mut agreement = Agreement::default();
    agreement.update(said(200, "The patient takes cap."), millis(1_500));
    assert_eq!(
        (text(agreement.committed()), text(agreement.tentative())),
        (String::new(), "The patient takes cap.".into())
    );
    agreement.update(said(200, "The patient takes capsules twice"), millis(3_000));
    assert_eq!(text(agreement.committed()), "The patient takes");
    assert_eq!(text(agreement.tentative()), "capsules twice");
    agreement.update(said(200, "The patient takes capsules twice a day."), millis(4_500));
    assert_eq!(text(agreement.committed()), "The patient takes capsules twice");
    // Punctuation is no disagreement, and the later of two spellings is taken.
    agreement.update(said(200, "The patient takes capsules twice a day"), millis(6_000));
    assert_eq!(text(agreement.committed()), "The patient takes capsules twice a day");
    assert_eq!(text(agreement.tentative()), "");
}

#[test]
fn the_window_is_cut_in_a_pause_and_a_word_said_twice_stays_twice() {
    let mut agreement = Agreement::default();
    let number = "number five five six";
    agreement.update(said(200, number), millis(3_000));
    agreement.update(said(200, number), millis(6_000));
    assert_eq!(text(agreement.committed()), number);
    // Both have listened to a second before the end of the first, and heard nothing more.
    assert_eq!(agreement.from(), millis(1_700));
    agreement.update(said(6_500, "six more"), millis(9_000));
    agreement.update(said(6_500, "six more"), millis(12_000));
    assert_eq!(text(agreement.committed()), "number five five six six more");
    assert!(agreement.from() >= millis(6_200), "{:?}", agreement.from());
}

#[test]
fn silence_moves_the_window_on() {
    let mut agreement = Agreement::default();
    for end in (3..=90).step_by(3) {
        agreement.update(Vec::new(), Duration::from_secs(end));
    }
    assert!(agreement.from() >= Duration::from_secs(85), "{:?}", agreement.from());
}

#[test]
fn who_never_pauses_and_is_never_understood_twice_the_same_is_heard_all_the_same() {
    let mut agreement = Agreement::default();
    for round in 1..=20_u64 {
        let end = Duration::from_secs(3 * round);
        let from = agreement.from().as_millis() as u64;
        let count = (end.as_millis() as u64 - from) / 300;
        let words: Vec<String> = (0..count).map(|word| format!("w{round}x{word}")).collect();
        agreement.update(said(from, &words.join(" ")), end);
        assert!(end - agreement.from() <= Duration::from_secs(28), "round {round}");
    }
    let spoken = agreement.committed().len() + agreement.tentative().len();
    assert!((170..=230).contains(&spoken), "{spoken} of 200 words");
}

#[test]
fn a_difference_names_words_and_where_they_stand() {
    assert_eq!(difference("the same", "the same"), []);
    let changes = difference("no pain cold ten past", "No pain warm, ten minutes past");
    let change = |kind, at, live: &str, finished: &str| Change {
        kind,
        at,
        live: live.to_owned(),
        finished: finished.to_owned(),
    };
    assert_eq!(
        changes,
        [
            change(Kind::Replace, 0, "no", "No"),
            change(Kind::Replace, 2, "cold", "warm,"),
            change(Kind::Insert, 4, "", "minutes"),
        ]
    );
}
