//! A request's headers in, the secret that they present out; it is taken out of them, so that nothing behind can log or echo it.

use http::{HeaderMap, HeaderName, HeaderValue, header};

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// How browsers send a key with a websocket, where they can set no header: as one of the protocols they offer.
const PROTOCOL: &str = "openai-insecure-api-key.";

/// The first of `Authorization: Bearer`, `X-Api-Key` and the websocket's protocols that holds one.
pub fn take(headers: &mut HeaderMap) -> Option<Vec<u8>> {
    let bearer = headers.remove(header::AUTHORIZATION).and_then(|value| of_bearer(value.as_bytes()));
    let api_key = headers.remove(API_KEY).map(|value| value.as_bytes().trim_ascii().to_vec());
    let protocol = of_protocols(headers);
    [bearer, api_key, protocol].into_iter().flatten().find(|secret| !secret.is_empty())
}

/// At most the first three characters and the last four, of what is long enough that this says little.
pub fn masked(secret: &[u8]) -> String {
    const LEAST: usize = 16;
    match std::str::from_utf8(secret) {
        Ok(text) if text.len() >= LEAST && text.bytes().all(|byte| byte.is_ascii_graphic()) => {
            format!("{}***{}", &text[..3], &text[text.len() - 4..])
        }
        _ => "***".to_owned(),
    }
}

fn of_bearer(value: &[u8]) -> Option<Vec<u8>> {
    let (scheme, rest) = value.split_at_checked("bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| rest.trim_ascii().to_vec())
}

/// The other protocols stay.
fn of_protocols(headers: &mut HeaderMap) -> Option<Vec<u8>> {
    let offered = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL);
    let offered: Vec<String> = offered
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|protocol| protocol.trim().to_owned())
        .collect();
    let (keys, others): (Vec<&String>, Vec<&String>) =
        offered.iter().partition(|protocol| protocol.starts_with(PROTOCOL));
    let key = keys.first()?.strip_prefix(PROTOCOL)?.as_bytes().to_vec();
    headers.remove(header::SEC_WEBSOCKET_PROTOCOL);
    let others: Vec<&str> = others.into_iter().map(String::as_str).collect();
    if let Ok(rest) = HeaderValue::from_str(&others.join(", "))
        && !rest.is_empty()
    {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, rest);
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(given: &[(&'static str, &'static str)]) -> (Option<String>, HeaderMap) {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let secret = take(&mut headers).map(|secret| String::from_utf8(secret).unwrap());
        (secret, headers)
    }

    #[test]
    fn a_key_is_taken_from_wherever_clients_put_it() {
        for given in [
            &[("authorization", "Bearer abc")][..],
            &[("authorization", "bearer  abc ")],
            &[("x-api-key", "abc")],
            &[("authorization", "Basic dTpw"), ("x-api-key", "abc")],
            &[("sec-websocket-protocol", "realtime, openai-insecure-api-key.abc, openai-beta.realtime-v1")],
            &[("authorization", "Bearer abc"), ("x-api-key", "other")],
        ] {
            assert_eq!(taken(given).0.as_deref(), Some("abc"), "{given:?}");
        }
        for given in
            [&[][..], &[("authorization", "Bearer ")], &[("authorization", "abc")], &[("x-api-key", "")]]
        {
            assert_eq!(taken(given).0, None, "{given:?}");
        }
    }

    #[test]
    fn nothing_of_it_stays_in_the_headers() {
        let protocols = "realtime, openai-insecure-api-key.abc, openai-beta.realtime-v1";
        let (_, headers) = taken(&[
            ("authorization", "Bearer abc"),
            ("x-api-key", "abc"),
            ("sec-websocket-protocol", protocols),
        ]);
        assert!(!format!("{headers:?}").contains("abc"));
        assert_eq!(headers["sec-websocket-protocol"], "realtime, openai-beta.realtime-v1");
        let (_, untouched) = taken(&[("sec-websocket-protocol", "realtime")]);
        assert_eq!(untouched["sec-websocket-protocol"], "realtime");
    }

    #[test]
    fn of_a_wrong_key_seven_characters_are_shown_at_most() {
        assert_eq!(masked(b"sk-proj-0123456789"), "sk-***6789");
        for short in
            [&b"short"[..], b"", b"fifteen-letters", &[0xff; 40], "sixteen-bytes-\u{e9}\u{e9}".as_bytes()]
        {
            assert_eq!(masked(short), "***");
        }
    }
}
