//! The recorded cases: `fixtures/<dialect>/<case>.{request.json,reply.json,stream.txt}`.

use std::path::PathBuf;

use bytes::Bytes;
use hr_core::catalog::Dialect;

/// One recorded case.
pub struct Case {
    pub dialect: Dialect,
    pub name: String,
    pub request: Bytes,
    /// The whole reply; a case that ends badly has none.
    pub reply: Option<Bytes>,
    pub stream: Option<Bytes>,
}

impl Case {
    /// All cases of a dialect, by name.
    pub fn all(dialect: Dialect) -> Vec<Case> {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(dialect.name());
        let entries = std::fs::read_dir(&folder).into_iter().flatten();
        let mut names: Vec<_> = entries
            .filter_map(|entry| {
                entry.unwrap().file_name().to_str()?.strip_suffix(".request.json").map(str::to_owned)
            })
            .collect();
        names.sort();
        let file = |name: &str| std::fs::read(folder.join(name)).ok().map(Bytes::from);
        names
            .into_iter()
            .map(|name| Case {
                dialect,
                request: file(&format!("{name}.request.json")).unwrap(),
                reply: file(&format!("{name}.reply.json")),
                stream: file(&format!("{name}.stream.txt")),
                name,
            })
            .collect()
    }
}
