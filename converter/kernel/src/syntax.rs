//! JSON's grammar (RFC 8259), strictly, without recursion.

use std::borrow::Cow;

use crate::text::{escape, string_mark, unescape};

/// The maximum levels of nesting in a line, including its own object.
const MAX_DEPTH: u32 = 64;

/// Whether a line holds one JSON value and nothing else.
pub fn is_json(line: &[u8]) -> bool {
    value(line, after_space(line, 0), 0).is_some_and(|end| after_space(line, end) == line.len())
}

/// The place of the first byte from `at` on that is not white space.
#[inline]
pub fn after_space(line: &[u8], mut at: usize) -> usize {
    while matches!(line.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

/// The end of the value that begins at `at`, `depth` levels down. None if there is none.
pub fn value(line: &[u8], mut at: usize, mut depth: u32) -> Option<usize> {
    let outer = depth;
    let mut objects: u64 = 0; // one bit per level: whether it is an object
    loop {
        let opens = match line.get(at)? {
            b'{' => Some(true),
            b'[' => Some(false),
            _ => None,
        };
        if let Some(is_object) = opens {
            depth += 1;
            if depth > MAX_DEPTH {
                return None;
            }
            objects = objects << 1 | u64::from(is_object);
            at = after_space(line, at + 1);
            if line.get(at)? != &closing(is_object) {
                if is_object {
                    at = member_value(line, at)?;
                }
                continue;
            }
        } else {
            at = scalar(line, at)?;
            if depth == outer {
                return Some(at);
            }
            at = after_space(line, at);
        }
        // after a value, or before the closing bracket of an empty object or array
        loop {
            let is_object = objects & 1 == 1;
            let mark = *line.get(at)?;
            if mark == closing(is_object) {
                at += 1;
                depth -= 1;
                objects >>= 1;
                if depth == outer {
                    return Some(at);
                }
                at = after_space(line, at);
            } else if mark == b',' {
                at = after_space(line, at + 1);
                if is_object {
                    at = member_value(line, at)?;
                }
                break;
            } else {
                return None;
            }
        }
    }
}

fn closing(is_object: bool) -> u8 {
    if is_object { b'}' } else { b']' }
}

/// The start of a member's value, after its name and colon.
fn member_value(line: &[u8], at: usize) -> Option<usize> {
    let colon = after_space(line, string(line, at)?);
    (line.get(colon)? == &b':').then(|| after_space(line, colon + 1))
}

fn scalar(line: &[u8], at: usize) -> Option<usize> {
    let word = |text: &[u8]| line[at..].starts_with(text).then_some(at + text.len());
    match line.get(at)? {
        b'"' => string(line, at),
        b't' => word(b"true"),
        b'f' => word(b"false"),
        b'n' => word(b"null"),
        _ => number(line, at),
    }
}

/// The end of the string that begins at `at`.
pub fn string(line: &[u8], at: usize) -> Option<usize> {
    if line.get(at)? != &b'"' {
        return None;
    }
    let mut at = at + 1;
    loop {
        at = string_mark(line, at);
        match line.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at = escape(line, at + 1)?.1,
            _ => return None,
        }
    }
}

fn number(line: &[u8], at: usize) -> Option<usize> {
    let digits = |from: usize| from + line[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let start = at + usize::from(line.get(at)? == &b'-');
    let mut end = digits(start.min(line.len()));
    if end == start || (line[start] == b'0' && end > start + 1) {
        return None;
    }
    if line.get(end) == Some(&b'.') {
        let fraction = end + 1;
        end = digits(fraction);
        if end == fraction {
            return None;
        }
    }
    if matches!(line.get(end), Some(b'e' | b'E')) {
        let exponent = end + 1 + usize::from(matches!(line.get(end + 1), Some(b'+' | b'-')));
        end = digits(exponent);
        if end == exponent {
            return None;
        }
    }
    Some(end)
}

/// One member of an object: its name, and name and value as written.
pub struct Member<'a> {
    pub name: Cow<'a, [u8]>,
    pub label: &'a [u8],
    pub source: &'a [u8],
    text: Option<Cow<'a, [u8]>>,
}

impl Member<'_> {
    /// The text of a string, the bytes of any other value.
    pub fn text(&self) -> &[u8] {
        self.text.as_deref().unwrap_or(self.source)
    }
}

/// The members of a line's one object, in order. None if the line holds no such object.
pub fn members(line: &[u8]) -> Option<Vec<Member<'_>>> {
    let mut found = Vec::new();
    let start = after_space(line, 0);
    if line.get(start)? != &b'{' {
        return None;
    }
    let mut at = after_space(line, start + 1);
    if line.get(at)? == &b'}' {
        return (after_space(line, at + 1) == line.len()).then_some(found);
    }
    loop {
        let (name, name_end) = text(line, at)?;
        let colon = after_space(line, name_end);
        if line.get(colon)? != &b':' {
            return None;
        }
        let from = after_space(line, colon + 1);
        let end = value(line, from, 1)?;
        found.push(Member {
            name,
            label: &line[at..name_end],
            source: &line[from..end],
            text: if line[from] == b'"' { Some(text(line, from)?.0) } else { None },
        });
        at = after_space(line, end);
        match line.get(at)? {
            b',' => at = after_space(line, at + 1),
            b'}' => return (after_space(line, at + 1) == line.len()).then_some(found),
            _ => return None,
        }
    }
}

/// The text of the string that begins at `at`, and the place after it.
fn text(line: &[u8], at: usize) -> Option<(Cow<'_, [u8]>, usize)> {
    if line.get(at)? != &b'"' {
        return None;
    }
    let mark = string_mark(line, at + 1);
    if line.get(mark)? == &b'"' {
        return Some((Cow::Borrowed(&line[at + 1..mark]), mark + 1));
    }
    let mut unescaped = Vec::new();
    let end = unescape(line, at + 1, &mut unescaped)?;
    Some((Cow::Owned(unescaped), end))
}
