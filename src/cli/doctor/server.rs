//! What a server needs of the system in: its port, its keys, its files, the clock; whether it has them, out.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::http::keys::{self, KeysError};
use crate::telemetry::limits;

use super::case::Case;
use super::finding::Finding;

/// For a server on this machine to answer.
const ANSWER: Duration = Duration::from_secs(3);
/// Seconds since 1970 at which this was written: no clock is right that shows less.
const WRITTEN: u64 = 1_785_000_000;
/// Files that a server has open beside connections: libraries, logs, the database, pipes of idle decoders.
const FIXED_FILES: u64 = 96;
/// A request that is being worked on: the pipes of its decoder.
const FILES_A_REQUEST: u64 = 3;
/// Below this a handful of requests is too much.
const LEAST_FILES: u64 = 256;

pub fn port(case: &Case) -> Finding {
    let address = SocketAddr::new(case.config.server.host, case.config.server.port);
    let elsewhere = "stop it, or take another port with --port (server.port)";
    match TcpListener::bind(address) {
        Ok(_) if address.port() == 0 => Finding::ok(format!("{address}: any port that is free")),
        Ok(_) => Finding::ok(format!("{address} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => match who_is_at(address) {
            Some(Ok(state)) => {
                Finding::ok(format!("a Verbatim server has {address} already, and it is {state}"))
            }
            Some(Err(state)) => Finding::warning(
                format!("a Verbatim server has {address} already, and it is not ready: {state}"),
                "wait until /readyz says 200; its log says why it does not",
            ),
            None => {
                Finding::fault(format!("{address} is taken by a program that is not Verbatim"), elsewhere)
            }
        },
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Finding::fault(
            format!("{address} may not be listened to: {error}"),
            "take a port from 1024 up with --port (server.port), or give the program the right to lower ones",
        ),
        Err(error) => Finding::fault(
            format!("{address} cannot be listened to: {error}"),
            "give an address of this machine with --host (server.host), or 0.0.0.0 for all of them",
        ),
    }
}

/// A Verbatim server, and whether it is ready; `None`: somebody else.
fn who_is_at(mut address: SocketAddr) -> Option<Result<String, String>> {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    let live = get(address, "/livez")?;
    if live["status"] != "alive" {
        return None;
    }
    let ready = get(address, "/readyz")?;
    let said = |value: &Value| value.as_str().map(str::to_owned);
    Some(match said(&ready["model"]) {
        Some(model) => Ok(format!("ready with the model {model}")),
        None => Err(said(&ready["error"]["message"]).unwrap_or_else(|| "it does not say why".to_owned())),
    })
}

/// By hand: no proxy stands between two programs of one machine, whatever the environment says.
fn get(address: SocketAddr, path: &str) -> Option<Value> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWER).ok()?;
    stream.set_read_timeout(Some(ANSWER)).ok()?;
    stream.set_write_timeout(Some(ANSWER)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    stream.take(64 << 10).read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8(answer).ok()?;
    serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
}

pub fn keys(case: &Case) -> Finding {
    let server = &case.config.server;
    match keys::check(server) {
        Err(KeysError::Open(host)) => Finding::fault(
            format!("{host} can be reached from other machines, and there are no keys: serve will not start"),
            "make one with `verbatim keys new LABEL` for server.keys_file (or set VERBATIM_SERVER__KEYS=label:secret), or let everybody \
                 in with --allow-no-keys",
        ),
        Err(error) => Finding::fault(
            error.to_string(),
            "correct server.keys or the file in server.keys_file; docs/security.md has its form",
        ),
        Ok(()) => {
            let wanted = !server.keys.is_empty() || server.keys_file.is_some();
            let is_private = server.host.to_canonical().is_loopback();
            match (wanted, is_private) {
                (true, _) => Finding::ok("callers must have a key"),
                (false, true) => {
                    Finding::ok(format!("none are needed: {} is this machine alone", server.host))
                }
                (false, false) => Finding::warning(
                    format!(
                        "whoever can reach {} may use the service without a key (server.allow_no_keys)",
                        server.host
                    ),
                    "set server.keys_file, unless something before the server asks for keys",
                ),
            }
        }
    }
}

pub fn open_files(case: &Case) -> Finding {
    let Some(limit) = limits::open_files() else {
        return Finding::ok("no limit, or none that can be told");
    };
    let server = &case.config.server;
    let wanted = (server.max_connections as u64)
        .saturating_add((server.max_requests as u64).saturating_mul(FILES_A_REQUEST))
        .saturating_add(FIXED_FILES);
    let found = format!(
        "{limit} files and sockets may be open; server.max_connections ({}) and server.max_requests ({}) may take {wanted}",
        server.max_connections, server.max_requests
    );
    let remedy = format!(
        "raise the limit (ulimit -n {}, LimitNOFILE= of systemd, --ulimit nofile= of docker), or lower server.max_connections",
        wanted.next_power_of_two()
    );
    match () {
        () if limit < LEAST_FILES => Finding::fault(found, remedy),
        () if limit < wanted => Finding::warning(found, remedy),
        () => Finding::ok(found),
    }
}

/// Certificates are not valid yet for a machine that lives in the past.
pub fn clock(_: &Case) -> Finding {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    match now < WRITTEN {
        true => Finding::fault(
            format!("the clock says {now} s after 1970, which is in the past"),
            "set the clock (timedatectl set-ntp true): no certificate is valid yet for this machine",
        ),
        false => Finding::ok(format!("{} (UTC)", crate::cli::machine::utc(SystemTime::now()))),
    }
}
