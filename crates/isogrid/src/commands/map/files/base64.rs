//! Bytes that are not text, as text: standard base64 with padding, as every language reads and writes it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

/// Bytes as base64.
pub(in crate::commands::map) fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Adds bytes as base64.
pub(super) fn encode_into(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(STANDARD.encode(bytes).as_bytes());
}

/// The bytes that base64 stands for, or what is wrong with it.
pub(in crate::commands::map) fn decode(text: &[u8]) -> Result<Bytes, String> {
    STANDARD.decode(text).map(Bytes::from).map_err(|error| format!("not base64: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(encode(&bytes).as_bytes()).as_deref(), Ok(&bytes[..]));
        assert_eq!(encode(b"\xff\x00"), "/wA=");
        assert_eq!(decode(b"").as_deref(), Ok(&b""[..]));
        for bad in ["/wA", "/w A=", "_wA="] {
            assert!(decode(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
