//! The processor and the memory in; whether they can carry the model, and whether our kernels compute right on them, out.

use crate::cli::{load, machine};
use crate::model::kernels::trial::{self, Agreement};
use crate::model::whisper::Whisper;
use crate::telemetry::limits;
use crate::vector;

use super::case::Case;
use super::finding::Finding;

const MIB: u64 = 1 << 20;

pub fn processor(_: &Case) -> Finding {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = rayon::current_num_threads();
    let quota = limits::quota();
    let features = machine::cpu_features();
    let of_them = quota.map(|quota| format!(" (a container's share of {quota:.1})")).unwrap_or_default();
    let found = format!(
        "{}, {cores} cores{of_them}, {threads} threads, {}",
        machine::cpu(),
        if features.is_empty() { "no wide vectors".to_owned() } else { features.join(" ") }
    );
    if !vector::is_fast() {
        let remedy = "take a processor with AVX2 and FMA (any x86 since 2013), or tell the virtual machine to show them; without, \
                      transcription takes several times as long";
        return Finding::warning(format!("{found}: our kernels cannot be used"), remedy);
    }
    if quota.is_some_and(|quota| quota < 1.0) {
        let remedy = "give the container a whole core at least (--cpus, resources.limits.cpu)";
        return Finding::warning(format!("{found}: less than one core"), remedy);
    }
    if threads > cores {
        let remedy = format!("set RAYON_NUM_THREADS to {cores}, or leave it unset");
        return Finding::warning(format!("{found}: threads wait for each other"), remedy);
    }
    if cfg!(debug_assertions) {
        return Finding::warning(
            format!("{found}; this is a debug build, many times slower"),
            "build it with `cargo build --release`",
        );
    }
    Finding::ok(found)
}

/// What the model would take beside what there is.
pub fn memory(case: &Case) -> Finding {
    if !case.has_model {
        return Finding::skipped("no model is to be loaded (--no-model)");
    }
    let Ok(files) = case.files() else {
        return Finding::skipped("the model's files are not here: see the check `model`");
    };
    let Ok(options) = load::options(&case.config) else {
        return Finding::skipped("model.device or model.dtype is wrong: see the check `settings`");
    };
    let forecast = match Whisper::forecast(&files, &options) {
        Ok(forecast) => forecast,
        Err(error) => return Finding::skipped(format!("the model's needs are not known: {error}")),
    };
    let needs = forecast.weight_bytes + forecast.other_bytes;
    let on = format!("{} in {} on {}", case.config.model.name, forecast.dtype, forecast.device);
    let Some(free) = forecast.free_bytes else {
        return Finding::skipped(format!("{on} takes {} MiB; how much is free cannot be told", needs / MIB));
    };
    let found = format!("{on} takes {} MiB, {} MiB are free", needs / MIB, free / MIB);
    let remedy = "take fewer model.slots, another --dtype (q8_0 on a CPU), a smaller --model, or more memory (a container's limit counts)";
    match () {
        () if needs > free => Finding::fault(found, remedy),
        () if needs > free / 10 * 9 => Finding::warning(found, remedy),
        () => Finding::ok(found),
    }
}

pub fn kernels(_: &Case) -> Finding {
    let remedy = "install verbatim again, built for this processor; until then model.kernels = \"plain\" does without our kernels. If it \
                  stays, test the machine's memory";
    let all = match trial::on_cpu() {
        Ok(all) => all,
        Err(error) => return Finding::fault(format!("candle cannot compute on this CPU: {error}"), remedy),
    };
    let (good, bad): (Vec<Agreement>, Vec<Agreement>) = all.into_iter().partition(Agreement::holds);
    if bad.is_empty() {
        let names: Vec<&str> = good.iter().map(|one| one.what).collect();
        let worst = good.iter().map(|one| one.off).fold(0.0, f64::max);
        return Finding::ok(format!(
            "{} agree with plain candle (off by {worst:.0e} at most; kernels for {:?})",
            names.join(", "),
            vector::level()
        ));
    }
    let said: Vec<String> = bad
        .iter()
        .map(|one| format!("{} off by {:.1e} where {:.0e} is allowed", one.what, one.off, one.bound))
        .collect();
    Finding::fault(format!("our kernels compute wrongly on this processor: {}", said.join(", ")), remedy)
}
