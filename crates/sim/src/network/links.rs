//! Which links a disturbance touches, and what it does to them. Both have a form as text, which is that of the fault
//! schedule: `loss 5% n0,n1|n2`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::NodeIndex;
use crate::random::Rate;
use crate::time::{format_duration, parse_duration};

/// Some directions of links. As text one word without spaces.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Links {
    /// All of them: `all`.
    All,
    /// From one node to another, not back: `n0->n2`.
    OneWay(NodeIndex, NodeIndex),
    /// Between two nodes, both ways: `n0<->n2`.
    Both(NodeIndex, NodeIndex),
    /// Everything a node sends: `n1->all`.
    From(NodeIndex),
    /// Everything a node receives: `all->n1`.
    To(NodeIndex),
    /// Everything a node sends and receives: `n1`.
    Of(NodeIndex),
    /// Between these groups, not within them: `n0,n1|n2,n3`. Nodes in no group keep all their links.
    Across(Vec<Vec<NodeIndex>>),
    /// Between those that are not neighbours in this ring: `ring:n0,n1,n2,n3`. Each still sees two others, and no two see
    /// the same.
    BeyondRing(Vec<NodeIndex>),
}

impl Links {
    /// Whether this direction is one of them.
    pub fn contain(&self, from: NodeIndex, to: NodeIndex) -> bool {
        match self {
            Links::All => true,
            Links::OneWay(a, b) => (*a, *b) == (from, to),
            Links::Both(a, b) => (*a, *b) == (from, to) || (*b, *a) == (from, to),
            Links::From(node) => *node == from,
            Links::To(node) => *node == to,
            Links::Of(node) => *node == from || *node == to,
            Links::Across(groups) => {
                let group_of = |node| groups.iter().position(|group| group.contains(&node));
                match (group_of(from), group_of(to)) {
                    (Some(one), Some(other)) => one != other,
                    _ => false,
                }
            }
            Links::BeyondRing(ring) => {
                let place_of = |node| ring.iter().position(|member| *member == node);
                match (place_of(from), place_of(to)) {
                    (Some(one), Some(other)) => {
                        let apart = one.abs_diff(other);
                        apart > 1 && apart < ring.len() - 1
                    }
                    _ => false,
                }
            }
        }
    }
}

fn joined(nodes: &[NodeIndex]) -> String {
    nodes.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

fn parse_nodes(text: &str) -> Result<Vec<NodeIndex>, String> {
    text.split(',').map(str::parse).collect()
}

impl fmt::Display for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Links::All => f.write_str("all"),
            Links::OneWay(from, to) => write!(f, "{from}->{to}"),
            Links::Both(one, other) => write!(f, "{one}<->{other}"),
            Links::From(node) => write!(f, "{node}->all"),
            Links::To(node) => write!(f, "all->{node}"),
            Links::Of(node) => node.fmt(f),
            Links::Across(groups) => {
                let groups: Vec<String> = groups.iter().map(|group| joined(group)).collect();
                f.write_str(&groups.join("|"))
            }
            Links::BeyondRing(ring) => write!(f, "ring:{}", joined(ring)),
        }
    }
}

impl FromStr for Links {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(Links::All);
        }
        if let Some(ring) = text.strip_prefix("ring:") {
            return Ok(Links::BeyondRing(parse_nodes(ring)?));
        }
        if let Some((one, other)) = text.split_once("<->") {
            return Ok(Links::Both(one.parse()?, other.parse()?));
        }
        if let Some((from, to)) = text.split_once("->") {
            return match (from, to) {
                ("all", to) => Ok(Links::To(to.parse()?)),
                (from, "all") => Ok(Links::From(from.parse()?)),
                (from, to) => Ok(Links::OneWay(from.parse()?, to.parse()?)),
            };
        }
        if text.contains('|') {
            let groups: Result<_, String> = text.split('|').map(parse_nodes).collect();
            return groups.map(Links::Across);
        }
        text.parse().map(Links::Of).map_err(|_| {
            format!("{text:?} names no links, like all, n0, n0->n1, n0<->n1, n0,n1|n2 or ring:n0,n1,n2,n3")
        })
    }
}

/// What a disturbance does to its links.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LinkEffect {
    /// Nothing gets through, also not what was on its way.
    Cut,
    /// Everything is held back, and delivered in one burst at the end.
    Clog,
    /// At least so many messages are lost.
    Loss(Rate),
    /// At least so many arrive twice.
    Duplicate(Rate),
    /// At least so many may be overtaken.
    Reorder(Rate),
    /// All take so much longer.
    Delay(Duration),
    /// The link carries at most so many bytes per second.
    Bandwidth(u64),
}

impl LinkEffect {
    /// The word of the effect, for counting.
    pub fn name(&self) -> &'static str {
        match self {
            LinkEffect::Cut => "cut",
            LinkEffect::Clog => "clog",
            LinkEffect::Loss(_) => "loss",
            LinkEffect::Duplicate(_) => "duplicate",
            LinkEffect::Reorder(_) => "reorder",
            LinkEffect::Delay(_) => "delay",
            LinkEffect::Bandwidth(_) => "bandwidth",
        }
    }

    /// The number behind the word, if there is one.
    fn amount(&self) -> Option<String> {
        match self {
            LinkEffect::Cut | LinkEffect::Clog => None,
            LinkEffect::Loss(rate) | LinkEffect::Duplicate(rate) | LinkEffect::Reorder(rate) => {
                Some(rate.to_string())
            }
            LinkEffect::Delay(by) => Some(format_duration(*by)),
            LinkEffect::Bandwidth(bytes_per_second) => Some(bytes_per_second.to_string()),
        }
    }
}

/// Something wrong with some links. As text: `cut n0->n2`, `loss 5% all`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Disturbance {
    /// What is wrong.
    pub effect: LinkEffect,
    /// With which links.
    pub links: Links,
}

impl Disturbance {
    /// A disturbance.
    pub fn new(effect: LinkEffect, links: Links) -> Self {
        Disturbance { effect, links }
    }

    /// These links are cut.
    pub fn cut(links: Links) -> Self {
        Disturbance::new(LinkEffect::Cut, links)
    }

    /// From the words of its text. `None` when the first is not that of an effect.
    pub(crate) fn from_words(words: &[&str]) -> Option<Result<Self, String>> {
        let effect = match *words {
            ["cut", _] => Ok(LinkEffect::Cut),
            ["clog", _] => Ok(LinkEffect::Clog),
            ["loss", rate, _] => rate.parse().map(LinkEffect::Loss),
            ["duplicate", rate, _] => rate.parse().map(LinkEffect::Duplicate),
            ["reorder", rate, _] => rate.parse().map(LinkEffect::Reorder),
            ["delay", by, _] => parse_duration(by).map(LinkEffect::Delay),
            ["bandwidth", amount, _] => amount
                .parse()
                .map(LinkEffect::Bandwidth)
                .map_err(|_| format!("{amount:?} is not a number of bytes per second")),
            _ => return None,
        };
        let links = words.last().map_or_else(|| "".parse(), |links| links.parse());
        Some(effect.and_then(|effect| Ok(Disturbance::new(effect, links?))))
    }
}

impl fmt::Display for Disturbance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.effect.amount() {
            Some(amount) => write!(f, "{} {amount} {}", self.effect.name(), self.links),
            None => write!(f, "{} {}", self.effect.name(), self.links),
        }
    }
}
