//! CSV records (RFC 4180). An unquoted empty cell is NULL, a quoted one is empty text.

use crate::column::{Column, Values};
use crate::json::{names, plain_decimal, special};
use crate::moment::{self, Clock};
use crate::number::{Grammar, Number, csv_int, non_finite, short_float, short_int};
use crate::reject::{Fail, Parsed, Reason, Reject};
use crate::rows::{Operation, Rows};
use crate::schema::{Field, Kind, Schema};
use crate::syntax::{after_space, is_json};
use crate::text::{self, cell_mark, quote_json};

/// Bytes of a record, roughly, to size the columns of a block by.
const TYPICAL_RECORD: usize = 64;

/// The target of a file's column: a field, or `_extra` under its name.
enum Target {
    Field(usize),
    Unknown { name: Vec<u8>, label: Vec<u8> },
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Parses blocks of CSV records by a schema and the file's header.
pub struct CsvParser {
    schema: Schema,
    header: Vec<Vec<u8>>,
    targets: Vec<Target>,
    /// A file without an operation column holds loads.
    is_load: bool,
    /// Fields that the header does not name.
    absent: usize,
}

impl CsvParser {
    pub fn new(schema: Schema, header: &[String]) -> CsvParser {
        let target = |name: &String| match schema.index.get(name.as_bytes()) {
            Some(&place) => Target::Field(place),
            None => {
                let mut label = Vec::new();
                quote_json(name.as_bytes(), &mut label);
                label.push(b':');
                Target::Unknown {
                    name: name.clone().into_bytes(),
                    label,
                }
            }
        };
        let targets: Vec<Target> = header.iter().map(target).collect();
        let is_load = !targets
            .iter()
            .any(|target| matches!(target, Target::Field(place) if *place == schema.operation));
        let named = targets.iter().filter(|target| matches!(target, Target::Field(_))).count();
        let absent = schema.fields.len() - named - usize::from(is_load);
        CsvParser {
            schema,
            header: header.iter().map(|name| name.clone().into_bytes()).collect(),
            targets,
            is_load,
            absent,
        }
    }

    /// Parse a block of whole records. The last one may lack its line feed.
    pub fn parse(&self, data: &[u8]) -> Result<Parsed, String> {
        let mut rows = Rows::new(&self.schema, data.len() / TYPICAL_RECORD + 1, self.absent);
        let is_clean = memchr::memchr(0, data).is_none() && simdutf8::basic::from_utf8(data).is_ok();
        let (mut clock, mut scratch) = (Clock::new(), Vec::new());
        let (mut start, mut counted, mut line) = (0, 0, 0);
        // the first byte of a record that may be the header
        let first = self.header.first().and_then(|name| name.first()).copied().unwrap_or(b'"');
        while start < data.len() {
            if let Some(after) = blank(data, start) {
                start = after;
                continue;
            }
            rows.begin();
            let may_be_header = data[start] == first || matches!(data[start], b'"' | 0xef);
            let read = if may_be_header && self.is_header(data, start, &mut scratch) {
                Err(Fail::record(Reason::RepeatedHeader))
            } else if is_clean {
                self.read(data, start, &mut rows, &mut clock, &mut scratch)
            } else {
                Err(Fail::record(Reason::Utf8))
            };
            let outcome = match read {
                Ok(after) => rows.accept().map(|()| after),
                Err(fail) => Err(fail),
            };
            start = match outcome {
                Ok(after) => after,
                Err(fail) => {
                    let span = Span::at(data, start);
                    let record = &data[start..span.stop];
                    let outcome = match self.judge(record) {
                        _ if span.is_open => Err(Fail::record(Reason::OpenQuote)),
                        _ if fail.reason == Reason::RepeatedHeader => Err(fail),
                        Err(reason) => Err(Fail::record(reason)),
                        Ok(()) if is_clean => Err(fail),
                        // only the block as a whole was in doubt
                        Ok(()) => self
                            .read(data, start, &mut rows, &mut clock, &mut scratch)
                            .and_then(|_| rows.accept()),
                    };
                    if let Err(fail) = outcome {
                        line += memchr::memchr_iter(b'\n', &data[counted..start]).count();
                        counted = start;
                        rows.reject(*fail, line, start, record.len());
                    }
                    span.after
                }
            };
        }
        let lines = memchr::memchr_iter(b'\n', data).count() + usize::from(data.last().is_some_and(|&byte| byte != b'\n'));
        let mut parsed = rows.finish(lines)?;
        if lines > parsed.rows_read + 1 {
            parsed.long_records = long_records(data, &parsed.rejects);
        }
        Ok(parsed)
    }

    /// Append the cells of the record that begins at `at` to the columns. Returns the place after its line break.
    #[inline]
    fn read(&self, data: &[u8], mut at: usize, rows: &mut Rows<'_>, clock: &mut Clock, scratch: &mut Vec<u8>) -> Result<usize, Box<Fail>> {
        let last = self.targets.len() - 1;
        for (number, target) in self.targets.iter().enumerate() {
            if let Target::Field(place) = target
                && let Some((after, ends_record)) = append_short_number(data, at, &mut rows.columns[*place])
            {
                rows.mark(*place, false);
                at = after;
                if ends_record != (number == last) {
                    return Err(Fail::record(Reason::Ragged));
                }
                continue;
            }
            let cell = Cell::at(data, at, scratch).ok_or_else(|| Fail::record(Reason::NotCsv))?;
            match target {
                Target::Field(place) => self.known(&cell, *place, rows, clock)?,
                Target::Unknown { name, label } => {
                    if let Some(extra) = rows.unknown(name)? {
                        extra.extend_from_slice(label);
                        match cell.text {
                            Some(text) => quote_json(text, extra),
                            None => extra.extend_from_slice(b"null"),
                        }
                    }
                }
            }
            at = cell.after;
            if cell.ends_record != (number == last) {
                return Err(Fail::record(Reason::Ragged));
            }
        }
        if self.is_load {
            let column = &mut rows.columns[self.schema.operation];
            if let Values::Text(texts) = &mut column.values {
                texts.push(b"load");
            }
            rows.operation = Some(Operation::Load);
            rows.mark(self.schema.operation, false);
        }
        Ok(at)
    }

    #[inline]
    fn known(&self, cell: &Cell<'_>, place: usize, rows: &mut Rows<'_>, clock: &mut Clock) -> Result<(), Box<Fail>> {
        let (column, row) = (&mut rows.columns[place], rows.count);
        let field = &self.schema.fields[place];
        match cell.text {
            None => column.push_null(row),
            Some(text) => {
                append(text, field, column, &mut rows.operation, clock).map_err(|reason| Fail::field(reason, place))?;
            }
        }
        rows.mark(place, cell.text.is_none());
        Ok(())
    }

    /// Whether the record that begins at `start` has the header's cells, with or without a byte order mark before them.
    #[inline(never)]
    fn is_header(&self, data: &[u8], start: usize, scratch: &mut Vec<u8>) -> bool {
        let mark = if data[start..].starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
        let is_first = |cell: Cell<'_>| cell.text == self.header.first().map(Vec::as_slice);
        if !Cell::at(data, start + mark, scratch).is_some_and(is_first) {
            return false;
        }
        let record = &data[start + mark..Span::at(data, start).stop];
        let mut at = 0;
        for (number, name) in self.header.iter().enumerate() {
            match Cell::at(record, at, scratch) {
                Some(cell) if cell.text == Some(name) && cell.ends_record == (number + 1 == self.header.len()) => at = cell.after,
                _ => return false,
            }
        }
        record.last() != Some(&b'\r')
    }

    /// The problem of a record's bytes and cells, regardless of their values.
    #[cold]
    fn judge(&self, record: &[u8]) -> Result<(), Reason> {
        if std::str::from_utf8(record).is_err() {
            return Err(Reason::Utf8);
        }
        if memchr::memchr(0, record).is_some() {
            return Err(Reason::Nul);
        }
        // a carriage return that is not part of the line break
        if record.last() == Some(&b'\r') {
            return Err(Reason::NotCsv);
        }
        let (mut at, mut cells) = (0, 0);
        let mut scratch = Vec::new();
        loop {
            let cell = Cell::at(record, at, &mut scratch).ok_or(Reason::NotCsv)?;
            cells += 1;
            at = cell.after;
            if cell.ends_record {
                return if cells == self.targets.len() { Ok(()) } else { Err(Reason::Ragged) };
            }
        }
    }
}

/// One cell. `after` is the place after its comma or line break.
struct Cell<'a> {
    text: Option<&'a [u8]>,
    after: usize,
    ends_record: bool,
}

impl<'a> Cell<'a> {
    /// The cell that begins at `at`, with doubled quotes undone in `scratch`. None if it is not CSV.
    #[inline]
    fn at(data: &'a [u8], at: usize, scratch: &'a mut Vec<u8>) -> Option<Cell<'a>> {
        if data.get(at) == Some(&b'"') {
            return Cell::quoted(data, at, scratch);
        }
        let mark = cell_mark(data, at);
        let text = if mark > at { Some(&data[at..mark]) } else { None };
        Cell::closed(data, mark, text)
    }

    #[inline(never)]
    fn quoted(data: &'a [u8], at: usize, scratch: &'a mut Vec<u8>) -> Option<Cell<'a>> {
        let mut close = at + 1 + memchr::memchr(b'"', &data[at + 1..])?;
        if data.get(close + 1) != Some(&b'"') {
            return Cell::closed(data, close + 1, Some(&data[at + 1..close]));
        }
        scratch.clear();
        let mut start = at + 1;
        while data.get(close + 1) == Some(&b'"') {
            scratch.extend_from_slice(&data[start..=close]);
            start = close + 2;
            close = start + memchr::memchr(b'"', &data[start..])?;
        }
        scratch.extend_from_slice(&data[start..close]);
        Cell::closed(data, close + 1, Some(scratch))
    }

    /// The cell whose text ends at `at`, if a comma, a line break or the end of the data follows.
    #[inline]
    fn closed(data: &[u8], at: usize, text: Option<&'a [u8]>) -> Option<Cell<'a>> {
        let (width, ends_record) = match data.get(at) {
            Some(b',') => (1, false),
            None => (0, true),
            Some(b'\n') => (1, true),
            Some(b'\r') => match data.get(at + 1) {
                None => (1, true),
                Some(b'\n') => (2, true),
                _ => return None,
            },
            _ => return None,
        };
        Some(Cell {
            text,
            after: at + width,
            ends_record,
        })
    }
}

/// Offset and length of each accepted record with whole lines within its texts.
fn long_records(data: &[u8], rejects: &[Reject]) -> Vec<(usize, usize)> {
    let mut rejected = rejects.iter().map(|reject| reject.offset).peekable();
    let (mut start, mut found) = (0, Vec::new());
    while start < data.len() {
        let span = Span::at(data, start);
        let is_long = memchr::memchr_iter(b'\n', &data[start..span.stop]).nth(1).is_some();
        if rejected.next_if_eq(&start).is_none() && is_long {
            found.push((start, span.stop - start));
        }
        start = span.after;
    }
    found
}

/// The end of a record: `stop` before its line break, `after` after it.
struct Span {
    stop: usize,
    after: usize,
    /// Whether a quote opens in the record and nothing closes it.
    is_open: bool,
}

impl Span {
    /// The span of the record at `start`. A quote opens a cell only at the cell's start.
    #[inline(never)]
    fn at(data: &[u8], start: usize) -> Span {
        let (mut at, mut is_open) = (start, false);
        let end = loop {
            if data.get(at) == Some(&b'"') {
                let behind = behind_quote(data, at + 1);
                is_open = behind.is_none();
                at = behind.unwrap_or(data.len());
            }
            match memchr::memchr2(b',', b'\n', &data[at..]).map(|length| at + length) {
                Some(mark) if data[mark] == b',' => at = mark + 1,
                Some(mark) => break mark,
                None => break data.len(),
            }
        };
        let stop = if end > start && data[end - 1] == b'\r' { end - 1 } else { end };
        Span {
            stop,
            after: (end + 1).min(data.len()),
            is_open,
        }
    }
}

/// The place after the quote that closes the cell whose text begins at `at`, if one does.
fn behind_quote(data: &[u8], mut at: usize) -> Option<usize> {
    while let Some(length) = memchr::memchr(b'"', &data[at..]) {
        at += length + 1;
        if data.get(at) != Some(&b'"') {
            return Some(at);
        }
        at += 1;
    }
    None
}

/// The place after a blank line, if one begins at `at`.
#[inline]
fn blank(data: &[u8], at: usize) -> Option<usize> {
    match data[at] {
        b'\n' => Some(at + 1),
        b'\r' => match data.get(at + 1) {
            None => Some(at + 1),
            Some(b'\n') => Some(at + 2),
            _ => None,
        },
        _ => None,
    }
}

/// Append a short number that ends with a comma or line feed. Returns the place after it, and whether it ends the record.
#[inline]
fn append_short_number(data: &[u8], at: usize, column: &mut Column) -> Option<(usize, bool)> {
    let ends_record = |end: usize| match data.get(end) {
        Some(b',') => Some(false),
        Some(b'\n') => Some(true),
        _ => None,
    };
    match &mut column.values {
        Values::Int64(values) => {
            let (value, length) = short_int(&data[at..])?;
            let ends_record = ends_record(at + length)?;
            values.push(value);
            Some((at + length + 1, ends_record))
        }
        Values::Float64(values) => {
            let (value, length) = short_float(&data[at..])?;
            let ends_record = ends_record(at + length)?;
            values.push(value);
            Some((at + length + 1, ends_record))
        }
        _ => None,
    }
}

/// Append the value of a cell to its field's column.
#[inline]
fn append(cell: &[u8], field: &Field, column: &mut Column, operation: &mut Option<Operation>, clock: &mut Clock) -> Result<(), Reason> {
    match (&mut column.values, field.kind) {
        (Values::Int64(values), kind) => values.push(csv_int(cell, kind)?),
        (Values::Int32(values), kind) => values.push(csv_int(cell, kind)? as i32),
        (Values::Float64(values), _) => values.push(float(cell, field, |number| number.float64(), |value| value)?),
        (Values::Float32(values), _) => values.push(float(cell, field, |number| number.float32(), |value| value as f32)?),
        (Values::Decimal { values, precision, scale }, _) => values.push(plain_decimal(cell, *precision, *scale)?),
        (Values::Boolean(values), _) => values.push(match cell {
            b"t" | b"true" => true,
            b"f" | b"false" => false,
            _ => return Err(Reason::Type),
        }),
        (Values::Text(texts), Kind::Text) => texts.push(cell),
        (Values::Text(texts), kind) => special(cell, kind, texts, operation)?,
        (Values::Bytes(texts), _) => {
            text::hex_bytes(cell, &mut texts.bytes)?;
            texts.end();
        }
        (Values::Date(values), _) => values.push(moment::date(cell)?),
        (Values::Timestamp(values), _) => values.push(clock.timestamp(cell, true)?),
        (Values::Names { .. }, _) => {
            if !is_json(cell) {
                return Err(Reason::Type);
            }
            names(cell, after_space(cell, 0), column)?;
        }
    }
    Ok(())
}

#[inline]
fn float<T>(cell: &[u8], field: &Field, read: fn(&Number<'_>) -> Result<T, Reason>, word: fn(f64) -> T) -> Result<T, Reason> {
    match Number::read(cell, Grammar::Csv) {
        Some(number) if number.len() == cell.len() => read(&number),
        _ => match non_finite(cell) {
            Some(value) if field.allow_nan => Ok(word(value)),
            Some(_) => Err(Reason::Nan),
            None => Err(Reason::Type),
        },
    }
}
