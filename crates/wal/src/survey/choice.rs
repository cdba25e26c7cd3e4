//! Which snapshot each partition begins with: the newest that, with the log, makes a whole partition; else the log alone; else
//! the newest, as damaged.

use std::collections::BTreeMap;

use isogrid_core::{LogPosition, PartitionId};

use crate::disk::Disk;
use crate::error::{Damage, Result};
use crate::place::SNAPSHOT_FOLDER;
use crate::survey::folder::{Segment, Snapshots};
use crate::survey::{Remark, Survey};
use crate::track::{Recovered, Track};

/// Goes through the log with each partition's newest snapshot, and for those that are not whole then with their older ones.
pub(crate) fn survey<D: Disk>(
    disk: &D,
    storage: u128,
    segments: &[Segment],
    snapshots: &Snapshots,
) -> Result<Survey> {
    let candidate = |partition: PartitionId, at: usize| {
        snapshots.good.get(&partition).and_then(|good| good.get(at)).cloned()
    };
    let partitions = snapshots.good.keys().chain(snapshots.bad.keys());
    let tracks: BTreeMap<_, _> =
        partitions.map(|partition| (*partition, Track::new(candidate(*partition, 0)))).collect();
    let mut survey = Survey::new(disk, storage, segments, tracks)?;
    for at in 1.. {
        // After the last snapshot, the log alone is tried.
        let can_fall_back =
            |partition| snapshots.good.get(partition).is_some_and(|good: &Vec<_>| at <= good.len());
        let second: BTreeMap<_, _> = survey
            .tracks
            .iter()
            .filter(|(partition, track)| !track.is_whole() && can_fall_back(partition))
            .map(|(partition, _)| (*partition, Track::new(candidate(*partition, at))))
            .collect();
        if second.is_empty() {
            break;
        }
        let mut again = Survey::new(disk, storage, segments, second.clone())?;
        for partition in second.keys() {
            let newest = &survey.tracks[partition];
            let needed = needed_seq(snapshots, *partition);
            let Some(track) = again.tracks.remove(partition) else { continue };
            if track.is_whole() && track.last.seq >= needed {
                let damage = damage_of(newest);
                survey.remarks.push(Remark::SnapshotSkipped { damage });
                survey.tracks.insert(*partition, track);
            }
        }
    }
    Ok(survey)
}

/// The number that the partition must reach, whichever snapshot it begins with: nothing before a snapshot was ever lost, as it
/// was made of what was there.
fn needed_seq(snapshots: &Snapshots, partition: PartitionId) -> u64 {
    let good = snapshots.good.get(&partition).into_iter().flatten();
    let bad = snapshots.bad.get(&partition).into_iter().flatten();
    good.map(|info| info.position.seq)
        .chain(bad.map(|(position, _)| position.seq))
        .max()
        .unwrap_or(0)
}

fn damage_of(track: &Track) -> Damage {
    if let Some((_, damage)) = &track.damage {
        return damage.clone();
    }
    let snapshot = track.snapshot.as_ref();
    let why = format!(
        "the snapshot needs the log up to entry {}, and what can be read ends with {}",
        snapshot.map_or(LogPosition::START, |snapshot| snapshot.complete_at),
        track.last
    );
    let file = snapshot.map_or(SNAPSHOT_FOLDER, |snapshot| snapshot.path.as_str());
    Damage { file: file.to_owned(), offset: 0, why }
}

/// What is told of each partition; those of which nothing is left are not listed.
pub(crate) fn recovered(survey: &mut Survey, snapshots: &Snapshots) -> Vec<Recovered> {
    let mut all = Vec::new();
    for (partition, track) in &survey.tracks {
        let broken = snapshots.bad.get(partition).into_iter().flatten();
        let broken = broken.max_by_key(|(position, _)| position.seq);
        let mut damage = (!track.is_whole()).then(|| damage_of(track));
        let mut is_usable = track.is_complete;
        if let Some((position, broken)) = broken {
            // Whoever goes further has all that the broken one had.
            let is_replaced = track.last.seq >= position.seq;
            if is_replaced && damage.is_none() {
                survey.remarks.push(Remark::SnapshotSkipped { damage: broken.clone() });
            } else {
                damage = Some(broken.clone());
                is_usable &= is_replaced;
            }
        }
        if track.snapshot.is_none() && track.last == LogPosition::START && damage.is_none() {
            continue;
        }
        let (snapshot, last) = (track.snapshot.clone(), track.last);
        all.push(Recovered { partition: *partition, snapshot, last, damage, is_usable });
    }
    all
}
