//! Every metric, declared once: name, help, buckets.

use std::time::Duration;

/// Windows whose caller left before the end.
pub fn windows_cancelled(count: u64) {
    metrics::counter!("verbatim_windows_cancelled_total").increment(count);
}

/// Time a window waited for a slot.
pub fn queue_wait(waited: Duration) {
    metrics::histogram!("verbatim_queue_wait_seconds").record(waited);
}

/// A batch of windows was encoded.
pub fn encoded(windows: usize, took: Duration) {
    metrics::histogram!("verbatim_encode_batch_size").record(windows as f64);
    metrics::histogram!("verbatim_encode_seconds").record(took);
}

/// A decoder step ran over this many rows.
pub fn stepped(rows: usize) {
    metrics::histogram!("verbatim_step_batch_size").record(rows as f64);
    metrics::counter!("verbatim_tokens_total").increment(rows as u64);
}

/// A window was answered.
pub fn window_done(audio: Duration) {
    metrics::counter!("verbatim_windows_total").increment(1);
    metrics::counter!("verbatim_audio_milliseconds_total").increment(audio.as_millis() as u64);
}

/// The device had no room for a batch.
pub fn out_of_memory() {
    metrics::counter!("verbatim_out_of_memory_total").increment(1);
}
