//! The `Content-Disposition` of a part (RFC 7578 §4.2, RFC 2183).

use percent_encoding::percent_decode;

/// What a part is called, and its file name if it is a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::python) struct Disposition {
    /// The name of the form's field.
    pub(in crate::python) name: String,
    /// The name of the file.
    pub(in crate::python) filename: Option<String>,
}

impl Disposition {
    /// Reads the header. Whatever two programs might read differently is an error.
    pub(super) fn parse(value: &[u8]) -> Result<Self, &'static str> {
        let end = memchr::memchr(b';', value).unwrap_or(value.len());
        if !value[..end].trim_ascii().eq_ignore_ascii_case(b"form-data") {
            return Err("the Content-Disposition of a part is not form-data");
        }
        let (mut name, mut filename, mut encoded) = (None, None, None);
        for (parameter, value) in parameters(value.get(end + 1..).unwrap_or_default())? {
            let (slot, value) = match parameter.as_str() {
                "name" => (&mut name, value),
                "filename" => (&mut filename, value),
                "filename*" => (&mut encoded, extended(&value).ok_or("filename* cannot be read")?),
                _ => continue,
            };
            let text = String::from_utf8(value).map_err(|_| "the name of a part is not UTF-8")?;
            if slot.replace(text).is_some() {
                return Err("a part has two names or two file names");
            }
        }
        if let (Some(filename), Some(encoded)) = (&filename, &encoded)
            && filename != encoded
        {
            return Err("filename and filename* of a part differ");
        }
        let name = name.ok_or("a part has no name")?;
        Ok(Self { name, filename: filename.or(encoded) })
    }
}

/// `name=value` pairs between semicolons, the names in lower case. A value is a token or a quoted string.
pub(super) fn parameters(text: &[u8]) -> Result<Vec<(String, Vec<u8>)>, &'static str> {
    const UNREADABLE: &str = "the parameters of a header cannot be read";
    let mut found = Vec::new();
    let mut rest = text.trim_ascii();
    while !rest.is_empty() {
        let equals = memchr::memchr(b'=', rest).ok_or(UNREADABLE)?;
        let name = rest[..equals].trim_ascii_end();
        if name.is_empty() || !name.iter().copied().all(is_token) {
            return Err(UNREADABLE);
        }
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        rest = rest[equals + 1..].trim_ascii_start();
        let value = if let Some(quoted) = rest.strip_prefix(b"\"") {
            let (value, after) = quoted_string(quoted).ok_or(UNREADABLE)?;
            rest = after;
            value
        } else {
            let end = rest.iter().position(|byte| matches!(byte, b';' | b' ' | b'\t')).unwrap_or(rest.len());
            let value = rest[..end].to_vec();
            rest = &rest[end..];
            value
        };
        found.push((name, value));
        rest = rest.trim_ascii_start();
        match rest.split_first() {
            None => {}
            Some((b';', after)) => rest = after.trim_ascii_start(),
            Some(_) => return Err(UNREADABLE),
        }
    }
    Ok(found)
}

/// What stands before the closing quote, and what after it.
fn quoted_string(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut value = Vec::new();
    let mut bytes = text.iter().enumerate();
    while let Some((position, byte)) = bytes.next() {
        match byte {
            b'"' => return Some((value, &text[position + 1..])),
            // Some clients escape quotes, others send a backslash as it is.
            b'\\' if matches!(text.get(position + 1), Some(b'"' | b'\\')) => {
                value.push(bytes.next()?.1.to_owned());
            }
            byte => value.push(*byte),
        }
    }
    None
}

/// A value with its character set in front (RFC 8187 §3.2).
fn extended(value: &[u8]) -> Option<Vec<u8>> {
    let mut pieces = value.splitn(3, |byte| *byte == b'\'');
    let charset = pieces.next()?;
    let _language = pieces.next()?;
    let text = pieces.next()?;
    charset.eq_ignore_ascii_case(b"utf-8").then(|| percent_decode(text).collect())
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
