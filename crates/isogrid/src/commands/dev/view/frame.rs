//! What the live view shows, line by line. No terminal is needed to make it.

use isogrid_client::{ClusterStatus, MemberStatus};

use crate::commands::dev::is_well;
use crate::commands::status::table::{broken, headline, share, state};
use crate::output::table_within;
use crate::text::{size, thousands};

/// The least lines that events get.
const EVENT_LINES_MIN: usize = 3;

/// The columns of nodes, and those that are left out where there is no room.
const COLUMNS: [&str; 12] = [
    ".", "node", "process", "pid", "state", "leads", "backups", "lag", "entries", "data", "ops/s",
    "grpc",
];
const LEFT_OUT: [&str; 5] = ["entries", "data", "backups", "pid", "state"];

/// What the keys do, and in few words.
const KEYS: &str = "up/down choose   k kill -9   r restart   p pause/continue   c cut off/connect   a add a node   q quit";
const KEYS_SHORT: &str = "up/down  k kill  r restart  p pause  c cut off  a add  q quit";

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// As text.
    Plain,
    /// All is well.
    Good,
    /// Something is wrong.
    Bad,
    /// The chosen node.
    Chosen,
    /// Of less weight.
    Dim,
}

/// A node, as this process knows it.
pub(super) struct NodeRow {
    /// Its name.
    pub(super) name: String,
    /// How its process is, in a word.
    pub(super) process: String,
    /// The number of its process, if there is one.
    pub(super) pid: Option<u32>,
    /// Whether keys are about it.
    pub(super) is_chosen: bool,
    /// How many operations it serves, if that is known.
    pub(super) ops_per_second: Option<u64>,
}

/// All that is shown.
pub(super) struct Frame<'a> {
    /// How many nodes the cluster began with.
    pub(super) founders: u16,
    /// What the cluster says, if anybody answers.
    pub(super) status: Option<&'a ClusterStatus>,
    /// The nodes.
    pub(super) rows: Vec<NodeRow>,
    /// What has happened, the newest last.
    pub(super) events: &'a [String],
    /// Where clients can connect.
    pub(super) endpoint: Option<String>,
}

impl Frame<'_> {
    /// The lines, cut to a screen of this size.
    pub(super) fn lines(&self, width: usize, height: usize) -> Vec<(Look, String)> {
        let mut lines: Vec<(Look, String)> = Vec::new();
        for (look, line) in self.head() {
            lines.extend(broken(&line, width).into_iter().map(|line| (look, line)));
        }
        lines.push((Look::Plain, String::new()));
        lines.extend(self.nodes(width));
        lines.push((Look::Plain, String::new()));
        let foot = self.foot(width);
        let room = height.saturating_sub(lines.len() + foot.len() + 1).max(EVENT_LINES_MIN);
        let newest = self.events.iter().rev().take(room).rev();
        lines.extend(newest.map(|event| (Look::Dim, event.clone())));
        let above = height.saturating_sub(foot.len());
        lines.truncate(above);
        lines.resize(above, (Look::Plain, String::new()));
        lines.extend(foot);
        lines.truncate(height);
        for (_, line) in &mut lines {
            *line = line.chars().filter(|sign| !sign.is_control()).take(width).collect();
        }
        lines
    }

    fn head(&self) -> Vec<(Look, String)> {
        let version = isogrid_node::VERSION;
        let title = format!("isogrid {version}, a cluster of {} for development", self.founders);
        let Some(status) = self.status else {
            return vec![(Look::Dim, title), (Look::Bad, "no node answers".into())];
        };
        let look = if is_well(status) { Look::Good } else { Look::Bad };
        let council = match status.council.leader.as_str() {
            "" => "council: no leader".to_owned(),
            leader => format!("council: {leader} leads in term {}", status.council.term),
        };
        let worst = status.worst_lag();
        let lag = format!(
            "lag at most {} ops, {}, {} ms",
            thousands(worst.ops),
            size(worst.bytes),
            worst.ms
        );
        let losses = match status.losses_total {
            0 => String::new(),
            count => format!("; {count} declared losses"),
        };
        vec![
            (Look::Dim, title),
            (look, headline(status)),
            (Look::Plain, format!("{council}; {lag}; {}{losses}", moves(status))),
        ]
    }

    fn nodes(&self, width: usize) -> Vec<(Look, String)> {
        let cells = |row: &NodeRow| {
            let member = self
                .status
                .and_then(|status| status.members.iter().find(|member| member.node_id == row.name));
            let of = |show: &dyn Fn(&MemberStatus) -> String| {
                member.map_or_else(|| "-".to_owned(), show)
            };
            let own = |show: &dyn Fn(&MemberStatus) -> String| {
                let answered = member.filter(|member| member.has_answered);
                answered.map_or_else(|| "-".to_owned(), show)
            };
            vec![
                if row.is_chosen { ">".into() } else { ".".into() },
                row.name.clone(),
                row.process.clone(),
                row.pid.map_or_else(|| "-".into(), |pid| pid.to_string()),
                of(&state),
                of(&|member| member.primaries.to_string()),
                of(&|member| member.backups.to_string()),
                self.lag_of(&row.name),
                own(&|member| thousands(member.entries)),
                own(&|member| size(member.data_bytes)),
                row.ops_per_second.map_or_else(|| "-".into(), thousands),
                of(&|member| member.grpc_addr.clone()),
            ]
        };
        let rows: Vec<Vec<String>> = self.rows.iter().map(cells).collect();
        let (text, _) = table_within(&COLUMNS, &rows, &LEFT_OUT, Some(width));
        let looks = self.rows.iter().map(|row| match (row.is_chosen, row.process.as_str()) {
            (true, _) => Look::Chosen,
            (false, "running" | "starting") => Look::Plain,
            (false, _) => Look::Bad,
        });
        std::iter::once(Look::Dim).chain(looks).zip(text.lines().map(str::to_owned)).collect()
    }

    /// How far a node's copies are behind, at worst.
    fn lag_of(&self, node: &str) -> String {
        let lags = self.status.into_iter().flat_map(|status| &status.lags);
        let worst = lags.filter(|lag| lag.to == node).map(|lag| lag.ms).max();
        worst.map_or_else(|| "-".into(), |ms| format!("{ms} ms"))
    }

    fn foot(&self, width: usize) -> Vec<(Look, String)> {
        let connect = match &self.endpoint {
            Some(endpoint) => format!("isogrid://{endpoint}"),
            None => "nobody to connect to".into(),
        };
        let keys = if KEYS.len() <= width { KEYS } else { KEYS_SHORT };
        vec![(Look::Plain, connect), (Look::Dim, keys.into())]
    }
}

fn moves(status: &ClusterStatus) -> String {
    let count = status.moves.len();
    if count == 0 {
        return "nothing moves".into();
    }
    let shares: Vec<u64> = status.moves.iter().filter_map(share).collect();
    let average = shares.iter().sum::<u64>().checked_div(shares.len() as u64);
    let share = average.map_or_else(String::new, |share| format!(", {share} % done"));
    format!("{count} copies under way{share}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<NodeRow> {
        let row = |name: &str, process: &str, is_chosen| NodeRow {
            name: name.into(),
            process: process.into(),
            pid: Some(7),
            is_chosen,
            ops_per_second: Some(12_345),
        };
        vec![row("node-0", "running", true), row("node-1", "killed", false)]
    }

    fn status() -> ClusterStatus {
        let mut status = ClusterStatus::default();
        (status.health, status.cluster_name) = ("degraded".into(), "isogrid".into());
        let mut member = MemberStatus::default();
        (member.node_id, member.state, member.is_live) = ("node-0".into(), "active".into(), true);
        (member.has_answered, member.entries) = (true, 1_000);
        status.members = vec![member];
        status
    }

    #[test]
    fn a_frame_fills_its_screen_and_no_more() {
        let (status, events) = (status(), vec!["first\u{1b}[31m".to_owned(); 40]);
        let frame = Frame {
            founders: 3,
            status: Some(&status),
            rows: rows(),
            events: &events,
            endpoint: None,
        };
        for (width, height) in [(120, 30), (40, 12), (10, 4), (1, 1)] {
            let lines = frame.lines(width, height);
            assert_eq!(lines.len(), height);
            assert!(lines.iter().all(|(_, line)| line.chars().count() <= width));
            assert!(lines.iter().all(|(_, line)| !line.contains('\u{1b}')));
        }
        let narrow = frame.lines(80, 24);
        assert!(
            narrow.iter().any(|(_, line)| line.contains("PID")),
            "somebody wants to kill -9 it"
        );
        let second = frame.lines(60, 24)[2].clone();
        assert_eq!(second, (Look::Bad, "  table version 0".to_owned()), "nothing is cut");
        let lines = frame.lines(160, 30);
        let text: Vec<&str> = lines.iter().map(|(_, line)| line.as_str()).collect();
        assert!(text[1].starts_with("degraded, not safe"), "{text:?}");
        let chosen = lines.iter().find(|(look, _)| *look == Look::Chosen).expect("one is chosen");
        assert!(chosen.1.contains("node-0") && chosen.1.contains("12,345"), "{}", chosen.1);
        let killed = lines.iter().find(|(_, line)| line.contains("node-1")).expect("it is shown");
        assert_eq!(killed.0, Look::Bad);
    }

    #[test]
    fn without_an_answer_the_processes_are_still_shown() {
        let frame = Frame { founders: 3, status: None, rows: rows(), events: &[], endpoint: None };
        let text: String = frame.lines(100, 20).into_iter().map(|(_, line)| line + "\n").collect();
        assert!(text.contains("no node answers") && text.contains("killed"), "{text}");
    }
}
