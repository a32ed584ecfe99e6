//! Settings in, a connection out, and the streams and consumers that jobs need, made where they are missing.

use std::time::Duration;

use async_nats::jetstream::consumer::pull::Config as Pull;
use async_nats::jetstream::consumer::{AckPolicy, Consumer};
use async_nats::jetstream::context::{Context, ContextBuilder};
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use async_nats::{Client, ConnectOptions, Event};
use bytes::Bytes;
use serde_json::Value;

use super::records::{BUCKET_STREAM, BUCKET_SUBJECTS};
use crate::jobs::backend::JobError;
use crate::jobs::job::Priority;
use crate::jobs::settings::Settings;

pub const ITEMS: &str = "VERBATIM_ITEMS";
pub const HOOKS: &str = "VERBATIM_HOOKS";
pub const HOOKS_SUBJECT: &str = "verbatim.hooks";
const DEAD: &str = "VERBATIM_DEAD";
pub const DEAD_SUBJECT: &str = "verbatim.dead";

/// How long the broker knows a message that it was told before.
const DUPLICATES: Duration = Duration::from_secs(600);
/// Of what was given up; whoever looks after the server has so long to look at it.
const KEEP_DEAD: Duration = Duration::from_secs(30 * 86_400);
const MOST_DEAD: i64 = 100_000;
/// Given out and not yet acknowledged: those that are worked on and those that wait for a second try.
const MOST_PENDING: i64 = 100_000;
/// For one answer of the broker.
const ANSWER: Duration = Duration::from_secs(5);
/// Between two attempts to connect.
const DELAY: Duration = Duration::from_millis(200);
const LONGEST_DELAY: Duration = Duration::from_secs(2);

pub type Queue = Consumer<Pull>;

/// Where the items of a job wait. The job is in it, so that what waits of it can be counted and thrown away.
pub fn items_subject(priority: Priority, job: &str) -> String {
    format!("verbatim.items.{}.{job}", priority.name())
}

/// Of a job, whatever its priority.
pub fn items_filter(job: &str) -> String {
    format!("verbatim.items.*.{job}")
}

/// Comes back at once: whether somebody answers shows with the first question.
pub async fn connect(settings: &Settings) -> Result<Context, JobError> {
    let client = client(settings, ConnectOptions::new().retry_on_initial_connect()).await?;
    Ok(ContextBuilder::new().timeout(ANSWER).build(client))
}

/// One attempt to connect and one question; the bytes that JetStream keeps. Makes nothing.
pub async fn reach(settings: &Settings) -> Result<u64, JobError> {
    let none = |error: &dyn std::fmt::Display| JobError::unavailable("the broker has no JetStream", error);
    let client = client(settings, ConnectOptions::new()).await?;
    let answer = client.request("$JS.API.INFO", Bytes::new()).await.map_err(|error| none(&error))?;
    // Not the client's own question, which does not understand every server's answer.
    let answer: Value = serde_json::from_slice(&answer.payload).map_err(|error| none(&error))?;
    match answer["error"]["description"].as_str() {
        Some(problem) => Err(none(&problem)),
        None => Ok(answer["storage"].as_u64().unwrap_or(0)),
    }
}

async fn client(settings: &Settings, options: ConnectOptions) -> Result<Client, JobError> {
    let urls = settings.nats_url.as_deref().unwrap_or("nats://127.0.0.1:4222");
    let (urls, login) = parted(urls);
    let mut options = options
        .name("verbatim")
        .connection_timeout(ANSWER)
        .request_timeout(Some(ANSWER))
        .reconnect_delay_callback(|tries| {
            LONGEST_DELAY.min(DELAY.saturating_mul(u32::try_from(tries).unwrap_or(u32::MAX)))
        })
        .ping_interval(Duration::from_secs(15))
        .event_callback(|event| async move { report(&event) });
    if let Some(path) = &settings.nats_credentials {
        options = options.credentials_file(path).await.map_err(|error| {
            JobError::unavailable(&format!("jobs.nats_credentials {}", path.display()), error)
        })?;
    }
    if let Some((user, password)) = login {
        options = options.user_and_password(user, password);
    }
    options.connect(urls).await.map_err(|error| JobError::unavailable("jobs.nats_url", error))
}

/// Addresses without, and the user and password that stand in the first that has them: the client would pass these over.
fn parted(urls: &str) -> (Vec<String>, Option<(String, String)>) {
    let mut login = None;
    let urls = urls.split(',').map(str::trim).filter(|url| !url.is_empty()).map(|url| {
        let (scheme, rest) = url.split_once("://").unwrap_or(("nats", url));
        let Some((before, host)) = rest.rsplit_once('@') else { return format!("{scheme}://{rest}") };
        let (user, password) = before.split_once(':').unwrap_or((before, ""));
        login.get_or_insert((user.to_owned(), password.to_owned()));
        format!("{scheme}://{host}")
    });
    (urls.collect(), login)
}

fn report(event: &Event) {
    match event {
        Event::Connected => tracing::info!("connected to the broker"),
        Event::Disconnected => tracing::warn!("the connection to the broker is lost"),
        other => tracing::warn!(event = %other, "the broker"),
    }
}

/// Makes what is missing, and changes what is set otherwise by now.
pub async fn make(context: &Context, settings: &Settings) -> Result<(), JobError> {
    let most_items = i64::try_from(settings.max_queued_items).unwrap_or(i64::MAX);
    let base = Config {
        storage: StorageType::File,
        num_replicas: settings.nats_replicas,
        discard: DiscardPolicy::New,
        duplicate_window: DUPLICATES,
        max_messages: -1,
        max_bytes: -1,
        max_messages_per_subject: -1,
        max_consumers: -1,
        max_message_size: -1,
        ..Config::default()
    };
    let queue = Config { retention: RetentionPolicy::WorkQueue, ..base.clone() };
    let wanted = [
        Config {
            name: ITEMS.to_owned(),
            subjects: vec!["verbatim.items.>".to_owned()],
            max_messages: most_items,
            ..queue.clone()
        },
        Config { name: HOOKS.to_owned(), subjects: vec![HOOKS_SUBJECT.to_owned()], ..queue },
        Config {
            name: DEAD.to_owned(),
            subjects: vec![DEAD_SUBJECT.to_owned()],
            discard: DiscardPolicy::Old,
            max_messages: MOST_DEAD,
            max_age: KEEP_DEAD,
            ..base.clone()
        },
        // As a key-value store is made, without what servers before 2.10 do not know.
        Config {
            name: BUCKET_STREAM.to_owned(),
            subjects: vec![format!("{BUCKET_SUBJECTS}.>")],
            max_messages_per_subject: 1,
            duplicate_window: Duration::from_secs(120),
            allow_rollup: true,
            deny_delete: true,
            allow_direct: true,
            ..base
        },
    ];
    for config in wanted {
        let unavailable = |error: &dyn std::fmt::Display| {
            JobError::unavailable(&format!("the broker's stream {}", config.name), error)
        };
        let stream =
            context.get_or_create_stream(config.clone()).await.map_err(|error| unavailable(&error))?;
        let is = &stream.cached_info().config;
        if (is.max_messages, is.num_replicas) != (config.max_messages, config.num_replicas) {
            context.update_stream(&config).await.map_err(|error| unavailable(&error))?;
        }
    }
    Ok(())
}

/// The queues of items, the first to be looked at first, and that of webhooks.
pub async fn queues(context: &Context, lease: Duration) -> Result<(Vec<Queue>, Queue), JobError> {
    let mut items = Vec::new();
    for priority in Priority::ALL {
        items.push(queue(context, ITEMS, (priority.name(), &items_subject(priority, "*")), lease).await?);
    }
    let hooks = queue(context, HOOKS, ("hooks", HOOKS_SUBJECT), lease).await?;
    Ok((items, hooks))
}

async fn queue(
    context: &Context,
    stream: &str,
    (name, subject): (&str, &str),
    lease: Duration,
) -> Result<Queue, JobError> {
    let config = Pull {
        durable_name: Some(name.to_owned()),
        ack_policy: AckPolicy::Explicit,
        ack_wait: lease,
        // How often is often enough is counted in the item's state: an item that came back because its worker was shut down was not tried.
        max_deliver: -1,
        max_ack_pending: MOST_PENDING,
        filter_subject: subject.to_owned(),
        ..Pull::default()
    };
    let made = context.create_consumer_on_stream(config, stream).await;
    made.map_err(|error| JobError::unavailable(&format!("the broker's consumer {stream}/{name}"), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_passwords_are_taken_out_of_addresses() {
        let (urls, login) = parted("nats://me:p@ss@a:4222, tls://b:4222,c");
        assert_eq!(urls, ["nats://a:4222", "tls://b:4222", "nats://c"]);
        assert_eq!(login, Some(("me".to_owned(), "p@ss".to_owned())));
        assert_eq!(parted("nats://a").1, None);
    }
}
