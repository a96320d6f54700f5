//! Bytes of strings: their ends, JSON's escapes, and the textual types.

use crate::reject::Reason;

/// The first quote, backslash or control character at or after `at`. The length of `bytes` if there is none.
#[inline]
pub fn string_mark(bytes: &[u8], at: usize) -> usize {
    find(bytes, at, wide::string_marks, |byte| matches!(byte, b'"' | b'\\' | 0..=0x1f))
}

/// The first comma, line feed, carriage return or quote at or after `at`. The length of `bytes` if there is none.
#[inline]
pub fn cell_mark(bytes: &[u8], at: usize) -> usize {
    find(bytes, at, wide::cell_marks, |byte| matches!(byte, b',' | b'\n' | b'\r' | b'"'))
}

/// The first mark at or after `at`. `marks` flags the marks among 16 bytes, one bit per byte from the lowest on.
#[inline]
fn find(bytes: &[u8], mut at: usize, marks: impl Fn(&[u8; 16]) -> u32, is_mark: impl Fn(u8) -> bool) -> usize {
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        let found = marks(chunk);
        if found != 0 {
            return at + found.trailing_zeros() as usize;
        }
        at += 16;
    }
    bytes
        .get(at..)
        .and_then(|rest| rest.iter().position(|&byte| is_mark(byte)))
        .map_or(bytes.len(), |found| at + found)
}

/// Sixteen bytes at once by SSE2.
#[cfg(target_arch = "x86_64")]
mod wide {
    use std::arch::x86_64::{__m128i, _mm_cmpeq_epi8, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x, _mm_set1_epi8};

    #[inline]
    pub fn string_marks(chunk: &[u8; 16]) -> u32 {
        // SAFETY: SSE2 is part of every x86-64 processor.
        unsafe {
            let bytes = load(chunk);
            let control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
            let others = _mm_or_si128(equal(bytes, b'"'), equal(bytes, b'\\'));
            _mm_movemask_epi8(_mm_or_si128(others, control)) as u32
        }
    }

    #[inline]
    pub fn cell_marks(chunk: &[u8; 16]) -> u32 {
        // SAFETY: SSE2 is part of every x86-64 processor.
        unsafe {
            let bytes = load(chunk);
            let ends = _mm_or_si128(equal(bytes, b'\n'), equal(bytes, b'\r'));
            let others = _mm_or_si128(equal(bytes, b','), equal(bytes, b'"'));
            _mm_movemask_epi8(_mm_or_si128(others, ends)) as u32
        }
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn load(chunk: &[u8; 16]) -> __m128i {
        let both = u128::from_le_bytes(*chunk);
        _mm_set_epi64x((both >> 64) as i64, both as i64)
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn equal(bytes: __m128i, byte: u8) -> __m128i {
        _mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte as i8))
    }
}

/// Sixteen bytes in two words, for other processors. Only the lowest set bit is certain to be a mark.
#[cfg(not(target_arch = "x86_64"))]
mod wide {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;

    #[inline]
    fn zeros(word: u64) -> u64 {
        word.wrapping_sub(ONES) & !word & HIGHS
    }

    #[inline]
    fn marks(chunk: &[u8; 16], marks_of: impl Fn(u64) -> u64) -> u32 {
        let both = u128::from_le_bytes(*chunk);
        let (low, high) = (marks_of(both as u64), marks_of((both >> 64) as u64));
        if low != 0 {
            1 << (low.trailing_zeros() / 8)
        } else if high != 0 {
            1 << (8 + high.trailing_zeros() / 8)
        } else {
            0
        }
    }

    #[inline]
    pub fn string_marks(chunk: &[u8; 16]) -> u32 {
        let control = |word: u64| word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let equal = |word: u64, byte: u8| zeros(word ^ (ONES * u64::from(byte)));
        marks(chunk, |word| equal(word, b'"') | equal(word, b'\\') | control(word))
    }

    #[inline]
    pub fn cell_marks(chunk: &[u8; 16]) -> u32 {
        let equal = |word: u64, byte: u8| zeros(word ^ (ONES * u64::from(byte)));
        marks(chunk, |word| {
            equal(word, b',') | equal(word, b'\n') | equal(word, b'\r') | equal(word, b'"')
        })
    }
}

/// Append the text of a JSON string whose opening quote ends at `at`. Returns the place after its closing quote. None if the
/// string is not closed, holds a control character, or an escape that is not a character (RFC 8259, 7 and 8.2).
pub fn unescape(bytes: &[u8], mut at: usize, text: &mut Vec<u8>) -> Option<usize> {
    loop {
        let mark = string_mark(bytes, at);
        text.extend_from_slice(&bytes[at..mark]);
        match bytes.get(mark)? {
            b'"' => return Some(mark + 1),
            b'\\' => {
                let (character, after) = escape(bytes, mark + 1)?;
                text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                at = after;
            }
            _ => return None,
        }
    }
}

/// The character of the escape after a backslash, and the place after it.
pub fn escape(bytes: &[u8], at: usize) -> Option<(char, usize)> {
    let simple = match bytes.get(at)? {
        mark @ (b'"' | b'\\' | b'/') => char::from(*mark),
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let first = hex4(bytes, at + 1)?;
            if !(0xd800..0xdc00).contains(&first) {
                return Some((char::from_u32(first)?, at + 5));
            }
            if bytes.get(at + 5..at + 7)? != b"\\u" {
                return None;
            }
            let second = hex4(bytes, at + 7)?;
            if !(0xdc00..0xe000).contains(&second) {
                return None;
            }
            return Some((char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00))?, at + 11));
        }
        _ => return None,
    };
    Some((simple, at + 1))
}

fn hex4(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..at + 4)?;
    digits
        .iter()
        .try_fold(0, |value, &digit| Some(value << 4 | u32::from(nibble(digit)?)))
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Append a text as a JSON string. Only characters that must be escaped are.
pub fn quote_json(text: &[u8], target: &mut Vec<u8>) {
    target.push(b'"');
    for &byte in text {
        match byte {
            b'"' | b'\\' => target.extend_from_slice(&[b'\\', byte]),
            b'\n' => target.extend_from_slice(b"\\n"),
            b'\r' => target.extend_from_slice(b"\\r"),
            b'\t' => target.extend_from_slice(b"\\t"),
            8 => target.extend_from_slice(b"\\b"),
            12 => target.extend_from_slice(b"\\f"),
            0..=0x1f => target.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => target.push(byte),
        }
    }
    target.push(b'"');
}

/// Append a UUID in lower case.
pub fn uuid(text: &[u8], target: &mut Vec<u8>) -> Result<(), Reason> {
    let is_part = |(at, byte): (usize, &u8)| {
        if matches!(at, 8 | 13 | 18 | 23) {
            *byte == b'-'
        } else {
            byte.is_ascii_hexdigit()
        }
    };
    if text.len() != 36 || !text.iter().enumerate().all(is_part) {
        return Err(Reason::Type);
    }
    target.extend(text.iter().map(u8::to_ascii_lowercase));
    Ok(())
}

/// Append the bytes of hexadecimal digits, with or without `\x` before them.
pub fn hex_bytes(text: &[u8], target: &mut Vec<u8>) -> Result<(), Reason> {
    let digits = text.strip_prefix(b"\\x").unwrap_or(text);
    if !digits.len().is_multiple_of(2) {
        return Err(Reason::Type);
    }
    for pair in digits.chunks_exact(2) {
        let (high, low) = (nibble(pair[0]).ok_or(Reason::Type)?, nibble(pair[1]).ok_or(Reason::Type)?);
        target.push(high << 4 | low);
    }
    Ok(())
}

/// Whether a text has a position's form: 16 lower-case hexadecimal digits, a hyphen, 10 digits, a hyphen, 1 digit.
#[inline]
pub fn is_position(text: &[u8]) -> bool {
    let Ok(text) = <&[u8; 29]>::try_from(text) else {
        return false;
    };
    // without a branch per byte, so that the compiler checks many at once
    let all = |part: &[u8], is_right: fn(u8) -> bool| part.iter().fold(true, |so_far, &byte| so_far & is_right(byte));
    all(&text[..16], |byte| byte.wrapping_sub(b'0') < 10 || byte.wrapping_sub(b'a') < 6)
        & (text[16] == b'-')
        & all(&text[17..27], |byte| byte.wrapping_sub(b'0') < 10)
        & (text[27] == b'-')
        & text[28].is_ascii_digit()
}
