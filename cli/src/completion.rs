//! `completion`: what shells need to complete command lines.
//!
//! bash cuts words at colons, and most of our commands have one, so it gets a script of
//! our own; zsh and fish get clap's.

use anyhow::Result;
use clap::{Args, Command, ValueEnum};

use crate::{context::Context, dispatch, output};

/// Prints the completion script for a shell
///
/// bash: echo 'source <(wharf completion bash)' >> ~/.bashrc
/// zsh:  wharf completion zsh > a folder of $fpath/_wharf
/// fish: wharf completion fish > ~/.config/fish/completions/wharf.fish
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Completion {
    shell: Shell,
}

#[derive(Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Completion {
    /// `completion`
    pub async fn run(self, _cx: &Context) -> Result<()> {
        let mut command = dispatch::command();
        command.build();
        let script = match self.shell {
            Shell::Bash => bash(&command),
            Shell::Zsh => generated(&mut command, clap_complete::Shell::Zsh),
            Shell::Fish => generated(&mut command, clap_complete::Shell::Fish),
        };
        output::write(&script);
        Ok(())
    }
}

fn generated(command: &mut Command, shell: clap_complete::Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, command, "wharf", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// Command names, then flags; after `--app` the names of apps.
const BASH: &str = r#"_wharf() {
    local line="${COMP_LINE:0:COMP_POINT}" words=() cur prev choices
    read -ra words <<< "$line"
    if [[ "$line" == *' ' ]]; then words+=(''); fi
    cur="${words[-1]}"
    if ((${#words[@]} <= 2)); then
        choices='@COMMANDS@'
    else
        prev="${words[-2]}"
        case "$prev" in
            -a|--app|--confirm) choices="$(wharf apps --names 2>/dev/null)" ;;
            *) case "${words[1]}" in
@FLAGS@
            esac ;;
        esac
    fi
    COMPREPLY=($(compgen -W "$choices" -- "$cur"))
    if [[ "$cur" == *:* && "$COMP_WORDBREAKS" == *:* ]]; then
        COMPREPLY=("${COMPREPLY[@]#"${cur%:*}:"}")
    fi
}
complete -o default -F _wharf wharf
"#;

fn bash(command: &Command) -> String {
    let names: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
    let flags = |sub: &Command| {
        let longs = sub.get_arguments().filter_map(|arg| arg.get_long()).map(|long| format!("--{long}"));
        let patterns = [sub.get_name()].into_iter().chain(sub.get_all_aliases()).collect::<Vec<_>>().join("|");
        format!("                {patterns}) choices='{}' ;;", longs.collect::<Vec<_>>().join(" "))
    };
    let flags: Vec<String> = command.get_subcommands().map(flags).collect();
    BASH.replace("@COMMANDS@", &names.join(" ")).replace("@FLAGS@", &flags.join("\n"))
}
