//! Warnings about one archive, a bounded number of them.

/// The most warnings that are kept. A defective archive can have one per entry.
const MOST_NOTES: usize = 20;

/// The warnings about an archive, in the order in which they arose.
#[derive(Debug, Default)]
pub(super) struct Notes {
    kept: Vec<String>,
    dropped: usize,
}

impl Notes {
    /// Adds a warning; the text is made only if it is kept.
    pub(super) fn add(&mut self, text: impl FnOnce() -> String) {
        if self.kept.len() < MOST_NOTES {
            self.kept.push(text());
        } else {
            self.dropped += 1;
        }
    }

    /// The warnings; the last one says how many more there were.
    pub(super) fn into_warnings(mut self) -> Vec<String> {
        if self.dropped > 0 {
            self.kept.push(format!("and {} more warnings about the archive", self.dropped));
        }
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_are_kept() {
        let mut notes = Notes::default();
        notes.add(|| "one".to_owned());
        assert_eq!(notes.into_warnings(), ["one"]);

        let mut notes = Notes::default();
        for number in 0..50 {
            notes.add(|| number.to_string());
        }
        let warnings = notes.into_warnings();
        assert_eq!(warnings.len(), MOST_NOTES + 1);
        assert_eq!(warnings[MOST_NOTES], "and 30 more warnings about the archive");
    }
}
