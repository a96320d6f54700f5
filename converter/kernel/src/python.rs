//! The module that Python imports: parsers, and batches by Arrow's PyCapsule interface
//! (https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html).

use std::collections::HashMap;

use arrow_array::ffi::{FFI_ArrowArray, to_ffi};
use arrow_array::{Array, RecordBatch, StructArray};
use arrow_schema::ffi::FFI_ArrowSchema;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use crate::csv::{CsvParser, last_record_end};
use crate::json::JsonParser;
use crate::reject::Parsed;
use crate::schema::{Evolution, Field, Kind, Schema};

/// Name, kind, required, key, NaN allowed, precision, scale.
type FieldTuple = (String, String, bool, bool, bool, u8, u8);
/// Record, line, offset, length, column, reason.
type RejectTuple = (u32, u32, usize, usize, String, &'static str);
/// Batch, records read, lines, rejects, values of unknown columns.
type Outcome = (Batch, usize, usize, Vec<RejectTuple>, HashMap<String, u64>);

/// Bytes beyond which the offsets of a string column could overflow.
const MAX_BLOCK: usize = 1 << 30;

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

/// Run a parser on a block's bytes without holding the interpreter.
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
        // read-only: immutable bytes, or a view whose owner (blocks.BlockReader) gives its memory away and writes no more.
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
        parsed.extra.into_iter().collect(),
    ))
}

/// A batch of rows, for any library that speaks Arrow's PyCapsule interface.
#[pyclass(frozen)]
struct Batch(RecordBatch);

#[pymethods]
impl Batch {
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<(Bound<'py, PyCapsule>, Bound<'py, PyCapsule>)> {
        let _ = requested_schema; // a producer may ignore it: "best effort" in the interface's words
        let failed = |error: arrow_schema::ArrowError| PyRuntimeError::new_err(error.to_string());
        let (array, _): (FFI_ArrowArray, FFI_ArrowSchema) = to_ffi(&StructArray::from(self.0.clone()).to_data()).map_err(failed)?;
        let schema = FFI_ArrowSchema::try_from(self.0.schema().as_ref()).map_err(failed)?;
        Ok((
            PyCapsule::new_with_value(py, schema, c"arrow_schema")?,
            PyCapsule::new_with_value(py, array, c"arrow_array")?,
        ))
    }
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

/// Where the last whole CSV record in the buffer's first bytes ends; 0 where none does.
#[pyfunction]
fn csv_cut(py: Python<'_>, buffer: PyBuffer<u8>, filled: usize) -> PyResult<usize> {
    let mut data = buffer.to_vec(py)?;
    data.truncate(filled);
    Ok(py.detach(|| last_record_end(&data)))
}

#[pymodule]
fn dm_kernel(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyJsonParser>()?;
    module.add_class::<PyCsvParser>()?;
    module.add_class::<Batch>()?;
    module.add_function(wrap_pyfunction!(csv_cut, module)?)
}
