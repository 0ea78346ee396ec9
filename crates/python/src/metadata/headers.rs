//! The outer form of a metadata file: header lines, folded or not, an empty line, a body (RFC 822 as Python's
//! packaging tools write it: UTF-8, no encoded words, no comments).

use super::{Field, refuse};
use crate::error::{Invalid, excerpt};

/// What older tools put before every further line of a description, so that its indentation survives.
const BAR_INDENT: &str = "       |";

/// What tools put before every further line of a folded value.
const SPACE_INDENT: &str = "        ";

/// A field: its name as written and its value.
type Header = (String, String);

/// The most fields of a file. Every one costs far more memory than the few bytes that it may have.
const MAX_FIELDS: usize = 10_000;

/// The header fields in order, values unfolded and trimmed, and the body as it is.
pub(super) fn split(text: &str) -> Result<(Vec<Header>, &str), Invalid> {
    let mut fields: Vec<Header> = Vec::new();
    let mut rest = text;
    let mut number = 0_usize;
    while !rest.is_empty() {
        number += 1;
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        rest = after;
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() {
            break;
        }
        // Some readers end a line at a lone carriage return or cut it at a NUL, others do not.
        if line.contains(['\r', '\0']) {
            return Err(refuse(&format!("has a control character in line {number}; remove it")));
        }
        if line.starts_with([' ', '\t']) {
            let Some((name, value)) = fields.last_mut() else {
                return Err(refuse("begins with an indented line; begin with a field"));
            };
            unfold(name, value, line);
        } else {
            if fields.len() == MAX_FIELDS {
                return Err(refuse(&format!("has more than {MAX_FIELDS} fields; leave some out")));
            }
            fields.push(field(line, number)?);
        }
    }
    for (_, value) in &mut fields {
        let trimmed = value.trim();
        if trimmed.len() != value.len() {
            *value = trimmed.to_owned();
        }
    }
    Ok((fields, rest))
}

fn field(line: &str, number: usize) -> Result<Header, Invalid> {
    line.split_once(':')
        .filter(|(name, _)| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic()))
        .map(|(name, value)| (name.to_owned(), value.trim_start_matches([' ', '\t']).to_owned()))
        .ok_or_else(|| {
            refuse(&format!(
                "has a line {number} that is not a field: '{}'; indent it or write 'Field: value'",
                excerpt(line)
            ))
        })
}

fn unfold(name: &str, value: &mut String, line: &str) {
    if Field::by_name(name).is_some_and(Field::keeps_lines) {
        let content = line
            .strip_prefix(BAR_INDENT)
            .or_else(|| line.strip_prefix(SPACE_INDENT))
            .unwrap_or_else(|| line.trim_start_matches([' ', '\t']));
        value.push('\n');
        value.push_str(content);
    } else {
        let content = line.trim_matches([' ', '\t']);
        if !value.is_empty() && !content.is_empty() {
            value.push(' ');
        }
        value.push_str(content);
    }
}
