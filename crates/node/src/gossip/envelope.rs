//! What goes around a datagram: it says of which cluster it is, and seals it when there is a key.
//!
//! ```text
//!   plain:   1 | first 8 bytes of SHA-256 of the cluster's name | message
//!   sealed:  2 | salt, 12 random bytes | nonce, 12 random bytes | ChaCha20-Poly1305 of the message, 16 bytes longer
//! ```
//!
//! Every datagram has a key of its own, HKDF of the secret and the salt: with 192 random bits no pair of key and nonce
//! comes twice, however long a cluster runs. The associated data are the first byte and the cluster's name.

use std::fmt;
use std::path::Path;

use isogrid_core::{Error, ErrorCode, Result};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use ring::{digest, hkdf};

/// The first byte of a plain datagram.
const PLAIN: u8 = 1;

/// The first byte of a sealed datagram.
const SEALED: u8 = 2;

/// How much of the hash of the cluster's name a plain datagram carries.
const TAG_BYTES: usize = 8;

const SALT_BYTES: usize = 12;

/// Where the ciphertext of a sealed datagram begins.
const SEALED_HEAD_BYTES: usize = 1 + SALT_BYTES + NONCE_LEN;

/// The shortest secret.
pub(crate) const SECRET_BYTES_MIN: usize = 16;

/// The largest datagram that UDP carries.
pub(super) const DATAGRAM_BYTES_MAX: usize = 65_507;

/// The secret of a cluster, ready for use. It is never shown.
#[derive(Clone)]
pub(crate) struct GossipKey(hkdf::Prk);

impl GossipKey {
    /// A key from a secret.
    pub(crate) fn derive(secret: &[u8]) -> Result<GossipKey> {
        if secret.len() < SECRET_BYTES_MIN {
            let detail = format!(
                "the secret of the cluster has {} bytes; allowed: {SECRET_BYTES_MIN} or more",
                secret.len()
            );
            return Err(Error::new(ErrorCode::ConfigValueInvalid, detail));
        }
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"isogrid gossip 1");
        Ok(GossipKey(salt.extract(secret)))
    }

    /// A key from the secret in a file. Spaces and line ends around it do not count.
    pub(crate) fn read(path: &Path) -> Result<GossipKey> {
        let bytes = std::fs::read(path).map_err(|error| {
            let detail = format!("cluster.key_file {}: {error}", path.display());
            Error::new(ErrorCode::ConfigUnreadable, detail)
        })?;
        GossipKey::derive(bytes.trim_ascii())
    }

    /// The key of one datagram.
    fn of_datagram(&self, salt: &[u8]) -> Option<LessSafeKey> {
        let info = [b"datagram".as_slice(), salt];
        let material = self.0.expand(&info, &CHACHA20_POLY1305).ok()?;
        Some(LessSafeKey::new(UnboundKey::from(material)))
    }
}

impl fmt::Debug for GossipKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GossipKey(..)")
    }
}

/// Why a datagram was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It is too short, or its message cannot be read.
    Malformed,
    /// Its first byte is unknown: another version, or no gossip at all.
    UnknownVersion,
    /// It belongs to another cluster.
    Foreign,
    /// It is plain and this node has a key.
    Unsealed,
    /// It is sealed and this node has no key.
    NoKey,
    /// The key, the cluster or a byte of it is wrong.
    WronglySealed,
}

/// Why a message was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotSent {
    /// It does not fit into a datagram.
    TooLarge,
    /// There is no randomness or the cipher refused: never seen.
    NotSealed,
}

/// Puts messages into datagrams and takes them out.
pub(super) struct Envelope {
    tag: [u8; TAG_BYTES],
    associated: Vec<u8>,
    key: Option<GossipKey>,
    random: SystemRandom,
}

impl Envelope {
    pub(super) fn new(cluster: &str, key: Option<GossipKey>) -> Self {
        let hash = digest::digest(&digest::SHA256, cluster.as_bytes());
        let tag = hash.as_ref()[..TAG_BYTES].try_into().expect("a hash is longer than the tag");
        let associated = [&[SEALED], cluster.as_bytes()].concat();
        Envelope { tag, associated, key, random: SystemRandom::new() }
    }

    /// Makes a datagram of a message; `out` is overwritten.
    pub(super) fn wrap(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), NotSent> {
        out.clear();
        match &self.key {
            None => {
                out.push(PLAIN);
                out.extend_from_slice(&self.tag);
                out.extend_from_slice(message);
            }
            Some(key) => self.seal(key, message, out).ok_or(NotSent::NotSealed)?,
        }
        if out.len() > DATAGRAM_BYTES_MAX { Err(NotSent::TooLarge) } else { Ok(()) }
    }

    fn seal(&self, key: &GossipKey, message: &[u8], out: &mut Vec<u8>) -> Option<()> {
        out.push(SEALED);
        out.resize(SEALED_HEAD_BYTES, 0);
        self.random.fill(&mut out[1..]).ok()?;
        out.extend_from_slice(message);
        let (head, body) = out.split_at_mut(SEALED_HEAD_BYTES);
        let (salt, nonce) = head[1..].split_at(SALT_BYTES);
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let key = key.of_datagram(salt)?;
        let tag = key.seal_in_place_separate_tag(nonce, Aad::from(&self.associated), body).ok()?;
        out.extend_from_slice(tag.as_ref());
        Some(())
    }

    /// The message of a datagram.
    pub(super) fn open<'a>(&self, datagram: &'a mut [u8]) -> Result<&'a [u8], Refused> {
        let (version, rest) = datagram.split_first_mut().ok_or(Refused::Malformed)?;
        match (*version, &self.key) {
            (PLAIN, Some(_)) => Err(Refused::Unsealed),
            (SEALED, None) => Err(Refused::NoKey),
            (PLAIN, None) => {
                let (tag, message) = rest.split_at_checked(TAG_BYTES).ok_or(Refused::Malformed)?;
                if *tag == self.tag { Ok(message) } else { Err(Refused::Foreign) }
            }
            (SEALED, Some(key)) => self.unseal(key, rest),
            _ => Err(Refused::UnknownVersion),
        }
    }

    fn unseal<'a>(&self, key: &GossipKey, rest: &'a mut [u8]) -> Result<&'a [u8], Refused> {
        let (head, body) =
            rest.split_at_mut_checked(SEALED_HEAD_BYTES - 1).ok_or(Refused::Malformed)?;
        let (salt, nonce) = head.split_at(SALT_BYTES);
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok();
        let (Some(nonce), Some(key)) = (nonce, key.of_datagram(salt)) else {
            return Err(Refused::Malformed);
        };
        let opened = key.open_in_place(nonce, Aad::from(&self.associated), body);
        opened.map(|message| &*message).map_err(|_| Refused::WronglySealed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn envelope(cluster: &str, secret: Option<&str>) -> Envelope {
        let key = secret.map(|secret| GossipKey::derive(secret.as_bytes()).unwrap());
        Envelope::new(cluster, key)
    }

    fn wrapped(envelope: &Envelope, message: &[u8]) -> Vec<u8> {
        let mut out = b"what stood there before".to_vec();
        envelope.wrap(message, &mut out).unwrap();
        out
    }

    const SECRET: &str = "0123456789abcdef";

    #[test]
    fn what_was_wrapped_is_opened() {
        for secret in [None, Some(SECRET)] {
            let (ours, theirs) = (envelope("blue", secret), envelope("blue", secret));
            for message in [&b""[..], b"x", &[7; 40_000]] {
                let mut datagram = wrapped(&ours, message);
                assert_eq!(theirs.open(&mut datagram), Ok(message));
            }
        }
    }

    #[test]
    fn others_are_refused_for_what_they_are() {
        let (plain, keyed) = (envelope("blue", None), envelope("blue", Some(SECRET)));
        let other_key = envelope("blue", Some("fedcba9876543210"));
        let (other_plain, other_keyed) = (envelope("red", None), envelope("red", Some(SECRET)));
        for (to, from, why) in [
            (&plain, &keyed, Refused::NoKey),
            (&keyed, &plain, Refused::Unsealed),
            (&plain, &other_plain, Refused::Foreign),
            (&keyed, &other_keyed, Refused::WronglySealed),
            (&keyed, &other_key, Refused::WronglySealed),
        ] {
            assert_eq!(to.open(&mut wrapped(from, b"news")), Err(why));
        }
        for envelope in [&plain, &keyed] {
            assert_eq!(envelope.open(&mut []), Err(Refused::Malformed));
            assert_eq!(envelope.open(&mut [9, 9, 9]), Err(Refused::UnknownVersion));
        }
        assert_eq!(plain.open(&mut [PLAIN, 1, 2]), Err(Refused::Malformed));
        assert_eq!(keyed.open(&mut [SEALED, 1, 2]), Err(Refused::Malformed));
    }

    #[test]
    fn no_two_datagrams_are_alike() {
        let keyed = envelope("blue", Some(SECRET));
        assert_ne!(wrapped(&keyed, b"news"), wrapped(&keyed, b"news"));
    }

    #[test]
    fn what_does_not_fit_is_not_sent() {
        let keyed = envelope("blue", Some(SECRET));
        let fits = DATAGRAM_BYTES_MAX - SEALED_HEAD_BYTES - CHACHA20_POLY1305.tag_len();
        let mut out = Vec::new();
        assert_eq!(keyed.wrap(&vec![0; fits], &mut out), Ok(()));
        assert_eq!(keyed.wrap(&vec![0; fits + 1], &mut out), Err(NotSent::TooLarge));
    }

    #[test]
    fn a_secret_must_be_long_enough_and_is_not_shown() {
        let error = GossipKey::derive(b"0123456789abcde").expect_err("too short");
        assert_eq!(error.code(), ErrorCode::ConfigValueInvalid);
        assert_eq!(format!("{:?}", GossipKey::derive(SECRET.as_bytes()).unwrap()), "GossipKey(..)");
    }

    #[test]
    fn the_end_of_the_line_is_not_part_of_the_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, format!("{SECRET}\n")).unwrap();
        let read = Envelope::new("blue", Some(GossipKey::read(&path).unwrap()));
        let mut datagram = wrapped(&read, b"news");
        assert_eq!(envelope("blue", Some(SECRET)).open(&mut datagram), Ok(&b"news"[..]));
        let missing = GossipKey::read(&folder.path().join("none")).expect_err("there is none");
        assert_eq!(missing.code(), ErrorCode::ConfigUnreadable);
    }

    /// A datagram of salt and nonce zero, computed from the definition by other means: a later build still reads it.
    #[test]
    fn the_format_of_version_2_is_kept() {
        let golden = "02000000000000000000000000000000000000000000000000\
                      3dd82bc6e8962311f5a1741e6191e5a461e34a12";
        let mut datagram: Vec<u8> = (0..golden.len() / 2)
            .map(|at| u8::from_str_radix(&golden[2 * at..2 * at + 2], 16).unwrap())
            .collect();
        assert_eq!(envelope("blue", Some(SECRET)).open(&mut datagram), Ok(&b"news"[..]));
    }

    proptest! {
        #[test]
        fn a_flipped_bit_is_noticed(message: Vec<u8>, at: prop::sample::Index, bit in 0..8u8) {
            let keyed = envelope("blue", Some(SECRET));
            let mut datagram = wrapped(&keyed, &message);
            let at = at.index(datagram.len());
            datagram[at] ^= 1 << bit;
            prop_assert!(keyed.open(&mut datagram).is_err());
        }

        #[test]
        fn random_bytes_are_refused(mut datagram: Vec<u8>) {
            prop_assert!(envelope("blue", None).open(&mut datagram).is_err());
            prop_assert!(envelope("blue", Some(SECRET)).open(&mut datagram).is_err());
        }
    }
}
