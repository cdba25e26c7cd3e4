//! What this node does as a member of a cluster: forms or joins it, tells the council's leader that it lives, learns what
//! was decided, and, when it leads the council itself, runs the steward.
//!
//! | module | what it holds |
//! |---|---|
//! | `view` | all that this node knows of what was committed |
//! | `news` | what brings a view up to date |

pub(crate) mod news;
pub(crate) mod view;
