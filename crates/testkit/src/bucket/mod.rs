//! An S3 server of the tests' own, written by other people, and buckets in it.

mod signature;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::Method;
use reqwest::blocking::Client;
use rustix::fs::{XattrFlags, setxattr};
use rustix::process::Signal;
use serde_json::json;
use signature::Credentials;

use crate::fault::Proxy;
use crate::port::free_port;
use crate::service::Service;
use crate::{Answer, random_word, run, tool};

/// The only region that it knows.
const REGION: &str = "us-east-1";

/// What stands before every key that a server under test writes.
const PREFIX: &str = "larder";

/// How many ports are tried before giving up: somebody else may take the one that was just found free.
const ATTEMPTS: usize = 5;

/// A running S3 server over a directory that is thrown away. It ends when this is dropped, and when the test
/// process ends in whatever way.
#[derive(Debug)]
pub struct S3 {
    service: Service,
    access: Access,
}

impl S3 {
    /// Starts versitygw on a free port of 127.0.0.1.
    ///
    /// Panics with its log when that cannot be done.
    pub fn start() -> Self {
        let service = Service::new("versitygw", Signal::TERM, "TERM");
        for directory in ["data", "users", "attributes"] {
            std::fs::create_dir(service.directory().join(directory)).expect("a directory can be made");
        }
        let root = Credentials::random();
        let client = Client::builder()
            .no_proxy()
            .timeout(Duration::from_mins(1))
            .build()
            .expect("a client with a time limit can be built");
        let data = service.directory().join("data");
        let mut server = Self { service, access: Access { client, port: free_port(), root, data } };
        for attempt in 1.. {
            let mut command = server.access.server(server.service.directory());
            match server.service.launch(&mut command, server.access.is_ready()) {
                Ok(()) => break,
                Err(_) if attempt < ATTEMPTS && server.service.log().contains("in use") => {
                    server.access.port = free_port();
                }
                Err(reason) => server.service.give_up(&reason),
            }
        }
        server
    }

    /// One server for all tests of a program, started by whoever asks first and gone when the program is.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<S3> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// A new, empty bucket. It is removed with the last of its handles.
    #[track_caller]
    pub fn bucket(&self) -> Bucket {
        let bucket = self.bucket_that_is_missing();
        bucket.call(&Method::PUT, "", &[], b"").expect(&[200]);
        bucket
    }

    /// A bucket that nobody has created.
    pub fn bucket_that_is_missing(&self) -> Bucket {
        let name = format!("test-{}", random_word());
        let port = self.access.port;
        let credentials = self.access.root.clone();
        Bucket { inner: Arc::new(Inner { access: self.access.clone(), name }), port, credentials }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.access.port).into()
    }

    /// Ends it.
    pub fn stop(&mut self) {
        self.service.stop(Signal::TERM);
    }

    /// Starts it again on the same port over the same objects.
    pub fn start_again(&mut self) {
        let (directory, access) = (self.service.directory().to_owned(), &self.access);
        self.service.launch_again(|| access.server(&directory), access.is_ready());
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.service.log()
    }
}

/// One bucket. Clones are handles of the same.
#[derive(Clone, Debug)]
pub struct Bucket {
    inner: Arc<Inner>,
    /// Where clients are told to connect: the server's own port, or a proxy's.
    port: u16,
    credentials: Credentials,
}

#[derive(Debug)]
struct Inner {
    access: Access,
    name: String,
}

impl Bucket {
    /// What a server is configured with: `s3://NAME/larder?endpoint=http://127.0.0.1:PORT&region=…&path_style=true`.
    pub fn url(&self) -> String {
        format!("s3://{}/{PREFIX}?endpoint={}&region={REGION}&path_style=true", self.name(), self.endpoint())
    }

    /// The variables with the credentials of this handle, which are the owner's at first.
    pub fn env(&self) -> Vec<(String, String)> {
        let Credentials { key, secret } = &self.credentials;
        [("AWS_ACCESS_KEY_ID", key), ("AWS_SECRET_ACCESS_KEY", secret)]
            .map(|(name, value)| (name.to_owned(), value.clone()))
            .to_vec()
    }

    /// The same bucket for somebody whose secret is not the one that belongs to their key.
    #[must_use]
    pub fn with_wrong_secret(&self) -> Self {
        let credentials = Credentials { key: self.credentials.key.clone(), secret: random_word() };
        Self { credentials, ..self.clone() }
    }

    /// The same bucket for somebody whose key the server has never heard of.
    #[must_use]
    pub fn with_unknown_key(&self) -> Self {
        Self { credentials: Credentials::random(), ..self.clone() }
    }

    /// The same bucket for a new user who may only do `actions` in it, such as `s3:GetObject`. It replaces
    /// what an earlier such user may do.
    #[track_caller]
    #[must_use]
    pub fn as_user(&self, actions: &[&str]) -> Self {
        let user = Credentials::random();
        let admin = &self.inner.access.root;
        run(Command::new(tool("versitygw"))
            .args(["admin", "--endpoint-url", &self.inner.access.endpoint()])
            .args(["create-user", "--access", &user.key, "--secret", &user.secret, "--role", "user"])
            .env("ADMIN_ACCESS_KEY_ID", &admin.key)
            .env("ADMIN_SECRET_ACCESS_KEY", &admin.secret)
            .env("ADMIN_REGION", REGION))
        .success();
        // The server refuses a statement whose actions and resources are not of one kind.
        let (on_bucket, on_objects): (Vec<&str>, Vec<&str>) =
            actions.iter().partition(|action| action.contains("Bucket"));
        let name = self.name();
        let statements: Vec<_> = [(on_bucket, format!("arn:aws:s3:::{name}")), (on_objects, format!("arn:aws:s3:::{name}/*"))]
            .into_iter()
            .filter(|(actions, _)| !actions.is_empty())
            .map(|(actions, resource)| {
                json!({ "Effect": "Allow", "Principal": { "AWS": [user.key] }, "Action": actions, "Resource": resource })
            })
            .collect();
        let policy = json!({ "Version": "2012-10-17", "Statement": statements }).to_string();
        self.call(&Method::PUT, "", &[("policy", "")], policy.as_bytes()).expect(&[200, 204]);
        Self { credentials: user, ..self.clone() }
    }

    /// The bucket's name.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    pub fn endpoint(&self) -> String {
        format!("http://{}:{}", Ipv4Addr::LOCALHOST, self.port)
    }

    /// The same bucket, with a URL that leads through `proxy`. What a test itself asks goes past it.
    #[must_use]
    pub fn through(&self, proxy: &Proxy) -> Self {
        Self { port: proxy.port(), ..self.clone() }
    }

    /// Where the S3 server keeps what a server under test writes: a file for each object, under its key. Whoever
    /// needs a hundred thousand objects makes files.
    pub fn directory(&self) -> PathBuf {
        self.inner.access.data.join(self.name()).join(PREFIX)
    }

    /// How many objects of content a server keeps here: not its other files, not what is unfinished.
    #[track_caller]
    pub fn object_count(&self) -> usize {
        self.keys(&format!("{PREFIX}/objects/")).len()
    }

    /// The keys that start with `prefix`, in order.
    #[track_caller]
    pub fn keys(&self, prefix: &str) -> Vec<String> {
        let mut keys = Vec::new();
        let mut token = String::new();
        loop {
            let mut query = vec![("list-type", "2"), ("prefix", prefix)];
            if !token.is_empty() {
                query.push(("continuation-token", &token));
            }
            let page = self.call(&Method::GET, "", &query, b"").expect(&[200]);
            let text = String::from_utf8_lossy(&page.body).into_owned();
            keys.extend(elements(&text, "Key"));
            match elements(&text, "NextContinuationToken").pop() {
                Some(next) if !next.is_empty() => token = next,
                _ => return keys,
            }
        }
    }

    /// How many multipart uploads are begun and neither completed nor aborted.
    #[track_caller]
    pub fn unfinished_uploads(&self) -> usize {
        let answer = self.call(&Method::GET, "", &[("uploads", "")], b"").expect(&[200]);
        elements(&String::from_utf8_lossy(&answer.body), "UploadId").len()
    }

    /// The content of an object, whatever the answer is.
    #[track_caller]
    pub fn get(&self, key: &str) -> Answer {
        self.call(&Method::GET, key, &[], b"")
    }

    /// Makes or replaces an object.
    #[track_caller]
    pub fn put(&self, key: &str, content: &[u8]) {
        self.call(&Method::PUT, key, &[], content).expect(&[200]);
    }

    /// Removes an object, there or not.
    #[track_caller]
    pub fn delete(&self, key: &str) {
        self.try_delete(key).expect(&[204]);
    }

    /// Asks for the end of an object, whatever the answer is.
    #[track_caller]
    pub fn try_delete(&self, key: &str) -> Answer {
        self.call(&Method::DELETE, key, &[], b"")
    }

    /// A signed request, whatever the answer is.
    #[track_caller]
    fn call(&self, method: &Method, key: &str, query: &[(&str, &str)], body: &[u8]) -> Answer {
        self.inner.access.call(
            &self.credentials,
            method,
            &format!("/{}/{}", self.name(), encode_key(key)),
            query,
            body,
        )
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Its directory, because S3 itself removes only an empty bucket. It may never have been created.
        let _ = std::fs::remove_dir_all(self.access.data.join(&self.name));
    }
}

/// How tests reach the server past everything that they test.
#[derive(Clone, Debug)]
struct Access {
    client: Client,
    port: u16,
    root: Credentials,
    /// Where the server keeps a directory for each bucket.
    data: PathBuf,
}

impl Access {
    fn endpoint(&self) -> String {
        format!("http://{}:{}", Ipv4Addr::LOCALHOST, self.port)
    }

    /// The server itself, with everything of it in `directory`.
    fn server(&self, directory: &Path) -> Command {
        let data = directory.join("data");
        let mut command = Command::new(tool("versitygw"));
        // Its settings are variables too, and a developer may have some.
        command
            .env_clear()
            .current_dir("/")
            .env("ROOT_ACCESS_KEY", &self.root.key)
            .env("ROOT_SECRET_KEY", &self.root.secret)
            .args(["--port", &format!("{}:{}", Ipv4Addr::LOCALHOST, self.port)])
            .args(["--region", REGION, "--health", "/health", "--keep-alive", "--quiet", "--iam-dir"])
            .arg(directory.join("users"))
            .arg("--iam-cache-disable")
            .arg("posix");
        // It keeps what belongs to an object in the attributes of a file, where the file system has some.
        if setxattr(&data, "user.larder", b"1", XattrFlags::empty()).is_err() {
            command.arg("--sidecar").arg(directory.join("attributes"));
        }
        command.arg(data);
        command
    }

    fn is_ready(&self) -> impl Fn(&Child) -> bool + use<> {
        let (client, address) = (self.client.clone(), format!("{}/health", self.endpoint()));
        move |_| client.get(&address).send().is_ok_and(|answer| answer.status() == 200)
    }

    #[track_caller]
    fn call(
        &self,
        credentials: &Credentials,
        method: &Method,
        path: &str,
        query: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let host = format!("{}:{}", Ipv4Addr::LOCALHOST, self.port);
        let path = path.trim_end_matches('/');
        let query = signature::query(query);
        let time = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        let signed = signature::Signed {
            method: method.as_str(),
            host: &host,
            path,
            query: &query,
            body,
            time: &time,
        };
        let line = format!("{method} http://{host}{path}?{query}");
        let mut request =
            self.client.request(method.clone(), format!("http://{host}{path}?{query}")).body(body.to_vec());
        for (name, value) in signed.headers(credentials) {
            request = request.header(name, value);
        }
        let answer = request.send().unwrap_or_else(|error| panic!("no answer to {line}: {error}"));
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = answer.bytes().unwrap_or_else(|error| panic!("no whole answer to {line}: {error}"));
        Answer { status, reason: None, headers, body: body.to_vec(), request: line }
    }
}

/// A key as it stands in a path.
fn encode_key(key: &str) -> String {
    key.split('/').map(signature::encode).collect::<Vec<_>>().join("/")
}

/// The texts of all elements called `name`, with the entities that the server writes replaced.
fn elements(xml: &str, name: &str) -> Vec<String> {
    let (start, end) = (format!("<{name}>"), format!("</{name}>"));
    let texts = xml.split(&start).skip(1).filter_map(|rest| Some(rest.split_once(&end)?.0));
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&amp;", "&")];
    texts
        .map(|text| {
            entities.iter().fold(text.to_owned(), |text, (entity, character)| text.replace(entity, character))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_in_order_and_without_entities() {
        let xml = "<L><Key>a</Key><Size>1</Size><Key>b&amp;lt;</Key><KeyCount>2</KeyCount></L>";
        assert_eq!(elements(xml, "Key"), ["a", "b&lt;"]);
        assert_eq!(elements(xml, "UploadId"), [""; 0]);
    }
}
