//! "Did you mean": the known name nearest to a misspelt one.

/// The candidate nearest to `name`, if any is near enough to be a slip of the fingers.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A third of the letters may be wrong, but always two: short words are misspelt as well.
    let distance_max = (name.chars().count() / 3).max(2);
    candidates
        .into_iter()
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= distance_max)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many letters must be inserted, removed, replaced or swapped with their neighbour to get from one to the other.
pub fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.to_lowercase().chars().collect();
    let right: Vec<char> = right.to_lowercase().chars().collect();
    let width = right.len() + 1;
    let mut costs: Vec<Vec<usize>> = vec![(0..width).collect()];
    for row in 1..=left.len() {
        let mut line = vec![row; width];
        for column in 1..width {
            let replaced = usize::from(left[row - 1] != right[column - 1]);
            let mut cost = (costs[row - 1][column] + 1)
                .min(line[column - 1] + 1)
                .min(costs[row - 1][column - 1] + replaced);
            let swapped = row > 1
                && column > 1
                && left[row - 1] == right[column - 2]
                && left[row - 2] == right[column - 1];
            if swapped {
                cost = cost.min(costs[row - 2][column - 2] + 1);
            }
            line[column] = cost;
        }
        costs.push(line);
    }
    costs[left.len()][width - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_slips() {
        for (left, right, slips) in [
            ("", "", 0),
            ("abc", "", 3),
            ("grpc_addr", "grpc_addr", 0),
            ("grcp_addr", "grpc_addr", 1),
            ("grpc_adr", "grpc_addr", 1),
            ("Cores", "cores", 0),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(left, right), slips, "{left} {right}");
            assert_eq!(distance(right, left), slips, "{right} {left}");
        }
    }

    #[test]
    fn only_near_names_are_suggested() {
        let names = ["node.cores", "node.cluster", "log.level"];
        assert_eq!(nearest("node.core", names), Some("node.cores"));
        assert_eq!(nearest("nod.cluter", names), Some("node.cluster"));
        assert_eq!(nearest("something.else", names), None);
    }
}
