//! Parsers of flags, with one sentence about an invalid value. A parser must not depend on another flag.

use std::time::Duration;

use url::Url;

/// Parses REGION=URL.
pub fn endpoint(text: &str) -> Result<(String, Url), String> {
    let (region, url) =
        text.split_once('=').ok_or("expected REGION=URL, for example my-region=https://dws.example.com")?;
    if region.is_empty() {
        return Err("the region before the = is empty".to_owned());
    }
    let url = Url::parse(url).map_err(|error| format!("{url:?} is not a URL: {error}"))?;
    Ok((region.to_owned(), url))
}

/// Parses calls per second, 0 to 1000.
pub fn rate(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|rate| (0.0..=1000.0).contains(rate))
        .ok_or_else(|| "expected a number from 0 (no rate limit) to 1000".to_owned())
}

/// Parses a duration of MIN to MAX seconds.
pub fn between<const MIN: u64, const MAX: u64>(text: &str) -> Result<Duration, String> {
    let duration =
        humantime::parse_duration(text).map_err(|error| format!("not a duration such as 5s or 1m: {error}"))?;
    if (Duration::from_secs(MIN)..=Duration::from_secs(MAX)).contains(&duration) {
        Ok(duration)
    } else {
        Err(format!("must be from {MIN}s to {MAX}s"))
    }
}
