//! Numbers from their digits: integers, floats correctly rounded, decimals exactly.

use crate::reject::Reason;
use crate::schema::Kind;

/// Powers of ten that a double holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];
/// Digits that a u64 always holds.
const SAFE_DIGITS: usize = 19;

/// A number as it is written: sign, digits before and after the point, power of ten.
pub struct Number<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
    token: &'a [u8],
}

/// Who wrote the number: JSON's grammar is narrower than that of a CSV cell.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Grammar {
    /// RFC 8259: no plus sign, no leading zero, digits on both sides of the point.
    Json,
    /// An optional sign and digits, with a point anywhere among them or none, and an exponent.
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
    /// The number at the beginning of `bytes`, or None; what follows it is the caller's to judge.
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
            // so large a power is out of range or belongs to zero, whatever it is exactly
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

    /// The nearest double, ties to even; `range` where it is beyond the largest one.
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

    /// The number times ten to the `scale`, where that is whole and has at most `precision` digits.
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

/// The value of the digit at `at`, if there is one.
#[inline]
fn digit(bytes: &[u8], at: usize) -> Option<u64> {
    let value = bytes.get(at)?.wrapping_sub(b'0');
    (value < 10).then_some(u64::from(value))
}

/// Digits of the numbers that the short readers below take; the rest is left to the exact ones.
const SHORT_DIGITS: usize = 18;

/// An integer of few digits at the beginning of `bytes`, without leading zeros, and its length.
#[inline]
pub fn short_int(bytes: &[u8]) -> Option<(i64, usize)> {
    let negative = bytes.first() == Some(&b'-');
    let start = usize::from(negative);
    let (mut at, mut value) = (start, 0_u64);
    while let Some(digit) = digit(bytes, at) {
        value = value.wrapping_mul(10).wrapping_add(digit);
        at += 1;
    }
    if !(1..=SHORT_DIGITS).contains(&(at - start)) || (bytes[start] == b'0' && at > start + 1) {
        return None;
    }
    Some((if negative { -(value as i64) } else { value as i64 }, at))
}

/// A number of few digits at the beginning of `bytes`, without leading zeros and exponent, and its length.
#[inline]
pub fn short_float(bytes: &[u8]) -> Option<(f64, usize)> {
    let negative = bytes.first() == Some(&b'-');
    let start = usize::from(negative);
    let (mut at, mut mantissa, mut fraction) = (start, 0_u64, 0);
    while let Some(digit) = digit(bytes, at) {
        mantissa = mantissa.wrapping_mul(10).wrapping_add(digit);
        at += 1;
    }
    let whole = at - start;
    if bytes.get(at) == Some(&b'.') {
        let point = at + 1;
        at = point;
        while let Some(digit) = digit(bytes, at) {
            mantissa = mantissa.wrapping_mul(10).wrapping_add(digit);
            at += 1;
        }
        fraction = at - point;
        if fraction == 0 {
            return None;
        }
    }
    let is_short = whole > 0 && whole + fraction <= SHORT_DIGITS && mantissa <= 1 << 53;
    if !is_short || (bytes[start] == b'0' && whole > 1) || matches!(bytes.get(at), Some(b'e' | b'E')) {
        return None;
    }
    // both operands are exact, so one rounding gives the nearest double
    let value = mantissa as f64 / POWERS[fraction];
    Some((if negative { -value } else { value }, at))
}

/// The integer at the beginning of `bytes`, by JSON's grammar, and its length; `type` where it is no integer token.
#[inline]
pub fn json_int(bytes: &[u8], kind: Kind) -> Result<(i64, usize), Reason> {
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

/// The value of the three words that stand for no finite number.
pub fn non_finite(text: &[u8]) -> Option<f64> {
    match text {
        b"NaN" => Some(f64::NAN),
        b"Infinity" => Some(f64::INFINITY),
        b"-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}
