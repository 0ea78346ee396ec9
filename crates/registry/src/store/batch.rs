//! Statements over several values at once. Their text is fixed, so they take a fixed number of values; a shorter
//! list repeats its last one.

use db::Value;

/// Values in one statement: more than most manifests name, few enough that a short list costs little.
pub(super) const SIZE: usize = 16;

/// `parameters!(2)` are the sixteen parameters from `$2` on.
macro_rules! parameters {
    (1) => {
        "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16"
    };
    (2) => {
        "$2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17"
    };
}
pub(super) use parameters;

/// What comes before a statement's list, and the lists themselves, one for each time it has to run.
pub(super) fn lists<'a, T>(before: &'a [Value], values: &'a [T]) -> impl Iterator<Item = Vec<Value>> + 'a
where
    T: Clone,
    Value: From<T>,
{
    values.chunks(SIZE).map(move |chunk| {
        let last = chunk.last().into_iter().cycle();
        let padded = chunk.iter().chain(last).take(SIZE).cloned().map(Value::from);
        before.iter().cloned().chain(padded).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_cut_and_filled_up() {
        let names: Vec<String> = (0..SIZE + 2).map(|number| number.to_string()).collect();
        let lists: Vec<Vec<Value>> = lists(&[Value::Integer(7)], &names).collect();
        assert_eq!(lists.len(), 2);
        assert!(lists.iter().all(|list| list.len() == SIZE + 1 && list[0] == Value::Integer(7)));
        assert_eq!(lists[1][1..3], [Value::from("16"), Value::from("17")]);
        assert!(lists[1][3..].iter().all(|value| *value == Value::from("17")));
    }

    #[test]
    fn nothing_needs_no_statement() {
        assert_eq!(lists::<String>(&[], &[]).count(), 0);
    }
}
