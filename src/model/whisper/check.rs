//! A checkpoint's files in; out, everything for which the loader would refuse them, without a device and without their numbers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{DType, Device, Result, Shape, Tensor};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder};

use super::load::{self, LoadError};
use crate::model::files::ModelFiles;
use crate::model::header::{self, Described};
use crate::model::kernels::{Kept, Way};

/// Kinds of numbers that the loader reads.
const READ: &[&str] = &["F32", "F16", "BF16", "F64"];

/// What was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checked {
    pub parameters: u64,
    /// Of the files.
    pub tensors: usize,
    /// What most of the tensors' numbers are: `F32`, `F16`, ...
    pub kind: String,
    /// A sentence for each tensor that is missing or is not what the network takes.
    pub problems: Vec<String>,
}

/// `Err` where the files themselves are missing or broken.
pub fn check(files: &ModelFiles) -> std::result::Result<Checked, LoadError> {
    let config = load::read_config(files)?;
    load::read_generation(files)?;
    let tensors = header::inventory(files)?.tensors;
    let mut checked = Checked {
        parameters: config.parameters(),
        tensors: tensors.len(),
        kind: commonest(&tensors),
        problems: Vec::new(),
    };
    if let ModelFiles::Random(_) = files {
        return Ok(checked);
    }
    let problems = Arc::default();
    let listed = Listed { tensors, problems: Arc::clone(&problems) };
    // Bytes, for nobody computes with them: the largest model takes some 400 MB of zeros for a moment.
    let vb = VarBuilder::from_backend(Box::new(listed), DType::U8, Device::Cpu);
    let way = Way { fast: false, kept: Kept::F32 };
    let built = load::build(vb, &config, way);
    checked.problems = std::mem::take(&mut *problems.lock().unwrap_or_else(PoisonError::into_inner));
    // What is listed there is not said twice.
    if let (Err(error), true) = (built, checked.problems.is_empty()) {
        checked.problems.push(error.to_string());
    }
    Ok(checked)
}

/// As `Checked::kind`, by the header alone.
pub fn kind(files: &ModelFiles) -> std::result::Result<String, LoadError> {
    Ok(commonest(&header::inventory(files)?.tensors))
}

fn commonest(tensors: &BTreeMap<String, Described>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    tensors.values().for_each(|tensor| *counts.entry(&tensor.kind).or_default() += 1);
    counts.into_iter().max_by_key(|(_, count)| *count).map_or_else(String::new, |(kind, _)| kind.to_owned())
}

/// Gives a tensor of zeros for each that is asked for, and notes what the files have instead.
struct Listed {
    tensors: BTreeMap<String, Described>,
    problems: Arc<Mutex<Vec<String>>>,
}

impl Listed {
    fn problem(&self, shape: &Shape, name: &str) -> Option<String> {
        let Some(Described { kind, shape: has }) = self.tensors.get(name) else {
            return Some(format!("there is no tensor {name}, of {:?}", shape.dims()));
        };
        if has != shape.dims() {
            return Some(format!("the tensor {name} is {has:?}, and the network takes {:?}", shape.dims()));
        }
        (!READ.contains(&kind.as_str())).then(|| format!("the tensor {name} is {kind}, which is not read"))
    }
}

impl SimpleBackend for Listed {
    fn get(&self, shape: Shape, name: &str, _: Init, dtype: DType, device: &Device) -> Result<Tensor> {
        if let Some(problem) = self.problem(&shape, name) {
            self.problems.lock().unwrap_or_else(PoisonError::into_inner).push(problem);
        }
        // One number, seen everywhere.
        Tensor::zeros((), dtype, device)?.broadcast_as(shape)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> Result<Tensor> {
        candle_core::bail!("{name} was asked for without a shape")
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_model_has_all_that_its_network_takes() {
        let checked = check(&ModelFiles::Demo).unwrap();
        assert_eq!(checked.problems, [""; 0]);
        assert!(checked.tensors > 50 && checked.kind == "F16", "{checked:?}");
    }

    #[test]
    fn every_tensor_that_is_missing_or_of_another_shape_is_named() {
        let listed = Listed {
            tensors: BTreeMap::from([
                ("a".to_owned(), Described { kind: "F32".to_owned(), shape: vec![2, 3] }),
                ("b".to_owned(), Described { kind: "I64".to_owned(), shape: vec![2] }),
            ]),
            problems: Arc::default(),
        };
        let problem = |name, shape: &[usize]| listed.problem(&Shape::from(shape), name).unwrap_or_default();
        assert_eq!(problem("a", &[2, 3]), "");
        assert!(problem("a", &[3, 2]).contains("[2, 3]") && problem("a", &[3, 2]).contains("[3, 2]"));
        assert!(problem("b", &[2]).contains("I64"));
        assert!(problem("c", &[2]).contains("no tensor c"));
    }
}
