//! SHA-256 of eight short messages at once, each in its lane of AVX2's registers, for HMAC.

use std::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_and_si256, _mm256_andnot_si256, _mm256_or_si256, _mm256_set1_epi32, _mm256_setzero_si256,
    _mm256_slli_epi32, _mm256_srli_epi32, _mm256_xor_si256,
};

use crate::sha256::{BLOCK, DIGEST, LANES, State};

#[rustfmt::skip]
const ROUND: [u32; 64] = [
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
];

/// The final outer states of eight values, each in its padded block, under the states that the key's two blocks left.
#[target_feature(enable = "avx2")]
pub fn hmacs(inner: &State, outer: &State, blocks: &[[u8; BLOCK]; LANES]) -> [State; LANES] {
    let word = |place: usize| words(std::array::from_fn(|lane| u32::from_be_bytes(blocks[lane].as_chunks().0[place])));
    let hashed = compressed(inner, std::array::from_fn(word));
    // the outer message is the inner digest behind the key's block: its words are in their lanes already
    let mut message = [_mm256_setzero_si256(); 16];
    message[..8].copy_from_slice(&hashed);
    message[8] = all(0x8000_0000);
    message[15] = all(8 * (BLOCK + DIGEST) as u32);
    let rows = compressed(outer, message).map(lanes);
    std::array::from_fn(|lane| std::array::from_fn(|place| rows[place][lane]))
}

#[target_feature(enable = "avx2")]
fn compressed(start: &State, mut message: [__m256i; 16]) -> [__m256i; 8] {
    let begin = start.map(|word| all(word));
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = begin;
    for (rounds, constants) in ROUND.as_chunks::<16>().0.iter().enumerate() {
        for at in 0..16 {
            if rounds > 0 {
                let (early, late) = (message[(at + 1) % 16], message[(at + 14) % 16]);
                let small0 = xor(xor(right::<7, 25>(early), right::<18, 14>(early)), _mm256_srli_epi32::<3>(early));
                let small1 = xor(xor(right::<17, 15>(late), right::<19, 13>(late)), _mm256_srli_epi32::<10>(late));
                message[at] = add(add(message[at], small0), add(message[(at + 9) % 16], small1));
            }
            let big1 = xor(xor(right::<6, 26>(e), right::<11, 21>(e)), right::<25, 7>(e));
            let choice = xor(_mm256_and_si256(e, f), _mm256_andnot_si256(e, g));
            let first = add(add(add(h, big1), choice), add(all(constants[at]), message[at]));
            let big0 = xor(xor(right::<2, 30>(a), right::<13, 19>(a)), right::<22, 10>(a));
            let majority = _mm256_or_si256(_mm256_and_si256(a, b), _mm256_and_si256(c, _mm256_or_si256(a, b)));
            (h, g, f, e) = (g, f, e, add(d, first));
            (d, c, b, a) = (c, b, a, add(first, add(big0, majority)));
        }
    }
    let end = [a, b, c, d, e, f, g, h];
    std::array::from_fn(|place| add(begin[place], end[place]))
}

/// Each word turned right by `RIGHT` bits; `LEFT` is the rest of 32.
#[inline]
#[target_feature(enable = "avx2")]
fn right<const RIGHT: i32, const LEFT: i32>(word: __m256i) -> __m256i {
    _mm256_or_si256(_mm256_srli_epi32::<RIGHT>(word), _mm256_slli_epi32::<LEFT>(word))
}

#[inline]
#[target_feature(enable = "avx2")]
fn add(one: __m256i, other: __m256i) -> __m256i {
    _mm256_add_epi32(one, other)
}

#[inline]
#[target_feature(enable = "avx2")]
fn xor(one: __m256i, other: __m256i) -> __m256i {
    _mm256_xor_si256(one, other)
}

#[inline]
#[target_feature(enable = "avx2")]
fn all(word: u32) -> __m256i {
    _mm256_set1_epi32(word.cast_signed())
}

#[inline]
fn words(lanes: [u32; LANES]) -> __m256i {
    // SAFETY: both are 32 bytes in which any bits are a value.
    unsafe { std::mem::transmute(lanes) }
}

#[inline]
fn lanes(words: __m256i) -> [u32; LANES] {
    // SAFETY: both are 32 bytes in which any bits are a value.
    unsafe { std::mem::transmute(words) }
}
