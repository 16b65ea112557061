//! `hr restart`

use clap::Args;
use rustix::process::Signal;

use crate::cli::desk::Desk;
use crate::cli::report::Advice;
use crate::cli::stop::{Waiting, is_alive, send};
use crate::cli::{print, talk};

/// Restart the router without refusing a connection
///
/// Requests in flight are finished, then the program is started anew with the
/// same listening socket; callers in between wait. Needed after an update or a
/// change of `PORT` or `HOST`, and for nothing else.
///
/// Example:
///
///   hr restart
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Restart {}

impl Restart {
    pub fn run(&self, desk: &Desk) -> anyhow::Result<()> {
        let Some(before) = desk.running()? else {
            return Err(Advice::new("no router runs", "start one with `hr start`").into());
        };
        // A router that would not come up again is better left alone.
        desk.load()?;
        send(&before, Signal::USR2)?;
        let mut waiting = Waiting::new(desk, "finishing the requests in flight");
        loop {
            if let Some(now) = desk.running()?.filter(|now| now.started != before.started)
                && talk::get(now.address, "/health", None).is_ok_and(|answer| answer.status == 200)
            {
                return print::out(&format!(
                    "The router has restarted and listens on http://{}\n",
                    now.address
                ));
            }
            if !is_alive(&before) {
                return Err(
                    Advice::new("the router ended and did not come back", "`hr start` says why").into()
                );
            }
            if !waiting.goes_on() {
                return Err(Advice::new("the router has not restarted", "`hr stop`, then `hr start`").into());
            }
        }
    }
}
