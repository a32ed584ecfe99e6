//! The folders that are written to in; whether they can be, and how much room they have, out. Nothing is left behind in them.

use std::path::{Path, PathBuf};

use crate::telemetry::Disk;

use super::case::Case;
use super::finding::Finding;

const GIB: f64 = (1u64 << 30) as f64;

/// Where models are downloaded to.
pub fn cache(case: &Case) -> Finding {
    let Ok(folder) = case.config.model.cache() else {
        return Finding::fault_if(
            case.is_from_hub(),
            "there is no folder to keep models in",
            "set model.cache_dir, HF_HOME or HOME",
        );
    };
    // A model that is here already only has to be read.
    let is_needed =
        case.is_from_hub() && case.has_model && case.files().is_err() && !case.config.model.offline;
    let use_of =
        Use { key: "model.cache_dir (HF_HUB_CACHE)", what: "models are downloaded to it", is_needed };
    look(case, &folder, &use_of)
}

pub fn jobs(case: &Case) -> Finding {
    let jobs = &case.config.jobs;
    if !jobs.enabled {
        return Finding::skipped("no jobs are taken (jobs.enabled)");
    }
    if jobs.nats_url.is_some() {
        return Finding::skipped("jobs are kept by the broker and the store, see the checks of these names");
    }
    let Some(folder) = jobs.folder() else {
        return Finding::warning(
            "there is no folder to keep jobs in",
            "set jobs.dir, XDG_STATE_HOME or HOME",
        );
    };
    // Without a folder of their own jobs are refused when they come; whoever has set one wants them.
    let is_needed = jobs.dir.is_some();
    look(case, &folder, &Use { key: "jobs.dir (--jobs-dir)", what: "jobs are kept in it", is_needed })
}

pub fn sessions(case: &Case) -> Finding {
    match &case.config.sessions.dir {
        None => Finding::skipped("dictations are kept in memory alone (sessions.dir)"),
        Some(folder) => look(
            case,
            folder,
            &Use { key: "sessions.dir", what: "dictations are kept in it", is_needed: true },
        ),
    }
}

/// Where archives lie while they are unpacked.
pub fn temporary(case: &Case) -> Finding {
    let what = "archives lie in it while they are unpacked";
    let use_of = Use { key: "TMPDIR", what, is_needed: false };
    look(case, &std::env::temp_dir(), &use_of)
}

/// What a folder is for.
struct Use {
    key: &'static str,
    what: &'static str,
    /// Something that was asked for does not work without it.
    is_needed: bool,
}

fn look(case: &Case, folder: &Path, Use { key, what, is_needed }: &Use) -> Finding {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let shown = folder.display();
    let (existing, is_new) = nearest(&folder);
    if let Err(error) = tempfile::tempfile_in(&existing) {
        let found = format!("{shown} cannot be written ({what}): {error}");
        let remedy = format!("give this user the right to write there, or set another folder with {key}");
        return Finding::fault_if(*is_needed, found, remedy);
    }
    let made = if is_new { ", will be made" } else { "" };
    let Some(disk) = Disk::of(&existing) else {
        return Finding::ok(format!("{shown}{made}: can be written; how much is free cannot be told"));
    };
    let kind = if disk.kind.is_empty() { "a disk" } else { disk.kind };
    let found = format!(
        "{shown}{made}: {:.1} of {:.1} GiB free on {kind}",
        disk.free as f64 / GIB,
        disk.total as f64 / GIB
    );
    if disk.free < case.min_free_bytes {
        let least = case.min_free_bytes as f64 / GIB;
        let remedy = format!("make room there, or set a folder on another disk with {key}");
        return Finding::fault_if(
            *is_needed,
            format!("{found}, and {least:.1} are wanted (--min-free-gib)"),
            remedy,
        );
    }
    if disk.is_memory() && *is_needed {
        let remedy = format!("set a folder on a disk with {key}");
        return Finding::warning(format!("{found}: it is in memory, and gone with the machine"), remedy);
    }
    if disk.is_remote() && *is_needed {
        let remedy = format!("set a folder on a disk of this machine with {key}");
        return Finding::warning(format!("{found}: databases find no reliable locks there"), remedy);
    }
    Finding::ok(found)
}

/// The folder, or the nearest above it that is there, and whether the folder itself is not.
fn nearest(folder: &Path) -> (PathBuf, bool) {
    let there = folder.ancestors().find(|path| path.symlink_metadata().is_ok()).unwrap_or(folder);
    (there.to_owned(), there != folder)
}
