//! Columns under construction. Values are appended one by one and removed again if their record is rejected.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int32Array, Int64Array, ListArray,
    StringArray, TimestampMicrosecondArray, new_null_array,
};
use arrow_buffer::{BooleanBuffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType};

use crate::schema::{Kind, names_item};

/// Strings of bytes, one after another. `ends` begins with 0.
pub struct Texts {
    pub bytes: Vec<u8>,
    pub ends: Vec<i32>,
}

impl Texts {
    pub fn new() -> Self {
        Texts {
            bytes: Vec::new(),
            ends: vec![0],
        }
    }

    /// Close the string that was written to `bytes`.
    #[inline]
    pub fn end(&mut self) {
        self.ends.push(self.bytes.len() as i32);
    }

    #[inline]
    pub fn push(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
        self.end();
    }

    pub fn len(&self) -> usize {
        self.ends.len() - 1
    }

    pub fn get(&self, at: usize) -> &[u8] {
        &self.bytes[self.ends[at] as usize..self.ends[at + 1] as usize]
    }

    pub fn truncate(&mut self, rows: usize) {
        self.ends.truncate(rows + 1);
        self.bytes.truncate(self.ends[rows.min(self.ends.len() - 1)] as usize);
    }

    fn strings(self, nulls: Option<NullBuffer>) -> Result<StringArray, ArrowError> {
        let wrong = |what: &str| ArrowError::InvalidArgumentError(what.to_string());
        let offsets = OffsetBuffer::new(self.ends.into());
        if offsets[offsets.len() - 1] as usize > self.bytes.len() || nulls.as_ref().is_some_and(|nulls| nulls.len() != offsets.len() - 1) {
            return Err(wrong("offsets that are not those of the texts"));
        }
        if !self.bytes.is_ascii() {
            let text = simdutf8::basic::from_utf8(&self.bytes).map_err(|_| wrong("a text that is no UTF-8"))?;
            if !offsets.iter().all(|&end| text.is_char_boundary(end as usize)) {
                return Err(wrong("a text that ends amid a character"));
            }
        }
        // SAFETY: the checks of try_new were made above, and OffsetBuffer checks that the offsets rise. try_new calls the standard
        // library's check of texts beyond ASCII, which took a third of the time of a block of them.
        Ok(unsafe { StringArray::new_unchecked(offsets, self.bytes.into(), nulls) })
    }
}

/// The values of a column. A null has a zero or an empty string in its place.
pub enum Values {
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Float32(Vec<f32>),
    Float64(Vec<f64>),
    Decimal { values: Vec<i128>, precision: u8, scale: u8 },
    Boolean(Vec<bool>),
    Text(Texts),
    Bytes(Texts),
    Date(Vec<i32>),
    Timestamp(Vec<i64>),
    Names { ends: Vec<i32>, items: Texts },
}

/// One column, with the rows in which it is null.
pub struct Column {
    pub values: Values,
    nulls: Vec<u32>,
}

impl Column {
    pub fn new(kind: Kind, rows: usize) -> Column {
        let values = match kind {
            Kind::Int16 | Kind::Int32 => Values::Int32(Vec::with_capacity(rows)),
            Kind::Int64 => Values::Int64(Vec::with_capacity(rows)),
            Kind::Float32 => Values::Float32(Vec::with_capacity(rows)),
            Kind::Float64 => Values::Float64(Vec::with_capacity(rows)),
            Kind::Decimal { precision, scale } => Values::Decimal {
                values: Vec::with_capacity(rows),
                precision,
                scale,
            },
            Kind::Boolean => Values::Boolean(Vec::with_capacity(rows)),
            Kind::Text | Kind::Uuid | Kind::Operation | Kind::Position => Values::Text(Texts::new()),
            Kind::Bytes => Values::Bytes(Texts::new()),
            Kind::Date => Values::Date(Vec::with_capacity(rows)),
            Kind::Timestamp => Values::Timestamp(Vec::with_capacity(rows)),
            Kind::Names => Values::Names {
                ends: vec![0],
                items: Texts::new(),
            },
        };
        Column { values, nulls: Vec::new() }
    }

    /// Append a null as the value of `row`.
    pub fn push_null(&mut self, row: usize) {
        self.nulls.push(row as u32);
        match &mut self.values {
            Values::Int32(values) | Values::Date(values) => values.push(0),
            Values::Int64(values) | Values::Timestamp(values) => values.push(0),
            Values::Float32(values) => values.push(0.0),
            Values::Float64(values) => values.push(0.0),
            Values::Decimal { values, .. } => values.push(0),
            Values::Boolean(values) => values.push(false),
            Values::Text(texts) | Values::Bytes(texts) => texts.end(),
            Values::Names { ends, items } => ends.push(items.len() as i32),
        }
    }

    /// Append nulls until the next value is that of `row`.
    pub fn push_nulls_before(&mut self, row: usize) {
        for row in self.len()..row {
            self.push_null(row);
        }
    }

    fn len(&self) -> usize {
        match &self.values {
            Values::Int32(values) | Values::Date(values) => values.len(),
            Values::Int64(values) | Values::Timestamp(values) => values.len(),
            Values::Float32(values) => values.len(),
            Values::Float64(values) => values.len(),
            Values::Decimal { values, .. } => values.len(),
            Values::Boolean(values) => values.len(),
            Values::Text(texts) | Values::Bytes(texts) => texts.len(),
            Values::Names { ends, .. } => ends.len() - 1,
        }
    }

    /// Whether the list of names in `row` holds `name`. False for any other column.
    pub fn lists(&self, row: usize, name: &str) -> bool {
        let Values::Names { ends, items } = &self.values else {
            return false;
        };
        match (ends.get(row), ends.get(row + 1)) {
            (Some(&start), Some(&end)) => (start..end).any(|at| items.get(at as usize) == name.as_bytes()),
            _ => false,
        }
    }

    /// Remove every value from `rows` on.
    pub fn truncate(&mut self, rows: usize) {
        while self.nulls.last().is_some_and(|&row| row as usize >= rows) {
            self.nulls.pop();
        }
        match &mut self.values {
            Values::Int32(values) | Values::Date(values) => values.truncate(rows),
            Values::Int64(values) | Values::Timestamp(values) => values.truncate(rows),
            Values::Float32(values) => values.truncate(rows),
            Values::Float64(values) => values.truncate(rows),
            Values::Decimal { values, .. } => values.truncate(rows),
            Values::Boolean(values) => values.truncate(rows),
            Values::Text(texts) | Values::Bytes(texts) => texts.truncate(rows),
            Values::Names { ends, items } => {
                ends.truncate(rows + 1);
                items.truncate(ends[ends.len() - 1] as usize);
            }
        }
    }

    /// The finished array of `rows` values. Missing values are null.
    pub fn finish(mut self, rows: usize, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
        if self.len() == 0 {
            return Ok(new_null_array(data_type, rows));
        }
        self.push_nulls_before(rows);
        let nulls = null_buffer(&self.nulls, rows);
        Ok(match self.values {
            Values::Int32(values) => Arc::new(Int32Array::try_new(values.into(), nulls)?),
            Values::Int64(values) => Arc::new(Int64Array::try_new(values.into(), nulls)?),
            Values::Float32(values) => Arc::new(Float32Array::try_new(values.into(), nulls)?),
            Values::Float64(values) => Arc::new(Float64Array::try_new(values.into(), nulls)?),
            Values::Decimal { values, precision, scale } => {
                Arc::new(Decimal128Array::try_new(values.into(), nulls)?.with_precision_and_scale(precision, scale as i8)?)
            }
            Values::Boolean(values) => Arc::new(BooleanArray::new(BooleanBuffer::from(values), nulls)),
            Values::Text(texts) => Arc::new(texts.strings(nulls)?),
            Values::Bytes(texts) => Arc::new(BinaryArray::try_new(
                OffsetBuffer::new(texts.ends.into()),
                texts.bytes.into(),
                nulls,
            )?),
            Values::Date(values) => Arc::new(Date32Array::try_new(values.into(), nulls)?),
            Values::Timestamp(values) => Arc::new(TimestampMicrosecondArray::try_new(values.into(), nulls)?.with_timezone("UTC")),
            Values::Names { ends, items } => {
                let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
                Arc::new(ListArray::try_new(names_item(), offsets, Arc::new(items.strings(None)?), nulls)?)
            }
        })
    }
}

fn null_buffer(nulls: &[u32], rows: usize) -> Option<NullBuffer> {
    if nulls.is_empty() {
        return None;
    }
    let mut bits = vec![0xff_u8; rows.div_ceil(8)];
    for &row in nulls {
        bits[row as usize / 8] &= !(1 << (row % 8));
    }
    Some(NullBuffer::new(BooleanBuffer::new(bits.into(), 0, rows)))
}
