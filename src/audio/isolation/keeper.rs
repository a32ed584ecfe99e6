//! The program in, its idle decoding processes out: started ahead, so that no request waits for a start.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc;

use tokio::process::Command;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::child::Child;

/// Whoever finds none idle waits for the milliseconds of a start.
const MOST_IDLE: usize = 4;

/// Where the process starts its children. All of the environment that they get is what finds their libraries.
const INHERITED: &str = "LD_LIBRARY_PATH";

type Wish = oneshot::Sender<io::Result<Child>>;

/// A thread of its own: the system ties a child's life to the thread that started it, and those of a runtime's pool end
/// when they are idle.
#[derive(Debug)]
pub(super) struct Keeper {
    wishes: mpsc::Sender<Wish>,
}

impl Keeper {
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// Where the system has no processes or threads left, or none of these can be started at all.
    pub fn start(program: &Path) -> io::Result<Keeper> {
        let (wishes, received) = mpsc::channel();
        let idle = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_IDLE);
        let (program, runtime) = (program.to_owned(), Handle::current());
        let (started, first) = mpsc::channel();
        std::thread::Builder::new().name("decode-keeper".to_owned()).spawn(move || {
            let _entered = runtime.enter();
            match spawn(&program) {
                Ok(child) => {
                    let _ = started.send(Ok(()));
                    keep(&program, (VecDeque::from([child]), idle), &received);
                }
                Err(error) => drop(started.send(Err(error))),
            }
        })?;
        first.recv().map_err(|_| gone())??;
        Ok(Keeper { wishes })
    }

    /// One that waits for its job.
    pub async fn child(&self) -> io::Result<Child> {
        let (wish, granted) = oneshot::channel();
        self.wishes.send(wish).map_err(|_| gone())?;
        granted.await.map_err(|_| gone())?
    }
}

fn gone() -> io::Error {
    io::Error::other("the thread that starts decoding processes has ended")
}

/// Until the keeper is dropped; then the idle children are killed.
fn keep(program: &Path, (mut idle, most_idle): (VecDeque<Child>, usize), wishes: &mpsc::Receiver<Wish>) {
    loop {
        while idle.len() < most_idle {
            match spawn(program) {
                Ok(child) => idle.push_back(child),
                // The next wish tries again, and is told.
                Err(error) => {
                    tracing::warn!(%error, "no decoding process could be started ahead");
                    break;
                }
            }
        }
        let Ok(wish) = wishes.recv() else { return };
        let living = std::iter::from_fn(|| idle.pop_front()).find_map(Child::if_alive);
        let child = living.map_or_else(|| spawn(program), Ok);
        // A wish whose caller has left gives its child back by dropping it.
        let _ = wish.send(child);
    }
}

fn spawn(program: &Path) -> io::Result<Child> {
    let mut command = Command::new(program);
    command
        .arg0("verbatim")
        .args(["decode-worker", &std::process::id().to_string()])
        .env_clear()
        .envs(std::env::var_os(INHERITED).map(|value| (INHERITED, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        // A terminal's Ctrl-C is for the server, which lets its children finish.
        .process_group(0)
        .kill_on_drop(true);
    Child::new(command.spawn()?)
}
