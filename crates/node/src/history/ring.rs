//! [`Ring`]: points in time, the oldest of which go. No clock and no file.

use std::collections::VecDeque;

/// What a point has, in this order. The file has it so too: another order is another version.
pub(crate) const NAMES: [&str; 9] = [
    "operations_per_second",
    "errors_per_second",
    "p99_seconds",
    "memory_used_bytes",
    "entries",
    "replication_lag_seconds",
    "connections",
    "network_bytes_per_second",
    "cpu_cores",
];

/// How many points are kept: a day's.
const POINTS_MAX: usize = 24 * 360;

/// How the file begins.
const MAGIC: &[u8; 8] = b"IGhist\x00\x01";

/// The figures of a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    /// In seconds since the epoch.
    pub(crate) at_s: u64,
    pub(crate) figures: [f32; NAMES.len()],
}

const POINT_BYTES: usize = 8 + 4 * NAMES.len();

/// Points in time, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Ring(VecDeque<Point>);

impl Ring {
    /// The last one.
    pub(super) fn newest(&self) -> Option<&Point> {
        self.0.back()
    }

    /// One more. A clock that was set back takes the points behind it with it: time goes one way in here.
    pub(super) fn push(&mut self, point: Point) {
        while self.0.back().is_some_and(|last| last.at_s >= point.at_s) {
            self.0.pop_back();
        }
        if self.0.len() == POINTS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(point);
    }

    /// Those since a moment, no more than so many: each is the mean of as many neighbours, and stands where the last of them is.
    pub(super) fn since(&self, at_s: u64, points_max: usize) -> Vec<Point> {
        let first = self.0.partition_point(|point| point.at_s < at_s);
        let points: Vec<Point> = self.0.iter().skip(first).copied().collect();
        let each = points.len().div_ceil(points_max.max(1)).max(1);
        // From the newest back, so that the last one is as much a mean as the others.
        let mut thin: Vec<Point> = points.rchunks(each).map(mean).collect();
        thin.reverse();
        thin
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(MAGIC.len() + self.0.len() * POINT_BYTES);
        bytes.extend_from_slice(MAGIC);
        for point in &self.0 {
            bytes.extend_from_slice(&point.at_s.to_le_bytes());
            point.figures.iter().for_each(|one| bytes.extend_from_slice(&one.to_le_bytes()));
        }
        bytes
    }

    /// `None` when this is not what [`Ring::encode`] wrote.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let body = bytes.strip_prefix(MAGIC)?;
        let points = body.chunks_exact(POINT_BYTES);
        if !points.remainder().is_empty() || points.len() > POINTS_MAX {
            return None;
        }
        let points: VecDeque<Point> = points.map(point).collect();
        let is_sound = points.iter().all(|point| point.figures.iter().all(|one| one.is_finite()));
        let grows = points.iter().zip(points.iter().skip(1)).all(|(a, b)| a.at_s < b.at_s);
        (is_sound && grows).then_some(Ring(points))
    }
}

fn point(bytes: &[u8]) -> Point {
    let (at, rest) = bytes.split_at(8);
    let mut figures = [0.0; NAMES.len()];
    for (figure, four) in figures.iter_mut().zip(rest.chunks_exact(4)) {
        *figure = f32::from_le_bytes([four[0], four[1], four[2], four[3]]);
    }
    let mut at_s = [0; 8];
    at_s.copy_from_slice(at);
    Point { at_s: u64::from_le_bytes(at_s), figures }
}

fn mean(points: &[Point]) -> Point {
    let mut figures = [0.0; NAMES.len()];
    for point in points {
        for (sum, one) in figures.iter_mut().zip(point.figures) {
            *sum += one / points.len() as f32;
        }
    }
    Point { at_s: points.last().map_or(0, |last| last.at_s), figures }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(at_s: u64, value: f32) -> Point {
        Point { at_s, figures: [value; NAMES.len()] }
    }

    #[test]
    fn the_oldest_go() {
        let mut ring = Ring::default();
        (0..POINTS_MAX as u64 + 3).for_each(|second| ring.push(at(second, 0.0)));
        let all = ring.since(0, usize::MAX);
        assert_eq!((all.len(), all[0].at_s), (POINTS_MAX, 3));
    }

    #[test]
    fn points_are_thinned_to_their_means() {
        let mut ring = Ring::default();
        (1..=5).for_each(|second| ring.push(at(second, second as f32)));
        assert_eq!(ring.since(0, 2), [at(2, 1.5), at(5, 4.0)]);
        assert_eq!(ring.since(4, 10), [at(4, 4.0), at(5, 5.0)]);
        assert!(ring.since(6, 10).is_empty());
    }

    #[test]
    fn what_was_written_is_read() {
        let mut ring = Ring::default();
        (1..=3).for_each(|second| ring.push(at(second, 0.25)));
        let bytes = ring.encode();
        let read = Ring::decode(&bytes).expect("it was just written");
        assert_eq!(read.since(0, 9), ring.since(0, 9));
        assert!(Ring::decode(&bytes[..bytes.len() - 1]).is_none(), "cut short");
        assert!(Ring::decode(b"").is_none());
        let mut wrong = Ring::default();
        wrong.push(at(1, f32::NAN));
        assert!(Ring::decode(&wrong.encode()).is_none(), "not a number");
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_confuse() {
        let mut ring = Ring::default();
        [10, 20, 30, 15].into_iter().for_each(|second| ring.push(at(second, 0.0)));
        let times: Vec<u64> = ring.since(0, 9).iter().map(|point| point.at_s).collect();
        assert_eq!(times, [10, 15]);
    }
}
