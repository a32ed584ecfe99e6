//! A model that fails when it is told to, for rehearsals (debug builds, and the feature `faults`): the wrong answer at a certain call, else the model's own.
//!
//! `REHEARSED_FAULTS=encode:3=oom,step:40=nan,step:90=hang`: the third encoder pass has no memory, the 40th step gives NaN, the 90th
//! never comes back. Calls count from the end of the warm-up, whose number depends on the machine. Also `device` (an error of the driver) and `panic`; stages are `encode`, `step` and `align`.

use std::sync::Arc;

use super::{AlignRow, Alignment, Capacity, Fork, Model, ModelError, Sample, Slot, Step};
use crate::audio::LogMel;

/// Where the plan stands.
pub const VARIABLE: &str = "REHEARSED_FAULTS";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Encode,
    Step,
    Align,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    OutOfMemory,
    Device,
    NotANumber,
    Hang,
    Panic,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fault {
    stage: Stage,
    /// The call at which it comes, counted from 1.
    call: u64,
    kind: Kind,
}

pub struct Faulty {
    model: Box<dyn Model>,
    faults: Vec<Fault>,
    /// `None` while the device is warmed.
    calls: Option<[u64; 3]>,
}

/// `plan`: as in the variable; empty: the model as it is.
pub fn wrap(model: Box<dyn Model>, plan: &str) -> Result<Box<dyn Model>, String> {
    let faults: Vec<Fault> =
        plan.split(',').map(str::trim).filter(|one| !one.is_empty()).map(parse).collect::<Result<_, _>>()?;
    if faults.is_empty() {
        return Ok(model);
    }
    tracing::warn!(plan, "THIS IS A REHEARSAL: the device will fail as planned");
    Ok(Box::new(Faulty { model, faults, calls: None }))
}

fn parse(text: &str) -> Result<Fault, String> {
    let wrong = || format!("'{text}' is no fault; step:40=nan is one");
    let (place, kind) = text.split_once('=').ok_or_else(wrong)?;
    let (stage, call) = place.split_once(':').ok_or_else(wrong)?;
    Ok(Fault {
        stage: match stage {
            "encode" => Stage::Encode,
            "step" => Stage::Step,
            "align" => Stage::Align,
            _ => return Err(wrong()),
        },
        call: call.parse().map_err(|_| wrong())?,
        kind: match kind {
            "oom" => Kind::OutOfMemory,
            "device" => Kind::Device,
            "nan" => Kind::NotANumber,
            "hang" => Kind::Hang,
            "panic" => Kind::Panic,
            _ => return Err(wrong()),
        },
    })
}

impl Faulty {
    /// Counts the call; true: it shall go through, but give NaN.
    fn rehearse(&mut self, stage: Stage) -> Result<bool, ModelError> {
        let Some(calls) = &mut self.calls else { return Ok(false) };
        let call = &mut calls[stage as usize];
        *call += 1;
        let call = *call;
        let fault = self.faults.iter().find(|fault| fault.stage == stage && fault.call == call);
        match fault.map(|fault| fault.kind) {
            None => Ok(false),
            Some(Kind::NotANumber) => Ok(true),
            Some(Kind::OutOfMemory) => Err(ModelError::OutOfMemory("rehearsed".to_owned())),
            Some(Kind::Device) => Err(ModelError::Device("rehearsed".to_owned())),
            Some(Kind::Panic) => panic!("rehearsed"),
            Some(Kind::Hang) => loop {
                std::thread::park();
            },
        }
    }
}

impl Model for Faulty {
    fn warmed(&mut self) {
        self.calls = Some([0; 3]);
        self.model.warmed();
    }

    fn capacity(&self) -> Capacity {
        self.model.capacity()
    }

    fn encode(&mut self, windows: &[(Slot, Arc<LogMel>)]) -> Result<(), ModelError> {
        self.rehearse(Stage::Encode)?;
        self.model.encode(windows)
    }

    fn step(&mut self, forks: &[Fork], steps: &[Step]) -> Result<Vec<Sample>, ModelError> {
        let is_nan = self.rehearse(Stage::Step)?;
        let mut samples = self.model.step(forks, steps)?;
        if is_nan {
            let choices = samples.iter_mut().flat_map(|sample| &mut sample.choices);
            choices.for_each(|choice| choice.logprob = f32::NAN);
        }
        Ok(samples)
    }

    fn align(&mut self, rows: &[AlignRow]) -> Result<Vec<Alignment>, ModelError> {
        self.rehearse(Stage::Align)?;
        self.model.align(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_says_what_fails_where_and_how() {
        let fault = |stage, call, kind| Ok(Fault { stage, call, kind });
        assert_eq!(parse("encode:3=oom"), fault(Stage::Encode, 3, Kind::OutOfMemory));
        assert_eq!(parse("step:40=nan"), fault(Stage::Step, 40, Kind::NotANumber));
        assert_eq!(parse("align:1=hang"), fault(Stage::Align, 1, Kind::Hang));
        for wrong in ["", "step", "step=nan", "step:=nan", "step:x=nan", "step:1=tea", "tea:1=nan"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
