//! JSON lines with one object each. The members are expected in the order of the line before.

use crate::column::{Column, Texts, Values};
use crate::moment::{self, Clock};
use crate::number::{Grammar, Number, json_int, non_finite, short_float};
use crate::reject::{Fail, Parsed, Reason};
use crate::rows::{Operation, Rows};
use crate::schema::{Field, Kind, Schema};
use crate::syntax::{self, after_space};
use crate::text::{self, string_mark, unescape};

/// Bytes of a line, roughly, to size the columns of a block by.
const TYPICAL_LINE: usize = 256;

/// Parses blocks of JSON lines by a schema.
pub struct JsonParser {
    schema: Schema,
}

impl JsonParser {
    pub fn new(schema: Schema) -> JsonParser {
        JsonParser { schema }
    }

    /// Parse a block of whole lines. The last one may lack its line feed.
    pub fn parse(&self, data: &[u8]) -> Result<Parsed, String> {
        let mut rows = Rows::new(&self.schema, data.len() / TYPICAL_LINE + 1, 0);
        let mut reader = LineReader::new(&self.schema);
        let is_utf8 = simdutf8::basic::from_utf8(data).is_ok();
        let (mut start, mut line) = (0, 0);
        while start < data.len() {
            let end = memchr::memchr(b'\n', &data[start..]).map_or(data.len(), |length| start + length);
            let record = data[start..end].strip_suffix(b"\r").unwrap_or(&data[start..end]);
            if record.first() == Some(&b'{') || !record.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r')) {
                rows.begin();
                let outcome = if is_utf8 || std::str::from_utf8(record).is_ok() {
                    reader
                        .read(record, &mut rows)
                        .and_then(|()| rows.accept())
                        .map_err(|fail| judge(record, fail))
                } else {
                    Err(Fail::record(Reason::Utf8))
                };
                if let Err(fail) = outcome {
                    rows.reject(*fail, line, start, record.len());
                }
            }
            line += 1;
            start = end + 1;
        }
        rows.finish(line)
    }
}

/// The problem to report: one of the whole line's syntax comes before one of its values.
#[cold]
fn judge(record: &[u8], fail: Box<Fail>) -> Box<Fail> {
    if fail.reason == Reason::NotJson || !syntax::is_json(record) {
        Fail::record(Reason::NotJson)
    } else {
        fail
    }
}

struct LineReader<'s> {
    schema: &'s Schema,
    /// The field that followed each field in an earlier line. Place 0 holds the first one.
    following: Vec<usize>,
    name: Vec<u8>,
    scratch: Scratch,
}

/// State that one value leaves for the next: a text buffer and the last minute.
struct Scratch {
    text: Vec<u8>,
    clock: Clock,
}

impl<'s> LineReader<'s> {
    fn new(schema: &'s Schema) -> Self {
        LineReader {
            schema,
            following: (0..=schema.fields.len()).collect(),
            name: Vec::new(),
            scratch: Scratch {
                text: Vec::new(),
                clock: Clock::new(),
            },
        }
    }

    /// Append the members of one line to the columns.
    #[inline]
    fn read(&mut self, line: &[u8], rows: &mut Rows<'_>) -> Result<(), Box<Fail>> {
        let not_json = || Fail::record(Reason::NotJson);
        let mut at = after_space(line, 0);
        if line.get(at) != Some(&b'{') {
            return Err(Fail::record(Reason::NotObject));
        }
        at = after_space(line, at + 1);
        let mut slot = 0;
        if line.get(at) != Some(&b'}') {
            loop {
                let expected = self.following[slot];
                let label = self.schema.labels.get(expected).and_then(|label| label.begins(&line[at..]));
                at = match label {
                    Some(length) if !rows.is_set(expected) => {
                        slot = expected + 1;
                        self.known(line, at + length, expected, rows)?
                    }
                    _ => self.member(line, at, &mut slot, rows)?,
                };
                at = after_space(line, at);
                match line.get(at) {
                    Some(b',') => at = after_space(line, at + 1),
                    Some(b'}') => break,
                    _ => return Err(not_json()),
                }
            }
        }
        if after_space(line, at + 1) == line.len() {
            Ok(())
        } else {
            Err(not_json())
        }
    }

    /// Read the value of a field after the colon. Returns the place after the value.
    #[inline]
    fn known(&mut self, line: &[u8], at: usize, place: usize, rows: &mut Rows<'_>) -> Result<usize, Box<Fail>> {
        let at = after_space(line, at);
        let (column, row) = (&mut rows.columns[place], rows.count);
        if line.get(at) == Some(&b'n') {
            if !line[at..].starts_with(b"null") {
                return Err(Fail::record(Reason::NotJson));
            }
            column.push_null(row);
            rows.mark(place, true);
            return Ok(at + 4);
        }
        let field = &self.schema.fields[place];
        let end = append(line, at, field, column, &mut rows.operation, &mut self.scratch).map_err(|reason| Fail::field(reason, place))?;
        rows.mark(place, false);
        Ok(end)
    }

    /// Read a member whose name is not the expected one. Returns the place after its value.
    #[inline(never)]
    fn member(&mut self, line: &[u8], at: usize, slot: &mut usize, rows: &mut Rows<'_>) -> Result<usize, Box<Fail>> {
        let not_json = || Fail::record(Reason::NotJson);
        if line.get(at) != Some(&b'"') {
            return Err(not_json());
        }
        self.name.clear();
        let name_end = unescape(line, at + 1, &mut self.name).ok_or_else(not_json)?;
        let colon = after_space(line, name_end);
        if line.get(colon) != Some(&b':') {
            return Err(not_json());
        }
        let Some(&place) = self.schema.index.get(&self.name) else {
            let start = after_space(line, colon + 1);
            let end = syntax::value(line, start, 1).ok_or_else(not_json)?;
            if let Some(extra) = rows.unknown(&self.name)? {
                extra.extend_from_slice(&line[at..name_end]);
                extra.push(b':');
                extra.extend_from_slice(&line[start..end]);
            }
            return Ok(end);
        };
        if rows.is_set(place) {
            return Err(Fail::name(Reason::DuplicateMember, &self.name));
        }
        self.following[*slot] = place;
        *slot = place + 1;
        self.known(line, colon + 1, place, rows)
    }
}

/// Append the value that begins at `at` to its field's column. Returns the place after it.
#[inline]
fn append(
    line: &[u8],
    at: usize,
    field: &Field,
    column: &mut Column,
    operation: &mut Option<Operation>,
    scratch: &mut Scratch,
) -> Result<usize, Reason> {
    let Scratch { text: scratch, clock } = scratch;
    match (&mut column.values, field.kind) {
        (Values::Int64(values), kind) => {
            let (value, length) = json_int(&line[at..], kind)?;
            values.push(value);
            Ok(at + length)
        }
        (Values::Int32(values), kind) => {
            let (value, length) = json_int(&line[at..], kind)?;
            values.push(value as i32);
            Ok(at + length)
        }
        (Values::Float64(values), _) => {
            if let Some((value, length)) = short_float(&line[at..]) {
                values.push(value);
                return Ok(at + length);
            }
            let (value, end) = float(line, at, field, scratch, |number| number.float64(), |value| value)?;
            values.push(value);
            Ok(end)
        }
        (Values::Float32(values), _) => {
            let (value, end) = float(line, at, field, scratch, |number| number.float32(), |value| value as f32)?;
            values.push(value);
            Ok(end)
        }
        (Values::Decimal { values, precision, scale }, _) => {
            if line.get(at) != Some(&b'"') {
                let number = Number::read(&line[at..], Grammar::Json).ok_or(Reason::Type)?;
                values.push(number.decimal(*precision, *scale)?);
                return Ok(at + number.len());
            }
            let (text, end) = string(line, at, scratch)?;
            values.push(plain_decimal(text, *precision, *scale)?);
            Ok(end)
        }
        (Values::Boolean(values), _) => {
            let (value, length) = if line[at..].starts_with(b"true") {
                (true, 4)
            } else if line[at..].starts_with(b"false") {
                (false, 5)
            } else {
                return Err(Reason::Type);
            };
            values.push(value);
            Ok(at + length)
        }
        (Values::Text(texts), Kind::Text) => {
            if line.get(at) != Some(&b'"') {
                return Err(Reason::Type);
            }
            let mark = string_mark(line, at + 1);
            if line.get(mark) == Some(&b'"') {
                texts.push(&line[at + 1..mark]);
                return Ok(mark + 1);
            }
            let start = texts.bytes.len();
            let end = unescape(line, at + 1, &mut texts.bytes).ok_or(Reason::NotJson)?;
            if memchr::memchr(0, &texts.bytes[start..]).is_some() {
                return Err(Reason::Nul);
            }
            texts.end();
            Ok(end)
        }
        (Values::Text(texts), kind) => {
            let (text, end) = string(line, at, scratch)?;
            special(text, kind, texts, operation)?;
            Ok(end)
        }
        (Values::Bytes(texts), _) => {
            let (text, end) = string(line, at, scratch)?;
            text::hex_bytes(text, &mut texts.bytes)?;
            texts.end();
            Ok(end)
        }
        (Values::Date(values), _) => {
            let (text, end) = string(line, at, scratch)?;
            values.push(moment::date(text)?);
            Ok(end)
        }
        (Values::Timestamp(values), _) => {
            let (text, end) = string(line, at, scratch)?;
            values.push(clock.timestamp(text, false)?);
            Ok(end)
        }
        (Values::Names { .. }, _) => names(line, at, column),
    }
}

/// Append a text with a prescribed form.
#[inline]
pub fn special(text: &[u8], kind: Kind, texts: &mut Texts, operation: &mut Option<Operation>) -> Result<(), Reason> {
    match kind {
        Kind::Position if text::is_position(text) => texts.push(text),
        Kind::Operation => {
            *operation = Operation::parse(text);
            texts.push(operation.map(|_| text).ok_or(Reason::Operation)?);
        }
        Kind::Uuid => {
            text::uuid(text, &mut texts.bytes)?;
            texts.end();
        }
        _ => return Err(Reason::Type),
    }
    Ok(())
}

/// The text of the string that begins at `at`, and the place after it. Escapes are undone in `scratch`.
#[inline]
fn string<'a>(line: &'a [u8], at: usize, scratch: &'a mut Vec<u8>) -> Result<(&'a [u8], usize), Reason> {
    if line.get(at) != Some(&b'"') {
        return Err(Reason::Type);
    }
    let mark = string_mark(line, at + 1);
    if line.get(mark) == Some(&b'"') {
        return Ok((&line[at + 1..mark], mark + 1));
    }
    scratch.clear();
    let end = unescape(line, at + 1, scratch).ok_or(Reason::NotJson)?;
    Ok((scratch, end))
}

#[inline]
fn float<T>(
    line: &[u8],
    at: usize,
    field: &Field,
    scratch: &mut Vec<u8>,
    read: fn(&Number<'_>) -> Result<T, Reason>,
    word: fn(f64) -> T,
) -> Result<(T, usize), Reason> {
    if line.get(at) != Some(&b'"') {
        let number = Number::read(&line[at..], Grammar::Json).ok_or(Reason::Type)?;
        return Ok((read(&number)?, at + number.len()));
    }
    let (text, end) = string(line, at, scratch)?;
    match non_finite(text) {
        Some(value) if field.allow_nan => Ok((word(value), end)),
        Some(_) => Err(Reason::Nan),
        None => Err(Reason::Type),
    }
}

/// A decimal written as text: digits with an optional point, and no exponent.
pub fn plain_decimal(text: &[u8], precision: u8, scale: u8) -> Result<i128, Reason> {
    match Number::read(text, Grammar::Plain) {
        Some(number) if number.len() == text.len() => number.decimal(precision, scale),
        _ if non_finite(text).is_some() => Err(Reason::Nan),
        _ => Err(Reason::Type),
    }
}

/// Append the array of strings that begins at `at`. Returns the place after it.
pub fn names(line: &[u8], at: usize, column: &mut Column) -> Result<usize, Reason> {
    let Values::Names { ends, items } = &mut column.values else {
        return Err(Reason::Type);
    };
    if line.get(at) != Some(&b'[') {
        return Err(Reason::Type);
    }
    let mut at = after_space(line, at + 1);
    if line.get(at) != Some(&b']') {
        loop {
            if line.get(at) != Some(&b'"') {
                return Err(Reason::Type);
            }
            let start = items.bytes.len();
            at = after_space(line, unescape(line, at + 1, &mut items.bytes).ok_or(Reason::NotJson)?);
            if memchr::memchr(0, &items.bytes[start..]).is_some() {
                return Err(Reason::Nul);
            }
            items.end();
            match line.get(at) {
                Some(b',') => at = after_space(line, at + 1),
                Some(b']') => break,
                _ => return Err(Reason::NotJson),
            }
        }
    }
    ends.push(items.len() as i32);
    Ok(at + 1)
}
