//! Bytes of strings: where they end, JSON's escapes, and the textual types.

use crate::reject::Reason;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// A high bit in the first byte of `word` that equals `byte`; bits above it may be wrong.
#[inline]
fn equal(word: u64, byte: u8) -> u64 {
    let difference = word ^ (ONES * u64::from(byte));
    difference.wrapping_sub(ONES) & !difference & HIGHS
}

/// The first quote, backslash or control character at or after `at`; the length of `bytes` where there is none.
#[inline]
pub fn string_mark(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let marks = equal(word, b'"') | equal(word, b'\\') | control;
        if marks != 0 {
            return at + marks.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let is_mark = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
    bytes
        .get(at..)
        .and_then(|rest| rest.iter().position(is_mark))
        .map_or(bytes.len(), |found| at + found)
}

/// The first comma, line feed, carriage return or quote at or after `at`; the length of `bytes` where there is none.
#[inline]
pub fn cell_mark(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        let marks = equal(word, b',') | equal(word, b'\n') | equal(word, b'\r') | equal(word, b'"');
        if marks != 0 {
            return at + marks.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let is_mark = |byte: &u8| matches!(byte, b',' | b'\n' | b'\r' | b'"');
    bytes
        .get(at..)
        .and_then(|rest| rest.iter().position(is_mark))
        .map_or(bytes.len(), |found| at + found)
}

/// Append the text of a JSON string whose opening quote ends at `at`; the place after its closing quote, or None where
/// the string is not closed, holds a control character, or an escape that is no character (RFC 8259, 7 and 8.2).
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

/// The character that the escape after a backslash stands for, and the place after it.
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

/// Append a text as a JSON string; only what must be escaped is.
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

/// Append the bytes that hexadecimal digits name, with or without `\x` before them.
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
pub fn is_position(text: &[u8]) -> bool {
    let is_part = |(at, byte): (usize, &u8)| match at {
        0..=15 => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        16 | 27 => *byte == b'-',
        _ => byte.is_ascii_digit(),
    };
    text.len() == 29 && text.iter().enumerate().all(is_part)
}
