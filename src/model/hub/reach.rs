//! The hub in; whether it answers, and whether it has a model, out. Nothing is fetched, nothing is written.

use std::time::Duration;

use super::{HubError, Request, listing};

/// The status that the hub answers with at its root, whatever it is: somebody is there. Goes the way that downloads go, proxies
/// included.
///
/// # Errors
/// Why there was no answer.
pub fn reach(endpoint: &str, within: Duration) -> Result<u16, String> {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(within))
        .user_agent(concat!("verbatim/", env!("CARGO_PKG_VERSION")));
    let answer = config.build().new_agent().head(endpoint).call();
    answer.map(|answer| answer.status().as_u16()).map_err(|error| error.to_string())
}

/// The commit that the model's revision stands for now.
pub fn ask(request: &Request, within: Duration) -> Result<String, HubError> {
    let api = request.api()?;
    let listing = listing::fetch(&api.repo(request.repo(&request.revision)), request, within)?;
    Ok(listing.sha)
}
