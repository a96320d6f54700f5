//! HMAC-SHA-256 of whole columns, as hexadecimal text, and of the values in `_extra`.

use std::sync::{Mutex, MutexGuard};

use arrow_array::{Array, StringArray};
use arrow_buffer::OffsetBuffer;
use arrow_schema::ArrowError;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::cache::{CODE, Cache, Found};
use crate::syntax::members;

/// Hexadecimal digits of a code.
const DIGITS: usize = 2 * CODE;

/// The function for one key, with a cache of codes for recent values.
///
/// Threads share it. A thread that finds the cache locked does without it, which changes no result.
pub struct HmacSha256 {
    keyed: Hmac<Sha256>,
    cache: Mutex<Cache>,
}

impl HmacSha256 {
    /// `places` is the number of cached codes, at 64 bytes each.
    pub fn new(key: &[u8], places: usize) -> HmacSha256 {
        HmacSha256 {
            keyed: Hmac::new_from_slice(key).expect("HMAC takes a key of any length"),
            cache: Mutex::new(Cache::new(places)),
        }
    }

    /// The number of cached codes, and of values that they answered.
    pub fn kept(&self) -> (usize, usize) {
        self.cache.lock().map_or((0, 0), |cache| (cache.held, cache.answered))
    }

    /// The codes of every value. Null stays null.
    pub fn column(&self, values: &StringArray) -> Result<StringArray, ArrowError> {
        let mut cache = self.cache.try_lock().ok();
        let mut ends = Vec::with_capacity(values.len() + 1);
        let count = values.len() - values.null_count();
        i32::try_from(count * DIGITS).map_err(|_| too_long())?;
        let mut digits = Vec::with_capacity(count * DIGITS);
        ends.push(0);
        for value in values {
            if let Some(value) = value {
                digits.extend_from_slice(&self.hex(value.as_bytes(), &mut cache));
            }
            ends.push(digits.len() as i32);
        }
        StringArray::try_new(OffsetBuffer::new(ends.into()), digits.into(), values.nulls().cloned())
    }

    /// The objects with codes as the members' values. Nulls and the members in `clear` stay.
    ///
    /// A string's code is that of its text. The code of any other value is that of its bytes as written.
    pub fn extras(&self, objects: &StringArray, clear: &[String]) -> Result<StringArray, ArrowError> {
        let mut cache = self.cache.try_lock().ok();
        let mut hidden = Vec::with_capacity(objects.value_data().len());
        let mut ends = Vec::with_capacity(objects.len() + 1);
        ends.push(0);
        for object in objects {
            if let Some(object) = object {
                let found = members(object.as_bytes()).ok_or_else(|| ArrowError::ParseError("_extra is no JSON object".into()))?;
                hidden.push(b'{');
                for (number, member) in found.iter().enumerate() {
                    if number > 0 {
                        hidden.push(b',');
                    }
                    hidden.extend_from_slice(member.label);
                    hidden.push(b':');
                    if member.source == b"null" || clear.iter().any(|name| *name.as_bytes() == *member.name) {
                        hidden.extend_from_slice(member.source);
                    } else {
                        hidden.push(b'"');
                        hidden.extend_from_slice(&self.hex(member.text(), &mut cache));
                        hidden.push(b'"');
                    }
                }
                hidden.push(b'}');
            }
            ends.push(i32::try_from(hidden.len()).map_err(|_| too_long())?);
        }
        StringArray::try_new(OffsetBuffer::new(ends.into()), hidden.into(), objects.nulls().cloned())
    }

    #[inline]
    fn hex(&self, value: &[u8], cache: &mut Option<MutexGuard<'_, Cache>>) -> [u8; DIGITS] {
        let place = match cache.as_mut().map(|cache| cache.get(value)) {
            Some(Found::Code(code)) => return hex(&code),
            Some(Found::Not(place)) => Some(place),
            Some(Found::Never) | None => None,
        };
        let code = self.keyed.clone().chain_update(value).finalize().into_bytes().into();
        if let (Some(cache), Some(place)) = (cache, place) {
            cache.keep(&place, &code);
        }
        hex(&code)
    }
}

fn too_long() -> ArrowError {
    ArrowError::ComputeError("more than 2 GiB of codes".into())
}

#[inline]
fn hex(code: &[u8; CODE]) -> [u8; DIGITS] {
    // without a lookup table, so that the compiler computes sixteen digits at once
    let digit = |four: u8| four + if four < 10 { b'0' } else { b'a' - 10 };
    let mut digits = [0; DIGITS];
    for (pair, byte) in digits.as_chunks_mut().0.iter_mut().zip(code) {
        *pair = [digit(byte >> 4), digit(byte & 15)];
    }
    digits
}
