//! What is written down of a request: its key's label in general, an audit line and nothing else for a private key.

use std::io::Write;
use std::sync::{Arc, Mutex, Once};

use reqwest::multipart::Form;
use verbatim::http::Digest;

use crate::fake_model::{Behaviour, Gate};
use crate::keys::{SECRET, file_of, start_keyed};
use crate::server::{file, wav};

/// All that this test's thread logs, at every level; servers of tests run on the test's own thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn start(&self) -> tracing::subscriber::DefaultGuard {
        // While there is but one subscriber, tracing asks the thread that first comes by a line whether anybody wants it, and
        // keeps the answer for all threads: other tests' have none.
        static FOR_ALL: Once = Once::new();
        FOR_ALL.call_once(|| {
            let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry());
        });
        let log = self.clone();
        let to_log = tracing_subscriber::fmt().with_writer(move || log.clone()).with_ansi(false);
        tracing::subscriber::set_default(to_log.with_max_level(tracing::Level::TRACE).finish())
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// Lines of one target.
    async fn lines(&self, target: &str, at_least: usize) -> Vec<String> {
        // Within a request its span stands before the target.
        let own = format!(" {target}: ");
        let read = async {
            loop {
                let text = self.text();
                let lines: Vec<String> =
                    text.lines().filter_map(|line| Some(line.split_once(&own)?.1.to_owned())).collect();
                if lines.len() >= at_least {
                    return lines;
                }
                tokio::task::yield_now().await;
            }
        };
        let read = tokio::time::timeout(crate::server::PATIENCE, read).await;
        read.unwrap_or_else(|_| panic!("{target} says less than {at_least} lines:\n{}", self.text()))
    }
}

const ACCESS: &str = "verbatim::http::observe";

#[tokio::test]
async fn the_access_log_says_whose_request_it_was() {
    let log = Log::default();
    let _logged = log.start();
    let keys = file_of("ward-7", "");
    let server = start_keyed(Behaviour::default(), &keys).await;
    server.transcribe(&[]).bearer_auth(SECRET).send().await.unwrap();
    server.transcribe(&[]).send().await.unwrap();
    let lines = log.lines(ACCESS, 2).await;
    assert!(lines[0].contains(r#"key="ward-7""#) && lines[0].contains("status=200"), "{lines:?}");
    assert!(!lines[1].contains("key=") && lines[1].contains("status=401"), "{lines:?}");
    assert!(!log.text().contains(SECRET));
    assert!(!log.text().contains("INFO audit"));
}

#[tokio::test]
async fn of_a_private_key_s_request_there_is_one_audit_line_and_no_word() {
    let log = Log::default();
    let _logged = log.start();
    let keys = file_of("clinic", "private = true");
    let server = start_keyed(Behaviour::default(), &keys).await;
    let prompt = "metastatic";
    let send = |fields: &[(&'static str, &str)]| {
        server.transcribe(fields).bearer_auth(SECRET).header("x-request-id", "visit-1").send()
    };
    let answer = send(&[("prompt", prompt), ("response_format", "text")]).await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "metastatic\n");
    // Error messages quote what was asked.
    assert_eq!(send(&[("language", prompt)]).await.unwrap().status(), 400);
    let nonsense = Form::new().part("file", file(b"RIFF metastatic".to_vec()));
    server.post("/transcribe").bearer_auth(SECRET).multipart(nonsense).send().await.unwrap();

    let audit = log.lines("audit", 3).await;
    let sha256 = Digest::of(&wav(1)).to_string().replace("sha256:", "");
    let wanted =
        format!(r#"key="clinic" id="visit-1" route="/transcribe" sha256="{sha256}" seconds=1.0 status=200"#);
    assert_eq!((audit.len(), audit[0].as_str()), (3, wanted.as_str()));
    assert!(audit[1].contains("status=400") && audit[2].contains("status=415"), "{audit:?}");
    let text = log.text();
    let own: Vec<&str> = text.lines().filter(|line| line.contains("verbatim")).collect();
    assert!(!own.iter().any(|line| line.contains("visit-1")), "{own:?}");
    for secret in [prompt, "hello there", SECRET] {
        assert!(!text.contains(secret), "{secret} is in the log:\n{text}");
    }
}

#[tokio::test]
async fn a_private_caller_that_leaves_is_audited_too() {
    let log = Log::default();
    let _logged = log.start();
    let keys = file_of("clinic", "private = true");
    let server = start_keyed(Behaviour { gate: Gate::shut(), ..Behaviour::default() }, &keys).await;
    let leaving = tokio::spawn(server.transcribe(&[]).bearer_auth(SECRET).send());
    server.gate.reached(1).await;
    leaving.abort();
    let audit = log.lines("audit", 1).await;
    assert!(audit[0].ends_with("seconds=0.0 status=499") && audit[0].contains("sha256="), "{audit:?}");
    server.gate.open();
}
