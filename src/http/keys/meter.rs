//! A key's quotas in; whether one more request may pass now, and if not when, out. Time comes in as an argument.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::entry::Quota;

/// What is left; cheap to clone, and all clones spend the same.
#[derive(Clone, Debug)]
pub struct Meter(Arc<Books>);

#[derive(Debug)]
struct Books {
    quota: Quota,
    requests: Option<Mutex<Bucket>>,
    audio: Option<Mutex<Bucket>>,
    places: Option<Arc<Semaphore>>,
}

/// One of the key's places among requests at once, until dropped.
pub type Place = OwnedSemaphorePermit;

/// A request that may pass.
#[derive(Debug)]
pub struct Passed {
    pub place: Option<Place>,
    pub standing: Option<Standing>,
}

/// Where a key stands with its requests a minute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    pub limit: u32,
    pub remaining: u32,
    /// Until all of them are there again.
    pub reset: Duration,
}

/// A quota that is used up.
#[derive(Debug)]
pub struct Spent {
    pub code: &'static str,
    pub message: String,
    pub wait: Duration,
    pub standing: Option<Standing>,
}

impl Meter {
    pub fn new(quota: &Quota, now: Instant) -> Meter {
        let bucket = |most: Option<u32>, period: u64| {
            most.map(|most| Mutex::new(Bucket::full(most, Duration::from_secs(period), now)))
        };
        Meter(Arc::new(Books {
            quota: *quota,
            requests: bucket(quota.requests_per_minute, 60),
            audio: bucket(quota.audio_seconds_per_hour, 3_600),
            places: quota.max_concurrent.map(|most| Arc::new(Semaphore::new(most as usize))),
        }))
    }

    /// One request; the last thing that could refuse it is what it is charged for.
    pub fn enter(&self, now: Instant) -> Result<Passed, Spent> {
        self.pass(true, now)
    }

    /// One more request for what was let in before: whoever dictates is not stopped in the middle for want of audio.
    pub fn go_on(&self, now: Instant) -> Result<Passed, Spent> {
        self.pass(false, now)
    }

    fn pass(&self, is_new: bool, now: Instant) -> Result<Passed, Spent> {
        let books = &self.0;
        let place = match &books.places {
            None => None,
            Some(places) => match places.clone().try_acquire_owned() {
                Ok(place) => Some(place),
                Err(_) => {
                    let most = books.quota.max_concurrent.unwrap_or_default();
                    let message = format!("this key has {most} requests under way (its max_concurrent)");
                    return Err(self.spent("rate_limit_exceeded", message, Duration::from_secs(1), now));
                }
            },
        };
        let wait = with(&books.audio, |bucket| bucket.wait(1.0, now));
        if let Some(wait) = wait.filter(|wait| is_new && !wait.is_zero()) {
            let most = books.quota.audio_seconds_per_hour.unwrap_or_default();
            let message =
                format!("this key has used its {most} s of audio an hour (its audio_seconds_per_hour)");
            return Err(self.spent("insufficient_quota", message, wait, now));
        }
        if let Some(wait) = with(&books.requests, |bucket| bucket.take_one(now)).flatten() {
            let most = books.quota.requests_per_minute.unwrap_or_default();
            let message = format!("this key has used its {most} requests a minute (its requests_per_minute)");
            return Err(self.spent("rate_limit_exceeded", message, wait, now));
        }
        Ok(Passed { place, standing: self.standing(now) })
    }

    /// How long a recording is, is known when it has been heard: the last one may go beyond the quota, and the next ones wait for it.
    pub fn heard(&self, audio: Duration, now: Instant) {
        with(&self.0.audio, |bucket| bucket.spend(audio.as_secs_f64(), now));
    }

    fn standing(&self, now: Instant) -> Option<Standing> {
        let limit = self.0.quota.requests_per_minute?;
        with(&self.0.requests, |bucket| {
            let reset = bucket.wait(f64::from(limit), now);
            Standing { limit, remaining: bucket.level.max(0.0) as u32, reset }
        })
    }

    fn spent(&self, code: &'static str, message: String, wait: Duration, now: Instant) -> Spent {
        Spent { code, message, wait, standing: self.standing(now) }
    }
}

fn with<T>(bucket: &Option<Mutex<Bucket>>, act: impl FnOnce(&mut Bucket) -> T) -> Option<T> {
    bucket.as_ref().map(|bucket| act(&mut bucket.lock().unwrap_or_else(PoisonError::into_inner)))
}

/// Starts full and fills evenly. It may go below zero, and then has that to make up first.
#[derive(Debug)]
struct Bucket {
    most: f64,
    per_second: f64,
    level: f64,
    at: Instant,
}

impl Bucket {
    fn full(most: u32, period: Duration, now: Instant) -> Self {
        let most = f64::from(most);
        Bucket { most, per_second: most / period.as_secs_f64(), level: most, at: now }
    }

    /// Until `level` is reached. A thousandth less will do: what a clock adds up is never quite whole.
    fn wait(&mut self, level: f64, now: Instant) -> Duration {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = self.at.max(now);
        self.level = (self.level + passed * self.per_second).min(self.most);
        let lacking = level.min(self.most) - self.level;
        match lacking > 1e-3 {
            true => Duration::from_secs_f64(lacking / self.per_second),
            false => Duration::ZERO,
        }
    }

    fn spend(&mut self, amount: f64, now: Instant) {
        self.wait(0.0, now);
        self.level -= amount;
    }

    /// One, or how long until there is one.
    fn take_one(&mut self, now: Instant) -> Option<Duration> {
        let wait = self.wait(1.0, now);
        if wait.is_zero() {
            self.level -= 1.0;
        }
        (!wait.is_zero()).then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(change: impl FnOnce(&mut Quota)) -> (Meter, Instant) {
        let (mut quota, now) = (Quota::default(), Instant::now());
        change(&mut quota);
        (Meter::new(&quota, now), now)
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn requests_come_back_evenly_over_the_minute() {
        let (meter, now) = meter(|quota| quota.requests_per_minute = Some(2));
        let first = meter.enter(now).unwrap().standing.unwrap();
        assert_eq!((first.limit, first.remaining, first.reset), (2, 1, 30 * SECOND));
        assert!(meter.enter(now).is_ok());
        let spent = meter.enter(now + 10 * SECOND).unwrap_err();
        assert_eq!(
            (spent.code, spent.wait, spent.standing.unwrap().remaining),
            ("rate_limit_exceeded", 20 * SECOND, 0)
        );
        assert!(meter.enter(now + 30 * SECOND).is_ok());
        assert!(meter.enter(now + 31 * SECOND).is_err());
        // A quiet hour saves up no more than a minute's.
        let later = now + 3_600 * SECOND;
        assert!(meter.enter(later).is_ok() && meter.enter(later).is_ok() && meter.enter(later).is_err());
    }

    #[test]
    fn audio_beyond_the_quota_is_made_up_for() {
        let (meter, now) = meter(|quota| quota.audio_seconds_per_hour = Some(360));
        assert!(meter.enter(now).is_ok());
        meter.heard(400 * SECOND, now);
        let spent = meter.enter(now).unwrap_err();
        // 40 s too many and the one for the next, at a second of audio in ten.
        assert_eq!((spent.code, spent.wait.as_secs()), ("insufficient_quota", 410));
        // What has begun goes on.
        assert!(meter.go_on(now).is_ok());
        assert!(meter.enter(now + 409 * SECOND).is_err() && meter.enter(now + 410 * SECOND).is_ok());
    }

    #[test]
    fn places_are_free_again_when_they_are_dropped() {
        let (meter, now) = meter(|quota| quota.max_concurrent = Some(1));
        let passed = meter.enter(now).unwrap();
        let spent = meter.enter(now).unwrap_err();
        assert!(spent.message.contains("max_concurrent") && spent.standing.is_none(), "{spent:?}");
        drop(passed);
        assert!(meter.enter(now).is_ok());
    }

    #[test]
    fn what_is_not_limited_is_not_counted() {
        let (meter, now) = meter(|_| {});
        meter.heard(1_000_000 * SECOND, now);
        assert!((0..1_000).all(|_| meter.enter(now).is_ok()));
        assert_eq!(meter.enter(now).unwrap().standing, None);
    }
}
