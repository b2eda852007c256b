//! What the text of a flag must be like, and one sentence about what is wrong with it. It must not look at any other flag.

use std::time::Duration;

use url::Url;

/// A region and its URL.
pub fn endpoint(text: &str) -> Result<(String, Url), String> {
    let (region, url) =
        text.split_once('=').ok_or("expected REGION=URL, for example my-region=https://dws.example.com")?;
    if region.is_empty() {
        return Err("the region before the = is empty".to_owned());
    }
    let url = Url::parse(url).map_err(|error| format!("{url:?} is not a URL: {error}"))?;
    Ok((region.to_owned(), url))
}

/// Calls a second.
pub fn rate(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|rate| (0.0..=1000.0).contains(rate))
        .ok_or_else(|| "expected a number from 0 (no pace) to 1000".to_owned())
}

/// A duration of LEAST to MOST seconds.
pub fn between<const LEAST: u64, const MOST: u64>(text: &str) -> Result<Duration, String> {
    let duration =
        humantime::parse_duration(text).map_err(|error| format!("not a duration such as 5s or 1m: {error}"))?;
    if (Duration::from_secs(LEAST)..=Duration::from_secs(MOST)).contains(&duration) {
        Ok(duration)
    } else {
        Err(format!("must be from {LEAST}s to {MOST}s"))
    }
}
