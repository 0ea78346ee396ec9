//! What the page about identity providers says of the configuration.

use std::collections::BTreeSet;

use testkit::page::Page;
use testkit::run;

use super::Place;

const SERVER: &str = "[server]\npublic_url = \"https://registry.example.org\"\n";
const PROVIDER: &str =
    "[auth.providers.corp]\nissuer = \"https://login.example.org\"\nclient_id = \"larder\"\n";

fn page() -> Page {
    Page::read("docs/sign-in-with-your-provider.md")
}

#[track_caller]
fn accepted(toml: &str) {
    let place = Place::new();
    place.write("larder.toml", toml);
    let output = run(&mut place.command(&["config", "check"]));
    assert!(output.status.success(), "{output}\n--- larder.toml\n{toml}");
}

/// The example with words in the place of what a reader has to fill in, such as `<the secret>`.
fn filled(example: &str) -> String {
    let mut filled = String::new();
    for (index, part) in example.split(['<', '>']).enumerate() {
        filled.push_str(if index % 2 == 1 { "filled-in" } else { part });
    }
    filled
}

/// The text of a table's first cells in the section under this heading, and what is in code there.
fn first_cells(heading: &str) -> Vec<(String, Vec<String>)> {
    let page = page().from(heading);
    let rows = page.text().lines().skip(1).take_while(|line| !line.starts_with("## "));
    rows.filter_map(|line| {
        let cell = line.strip_prefix("| ")?.split(" |").next()?;
        let code = cell.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        Some((cell.to_owned(), code)).filter(|(cell, _)| cell.starts_with('`'))
    })
    .collect()
}

#[test]
fn every_example_for_a_provider_can_be_used() {
    let page = page();
    let blocks = page.blocks();
    let examples: Vec<&str> =
        blocks.iter().filter(|block| block.language == "toml").map(|block| block.text).collect();
    assert!(examples.len() >= 9, "the page lost its examples");
    for example in examples {
        let mut toml = String::new();
        if !example.contains("[server]") {
            toml.push_str(SERVER);
        }
        // What is said of access tokens goes on in the provider's section.
        if !example.contains("[auth.providers.") {
            toml.push_str(PROVIDER);
        }
        toml.push_str(&filled(example));
        accepted(&toml);
    }
}

#[test]
fn every_line_about_who_comes_in_can_be_used() {
    let rows = first_cells("## Who comes in, and who does not");
    assert!(rows.len() >= 6, "{rows:?}");
    for (cell, code) in rows {
        let line = &code[0];
        if cell.ends_with("under `[auth]`") {
            accepted(&format!("{SERVER}[auth]\n{line}\n{PROVIDER}"));
        } else {
            accepted(&format!("{SERVER}{PROVIDER}{line}\n"));
        }
    }
}

#[test]
fn the_table_of_a_providers_settings_has_each_of_them() {
    let place = Place::new();
    place.write("larder.toml", &format!("{SERVER}{PROVIDER}"));
    let printed = run(&mut place.command(&["config", "print"])).success().stdout;
    let printed: toml::Table = printed.parse().expect("what is printed is TOML");
    let corp = printed["auth"]["providers"]["corp"].as_table().expect("a provider has settings");
    let known: BTreeSet<String> = corp.keys().cloned().collect();
    let listed: BTreeSet<String> =
        first_cells("## All settings").into_iter().flat_map(|(_, code)| code).collect();
    assert_eq!(listed, known);
}
