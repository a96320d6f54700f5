//! Why a record is no row, and where it lies.

use arrow_array::RecordBatch;

/// The first problem of a record; the list is closed and shared with the parser without native code.
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

/// Characters of an unknown column's name that a reject carries.
const NAME_LIMIT: usize = 128;

/// What a problem concerns.
#[derive(Debug)]
pub enum Place {
    Record,
    Field(usize),
    Name(Box<str>),
}

/// The problem that ends a record; boxed, so that results fit in registers where there is none.
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

/// A record that is no row: the record's and its line's number in the block, and its bytes without their line break.
#[derive(Debug)]
pub struct Reject {
    pub record: u32,
    pub line: u32,
    pub offset: usize,
    pub length: usize,
    pub column: String,
    pub reason: Reason,
}

/// The outcome of a block: `rows_read` is the batch's rows and the rejects together.
pub struct Parsed {
    pub batch: RecordBatch,
    pub rows_read: usize,
    pub lines: usize,
    pub rejects: Vec<Reject>,
    /// How many accepted rows carried a value for each column that the contract does not know.
    pub extra: Vec<(String, u64)>,
    /// How many rows each operation has.
    pub operations: Vec<(&'static str, u64)>,
    /// The earliest and the latest `cdc_built_at` of rows that are no fences, in microseconds.
    pub built_at: Option<(i64, i64)>,
}
