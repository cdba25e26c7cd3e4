//! Keys: how they become bytes, so that every door of the grid reads the same key.
//!
//! Text is its UTF-8 bytes, integers are decimal text, bytes are themselves: what `redis-cli` or `isogrid map get` would
//! be given.

use bytes::Bytes;

/// A key that can be looked up.
///
/// Keys of one [`Form`](Key::Form) are interchangeable: a `Map<String, _>` is asked with `&str`, a `Map<u64, _>` with any
/// integer.
///
/// | type | bytes | form |
/// |---|---|---|
/// | `str`, `String` | UTF-8 | `str` |
/// | `[u8]`, `Vec<u8>`, `[u8; N]`, `Bytes` | as they are | `[u8]` |
/// | integers up to 64 bits | decimal text | [`Decimal`] |
///
/// ```
/// # use isogrid_client::testing::Cluster;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> isogrid_client::Result<()> {
/// # let cluster = Cluster::start(1).await?;
/// # let grid = cluster.grid().await?;
/// grid.map::<u64, String>("names").put(&7, &"seven".into()).await?;
/// // The same entry, as a client that only knows text sees it.
/// assert_eq!(grid.map::<String, String>("names").get("7").await?.as_deref(), Some("seven"));
/// # Ok(())
/// # }
/// ```
pub trait Key {
    /// What kinds of keys may be mixed: the type all of them agree on.
    type Form: ?Sized;

    /// The bytes of the key.
    fn key_bytes(&self) -> KeyBytes<'_>;
}

/// A key that a map can give back, as a scan does.
pub trait OwnedKey: Key + Sized + Send + 'static {
    /// The key with these bytes, or `None` when they are no key of this type.
    fn from_key_bytes(bytes: Bytes) -> Option<Self>;
}

/// The form of integer keys: decimal text.
#[derive(Debug)]
pub enum Decimal {}

/// The bytes of a key, borrowed where possible.
#[derive(Clone, Debug)]
pub struct KeyBytes<'a>(Repr<'a>);

/// The longest decimal text of 64 bits: a sign and 19 digits, or 20 digits.
const INLINE_BYTES_MAX: usize = 20;

#[derive(Clone, Debug)]
enum Repr<'a> {
    Borrowed(&'a [u8]),
    Inline { length: u8, bytes: [u8; INLINE_BYTES_MAX] },
    Owned(Box<[u8]>),
}

impl<'a> KeyBytes<'a> {
    /// A key that is bytes already.
    pub fn borrowed(bytes: &'a [u8]) -> Self {
        KeyBytes(Repr::Borrowed(bytes))
    }

    /// A key whose bytes had to be made.
    pub fn owned(bytes: impl Into<Box<[u8]>>) -> Self {
        KeyBytes(Repr::Owned(bytes.into()))
    }

    /// A key that borrows nothing.
    pub(crate) fn into_owned(self) -> KeyBytes<'static> {
        KeyBytes(match self.0 {
            Repr::Borrowed(bytes) => Repr::Owned(bytes.into()),
            Repr::Inline { length, bytes } => Repr::Inline { length, bytes },
            Repr::Owned(bytes) => Repr::Owned(bytes),
        })
    }
}

impl AsRef<[u8]> for KeyBytes<'_> {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        match &self.0 {
            Repr::Borrowed(bytes) => bytes,
            Repr::Inline { length, bytes } => &bytes[..usize::from(*length)],
            Repr::Owned(bytes) => bytes,
        }
    }
}

impl Key for str {
    type Form = str;

    #[inline]
    fn key_bytes(&self) -> KeyBytes<'_> {
        KeyBytes::borrowed(self.as_bytes())
    }
}

impl Key for String {
    type Form = str;

    #[inline]
    fn key_bytes(&self) -> KeyBytes<'_> {
        KeyBytes::borrowed(self.as_bytes())
    }
}

impl OwnedKey for String {
    fn from_key_bytes(bytes: Bytes) -> Option<Self> {
        String::from_utf8(bytes.into()).ok()
    }
}

impl Key for [u8] {
    type Form = [u8];

    #[inline]
    fn key_bytes(&self) -> KeyBytes<'_> {
        KeyBytes::borrowed(self)
    }
}

impl<const N: usize> Key for [u8; N] {
    type Form = [u8];

    #[inline]
    fn key_bytes(&self) -> KeyBytes<'_> {
        KeyBytes::borrowed(self)
    }
}

impl Key for Vec<u8> {
    type Form = [u8];

    #[inline]
    fn key_bytes(&self) -> KeyBytes<'_> {
        KeyBytes::borrowed(self)
    }
}

impl OwnedKey for Vec<u8> {
    fn from_key_bytes(bytes: Bytes) -> Option<Self> {
        Some(bytes.into())
    }
}

impl Key for Bytes {
    type Form = [u8];

    #[inline]
    fn key_bytes(&self) -> KeyBytes<'_> {
        KeyBytes::borrowed(self)
    }
}

impl OwnedKey for Bytes {
    /// A slice of the page it came in: copy it if you keep few keys of many.
    fn from_key_bytes(bytes: Bytes) -> Option<Self> {
        Some(bytes)
    }
}

impl<Q: Key + ?Sized> Key for &Q {
    type Form = Q::Form;

    #[inline]
    fn key_bytes(&self) -> KeyBytes<'_> {
        (**self).key_bytes()
    }
}

/// The decimal text of an integer, given as its sign and magnitude.
fn decimal(negative: bool, mut magnitude: u64) -> KeyBytes<'static> {
    let mut bytes = [0; INLINE_BYTES_MAX];
    let mut start = INLINE_BYTES_MAX;
    loop {
        start -= 1;
        bytes[start] = b'0' + (magnitude % 10) as u8;
        magnitude /= 10;
        if magnitude == 0 {
            break;
        }
    }
    if negative {
        start -= 1;
        bytes[start] = b'-';
    }
    bytes.copy_within(start.., 0);
    KeyBytes(Repr::Inline { length: (INLINE_BYTES_MAX - start) as u8, bytes })
}

/// Parses what [`decimal`] writes, and only that: `+1` or `01` would be another key.
fn parse_decimal<T: std::str::FromStr>(bytes: &[u8]) -> Option<T> {
    let digits = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let canonical = digits.first()?.is_ascii_digit()
        && (digits[0] != b'0' || digits.len() == 1)
        && bytes != b"-0";
    if canonical { std::str::from_utf8(bytes).ok()?.parse().ok() } else { None }
}

impl Key for u8 {
    type Form = Decimal;

    #[inline]
    fn key_bytes(&self) -> KeyBytes<'_> {
        decimal(false, u64::from(*self))
    }
}

impl OwnedKey for u8 {
    fn from_key_bytes(bytes: Bytes) -> Option<Self> {
        parse_decimal(&bytes)
    }
}

impl Key for u16 {
    type Form = Decimal;

    #[inline]
    fn key_bytes(&self) -> KeyBytes<'_> {
        decimal(false, u64::from(*self))
    }
}

impl OwnedKey for u16 {
    fn from_key_bytes(bytes: Bytes) -> Option<Self> {
        parse_decimal(&bytes)
    }
}

impl Key for u32 {
    type Form = Decimal;

    #[inline]
    fn key_bytes(&self) -> KeyBytes<'_> {
        decimal(false, u64::from(*self))
    }
}

impl OwnedKey for u32 {
    fn from_key_bytes(bytes: Bytes) -> Option<Self> {
        parse_decimal(&bytes)
    }
}

impl Key for u64 {
    type Form = Decimal;

    #[inline]
    fn key_bytes(&self) -> KeyBytes<'_> {
        decimal(false, *self)
    }
}

impl OwnedKey for u64 {
    fn from_key_bytes(bytes: Bytes) -> Option<Self> {
        parse_decimal(&bytes)
    }
}

impl Key for usize {
    type Form = Decimal;

    #[inline]
    fn key_bytes(&self) -> KeyBytes<'_> {
        decimal(false, *self as u64)
    }
}

impl OwnedKey for usize {
    fn from_key_bytes(bytes: Bytes) -> Option<Self> {
        parse_decimal(&bytes)
    }
}

impl Key for i8 {
    type Form = Decimal;

    #[inline]
    fn key_bytes(&self) -> KeyBytes<'_> {
        decimal(*self < 0, i64::from(*self).unsigned_abs())
    }
}

impl OwnedKey for i8 {
    fn from_key_bytes(bytes: Bytes) -> Option<Self> {
        parse_decimal(&bytes)
    }
}

impl Key for i16 {
    type Form = Decimal;

    #[inline]
    fn key_bytes(&self) -> KeyBytes<'_> {
        decimal(*self < 0, i64::from(*self).unsigned_abs())
    }
}

impl OwnedKey for i16 {
    fn from_key_bytes(bytes: Bytes) -> Option<Self> {
        parse_decimal(&bytes)
    }
}

impl Key for i32 {
    type Form = Decimal;

    #[inline]
    fn key_bytes(&self) -> KeyBytes<'_> {
        decimal(*self < 0, i64::from(*self).unsigned_abs())
    }
}

impl OwnedKey for i32 {
    fn from_key_bytes(bytes: Bytes) -> Option<Self> {
        parse_decimal(&bytes)
    }
}

impl Key for i64 {
    type Form = Decimal;

    #[inline]
    fn key_bytes(&self) -> KeyBytes<'_> {
        decimal(*self < 0, self.unsigned_abs())
    }
}

impl OwnedKey for i64 {
    fn from_key_bytes(bytes: Bytes) -> Option<Self> {
        parse_decimal(&bytes)
    }
}

impl Key for isize {
    type Form = Decimal;

    #[inline]
    fn key_bytes(&self) -> KeyBytes<'_> {
        decimal(*self < 0, self.unsigned_abs() as u64)
    }
}

impl OwnedKey for isize {
    fn from_key_bytes(bytes: Bytes) -> Option<Self> {
        parse_decimal(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text<Q: Key + ?Sized>(key: &Q) -> String {
        String::from_utf8(key.key_bytes().as_ref().to_vec()).expect("text")
    }

    #[test]
    fn integers_are_decimal_text() {
        assert_eq!(text(&0u8), "0");
        assert_eq!(text(&u64::MAX), u64::MAX.to_string());
        assert_eq!(text(&i64::MIN), i64::MIN.to_string());
        assert_eq!(text(&-7i32), "-7");
        assert_eq!(u64::from_key_bytes(Bytes::from(u64::MAX.to_string())), Some(u64::MAX));
        assert_eq!(i64::from_key_bytes(Bytes::from(i64::MIN.to_string())), Some(i64::MIN));
        assert_eq!(u8::from_key_bytes(Bytes::from("256")), None);
    }

    #[test]
    fn only_the_canonical_text_is_an_integer_key() {
        for other in ["", "-", "+1", "01", "-0", "1 ", "x"] {
            assert_eq!(i64::from_key_bytes(Bytes::from(other)), None, "{other:?}");
        }
    }

    #[test]
    fn text_and_bytes_are_themselves() {
        assert_eq!(text("ann"), "ann");
        assert_eq!(text(&"ann"), "ann");
        assert_eq!(text(b"ann"), "ann");
        assert_eq!(String::from_key_bytes(Bytes::from("ann")).as_deref(), Some("ann"));
        assert_eq!(String::from_key_bytes(Bytes::from_static(&[0xff])), None);
        assert_eq!("ann".key_bytes().into_owned().as_ref(), b"ann");
        assert_eq!(std::mem::size_of::<KeyBytes<'_>>(), 24);
    }
}
