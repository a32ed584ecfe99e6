//! A model that has done nothing yet in, one that has worked at every batch size it will meet out, and which of them fit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::turn::is_no_number;
use crate::audio::{LogMel, WINDOW_FRAMES};
use crate::model::{AlignRow, Capacity, Constraint, Lane, Model, ModelError, Pick, Slot, Step};
use crate::text::Token;

/// What the model is warmed with; what it says to it does not matter.
#[derive(Clone, Debug)]
pub struct WarmUp {
    pub mel: Arc<LogMel>,
    /// A start sequence.
    pub tokens: Vec<Token>,
    /// As in `AlignRow`.
    pub text_below: Token,
    /// Larger batches are left out once this time is over. On a GPU kernels are compiled, chosen and given their workspace by size,
    /// and a size that does not fit is better met now than by a caller; on a CPU there is nothing of this, and a window may take
    /// a minute.
    pub budget: Option<Duration>,
}

/// The largest batches of a model's calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Of an encoder pass and of an alignment.
    pub windows: usize,
    /// Of a decoder step.
    pub rows: usize,
}

/// Warmed, and what was found to fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Warmed {
    pub tried: Sizes,
    pub fits: Sizes,
}

/// Every size from 1 to `most`, doubling, the small ones of both kinds first. One window for which there is no room is an error; a
/// larger batch is the news of what fits.
pub fn run(
    model: &mut dyn Model,
    with: &WarmUp,
    most: Sizes,
    mut beat: impl FnMut(),
) -> Result<Warmed, ModelError> {
    let started = Instant::now();
    let mut warmed = Warmed { tried: Sizes::default(), fits: most };
    let mut calls: Vec<(usize, Call)> = Vec::new();
    calls.extend(ladder(most.windows).into_iter().map(|size| (size, Call::Windows)));
    calls.extend(ladder(most.rows).into_iter().map(|size| (size, Call::Rows)));
    calls.sort();
    for (size, call) in calls {
        let is_late = with.budget.is_some_and(|budget| started.elapsed() >= budget);
        if size > 1 && is_late {
            break;
        }
        let (tried, fits) = match call {
            Call::Windows => (&mut warmed.tried.windows, &mut warmed.fits.windows),
            Call::Rows => (&mut warmed.tried.rows, &mut warmed.fits.rows),
        };
        if size > *fits {
            continue;
        }
        let done = match call {
            Call::Windows => windows(model, with, size),
            Call::Rows => rows(model, with, size),
        };
        match done {
            Err(ModelError::OutOfMemory(_)) if size > 1 => *fits = *tried,
            done => {
                done?;
                *tried = size;
            }
        }
        beat();
    }
    Ok(warmed)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Call {
    Windows,
    Rows,
}

/// 1, 2, 4 and so on, and `top`.
fn ladder(top: usize) -> Vec<usize> {
    let below = std::iter::successors(Some(1), |size| Some(size * 2)).take_while(|size| *size < top);
    below.chain([top.max(1)]).collect()
}

/// Encodes so many windows, and aligns a text with each.
fn windows(model: &mut dyn Model, with: &WarmUp, size: usize) -> Result<(), ModelError> {
    let windows: Vec<(Slot, Arc<LogMel>)> = (0..size).map(|slot| (Slot(slot), with.mel.clone())).collect();
    model.encode(&windows)?;
    let row = |at: usize| AlignRow {
        slot: Slot(at),
        lane: Lane(at),
        tokens: with.tokens.clone(),
        frames: WINDOW_FRAMES / 2,
        text_below: with.text_below,
    };
    model.align(&(0..size).map(row).collect::<Vec<_>>()).map(drop)
}

/// So many rows read the start sequence, and then one token more.
fn rows(model: &mut dyn Model, with: &WarmUp, size: usize) -> Result<(), ModelError> {
    let Capacity { slots, .. } = model.capacity();
    let step = |at: usize, position: usize, tokens: &[Token]| Step {
        slot: Slot(at % slots),
        lane: Lane(at),
        position,
        tokens: tokens.to_vec(),
        constraint: Constraint::default(),
        pick: Pick::Likeliest(1),
        probe: None,
    };
    let start: Vec<Step> = (0..size).map(|at| step(at, 0, &with.tokens)).collect();
    let next: Vec<Step> = (0..size).map(|at| step(at, with.tokens.len(), &with.tokens[..1])).collect();
    for steps in [start, next] {
        if model.step(&[], &steps)?.iter().any(is_no_number) {
            return Err(ModelError::Device("the network gave NaN while it was warmed".to_owned()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Alignment, Choice, Fork, Sample};

    /// Has room for so many of each, and remembers what it was asked.
    struct Small {
        room: Sizes,
        asked: Vec<(Call, usize)>,
        logprob: f32,
    }

    impl Small {
        fn fits(&mut self, call: Call, size: usize) -> Result<(), ModelError> {
            self.asked.push((call, size));
            let room = if call == Call::Windows { self.room.windows } else { self.room.rows };
            if size > room { Err(ModelError::OutOfMemory("small".to_owned())) } else { Ok(()) }
        }
    }

    impl Model for Small {
        fn capacity(&self) -> Capacity {
            Capacity { slots: 6, lanes: 11 }
        }

        fn encode(&mut self, windows: &[(Slot, Arc<LogMel>)]) -> Result<(), ModelError> {
            self.fits(Call::Windows, windows.len())
        }

        fn step(&mut self, _: &[Fork], steps: &[Step]) -> Result<Vec<Sample>, ModelError> {
            self.fits(Call::Rows, steps.len())?;
            assert!(steps.iter().all(|step| step.slot.0 < 6 && step.lane.0 < 11));
            let choices = vec![Choice { token: 0, logprob: self.logprob }];
            Ok(vec![Sample { choices, probe: None }; steps.len()])
        }

        fn align(&mut self, rows: &[AlignRow]) -> Result<Vec<Alignment>, ModelError> {
            assert!(rows.iter().all(|row| row.slot.0 < 6));
            Ok(Vec::new())
        }
    }

    const MOST: Sizes = Sizes { windows: 6, rows: 11 };

    fn small(windows: usize, rows: usize) -> Small {
        Small { room: Sizes { windows, rows }, asked: Vec::new(), logprob: -0.1 }
    }

    fn silence(budget: Option<Duration>) -> WarmUp {
        let mel = Arc::new(LogMel::new(80, Vec::new()));
        WarmUp { mel, tokens: vec![1, 2, 3], text_below: 1, budget }
    }

    fn sizes(model: &Small, call: Call) -> Vec<usize> {
        let mut sizes: Vec<usize> =
            model.asked.iter().filter(|(one, _)| *one == call).map(|(_, size)| *size).collect();
        sizes.dedup();
        sizes
    }

    #[test]
    fn every_size_up_to_the_top_is_run_and_the_top_itself() {
        let mut model = small(99, 99);
        let mut beats = 0;
        let warmed = run(&mut model, &silence(None), MOST, || beats += 1).unwrap();
        assert_eq!(warmed, Warmed { tried: MOST, fits: MOST });
        assert_eq!(sizes(&model, Call::Windows), [1, 2, 4, 6]);
        assert_eq!(sizes(&model, Call::Rows), [1, 2, 4, 8, 11]);
        assert_eq!(beats, 9);
        assert_eq!((ladder(1), ladder(8)), (vec![1], vec![1, 2, 4, 8]));
    }

    #[test]
    fn what_does_not_fit_is_learnt_before_anybody_comes() {
        let mut model = small(3, 9);
        let warmed = run(&mut model, &silence(None), MOST, || {}).unwrap();
        assert_eq!(warmed.fits, Sizes { windows: 2, rows: 8 });
        assert_eq!(sizes(&model, Call::Windows), [1, 2, 4]);
    }

    #[test]
    fn a_device_without_room_for_one_window_or_with_nan_is_an_error() {
        let full = run(&mut small(0, 9), &silence(None), MOST, || {});
        assert!(matches!(full, Err(ModelError::OutOfMemory(_))));
        let mut broken = Small { logprob: f32::NAN, ..small(9, 99) };
        assert!(matches!(run(&mut broken, &silence(None), MOST, || {}), Err(ModelError::Device(_))));
    }

    #[test]
    fn where_time_is_short_one_of_each_is_run_all_the_same() {
        let mut model = small(99, 99);
        let warmed = run(&mut model, &silence(Some(Duration::ZERO)), MOST, || {}).unwrap();
        assert_eq!(warmed, Warmed { tried: Sizes { windows: 1, rows: 1 }, fits: MOST });
    }
}
