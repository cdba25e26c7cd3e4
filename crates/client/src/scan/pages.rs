//! A scan page by page, with a token to go on from: for copies of a map that may be interrupted.

use std::fmt;

use futures::{StreamExt, stream};
use isogrid_core::PartitionId;

use super::{PARTITIONS_AT_ONCE, Scan, ScanStream, Walk, decode_key};
use crate::codec::Codec;
use crate::error::{Error, Result};
use crate::key::OwnedKey;
use crate::lane::OwnedPage;
use crate::ops;
use crate::value::Versioned;

/// The length of a token's part for one partition: a flag and a cursor.
const TOKEN_BYTES: usize = 9;

/// A walk over the pages of a map: see [`Scan::pages`].
#[must_use = "nothing is read before `stream`"]
pub struct ScanPages<'a, K, V, C> {
    scan: Scan<'a, K, V, C>,
    token: ScanToken,
}

/// Some entries of one partition, in the order in which the partition is walked.
#[derive(Clone, Debug)]
pub struct ScanPage<K, V> {
    /// The entries; there may be none.
    pub entries: Vec<(K, Versioned<V>)>,
    partition: PartitionId,
    partitions_len: usize,
    next: Option<u64>,
}

/// Where a scan stands: keep it, and a later scan of the same grid goes on from there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScanToken {
    /// Where each partition's next page begins; `None` when it is walked to its end. Empty: nothing was walked.
    cursors: Vec<Option<u64>>,
}

impl<'a, K: OwnedKey, V, C: Codec<V>> Scan<'a, K, V, C> {
    /// Page by page, with versions and expiry, and with a [`ScanToken`] to go on from after an interruption. A limit ends
    /// the walk with the page that reaches it.
    ///
    /// ```
    /// # use isogrid_client::testing::Cluster;
    /// use futures::TryStreamExt;
    /// use isogrid_client::ScanToken;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> isogrid_client::Result<()> {
    /// # let cluster = Cluster::start(1).await?;
    /// # let grid = cluster.grid().await?;
    /// let users = grid.map::<u32, u32>("users");
    /// assert!(users.put_many((0..100u32).map(|n| (n, n))).await?.is_complete());
    /// let (mut token, mut copied) = (ScanToken::default(), 0);
    /// let mut pages = users.scan().pages().stream();
    /// while copied < 50 && let Some(page) = pages.try_next().await? {
    ///     copied += page.entries.len();
    ///     token.note(&page);
    /// }
    /// // Later, perhaps in another process:
    /// let token = ScanToken::from_bytes(&token.to_bytes())?;
    /// let mut pages = users.scan().pages().resume(token).stream();
    /// while let Some(page) = pages.try_next().await? {
    ///     copied += page.entries.len();
    /// }
    /// assert_eq!(copied, 100);
    /// # Ok(())
    /// # }
    /// ```
    pub fn pages(self) -> ScanPages<'a, K, V, C> {
        ScanPages { scan: self, token: ScanToken::default() }
    }
}

impl<K: OwnedKey, V, C: Codec<V>> ScanPages<'_, K, V, C> {
    /// Goes on from a token. The stream fails at once if the token is of a grid with another number of partitions.
    pub fn resume(mut self, token: ScanToken) -> Self {
        self.token = token;
        self
    }

    /// Begins the walk.
    pub fn stream(self) -> ScanStream<ScanPage<K, V>>
    where
        V: Send + 'static,
    {
        let request = self.scan.request;
        let limit = request.limit.unwrap_or(usize::MAX);
        let mut walks = super::walks(&request);
        let partitions_len = walks.len();
        if !self.token.cursors.is_empty() {
            if self.token.cursors.len() != partitions_len {
                let detail = format!(
                    "a scan token of {} partitions, and the grid has {partitions_len}",
                    self.token.cursors.len()
                );
                let fault = Err(Error::decode(detail));
                return ScanStream(Box::pin(stream::iter([fault])));
            }
            for (walk, cursor) in walks.iter_mut().zip(self.token.cursors) {
                walk.cursor = cursor;
            }
        }
        let codec = self.scan.map.codec.clone();
        let pages = stream::iter(walks)
            .map(|walk| stream::unfold(walk, Walk::next_page).boxed())
            .flatten_unordered(PARTITIONS_AT_ONCE)
            .map(move |page| {
                let (partition, page) = page?;
                decoded(page, &codec, (partition, partitions_len))
            });
        let mut left = limit;
        ScanStream(Box::pin(pages.take_while(move |page| {
            let goes_on = left > 0;
            left = left.saturating_sub(page.as_ref().map_or(0, |page| page.entries.len()));
            std::future::ready(goes_on)
        })))
    }
}

fn decoded<K: OwnedKey, V, C: Codec<V>>(
    page: OwnedPage,
    codec: &C,
    (partition, partitions_len): (PartitionId, usize),
) -> Result<ScanPage<K, V>> {
    let entry = |(key, entry)| Ok((decode_key(key)?, ops::versioned(entry, codec)?));
    let entries = page.entries.into_iter().map(entry).collect::<Result<_>>()?;
    Ok(ScanPage { entries, partition, partitions_len, next: page.next })
}

impl ScanToken {
    /// Goes behind a page: call it once the page's entries are where they are to be.
    pub fn note<K, V>(&mut self, page: &ScanPage<K, V>) {
        if self.cursors.is_empty() {
            self.cursors = vec![Some(0); page.partitions_len];
        }
        if let Some(cursor) = self.cursors.get_mut(usize::from(page.partition.0)) {
            *cursor = page.next;
        }
    }

    /// The token as bytes, to be stored.
    pub fn to_bytes(&self) -> Vec<u8> {
        let part = |cursor: &Option<u64>| {
            let mut part = [0; TOKEN_BYTES];
            part[0] = u8::from(cursor.is_some());
            part[1..].copy_from_slice(&cursor.unwrap_or_default().to_le_bytes());
            part
        };
        self.cursors.iter().flat_map(part).collect()
    }

    /// A stored token.
    ///
    /// # Errors
    ///
    /// `DecodeFailed` if the bytes are not a token.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let fault = || Error::decode(format!("{} bytes are no scan token", bytes.len()));
        let (parts, rest) = bytes.as_chunks::<TOKEN_BYTES>();
        if !rest.is_empty() {
            return Err(fault());
        }
        let cursor = |[flag, cursor @ ..]: &[u8; TOKEN_BYTES]| match flag {
            0 => Ok(None),
            1 => Ok(Some(u64::from_le_bytes(*cursor))),
            _ => Err(fault()),
        };
        Ok(ScanToken { cursors: parts.iter().map(cursor).collect::<Result<_>>()? })
    }
}

impl<K, V, C> fmt::Debug for ScanPages<'_, K, V, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ScanPages").field(&self.scan).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(partition: u16, next: Option<u64>) -> ScanPage<(), ()> {
        let partition = PartitionId(partition);
        ScanPage { entries: Vec::new(), partition, partitions_len: 3, next }
    }

    #[test]
    fn a_token_keeps_where_each_partition_goes_on() {
        let mut token = ScanToken::default();
        for noted in [page(1, Some(7)), page(0, None), page(1, Some(1 << 63))] {
            token.note(&noted);
        }
        assert_eq!(token.cursors, [None, Some(1 << 63), Some(0)]);
        let bytes = token.to_bytes();
        assert_eq!(bytes[..9], [0; 9]);
        assert_eq!(bytes[9..], [1, 0, 0, 0, 0, 0, 0, 0, 128, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(ScanToken::from_bytes(&bytes).ok(), Some(token));
        assert!(ScanToken::from_bytes(&bytes[1..]).is_err());
        assert!(ScanToken::from_bytes(&[2; 9]).is_err());
    }
}
