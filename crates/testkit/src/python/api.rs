//! The Python index of a registry, spoken to without a client of the Python world.

use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION};
use serde_json::Value;

use super::{BuiltFile, Upload, exchange};
use crate::{Answer, Api};

/// The JSON form of a page of the simple repository API.
const JSON: &str = "application/vnd.pypi.simple.v1+json";

/// Where the Python index of a registry begins; uploads go here.
fn base(organization: &str, registry: &str) -> String {
    format!("/api/v1/{organization}/{registry}/python")
}

impl Api {
    /// A request with a body over a plain socket, so that the answer has its reason phrase.
    #[track_caller]
    pub fn exchange(&self, method: &Method, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        // The library knows how to write the credentials.
        let model = self.request(method.clone(), path).build().expect("a request to a path can be built");
        let host = self.url().trim_start_matches("http://");
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
        if let Some(value) = model.headers().get(AUTHORIZATION) {
            let value = value.to_str().expect("credentials are encoded as text");
            head = format!("{head}Authorization: {value}\r\n");
        }
        for (name, value) in headers {
            head = format!("{head}{name}: {value}\r\n");
        }
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length")) {
            head = format!("{head}Content-Length: {}\r\n", body.len());
        }
        exchange(host, &[head.as_bytes(), b"\r\n", body].concat())
    }

    /// Uploads `file` as twine does, whatever the answer is.
    #[track_caller]
    pub fn python_upload(&self, organization: &str, registry: &str, file: &BuiltFile) -> Answer {
        self.python_send(organization, registry, &Upload::new(file))
    }

    /// Sends an upload form, whatever the answer is.
    #[track_caller]
    pub fn python_send(&self, organization: &str, registry: &str, upload: &Upload) -> Answer {
        let headers = [("Content-Type", Upload::content_type())];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        self.exchange(&Method::POST, &base(organization, registry), &headers, &upload.body())
    }

    /// The page of a project in JSON, whatever the answer is. The name goes into the path as it is.
    #[track_caller]
    pub fn python_page(&self, organization: &str, registry: &str, project: &str) -> Answer {
        let path = format!("{}/simple/{project}/", base(organization, registry));
        self.send(self.request(Method::GET, &path).header(ACCEPT, JSON))
    }

    /// The names of the files on the page of a project, in the page's order; none when there is no page.
    #[track_caller]
    pub fn python_files(&self, organization: &str, registry: &str, project: &str) -> Vec<String> {
        let answer = self.python_page(organization, registry, project).expect(&[200, 404]);
        if answer.status == 404 {
            return Vec::new();
        }
        let page: Value = answer.json();
        let files = page["files"].as_array().unwrap_or_else(|| panic!("`files` is no list: {answer}"));
        files.iter().map(|file| file["filename"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// The address of a file on the page of a project, from the root; panics when it is not there.
    #[track_caller]
    pub fn python_path(&self, organization: &str, registry: &str, project: &str, filename: &str) -> String {
        let answer = self.python_page(organization, registry, project).expect(&[200]);
        let page = answer.json();
        let mut files = page["files"].as_array().into_iter().flatten();
        let url = files.find(|file| file["filename"] == filename).and_then(|file| file["url"].as_str());
        let url = url.unwrap_or_else(|| panic!("{filename} is not on the page: {answer}"));
        let path = url.strip_prefix(self.url()).unwrap_or(url);
        assert!(path.starts_with("/api/"), "{url} leads elsewhere");
        path.to_owned()
    }

    /// The content of a file on the page of a project, whatever the answer is.
    #[track_caller]
    pub fn python_file(&self, organization: &str, registry: &str, project: &str, filename: &str) -> Answer {
        self.get(&self.python_path(organization, registry, project, filename))
    }

    /// Changes settings of a registry, such as `{"read_only": true}`.
    #[track_caller]
    pub fn registry_change(&self, organization: &str, registry: &str, change: &Value) -> Answer {
        let path = format!("/api/v1/organizations/{organization}/registries/{registry}");
        self.send(self.request(Method::PATCH, &path).json(change)).expect(&[200])
    }

    /// A management call about the packages of a registry; `path` starts behind `…/python`.
    #[track_caller]
    pub fn python_manage(
        &self,
        method: Method,
        organization: &str,
        registry: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Answer {
        let path = format!("/api/v1/organizations/{organization}/registries/{registry}/python{path}");
        let request = self.request(method, &path);
        self.send(match body {
            Some(body) => request.json(body),
            None => request,
        })
    }
}
