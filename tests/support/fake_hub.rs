//! A model hub on this machine: the protocol of the real one, as far as a download needs it, with faults on demand.
//!
//! Listing at `/api/models/<id>/revision/<revision>`, files at `/<id>/resolve/<revision>/<file>`; large files are
//! redirected to a store, with their SHA-256 as the linked ETag. Ranges are honoured, as a resumed download needs them.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::json;
use sha2::{Digest, Sha256};

pub const ID: &str = "someone/whisper-small-thing";
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// Every request for the repository gets this status, with this code in `x-error-code`.
    pub refuse: Option<(u16, &'static str)>,
    /// Files only, as for a model whose terms were not accepted.
    pub refuse_files: Option<u16>,
    /// The store breaks off after so many bytes, so many times.
    pub break_after: Option<(usize, usize)>,
    /// The store gives other bytes than were announced.
    pub corrupt: bool,
    /// The store gives fewer bytes than were announced, and says so.
    pub shorten: bool,
    /// As some mirrors do: the listing has names and nothing else.
    pub names_only: bool,
}

#[derive(Debug)]
struct State {
    files: BTreeMap<String, Vec<u8>>,
    commit: String,
    faults: Faults,
    /// Bodies served, by file; a question for the size alone is none.
    served: Vec<String>,
    /// Everything that was asked, with the token that came with it.
    asked: Vec<(String, Option<String>)>,
}

pub struct FakeHub {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl FakeHub {
    /// Runs until the test's process ends.
    pub fn start(files: &[(&str, &[u8])]) -> FakeHub {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let files = files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())).collect();
        let state = State {
            files,
            commit: COMMIT.to_owned(),
            faults: Faults::default(),
            served: Vec::new(),
            asked: Vec::new(),
        };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                // A client that leaves in the middle is none of our business.
                std::thread::spawn(move || drop(answer(stream, address, &state)));
            }
        });
        FakeHub { address, state }
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn set(&self, faults: Faults) {
        self.state.lock().unwrap().faults = faults;
    }

    /// A new commit with the same files.
    pub fn recommit(&self, commit: &str) {
        self.state.lock().unwrap().commit = commit.to_owned();
    }

    pub fn served(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().served)
    }

    pub fn asked(&self) -> Vec<(String, Option<String>)> {
        std::mem::take(&mut self.state.lock().unwrap().asked)
    }
}

struct Asked {
    path: String,
    /// First and last byte wanted.
    range: Option<(usize, Option<usize>)>,
    token: Option<String>,
}

fn answer(mut stream: TcpStream, address: SocketAddr, state: &Mutex<State>) -> std::io::Result<()> {
    let asked = read_request(&stream)?;
    let mut state = state.lock().unwrap();
    state.asked.push((asked.path.clone(), asked.token.clone()));
    let faults = state.faults.clone();
    if let Some((status, code)) = faults.refuse {
        return plain(&mut stream, status, &format!("x-error-code: {code}\r\n"), b"{}");
    }
    if asked.path.starts_with(&format!("/api/models/{ID}/revision/")) {
        let known = asked.path.contains("/revision/main") || asked.path.contains(&state.commit);
        return match known {
            true => plain(&mut stream, 200, "", &listing(&state)),
            false => plain(&mut stream, 404, "x-error-code: RevisionNotFound\r\n", b"{}"),
        };
    }
    let resolve = format!("/{ID}/resolve/{}/", state.commit);
    if let Some(name) = asked.path.strip_prefix(&resolve).map(str::to_owned) {
        if let Some(status) = faults.refuse_files {
            return plain(&mut stream, status, "x-error-code: GatedRepo\r\n", b"{}");
        }
        let Some(content) = state.files.get(&name).cloned() else {
            return plain(&mut stream, 404, "x-error-code: EntryNotFound\r\n", b"{}");
        };
        let commit = format!("x-repo-commit: {}\r\n", state.commit);
        if is_large(&name) {
            let headers = format!(
                "{commit}x-linked-etag: \"{}\"\r\nx-linked-size: {}\r\nlocation: http://{address}/store/{name}\r\n",
                sha256(&content),
                content.len()
            );
            return plain(&mut stream, 302, &headers, b"");
        }
        let headers = format!("{commit}etag: \"{}\"\r\n", blob_id(&content));
        return file(&mut stream, &mut state, (&name, content), (&asked, &headers));
    }
    if let Some(name) = asked.path.strip_prefix("/store/").map(str::to_owned) {
        let mut content = state.files[&name].clone();
        if faults.corrupt {
            content.iter_mut().for_each(|byte| *byte ^= 1);
        }
        if faults.shorten {
            content.truncate(content.len() / 2);
        }
        return file(&mut stream, &mut state, (&name, content), (&asked, ""));
    }
    plain(&mut stream, 404, "x-error-code: RepoNotFound\r\n", b"{}")
}

fn read_request(stream: &TcpStream) -> std::io::Result<Asked> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let path = first.split(' ').nth(1).unwrap_or_default().split('?').next().unwrap_or_default().to_owned();
    let mut asked = Asked { path, range: None, token: None };
    for line in lines {
        let line = line?;
        let Some((name, value)) = line.split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "range" => {
                let (first, last) = value.trim_start_matches("bytes=").split_once('-').unwrap();
                asked.range = Some((first.parse().unwrap(), last.parse().ok()));
            }
            "authorization" => asked.token = value.strip_prefix("Bearer ").map(str::to_owned),
            _ => {}
        }
    }
    Ok(asked)
}

fn plain(stream: &mut TcpStream, status: u16, headers: &str, body: &[u8]) -> std::io::Result<()> {
    let length = body.len();
    write!(stream, "HTTP/1.1 {status} .\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n")?;
    stream.write_all(body)
}

fn file(
    stream: &mut TcpStream,
    state: &mut State,
    (name, content): (&str, Vec<u8>),
    (asked, headers): (&Asked, &str),
) -> std::io::Result<()> {
    let (first, last) = asked.range.unwrap_or((0, None));
    let last = last.unwrap_or(content.len().saturating_sub(1));
    let part = content.get(first..=last).unwrap_or_default();
    let only_the_size = asked.range == Some((0, Some(0)));
    if !only_the_size {
        state.served.push(name.to_owned());
    }
    let total = content.len();
    let headers = format!("{headers}content-range: bytes {first}-{last}/{total}\r\n");
    if let Some((after, times)) = state.faults.break_after.filter(|(_, times)| *times > 0 && !only_the_size) {
        state.faults.break_after = Some((after, times - 1));
        let length = part.len();
        write!(stream, "HTTP/1.1 206 .\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n")?;
        return stream.write_all(&part[..after.min(length)]);
    }
    plain(stream, 206, &headers, part)
}

fn listing(state: &State) -> Vec<u8> {
    let describe = |(name, content): (&String, &Vec<u8>)| {
        if state.faults.names_only {
            return json!({ "rfilename": name });
        }
        let mut entry = json!({ "rfilename": name, "size": content.len(), "blobId": blob_id(content) });
        if is_large(name) {
            entry["lfs"] = json!({ "sha256": sha256(content), "size": content.len(), "pointerSize": 134 });
        }
        entry
    };
    let siblings: Vec<_> = state.files.iter().map(describe).collect();
    json!({ "id": ID, "sha": state.commit, "siblings": siblings }).to_string().into_bytes()
}

fn is_large(name: &str) -> bool {
    name.ends_with(".safetensors")
}

pub fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// As git names a file's content.
fn blob_id(content: &[u8]) -> String {
    use sha1::Digest as _;
    let mut hasher = sha1::Sha1::new();
    hasher.update(format!("blob {}\0", content.len()));
    hasher.update(content);
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
