//! A URL that somebody else wrote in, what is there out; and only what is on the public Internet.
//!
//! Addresses are judged when a connection is made, to whatever the name leads that time and after every redirect: a name that is looked at
//! first and resolved again afterwards may lead elsewhere the second time.

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use bytes::Bytes;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Error};

const LONGEST_URL: usize = 2_048;
const CONNECT: Duration = Duration::from_secs(10);
const FETCH: Duration = Duration::from_secs(600);
const POST: Duration = Duration::from_secs(15);
const REDIRECTS: u32 = 5;

/// The outside world over HTTP. Blocks.
#[derive(Debug)]
pub struct Remote {
    fetching: Agent,
    posting: Agent,
    allow_private: bool,
}

/// Why it was not had.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    #[error("the URL cannot be used: {0}")]
    Url(&'static str),
    #[error(
        "the address is not on the public Internet, and others are not asked (jobs.allow_private_addresses)"
    )]
    Address,
    #[error("the other side answered {0}")]
    Status(u16),
    #[error("the file is larger than {0} bytes (limit set by server.max_body_bytes)")]
    TooLarge(u64),
    #[error("the other side could not be reached: {0}")]
    Broken(String),
}

impl RemoteError {
    /// It would be the same another time.
    pub fn is_permanent(&self) -> bool {
        match self {
            RemoteError::Url(_) | RemoteError::Address | RemoteError::TooLarge(_) => true,
            RemoteError::Status(status) => (400..500).contains(status) && ![408, 425, 429].contains(status),
            RemoteError::Broken(_) => false,
        }
    }
}

impl Remote {
    pub fn new(allow_private: bool) -> Remote {
        let agent = |most: Duration, redirects: u32| {
            let config = Agent::config_builder()
                .timeout_connect(Some(CONNECT))
                .timeout_global(Some(most))
                .http_status_as_error(false)
                .max_redirects(redirects)
                // For a POST, what leads elsewhere is an answer like any other.
                .max_redirects_will_error(redirects > 0)
                // A proxy would make the connections, and judge no addresses.
                .proxy(None)
                .user_agent(concat!("verbatim/", env!("CARGO_PKG_VERSION")))
                .build();
            let resolver = Judging { allow_private, resolver: DefaultResolver::default() };
            Agent::with_parts(config, DefaultConnector::default(), resolver)
        };
        Remote { fetching: agent(FETCH, REDIRECTS), posting: agent(POST, 0), allow_private }
    }

    pub fn get(&self, url: &str, max_bytes: u64) -> Result<Bytes, RemoteError> {
        check(url, self.allow_private)?;
        let response = self.fetching.get(url).call().map_err(of_ureq)?;
        let status = response.status().as_u16();
        if !(200..300).contains(&status) {
            return Err(RemoteError::Status(status));
        }
        let mut bytes = Vec::new();
        let body = response.into_body().into_reader();
        let read = body.take(max_bytes + 1).read_to_end(&mut bytes);
        read.map_err(|error| RemoteError::Broken(error.to_string()))?;
        if bytes.len() as u64 > max_bytes {
            return Err(RemoteError::TooLarge(max_bytes));
        }
        Ok(bytes.into())
    }

    /// Gives the status of the answer.
    pub fn post(
        &self,
        url: &str,
        headers: &[(&'static str, String)],
        body: &[u8],
    ) -> Result<u16, RemoteError> {
        check(url, self.allow_private)?;
        let request = self.posting.post(url);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
        let response = request.send(body).map_err(of_ureq)?;
        Ok(response.status().as_u16())
    }
}

/// Whether a URL could be asked at all; where a name leads is judged when it is.
pub fn check(url: &str, allow_private: bool) -> Result<(), RemoteError> {
    if url.len() > LONGEST_URL {
        return Err(RemoteError::Url("it is longer than 2048 characters"));
    }
    let uri: Uri = url.parse().map_err(|_| RemoteError::Url("it is no URL"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(RemoteError::Url("it is neither http:// nor https://"));
    }
    let authority = uri.authority().ok_or(RemoteError::Url("it names no host"))?;
    if authority.as_str().contains('@') {
        return Err(RemoteError::Url("it holds a user or a password"));
    }
    let host = authority.host().trim_matches(['[', ']']);
    if host.is_empty() {
        return Err(RemoteError::Url("it names no host"));
    }
    match host.parse::<IpAddr>() {
        Ok(address) if !allow_private && !is_public(address) => Err(RemoteError::Address),
        _ => Ok(()),
    }
}

/// What a resolver gives, less what nobody from outside may be led to.
#[derive(Debug)]
struct Judging {
    allow_private: bool,
    resolver: DefaultResolver,
}

const REFUSED: &str = "not on the public Internet";

impl Resolver for Judging {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let found = self.resolver.resolve(uri, config, timeout)?;
        let mut allowed = self.empty();
        for address in found.iter().filter(|address| self.allow_private || is_public(address.ip())) {
            allowed.push(*address);
        }
        match allowed.is_empty() {
            true => Err(Error::Io(std::io::Error::new(std::io::ErrorKind::PermissionDenied, REFUSED))),
            false => Ok(allowed),
        }
    }
}

fn of_ureq(error: Error) -> RemoteError {
    match error {
        Error::Io(error) if error.kind() == std::io::ErrorKind::PermissionDenied => RemoteError::Address,
        Error::StatusCode(status) => RemoteError::Status(status),
        error => RemoteError::Broken(error.to_string()),
    }
}

/// Global unicast, by the special-purpose registries of IANA; addresses of IPv6 that stand for one of IPv4 are judged as that.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_shared = a == 100 && (64..128).contains(&b);
    let is_protocols = a == 192 && b == 0 && c == 0;
    let is_relay = a == 192 && b == 88 && c == 99;
    let is_benchmarking = a == 198 && (18..20).contains(&b);
    // Where Azure answers every machine of its own, in a range that is public otherwise.
    let is_azure = address == Ipv4Addr::new(168, 63, 129, 16);
    !(a == 0
        || a >= 240
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || is_shared
        || is_protocols
        || is_relay
        || is_benchmarking
        || is_azure)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let last = || Ipv4Addr::from((u32::from(g) << 16) | u32::from(h));
    match [a, b, c, d, e, f] {
        // Mapped, and as translated by NAT64.
        [0, 0, 0, 0, 0, 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0] => is_public_v4(last()),
        // 6to4, of which the second and third say where it leads.
        [0x2002, ..] => is_public_v4(Ipv4Addr::from((u32::from(b) << 16) | u32::from(c))),
        // Teredo, benchmarking, ORCHID, documentation, and what is reserved for protocols.
        [0x2001, ..0x0200, ..] | [0x2001, 0x0db8, ..] | [0x3fff, ..0x1000, ..] => false,
        // Global unicast; everything else is local, reserved or for many.
        _ => (0x2000..0x4000).contains(&a),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn only_the_public_internet_is_public() {
        for local in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::",
            "3fff::1",
            "100::1",
        ] {
            assert!(!is_public(local.parse().unwrap()), "{local}");
        }
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "100.128.0.1",
            "172.32.0.1",
            "2606:4700::1111",
            "64:ff9b::808:808",
            "2002:808:808::",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn urls_are_judged_before_anybody_is_asked() {
        let problem = |url: &str| check(url, false).err().map(|error| error.to_string());
        assert_eq!(problem("https://example.com/a.mp3?x=1"), None);
        for wrong in [
            "a.mp3",
            "file:///etc/passwd",
            "ftp://example.com/a",
            "https://user:secret@example.com/a",
            "http:///a",
            "http://127.0.0.1/",
            "http://[::1]:8080/",
            "http://169.254.169.254/latest/meta-data/",
        ] {
            assert!(problem(wrong).is_some(), "{wrong}");
        }
        assert!(problem(&format!("https://example.com/{}", "a".repeat(2_048))).is_some());
        assert!(check("http://127.0.0.1/", true).is_ok());
    }

    /// Answers each connection with the next of these.
    fn serve(answers: Vec<String>) -> (String, std::thread::JoinHandle<usize>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let served = std::thread::spawn(move || {
            for (at, answer) in answers.iter().enumerate() {
                let Ok((mut socket, _)) = listener.accept() else { return at };
                let mut request = [0; 4_096];
                let _ = socket.read(&mut request).unwrap();
                socket.write_all(answer.as_bytes()).unwrap();
            }
            answers.len()
        });
        (format!("http://{address}"), served)
    }

    fn answer(status: &str, headers: &str, body: &str) -> String {
        format!(
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n{body}",
            body.len()
        )
    }

    #[test]
    fn files_are_fetched_within_bounds_and_redirects_are_followed() {
        let moved = answer("302 Found", "location: /there\r\n", "");
        let (url, served) = serve(vec![
            moved,
            answer("200 OK", "", "sound"),
            answer("200 OK", "", "sound"),
            answer("404 Not Found", "", ""),
        ]);
        let remote = Remote::new(true);
        assert_eq!(remote.get(&url, 5).unwrap().as_ref(), b"sound");
        assert!(matches!(remote.get(&url, 4), Err(RemoteError::TooLarge(4))));
        let gone = remote.get(&url, 5).unwrap_err();
        assert!(matches!(gone, RemoteError::Status(404)) && gone.is_permanent());
        assert_eq!(served.join().unwrap(), 4);
    }

    #[test]
    fn names_and_redirects_that_lead_inside_are_refused_at_the_door() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let refused = Remote::new(false).get(&format!("http://localhost:{port}/"), 5).unwrap_err();
        assert!(matches!(refused, RemoteError::Address), "{refused}");
        let refused = Remote::new(false).post(&format!("http://localhost:{port}/"), &[], b"{}").unwrap_err();
        assert!(matches!(refused, RemoteError::Address) && refused.is_permanent(), "{refused}");
    }

    #[test]
    fn a_post_tells_its_status_and_follows_nobody() {
        let (url, served) = serve(vec![
            answer("302 Found", "location: http://127.0.0.1:1/\r\n", ""),
            answer("204 No Content", "", ""),
        ]);
        let remote = Remote::new(true);
        assert_eq!(remote.post(&url, &[("webhook-id", "evt_1".to_owned())], b"{}").unwrap(), 302);
        assert_eq!(remote.post(&url, &[], b"{}").unwrap(), 204);
        assert_eq!(served.join().unwrap(), 2);
    }
}
