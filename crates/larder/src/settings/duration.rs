//! Durations as people write them: `90s`, `15m`, `24h`, `7d`, `500ms`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A duration with its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Text(Duration);

const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

impl Text {
    pub(super) fn duration(self) -> Duration {
        self.0
    }
}

impl From<Duration> for Text {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl FromStr for Text {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is not a duration; write a whole number and a unit, such as 90s, 15m, 24h or 7d"
            )
        };
        let digits = text.find(|character: char| !character.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        number.checked_mul(*millis).map(|millis| Self(Duration::from_millis(millis))).ok_or_else(wrong)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        let fits = |(_, unit): &&(&str, u64)| millis.is_multiple_of(*unit) && millis > 0;
        let (name, unit) = UNITS.iter().rev().find(fits).unwrap_or(&("s", 1000));
        write!(formatter, "{}{name}", millis / unit)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_come_back() {
        for text in ["500ms", "90s", "15m", "25h", "7d", "0s"] {
            assert_eq!(text.parse::<Text>().unwrap().to_string(), text);
        }
        assert_eq!("24h".parse::<Text>().unwrap().to_string(), "1d");
    }

    #[test]
    fn what_is_no_duration_says_how_to_write_one() {
        for text in ["", "5", "s", "-1s", "1.5h", "1 h", "1w", "99999999999999999999d"] {
            let error = text.parse::<Text>().unwrap_err();
            assert!(error.contains("such as 90s"), "{error}");
        }
    }
}
