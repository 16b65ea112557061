//! Arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    hermes_router::cli::main()
}
