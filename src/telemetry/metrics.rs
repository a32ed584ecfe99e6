//! Every metric, declared once: name, help, kind, buckets. Recording is a method on the declaration.
//!
//! Names follow Prometheus' practice: a prefix, base units, `_total` for counters. No label ever holds a key, a file
//! name, a request id or anything else a client may choose.

use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

pub use super::instrument::{Counter, Entered, Gauge, Histogram, Labels};
use super::process::Process;

/// From a health check to the longest upload.
const REQUEST_SECONDS: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0];
/// From one mel to an hour's generation.
const STAGE_SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];
/// From a small model on a fast card to a large one on a CPU.
const STEP_TIMES: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
const RATIO: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0];
const BATCH: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 24.0, 32.0, 48.0, 64.0, 96.0, 128.0];
const WINDOW_FILL: &[f64] = &[1.0, 2.5, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0];
const AUDIO_SECONDS: &[f64] =
    &[1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0, 1_800.0, 3_600.0, 7_200.0, 14_400.0];

macro_rules! declare {
    (counters { $($counter:ident = $cname:literal, $chelp:literal;)* }
     gauges { $($gauge:ident = $gname:literal, $ghelp:literal;)* }
     histograms { $($histogram:ident = $hname:literal, $hhelp:literal, $buckets:expr;)* }) => {
        $(pub static $counter: Counter = Counter { name: $cname, help: $chelp };)*
        $(pub static $gauge: Gauge = Gauge { name: $gname, help: $ghelp };)*
        $(pub static $histogram: Histogram = Histogram { name: $hname, help: $hhelp, buckets: $buckets };)*
        static COUNTERS: &[&Counter] = &[$(&$counter),*];
        static GAUGES: &[&Gauge] = &[$(&$gauge),*];
        static HISTOGRAMS: &[&Histogram] = &[$(&$histogram),*];
    };
}

declare! {
    counters {
        REQUESTS = "verbatim_requests_total", "Transcription requests by how they ended.";
        AUDIO = "verbatim_audio_seconds_total", "Audio transcribed, in seconds.";
        AUDIO_IN = "verbatim_audio_accepted_seconds_total", "Audio taken in to be transcribed, in seconds.";
        REFUSED = "verbatim_refusals_total", "Requests turned away before any work was done, by reason.";
        CANARIES = "verbatim_canary_runs_total", "Silent windows run on the idle device, by outcome.";
        DROPPED = "verbatim_dropped_windows_total", "Windows whose text was withheld, by reason.";
        FALLBACKS = "verbatim_decode_fallbacks_total", "Windows decoded again at a higher temperature.";
        JOB_ITEMS = "verbatim_job_items_total", "Items of batch jobs that this process has ended, by state.";
        DEAD_LETTERS = "verbatim_job_dead_letters_total", "Items of batch jobs that this process has given up, whose workers died of them.";
        WEBHOOKS = "verbatim_webhooks_total", "Tries to tell that a job has ended, by outcome.";
        REALTIME_TURNS = "verbatim_realtime_turns_total", "Turns of realtime sessions by how they ended.";
        CANCELLED = "verbatim_windows_cancelled_total", "Windows whose caller left before the end.";
        DECODE_FAILURES = "verbatim_decode_failures_total", "Uploads that gave no audio, by what they take themselves for and by reason.";
        OUT_OF_MEMORY = "verbatim_out_of_memory_total", "Batches for which the device had no room.";
        WINDOWS = "verbatim_windows_total", "Windows the device has answered.";
        STEPS = "verbatim_steps_total", "Decoder steps the device has run.";
        TOKENS = "verbatim_tokens_total", "Tokens the device has generated.";
        DEVICE_BUSY = "verbatim_device_busy_seconds_total", "Time the device's thread has spent in the model.";
        GPU_ECC = "verbatim_gpu_ecc_errors_total", "Memory errors since the driver was loaded, by kind.";
        PROCESS_CPU = "process_cpu_seconds_total", "Processor time of this process.";
    }
    gauges {
        BUILD = "verbatim_build_info", "Always 1; the labels say what runs.";
        READY = "verbatim_ready", "1 when /readyz answers 200.";
        HTTP_ACTIVE = "verbatim_http_active_requests", "Requests being handled.";
        CONNECTIONS = "verbatim_http_connections", "Open connections.";
        INFLIGHT = "verbatim_inflight_requests", "Transcriptions holding a permit at the door.";
        REALTIME_SESSIONS = "verbatim_realtime_sessions", "Realtime sessions that are open.";
        JOB_QUEUE = "verbatim_job_queue_items", "Items of batch jobs that wait, over all processes.";
        JOB_WORKING = "verbatim_job_working_items", "Items of batch jobs that are worked on, over all processes.";
        QUEUE_WINDOWS = "verbatim_queue_windows", "Windows waiting for a slot.";
        QUEUE_AUDIO = "verbatim_queue_audio_seconds", "Audio that was accepted and is not transcribed yet.";
        SLOTS = "verbatim_slots", "Windows the device can hold at once.";
        SLOTS_BUSY = "verbatim_slots_busy", "Windows the device holds now.";
        ENCODE_MOST = "verbatim_encode_batch_limit", "Windows encoded together at most, as set or learnt.";
        STEP_MOST = "verbatim_step_batch_limit", "Rows of one decoder step at most, as set or learnt.";
        CANARY_SECONDS = "verbatim_canary_last_duration_seconds", "Time the latest silent window took.";
        WARM_UP = "verbatim_warm_up_seconds", "Time the warm-up took.";
        HEARTBEAT_AGE = "verbatim_device_heartbeat_age_seconds", "Since the device's thread last showed life.";
        GPU_UTILIZATION = "verbatim_gpu_utilization_ratio", "Share of time a kernel ran, 0 to 1.";
        GPU_MEMORY_USED = "verbatim_gpu_memory_used_bytes", "Device memory in use, by all processes.";
        GPU_MEMORY_TOTAL = "verbatim_gpu_memory_total_bytes", "Device memory.";
        GPU_TEMPERATURE = "verbatim_gpu_temperature_celsius", "Temperature of the chip.";
        GPU_POWER = "verbatim_gpu_power_watts", "Power drawn.";
        GPU_POWER_LIMIT = "verbatim_gpu_power_limit_watts", "Power that may be drawn.";
        GPU_CLOCK = "verbatim_gpu_clock_hertz", "Clock of the chip.";
        GPU_THROTTLED = "verbatim_gpu_throttled", "1 when something but idleness holds the clocks back.";
        UPTIME = "verbatim_uptime_seconds", "Since this process began to serve.";
        PROCESS_RESIDENT = "process_resident_memory_bytes", "Resident memory of this process.";
        PROCESS_VIRTUAL = "process_virtual_memory_bytes", "Virtual memory of this process.";
        PROCESS_DESCRIPTORS = "process_open_fds", "Open file descriptors of this process.";
        PROCESS_THREADS = "process_threads", "Threads of this process.";
    }
    histograms {
        HTTP_SECONDS = "verbatim_http_request_duration_seconds", "Time to answer, by route.", REQUEST_SECONDS;
        STAGE = "verbatim_stage_duration_seconds", "Time of one request in each stage.", STAGE_SECONDS;
        QUEUE_WAIT = "verbatim_queue_wait_seconds", "Time a window waited for a slot.", STAGE_SECONDS;
        ENCODE_SECONDS = "verbatim_encode_seconds", "Time of one encoder pass.", STAGE_SECONDS;
        ENCODE_BATCH = "verbatim_encode_batch_size", "Windows encoded together.", BATCH;
        STEP_SECONDS = "verbatim_step_seconds", "Time of one decoder step.", STEP_TIMES;
        ALIGN_SECONDS = "verbatim_align_seconds", "Time of one pass that aligns texts with their audio.", STAGE_SECONDS;
        STEP_BATCH = "verbatim_step_batch_size", "Rows of one decoder step.", BATCH;
        WINDOW_AUDIO = "verbatim_window_audio_seconds", "Audio in a window of 30 s; the rest is padding.", WINDOW_FILL;
        RTF = "verbatim_real_time_factor", "Seconds of work for a second of audio.", RATIO;
        LENGTH = "verbatim_request_audio_seconds", "Length of the audio of a request.", AUDIO_SECONDS;
    }
}

/// Renders what was recorded, in Prometheus' text format.
#[derive(Clone, Debug)]
pub struct Handle(PrometheusHandle);

impl Handle {
    pub fn render(&self) -> String {
        if let Some(process) = Process::read() {
            PROCESS_RESIDENT.set(process.resident_bytes, &[]);
            PROCESS_VIRTUAL.set(process.virtual_bytes, &[]);
            PROCESS_DESCRIPTORS.set(process.open_descriptors, &[]);
            PROCESS_THREADS.set(process.threads, &[]);
            PROCESS_CPU.set_total(process.cpu_seconds as u64, &[]);
        }
        // Without it, histograms keep every sample since the last scrape.
        self.0.run_upkeep();
        self.0.render()
    }
}

/// Starts recording. Calling it again gives the same handle: there is one recorder in a process.
pub fn install() -> Handle {
    static HANDLE: OnceLock<Handle> = OnceLock::new();
    HANDLE.get_or_init(build).clone()
}

fn build() -> Handle {
    let with_buckets = HISTOGRAMS.iter().try_fold(PrometheusBuilder::new(), |builder, histogram| {
        builder.set_buckets_for_metric(Matcher::Full(histogram.name.to_owned()), histogram.buckets)
    });
    let recorder = with_buckets.expect("no histogram is declared without buckets").build_recorder();
    let handle = Handle(recorder.handle());
    if metrics::set_global_recorder(recorder).is_err() {
        tracing::warn!("another metrics recorder is in place: /metrics will be empty");
    }
    COUNTERS.iter().for_each(|counter| metrics::describe_counter!(counter.name, counter.help));
    GAUGES.iter().for_each(|gauge| metrics::describe_gauge!(gauge.name, gauge.help));
    HISTOGRAMS.iter().for_each(|histogram| metrics::describe_histogram!(histogram.name, histogram.help));
    handle
}

// What the device's thread records, one line each so that its loop stays readable.

pub fn windows_cancelled(count: u64) {
    CANCELLED.add(count, &[]);
}

pub fn queue_wait(waited: Duration) {
    QUEUE_WAIT.observe(waited.as_secs_f64(), &[]);
}

pub fn encoded(windows: usize, took: Duration) {
    ENCODE_BATCH.observe(windows as f64, &[]);
    ENCODE_SECONDS.observe(took.as_secs_f64(), &[]);
}

pub fn aligned(took: Duration) {
    ALIGN_SECONDS.observe(took.as_secs_f64(), &[]);
}

/// A decoder step gives one token a row.
pub fn stepped(rows: usize, took: Duration) {
    STEP_SECONDS.observe(took.as_secs_f64(), &[]);
    STEP_BATCH.observe(rows as f64, &[]);
    STEPS.add(1, &[]);
    TOKENS.add(rows as u64, &[]);
}

/// `audio` without the padding to 30 s.
pub fn window_done(audio: Duration) {
    WINDOWS.add(1, &[]);
    WINDOW_AUDIO.observe(audio.as_secs_f64(), &[]);
}

pub fn canary(came_through: bool, took: Duration) {
    CANARIES.add(1, &[("outcome", if came_through { "ok" } else { "failed" })]);
    CANARY_SECONDS.set(took.as_secs_f64(), &[]);
}

pub fn out_of_memory() {
    OUT_OF_MEMORY.add(1, &[]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<(&'static str, &'static str)> {
        let counters = COUNTERS.iter().map(|metric| (metric.name, metric.help));
        let gauges = GAUGES.iter().map(|metric| (metric.name, metric.help));
        let histograms = HISTOGRAMS.iter().map(|metric| (metric.name, metric.help));
        counters.chain(gauges).chain(histograms).collect()
    }

    #[test]
    fn names_are_ours_or_the_standard_process_ones_and_none_twice() {
        for (name, help) in all() {
            assert!(name.starts_with("verbatim_") || name.starts_with("process_"), "{name}");
            assert!(help.ends_with('.'), "{name}: {help}");
            assert_eq!(all().iter().filter(|(other, _)| *other == name).count(), 1, "{name}");
        }
    }

    #[test]
    fn counters_and_only_counters_end_in_total() {
        assert!(COUNTERS.iter().all(|counter| counter.name.ends_with("_total")));
        assert!(GAUGES.iter().all(|gauge| !gauge.name.ends_with("_total")));
    }

    #[test]
    fn buckets_ascend() {
        for histogram in HISTOGRAMS {
            assert!(histogram.buckets.is_sorted_by(|a, b| a < b), "{}", histogram.name);
        }
    }

    #[test]
    fn what_is_recorded_is_rendered_with_help_and_buckets() {
        let handle = install();
        STAGE.observe(0.004, &[("stage", "test")]);
        let text = handle.render();
        assert!(text.contains("# HELP verbatim_stage_duration_seconds Time of one request"), "{text}");
        assert!(
            text.contains(r#"verbatim_stage_duration_seconds_bucket{stage="test",le="0.005"} 1"#),
            "{text}"
        );
    }
}
