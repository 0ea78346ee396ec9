//! Extended headers of the `pax` format: records `length key=value` before a member.

use super::refused;
use crate::Refused;

/// What the extended header of a member says, as far as it matters here.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Extended {
    /// The name of the member.
    pub(super) path: Option<Vec<u8>>,
    /// The target of the link.
    pub(super) link_path: Option<Vec<u8>>,
    /// The size of the content in bytes.
    pub(super) size: Option<u64>,
}

impl Extended {
    /// Reads the records of an extended header. Keys that change neither the name nor the size of a member are
    /// passed over; sparse files are refused.
    pub(super) fn parse(mut records: &[u8]) -> Result<Self, Refused> {
        let mut extended = Self::default();
        while !records.is_empty() {
            let damaged = || refused("an extended header is damaged; build and upload it again");
            let (key, value, rest) = split_record(records).ok_or_else(damaged)?;
            records = rest;
            let slot = match key {
                b"path" => &mut extended.path,
                b"linkpath" => &mut extended.link_path,
                b"size" => {
                    let size = std::str::from_utf8(value).ok().filter(|text| is_decimal(text));
                    let size = size.and_then(|text| text.parse().ok()).ok_or_else(damaged)?;
                    if extended.size.replace(size).is_some() {
                        return Err(given_twice());
                    }
                    continue;
                }
                key if key.starts_with(b"GNU.sparse.") || key == b"SUN.holesdata" => {
                    return Err(refused("it holds a sparse file; pack it without `--sparse`"));
                }
                _ if hides_record(value) => {
                    return Err(refused("an extended header hides a name or a size in another value"));
                }
                _ => continue,
            };
            if slot.replace(value.to_vec()).is_some() {
                return Err(given_twice());
            }
        }
        Ok(extended)
    }

    /// A header for all members must not name them or state their size: readers disagree about it.
    pub(super) fn check_global(&self) -> Result<(), Refused> {
        if *self == Self::default() {
            return Ok(());
        }
        Err(refused("a global extended header states a name or a size"))
    }
}

fn given_twice() -> Refused {
    refused("an extended header states a name or a size twice")
}

/// Whether readers that end a record at a line feed, and not where its length says, find a name or a size in a
/// value that may be anything.
fn hides_record(value: &[u8]) -> bool {
    value.split(|&byte| byte == b'\n').skip(1).any(|line| {
        let record = [line, b"\n"].concat();
        matches!(split_record(&record), Some((b"path" | b"linkpath" | b"size", _, [])))
    })
}

fn is_decimal(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The key and the value of the first record, and what follows it. The length counts the whole record, its own
/// digits and the line feed at the end included.
fn split_record(records: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = records.iter().position(|&byte| byte == b' ')?;
    let length = std::str::from_utf8(&records[..space]).ok().filter(|digits| is_decimal(digits))?;
    let (record, rest) = records.split_at_checked(length.parse().ok()?)?;
    let record = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|&byte| byte == b'=')?;
    (equals > 0).then(|| (&record[..equals], &record[equals + 1..], rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_names_and_sizes() {
        let extended =
            Extended::parse(b"12 path=a/b\n14 linkpath=c\n11 size=17\n23 SCHILY.xattr=\xff\n12 x\n");
        let expected =
            Extended { path: Some(b"a/b".to_vec()), link_path: Some(b"c".to_vec()), size: Some(17) };
        assert_eq!(extended.unwrap(), expected);
        assert_eq!(Extended::parse(b"").unwrap(), Extended::default());
    }

    #[test]
    fn damaged_and_ambiguous_headers_are_refused() {
        for records in [
            b"12 path=a/b".as_slice(),
            b"13 path=a/b\n",
            b"0 path=a\n",
            b"99999999999999999999999 path=a\n",
            b"x path=a\n",
            b"+9 path=a\n",
            b"7 path\n\n",
            b"5 =a\n",
            b"10 size=x\n",
            b"11 size=+1\n",
            b"10 path=a\n10 path=b\n",
            b"10 size=1\n10 size=1\n",
            b"27 GNU.sparse.realsize=100\n",
            b"\0\0\0\0",
            b"31 SCHILY.xattr=x\n12 path=a/b\n\n",
        ] {
            let refusal = Extended::parse(records).unwrap_err().to_string();
            assert!(refusal.starts_with("tar archive not accepted: "), "{records:?}: {refusal}");
        }
    }

    #[test]
    fn global_headers_hold_only_comments() {
        Extended::parse(b"14 comment=ab\n").unwrap().check_global().unwrap();
        assert!(Extended::parse(b"10 path=a\n").unwrap().check_global().is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_records_do_not_panic(records in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Extended::parse(&records);
        }
    }
}
