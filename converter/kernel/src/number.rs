//! Numbers from their digits: integers, floats correctly rounded, decimals exactly.

use crate::reject::Reason;
use crate::schema::Kind;

/// Powers of ten that a double holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];
/// Powers of ten that eight more digits may need.
const TENS: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];
/// Digits that a u64 always holds.
const SAFE_DIGITS: usize = 19;

/// A number as written: sign, digits before and after the point, power of ten.
pub struct Number<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
    token: &'a [u8],
}

/// The grammar of the number. JSON's grammar is narrower than that of a CSV cell.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Grammar {
    /// RFC 8259: no plus sign, no leading zero, digits on both sides of the point.
    Json,
    /// An optional sign and digits, an optional point anywhere among them, and an exponent.
    Csv,
    /// The same without exponent.
    Plain,
}

#[inline]
fn digits(bytes: &[u8], at: usize) -> &[u8] {
    let rest = &bytes[at..];
    &rest[..rest.iter().take_while(|byte| byte.is_ascii_digit()).count()]
}

impl<'a> Number<'a> {
    /// The number at the start of `bytes`, or None. The caller checks the rest.
    #[inline]
    pub fn read(bytes: &'a [u8], grammar: Grammar) -> Option<Number<'a>> {
        let strict = grammar == Grammar::Json;
        let negative = bytes.first() == Some(&b'-');
        let mut at = usize::from(negative || (!strict && bytes.first() == Some(&b'+')));
        let whole = digits(bytes, at);
        at += whole.len();
        if strict && (whole.is_empty() || (whole[0] == b'0' && whole.len() > 1)) {
            return None;
        }
        let mut fraction: &[u8] = &[];
        if bytes.get(at) == Some(&b'.') {
            fraction = digits(bytes, at + 1);
            at += 1 + fraction.len();
            if fraction.is_empty() && (strict || whole.is_empty()) {
                return None;
            }
        } else if whole.is_empty() {
            return None;
        }
        let mut exponent = 0;
        if grammar != Grammar::Plain && matches!(bytes.get(at), Some(b'e' | b'E')) {
            let sign = bytes.get(at + 1);
            let start = at + 1 + usize::from(matches!(sign, Some(b'+' | b'-')));
            let power = digits(bytes, start);
            if power.is_empty() {
                return None;
            }
            // a power this large is out of range or belongs to zero, so its exact value does not matter
            exponent = power
                .iter()
                .fold(0_i64, |value, digit| (value * 10 + i64::from(digit - b'0')).min(1 << 40));
            if sign == Some(&b'-') {
                exponent = -exponent;
            }
            at = start + power.len();
        }
        Some(Number {
            negative,
            whole,
            fraction,
            exponent,
            token: &bytes[..at],
        })
    }

    /// Bytes of the number's text.
    #[inline]
    pub fn len(&self) -> usize {
        self.token.len()
    }

    /// The nearest double, ties to even. `range` if it is beyond the largest one.
    #[inline]
    pub fn float64(&self) -> Result<f64, Reason> {
        let count = self.whole.len() + self.fraction.len();
        let point = self.exponent - self.fraction.len() as i64;
        if count <= SAFE_DIGITS && (-22..=22).contains(&point) {
            let mantissa = self
                .whole
                .iter()
                .chain(self.fraction)
                .fold(0_u64, |value, digit| value * 10 + u64::from(digit - b'0'));
            if mantissa <= 1 << 53 {
                // both operands are exact, so one rounding gives the nearest double
                let scaled = if point < 0 {
                    mantissa as f64 / POWERS[-point as usize]
                } else {
                    mantissa as f64 * POWERS[point as usize]
                };
                return Ok(if self.negative { -scaled } else { scaled });
            }
        }
        let value: f64 = std::str::from_utf8(self.token)
            .ok()
            .and_then(|token| token.parse().ok())
            .ok_or(Reason::Type)?;
        if value.is_finite() { Ok(value) } else { Err(Reason::Range) }
    }

    /// The double, rounded once more to a float.
    #[inline]
    pub fn float32(&self) -> Result<f32, Reason> {
        let value = self.float64()? as f32;
        if value.is_finite() { Ok(value) } else { Err(Reason::Range) }
    }

    /// The number times ten to the `scale`, if the product is whole and has at most `precision` digits.
    pub fn decimal(&self, precision: u8, scale: u8) -> Result<i128, Reason> {
        let significant = || self.whole.iter().chain(self.fraction).skip_while(|&&digit| digit == b'0');
        let count = significant().count();
        let ending = self
            .fraction
            .iter()
            .rev()
            .chain(self.whole.iter().rev())
            .take_while(|&&digit| digit == b'0')
            .count();
        if count == 0 {
            return Ok(0);
        }
        let kept = count - ending;
        let zeros = self.exponent - self.fraction.len() as i64 + ending as i64 + i64::from(scale);
        if zeros < 0 || kept as i64 + zeros > i64::from(precision) {
            return Err(Reason::Range);
        }
        let value = significant()
            .take(kept)
            .fold(0_i128, |value, digit| value * 10 + i128::from(digit - b'0'));
        let value = value * 10_i128.pow(zeros as u32);
        Ok(if self.negative { -value } else { value })
    }
}

/// The maximum number of digits for the short readers below. The exact readers take longer numbers.
const SHORT_DIGITS: usize = 16;
const ZEROS: u64 = 0x3030_3030_3030_3030;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Sets the high bit of the first byte of `word` that is no digit. The digit zero is 0 here. Later bytes are undefined.
#[inline]
fn no_digits(word: u64) -> u64 {
    (word.wrapping_add(0x7676_7676_7676_7676) | word) & HIGHS
}

/// The value of eight digits, the first in the lowest byte: https://lemire.me/blog/2022/01/21/swar-explained-parsing-eight-digits/.
#[inline(always)]
fn eight_digits(word: u64) -> u64 {
    let pairs = (word.wrapping_mul(2_561) >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(6_553_601) >> 16) & 0x0000_ffff_0000_ffff;
    fours.wrapping_mul(42_949_672_960_001) >> 32
}

/// The value of a word's first `count` digits, at most eight.
#[inline(always)]
fn few_digits(word: u64, count: usize) -> u64 {
    // The bits above the digits are shifted out, in two steps because no step may be of 64 bits. Zeros lead the number.
    let half = 32 - 4 * count;
    eight_digits(word << half << half)
}

#[inline(always)]
fn eight_bytes(bytes: &[u8], at: usize) -> Option<u64> {
    let chunk: &[u8; 8] = bytes.get(at..)?.first_chunk()?;
    Some(u64::from_le_bytes(*chunk) ^ ZEROS)
}

/// A short integer at the start of `bytes`, without leading zeros, and its length.
///
/// None for any other number, and for one too near to the end of `bytes` to read eight bytes at once.
#[inline(always)]
pub fn short_int(bytes: &[u8]) -> Option<(i64, usize)> {
    let negative = bytes.first() == Some(&b'-');
    let start = usize::from(negative);
    let word = eight_bytes(bytes, start)?;
    let mut count = no_digits(word).trailing_zeros() as usize / 8;
    let mut value = few_digits(word, count);
    if count == 8 {
        let word = eight_bytes(bytes, start + 8)?;
        let more = no_digits(word).trailing_zeros() as usize / 8;
        value = value * TENS[more] + few_digits(word, more);
        count += more;
    }
    let is_short = (1..=SHORT_DIGITS).contains(&count) && bytes.get(start + count).is_some_and(|byte| !byte.is_ascii_digit());
    if !is_short || (bytes[start] == b'0' && count > 1) {
        return None;
    }
    Some((if negative { -(value as i64) } else { value as i64 }, start + count))
}

/// A number of up to seven characters at the start of `bytes`, without sign, leading zeros and exponent, and its length.
///
/// None for any other number, and for one too near to the end of `bytes` to read eight bytes at once. The point's position
/// decides no branch, because scores have a point or not at random.
#[inline(always)]
pub fn short_float(bytes: &[u8]) -> Option<(f64, usize)> {
    const POINT: u64 = (b'.' ^ b'0') as u64;
    let word = eight_bytes(bytes, 0)?;
    // the first byte that is no digit is the point, or the end
    let whole = no_digits(word).trailing_zeros() as usize / 8;
    if !(1..7).contains(&whole) {
        return None;
    }
    let has_point = usize::from((word >> (8 * whole)) & 0xff == POINT);
    let fraction = has_point * (no_digits(word >> (8 * (whole + has_point))).trailing_zeros() as usize / 8);
    let length = whole + has_point + fraction;
    if length >= 8 || fraction < has_point || (whole > 1 && bytes[0] == b'0') || matches!(bytes[length], b'e' | b'E') {
        return None;
    }
    let below = (1_u64 << (8 * whole)) - 1;
    let digits = (word & below) | ((word >> (8 * has_point)) & !below);
    // both operands are exact, so one rounding gives the nearest double
    Some((few_digits(digits, whole + fraction) as f64 / POWERS[fraction], length))
}

/// The integer at the start of `bytes` by JSON's grammar, and its length. `type` if it is no integer token.
#[inline(always)]
pub fn json_int(bytes: &[u8], kind: Kind) -> Result<(i64, usize), Reason> {
    match short_int(bytes) {
        Some((value, length)) if !matches!(bytes[length], b'.' | b'e' | b'E') => {
            bounded(value < 0, value.unsigned_abs(), kind).map(|value| (value, length))
        }
        _ => long_json_int(bytes, kind),
    }
}

#[inline(never)]
fn long_json_int(bytes: &[u8], kind: Kind) -> Result<(i64, usize), Reason> {
    let negative = bytes.first() == Some(&b'-');
    let start = usize::from(negative);
    let mut at = start;
    let mut value = 0_u64;
    while let Some(digit) = bytes.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|&digit| digit < 10) {
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        at += 1;
    }
    let count = at - start;
    if count == 0 || matches!(bytes.get(at), Some(b'.' | b'e' | b'E')) {
        return Err(Reason::Type);
    }
    if count > 1 && bytes[start] == b'0' {
        return Err(Reason::NotJson);
    }
    if count > SAFE_DIGITS {
        return Err(Reason::Range);
    }
    bounded(negative, value, kind).map(|value| (value, at))
}

/// An integer that fills a cell: decimal digits with an optional sign.
#[inline]
pub fn csv_int(cell: &[u8], kind: Kind) -> Result<i64, Reason> {
    let (negative, text) = match cell {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, cell),
    };
    let mut value = 0_u64;
    for &byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return Err(Reason::Type);
        }
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
    }
    if text.is_empty() {
        return Err(Reason::Type);
    }
    if text.len() > SAFE_DIGITS && text.iter().skip_while(|&&digit| digit == b'0').count() > SAFE_DIGITS {
        return Err(Reason::Range);
    }
    bounded(negative, value, kind)
}

#[inline]
fn bounded(negative: bool, value: u64, kind: Kind) -> Result<i64, Reason> {
    let limit: u64 = match kind {
        Kind::Int16 => 1 << 15,
        Kind::Int32 => 1 << 31,
        _ => 1 << 63,
    };
    if value >= limit + u64::from(negative) {
        return Err(Reason::Range);
    }
    Ok(if negative { (value as i64).wrapping_neg() } else { value as i64 })
}

/// The value of the three words for numbers that are not finite.
pub fn non_finite(text: &[u8]) -> Option<f64> {
    match text {
        b"NaN" => Some(f64::NAN),
        b"Infinity" => Some(f64::INFINITY),
        b"-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}
