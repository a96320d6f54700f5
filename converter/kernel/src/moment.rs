//! Dates and timestamps of ISO 8601: days and microseconds since 1970-01-01 UTC.

use crate::reject::Reason;

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400;
const FIRST: i64 = -719_162 * DAY * SECOND;
const BEYOND: i64 = 2_932_897 * DAY * SECOND;

/// `YYYY-MM-DD` as days.
pub fn date(text: &[u8]) -> Result<i32, Reason> {
    if text.len() != 10 {
        return Err(Reason::Type);
    }
    let (year, month, day) = date_parts(text).ok_or(Reason::Type)?;
    days(year, month, day).map(|days| days as i32)
}

/// Reads timestamps. It remembers the last minute, since the next timestamp usually has the same.
pub struct Clock {
    /// `YYYY-MM-DDTHH:MM`, and its value in microseconds.
    text: [u8; 16],
    minute: i64,
}

impl Clock {
    pub fn new() -> Clock {
        Clock {
            text: *b"1970-01-01T00:00",
            minute: 0,
        }
    }

    /// A date and a time with an optional fraction and zone, as microseconds. `spaced` allows a space for the T.
    #[inline(always)]
    pub fn timestamp(&mut self, text: &[u8], spaced: bool) -> Result<i64, Reason> {
        match text.first_chunk::<16>() {
            Some(head) if *head == self.text && (spaced || head[10] == b'T') => in_minute(self.minute, &text[16..]),
            _ => {
                let (minute, instant) = timestamp(text, spaced)?;
                if let Some(head) = text.first_chunk::<16>() {
                    (self.text, self.minute) = (*head, minute);
                }
                Ok(instant)
            }
        }
    }
}

/// The microseconds of a timestamp's minute and of itself.
fn timestamp(text: &[u8], spaced: bool) -> Result<(i64, i64), Reason> {
    let (year, month, day) = date_parts(text).ok_or(Reason::Type)?;
    let separator = text.get(10).copied();
    if separator != Some(b'T') && !(spaced && separator == Some(b' ')) {
        return Err(Reason::Type);
    }
    let time = text.get(11..16).filter(|time| time[2] == b':').ok_or(Reason::Type)?;
    let (hour, minute) = (two(time, 0).ok_or(Reason::Type)?, two(time, 3).ok_or(Reason::Type)?);
    let rest = second_parts(&text[16..])?;
    let days = days(year, month, day)?;
    if hour > 23 || minute > 59 {
        return Err(Reason::Range);
    }
    let minute = (days * DAY + hour * 3600 + minute * 60) * SECOND;
    Ok((minute, instant(minute, rest)?))
}

#[inline(always)]
fn in_minute(minute: i64, text: &[u8]) -> Result<i64, Reason> {
    instant(minute, second_parts(text)?)
}

/// The rest after a minute: microseconds, minutes ahead of UTC, and whether all is in range.
struct Rest {
    micros: i64,
    ahead: i64,
    in_range: bool,
}

/// `:SS` with an optional fraction and zone.
#[inline(always)]
fn second_parts(text: &[u8]) -> Result<Rest, Reason> {
    if text.first() != Some(&b':') {
        return Err(Reason::Type);
    }
    let second = two(text, 1).ok_or(Reason::Type)?;
    let (micros, exact, rest) = fraction(&text[3..])?;
    let (hours, minutes, sign) = zone(rest).ok_or(Reason::Type)?;
    Ok(Rest {
        micros: second * SECOND + micros,
        ahead: sign * (hours * 60 + minutes),
        in_range: second <= 59 && hours <= 23 && minutes <= 59 && exact,
    })
}

#[inline]
fn instant(minute: i64, rest: Rest) -> Result<i64, Reason> {
    let instant = minute + rest.micros - rest.ahead * 60 * SECOND;
    if rest.in_range && (FIRST..BEYOND).contains(&instant) {
        Ok(instant)
    } else {
        Err(Reason::Range)
    }
}

#[inline]
fn two(text: &[u8], at: usize) -> Option<i64> {
    let (tens, ones) = (text.get(at)?.wrapping_sub(b'0'), text.get(at + 1)?.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| i64::from(tens) * 10 + i64::from(ones))
}

#[inline]
fn date_parts(text: &[u8]) -> Option<(i64, i64, i64)> {
    let head: &[u8; 10] = text.first_chunk()?;
    if head[4] != b'-' || head[7] != b'-' {
        return None;
    }
    Some((two(head, 0)? * 100 + two(head, 2)?, two(head, 5)?, two(head, 8)?))
}

/// Microseconds of `.digits`, whether they are exact, and the rest.
#[inline]
fn fraction(text: &[u8]) -> Result<(i64, bool, &[u8]), Reason> {
    if text.first() != Some(&b'.') {
        return Ok((0, true, text));
    }
    if let Some((micros, rest)) = six_digits(&text[1..]) {
        return Ok((micros, true, rest));
    }
    let digits = text[1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 {
        return Err(Reason::Type);
    }
    let (read, rest) = text[1..].split_at(digits);
    let mut micros = 0;
    for place in 0..6 {
        micros = micros * 10 + read.get(place).map_or(0, |digit| i64::from(digit - b'0'));
    }
    Ok((micros, read.iter().skip(6).all(|&digit| digit == b'0'), rest))
}

/// The value of exactly six digits, and the rest.
#[inline]
fn six_digits(text: &[u8]) -> Option<(i64, &[u8])> {
    let (read, rest) = text.split_first_chunk::<6>()?;
    if rest.first().is_some_and(u8::is_ascii_digit) {
        return None;
    }
    Some((two(read, 0)? * 10_000 + two(read, 2)? * 100 + two(read, 4)?, rest))
}

/// Hours, minutes and direction of `Z`, `±hh`, `±hh:mm` or nothing.
#[inline]
fn zone(text: &[u8]) -> Option<(i64, i64, i64)> {
    match text {
        b"" | b"Z" => Some((0, 0, 1)),
        [sign @ (b'+' | b'-'), rest @ ..] => {
            let sign = if *sign == b'-' { -1 } else { 1 };
            match rest.len() {
                2 => Some((two(rest, 0)?, 0, sign)),
                5 if rest[2] == b':' => Some((two(rest, 0)?, two(rest, 3)?, sign)),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Days of a date of the proleptic Gregorian calendar, years 1 to 9999.
#[inline]
fn days(year: i64, month: i64, day: i64) -> Result<i64, Reason> {
    const LENGTHS: [i64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    if year < 1 || !(1..=12).contains(&month) || day < 1 {
        return Err(Reason::Range);
    }
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if day > LENGTHS[month as usize - 1] + i64::from(is_leap && month == 2) {
        return Err(Reason::Range);
    }
    // years that begin in March have the leap day last: https://howardhinnant.github.io/date_algorithms.html#days_from_civil
    let shifted = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Ok(shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + day_of_year - 719_468)
}
