//! A file in, the database of jobs out, with its tables, after a crash too.

use std::path::Path;

use rusqlite::Connection;

use crate::jobs::backend::JobError;

/// Of the tables below; a database of a later version is not touched.
const VERSION: i64 = 1;

/// `state`: as `code` has it. `turn`: jobs take turns, the lowest goes first. `open`: something of it may be queued. `ended`: the
/// place of an item among those of its job that ended.
const TABLES: &str = "
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    owner INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    name TEXT,
    priority INTEGER NOT NULL,
    fields TEXT NOT NULL,
    webhook TEXT,
    request_key TEXT,
    request_content TEXT,
    is_cancelled INTEGER NOT NULL DEFAULT 0,
    ended_ms INTEGER,
    open INTEGER NOT NULL,
    turn INTEGER NOT NULL,
    webhook_next_ms INTEGER,
    webhook_tries INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX jobs_by_request ON jobs (owner, request_key) WHERE request_key IS NOT NULL;
CREATE INDEX jobs_by_owner ON jobs (owner, id);
CREATE INDEX jobs_by_turn ON jobs (priority DESC, turn, number) WHERE open = 1;
CREATE INDEX jobs_by_end ON jobs (ended_ms) WHERE ended_ms IS NOT NULL;
CREATE INDEX jobs_by_webhook ON jobs (webhook_next_ms) WHERE webhook_next_ms IS NOT NULL;
CREATE TABLE last_lease (number INTEGER NOT NULL) STRICT;
INSERT INTO last_lease VALUES (0);
CREATE TABLE items (
    job INTEGER NOT NULL,
    item INTEGER NOT NULL,
    name TEXT NOT NULL,
    sound TEXT NOT NULL,
    state INTEGER NOT NULL,
    percent INTEGER NOT NULL DEFAULT 0,
    deliveries INTEGER NOT NULL DEFAULT 0,
    seconds REAL,
    error TEXT,
    is_duplicate INTEGER NOT NULL DEFAULT 0,
    ended_ms INTEGER,
    ended INTEGER,
    not_before_ms INTEGER NOT NULL DEFAULT 0,
    lease INTEGER,
    lease_until_ms INTEGER,
    PRIMARY KEY (job, item)
) STRICT, WITHOUT ROWID;
CREATE INDEX items_queued ON items (job, item, not_before_ms) WHERE state = 0;
CREATE INDEX items_working ON items (lease_until_ms) WHERE state = 1;
CREATE UNIQUE INDEX items_by_lease ON items (lease) WHERE lease IS NOT NULL;
CREATE UNIQUE INDEX items_by_end ON items (job, ended) WHERE ended IS NOT NULL;
";

pub fn open(file: &Path) -> Result<Connection, JobError> {
    let what = format!("the database of jobs {} (jobs.dir)", file.display());
    let failed = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
            JobError::Unavailable(format!(
                "{what}: another process uses it; each server needs a folder of its own"
            ))
        }
        _ => JobError::unavailable(&what, error),
    };
    let database = Connection::open(file).map_err(failed)?;
    prepare(&database).map_err(failed)?;
    let version: i64 = database.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
    match version {
        0 => {
            let all = format!("BEGIN IMMEDIATE; {TABLES} PRAGMA user_version = {VERSION}; COMMIT;");
            database.execute_batch(&all).map_err(failed)?;
        }
        VERSION => {}
        later => {
            return Err(JobError::Unavailable(format!(
                "{what}: version {later}, and this program knows {VERSION}"
            )));
        }
    }
    // Nobody else has it, so nobody works on anything.
    database
        .execute_batch(
            "BEGIN IMMEDIATE;
             UPDATE jobs SET open = 1 WHERE number IN (SELECT job FROM items WHERE state = 1);
             UPDATE items SET state = 0, percent = 0, lease = NULL, lease_until_ms = NULL WHERE state = 1;
             COMMIT;",
        )
        .map_err(failed)?;
    Ok(database)
}

fn prepare(database: &Connection) -> rusqlite::Result<()> {
    // Long enough for a server that is just ending.
    database.busy_timeout(std::time::Duration::from_secs(2))?;
    database.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    database.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    // A job that was acknowledged is on the disk, also when the power goes.
    database.pragma_update(None, "synchronous", "FULL")?;
    // Takes the lock now, and not with the first job.
    database.execute_batch("BEGIN IMMEDIATE; COMMIT;")?;
    database.set_prepared_statement_cache_capacity(64);
    Ok(())
}
