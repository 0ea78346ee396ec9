//! The header fields against a general library for them, and requirements as real packages have them.
//!
//! The library is not what the server reads with: `mailparse` reads mail, decodes encoded words and takes any text
//! for a header. What Python's own libraries say of both is asked where the clients are tested.

use mailparse::parse_headers;
use proptest::prelude::*;

use super::*;

const MINIMAL: &str = "Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n";

/// The fields and the body as the mail library reads them.
fn by_the_mail_library(text: &str) -> (Vec<(String, String)>, &str) {
    let (headers, end) = parse_headers(text.as_bytes()).expect("the library reads what is accepted");
    let fields = headers.iter().map(|header| (header.get_key(), header.get_value_utf8().unwrap()));
    (fields.collect(), &text[end..])
}

/// White space as folding leaves it: the libraries join lines with different runs of it, and here the lines of
/// a license and of a description stay lines.
fn joined(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Compares what is accepted, field by field.
fn compare(text: &str) -> Result<(), TestCaseError> {
    let Ok(metadata) = Metadata::parse(text.as_bytes()) else { return Ok(()) };
    let (fields, body) = by_the_mail_library(text);
    let mut expected: Vec<(String, String)> = fields
        .into_iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), joined(&value)))
        .filter(|(name, value)| !value.is_empty() && (value != "UNKNOWN" || name == "name"))
        .collect();
    if !body.trim().is_empty() && body.trim() != "UNKNOWN" {
        expected.push(("description".to_owned(), joined(body)));
        prop_assert_eq!(metadata.description(), Some(body));
    }
    let found = metadata.fields().iter().map(|(name, value)| (name.to_ascii_lowercase(), joined(value)));
    prop_assert_eq!(found.collect::<Vec<_>>(), expected);
    Ok(())
}

/// A line of text without white space at its ends.
fn any_line() -> impl Strategy<Value = String> {
    "[!-~éß日]([ -~éß日]{0,30}[!-~éß日])?".prop_filter("no encoded words", |line| !line.contains("=?"))
}

fn any_field() -> impl Strategy<Value = (&'static str, Vec<String>)> {
    let name = prop::sample::select(vec![
        "Summary",
        "Home-page",
        "Author",
        "author-EMAIL",
        "License",
        "Keywords",
        "Classifier",
        "Project-URL",
        "Provides-Extra",
        "X-Vendor",
        "Description",
    ]);
    (name, prop::collection::vec(any_line(), 1..4))
}

fn is_warned_of(requirement: &str) -> bool {
    let metadata = Metadata::parse(format!("{MINIMAL}Requires-Dist: {requirement}\n").as_bytes());
    !metadata.expect("a requirement is no reason to refuse a file").warnings().is_empty()
}

/// Requirements as packages have them.
const REALISTIC: &[&str] = &[
    "attrs",
    "zope.interface",
    "ruamel.yaml.clib",
    "backports.zoneinfo",
    "Pillow",
    "PyYAML>=5.1",
    "six (>=1.10.0)",
    "six(>=1.10.0)",
    "six (>=1.10.0,<2)",
    "requests >=2.8.1, ==2.8.*",
    "requests[security,tests]>=2.8.1,==2.8.*",
    "requests [security, tests] >= 2.8.1, == 2.8.*",
    "requests[ security , tests ] (>=2.8.1)",
    "requests[]",
    "numpy>=1.17.3,!=1.19.*,<2.5",
    "numpy ~= 1.22",
    "numpy~=1.22.0",
    "idna<4,>=2.5",
    "urllib3<3,>=1.21.1",
    "charset_normalizer<4,>=2",
    "certifi>=2017.4.17",
    "colorama; platform_system == \"Windows\"",
    "colorama ; sys_platform == \"win32\"",
    "typing-extensions>=4.0.0; python_version < \"3.11\"",
    "tomli>=1.1.0; python_full_version <= \"3.11.0a6\"",
    "importlib-metadata>=3.6; python_version < '3.10'",
    "exceptiongroup>=1.0.0rc8; python_version < \"3.11\"",
    "pytest>=6 ; extra == 'test'",
    "pytest-cov ; (python_version >= '3.8') and extra == 'test'",
    "pytest!=8.1.*,>=6; extra == \"testing\"",
    "jaraco.packaging>=9.3; extra == \"docs\"",
    "pyobjc; sys_platform == 'darwin' and platform_machine != 'arm64'",
    "pywin32 (>=226) ; sys_platform == \"win32\"",
    "cffi>=1.12;platform_python_implementation != 'PyPy'",
    "enum34;python_version<'3.4'",
    "futures; python_version == \"2.7\"",
    "ipaddress; python_version in '2.6 2.7 3.2'",
    "setuptools; 'linux' in sys_platform",
    "mock==1.0.1",
    "mock==1.0.post1",
    "mock==1.0.dev456",
    "mock==1.0a1",
    "mock==1.0rc1",
    "mock==1!2.0",
    "torch==2.1.0+cu118",
    "torch===2.1.0",
    "torch >1.0, <=2.0",
    "black==22.*",
    "black>=22.0b1",
    "importlib-resources>=1.4.0,<7",
    "foo-bar.baz_qux>=0",
    "A",
    "0",
    "a1-2.3",
    "pip @ https://github.com/pypa/pip/archive/1.3.1.zip#sha1=da9234ee9982d4bbb3c72346a6de940a148ea686",
    "pip@https://github.com/pypa/pip/archive/1.3.1.zip",
    "pip @ git+https://github.com/pypa/pip.git@main#egg=pip",
    "pip[extra] @ file:///srv/pip-24.0.tar.gz",
    "pip @ https://example.org/pip-24.0.tar.gz ; python_version >= '3.8'",
    "zstandard; platform_python_implementation == 'CPython' or extra == 'zstd'",
    "Django<5,>=3.2 ; extra == 'django'",
];

#[test]
fn realistic_requirements_are_understood() {
    for requirement in REALISTIC {
        assert!(!is_warned_of(requirement), "{requirement}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn well_formed_fields_are_read_alike(
        fields in prop::collection::vec(any_field(), 0..8),
        indent in prop::sample::select(vec![" ", "\t", "        "]),
        line_end in prop::sample::select(vec!["\n", "\r\n"]),
        body in proptest::option::of("\\PC{0,40}(\r?\n\\PC{0,40}){0,3}"),
    ) {
        let mut head = MINIMAL.to_owned();
        for (name, lines) in &fields {
            let value = lines.join(&format!("\n{indent}"));
            head.extend([name, ": ", &value, "\n"]);
        }
        let head = head.replace('\n', line_end);
        let body = body.map(|body| format!("{line_end}{body}")).unwrap_or_default();
        compare(&(head + &body))?;
    }

    #[test]
    fn whatever_is_accepted_is_read_alike(tail in "([A-Za-z-]{0,12}:?[ \\t]?[ -~é]{0,20}\\r?\\n?){0,8}") {
        prop_assume!(!tail.contains("=?"));
        compare(&format!("{MINIMAL}{tail}"))?;
    }
}
