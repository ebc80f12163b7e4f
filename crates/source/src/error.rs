use crate::{SinkError, SourceName};
use gomod::ModulePath;
use std::time::Duration;

/// Which of the closed set of outcomes a failure is. The answer's status follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SourceErrorKind {
    /// Proven absence: 404, a list or folder without it.
    NotExist,
    /// Proven absence, said with 410.
    Gone,
    /// 401 or 403.
    Refused,
    /// 429, 503 with Retry-After, or our own queue's deadline.
    Busy,
    /// No connection: DNS, TCP, reset, an HTTP proxy that refuses; and 5xx.
    Unreachable,
    /// TLS failed; the text says how.
    Tls,
    /// Connect, stall or minimum-rate deadline.
    TimedOut,
    /// HTML with 200, JSON that is none, a length that lies, a status that fits nothing.
    BadAnswer,
    /// Over a limit.
    TooLarge,
    /// Every source's complete file was refused by the sink.
    Rejected,
    /// The sink can't go on.
    Sink,
    /// The list says `off`.
    Off,
    /// A private name, and no private source is configured.
    PrivateUnserved,
    /// The code is kept in a way that this server does not fetch from (Mercurial, Subversion, …; git, where there
    /// is none here); the text names it and says what to do.
    Unsupported,
    /// A setting forbids it: GOVCS, or the list of protocols; the text names it.
    Disallowed,
    /// The address is one that a request may not make us dial.
    ForbiddenAddress,
    /// The list leads back to this very server.
    Loop,
    /// Our own fault.
    Internal,
}

impl SourceErrorKind {
    /// True for failures that say something of the upstream, and not of the question or of us.
    pub(crate) fn is_upstreams_own(self) -> bool {
        match self {
            Self::Unreachable
            | Self::Tls
            | Self::TimedOut
            | Self::BadAnswer
            | Self::Busy
            | Self::Refused
            | Self::Loop => true,
            Self::NotExist
            | Self::Gone
            | Self::TooLarge
            | Self::Rejected
            | Self::Sink
            | Self::Off
            | Self::PrivateUnserved
            | Self::Unsupported
            | Self::Disallowed
            | Self::ForbiddenAddress
            | Self::Internal => false,
        }
    }
}

/// Why a source did not answer, with the evidence.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct SourceError(pub Box<SourceFailure>);

/// What a failed question was put to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// An upstream of the list, or a folder.
    ModuleProxy,
    /// A repository, or the way to it.
    Repository {
        /// The module that was looked for there.
        module_path: ModulePath,
    },
}

/// The evidence of a [`SourceError`].
#[derive(Clone, Debug)]
pub struct SourceFailure {
    /// Which outcome.
    pub kind: SourceErrorKind,
    /// What was being asked: whose credentials, and whose fault, it is about.
    pub asked: Asked,
    /// Who failed.
    pub source: Option<SourceName>,
    /// What was asked: the URL without credentials.
    pub url: Option<String>,
    /// The status, where there was one.
    pub status: Option<u16>,
    /// What happened, in one lower-case sentence without a full stop.
    pub text: String,
    /// What upstream wrote, when it was short plain text: at most 8 lines and 600 bytes.
    pub upstream_text: Option<String>,
    /// When it asked to come back.
    pub retry_after: Option<Duration>,
    /// Requests made.
    pub attempts: u32,
    /// From the question to this failure: waits for a turn and pauses between the requests included.
    pub elapsed: Duration,
    /// What else the reader should know: `direct was not tried…`.
    pub notes: Vec<String>,
    /// What the sink said, for `Rejected` and `Sink`.
    pub sink: Option<SinkError>,
    /// Which fault of TLS, for `Tls`, where it is known.
    pub tls: Option<TlsFault>,
    /// What the evidence shows beyond the kind, where it does.
    pub clue: Option<Clue>,
}

/// What an answer shows beyond the kind of its failure. Who is told of it is told the finer cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clue {
    /// Redirects without an end.
    RedirectsInCircles,
    /// A redirect from https to http.
    RedirectsToPlain,
    /// A page that names no repository for the path, or one that cannot be.
    NoGoImport,
    /// The code host knows no such repository.
    NoSuchRepository,
    /// Nothing is listed, and nothing in the answer is of a git server: a page, perhaps one for people who are to sign
    /// in, answers in its place.
    NothingListed,
    /// Git's transfer, or what it brought, is broken.
    BrokenTransfer,
    /// The files of the commit make no module zip.
    NoModuleZip,
    /// The code host's SSH key is not known here.
    UnknownHostKey,
    /// The code host's SSH key is not the one that is known here.
    OtherHostKey,
    /// The code host accepts none of the SSH keys that it was offered.
    RefusedSshKey,
}

/// Why a TLS handshake with a source failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFault {
    /// No trusted authority stands behind the certificate, or its chain is incomplete.
    UnknownAuthority,
    /// The certificate's time is over.
    Expired,
    /// The certificate's time has not begun.
    NotYetValid,
    /// The certificate is for another name.
    OtherName,
    /// Anything else that a certificate must not have.
    BadCertificate,
    /// The port does not speak TLS.
    NoTls,
    /// No common version or cipher, an alert, or what else ends a handshake.
    Handshake,
}

impl SourceError {
    /// A failure without further evidence.
    pub fn new(kind: SourceErrorKind, text: impl Into<String>) -> Self {
        Self(Box::new(SourceFailure {
            kind,
            asked: Asked::ModuleProxy,
            source: None,
            url: None,
            status: None,
            text: text.into(),
            upstream_text: None,
            retry_after: None,
            attempts: 0,
            elapsed: Duration::ZERO,
            notes: Vec::new(),
            sink: None,
            tls: None,
            clue: None,
        }))
    }
    /// A connection that failed in TLS.
    pub fn tls(fault: TlsFault, text: impl Into<String>) -> Self {
        let mut error = Self::new(SourceErrorKind::Tls, text);
        error.0.tls = Some(fault);
        error
    }
    /// The same failure, with what shows more of it.
    #[must_use]
    pub fn with_clue(mut self, clue: Clue) -> Self {
        self.0.clue = Some(clue);
        self
    }
    /// The same failure, as one on the way to the repository of a module.
    pub fn on_the_way_to_repository_of(mut self, module_path: &ModulePath) -> Self {
        let module_path = module_path.clone();
        self.0.asked = Asked::Repository { module_path };
        self
    }
    /// Which outcome.
    pub fn kind(&self) -> SourceErrorKind {
        self.0.kind
    }
    /// True for proven absence.
    pub fn is_absence(&self) -> bool {
        matches!(
            self.kind(),
            SourceErrorKind::NotExist | SourceErrorKind::Gone
        )
    }
}

impl std::fmt::Display for SourceFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}
