//! The row's fields, compiled for parsing.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field as ArrowField, Schema as ArrowSchema, SchemaRef, TimeUnit};

/// The way in which a field's values are read and stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Int16,
    Int32,
    Int64,
    Float32,
    Float64,
    Decimal { precision: u8, scale: u8 },
    Boolean,
    Text,
    Uuid,
    Bytes,
    Date,
    Timestamp,
    Operation,
    Position,
    Names,
}

impl Kind {
    /// The kind with this name on the Python side, if there is one.
    pub fn parse(name: &str, precision: u8, scale: u8) -> Option<Kind> {
        Some(match name {
            "int16" => Kind::Int16,
            "int32" => Kind::Int32,
            "int64" => Kind::Int64,
            "float32" => Kind::Float32,
            "float64" => Kind::Float64,
            "decimal" if (1..=38).contains(&precision) && scale <= precision => Kind::Decimal { precision, scale },
            "boolean" => Kind::Boolean,
            "text" => Kind::Text,
            "uuid" => Kind::Uuid,
            "bytes" => Kind::Bytes,
            "date" => Kind::Date,
            "timestamp" => Kind::Timestamp,
            "operation" => Kind::Operation,
            "position" => Kind::Position,
            "names" => Kind::Names,
            _ => return None,
        })
    }

    fn data_type(self) -> DataType {
        match self {
            Kind::Int16 | Kind::Int32 => DataType::Int32,
            Kind::Int64 => DataType::Int64,
            Kind::Float32 => DataType::Float32,
            Kind::Float64 => DataType::Float64,
            Kind::Decimal { precision, scale } => DataType::Decimal128(precision, scale as i8),
            Kind::Boolean => DataType::Boolean,
            Kind::Text | Kind::Uuid | Kind::Operation | Kind::Position => DataType::Utf8,
            Kind::Bytes => DataType::Binary,
            Kind::Date => DataType::Date32,
            Kind::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Kind::Names => DataType::List(names_item()),
        }
    }
}

/// The item of a list of names.
pub fn names_item() -> Arc<ArrowField> {
    Arc::new(ArrowField::new("item", DataType::Utf8, true))
}

/// One column of the row.
#[derive(Clone, Debug)]
pub struct Field {
    pub name: String,
    pub kind: Kind,
    pub required: bool,
    pub key: bool,
    pub allow_nan: bool,
}

/// `"name":`, compared at once if it is short enough.
#[derive(Debug)]
pub struct Label {
    text: Vec<u8>,
    halves: [u128; 2],
    masks: [u128; 2],
}

impl Label {
    const SHORT: usize = 32;

    fn new(name: &str) -> Label {
        let text = format!("\"{name}\":").into_bytes();
        let (mut padded, mut mask) = ([0; Label::SHORT], [0; Label::SHORT]);
        if text.len() <= Label::SHORT {
            padded[..text.len()].copy_from_slice(&text);
            mask[..text.len()].fill(0xff);
        }
        Label {
            text,
            halves: halves(&padded),
            masks: halves(&mask),
        }
    }

    /// The length of the label if `bytes` begin with it.
    #[inline]
    pub fn begins(&self, bytes: &[u8]) -> Option<usize> {
        let is_there = match bytes.first_chunk() {
            Some(chunk) if self.text.len() <= Label::SHORT => {
                let [low, high] = halves(chunk);
                ((low ^ self.halves[0]) & self.masks[0]) | ((high ^ self.halves[1]) & self.masks[1]) == 0
            }
            _ => bytes.starts_with(&self.text),
        };
        is_there.then_some(self.text.len())
    }
}

#[inline]
fn halves(bytes: &[u8; Label::SHORT]) -> [u128; 2] {
    let half = |at: usize| std::array::from_fn(|place| bytes[at + place]);
    [u128::from_le_bytes(half(0)), u128::from_le_bytes(half(16))]
}

/// The treatment of a value whose column the contract does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evolution {
    Keep,
    DropValue,
    RejectRow,
}

/// The row: its fields in order, and the required ones.
#[derive(Debug)]
pub struct Schema {
    pub fields: Vec<Field>,
    pub evolution: Evolution,
    pub index: HashMap<Vec<u8>, usize>,
    /// `"name":` of each field, without spaces.
    pub labels: Vec<Label>,
    pub required: Vec<usize>,
    pub keys: Vec<usize>,
    pub operation: usize,
    pub unchanged: usize,
    /// The field `cdc_built_at`, if it is a timestamp.
    pub built_at: Option<usize>,
    pub arrow: SchemaRef,
}

impl Schema {
    /// Compile the fields. They must hold one operation and one list of names.
    pub fn new(fields: Vec<Field>, evolution: Evolution) -> Result<Schema, String> {
        let place = |kind: Kind| {
            let found = fields.iter().position(|field| field.kind == kind);
            found.ok_or_else(|| format!("the schema has no field of kind {kind:?}"))
        };
        let places = |wanted: fn(&Field) -> bool| -> Vec<usize> { (0..fields.len()).filter(|&at| wanted(&fields[at])).collect() };
        let mut arrow: Vec<ArrowField> = fields
            .iter()
            .map(|field| ArrowField::new(&field.name, field.kind.data_type(), true))
            .collect();
        arrow.push(ArrowField::new("_extra", DataType::Utf8, true));
        Ok(Schema {
            index: fields
                .iter()
                .enumerate()
                .map(|(at, field)| (field.name.clone().into_bytes(), at))
                .collect(),
            labels: fields.iter().map(|field| Label::new(&field.name)).collect(),
            required: places(|field| field.required),
            keys: places(|field| field.key),
            operation: place(Kind::Operation)?,
            unchanged: place(Kind::Names)?,
            built_at: fields
                .iter()
                .position(|field| field.name == "cdc_built_at" && field.kind == Kind::Timestamp),
            arrow: Arc::new(ArrowSchema::new(arrow)),
            evolution,
            fields,
        })
    }
}
