//! One diagnosed fault, in the shape that `--json` prints.

use serde::{Serialize, Serializer};

use crate::cause::{Cause, Cure, Whose, page};

/// One diagnosed fault: cause, evidence, cure. The field names hold for scripts; beside the fields
/// `page` names the cause's page of the reference.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The id of a [`Cause`].
    pub cause: &'static str,
    /// How much the evidence proves.
    pub confidence: Confidence,
    /// Ids of causes that the evidence cannot rule out.
    pub also_possible: Vec<&'static str>,
    /// Who can mend it.
    pub whose: Whose,
    /// What failed, as far as the evidence names it.
    pub subject: Subject,
    /// What was seen, passwords and tokens left out.
    pub evidence: Vec<Evidence>,
    /// What helps, the most direct first.
    pub cures: Vec<Cure>,
    /// The command that would decide, where the confidence is not `certain`.
    pub settle: Option<String>,
}

impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut fields = serializer.serialize_struct("Finding", 9)?;
        fields.serialize_field("cause", self.cause)?;
        fields.serialize_field("page", &page::path(self.cause))?;
        fields.serialize_field("confidence", &self.confidence)?;
        fields.serialize_field("also_possible", &self.also_possible)?;
        fields.serialize_field("whose", &self.whose)?;
        fields.serialize_field("subject", &self.subject)?;
        fields.serialize_field("evidence", &self.evidence)?;
        fields.serialize_field("cures", &self.cures)?;
        match &self.settle {
            Some(command) => fields.serialize_field("settle", command)?,
            None => fields.skip_field("settle")?,
        }
        fields.end()
    }
}

impl Finding {
    /// The catalogue's entry of this finding's cause.
    pub fn entry(&self) -> Option<&'static Cause> {
        crate::cause::find(self.cause)
    }
}

/// How much the evidence proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// One of several; `also_possible` names the others.
    Possible,
    /// Everything points to it, and something else could still say the same.
    Likely,
    /// The evidence says it outright.
    Certain,
}

impl Confidence {
    /// As it is printed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Possible => "possible",
            Self::Likely => "likely",
            Self::Certain => "certain",
        }
    }
}

/// What a finding is about; what the evidence does not name is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Subject {
    /// Host name or address, with the port where one was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// What go asked of `host`, without user information and query; absent where the log shows no whole URL of its
    /// own.
    #[serde(skip)]
    pub url: Option<String>,
    /// Module path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// Version or query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// One thing that was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// The log's line, from 1; absent where the evidence is no line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The line without decoration.
    pub text: String,
}
