//! SHA-256 (FIPS 180-4) from a state on, as HMAC needs it: of one message, or of eight short ones together.

use sha2::block_api::compress256;

#[cfg(target_arch = "x86_64")]
use crate::lanes;

/// Bytes of a block, and of a digest.
pub const BLOCK: usize = 64;
pub const DIGEST: usize = 32;
/// Short messages together.
pub const LANES: usize = 8;
/// A message that fits into one block with its end mark and length.
pub const SHORT: usize = BLOCK - 9;

pub type State = [u32; 8];
pub const INITIAL: State = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// The state after one block, from the initial one.
pub fn begun(block: &[u8; BLOCK]) -> State {
    let mut state = INITIAL;
    compress256(&mut state, &[*block]);
    state
}

/// The last block of a message of `before` bytes, whole blocks, and then the short `rest`.
#[inline]
pub fn padded(before: usize, rest: &[u8]) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    block[..rest.len()].copy_from_slice(rest);
    block[rest.len()] = 0x80;
    block[BLOCK - 8..].copy_from_slice(&bits(before + rest.len()));
    block
}

/// The final state of a message of which `before` bytes, whole blocks, led to `state` and `rest` follows.
pub fn finished(mut state: State, before: usize, rest: &[u8]) -> State {
    let (blocks, tail) = rest.as_chunks::<BLOCK>();
    let before = before + blocks.as_flattened().len();
    compress256(&mut state, blocks);
    if tail.len() <= SHORT {
        compress256(&mut state, &[padded(before, tail)]);
    } else {
        let mut end = [[0; BLOCK]; 2];
        let bytes = end.as_flattened_mut();
        bytes[..tail.len()].copy_from_slice(tail);
        bytes[tail.len()] = 0x80;
        bytes[2 * BLOCK - 8..].copy_from_slice(&bits(before + tail.len()));
        compress256(&mut state, &end);
    }
    state
}

/// HMAC of eight values: their padded blocks under the states that the key's two blocks left.
///
/// By lanes they take a fifth of the time of one after another, unless the processor has instructions for SHA-256.
pub fn hmacs(inner: &State, outer: &State, blocks: &[[u8; BLOCK]; LANES]) -> [State; LANES] {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && !is_x86_feature_detected!("sha") {
        // SAFETY: the processor was just seen to have AVX2.
        return unsafe { lanes::hmacs(inner, outer, blocks) };
    }
    blocks.map(|block| {
        let mut state = *inner;
        compress256(&mut state, &[block]);
        finished(*outer, BLOCK, &digest(&state))
    })
}

fn bits(bytes: usize) -> [u8; 8] {
    (8 * bytes as u64).to_be_bytes()
}

/// The digest that a final state is.
#[inline]
pub fn digest(state: &State) -> [u8; DIGEST] {
    let mut bytes = [0; DIGEST];
    for (four, word) in bytes.as_chunks_mut().0.iter_mut().zip(state) {
        *four = word.to_be_bytes();
    }
    bytes
}
