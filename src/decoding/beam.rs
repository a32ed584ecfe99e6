//! Beam search over one window: the likeliest few beginnings are carried on together, and finished texts are gathered.
//!
//! Follows `BeamSearchDecoder` of openai/whisper decoding.py at c0d2f624, lines 302-404, token for token. Two things are
//! done otherwise and change nothing: the prompt is read by one row and copied, where the reference reads it once a beam,
//! and beginnings that are impossible are not carried along.

use crate::model::{Fork, Pick, Sample, Step};
use crate::text::Token;
use crate::transcript::Search as Asked;

use super::search::{Found, Ground, Row, Seat};

#[derive(Clone, Debug)]
pub struct Beams {
    size: usize,
    /// Finished texts that end the search.
    enough: usize,
    /// The likeliest first.
    live: Vec<Beam>,
    finished: Vec<Found>,
    /// What the next step copies, by place among the seat's lanes.
    copies: Vec<Copy>,
    full: bool,
}

#[derive(Clone, Debug, Default)]
struct Beam {
    /// Place among the seat's lanes.
    lane: usize,
    tokens: Vec<Token>,
    logprobs: Vec<f32>,
    sum_logprob: f32,
}

#[derive(Clone, Copy, Debug)]
struct Copy {
    from: usize,
    to: usize,
    positions: usize,
}

/// A beginning with one more token.
struct Candidate {
    parent: usize,
    token: Token,
    logprob: f32,
    sum_logprob: f32,
}

impl Beams {
    pub fn new(asked: &Asked) -> Self {
        let size = asked.beam_size.max(1);
        Beams {
            size,
            // Python's `round`, which takes the even one of two equally near.
            enough: ((size as f32 * asked.patience).round_ties_even() as usize).max(1),
            live: vec![Beam::default()],
            finished: Vec::new(),
            copies: Vec::new(),
            full: false,
        }
    }

    pub fn steps(&self, ground: Ground, seat: Seat) -> (Vec<Fork>, Vec<Step>) {
        let fork = |copy: &Copy| Fork {
            from: seat.lanes[copy.from],
            to: seat.lanes[copy.to],
            positions: copy.positions,
        };
        let step = |(index, beam): (usize, &Beam)| {
            // One more than there are beams: one of them may be the end of the text.
            let pick = Pick::Likeliest(self.size + 1);
            Row { seat, lane: seat.lanes[beam.lane], tokens: &beam.tokens, pick }.step(ground, index == 0)
        };
        (self.copies.iter().map(fork).collect(), self.live.iter().enumerate().map(step).collect())
    }

    pub fn take(&mut self, ground: Ground, samples: &[Sample]) {
        let end = ground.rules.specials().end_of_text;
        let mut kept: Vec<Candidate> = Vec::with_capacity(self.size);
        for candidate in self.candidates(samples) {
            if candidate.token == end {
                // Those that end come in order, the likeliest first, and only as many as there is patience for.
                if self.finished.len() < self.enough {
                    let Beam { tokens, logprobs, .. } = self.live[candidate.parent].clone();
                    let sum_logprob = candidate.sum_logprob;
                    self.finished.push(Found { tokens, logprobs, sum_logprob, ended: true });
                }
            } else {
                kept.push(candidate);
                if kept.len() == self.size {
                    break;
                }
            }
        }
        self.carry_on(ground, &kept);
        let length = self.live.first().map_or(0, |beam| beam.tokens.len());
        self.full = ground.is_full(length);
    }

    pub fn is_done(&self) -> bool {
        self.full || self.live.is_empty() || self.finished.len() >= self.enough
    }

    pub fn give_up(&mut self, hopeless: impl Fn(&[Token]) -> bool) {
        // The likeliest decides: where it goes round in circles, so do those that follow it.
        self.full |= self.live.first().is_some_and(|beam| hopeless(&beam.tokens));
    }

    pub fn texts(&self) -> impl Iterator<Item = &[Token]> {
        self.live.iter().map(|beam| beam.tokens.as_slice())
    }

    /// All finished texts; where they are fewer than there are beams, the likeliest unfinished ones beside them.
    pub fn finish(self) -> Vec<Found> {
        let mut texts = self.finished;
        for beam in self.live {
            if texts.len() >= self.size {
                break;
            }
            let Beam { tokens, logprobs, sum_logprob, .. } = beam;
            texts.push(Found { tokens, logprobs, sum_logprob, ended: false });
        }
        texts
    }

    /// Every beginning with every token that may follow it, the likeliest first; equal ones in the order of their beams.
    fn candidates(&self, samples: &[Sample]) -> Vec<Candidate> {
        let mut candidates: Vec<Candidate> = Vec::with_capacity(self.live.len() * (self.size + 1));
        for (parent, (beam, sample)) in self.live.iter().zip(samples).enumerate() {
            candidates.extend(sample.choices.iter().map(|choice| Candidate {
                parent,
                token: choice.token,
                logprob: choice.logprob,
                sum_logprob: beam.sum_logprob + choice.logprob,
            }));
        }
        candidates.sort_by(|a, b| b.sum_logprob.total_cmp(&a.sum_logprob));
        candidates
    }

    /// The first child of a beam stays in its lane; the others get lanes that nobody carries on, with a copy. So no copy
    /// overwrites what another one reads.
    fn carry_on(&mut self, ground: Ground, kept: &[Candidate]) {
        let survives = |lane: usize| kept.iter().any(|candidate| self.live[candidate.parent].lane == lane);
        let mut free = (0..self.size).filter(|lane| !survives(*lane)).collect::<Vec<_>>().into_iter();
        let mut taken = vec![false; self.live.len()];
        let mut next = Vec::with_capacity(kept.len());
        self.copies.clear();
        for candidate in kept {
            let parent = &self.live[candidate.parent];
            let mut lane = parent.lane;
            if std::mem::replace(&mut taken[candidate.parent], true) {
                lane = free.next().expect("there are as many lanes as beams");
                // All that the parent has read: its prompt and its tokens.
                let positions = ground.prompt.tokens.len() + parent.tokens.len();
                self.copies.push(Copy { from: parent.lane, to: lane, positions });
            }
            let tokens = [parent.tokens.as_slice(), &[candidate.token]].concat();
            let logprobs = [parent.logprobs.as_slice(), &[candidate.logprob]].concat();
            next.push(Beam { lane, tokens, logprobs, sum_logprob: candidate.sum_logprob });
        }
        self.live = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decoding::{Prompt, Request, Rules, for_tests};
    use crate::model::{Choice, Lane, Slot};
    use crate::transcript::Tokens;

    const END: Token = 100;
    const LANES: [Lane; 3] = [Lane(4), Lane(6), Lane(9)];

    fn seat() -> Seat<'static> {
        Seat { slot: Slot(2), lanes: &LANES }
    }

    fn asked(beam_size: usize, patience: f32) -> Asked {
        Asked { beam_size, patience, ..Asked::default() }
    }

    fn sample(choices: &[(Token, f32)]) -> Sample {
        let choice = |(token, logprob): &(Token, f32)| Choice { token: *token, logprob: *logprob };
        Sample { choices: choices.iter().map(choice).collect(), probe: None }
    }

    fn on_ground(test: impl FnOnce(Ground)) {
        let rules: std::sync::Arc<Rules> = for_tests::rules();
        let policy = rules.policy(&Tokens { without_timestamps: true, ..Tokens::default() }).unwrap();
        let prompt =
            Prompt::new(&rules, &Request { policy: policy.clone(), ..Request::default() }, Some(102));
        test(Ground { rules: &rules, policy: &policy, prompt: &prompt });
    }

    #[test]
    fn one_row_reads_the_prompt_and_the_beams_part_from_it() {
        on_ground(|ground| {
            let mut beams = Beams::new(&asked(3, 1.0));
            let (forks, steps) = beams.steps(ground, seat());
            assert!(forks.is_empty());
            assert_eq!(
                (steps.len(), steps[0].lane, steps[0].tokens.as_slice()),
                (1, Lane(4), &[101, 102, 106, 110][..])
            );
            assert_eq!(steps[0].pick, Pick::Likeliest(4));
            beams.take(ground, &[sample(&[(1, -0.1), (2, -0.5), (3, -1.0), (4, -2.0)])]);
            let (forks, steps) = beams.steps(ground, seat());
            let fork = |to| Fork { from: Lane(4), to: Lane(to), positions: 4 };
            assert_eq!(forks, [fork(6), fork(9)]);
            let rows: Vec<_> =
                steps.iter().map(|step| (step.lane.0, step.position, step.tokens[0])).collect();
            assert_eq!(rows, [(4, 4, 1), (6, 4, 2), (9, 4, 3)]);
        });
    }

    #[test]
    fn a_lane_that_dies_is_given_to_the_second_child_of_another() {
        on_ground(|ground| {
            let mut beams = Beams::new(&asked(3, 1.0));
            beams.take(ground, &[sample(&[(1, -0.1), (2, -0.5), (3, -1.0)])]);
            // The second beam's children are all worse than the first's and the third's.
            beams.take(
                ground,
                &[
                    sample(&[(11, -0.1), (12, -0.2)]),
                    sample(&[(21, -9.0), (22, -9.5)]),
                    sample(&[(31, -0.1), (32, -5.0)]),
                ],
            );
            let (forks, steps) = beams.steps(ground, seat());
            assert_eq!(forks, [Fork { from: Lane(4), to: Lane(6), positions: 5 }]);
            let rows: Vec<_> = steps.iter().map(|step| (step.lane.0, step.tokens[0])).collect();
            assert_eq!(rows, [(4, 11), (6, 12), (9, 31)]);
        });
    }

    #[test]
    fn the_search_ends_when_enough_texts_have_ended_and_the_best_by_length_wins() {
        on_ground(|ground| {
            let mut beams = Beams::new(&asked(2, 1.0));
            beams.take(ground, &[sample(&[(1, -0.5), (END, -0.6), (2, -1.0)])]);
            assert!(!beams.is_done());
            beams.take(ground, &[sample(&[(END, -0.1), (3, -3.0)]), sample(&[(4, -0.1), (END, -4.0)])]);
            assert!(beams.is_done());
            let texts = beams.finish();
            let tokens: Vec<&[Token]> = texts.iter().map(|found| found.tokens.as_slice()).collect();
            assert_eq!(tokens, [&[][..], &[1][..]]);
            assert!(texts.iter().all(|found| found.ended));
        });
    }

    #[test]
    fn patience_waits_for_more_and_an_unfinished_text_stands_in_for_none() {
        on_ground(|ground| {
            let mut beams = Beams::new(&asked(2, 2.0));
            assert_eq!(beams.enough, 4);
            beams.take(ground, &[sample(&[(1, -0.5), (END, -0.6), (2, -1.0)])]);
            assert_eq!((beams.finished.len(), beams.is_done()), (1, false));
            let texts = beams.finish();
            assert_eq!(texts.iter().map(|found| found.ended).collect::<Vec<_>>(), [true, false]);
        });
        assert_eq!(Beams::new(&asked(5, 0.5)).enough, 2);
    }

    #[test]
    fn a_finished_text_counts_only_where_it_is_likelier_than_the_last_beam_kept() {
        on_ground(|ground| {
            let mut beams = Beams::new(&asked(2, 1.0));
            beams.take(ground, &[sample(&[(1, -0.1), (2, -0.2), (END, -0.3)])]);
            assert!(beams.finished.is_empty());
        });
    }
}
