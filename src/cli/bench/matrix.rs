//! What each flag lists in, every combination of model, device and dtype that can be had here out, each tried before any is run.

use anyhow::anyhow;

use crate::cli::load::{failure, locate, options};
use crate::cli::{Exit, Failure};
use crate::config::Config;
use crate::model::files::ModelFiles;
use crate::model::whisper::{Forecast, LoadOptions, Whisper};

/// One model on one device.
#[derive(Debug)]
pub struct Cell {
    pub files: ModelFiles,
    pub options: LoadOptions,
    pub forecast: Forecast,
}

impl Cell {
    /// `random:tiny on cpu as f32`.
    pub fn name(&self) -> String {
        format!("{} on {} as {}", self.options.name, self.forecast.device, self.forecast.dtype)
    }
}

/// What a flag was given, commas taken apart; where it was not given, what the settings say.
pub fn listed(flag: &str, given: &[String], configured: &str) -> Result<Vec<String>, Failure> {
    if given.is_empty() {
        return Ok(vec![configured.to_owned()]);
    }
    let mut list: Vec<String> = Vec::new();
    for value in given.iter().flat_map(|text| text.split(',')).map(str::trim) {
        if value.is_empty() {
            return Err(Failure::usage(format!("--{flag} has an empty place in its list")));
        }
        if !list.iter().any(|known| known == value) {
            list.push(value.to_owned());
        }
    }
    Ok(list)
}

/// Numbers as a flag lists them, each once.
pub fn numbers(flag: &str, given: &[usize], least: usize) -> Result<Vec<usize>, Failure> {
    if let Some(small) = given.iter().find(|number| **number < least) {
        return Err(Failure::usage(format!("--{flag} cannot be {small}; the least is {least}")));
    }
    let mut list: Vec<usize> = Vec::new();
    given.iter().for_each(|number| {
        if !list.contains(number) {
            list.push(*number)
        }
    });
    Ok(list)
}

/// What is asked of each combination.
pub struct Wanted {
    pub models: Vec<String>,
    pub devices: Vec<String>,
    pub dtypes: Vec<String>,
    /// Windows at once: each cell has a slot and a lane for each.
    pub most_windows: usize,
}

/// All of them, or the reason why one cannot be had: a benchmark of hours should not end in a device that is not there.
pub fn cells(config: &Config, wanted: &Wanted) -> Result<Vec<Cell>, Failure> {
    let mut cells: Vec<Cell> = Vec::new();
    for model in &wanted.models {
        let mut config = config.clone();
        config.model.name.clone_from(model);
        config.model.slots = wanted.most_windows;
        config.model.lanes = wanted.most_windows;
        config.engine.encode_batch = wanted.most_windows;
        let mut files = None;
        for device in &wanted.devices {
            for dtype in &wanted.dtypes {
                config.model.device.clone_from(device);
                config.model.dtype.clone_from(dtype);
                let options = options(&config)?;
                // Only now: a device that is misspelt should not cost a download.
                let files = match &files {
                    Some(files) => files,
                    None => files.insert(locate(&config)?),
                };
                let forecast = Whisper::forecast(files, &options).map_err(|error| failure(model, error))?;
                let same = |cell: &Cell| {
                    cell.options.name == *model
                        && cell.forecast.device == forecast.device
                        && cell.forecast.dtype == forecast.dtype
                };
                if !cells.iter().any(same) {
                    fits(model, &forecast)?;
                    cells.push(Cell { files: files.clone(), options, forecast });
                }
            }
        }
    }
    Ok(cells)
}

fn fits(model: &str, forecast: &Forecast) -> Result<(), Failure> {
    let gib = |bytes: u64| bytes as f64 / (1u64 << 30) as f64;
    let (weights, others) = (forecast.weight_bytes, forecast.other_bytes);
    match forecast.free_bytes {
        Some(free) if weights + others > free => Err(Failure::new(
            Exit::BadSettings,
            anyhow!(
                "{model} as {} takes some {:.1} GiB ({:.1} of weights, {:.1} of caches and workspace), and {} has {:.1} GiB to give; \
                 a smaller --batch, another --dtype or a smaller --model takes less",
                forecast.dtype,
                gib(weights + others),
                gib(weights),
                gib(others),
                forecast.device,
                gib(free)
            ),
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(list: &[&str]) -> Vec<String> {
        list.iter().map(|text| (*text).to_owned()).collect()
    }

    fn wanted(models: &[&str], devices: &[&str], dtypes: &[&str]) -> Wanted {
        Wanted { models: texts(models), devices: texts(devices), dtypes: texts(dtypes), most_windows: 2 }
    }

    #[test]
    fn a_flag_may_repeat_or_have_commas_and_each_value_counts_once() {
        let list = listed("model", &texts(&["a, b", "c", "a"]), "demo").unwrap();
        assert_eq!(list, ["a", "b", "c"]);
        assert_eq!(listed("model", &[], "demo").unwrap(), ["demo"]);
        assert!(listed("model", &texts(&["a,,b"]), "demo").unwrap_err().to_string().contains("--model"));
        assert_eq!(numbers("batch", &[8, 1, 8], 1).unwrap(), [8, 1]);
        assert!(numbers("batch", &[1, 0], 1).unwrap_err().to_string().contains("--batch"));
    }

    #[test]
    fn every_combination_is_there_and_two_names_of_the_same_are_one() {
        let cells =
            cells(&Config::default(), &wanted(&["random:tiny", "demo"], &["cpu", "cpu"], &["auto", "f32"]));
        let cells = cells.unwrap();
        let named: Vec<(&str, &str, &str)> = cells
            .iter()
            .map(|cell| (cell.options.name.as_str(), cell.forecast.device.as_str(), cell.forecast.dtype))
            .collect();
        assert_eq!(named, [("random:tiny", "cpu", "f32"), ("demo", "cpu", "f32")]);
        assert!(
            cells.iter().all(|cell| cell.options.slots == Some(2) && cell.options.encode_batch == Some(2))
        );
        // As its 37,760,640 parameters take.
        assert_eq!(cells[0].forecast.weight_bytes, 151_042_560);
    }

    #[test]
    fn what_cannot_be_had_is_an_error_before_anything_runs() {
        let refused = |devices: &[&str], dtypes: &[&str]| {
            let failed = cells(&Config::default(), &wanted(&["demo"], devices, dtypes)).unwrap_err();
            assert_eq!(failed.exit, Exit::BadSettings);
            failed.to_string()
        };
        assert!(refused(&["cpu"], &["f32", "q4_0"]).contains("q4_0"));
        assert!(refused(&["cpu"], &["f32", "f16"]).contains("f16"));
        assert!(refused(&["cpu", "toaster"], &["f32"]).contains("toaster"));
        #[cfg(not(feature = "cuda"))]
        assert!(refused(&["cpu", "cuda"], &["f32"]).contains("--features cuda"));
    }

    #[test]
    fn what_memory_does_not_hold_is_said_with_both_numbers() {
        let forecast = Forecast {
            device: "cpu".to_owned(),
            dtype: "f32",
            weight_bytes: 6 << 30,
            other_bytes: 2 << 30,
            free_bytes: Some(4 << 30),
            text_ctx: 448,
        };
        let said = fits("random:large-v3", &forecast).unwrap_err().to_string();
        assert!(said.contains("8.0 GiB") && said.contains("4.0 GiB"), "{said}");
        assert!(fits("random:large-v3", &Forecast { free_bytes: None, ..forecast }).is_ok());
    }
}
