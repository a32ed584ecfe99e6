//! The device thread's heartbeat in; word that it has stopped out.

use std::time::Duration;

use super::stats::Stats;

/// How often the pulse is felt.
const EVERY: Duration = Duration::from_millis(500);

/// Resolves when the thread has shown no life for `most`; never where that is zero.
pub async fn hangs(stats: &Stats, most: Duration) {
    if most.is_zero() {
        return std::future::pending().await;
    }
    loop {
        tokio::time::sleep(EVERY.min(most)).await;
        if stats.load().heartbeat_age_seconds > most.as_secs_f64() {
            return;
        }
    }
}
