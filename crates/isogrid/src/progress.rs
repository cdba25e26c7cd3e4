//! Progress bars for anything long: on standard error, and only where a person looks at it.

use std::fmt::Write;
use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

/// A bar from nothing to `total`, or one that only counts when the total is not known.
pub(crate) fn bar(label: &'static str, total: Option<u64>) -> ProgressBar {
    let visible = std::io::stderr().is_terminal();
    let target = if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(total, target);
    let template = match total {
        Some(_) => "{msg} {wide_bar} {human_pos}/{human_len} {rate} {eta}",
        None => "{msg} {spinner} {human_pos} {rate}",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        let rate = |state: &ProgressState, out: &mut dyn Write| {
            // There is nobody to tell that a bar cannot be drawn.
            let _ = write!(out, "{:.0}/s", state.per_sec());
        };
        bar.set_style(style.with_key("rate", rate));
    }
    bar.set_message(label);
    bar
}
