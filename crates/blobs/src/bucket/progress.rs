//! How far an object in a bucket has come, and how that is written down between requests.

use std::io;

use super::part::part_length;
use crate::StagedState;

/// First byte of a written state. Raise it whenever the layout or the lengths of the parts change.
const VERSION: u8 = 1;
/// How many pieces of one tier are joined into one of the next.
pub(super) const FAN: usize = 16;

/// A few bytes that wait in an object of their own until they fill a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    /// The last segment of its name.
    pub(super) name: String,
    pub(super) size: u64,
    /// How often its bytes were joined. Pieces are joined only with [`FAN`] of their tier, so bytes are written
    /// again a logarithmic number of times, however small the chunks of the client.
    pub(super) tier: u8,
}

/// What lies in the bucket of an object that is not complete.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Progress {
    /// The multipart upload and the name of the object that remembers it, once there is one.
    pub(super) multipart: Option<Multipart>,
    /// The content after the parts, in order.
    pub(super) pieces: Vec<Piece>,
    /// Pieces whose content lies elsewhere now. They are deleted once a state without them was recorded, because
    /// until then somebody may go on from the older one.
    pub(super) spent: Vec<String>,
}

/// A multipart upload under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Multipart {
    pub(super) id: String,
    /// The last segment of the name of the object that remembers the upload for whoever throws it away.
    pub(super) marker: String,
    /// What the store calls each part. All parts but the last that seals the object have the length of their
    /// number.
    pub(super) parts: Vec<String>,
}

impl Progress {
    pub(super) fn part_count(&self) -> usize {
        self.multipart.as_ref().map_or(0, |multipart| multipart.parts.len())
    }

    /// How many bytes lie in pieces.
    pub(super) fn piece_bytes(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.size).sum()
    }

    /// How many bytes lie in the bucket.
    pub(super) fn length(&self) -> u64 {
        let parts: u64 = (0..self.part_count()).map(|number| part_length(number) as u64).sum();
        parts + self.piece_bytes()
    }

    /// How many of the last pieces are joined with the next bytes, and into which tier.
    pub(super) fn joined_with_next(&self) -> (usize, u8) {
        let (mut count, mut tier) = (0, 0);
        loop {
            let rest = &self.pieces[..self.pieces.len() - count];
            let same = rest.iter().rev().take_while(|piece| piece.tier == tier).count();
            if same + 1 < FAN {
                return (count, tier);
            }
            count += same;
            tier = tier.saturating_add(1);
        }
    }

    pub(super) fn to_state(&self) -> StagedState {
        if *self == Self::default() {
            return StagedState::default();
        }
        let mut bytes = vec![VERSION];
        match &self.multipart {
            None => bytes.push(0),
            Some(multipart) => {
                bytes.push(1);
                put_text(&mut bytes, &multipart.id);
                put_text(&mut bytes, &multipart.marker);
                put_number(&mut bytes, multipart.parts.len() as u64);
                for part in &multipart.parts {
                    put_text(&mut bytes, part);
                }
            }
        }
        put_number(&mut bytes, self.pieces.len() as u64);
        for piece in &self.pieces {
            put_text(&mut bytes, &piece.name);
            put_number(&mut bytes, piece.size);
            bytes.push(piece.tier);
        }
        put_number(&mut bytes, self.spent.len() as u64);
        for name in &self.spent {
            put_text(&mut bytes, name);
        }
        StagedState::from_bytes(bytes)
    }

    pub(super) fn from_state(state: &StagedState) -> io::Result<Self> {
        if state.as_bytes().is_empty() {
            return Ok(Self::default());
        }
        parse(state.as_bytes()).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "the stored state of the upload cannot be read by this version; start the upload again",
            )
        })
    }
}

fn put_number(bytes: &mut Vec<u8>, number: u64) {
    bytes.extend_from_slice(&number.to_le_bytes());
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    put_number(bytes, text.len() as u64);
    bytes.extend_from_slice(text.as_bytes());
}

fn parse(bytes: &[u8]) -> Option<Progress> {
    let mut rest = bytes;
    let input = &mut rest;
    if take_byte(input)? != VERSION {
        return None;
    }
    let multipart = match take_byte(input)? {
        0 => None,
        1 => {
            let (id, marker) = (take_text(input)?, take_text(input)?);
            let parts = (0..take_number(input)?).map(|_| take_text(input)).collect::<Option<_>>()?;
            Some(Multipart { id, marker, parts })
        }
        _ => return None,
    };
    let pieces = (0..take_number(input)?)
        .map(|_| Some(Piece { name: take_text(input)?, size: take_number(input)?, tier: take_byte(input)? }))
        .collect::<Option<_>>()?;
    let spent = (0..take_number(input)?).map(|_| take_text(input)).collect::<Option<_>>()?;
    let progress = Progress { multipart, pieces, spent };
    let names = progress.pieces.iter().map(|piece| &piece.name).chain(&progress.spent);
    let plain = names.chain(progress.multipart.as_ref().map(|multipart| &multipart.marker)).all(|name| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    });
    let fitting = progress.part_count() <= super::part::MOST_PARTS
        && progress.pieces.iter().all(|piece| piece.size <= part_length(super::part::MOST_PARTS) as u64);
    (rest.is_empty() && plain && fitting).then_some(progress)
}

fn take_byte(input: &mut &[u8]) -> Option<u8> {
    let (first, rest) = input.split_first()?;
    *input = rest;
    Some(*first)
}

fn take_number(input: &mut &[u8]) -> Option<u64> {
    let (number, rest) = input.split_first_chunk::<8>()?;
    *input = rest;
    Some(u64::from_le_bytes(*number))
}

fn take_text(input: &mut &[u8]) -> Option<String> {
    let length = usize::try_from(take_number(input)?).ok()?;
    let (text, rest) = input.split_at_checked(length)?;
    *input = rest;
    String::from_utf8(text.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn progress() -> impl Strategy<Value = Progress> {
        let name = "[0-9a-f]{1,32}(-piece)?";
        let multipart = ("\\PC{1,40}", name, prop::collection::vec("\"[0-9a-f]{32}\"", 0..20))
            .prop_map(|(id, marker, parts)| Multipart { id, marker, parts });
        let piece =
            (name, 0..9_000_000_u64, 0..4_u8).prop_map(|(name, size, tier)| Piece { name, size, tier });
        (
            prop::option::of(multipart),
            prop::collection::vec(piece, 0..20),
            prop::collection::vec(name.prop_map(String::from), 0..20),
        )
            .prop_map(|(multipart, pieces, spent)| Progress { multipart, pieces, spent })
    }

    proptest! {
        #[test]
        fn a_state_is_read_as_it_was_written(progress in progress()) {
            let state = progress.to_state();
            prop_assert_eq!(&Progress::from_state(&state).unwrap(), &progress);
            for length in 1..state.as_bytes().len() {
                let cut = StagedState::from_bytes(state.as_bytes()[..length].to_vec());
                prop_assert!(Progress::from_state(&cut).is_err());
            }
        }

        #[test]
        fn reading_a_state_never_panics(mut bytes in prop::collection::vec(any::<u8>(), 0..200), version: bool) {
            if let (Some(first), true) = (bytes.first_mut(), version) {
                *first = VERSION;
            }
            let _ = Progress::from_state(&StagedState::from_bytes(bytes));
        }
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in ["", "../objects/ab", "a/b", "a.b"] {
            let piece = Piece { name: name.to_owned(), size: 1, tier: 0 };
            let progress = Progress { pieces: vec![piece], ..Progress::default() };
            assert!(Progress::from_state(&progress.to_state()).is_err(), "{name}");
        }
    }

    #[test]
    fn small_chunks_are_joined_a_logarithmic_number_of_times() {
        let mut progress = Progress::default();
        let (mut written, mut most) = (0_u64, 0);
        let chunks = 8192;
        for _ in 0..chunks {
            let (count, tier) = progress.joined_with_next();
            let joined = progress.pieces.split_off(progress.pieces.len() - count);
            let size = 1 + joined.iter().map(|piece| piece.size).sum::<u64>();
            progress.pieces.push(Piece { name: "a".to_owned(), size, tier });
            written += size;
            most = most.max(progress.pieces.len());
        }
        assert_eq!(progress.piece_bytes(), chunks);
        assert!(most <= 64, "{most} pieces");
        assert!(written <= 5 * chunks, "{written} bytes written");
    }
}
