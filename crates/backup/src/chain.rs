//! [`Chain`]: a backup with all that it builds on.

use std::collections::BTreeSet;

use isogrid_core::Hlc;

use crate::block::{Block, Blocks};
use crate::error::{Error, Result};
use crate::image::Image;
use crate::manifest::{self, Manifest, Mode, Part};
use crate::place::Place;

/// A backup with all that it builds on, the oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    manifests: Vec<Manifest>,
}

impl Chain {
    /// Reads the manifests of a backup and of its parents.
    ///
    /// # Errors
    /// One of them is missing or damaged, or they do not belong together.
    pub async fn read(place: &Place, id: &str) -> Result<Chain> {
        let mut manifests = vec![place.manifest(id).await?];
        let mut seen = BTreeSet::from([id.to_owned()]);
        while let Some(parent) = manifests[0].parent.clone() {
            if !seen.insert(parent.clone()) {
                return Err(Error::damaged(&manifest::path_of(&parent), "it builds on itself"));
            }
            manifests.insert(0, place.manifest(&parent).await?);
        }
        let chain = Chain { manifests };
        chain.check()?;
        Ok(chain)
    }

    /// Every partition must begin whole, and go on where the parent cuts.
    fn check(&self) -> Result<()> {
        for (index, manifest) in self.manifests.iter().enumerate() {
            let path = manifest::path_of(&manifest.id);
            let parent = index.checked_sub(1).map(|parent| &self.manifests[parent]);
            let total = manifest.partitions_total;
            let numbers = manifest.partitions.iter().map(|part| part.partition);
            if !numbers.eq(0..total) {
                return Err(Error::damaged(&path, "not every partition is in it once"));
            }
            if parent.is_some_and(|parent| {
                parent.cluster_id != manifest.cluster_id || parent.partitions_total != total
            }) {
                return Err(Error::damaged(&path, "its parent is of another cluster"));
            }
            for part in manifest.partitions.iter().filter(|part| part.mode != Mode::Whole) {
                let before = parent.and_then(|parent| parent.part(part.partition));
                let goes_on = before.is_some_and(|before| {
                    before.loss_generation == part.loss_generation
                        && match part.mode {
                            Mode::Entries => before.cut == part.from,
                            _ => before.cut.seq <= part.from.seq,
                        }
                });
                if !goes_on {
                    let what = format!("partition {} does not follow its parent", part.partition);
                    return Err(Error::damaged(&path, what));
                }
            }
        }
        Ok(())
    }

    /// The backup itself.
    pub fn newest(&self) -> &Manifest {
        self.manifests.last().expect("a chain has a backup")
    }

    /// All of them, the oldest first.
    pub fn manifests(&self) -> &[Manifest] {
        &self.manifests
    }

    /// What is read for a partition: the last one that has it whole, and all that build on it.
    pub fn parts(&self, partition: u32) -> Vec<(&Manifest, &Part)> {
        let parts = self.manifests.iter().filter_map(|m| Some((m, m.part(partition)?)));
        let parts: Vec<_> = parts.collect();
        let whole = parts.iter().rposition(|(_, part)| part.mode == Mode::Whole);
        parts[whole.unwrap_or(0)..].to_vec()
    }

    /// The records of a partition at the cut.
    ///
    /// # Errors
    /// An object is missing or damaged, or the place cannot be read.
    pub async fn image(&self, place: &Place, partition: u32) -> Result<Image> {
        let mut image = Image::default();
        for (manifest, part) in self.parts(partition) {
            let blocks = blocks(place, part).await?;
            image.take(part, &blocks, Hlc(manifest.cut_clock)).map_err(|what| {
                let path = part.objects.first().map(|object| object.path.as_str());
                let path = path.map_or_else(|| manifest::path_of(&manifest.id), str::to_owned);
                Error::damaged(&path, what)
            })?;
        }
        Ok(image)
    }
}

async fn blocks(place: &Place, part: &Part) -> Result<Vec<Block>> {
    let mut blocks = Vec::new();
    for object in &part.objects {
        let bytes = place.read(object).await?;
        let damaged = |what: String| Error::damaged(&object.path, what);
        for block in Blocks::of(&bytes).map_err(damaged)? {
            blocks.push(block.map_err(damaged)?);
        }
    }
    Ok(blocks)
}
