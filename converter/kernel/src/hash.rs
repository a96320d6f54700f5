//! HMAC-SHA-256 of whole columns (RFC 2104, FIPS 180-4), as hexadecimal text.

use std::sync::{Mutex, MutexGuard};

use arrow_array::{Array, StringArray};
use arrow_buffer::OffsetBuffer;
use arrow_schema::ArrowError;

use crate::cache::{Cache, Found, Place};
use crate::sha256::{BLOCK, DIGEST, INITIAL, LANES, SHORT, State, begun, digest, finished, hmacs, padded};

/// Hexadecimal digits of a code.
const DIGITS: usize = 2 * DIGEST;
/// The function for one key, whose two key blocks are taken in once, with the codes of values seen lately.
///
/// Threads share it: one that finds the codes in another's use does without them, which changes no result.
pub struct HmacSha256 {
    inner: State,
    outer: State,
    cache: Mutex<Cache>,
}

impl HmacSha256 {
    /// `places` bounds how many codes are kept, at 64 bytes each.
    pub fn new(key: &[u8], places: usize) -> HmacSha256 {
        let mut block = [0_u8; BLOCK];
        if key.len() > BLOCK {
            block[..DIGEST].copy_from_slice(&digest(&finished(INITIAL, 0, key)));
        } else {
            block[..key.len()].copy_from_slice(key);
        }
        HmacSha256 {
            inner: begun(&block.map(|byte| byte ^ 0x36)),
            outer: begun(&block.map(|byte| byte ^ 0x5c)),
            cache: Mutex::new(Cache::new(places)),
        }
    }

    /// Codes that are kept, and how many values they have answered.
    pub fn kept(&self) -> (usize, usize) {
        self.cache.lock().map_or((0, 0), |cache| (cache.held, cache.answered))
    }

    /// The codes of every value; null stays null.
    pub fn column(&self, values: &StringArray) -> Result<StringArray, ArrowError> {
        let (offsets, data) = (values.value_offsets(), values.value_data());
        let nulls = values.nulls();
        let mut ends = Vec::with_capacity(offsets.len());
        let count = values.len() - values.null_count();
        i32::try_from(count * DIGITS).map_err(|_| ArrowError::ComputeError("more than 2 GiB of codes".into()))?;
        let mut digits = vec![[0; DIGITS]; count];
        let mut column = Column {
            hmac: self,
            cache: self.cache.try_lock().ok(),
            digits: &mut digits,
            blocks: [[0; BLOCK]; LANES],
            waiting: Vec::with_capacity(LANES),
        };
        let mut at = 0;
        ends.push(0);
        for (row, bounds) in offsets.windows(2).enumerate() {
            if nulls.is_none_or(|nulls| nulls.is_valid(row)) {
                column.take(&data[bounds[0] as usize..bounds[1] as usize], at);
                at += 1;
            }
            ends.push((at * DIGITS) as i32);
        }
        column.hash_waiting();
        drop(column);
        StringArray::try_new(OffsetBuffer::new(ends.into()), digits.into_flattened().into(), nulls.cloned())
    }
}

/// The codes of a column under way. Short values wait until there are as many as are hashed together.
struct Column<'h> {
    hmac: &'h HmacSha256,
    /// None where another thread is using it.
    cache: Option<MutexGuard<'h, Cache>>,
    digits: &'h mut [[u8; DIGITS]],
    blocks: [[u8; BLOCK]; LANES],
    waiting: Vec<(usize, Option<Place>)>,
}

impl Column<'_> {
    /// Write a value's code as the digits at `at`, now or later.
    #[inline]
    fn take(&mut self, value: &[u8], at: usize) {
        let place = match self.cache.as_mut().map(|cache| cache.get(value)) {
            Some(Found::Code(code)) => return write_hex(&code, &mut self.digits[at]),
            Some(Found::Not(place)) => Some(place),
            Some(Found::Never) | None => None,
        };
        if value.len() > SHORT {
            let inner = finished(self.hmac.inner, BLOCK, value);
            write_hex(&digest(&finished(self.hmac.outer, BLOCK, &digest(&inner))), &mut self.digits[at]);
            return;
        }
        self.blocks[self.waiting.len()] = padded(BLOCK, value);
        self.waiting.push((at, place));
        if self.waiting.len() == LANES {
            self.hash_waiting();
        }
    }

    fn hash_waiting(&mut self) {
        let states = hmacs(&self.hmac.inner, &self.hmac.outer, &self.blocks);
        for ((at, place), state) in self.waiting.drain(..).zip(&states) {
            let code = digest(state);
            write_hex(&code, &mut self.digits[at]);
            if let (Some(cache), Some(place)) = (&mut self.cache, place) {
                cache.keep(&place, &code);
            }
        }
    }
}

#[inline]
fn write_hex(code: &[u8; DIGEST], digits: &mut [u8; DIGITS]) {
    // without a table, so that sixteen digits are made at once
    let digit = |four: u8| four + if four < 10 { b'0' } else { b'a' - 10 };
    for (pair, byte) in digits.as_chunks_mut().0.iter_mut().zip(code) {
        *pair = [digit(byte >> 4), digit(byte & 15)];
    }
}
