//! `hr config path`

use clap::Args;
use serde::Serialize;

use crate::cli::desk::Desk;
use crate::cli::paint::Paint;
use crate::cli::print;
use crate::cli::table::{Cell, Table};
use crate::files::home::Place;

/// Show where things live
///
/// The folder that `HR_HOME` names; else the working directory, when its `.env`
/// has `PROXY_API_KEYS` or its `auth.json` is one of this program; else the XDG
/// folders.
///
/// Examples:
///
///   hr config path
///   hr config path --json
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Path {
    /// Print the paths as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Paths {
    place: Place,
    settings: String,
    credentials: String,
    providers: String,
    state: String,
    running: String,
    install_key: String,
}

impl Path {
    pub fn run(&self, desk: &Desk) -> anyhow::Result<()> {
        let home = &desk.home;
        let paths = Paths {
            place: home.place,
            settings: home.env.display().to_string(),
            credentials: desk.auth_path().display().to_string(),
            providers: home.providers.display().to_string(),
            state: desk.store_path().display().to_string(),
            running: home.pid.display().to_string(),
            install_key: home.install_key.display().to_string(),
        };
        if self.json {
            return print::json(&paths);
        }
        let place = match paths.place {
            Place::HrHome => "`HR_HOME`",
            Place::WorkingDirectory => "the working directory",
            Place::Xdg => "the XDG folders",
        };
        let mut table = Table::new(&["What", "Where", ""]);
        for (what, path) in [
            ("settings", &paths.settings),
            ("credentials", &paths.credentials),
            ("own providers", &paths.providers),
            ("what is learned", &paths.state),
            ("running router", &paths.running),
            ("install secret", &paths.install_key),
        ] {
            let missing = if std::path::Path::new(path).exists() { "" } else { "(not there yet)" };
            table.row([what.into(), path.as_str().into(), Cell::painted(missing, Paint::faint)]);
        }
        print::out(&format!("{}\nFound through {place}.\n", table.render(&Paint::stdout())))
    }
}
