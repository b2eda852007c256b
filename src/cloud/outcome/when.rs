//! PURE: interprets the times in an answer: how long a 429 asks to wait, and how far this host's clock is off. This
//! module must not classify the answer.

use std::time::Duration;

use k8s_openapi::jiff::{Timestamp, fmt::rfc2822};

/// The gateway refuses a signature whose date is further off than this.
const CLOCK_WINDOW: Duration = Duration::from_secs(15 * 60);
/// Wait after a 429 that names none.
const DEFAULT_WINDOW: Duration = Duration::from_secs(60);
/// Minimum wait: a 429 with 0 seconds or a time in the past does not allow an immediate retry.
const MIN_WINDOW: Duration = Duration::from_secs(1);
/// Maximum wait that is accepted.
const MAX_WINDOW: Duration = Duration::from_secs(15 * 60);

/// How long a 429 asks to wait: the header, else the time in the gateway's text, else a minute.
pub fn window(retry_after: Option<&str>, text: &str, now: Timestamp) -> Duration {
    let by_header = retry_after.and_then(|value| {
        let seconds = value.trim().parse::<u64>().ok().map(Duration::from_secs);
        seconds.or_else(|| http_date(value).map(|at| whole_seconds_between(now, at)))
    });
    let by_text = || {
        let (number, unit) = text.split_once("time:")?.1.split_once(' ')?;
        let unit = match unit.trim_start().chars().take_while(char::is_ascii_alphabetic).collect::<String>().as_str() {
            "second" | "seconds" => 1,
            "minute" | "minutes" => 60,
            "hour" | "hours" => 3600,
            "day" | "days" => 86_400,
            _ => return None,
        };
        number.trim().parse::<u64>().ok()?.checked_mul(unit).map(Duration::from_secs)
    };
    by_header.or_else(by_text).unwrap_or(DEFAULT_WINDOW).clamp(MIN_WINDOW, MAX_WINDOW)
}

/// How far this host's clock is from the gateway's, if that is more than the gateway tolerates.
pub fn skew(date: Option<&str>, now: Timestamp) -> Option<Duration> {
    let server = http_date(date?)?;
    let off = Duration::from_secs(now.as_second().abs_diff(server.as_second()));
    (off > CLOCK_WINDOW).then_some(off)
}

/// Parses a header whose value is a date.
pub fn http_date(value: &str) -> Option<Timestamp> {
    // HTTP's own format ends in GMT, which RFC 2822 still allows.
    rfc2822::parse(value.trim()).ok().map(|zoned| zoned.timestamp())
}

fn whole_seconds_between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::from_secs(u64::try_from(to.as_second().saturating_sub(from.as_second())).unwrap_or(0))
}
