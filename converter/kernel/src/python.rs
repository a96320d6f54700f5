//! The module that Python imports: parsers, and batches by Arrow's PyCapsule interface
//! (https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html).

use std::collections::HashMap;

use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi, to_ffi};
use arrow_array::{Array, RecordBatch, StringArray, StructArray};
use arrow_schema::ArrowError;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyCapsuleMethods};

use crate::csv::CsvParser;
use crate::hash::HmacSha256;
use crate::json::JsonParser;
use crate::reject::Parsed;
use crate::schema::{Evolution, Field, Kind, Schema};

/// Name, kind, required, key, NaN allowed, precision, scale.
type FieldTuple = (String, String, bool, bool, bool, u8, u8);
/// Record, line, offset, length, column, reason.
type RejectTuple = (u32, u32, usize, usize, String, &'static str);
/// Batch, records read, lines, rejects, long records, values of unknown columns, rows by operation, earliest and latest time
/// of building.
type Outcome = (
    Batch,
    usize,
    usize,
    Vec<RejectTuple>,
    Vec<(usize, usize)>,
    HashMap<String, u64>,
    HashMap<&'static str, u64>,
    Option<(i64, i64)>,
);

/// Bytes beyond which the offsets of a string column could overflow.
const MAX_BLOCK: usize = 1 << 30;
/// The maximum number of cached codes per column: 64 MB.
const MAX_PLACES: usize = 1 << 20;

fn schema(fields: Vec<FieldTuple>, evolution: &str) -> PyResult<Schema> {
    let field = |(name, kind, required, key, allow_nan, precision, scale): FieldTuple| {
        let kind =
            Kind::parse(&kind, precision, scale).ok_or_else(|| PyValueError::new_err(format!("field {name}: unknown kind {kind}")))?;
        Ok(Field {
            name,
            kind,
            required,
            key,
            allow_nan,
        })
    };
    let evolution = match evolution {
        "evolve" => Evolution::Keep,
        "discard_value" => Evolution::DropValue,
        "freeze" | "discard_row" => Evolution::RejectRow,
        _ => return Err(PyValueError::new_err(format!("unknown evolution {evolution}"))),
    };
    let fields: PyResult<Vec<Field>> = fields.into_iter().map(field).collect();
    Schema::new(fields?, evolution).map_err(PyValueError::new_err)
}

/// Run a parser on a block's bytes without the GIL.
fn run(py: Python<'_>, block: &Bound<'_, PyAny>, parse: impl Fn(&[u8]) -> Result<Parsed, String> + Sync) -> PyResult<Outcome> {
    let buffer = PyBuffer::<u8>::get(block)?;
    if buffer.item_count() > MAX_BLOCK {
        return Err(PyValueError::new_err(format!(
            "a block of {} bytes; at most {MAX_BLOCK}",
            buffer.item_count()
        )));
    }
    let parsed = if buffer.is_c_contiguous() && buffer.readonly() && buffer.item_count() > 0 {
        // SAFETY: the buffer is contiguous, and holding it keeps its memory in place until it is dropped below. It is
        // read-only: immutable bytes, or a view whose owner (blocks.BlockReader) does not write until the view is given back.
        let data = unsafe { std::slice::from_raw_parts(buffer.buf_ptr().cast::<u8>().cast_const(), buffer.item_count()) };
        py.detach(|| parse(data))
    } else {
        let data = buffer.to_vec(py)?;
        py.detach(|| parse(&data))
    };
    drop(buffer);
    let parsed = parsed.map_err(PyRuntimeError::new_err)?;
    let rejects = parsed.rejects.into_iter();
    let rejects = rejects.map(|reject| {
        (
            reject.record,
            reject.line,
            reject.offset,
            reject.length,
            reject.column,
            reject.reason.code(),
        )
    });
    Ok((
        Batch(parsed.batch),
        parsed.rows_read,
        parsed.lines,
        rejects.collect(),
        parsed.long_records,
        parsed.extra.into_iter().collect(),
        parsed.operations.into_iter().collect(),
        parsed.built_at,
    ))
}

/// A batch of rows, for any library with Arrow's PyCapsule interface.
#[pyclass(frozen)]
struct Batch(RecordBatch);

#[pymethods]
impl Batch {
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_array__<'py>(&self, py: Python<'py>, requested_schema: Option<Bound<'py, PyAny>>) -> PyResult<Capsules<'py>> {
        let _ = requested_schema; // a producer may ignore it: "best effort" in the interface's words
        let (array, _) = to_ffi(&StructArray::from(self.0.clone()).to_data()).map_err(failed)?;
        capsules(py, FFI_ArrowSchema::try_from(self.0.schema().as_ref()).map_err(failed)?, array)
    }
}

type Capsules<'py> = (Bound<'py, PyCapsule>, Bound<'py, PyCapsule>);

fn capsules(py: Python<'_>, schema: FFI_ArrowSchema, array: FFI_ArrowArray) -> PyResult<Capsules<'_>> {
    Ok((
        PyCapsule::new_with_value(py, schema, c"arrow_schema")?,
        PyCapsule::new_with_value(py, array, c"arrow_array")?,
    ))
}

fn failed(error: ArrowError) -> PyErr {
    PyRuntimeError::new_err(error.to_string())
}

/// Parses blocks of JSON lines.
#[pyclass(frozen, name = "JsonParser")]
struct PyJsonParser(JsonParser);

#[pymethods]
impl PyJsonParser {
    #[new]
    fn new(fields: Vec<FieldTuple>, evolution: &str) -> PyResult<Self> {
        Ok(PyJsonParser(JsonParser::new(schema(fields, evolution)?)))
    }

    fn parse(&self, py: Python<'_>, block: &Bound<'_, PyAny>) -> PyResult<Outcome> {
        run(py, block, |data| self.0.parse(data))
    }
}

/// Parses blocks of CSV records.
#[pyclass(frozen, name = "CsvParser")]
struct PyCsvParser(CsvParser);

#[pymethods]
impl PyCsvParser {
    #[new]
    fn new(fields: Vec<FieldTuple>, evolution: &str, header: Vec<String>) -> PyResult<Self> {
        if header.is_empty() {
            return Err(PyValueError::new_err("a header of at least one column"));
        }
        Ok(PyCsvParser(CsvParser::new(schema(fields, evolution)?, &header)))
    }

    fn parse(&self, py: Python<'_>, block: &Bound<'_, PyAny>) -> PyResult<Outcome> {
        run(py, block, |data| self.0.parse(data))
    }
}

/// One column, for any library with Arrow's PyCapsule interface.
#[pyclass(frozen)]
struct Column(StringArray);

#[pymethods]
impl Column {
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_array__<'py>(&self, py: Python<'py>, requested_schema: Option<Bound<'py, PyAny>>) -> PyResult<Capsules<'py>> {
        let _ = requested_schema;
        let (array, schema) = to_ffi(&self.0.to_data()).map_err(failed)?;
        capsules(py, schema, array)
    }
}

/// HMAC-SHA-256 with one key, as 64 lower-case hexadecimal digits per value.
///
/// It caches up to `places` codes of recent values, a power of two. Threads may share it.
#[pyclass(frozen, name = "HmacSha256")]
struct PyHmacSha256(HmacSha256);

#[pymethods]
impl PyHmacSha256 {
    #[new]
    fn new(key: &[u8], places: usize) -> PyResult<Self> {
        if !(1..=MAX_PLACES).contains(&places) || !places.is_power_of_two() {
            return Err(PyValueError::new_err(format!(
                "{places} places; a power of two up to {MAX_PLACES} is expected"
            )));
        }
        Ok(PyHmacSha256(HmacSha256::new(key, places)))
    }

    /// The number of cached codes, and of values that they answered.
    #[getter]
    fn kept(&self) -> (usize, usize) {
        self.0.kept()
    }

    /// The codes of a string column. Null stays null.
    fn hex(&self, py: Python<'_>, column: &Bound<'_, PyAny>) -> PyResult<Column> {
        let values = strings(column)?;
        py.detach(|| self.0.column(&values)).map(Column).map_err(failed)
    }

    /// JSON objects with codes as the members' values. Nulls and the members in `clear` stay.
    fn extras(&self, py: Python<'_>, column: &Bound<'_, PyAny>, clear: Vec<String>) -> PyResult<Column> {
        let objects = strings(column)?;
        py.detach(|| self.0.extras(&objects, &clear)).map(Column).map_err(failed)
    }
}

/// The string column in an object with Arrow's PyCapsule interface.
fn strings(column: &Bound<'_, PyAny>) -> PyResult<StringArray> {
    let (schema, array): (Bound<'_, PyCapsule>, Bound<'_, PyCapsule>) = column.call_method0("__arrow_c_array__")?.extract()?;
    let schema = schema.pointer_checked(Some(c"arrow_schema"))?.cast::<FFI_ArrowSchema>();
    let array = array.pointer_checked(Some(c"arrow_array"))?.cast::<FFI_ArrowArray>();
    // SAFETY: the capsules have the names that the PyCapsule interface gives to these structs. The array is moved out, as the
    // interface requires of a consumer. from_raw leaves a released array behind, which the capsule may drop.
    let data = unsafe {
        if (*schema.as_ptr()).format() != "u" {
            return Err(PyValueError::new_err(format!(
                "a column of format {}; expected a string column",
                (*schema.as_ptr()).format()
            )));
        }
        from_ffi(FFI_ArrowArray::from_raw(array.as_ptr()), &*schema.as_ptr()).map_err(failed)?
    };
    Ok(StringArray::from(data))
}

/// The members of a line's one object: name, name as written, value as written. None if the line holds no object.
#[pyfunction]
fn members(line: &[u8]) -> Option<Vec<(String, String, String)>> {
    let text = std::str::from_utf8(line).ok()?;
    let owned = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let found = crate::syntax::members(text.as_bytes())?.into_iter();
    Some(
        found
            .map(|member| (owned(&member.name), owned(member.label), owned(member.source)))
            .collect(),
    )
}

#[pymodule]
fn dm_kernel(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyJsonParser>()?;
    module.add_class::<PyCsvParser>()?;
    module.add_class::<Batch>()?;
    module.add_class::<Column>()?;
    module.add_class::<PyHmacSha256>()?;
    module.add_function(wrap_pyfunction!(members, module)?)
}
