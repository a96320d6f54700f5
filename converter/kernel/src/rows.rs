//! The rows of a block under construction. A record is accepted or removed as a whole.

use std::collections::HashMap;

use arrow_array::RecordBatch;
use arrow_schema::DataType;

use crate::column::{Column, Values};
use crate::reject::{Fail, Parsed, Place, Reason, Reject};
use crate::schema::{Evolution, Kind, Schema};

/// The operation of a record. It decides which values the record must carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Load,
    Insert,
    Update,
    Delete,
    Fence,
}

/// The operations' words, in the order of the variants.
const WORDS: [&str; 5] = ["load", "insert", "update", "delete", "fence"];

impl Operation {
    /// The operation of a raw line's word.
    #[inline]
    pub fn parse(word: &[u8]) -> Option<Operation> {
        match word {
            b"load" => Some(Operation::Load),
            b"insert" => Some(Operation::Insert),
            b"update" => Some(Operation::Update),
            b"delete" => Some(Operation::Delete),
            b"fence" => Some(Operation::Fence),
            _ => None,
        }
    }
}

/// Columns that the contract does not know, by name, with the accepted rows that carried them.
#[derive(Default)]
struct Unknown {
    index: HashMap<Vec<u8>, usize>,
    names: Vec<Vec<u8>>,
    counts: Vec<u64>,
    stamps: Vec<u64>,
    of_row: Vec<usize>,
}

/// Collects a block's records in order.
pub struct Rows<'s> {
    pub schema: &'s Schema,
    /// The fields' columns, then `_extra`.
    pub columns: Vec<Column>,
    pub operation: Option<Operation>,
    /// The number of accepted rows. The current record becomes the row with this number.
    pub count: usize,
    /// A field's stamp is the record's, shifted by one, with the lowest bit set if the value is not null.
    stamps: Vec<u64>,
    stamp: u64,
    set: usize,
    /// Fields that no record of the block can give. Their columns stay empty until the end.
    absent: usize,
    has_extra: bool,
    unknown: Unknown,
    records: u32,
    rejects: Vec<Reject>,
    operations: [u64; WORDS.len()],
    built_at: Option<(i64, i64)>,
}

impl<'s> Rows<'s> {
    /// `absent` counts the fields that no record will give. They are null in every row and cost nothing per row.
    pub fn new(schema: &'s Schema, expected: usize, absent: usize) -> Rows<'s> {
        let kinds = schema.fields.iter().map(|field| field.kind).chain([Kind::Text]);
        Rows {
            schema,
            columns: kinds.map(|kind| Column::new(kind, expected)).collect(),
            operation: None,
            count: 0,
            stamps: vec![0; schema.fields.len()],
            stamp: 0,
            set: 0,
            absent,
            has_extra: false,
            unknown: Unknown::default(),
            records: 0,
            rejects: Vec::new(),
            operations: [0; WORDS.len()],
            built_at: None,
        }
    }

    /// Begin the next record.
    #[inline]
    pub fn begin(&mut self) {
        self.stamp += 2;
        self.set = self.absent;
        self.operation = None;
        self.has_extra = false;
        self.unknown.of_row.clear();
    }

    /// Record that the field's value was appended to its column.
    #[inline]
    pub fn mark(&mut self, field: usize, is_null: bool) {
        self.stamps[field] = self.stamp | u64::from(!is_null);
        self.set += 1;
    }

    /// Whether the record has given the field already.
    #[inline]
    pub fn is_set(&self, field: usize) -> bool {
        self.stamps[field] & !1 == self.stamp
    }

    /// Record a column that the contract does not know. Returns the text to append its `"name":value` to, if it is kept.
    pub fn unknown(&mut self, name: &[u8]) -> Result<Option<&mut Vec<u8>>, Box<Fail>> {
        let unknown = &mut self.unknown;
        let place = match unknown.index.get(name) {
            Some(&place) => place,
            None => {
                unknown.index.insert(name.to_vec(), unknown.names.len());
                unknown.names.push(name.to_vec());
                unknown.counts.push(0);
                unknown.stamps.push(0);
                unknown.names.len() - 1
            }
        };
        if unknown.stamps[place] == self.stamp {
            return Err(Fail::name(Reason::DuplicateMember, name));
        }
        if self.schema.evolution == Evolution::RejectRow {
            return Err(Fail::name(Reason::UnknownColumn, name));
        }
        unknown.stamps[place] = self.stamp;
        unknown.of_row.push(place);
        if self.schema.evolution == Evolution::DropValue {
            return Ok(None);
        }
        let is_first = !std::mem::replace(&mut self.has_extra, true);
        let extra = &mut self.columns[self.schema.fields.len()];
        if is_first {
            extra.push_nulls_before(self.count);
        }
        match &mut extra.values {
            Values::Text(texts) => {
                texts.bytes.push(if is_first { b'{' } else { b',' });
                Ok(Some(&mut texts.bytes))
            }
            _ => Ok(None),
        }
    }

    /// End the record as a row. Missing fields become null, and the values that its operation requires must be there.
    #[inline]
    pub fn accept(&mut self) -> Result<(), Box<Fail>> {
        let schema = self.schema;
        if self.set < schema.fields.len() {
            for field in 0..schema.fields.len() {
                if !self.is_set(field) {
                    self.columns[field].push_null(self.count);
                    self.mark(field, true);
                }
            }
        }
        let operation = self.operation.ok_or_else(|| Fail::field(Reason::Operation, schema.operation))?;
        let required = match operation {
            Operation::Fence => &[][..],
            Operation::Delete => &schema.keys,
            Operation::Load | Operation::Insert | Operation::Update => &schema.required,
        };
        for &field in required {
            if self.stamps[field] & 1 == 0 && !self.may_be_absent(field) {
                return Err(Fail::field(Reason::Required, field));
            }
        }
        if self.has_extra {
            let extra = &mut self.columns[schema.fields.len()];
            if let Values::Text(texts) = &mut extra.values {
                texts.bytes.push(b'}');
                texts.end();
            }
        }
        for &place in &self.unknown.of_row {
            self.unknown.counts[place] += 1;
        }
        self.operations[operation as usize] += 1;
        if operation != Operation::Fence
            && let Some(built_at) = self.built_at_of_row()
        {
            let (earliest, latest) = self.built_at.unwrap_or((built_at, built_at));
            self.built_at = Some((earliest.min(built_at), latest.max(built_at)));
        }
        self.count += 1;
        self.records += 1;
        Ok(())
    }

    #[inline]
    fn built_at_of_row(&self) -> Option<i64> {
        let place = self.schema.built_at.filter(|&place| self.stamps[place] == self.stamp | 1)?;
        match &self.columns[place].values {
            Values::Timestamp(values) => values.last().copied(),
            _ => None,
        }
    }

    /// Whether the row lists the field as unchanged, or (after a question mark) as one whose value did not travel.
    fn may_be_absent(&self, field: usize) -> bool {
        let (names, name) = (&self.columns[self.schema.unchanged], &self.schema.fields[field].name);
        let unchanged = self.operation == Some(Operation::Update) && names.lists(self.count, name);
        unchanged || names.lists(self.count, &format!("?{name}"))
    }

    /// End the record as a reject and remove its values.
    #[cold]
    pub fn reject(&mut self, fail: Fail, line: usize, offset: usize, length: usize) {
        for column in &mut self.columns {
            column.truncate(self.count);
        }
        let column = match fail.place {
            Place::Record => String::new(),
            Place::Field(field) => self.schema.fields[field].name.clone(),
            Place::Name(name) => name.into(),
        };
        self.rejects.push(Reject {
            record: self.records,
            line: line as u32,
            offset,
            length,
            column,
            reason: fail.reason,
        });
        self.records += 1;
    }

    /// The result, after the last record.
    pub fn finish(self, lines: usize) -> Result<Parsed, String> {
        let types = self.schema.arrow.fields().iter().map(|field| field.data_type());
        let finish = |(column, data_type): (Column, &DataType)| column.finish(self.count, data_type);
        let arrays: Result<Vec<_>, _> = self.columns.into_iter().zip(types).map(finish).collect();
        let batch = arrays
            .and_then(|arrays| RecordBatch::try_new(self.schema.arrow.clone(), arrays))
            .map_err(|error| error.to_string())?;
        let counted = self
            .unknown
            .names
            .into_iter()
            .zip(self.unknown.counts)
            .filter(|(_, count)| *count > 0);
        Ok(Parsed {
            batch,
            rows_read: self.records as usize,
            lines,
            rejects: self.rejects,
            long_records: Vec::new(),
            extra: counted
                .map(|(name, count)| (String::from_utf8_lossy(&name).into_owned(), count))
                .collect(),
            operations: WORDS.into_iter().zip(self.operations).filter(|(_, count)| *count > 0).collect(),
            built_at: self.built_at,
        })
    }
}
