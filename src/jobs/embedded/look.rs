//! Questions about jobs in, rows as values out.

use rusqlite::types::Type;
use rusqlite::{OptionalExtension, Row, Transaction, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::jobs::job::{Counts, Item, ItemState, Job, Priority, Request, Standing, Summary};

/// A state as the tables have it.
pub fn code(state: ItemState) -> i64 {
    match state {
        ItemState::Queued => 0,
        ItemState::Working => 1,
        ItemState::Done => 2,
        ItemState::Failed => 3,
        ItemState::Cancelled => 4,
    }
}

fn state(row: &Row, at: usize) -> rusqlite::Result<ItemState> {
    let found: i64 = row.get(at)?;
    let state = ItemState::ALL.into_iter().find(|state| code(*state) == found);
    state.ok_or(rusqlite::Error::IntegralValueOutOfRange(at, found))
}

/// Of plain data, which always has one.
pub fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain data serialises")
}

fn parsed<T: DeserializeOwned>(row: &Row, at: usize) -> rusqlite::Result<T> {
    let text: String = row.get(at)?;
    serde_json::from_str(&text)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(at, Type::Text, Box::new(error)))
}

fn priority(row: &Row, at: usize) -> rusqlite::Result<Priority> {
    let found: i64 = row.get(at)?;
    let priority = Priority::ALL.into_iter().find(|priority| *priority as i64 == found);
    priority.ok_or(rusqlite::Error::IntegralValueOutOfRange(at, found))
}

fn number(database: &Transaction, id: &str) -> rusqlite::Result<Option<i64>> {
    let mut find = database.prepare_cached("SELECT number FROM jobs WHERE id = ?1")?;
    find.query_row([id], |row| row.get(0)).optional()
}

pub fn job(database: &Transaction, id: &str) -> rusqlite::Result<Option<Job>> {
    let found = database.query_row(
        "SELECT number, owner, created_ms, name, priority, fields, webhook, request_key, request_content FROM jobs WHERE id = ?1",
        [id],
        |row| {
            let request = match (row.get(7)?, row.get(8)?) {
                (Some(key), Some(content)) => Some(Request { key, content }),
                _ => None,
            };
            let job = Job {
                id: id.to_owned(),
                owner: row.get::<_, i64>(1)? as u64,
                created_ms: row.get(2)?,
                name: row.get(3)?,
                priority: priority(row, 4)?,
                fields: parsed(row, 5)?,
                webhook: row.get(6)?,
                request,
                items: Vec::new(),
            };
            Ok((row.get::<_, i64>(0)?, job))
        },
    );
    let Some((number, mut job)) = found.optional()? else { return Ok(None) };
    let mut items = database.prepare_cached("SELECT name, sound FROM items WHERE job = ?1 ORDER BY item")?;
    let items = items.query_map([number], |row| Ok(Item { name: row.get(0)?, sound: parsed(row, 1)? }))?;
    job.items = items.collect::<rusqlite::Result<_>>()?;
    Ok(Some(job))
}

const SUMMARY: &str =
    "SELECT number, id, owner, created_ms, name, priority, is_cancelled, ended_ms FROM jobs";

pub fn summary(database: &Transaction, id: &str) -> rusqlite::Result<Option<Summary>> {
    let mut find = database.prepare_cached(&format!("{SUMMARY} WHERE id = ?1"))?;
    let found = find.query_row([id], |row| Ok((row.get(0)?, bare(row)?))).optional()?;
    found.map(|(number, summary)| counted(database, number, summary)).transpose()
}

pub fn list(
    database: &Transaction,
    owner: u64,
    before: Option<&str>,
    most: usize,
) -> rusqlite::Result<Vec<Summary>> {
    // Ids sort by time. A bound that every id is below, where there is none.
    let sql = format!("{SUMMARY} WHERE owner = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3");
    let mut find = database.prepare_cached(&sql)?;
    let rows = find.query_map(params![owner as i64, before.unwrap_or("~"), most as i64], |row| {
        Ok((row.get(0)?, bare(row)?))
    })?;
    let rows: Vec<(i64, Summary)> = rows.collect::<rusqlite::Result<_>>()?;
    rows.into_iter().map(|(number, summary)| counted(database, number, summary)).collect()
}

fn bare(row: &Row) -> rusqlite::Result<Summary> {
    Ok(Summary {
        id: row.get(1)?,
        owner: row.get::<_, i64>(2)? as u64,
        created_ms: row.get(3)?,
        name: row.get(4)?,
        priority: priority(row, 5)?,
        counts: Counts::default(),
        is_cancelled: row.get(6)?,
        ended_ms: row.get(7)?,
    })
}

fn counted(database: &Transaction, number: i64, summary: Summary) -> rusqlite::Result<Summary> {
    let sql = "SELECT state, COUNT(*), TOTAL(seconds), SUM(percent) FROM items WHERE job = ?1 GROUP BY state";
    Ok(Summary { counts: sums(database, sql, params![number])?, ..summary })
}

fn sums(database: &Transaction, sql: &str, of: impl rusqlite::Params) -> rusqlite::Result<Counts> {
    let mut counts = Counts::default();
    let mut rows = database.prepare_cached(sql)?;
    let mut rows = rows.query(of)?;
    while let Some(row) = rows.next()? {
        let state = state(row, 0)?;
        counts.by_state.insert(state, row.get::<_, i64>(1)? as usize);
        match state {
            ItemState::Done => counts.seconds = row.get(2)?,
            ItemState::Working => counts.percent = row.get::<_, i64>(3)? as u64,
            _ => {}
        }
    }
    Ok(counts)
}

pub fn items(
    database: &Transaction,
    id: &str,
    from: usize,
    most: usize,
) -> rusqlite::Result<Vec<(usize, Item, Standing)>> {
    let Some(number) = number(database, id)? else { return Ok(Vec::new()) };
    let sql = format!(
        "SELECT {STANDING}, name, sound FROM items WHERE job = ?1 AND item >= ?2 ORDER BY item LIMIT ?3"
    );
    let mut find = database.prepare_cached(&sql)?;
    let rows = find.query_map(params![number, from as i64, most as i64], |row| {
        let (at, standing) = standing(row)?;
        Ok((at, Item { name: row.get(8)?, sound: parsed(row, 9)? }, standing))
    })?;
    rows.collect()
}

pub fn ended(
    database: &Transaction,
    id: &str,
    skip: usize,
    most: usize,
) -> rusqlite::Result<Vec<(usize, Standing)>> {
    let Some(number) = number(database, id)? else { return Ok(Vec::new()) };
    // Their places are numbered from 1 without a gap.
    let sql = format!("SELECT {STANDING} FROM items WHERE job = ?1 AND ended > ?2 ORDER BY ended LIMIT ?3");
    let mut find = database.prepare_cached(&sql)?;
    let rows = find.query_map(params![number, skip as i64, most as i64], standing)?;
    rows.collect()
}

const STANDING: &str = "item, state, percent, deliveries, seconds, error, is_duplicate, ended_ms";

fn standing(row: &Row) -> rusqlite::Result<(usize, Standing)> {
    let error = match row.get_ref(5)? {
        rusqlite::types::ValueRef::Null => None,
        _ => Some(parsed(row, 5)?),
    };
    let standing = Standing {
        state: state(row, 1)?,
        percent: row.get(2)?,
        deliveries: row.get(3)?,
        seconds: row.get(4)?,
        error,
        is_duplicate: row.get(6)?,
        ended_ms: row.get(7)?,
    };
    Ok((row.get::<_, i64>(0)? as usize, standing))
}

/// Items that nobody has begun.
pub fn waiting(database: &Transaction) -> rusqlite::Result<usize> {
    let mut count = database.prepare_cached("SELECT COUNT(*) FROM items WHERE state = 0")?;
    Ok(count.query_row([], |row| row.get::<_, i64>(0))? as usize)
}

pub fn backlog(database: &Transaction) -> rusqlite::Result<Counts> {
    let sql = "SELECT state, COUNT(*), TOTAL(seconds), SUM(percent) FROM items WHERE state = 0 GROUP BY state \
               UNION ALL SELECT state, COUNT(*), TOTAL(seconds), SUM(percent) FROM items WHERE state = 1 GROUP BY state";
    sums(database, sql, [])
}

pub fn old(database: &Transaction, before_ms: u64, most: usize) -> rusqlite::Result<Vec<String>> {
    let mut find =
        database.prepare_cached("SELECT id FROM jobs WHERE ended_ms < ?1 ORDER BY ended_ms LIMIT ?2")?;
    let rows = find.query_map(params![before_ms, most as i64], |row| row.get(0))?;
    rows.collect()
}
