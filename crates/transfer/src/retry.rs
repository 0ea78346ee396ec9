//! When to try again, and how long to wait before.

use std::time::Duration;

use crate::error::Error;

/// How often one thing is tried, the first time included.
const ATTEMPTS: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Whoever asks for a longer pause than this is asked again by the user, later.
const LONGEST_PAUSE: Duration = Duration::from_mins(2);

/// Does `attempt` until it works, fails for good, or was tried often enough. What was tried often enough inside
/// of `attempt` is not tried again here.
pub(crate) async fn retry<T, F: Future<Output = Result<T, Error>>>(
    mut attempt: impl FnMut() -> F,
) -> Result<T, Error> {
    let mut tried = 1;
    loop {
        let (message, retry_after) = match attempt().await {
            Err(Error::Temporary { message, retry_after }) => (message, retry_after),
            other => return other,
        };
        if tried == ATTEMPTS || retry_after.is_some_and(|pause| pause > LONGEST_PAUSE) {
            return Err(Error::Exhausted(format!(
                "{message} (tried {tried} times; run the same command again later)"
            )));
        }
        tokio::time::sleep(pause(tried, retry_after)).await;
        tried += 1;
    }
}

/// Doubles with each attempt; a part of it is chance, so that many waiting clients do not come back together.
fn pause(tried: u32, retry_after: Option<Duration>) -> Duration {
    let base = FIRST_PAUSE * (1 << (tried - 1).min(8));
    let chance = getrandom::u32().map_or(0.5, |number| f64::from(number) / f64::from(u32::MAX));
    let own = base.mul_f64(0.75 + chance / 2.0);
    retry_after.map_or(own, |asked| asked + FIRST_PAUSE.mul_f64(chance))
}

/// A `Retry-After` field (RFC 9110, section 10.2.3): seconds, or a date.
pub(crate) fn retry_after(field: &str) -> Option<Duration> {
    if let Ok(seconds) = field.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(field.trim()).ok()?;
    let seconds = date.timestamp().as_second() - jiff::Timestamp::now().as_second();
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_temporary_is_tried_within_bounds() {
        let mut calls = 0;
        let result: Result<(), Error> = retry(|| {
            calls += 1;
            async { Err(Error::temporary("busy")) }
        })
        .await;
        assert!(result.unwrap_err().to_string().contains("tried 6 times"));
        assert_eq!(calls, 6);

        let mut calls = 0;
        let result = retry(|| {
            calls += 1;
            let calls = calls;
            async move { if calls < 3 { Err(Error::temporary("busy")) } else { Ok(calls) } }
        })
        .await;
        assert_eq!(result, Ok(3));

        let mut calls = 0;
        let result: Result<(), Error> = retry(|| {
            calls += 1;
            async { Err(Error::Refused("no".to_owned())) }
        })
        .await;
        assert_eq!((result, calls), (Err(Error::Refused("no".to_owned())), 1));
    }

    #[tokio::test(start_paused = true)]
    async fn the_pause_that_is_asked_for_is_kept() {
        let begin = tokio::time::Instant::now();
        let mut first = true;
        let result = retry(|| {
            let once = std::mem::take(&mut first);
            let wait = Some(Duration::from_secs(7));
            async move {
                if once {
                    Err(Error::Temporary { message: "busy".to_owned(), retry_after: wait })
                } else {
                    Ok(())
                }
            }
        });
        assert_eq!(result.await, Ok(()));
        assert!(begin.elapsed() >= Duration::from_secs(7));
    }

    #[test]
    fn both_forms_of_retry_after() {
        assert_eq!(retry_after("3"), Some(Duration::from_secs(3)));
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert_eq!(retry_after("soon"), None);
    }
}
