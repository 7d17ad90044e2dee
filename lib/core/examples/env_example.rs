//! Prints the example of a `.env` file; `make env-example` keeps it as `.env.example`.

use std::io::Write;

fn main() -> std::io::Result<()> {
    std::io::stdout().write_all(vb_core::environment::example_file().as_bytes())
}
