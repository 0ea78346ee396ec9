//! The pages for users, as a reader takes commands and files out of them.
//!
//! A block that a test takes has a name behind its language, such as `sh machines`: pages show the language alone.

use std::path::Path;

use serde_json::Value;

use crate::{Sandbox, run};

/// A page of the workspace.
#[derive(Clone, Debug)]
pub struct Page {
    path: String,
    text: String,
}

/// A fenced block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block<'a> {
    /// What it is written in, empty when the page does not say.
    pub language: &'a str,
    /// What tests know it by, empty when it has no name.
    pub name: &'a str,
    /// Its lines.
    pub text: &'a str,
}

impl Page {
    /// The page at this path from the root of the workspace.
    pub fn read(path: &str) -> Self {
        let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
        let text = std::fs::read_to_string(&place).unwrap_or_else(|error| panic!("{path}: {error}"));
        Self { path: path.to_owned(), text }
    }

    /// The same page with something else in the place of what a reader has to replace: hosts, and whatever else is
    /// an example. Panics when the page does not have it.
    #[must_use]
    #[track_caller]
    pub fn with(mut self, example: &str, own: &str) -> Self {
        assert!(self.text.contains(example), "{} does not have {example:?} any more", self.path);
        self.text = self.text.replace(example, own);
        self
    }

    /// What stands above the heading.
    #[must_use]
    #[track_caller]
    pub fn above(&self, heading: &str) -> Self {
        let (above, _) = self.split(heading);
        Self { path: self.path.clone(), text: above.to_owned() }
    }

    /// What stands from the heading on.
    #[must_use]
    #[track_caller]
    pub fn from(&self, heading: &str) -> Self {
        let (_, below) = self.split(heading);
        Self { path: self.path.clone(), text: below.to_owned() }
    }

    #[track_caller]
    fn split(&self, heading: &str) -> (&str, &str) {
        let line = format!("\n{heading}\n");
        let place = self.text.find(&line);
        let place = place.unwrap_or_else(|| panic!("{} has no heading {heading:?} any more", self.path));
        self.text.split_at(place + 1)
    }

    /// All of it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// All fenced blocks, in order.
    pub fn blocks(&self) -> Vec<Block<'_>> {
        let mut blocks = Vec::new();
        let mut rest = self.text.as_str();
        while let Some((_, fenced)) = rest.split_once("```") {
            let (info, fenced) = fenced.split_once('\n').unwrap_or((fenced, ""));
            let (text, behind) = fenced
                .split_once("```")
                .unwrap_or_else(|| panic!("a block of {} has no end: {info}", self.path));
            let (language, name) = info.split_once(' ').unwrap_or((info, ""));
            blocks.push(Block { language, name, text });
            rest = behind;
        }
        blocks
    }

    /// The blocks of commands with one of these names, in order, as one text.
    #[track_caller]
    pub fn commands(&self, names: &[&str]) -> String {
        let blocks = self.blocks();
        for name in names {
            let is_there = blocks.iter().any(|block| (block.language, block.name) == ("sh", *name));
            assert!(is_there, "{} lost its commands {name:?}", self.path);
        }
        let taken = blocks.iter().filter(|block| block.language == "sh" && names.contains(&block.name));
        taken.map(|block| block.text).collect()
    }

    /// The job that a block of YAML describes, read as the platforms read it.
    #[track_caller]
    pub fn job(&self, name: &str) -> Job {
        let blocks = self.blocks();
        let found = blocks.iter().find(|block| (block.language, block.name) == ("yaml", name));
        let found = found.unwrap_or_else(|| panic!("{} lost its job {name:?}", self.path));
        Job { text: found.text.to_owned(), value: yaml(found.text) }
    }
}

/// A job of a platform that runs jobs.
#[derive(Clone, Debug)]
pub struct Job {
    text: String,
    value: Value,
}

impl Job {
    /// The shell steps of a job of GitHub Actions.
    #[track_caller]
    pub fn steps(&self) -> Vec<String> {
        let steps = self.value["steps"].as_array().unwrap_or_else(|| panic!("no steps: {}", self.text));
        for step in steps {
            let is_known = step.get("run").is_some() != step.get("uses").is_some();
            assert!(is_known, "a step either runs something or uses an action: {step}");
        }
        let steps: Vec<String> =
            steps.iter().filter_map(|step| step["run"].as_str()).map(str::to_owned).collect();
        // GitHub would put the value in before the shell sees the line, and nobody does that here.
        let expression = steps.iter().find(|step| step.contains("${{"));
        assert!(expression.is_none(), "the shell gets its values from variables: {expression:?}");
        steps
    }

    /// Whether a job of GitHub Actions may ask for its token.
    pub fn may_ask_for_token(&self) -> bool {
        self.value["permissions"]["id-token"] == "write"
    }

    /// The lines of the script of the only job of GitLab that is described.
    #[track_caller]
    pub fn script(&self) -> String {
        let lines = self.only()["script"].as_array().unwrap_or_else(|| panic!("no script: {}", self.text));
        let line = |line: &Value| match line.as_str() {
            Some(line) => format!("{line}\n"),
            None => panic!("a line of a script is text: {line}"),
        };
        lines.iter().map(line).collect()
    }

    /// The variables that it is given tokens in, with the audience of each.
    #[track_caller]
    pub fn id_tokens(&self) -> Vec<(String, String)> {
        let tokens = &self.only()["id_tokens"];
        let tokens = tokens.as_object().unwrap_or_else(|| panic!("no tokens: {}", self.text));
        let audience = |token: &Value| token["aud"].as_str().expect("an audience is text").to_owned();
        tokens.iter().map(|(name, token)| (name.clone(), audience(token))).collect()
    }

    /// The only job of a file of GitLab's.
    #[track_caller]
    fn only(&self) -> &Value {
        let jobs: Vec<&Value> = self.value.as_object().into_iter().flat_map(|jobs| jobs.values()).collect();
        let [job] = jobs.as_slice() else { panic!("not one job: {}", self.text) };
        job
    }
}

/// What YAML says, as JSON. The reader came with one of the pinned Python programs.
#[track_caller]
fn yaml(text: &str) -> Value {
    const READ: &str = "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)";
    let home = Sandbox::new();
    let file = home.write("page.yaml", text);
    let output = run(home.command("python/moto/bin/python").args(["-c", READ, &file])).success();
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", output.stdout))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> Page {
        let text = "# Page\n\n```sh one\na\nb\n```\n\n## Then\n\n```toml\nc = 1\n```\n\nText.\n\n\
                    ```sh two\nd\n```\n\n```sh one\ne\n```\n";
        Page { path: "docs/page.md".to_owned(), text: text.to_owned() }
    }

    #[test]
    fn commands_come_in_the_order_of_the_page() {
        assert_eq!(page().commands(&["one"]), "a\nb\ne\n");
        assert_eq!(page().commands(&["two", "one"]), "a\nb\nd\ne\n");
        assert_eq!(page().above("## Then").commands(&["one"]), "a\nb\n");
        assert_eq!(page().from("## Then").commands(&["one"]), "e\n");
        assert_eq!(page().with("d\n", "x\n").commands(&["two"]), "x\n");
        let page = page();
        let blocks = page.blocks();
        let languages: Vec<&str> = blocks.iter().map(|block| block.language).collect();
        assert_eq!(languages, ["sh", "toml", "sh", "sh"]);
        assert_eq!(blocks[1], Block { language: "toml", name: "", text: "c = 1\n" });
    }

    #[test]
    #[should_panic(expected = "lost its commands \"three\"")]
    fn commands_that_are_gone_are_missed() {
        page().commands(&["one", "three"]);
    }

    #[test]
    #[should_panic(expected = "does not have \"localhost:5000\" any more")]
    fn an_example_that_is_gone_is_missed() {
        let _ = page().with("localhost:5000", "localhost:1");
    }
}
