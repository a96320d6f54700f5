//! Rejected records with reason and place.

use arrow_array::RecordBatch;

/// The first problem of a record. The list is closed and shared with the pure Python parser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    OpenQuote,
    RepeatedHeader,
    Utf8,
    Nul,
    NotJson,
    NotObject,
    NotCsv,
    Ragged,
    DuplicateMember,
    UnknownColumn,
    Type,
    Range,
    Nan,
    Operation,
    Required,
}

impl Reason {
    /// The code that is stored with the record.
    pub fn code(self) -> &'static str {
        match self {
            Reason::OpenQuote => "open_quote",
            Reason::RepeatedHeader => "repeated_header",
            Reason::Utf8 => "utf8",
            Reason::Nul => "nul",
            Reason::NotJson => "not_json",
            Reason::NotObject => "not_object",
            Reason::NotCsv => "not_csv",
            Reason::Ragged => "ragged",
            Reason::DuplicateMember => "duplicate_member",
            Reason::UnknownColumn => "unknown_column",
            Reason::Type => "type",
            Reason::Range => "range",
            Reason::Nan => "nan",
            Reason::Operation => "operation",
            Reason::Required => "required",
        }
    }
}

/// The maximum length of an unknown column's name in a reject, in characters.
const NAME_LIMIT: usize = 128;

/// The subject of a problem.
#[derive(Debug)]
pub enum Place {
    Record,
    Field(usize),
    Name(Box<str>),
}

/// The problem that rejects a record. It is boxed so that results without one fit in registers.
#[derive(Debug)]
pub struct Fail {
    pub reason: Reason,
    pub place: Place,
}

impl Fail {
    /// A problem of the record as a whole.
    #[cold]
    pub fn record(reason: Reason) -> Box<Self> {
        Box::new(Fail {
            reason,
            place: Place::Record,
        })
    }

    /// A problem of one field's value.
    #[cold]
    pub fn field(reason: Reason, field: usize) -> Box<Self> {
        Box::new(Fail {
            reason,
            place: Place::Field(field),
        })
    }

    /// A problem of a column that the contract does not know.
    #[cold]
    pub fn name(reason: Reason, name: &[u8]) -> Box<Self> {
        let name: String = String::from_utf8_lossy(name).chars().take(NAME_LIMIT).collect();
        Box::new(Fail {
            reason,
            place: Place::Name(name.into()),
        })
    }
}

/// A rejected record: the numbers of the record and of its line in the block, and its bytes without their line break.
#[derive(Debug)]
pub struct Reject {
    pub record: u32,
    pub line: u32,
    pub offset: usize,
    pub length: usize,
    pub column: String,
    pub reason: Reason,
}

/// The result of a block. `rows_read` counts the batch's rows and the rejects.
pub struct Parsed {
    pub batch: RecordBatch,
    pub rows_read: usize,
    pub lines: usize,
    pub rejects: Vec<Reject>,
    /// Offset and length of each accepted CSV record with whole lines within its texts.
    pub long_records: Vec<(usize, usize)>,
    /// The number of accepted rows with a value, for each column that the contract does not know.
    pub extra: Vec<(String, u64)>,
    /// The number of rows of each operation.
    pub operations: Vec<(&'static str, u64)>,
    /// The earliest and the latest `cdc_built_at` of rows other than fences, in microseconds.
    pub built_at: Option<(i64, i64)>,
}
