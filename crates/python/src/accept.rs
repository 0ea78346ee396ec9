//! Which form of a page a client gets (packaging specification "Simple repository API", "Version and format
//! selection"; RFC 9110, section 12.5.1).

/// The forms of a page of the simple repository API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// JSON.
    Json,
    /// HTML under its versioned media type.
    HtmlV1,
    /// HTML under `text/html`.
    Html,
}

impl Format {
    /// Every form; the first is preferred where a client does not care.
    pub const ALL: [Self; 3] = [Self::Json, Self::HtmlV1, Self::Html];

    /// The media type, and the exact value of the header `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/vnd.pypi.simple.v1+json",
            Self::HtmlV1 => "application/vnd.pypi.simple.v1+html",
            Self::Html => "text/html",
        }
    }

    /// Whether the page is HTML.
    pub const fn is_html(self) -> bool {
        matches!(self, Self::HtmlV1 | Self::Html)
    }

    /// The form that a media type names; `latest` is version 1.
    fn named(media_type: &str) -> Option<Self> {
        const LATEST: [(&str, Format); 2] = [
            ("application/vnd.pypi.simple.latest+json", Format::Json),
            ("application/vnd.pypi.simple.latest+html", Format::HtmlV1),
        ];
        Self::ALL
            .into_iter()
            .map(|format| (format.content_type(), format))
            .chain(LATEST)
            .find_map(|(name, format)| name.eq_ignore_ascii_case(media_type).then_some(format))
    }
}

/// The form to answer with, from the header `Accept` and the query parameter `format`, which wins. `None` if
/// the client takes none of the forms: 406.
///
/// Where the client only says that it takes anything, or says nothing, it gets `text/html`: so do browsers and
/// tools that are older than the other forms.
pub fn negotiate(accept: Option<&str>, format_query: Option<&str>) -> Option<Format> {
    if let Some(wanted) = format_query {
        // Form decoding turns the `+` of an unescaped media type into a space.
        return Format::named(&wanted.trim().replace(' ', "+"));
    }
    let ranges: Vec<Range> = members(accept.unwrap_or_default(), ',').filter_map(Range::parse).collect();
    if ranges.is_empty() {
        return Some(Format::Html);
    }
    let quality = |format| {
        ranges
            .iter()
            .filter_map(|range| Some((range.specificity(format)?, range.quality)))
            .max()
            .filter(|(_, quality)| *quality > 0)
    };
    let best = Format::ALL
        .into_iter()
        .filter_map(|format| Some((quality(format)?, format)))
        .reduce(|best, next| if next.0.1 > best.0.1 { next } else { best });
    let ((specificity, best_quality), format) = best?;
    let takes_html = quality(Format::Html).is_some_and(|(_, quality)| quality == best_quality);
    Some(if specificity == Specificity::Anything && takes_html { Format::Html } else { format })
}

/// One media range and how much the client wants it.
struct Range<'a> {
    main: &'a str,
    sub: &'a str,
    /// In thousandths.
    quality: u16,
}

/// How exactly a range means a form; the most exact range decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Specificity {
    Anything,
    MainType,
    Exact,
}

impl<'a> Range<'a> {
    /// `None` if the member is malformed: it is skipped.
    fn parse(member: &'a str) -> Option<Self> {
        let mut parts = members(member, ';');
        let (main, sub) = parts.next()?.split_once('/')?;
        if !is_token(main) || !is_token(sub) || (main == "*" && sub != "*") {
            return None;
        }
        let mut quality = 1000;
        for parameter in parts.filter(|part| !part.is_empty()) {
            let (name, value) = parameter.split_once('=')?;
            if name.eq_ignore_ascii_case("q") {
                quality = thousandths(value)?;
            }
        }
        Some(Self { main, sub, quality })
    }

    fn specificity(&self, format: Format) -> Option<Specificity> {
        let (main, _) = format.content_type().split_once('/').expect("every form has a main type");
        if self.main == "*" {
            Some(Specificity::Anything)
        } else if self.sub == "*" {
            self.main.eq_ignore_ascii_case(main).then_some(Specificity::MainType)
        } else {
            (Format::named(&format!("{}/{}", self.main, self.sub)) == Some(format))
                .then_some(Specificity::Exact)
        }
    }
}

/// The parts of a list, without white space around them. A separator inside of a quoted string does not count.
fn members(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let mut escaped = false;
    text.split(move |character| {
        if quoted {
            match character {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => quoted = false,
                _ => {}
            }
            return false;
        }
        quoted = character == '"';
        character == separator
    })
    .map(|part| part.trim_matches([' ', '\t']))
}

fn is_token(text: &str) -> bool {
    let is_token_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_token_byte)
}

/// A weight: 0 to 1 with at most three decimals.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let fraction: u16 = format!("{fraction:0<3}").parse().ok()?;
    match (whole, fraction) {
        ("0", _) => Some(fraction),
        ("1", 0) => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
