//! A job in, its rows out, or the job that the same request made before.

use rusqlite::{OptionalExtension, Transaction, params};

use super::look;
use crate::jobs::backend::Submitted;
use crate::jobs::job::{ItemState, Job, Sound};

pub enum Taken {
    In(Submitted),
    Full { waiting: usize },
}

pub fn submit(database: &Transaction, job: &Job, most: usize) -> rusqlite::Result<Taken> {
    if let Some(before) = earlier(database, job)? {
        return Ok(Taken::In(before));
    }
    let refused = |sound: &Sound| matches!(sound, Sound::Refused(_));
    let new = job.items.iter().filter(|item| !refused(&item.sound)).count();
    let waiting = look::waiting(database)?;
    if new > 0 && waiting + new > most {
        return Ok(Taken::Full { waiting });
    }

    // Behind those that had as many turns; a job that comes late does not catch up on turns that it was not there for.
    let turn = "SELECT COALESCE(MIN(turn), 0) FROM jobs WHERE open = 1 AND priority = ?1";
    let turn: i64 = database.query_row(turn, [job.priority as i64], |row| row.get(0))?;
    let is_over = new == 0;
    let ended = is_over.then_some(job.created_ms);
    let webhook_at = ended.filter(|_| job.webhook.is_some());
    let (key, content) = job.request.as_ref().map(|it| (&it.key, &it.content)).unzip();
    database.execute(
        "INSERT INTO jobs (id, owner, created_ms, name, priority, fields, webhook, request_key, request_content, open, turn, ended_ms, \
         webhook_next_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        params![
            job.id,
            job.owner as i64,
            job.created_ms,
            job.name,
            job.priority as i64,
            look::json(&job.fields),
            job.webhook,
            key,
            content,
            !is_over,
            turn,
            ended,
            webhook_at,
        ],
    )?;
    let number = database.last_insert_rowid();
    let mut insert = database.prepare_cached(
        "INSERT INTO items (job, item, name, sound, state, error, ended_ms, ended) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;

    let mut failed = 0i64;
    for (at, item) in job.items.iter().enumerate() {
        let (state, error) = match &item.sound {
            Sound::Refused(error) => (ItemState::Failed, Some(look::json(error))),
            _ => (ItemState::Queued, None),
        };

        let ended = error.is_some().then(|| {
            failed += 1;
            failed
        });
        insert.execute(params![
            number,
            at as i64,
            item.name,
            look::json(&item.sound),
            look::code(state),
            error,
            ended.map(|_| job.created_ms),
            ended,
        ])?;
    }
    Ok(Taken::In(Submitted::New))
}

fn earlier(database: &Transaction, job: &Job) -> rusqlite::Result<Option<Submitted>> {
    let Some(request) = &job.request else { return Ok(None) };
    let found = "SELECT id, request_content FROM jobs WHERE owner = ?1 AND request_key = ?2";
    let found = database.query_row(found, params![job.owner as i64, request.key], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
    });
    Ok(found.optional()?.map(|(id, content)| match content == request.content {
        true => Submitted::Before(id),
        false => Submitted::KeyReused,
    }))
}
