//! Pages as HTML. Some clients read them with regular expressions, so every anchor is one line, `href` is its
//! first attribute, and no character that HTML knows is left unescaped.

use std::borrow::Cow;

use html_escape::encode_quoted_attribute;

use super::{API_VERSION, Page, PageFile, upload_time};

pub(super) fn page(page: &Page<'_>) -> String {
    let mut head = meta("pypi:project-status", page.status.as_str());
    if let Some(reason) = page.shown_reason() {
        head.push_str(&meta("pypi:project-status-reason", reason));
    }
    let title = format!("Links for {}", page.name);
    let anchors: String = page.visible_files().into_iter().map(file_anchor).collect();
    document(&title, &head, &format!("<h1>{}</h1>\n{anchors}", escape(&title)))
}

pub(super) fn project_list<S: AsRef<str>>(names: &[S]) -> String {
    let mut anchors = String::new();
    for name in names {
        let name = escape(name.as_ref());
        anchors.extend(["<a href=\"", &name, "/\">", &name, "</a><br>\n"]);
    }
    document("Simple index", "", &anchors)
}

fn document(title: &str, head: &str, body: &str) -> String {
    let title = escape(title);
    let version = meta("pypi:repository-version", API_VERSION);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n{version}{head}\
         <title>{title}</title>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )
}

fn meta(name: &str, content: &str) -> String {
    format!("<meta name=\"{name}\" content=\"{}\">\n", escape(content))
}

fn file_anchor(file: &PageFile) -> String {
    let mut attributes = attribute("href", &format!("{}#sha256={}", file.url, file.sha256));
    if let Some(requires_python) = &file.requires_python {
        attributes.push_str(&attribute("data-requires-python", requires_python));
    }
    if let Some(reason) = &file.yanked {
        attributes.push_str(&attribute("data-yanked", reason));
    }
    if let Some(sha256) = &file.metadata_sha256 {
        let hash = format!("sha256={sha256}");
        attributes.push_str(&attribute("data-core-metadata", &hash));
        attributes.push_str(&attribute("data-dist-info-metadata", &hash));
    }
    if let Some(provenance) = &file.provenance {
        attributes.push_str(&attribute("data-provenance", provenance));
    }
    // Not part of the specification; some clients read them where there is no JSON.
    attributes.push_str(&attribute("data-size", &file.size.to_string()));
    attributes.push_str(&attribute("data-upload-time", &upload_time(file.uploaded_at_millis)));
    format!("<a{attributes}>{}</a><br>\n", escape(&file.filename))
}

fn attribute(name: &str, value: &str) -> String {
    format!(" {name}=\"{}\"", escape(value))
}

/// Escapes for text and for attributes. A line break would take an anchor apart for those who read lines.
fn escape(text: &str) -> Cow<'_, str> {
    if text.contains(['\n', '\r']) {
        let one_line = text.replace(['\n', '\r'], " ");
        return Cow::Owned(encode_quoted_attribute(&one_line).into_owned());
    }
    encode_quoted_attribute(text)
}
