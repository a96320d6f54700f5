//! A cache of codes for recent values. Its size is fixed: each text has one place, and a newer text replaces an older one.

/// Bytes of a text and of a code. A longer text is never kept.
const TEXT: usize = 31;
pub const CODE: usize = 32;
/// At least one of `WORTH` values must be found, or the cache rests: a lookup in vain costs about half of a find's savings.
const WORTH: usize = 4;
/// The length of a rest, as a multiple of the number of places.
const REST: usize = 8;

/// The key of a text: its length plus one, then its bytes. An empty place begins with zero.
type Key = [u8; TEXT + 1];

/// The place for a text that was not found.
pub struct Place {
    at: usize,
    key: Key,
}

/// The result of a lookup.
pub enum Found {
    Code([u8; CODE]),
    /// Not known yet. `keep` stores its code.
    Not(Place),
    /// The text is too long, or the cache rests.
    Never,
}

/// The cache. The number of places bounds its memory. If a column's values never repeat, the cache soon rests.
pub struct Cache {
    places: Vec<[u8; TEXT + 1 + CODE]>,
    /// Values until the next judgement, and the number of them that were found.
    left: usize,
    found: usize,
    rests: bool,
    pub held: usize,
    pub answered: usize,
}

impl Cache {
    /// A cache of `places` places, a power of two. Zeroed memory is not allocated until it is written.
    pub fn new(places: usize) -> Cache {
        Cache {
            places: vec![[0; TEXT + 1 + CODE]; places],
            left: places,
            found: 0,
            rests: false,
            held: 0,
            answered: 0,
        }
    }

    #[inline]
    pub fn get(&mut self, text: &[u8]) -> Found {
        if self.left == 0 {
            self.judge();
        }
        self.left -= 1;
        if self.rests || text.len() > TEXT {
            return Found::Never;
        }
        let mut key = [0; TEXT + 1];
        key[0] = text.len() as u8 + 1;
        key[1..=text.len()].copy_from_slice(text);
        let at = self.place(&key);
        let (kept, code) = self.places[at].split_at(TEXT + 1);
        match code.first_chunk() {
            Some(code) if kept == key => {
                self.found += 1;
                self.answered += 1;
                Found::Code(*code)
            }
            _ => Found::Not(Place { at, key }),
        }
    }

    #[inline]
    pub fn keep(&mut self, place: &Place, code: &[u8; CODE]) {
        let kept = &mut self.places[place.at];
        self.held += usize::from(kept[0] == 0);
        kept[..=TEXT].copy_from_slice(&place.key);
        kept[TEXT + 1..].copy_from_slice(code);
    }

    /// Rest if too few of as many values as there are places were found. Try again after a rest.
    #[cold]
    fn judge(&mut self) {
        self.rests = !self.rests && self.found * WORTH < self.places.len();
        self.left = if self.rests { REST * self.places.len() } else { self.places.len() };
        self.found = 0;
    }

    /// The key's place, by multiplying and folding. Texts chosen to collide in one place cost no more than their hashes.
    #[inline]
    fn place(&self, key: &Key) -> usize {
        let folded = key.as_chunks().0.iter().fold(0x9e37_79b9_7f4a_7c15_u64, |hash, eight| {
            let product = u128::from(hash ^ u64::from_le_bytes(*eight)) * 0xd6e8_feb8_6659_fd93_u128;
            (product >> 64) as u64 ^ product as u64
        });
        folded as usize & (self.places.len() - 1)
    }
}
