//! The store on a real disk.

use std::sync::Arc;

use hr_core::route::Table;

use super::*;

const NOW: Millis = Millis(1_800_000_000_000);

fn change(table: Table, id: &str, kept: Option<&str>) -> Change {
    Change { table, id: id.to_owned(), kept: kept.map(str::to_owned) }
}

fn decided(id: impl ToString) -> Decided {
    Decided { id: id.to_string().into(), at: NOW, ..Decided::default() }
}

fn opened(path: &Path) -> Opened {
    open(path, None, NOW).unwrap()
}

/// Starts a store that writes these changes, and closes it.
fn write(path: &Path, changes: Vec<Change>, decided: Vec<Decided>) {
    let mut changes = Some(changes);
    let store = opened(path).start(move || changes.take().unwrap_or_default(), || NOW).unwrap();
    store.changed();
    for decided in decided {
        assert!(store.remember(decided.into()).is_none());
    }
    store.close();
}

#[test]
fn what_is_written_is_there_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/state.db");
    write(
        &path,
        vec![
            change(Table::Quota, "a", Some("{}")),
            change(Table::Rests, "b", Some("1")),
            change(Table::Rests, "c", None),
        ],
        vec![Decided { record: Written::Bytes(vec![1, 2, 3]), ..decided("one") }],
    );
    write(&path, vec![change(Table::Quota, "a", None)], vec![decided("two")]);
    let kept = opened(&path).kept;
    assert_eq!(kept, [change(Table::Rests, "b", Some("1"))]);
    let reader = Reader::open(&path).unwrap().unwrap();
    let one = Decision { id: "one".into(), at: NOW, record: vec![1, 2, 3] };
    assert_eq!(reader.decision("one").unwrap(), Some(one));
    assert_eq!(reader.last_decision().unwrap().unwrap().id, "two");
    assert_eq!(reader.decision("three").unwrap(), None);
    assert!(Reader::open(&folder.path().join("none")).unwrap().is_none());
}

#[test]
fn a_decision_is_found_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = opened(&folder.path().join("state.db")).start(Vec::new, || NOW).unwrap();
    for number in 0..500 {
        let id = number.to_string();
        store.remember(decided(&id).into());
        assert_eq!(store.decision(&id).unwrap().unwrap().id, id);
        assert_eq!(store.last_decision().unwrap().unwrap().id, id);
    }
    store.close();
    assert_eq!((store.lost(), store.decision("499").unwrap().is_some()), (0, true));
}

#[test]
fn one_router_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let first = opened(&path);
    let error = open(&path, None, NOW).unwrap_err();
    assert!(
        matches!(error, StoreError::InUse { pid: Some(pid), .. } if pid == std::process::id()),
        "{error}"
    );
    assert!(Reader::open(&path).unwrap().is_some());
    drop(first);
    opened(&path);
}

#[test]
fn it_is_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let store = opened(&path).start(|| vec![change(Table::Quota, "a", Some("1"))], || NOW).unwrap();
    store.changed();
    while Reader::open(&path).unwrap().unwrap().kept().unwrap().is_empty() {
        thread::yield_now();
    }
    let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap()).collect();
    assert!(files.iter().any(|file| file.file_name() == "state.db-wal"));
    for file in files {
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", file.path().display());
    }
    store.close();
}

/// A store of some size, as bytes.
fn store_with(pieces: usize) -> (tempfile::TempDir, PathBuf, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let text = "x".repeat(500);
    let changes =
        (0..pieces).map(|number| change(Table::Quota, &format!("{number:05}"), Some(&text))).collect();
    write(&path, changes, Vec::new());
    let bytes = std::fs::read(&path).unwrap();
    (folder, path, bytes)
}

#[test]
fn a_damaged_file_is_refused_and_left_alone() {
    let (folder, path, whole) = store_with(400);
    assert_eq!(opened(&path).kept.len(), 400);
    let length = whole.len();
    let with = |from: usize, to: usize, byte: u8| {
        let mut bytes = whole.clone();
        bytes[from..to].fill(byte);
        bytes
    };
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("empty", Vec::new()),
        ("half a header", whole[..50].to_vec()),
        ("a page", whole[..4096].to_vec()),
        ("half", whole[..length / 2].to_vec()),
        ("a page short", whole[..length - 4096].to_vec()),
        ("half a page short", whole[..length - 2048].to_vec()),
        ("text", b"this was a note of mine".to_vec()),
        ("zeroes", vec![0; length]),
        ("a page of zeroes", with(8192, 12_288, 0)),
        ("the last page of zeroes", with(length - 4096, length, 0)),
        ("a page of garbage", with(16_384, 20_480, 0xa5)),
        ("no schema", with(100, 4096, 0)),
        ("half JSON", b"{\"providers\": {".to_vec()),
    ];
    for (name, bytes) in cases {
        std::fs::write(&path, &bytes).unwrap();
        let error = open(&path, None, NOW).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{name}: {error}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "{name}");
    }
    std::fs::write(&path, &whole).unwrap();
    assert_eq!(opened(&path).kept.len(), 400);
    drop(folder);
}

#[test]
fn files_of_others_and_of_later_versions_are_refused_and_left_alone() {
    let (_folder, path, whole) = store_with(1);
    let version = |at: usize, number: i32| {
        let mut bytes = whole.clone();
        bytes[at..at + 4].copy_from_slice(&number.to_be_bytes());
        bytes
    };
    let refused = |bytes: Vec<u8>| {
        std::fs::write(&path, &bytes).unwrap();
        let error = open(&path, None, NOW).unwrap_err();
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
        error
    };
    assert!(matches!(refused(version(60, 2)), StoreError::Newer { found: 2, known: 1, .. }));
    assert!(matches!(refused(version(60, 0)), StoreError::Damaged { .. }));
    assert!(matches!(refused(version(68, 0)), StoreError::NotOurs { .. }));
    assert!(matches!(refused(b"{\"name\": \"a package\"}".to_vec()), StoreError::NotOurs { .. }));
    assert!(matches!(refused(b"{\"providers\": []}".to_vec()), StoreError::NotOurs { .. }));
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(matches!(open(&path, None, NOW).unwrap_err(), StoreError::NotOurs { .. }));
}

#[test]
fn what_a_kill_leaves_behind_is_taken_up() {
    let (folder, path, _) = store_with(10);
    let store = {
        let mut changes = vec![change(Table::Rests, "late", Some("1"))];
        opened(&path).start(move || std::mem::take(&mut changes), || NOW).unwrap()
    };
    store.changed();
    while Reader::open(&path).unwrap().unwrap().kept().unwrap().len() < 11 {
        thread::yield_now();
    }
    // As they lie at this moment, the log not moved into the file: what a kill would leave.
    let after = folder.path().join("after");
    std::fs::create_dir(&after).unwrap();
    for name in ["state.db", "state.db-wal"] {
        std::fs::copy(folder.path().join(name), after.join(name)).unwrap();
    }
    store.close();
    assert_eq!(opened(&after.join("state.db")).kept.len(), 11);
}

#[test]
fn a_log_without_its_file_is_not_taken_for_a_new_ones() {
    let (folder, path, _) = store_with(10);
    std::fs::remove_file(&path).unwrap();
    std::fs::write(folder.path().join("state.db-wal"), "left behind").unwrap();
    assert_eq!(opened(&path).kept, []);
    assert_eq!(std::fs::read(folder.path().join("state.db-wal.orphaned")).unwrap(), b"left behind");
}

const ORIGINAL: &str = r#"{"last_updated": "2026-11-01T08:00:00", "last_updated_ts": 1793520000.5,
  "providers": {"alpha": {"rating": 3, "available": true}},
  "model_state": {
    "alpha::big/model": {"rating": 4, "supports_tools": true, "tools_confirmed": true, "reasoning": false},
    "alpha::guessed": {"rating": 4, "supports_tools": true, "tools_confirmed": false}
  }}"#;

#[test]
fn the_originals_state_is_taken_over_and_kept_under_another_name() {
    let expected = [change(
        Table::Capabilities,
        "alpha/big/model",
        Some(
            r#"{"tools":{"value":true,"source":"import","at":1793520000500},"reasoning":{"value":false,"source":"import","at":1793520000500}}"#,
        ),
    )];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("router_state.json");
    std::fs::write(&path, ORIGINAL).unwrap();
    let aside = folder.path().join("router_state.json.imported");
    let first = opened(&path);
    assert_eq!((first.kept.as_slice(), first.imported.as_ref()), (expected.as_slice(), Some(&aside)));
    drop(first);
    assert_eq!(std::fs::read_to_string(&aside).unwrap(), ORIGINAL);
    let second = opened(&path);
    assert_eq!((second.kept.as_slice(), second.imported.as_ref()), (expected.as_slice(), None));
    drop(second);

    // Beside the store, and with a copy of an earlier time in the way.
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, ORIGINAL).unwrap();
    let store = folder.path().join("state.db");
    let opened = open(&store, Some(&path), NOW).unwrap();
    assert_eq!(opened.kept, expected);
    assert_eq!(opened.imported, Some(folder.path().join("router_state.json.imported-2")));
    assert!(aside.exists() && !path.exists());
}

#[test]
fn serving_goes_on_while_nothing_can_be_written() {
    let folder = tempfile::tempdir().unwrap();
    // A file in the place of the folder: nothing can be made below it.
    let blocked = folder.path().join("blocked");
    std::fs::write(&blocked, "").unwrap();
    let path = blocked.join("state.db");
    let opened = open(&path, None, NOW).unwrap();
    assert!(matches!(opened.trouble, Some(StoreError::Unwritable { .. })), "{:?}", opened.trouble);
    let asked = Arc::new(AtomicBool::new(false));
    let store = {
        let asked = Arc::clone(&asked);
        let pull = move || {
            let first = !asked.swap(true, Ordering::AcqRel);
            first.then(|| change(Table::Rests, "kept", Some("1"))).into_iter().collect()
        };
        opened.start(pull, || NOW).unwrap()
    };
    store.changed();
    while !asked.load(Ordering::Acquire) {
        thread::yield_now();
    }
    for number in 0..=MAX_WAITING {
        store.remember(decided(number).into());
    }
    assert_eq!(store.lost(), 1);
    assert_eq!(store.decision("7").unwrap().unwrap().id, "7");
    std::fs::remove_file(&blocked).unwrap();
    store.close();
    let reader = Reader::open(&path).unwrap().unwrap();
    assert_eq!(reader.kept().unwrap(), [change(Table::Rests, "kept", Some("1"))]);
    assert_eq!(reader.last_decision().unwrap().unwrap().id, (MAX_WAITING - 1).to_string());
}

#[test]
fn old_rows_are_forgotten_in_small_steps() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let aged = |number: u64, at: Millis| Arc::new(Decided { at, ..decided(number) });
    let (mut connection, _lock) = opened(&path).open.unwrap();
    let old = Millis(NOW.0 - 8 * 24 * 3600 * 1000);
    let rows: Vec<_> = (0..300).map(|number| aged(number, if number < 200 { old } else { NOW })).collect();
    rows::write(&mut connection, &[], &rows, NOW).unwrap();
    let count = |connection: &Connection| -> i64 {
        connection.query_row("SELECT count(*) FROM decisions", [], |row| row.get(0)).unwrap()
    };
    assert!(prune::step(&connection, NOW, &prune::DECISIONS).unwrap());
    assert_eq!(count(&connection), 172);
    assert!(!prune::step(&connection, NOW, &prune::DECISIONS).unwrap());
    assert_eq!(count(&connection), 100);
    assert!(!prune::step(&connection, NOW, &prune::DECISIONS).unwrap());
    assert_eq!(count(&connection), 100);
    let few = prune::Bound { count: 10, ..prune::DECISIONS };
    assert!(!prune::step(&connection, NOW, &few).unwrap());
    assert_eq!(count(&connection), 10);
    assert_eq!(rows::decision(&connection, None).unwrap().unwrap().id, "299");
}
