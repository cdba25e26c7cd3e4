//! Looks at every byte of a backup and of those it builds on, without a cluster: manifests, objects, and whether the parts
//! make an image.

use crate::chain::Chain;
use crate::error::{Error, Result};
use crate::place::Place;

/// What was looked at, and what is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// The manifests, the oldest first.
    pub backups: Vec<String>,
    /// How many objects were read.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many records there are at the cut.
    pub records: u64,
    /// What is wrong. Nothing: it can be restored.
    pub faults: Vec<Error>,
}

/// Verifies a backup with all that it builds on.
///
/// # Errors
/// The place cannot be read. What is missing or damaged is among the faults.
pub async fn verify(place: &Place, id: &str) -> Result<Verified> {
    let mut verified = Verified::default();
    let chain = match Chain::read(place, id).await {
        Ok(chain) => chain,
        Err(error @ Error::Place { .. }) => return Err(error),
        Err(fault) => {
            verified.faults.push(fault);
            return Ok(verified);
        }
    };
    verified.backups = chain.manifests().iter().map(|manifest| manifest.id.clone()).collect();
    // Each object by itself, also those that a restore of this backup would not read: others build on them.
    for object in chain.manifests().iter().flat_map(|manifest| manifest.objects()) {
        match place.read(object).await {
            Ok(bytes) => verified.bytes += bytes.len() as u64,
            Err(error @ Error::Place { .. }) => return Err(error),
            Err(fault) => verified.faults.push(fault),
        }
        verified.objects += 1;
    }
    if verified.faults.is_empty() {
        for partition in 0..chain.newest().partitions_total {
            match chain.image(place, partition).await {
                Ok(image) => verified.records += image.len() as u64,
                Err(error @ Error::Place { .. }) => return Err(error),
                Err(fault) => verified.faults.push(fault),
            }
        }
    }
    Ok(verified)
}

#[cfg(test)]
#[path = "verify_test.rs"]
mod tests;
