//! HMAC-SHA-256 of whole columns (RFC 2104, FIPS 180-4), as hexadecimal text.

use arrow_array::{Array, StringArray};
use arrow_buffer::OffsetBuffer;
use arrow_schema::ArrowError;
use sha2::{Digest, Sha256};

/// Bytes of SHA-256's block.
const BLOCK: usize = 64;
const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The function for one key, whose two key blocks are taken in once.
pub struct HmacSha256 {
    inner: Sha256,
    outer: Sha256,
}

impl HmacSha256 {
    pub fn new(key: &[u8]) -> HmacSha256 {
        let mut block = [0_u8; BLOCK];
        if key.len() > BLOCK {
            block[..32].copy_from_slice(&Sha256::digest(key));
        } else {
            block[..key.len()].copy_from_slice(key);
        }
        let keyed = |pad: u8| Sha256::new().chain_update(block.map(|byte| byte ^ pad));
        HmacSha256 {
            inner: keyed(0x36),
            outer: keyed(0x5c),
        }
    }

    /// Append the 64 lower-case hexadecimal digits of a value's code.
    fn append_hex(&self, value: &[u8], target: &mut Vec<u8>) {
        let inner = self.inner.clone().chain_update(value).finalize();
        let code = self.outer.clone().chain_update(inner).finalize();
        target.extend(
            code.iter()
                .flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]),
        );
    }

    /// The codes of every value; null stays null.
    pub fn column(&self, values: &StringArray) -> Result<StringArray, ArrowError> {
        let (offsets, data) = (values.value_offsets(), values.value_data());
        let nulls = values.nulls();
        let mut digits = Vec::with_capacity(2 * 32 * values.len());
        let mut ends = vec![0];
        for (row, bounds) in offsets.windows(2).enumerate() {
            if nulls.is_none_or(|nulls| nulls.is_valid(row)) {
                self.append_hex(&data[bounds[0] as usize..bounds[1] as usize], &mut digits);
            }
            let end = i32::try_from(digits.len()).map_err(|_| ArrowError::ComputeError("more than 2 GiB of codes".into()))?;
            ends.push(end);
        }
        StringArray::try_new(OffsetBuffer::new(ends.into()), digits.into(), nulls.cloned())
    }
}
