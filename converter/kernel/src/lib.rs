//! Raw JSON lines and CSV to Arrow columns, by a contract, in one pass over the bytes.
//!
//! The rules are those of the pure Python parsers in `convert/parse`. A differential test checks that both give
//! the same rows and the same rejects for any input. No input makes this crate fail: a record is a row or a reject.

mod cache;
mod column;
mod csv;
mod hash;
mod json;
mod moment;
mod number;
mod python;
mod reject;
mod rows;
mod schema;
mod syntax;
mod text;

pub use crate::csv::CsvParser;
pub use crate::hash::HmacSha256;
pub use crate::json::JsonParser;
pub use crate::reject::{Parsed, Reason, Reject};
pub use crate::schema::{Evolution, Field, Kind, Schema};
