//! HTML that cannot forget to escape: the parts of a page are literals, and whatever is put into them is escaped
//! unless it is HTML itself.

use std::fmt;

/// HTML, all of it well formed and with nobody's text in it that was not escaped.
#[derive(Clone, Default)]
pub(super) struct Html(String);

impl Html {
    /// Only for the macro [`html!`], which sees to it that the text is made of literals and escaped values.
    pub(super) fn from_template(text: String) -> Self {
        Self(text)
    }

    /// The document's bytes.
    pub(super) fn into_string(self) -> String {
        self.0
    }
}

impl FromIterator<Self> for Html {
    fn from_iter<I: IntoIterator<Item = Self>>(parts: I) -> Self {
        Self(parts.into_iter().map(|part| part.0).collect())
    }
}

/// What can stand in a template: between tags, or in an attribute with double quotes.
pub(super) trait Show {
    fn show(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result;
}

impl Show for Html {
    fn show(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Show for str {
    fn show(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&html_escape::encode_safe(self))
    }
}

impl Show for String {
    fn show(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().show(formatter)
    }
}

impl Show for u32 {
    fn show(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl<T: Show + ?Sized> Show for &T {
    fn show(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).show(formatter)
    }
}

/// Nothing, when there is nothing.
impl<T: Show> Show for Option<T> {
    fn show(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().map_or(Ok(()), |value| value.show(formatter))
    }
}

/// A value as templates write it.
pub(super) struct Shown<'a, T: ?Sized>(pub(super) &'a T);

impl<T: Show + ?Sized> fmt::Display for Shown<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.show(formatter)
    }
}

/// HTML from a literal with a `{}` for each value. `concat!` keeps the literal from naming variables itself, which
/// would get past the escaping.
macro_rules! html {
    ($template:literal $(, $value:expr)* $(,)?) => {
        $crate::web::html::Html::from_template(format!(
            concat!($template),
            $($crate::web::html::Shown(&$value)),*
        ))
    };
}

pub(super) use html;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_wrote_is_text_wherever_it_stands() {
        let hostile = "<script>alert('x')</script>\" onmouseover=\"y";
        let shown = html!("<p title=\"{}\">{}</p>", hostile, hostile.to_owned()).into_string();
        assert_eq!(shown.matches('<').count(), 2, "{shown}");
        assert_eq!(shown.matches('"').count(), 2, "{shown}");
        let inner = html!("<b>{}</b>", "a & b");
        assert_eq!(html!("<p>{}{}</p>", inner, 3).into_string(), "<p><b>a &amp; b</b>3</p>");
        assert_eq!(html!("{}", None::<Html>).into_string(), "");
    }
}
