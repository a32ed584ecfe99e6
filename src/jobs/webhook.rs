//! An event in; out, the headers that say who sent it, and when it is sent again where nobody took it.
//!
//! Standard Webhooks, specification 1.0.0: the signature is HMAC-SHA256 of `id.timestamp.body`, in base64, behind `v1,`.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

const PREFIX: &str = "whsec_";
const MINUTE: u64 = 60;
const WAITS: [u64; 6] = [5, 30, 2 * MINUTE, 10 * MINUTE, 60 * MINUTE, 360 * MINUTE];

/// After `tries` that failed before this one; `None`: it is given up.
pub fn wait(tries: u32) -> Option<Duration> {
    WAITS.get(tries as usize).copied().map(Duration::from_secs)
}

/// `timestamp`: Unix time. Without a secret there is no signature.
pub fn headers(secret: Option<&str>, id: &str, timestamp: u64, body: &[u8]) -> Vec<(&'static str, String)> {
    let mut headers = vec![
        ("content-type", "application/json".to_owned()),
        ("user-agent", concat!("verbatim/", env!("CARGO_PKG_VERSION")).to_owned()),
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", timestamp.to_string()),
    ];
    if let Some(secret) = secret {
        headers.push(("webhook-signature", sign(secret, id, timestamp, body)));
    }
    headers
}

/// A secret without the prefix, or that is no base64 behind it, stands for its own bytes.
fn sign(secret: &str, id: &str, timestamp: u64, body: &[u8]) -> String {
    let decoded = secret.strip_prefix(PREFIX).and_then(|text| STANDARD.decode(text).ok());
    let key = decoded.unwrap_or_else(|| secret.as_bytes().to_vec());
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes keys of any length");
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector that the libraries of Standard Webhooks are tested with.
    #[test]
    fn the_signature_is_that_of_the_specification() {
        let body = br#"{"test": 2432232314}"#;
        let signature = sign(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            body,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_webhook_is_given_up_in_the_end() {
        assert_eq!(wait(0), Some(Duration::from_secs(5)));
        assert_eq!(wait(5), Some(Duration::from_secs(21_600)));
        assert_eq!(wait(6), None);
        let named: Vec<&str> = headers(None, "evt_1", 1, b"{}").into_iter().map(|(name, _)| name).collect();
        assert!(!named.contains(&"webhook-signature"));
    }
}
