//! The upload form: `multipart/form-data` (RFC 7578) written by hand, in any order and with any part.

use super::BuiltFile;

/// What separates the parts. Long enough never to appear in a test's content.
const BOUNDARY: &str = "testkit-9f61c0d2e84b4f0aa3d7-boundary";

/// One part of the form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The name of the field.
    pub name: String,
    /// The file name, which makes it a file part.
    pub filename: Option<String>,
    /// The media type.
    pub content_type: Option<String>,
    /// The whole header block instead of the fields above, each line with its CR LF.
    pub header: Option<Vec<u8>>,
    /// The content.
    pub content: Vec<u8>,
}

impl Part {
    /// A text field.
    pub fn text(name: &str, value: impl Into<Vec<u8>>) -> Self {
        Self {
            name: name.to_owned(),
            filename: None,
            content_type: None,
            header: None,
            content: value.into(),
        }
    }

    /// A file.
    pub fn file(name: &str, filename: &str, content: impl Into<Vec<u8>>) -> Self {
        Self {
            filename: Some(filename.to_owned()),
            content_type: Some("application/octet-stream".to_owned()),
            ..Self::text(name, content)
        }
    }

    fn write(&self, body: &mut Vec<u8>) {
        body.extend(format!("--{BOUNDARY}\r\n").bytes());
        if let Some(header) = &self.header {
            body.extend(header);
        } else {
            let mut header = format!("Content-Disposition: form-data; name=\"{}\"", self.name);
            if let Some(filename) = &self.filename {
                header = format!("{header}; filename=\"{filename}\"");
            }
            if let Some(content_type) = &self.content_type {
                header = format!("{header}\r\nContent-Type: {content_type}");
            }
            body.extend(header.bytes());
            body.extend(b"\r\n");
        }
        body.extend(b"\r\n");
        body.extend(&self.content);
        body.extend(b"\r\n");
    }
}

/// An upload form. The order of `parts` is the order on the wire.
#[derive(Clone, Debug)]
#[must_use]
pub struct Upload {
    /// Everything that is sent.
    pub parts: Vec<Part>,
}

impl Upload {
    /// The form that twine sends for `file`, as far as a server looks at it.
    pub fn new(file: &BuiltFile) -> Self {
        let python = if file.filetype() == "sdist" {
            "source"
        } else {
            file.filename.rsplit('-').nth(2).unwrap_or("py3")
        };
        let fields = [
            ("metadata_version", "2.1"),
            ("name", &file.name),
            ("version", &file.version),
            ("filetype", file.filetype()),
            ("pyversion", python),
            ("sha256_digest", &file.sha256()),
            ("blake2_256_digest", &file.blake2b_256()),
            (":action", "file_upload"),
            ("protocol_version", "1"),
        ];
        let mut parts: Vec<Part> = fields.map(|(name, value)| Part::text(name, value)).into();
        parts.push(Part::file("content", &file.filename, file.bytes.as_slice()));
        Self { parts }
    }

    /// The field `name` with this value and no other; a new one comes before the content.
    pub fn field(mut self, name: &str, value: &str) -> Self {
        let new = Part::text(name, value);
        if let Some(found) = self.parts.iter_mut().find(|part| part.name == name) {
            *found = new;
            return self;
        }
        self.part(new)
    }

    /// One more part before the content, even if there is one of that name.
    pub fn part(mut self, part: Part) -> Self {
        let content = self.parts.iter().position(|part| part.name == "content");
        self.parts.insert(content.unwrap_or(self.parts.len()), part);
        self
    }

    /// One more part at the end.
    pub fn last(mut self, part: Part) -> Self {
        self.parts.push(part);
        self
    }

    /// Without the parts called `name`.
    pub fn without(mut self, name: &str) -> Self {
        self.parts.retain(|part| part.name != name);
        self
    }

    /// The content before everything else.
    pub fn content_first(mut self) -> Self {
        self.parts.sort_by_key(|part| part.name != "content");
        self
    }

    /// The same form after `change` of the content part; panics when there is none.
    #[track_caller]
    pub fn content(mut self, change: impl FnOnce(&mut Part)) -> Self {
        let part = self.parts.iter_mut().find(|part| part.name == "content");
        change(part.expect("the form has a content part"));
        self
    }

    /// The value of `Content-Type` for the body.
    pub fn content_type() -> String {
        format!("multipart/form-data; boundary={BOUNDARY}")
    }

    /// The body.
    pub fn body(&self) -> Vec<u8> {
        let mut body = Vec::new();
        for part in &self.parts {
            part.write(&mut body);
        }
        body.extend(format!("--{BOUNDARY}--\r\n").bytes());
        body
    }
}
