//! Untrusted text inside messages.

/// The most characters that [`excerpt`] returns, the mark of a cut included.
pub const MAX_EXCERPT_CHARACTERS: usize = 64;

const CUT_MARK: &str = "...";

/// A short and harmless form of a value that came from outside, for messages and logs: printable ASCII stays,
/// everything else (and the quotes and backslashes that would make escapes ambiguous) is escaped, and what is
/// longer than [`MAX_EXCERPT_CHARACTERS`] is cut and ends in `...`.
pub fn excerpt(value: &str) -> String {
    let mut shown = String::new();
    // Where to cut if the whole value turns out not to fit: the longest prefix of whole characters that
    // leaves room for the mark.
    let mut cut_at = 0;
    for character in value.chars() {
        shown.extend(character.escape_default());
        if shown.len() <= MAX_EXCERPT_CHARACTERS - CUT_MARK.len() {
            cut_at = shown.len();
        }
        if shown.len() > MAX_EXCERPT_CHARACTERS {
            shown.truncate(cut_at);
            shown.push_str(CUT_MARK);
            break;
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn short_plain_text_is_unchanged() {
        assert_eq!(excerpt("library/alpine"), "library/alpine");
        assert_eq!(excerpt(""), "");
        let exact = "a".repeat(MAX_EXCERPT_CHARACTERS);
        assert_eq!(excerpt(&exact), exact);
    }

    #[test]
    fn long_text_is_cut_and_says_so() {
        let shown = excerpt(&"a".repeat(65));
        assert_eq!(shown, format!("{}...", "a".repeat(61)));
    }

    #[test]
    fn control_and_foreign_characters_are_escaped() {
        assert_eq!(excerpt("a\n\u{1b}[31mé"), "a\\n\\u{1b}[31m\\u{e9}");
    }

    proptest! {
        #[test]
        fn is_always_short_printable_ascii(value in any::<String>()) {
            let shown = excerpt(&value);
            prop_assert!(shown.len() <= MAX_EXCERPT_CHARACTERS);
            prop_assert!(shown.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        }
    }
}
