use super::*;

#[test]
fn names_that_cannot_be_kept_are_failures() {
    let target: TargetAddress = "http://localhost:1/acme/prod/deep".parse().unwrap();
    let site = target.site.clone();
    let import = Import {
        source: Source::Registry(Arc::new(Remote::new(Client::new(site.clone(), None).unwrap()))),
        target: Remote::new(Client::new(site, None).unwrap()),
        address: target,
        selection: Selection::All,
        concurrency: 1,
        permits: Semaphore::new(1),
        blobs: Mutex::default(),
        progress: Arc::default(),
        failures: Mutex::default(),
        faults: AtomicU32::new(0),
        given_up: AtomicBool::new(false),
    };
    let long = "a".repeat(250);
    let names = import.named(["Upper", "a/b", long.as_str()].map(str::to_owned).into());
    assert_eq!(names.len(), 1);
    assert_eq!(names[0].1.as_str(), "acme/prod/deep/a/b");
    let failures = import.taken_failures();
    assert_eq!(failures.len(), 2);
    assert!(failures[0].to_string().contains("Upper: its name cannot be used here"), "{}", failures[0]);
}
