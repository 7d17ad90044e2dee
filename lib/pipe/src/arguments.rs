//! The arguments that every command has.

use std::path::PathBuf;

/// Flattened into each command's own arguments.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Common options")]
pub struct CommonArguments {
    /// Say what would be done, and do nothing
    #[arg(long, global = true)]
    pub dry_run: bool,

    /// Say more on standard error
    #[arg(short, long, global = true)]
    pub verbose: bool,

    /// Append the status lines to this file instead
    #[arg(long, value_name = "FILE", global = true)]
    pub status: Option<PathBuf>,

    /// A bar on a terminal, JSON status lines, or nothing
    #[arg(long, value_enum, default_value_t = ProgressChoice::Auto, value_name = "HOW", global = true)]
    pub progress: ProgressChoice,
}

/// How a long run shows that it lives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ProgressChoice {
    /// A bar on a terminal, nothing elsewhere.
    #[default]
    Auto,
    /// Nothing.
    Never,
    /// A `progress` status line every second.
    Json,
}
