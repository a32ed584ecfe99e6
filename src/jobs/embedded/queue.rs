//! A worker's questions in: the next item, a sign of life, an end; rows changed accordingly.

use std::sync::Arc;

use rusqlite::{OptionalExtension, Transaction, params};

use super::look;
use crate::jobs::backend::{Claimed, Hold, Lease, Token, Webhook};
use crate::jobs::job::{Item, ItemId, ItemState, Standing};

const QUEUED: i64 = 0;
const WORKING: i64 = 1;

/// Jobs of a priority take turns, so that one of a hundred thousand files does not keep one of a single file waiting.
pub fn claim(database: &Transaction, now_ms: u64, lease_ms: u64) -> rusqlite::Result<Option<Claimed>> {
    expire(database, now_ms)?;
    loop {
        let mut jobs = database.prepare_cached(
            "SELECT number, id, owner, fields FROM jobs WHERE open = 1 ORDER BY priority DESC, turn, number",
        )?;
        let mut jobs = jobs.query([])?;
        let mut empty = None;
        while let Some(row) = jobs.next()? {
            let number: i64 = row.get(0)?;
            let next = "SELECT item, not_before_ms FROM items WHERE job = ?1 AND state = 0 ORDER BY not_before_ms > ?2, item LIMIT 1";
            let mut next = database.prepare_cached(next)?;
            let next = next.query_row(params![number, now_ms], |row| Ok((row.get(0)?, row.get(1)?)));
            match next.optional()? {
                Some((item, not_before)) if not_before <= now_ms => {
                    let owner = row.get::<_, i64>(2)? as u64;
                    let fields: String = row.get(3)?;
                    let id = ItemId { job: row.get(1)?, item: item as usize };
                    return give(database, (number, item), id, (owner, &fields), now_ms + lease_ms).map(Some);
                }
                // All that it has is to be tried later.
                Some::<(i64, u64)>(_) => {}
                None => {
                    empty = Some(number);
                    break;
                }
            }
        }
        // Closed while nobody reads, and looked for anew.
        let Some(number) = empty else { return Ok(None) };
        database.execute("UPDATE jobs SET open = 0 WHERE number = ?1", [number])?;
    }
}

fn give(
    database: &Transaction,
    (number, item): (i64, i64),
    id: ItemId,
    (owner, fields): (u64, &str),
    until_ms: u64,
) -> rusqlite::Result<Claimed> {
    // No number is given twice, or a worker that lost its lease could take another's for its own.
    let mut lease = database.prepare_cached("UPDATE last_lease SET number = number + 1 RETURNING number")?;
    let lease: i64 = lease.query_row([], |row| row.get(0))?;
    database.execute("UPDATE jobs SET turn = turn + 1 WHERE number = ?1", [number])?;
    let mut take = database.prepare_cached(
        "UPDATE items SET state = 1, percent = 0, deliveries = deliveries + 1, lease = ?3, lease_until_ms = ?4 \
         WHERE job = ?1 AND item = ?2 RETURNING name, sound, deliveries",
    )?;
    let (name, sound, deliveries) = take.query_row(params![number, item, lease, until_ms], |row| {
        Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?))
    })?;
    let broken = |error: serde_json::Error| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error))
    };
    Ok(Claimed {
        lease: Lease { id, token: Token::Number(lease) },
        owner,
        fields: Arc::new(serde_json::from_str(fields).map_err(broken)?),
        item: Item { name, sound: serde_json::from_str(&sound).map_err(broken)? },
        deliveries,
    })
}

/// What silent workers have goes back to the queue.
fn expire(database: &Transaction, now_ms: u64) -> rusqlite::Result<()> {
    let mut expired = database.prepare_cached(
        "UPDATE items SET state = 0, percent = 0, lease = NULL, lease_until_ms = NULL \
         WHERE state = 1 AND lease_until_ms < ?1 RETURNING job",
    )?;
    let jobs: Vec<i64> = expired.query_map([now_ms], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    for job in jobs {
        database.execute("UPDATE jobs SET open = 1 WHERE number = ?1", [job])?;
    }
    Ok(())
}

pub fn alive(database: &Transaction, lease: i64, percent: u8, until_ms: u64) -> rusqlite::Result<Hold> {
    let mut renew = database.prepare_cached(
        "UPDATE items SET percent = ?2, lease_until_ms = ?3 WHERE lease = ?1 AND state = 1",
    )?;
    match renew.execute(params![lease, percent, until_ms])? {
        0 => Ok(Hold::Gone),
        _ => Ok(Hold::Mine),
    }
}

pub fn end(database: &Transaction, lease: i64, standing: &Standing, now_ms: u64) -> rusqlite::Result<()> {
    let Some((job, item)) = held(database, lease)? else { return Ok(()) };
    let error = standing.error.as_ref().map(look::json);
    let mut end = database.prepare_cached(
        "UPDATE items SET state = ?3, percent = 100, seconds = ?4, error = ?5, is_duplicate = ?6, ended_ms = ?7, lease = NULL, \
         lease_until_ms = NULL, \
         ended = (SELECT COALESCE(MAX(ended), 0) + 1 FROM items WHERE job = ?1 AND ended IS NOT NULL) \
         WHERE job = ?1 AND item = ?2",
    )?;
    let state = look::code(standing.state);
    end.execute(params![job, item, state, standing.seconds, error, standing.is_duplicate, now_ms])?;
    let mut left =
        database.prepare_cached("SELECT EXISTS (SELECT 1 FROM items WHERE job = ?1 AND state < 2)")?;
    if !left.query_row([job], |row| row.get(0))? {
        database.execute(
            "UPDATE jobs SET open = 0, ended_ms = ?2, webhook_next_ms = CASE WHEN webhook IS NULL THEN NULL ELSE ?2 END \
             WHERE number = ?1 AND ended_ms IS NULL",
            params![job, now_ms],
        )?;
    }
    Ok(())
}

/// The item that this lease is for, where it is still held.
fn held(database: &Transaction, lease: i64) -> rusqlite::Result<Option<(i64, i64)>> {
    let mut find = database.prepare_cached("SELECT job, item FROM items WHERE lease = ?1 AND state = 1")?;
    find.query_row([lease], |row| Ok((row.get(0)?, row.get(1)?))).optional()
}

pub fn back(database: &Transaction, lease: i64, not_before_ms: u64, counts: bool) -> rusqlite::Result<()> {
    let Some((job, item)) = held(database, lease)? else { return Ok(()) };
    let mut back = database.prepare_cached(
        "UPDATE items SET state = 0, percent = 0, lease = NULL, lease_until_ms = NULL, not_before_ms = ?3, \
         deliveries = deliveries - ?4 WHERE job = ?1 AND item = ?2",
    )?;
    back.execute(params![job, item, not_before_ms, i64::from(!counts)])?;
    database.execute("UPDATE jobs SET open = 1 WHERE number = ?1", [job])?;
    Ok(())
}

pub fn cancel(database: &Transaction, id: &str, now_ms: u64) -> rusqlite::Result<()> {
    let find = "SELECT number FROM jobs WHERE id = ?1 AND ended_ms IS NULL";
    let Some(number) = database.query_row(find, [id], |row| row.get::<_, i64>(0)).optional()? else {
        return Ok(());
    };
    database.execute(
        "UPDATE items SET state = ?2, percent = 0, lease = NULL, lease_until_ms = NULL, ended_ms = ?3 \
         WHERE job = ?1 AND state IN (?4, ?5)",
        params![number, look::code(ItemState::Cancelled), now_ms, QUEUED, WORKING],
    )?;
    database.execute(
        "UPDATE jobs SET is_cancelled = 1, open = 0, ended_ms = ?2 WHERE number = ?1",
        params![number, now_ms],
    )?;
    Ok(())
}

pub fn forget(database: &Transaction, id: &str) -> rusqlite::Result<()> {
    database.execute("DELETE FROM items WHERE job = (SELECT number FROM jobs WHERE id = ?1)", [id])?;
    database.execute("DELETE FROM jobs WHERE id = ?1", [id])?;
    Ok(())
}

pub fn due_webhook(database: &Transaction, now_ms: u64, lease_ms: u64) -> rusqlite::Result<Option<Webhook>> {
    let mut due = database.prepare_cached(
        "UPDATE jobs SET webhook_next_ms = ?2, webhook_tries = webhook_tries + 1 WHERE number = \
         (SELECT number FROM jobs WHERE webhook_next_ms <= ?1 ORDER BY webhook_next_ms LIMIT 1) \
         RETURNING id, webhook, webhook_tries",
    )?;
    let due = due.query_row(params![now_ms, now_ms + lease_ms], |row| {
        let tries: u32 = row.get(2)?;
        Ok(Webhook { job: row.get(0)?, url: row.get(1)?, tries: tries - 1, token: Token::Number(0) })
    });
    due.optional()
}

pub fn webhook_tried(database: &Transaction, id: &str, next_ms: Option<u64>) -> rusqlite::Result<()> {
    database.execute("UPDATE jobs SET webhook_next_ms = ?2 WHERE id = ?1", params![id, next_ms])?;
    Ok(())
}
