//! What is wrong with a statement's plan: a statement that walks a table gets slower as the server grows. Only
//! debug builds ask, once a statement.

/// Stands in a statement that may look at all rows of a table, with a reason beside it.
const MAY_WALK: &str = "/* walks */";

/// Tables that never have more than some dozen rows: keys in rotation, one row a kind of work, one row at all.
const SMALL: [&str; 6] =
    ["signing_keys", "leases", "first_start", "blob_store", "collection_totals", "larder_schema"];

/// Where a statement runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// By itself: a read of any number of rows, whose order has to come from an index.
    Alone,
    /// In a transaction, whose statements take, lock and change rows in batches. A batch may be sorted, because
    /// locks are taken in one order everywhere.
    Transaction,
}

/// The step of a PostgreSQL plan that no index serves. The plan has to be one for which walking, sorting, hashing
/// and merging were made dear, so that they show only where there is no other way.
pub(crate) fn postgres_fault(sql: &str, place: Place, plan: &[String]) -> Option<String> {
    let steps = plan.iter().enumerate().map(|(number, line)| (number, step(line)));
    let bad = |number: usize, step: &str| {
        if step.starts_with("Seq Scan on ") {
            return !is_allowed(sql, table_of(step));
        }
        if step.starts_with("Index Scan") || step.starts_with("Index Only Scan") {
            // What belongs to a step stands below it, before the next.
            let own = plan[number + 1..].iter().take_while(|line| !line.contains("->"));
            let is_search = own.map(|line| line.trim()).any(|line| line.starts_with("Index Cond:"));
            return !is_search && !ends_early(sql) && !is_allowed(sql, table_of(step));
        }
        place == Place::Alone && (step.starts_with("Sort ") || step.starts_with("Incremental Sort "))
    };
    steps.into_iter().find(|(number, step)| bad(*number, step)).map(|(_, step)| step.to_owned())
}

/// The same of an SQLite plan (SQLite documentation, "EXPLAIN QUERY PLAN"), in a database with these tables.
pub(crate) fn sqlite_fault(sql: &str, place: Place, plan: &[String], tables: &[String]) -> Option<String> {
    let bad = |step: &&String| {
        if step.contains("TEMP B-TREE FOR ORDER BY") {
            return place == Place::Alone;
        }
        let Some(name) = step.strip_prefix("SCAN ").and_then(|rest| rest.split(' ').next()) else {
            return false;
        };
        // Subqueries are listed under their names too; what they read is a step of its own.
        let Some(table) = table_called(sql, name, tables) else { return false };
        let in_order = step.contains(" USING ") && ends_early(sql);
        !in_order && !is_allowed(sql, table)
    };
    plan.iter().find(bad).cloned()
}

/// A step without what is drawn before it.
fn step(line: &str) -> &str {
    line.trim_start().trim_start_matches("->").trim_start()
}

/// The table in `Seq Scan on TABLE alias  (cost=…)`.
fn table_of(step: &str) -> &str {
    step.split_once(" on ").and_then(|(_, rest)| rest.split(' ').next()).unwrap_or_default()
}

fn is_allowed(sql: &str, table: &str) -> bool {
    SMALL.contains(&table) || sql.contains(MAY_WALK)
}

/// Whether a statement that follows an index from its beginning stops before its end.
fn ends_early(sql: &str) -> bool {
    sql.contains("LIMIT")
}

/// The table that a name in a plan stands for: its own, or one that the statement gives it.
fn table_called<'t>(sql: &str, name: &str, tables: &'t [String]) -> Option<&'t str> {
    let named = |word: &str| tables.iter().find(|table| *table == word).map(String::as_str);
    if let Some(table) = named(name) {
        return Some(table);
    }
    let is_part = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let words: Vec<&str> = sql
        .split(|character: char| !is_part(character))
        .filter(|word| !word.is_empty() && !word.eq_ignore_ascii_case("as"))
        .collect();
    words.windows(2).filter(|pair| pair[1] == name).find_map(|pair| named(pair[0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_walk_shows_in_a_plan_of_postgresql() {
        let walk = lines(
            "Delete on trash  (cost=1)\n  ->  Seq Scan on trash t  (cost=1)\n        Filter: (size > 1)",
        );
        assert!(postgres_fault("DELETE …", Place::Transaction, &walk).is_some());
        assert!(postgres_fault("DELETE … /* walks */", Place::Transaction, &walk).is_none());
        let small = lines("Seq Scan on leases  (cost=1)");
        assert!(postgres_fault("SELECT …", Place::Alone, &small).is_none());
    }

    #[test]
    fn an_index_that_is_read_from_end_to_end_serves_nobody() {
        let whole = lines("Index Only Scan using a on tags t  (cost=1)\n  Filter: (x = $1)");
        assert!(postgres_fault("SELECT …", Place::Transaction, &whole).is_some());
        assert!(postgres_fault("SELECT … LIMIT 1", Place::Transaction, &whole).is_none());
        let search = lines(
            "Nested Loop  (cost=1)\n  ->  Index Scan using a on tags  (cost=1)\n        Index Cond: (x = $1)",
        );
        assert!(postgres_fault("SELECT …", Place::Transaction, &search).is_none());
    }

    #[test]
    fn only_a_transaction_may_sort() {
        let sorted = lines(
            "Sort  (cost=1)\n  Sort Key: name\n  ->  Index Scan using a on tags  (cost=1)\n        Index Cond: (x = $1)",
        );
        assert!(postgres_fault("SELECT …", Place::Alone, &sorted).is_some());
        assert!(postgres_fault("SELECT …", Place::Transaction, &sorted).is_none());
    }

    #[test]
    fn a_walk_shows_in_a_plan_of_sqlite() {
        let tables = lines("trash\nleases");
        let fault = |sql, place, plan| sqlite_fault(sql, place, &lines(plan), &tables);
        assert!(fault("SELECT 1 FROM trash", Place::Transaction, "SCAN trash").is_some());
        assert!(fault("SELECT 1 FROM trash AS t", Place::Transaction, "SCAN t").is_some());
        assert!(fault("SELECT 1 FROM trash", Place::Alone, "SCAN trash USING COVERING INDEX a").is_some());
        assert!(fault("SELECT 1 FROM trash LIMIT 1", Place::Alone, "SCAN trash USING INDEX a").is_none());
        assert!(fault("SELECT 1 FROM leases", Place::Alone, "SCAN leases").is_none());
        assert!(fault("WITH due AS (SELECT 1 FROM trash) …", Place::Alone, "SCAN due").is_none());
        assert!(fault("SELECT 1", Place::Alone, "SCAN CONSTANT ROW").is_none());
        assert!(fault("SELECT 1", Place::Alone, "SEARCH trash USING INDEX a (x=?)").is_none());
        assert!(fault("SELECT 1", Place::Alone, "USE TEMP B-TREE FOR ORDER BY").is_some());
        assert!(fault("SELECT 1", Place::Transaction, "USE TEMP B-TREE FOR ORDER BY").is_none());
    }
}
