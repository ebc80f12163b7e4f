use gomod::{FileKind, ModuleVersion};

/// The scope of a stored file and of the credential that fetched it. One for now; part of every key
/// from the first day, so that private scopes need not be cut in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Namespace {
    /// What anyone who reaches the server may read: `DIR/download`.
    #[default]
    Shared,
}

/// Names one stored file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FileKey {
    /// Its scope.
    pub namespace: Namespace,
    /// Whose file it is.
    pub module: ModuleVersion,
    /// Which of the three.
    pub kind: FileKind,
}
