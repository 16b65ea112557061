//! Shell completions and the manual page, both derived from the commands' own definition.

use clap::{Args, Command};
use clap_complete::Shell;

use crate::cli::print;

/// Write shell completions to standard output
///
/// Examples:
///
///   hr completions bash > ~/.local/share/bash-completion/completions/hr
///   hr completions zsh  > "${fpath[1]}/_hr"
///   hr completions fish > ~/.config/fish/completions/hr.fish
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Completions {
    /// The shell to write them for
    shell: Shell,
}

impl Completions {
    pub fn run(self, command: &mut Command) -> anyhow::Result<()> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, command, "hr", &mut text);
        print::out(&String::from_utf8_lossy(&text))
    }
}

/// Writes the manual page: the program and each command in one page.
pub fn man(command: Command) -> anyhow::Result<()> {
    let mut text = Vec::new();
    let command = command.disable_help_subcommand(true);
    clap_mangen::Man::new(command.clone()).render(&mut text)?;
    for subcommand in command.get_subcommands() {
        section(subcommand, "hr", &mut text)?;
    }
    print::out(&String::from_utf8_lossy(&text))
}

/// One command as a section of the page, and those below it.
fn section(command: &Command, parent: &str, text: &mut Vec<u8>) -> anyhow::Result<()> {
    let name = format!("{parent} {}", command.get_name());
    let command = command.clone().bin_name(&name).display_name(&name);
    let man = clap_mangen::Man::new(command.clone());
    text.extend_from_slice(format!(".SH \"{}\"\n", name.to_uppercase()).as_bytes());
    man.render_description_section(text)?;
    man.render_options_section(text)?;
    for subcommand in command.get_subcommands() {
        section(subcommand, &name, text)?;
    }
    Ok(())
}
