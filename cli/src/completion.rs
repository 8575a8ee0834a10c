//! `completion`: completion scripts for shells.
//!
//! The scripts are our own: most commands contain a colon, which splits words in bash and
//! starts a description in zsh, and app names come from the platform.

use anyhow::Result;
use clap::{Arg, Args, Command, ValueEnum};

use crate::{command_line, context::Context, output};

/// Prints the completion script for a shell
///
/// bash: echo 'source <(wharf completion bash)' >> ~/.bashrc
/// zsh:  wharf completion zsh > _wharf, in a folder of $fpath
/// fish: wharf completion fish > ~/.config/fish/completions/wharf.fish
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Completion {
    /// The shell
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
    pub async fn run(self, cx: &Context) -> Result<()> {
        let mut command = command_line::command(&cx.groups);
        command.build();
        output::write(&match self.shell {
            Shell::Bash => bash(&command),
            Shell::Zsh => zsh(&command),
            Shell::Fish => fish(&command),
        });
        Ok(())
    }
}

const BASH: &str = r#"_wharf() {
    local line="${COMP_LINE:0:COMP_POINT}" words=() cur choices=
    read -ra words <<< "$line"
    if [[ "$line" == *' ' ]]; then words+=(''); fi
    cur="${words[-1]}"
    if ((${#words[@]} <= 2)); then
        choices='@COMMANDS@'
    elif [[ "${words[-2]}" =~ ^(-a|--app|--confirm)$ ]]; then
        choices="$(wharf apps --names 2>/dev/null)"
    else
        case "${words[1]}" in
@FLAGS@
        esac
    fi
    COMPREPLY=($(compgen -W "$choices" -- "$cur"))
    if [[ "$cur" == *:* && "$COMP_WORDBREAKS" == *:* ]]; then
        COMPREPLY=("${COMPREPLY[@]#"${cur%:*}:"}")
    fi
}
complete -o default -F _wharf wharf
"#;

const ZSH: &str = r#"#compdef wharf
_wharf() {
    local -a choices
    if (( CURRENT == 2 )); then
        choices=(
@COMMANDS@
        )
    elif [[ "${words[CURRENT-1]}" == (-a|--app|--confirm) ]]; then
        choices=(${(f)"$(wharf apps --names 2>/dev/null)"})
    else
        case "${words[2]}" in
@FLAGS@
        esac
    fi
    _describe 'wharf' choices || _files
}
if [[ "${funcstack[1]}" == _wharf ]]; then _wharf "$@"; else compdef _wharf wharf; fi
"#;

const FISH: &str = r#"complete -c wharf -f
complete -c wharf -n 'not __fish_use_subcommand' -s a -l app -x -a '(wharf apps --names 2>/dev/null)'
complete -c wharf -n '__fish_seen_subcommand_from destroy' -l confirm -x -a '(wharf apps --names 2>/dev/null)'
"#;

/// The name and aliases of a command.
fn names(command: &Command) -> Vec<&str> {
    [command.get_name()].into_iter().chain(command.get_all_aliases()).collect()
}

fn caption(command: &Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default()
}

/// Completions after a command, with descriptions: flags, and the values of enumerated arguments.
fn choices(command: &Command) -> Vec<(String, String)> {
    let help = |arg: &Arg| arg.get_help().map(ToString::to_string).unwrap_or_default();
    let of = |arg: &Arg| match arg.get_long() {
        Some(long) => vec![(format!("--{long}"), help(arg))],
        None => arg.get_possible_values().iter().map(|v| (v.get_name().to_owned(), String::new())).collect(),
    };
    command.get_arguments().flat_map(of).collect()
}

/// In single quotes, which are the same in all three shells.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.collect::<Vec<_>>().join("\n")
}

fn bash(command: &Command) -> String {
    let all: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
    let flags = lines(command.get_subcommands().map(|sub| {
        let words: Vec<String> = choices(sub).into_iter().map(|(word, _)| word).collect();
        format!("            {}) choices={} ;;", names(sub).join("|"), quote(&words.join(" ")))
    }));
    BASH.replace("@COMMANDS@", &all.join(" ")).replace("@FLAGS@", &flags)
}

fn zsh(command: &Command) -> String {
    let entry = |word: &str, caption: &str| quote(&format!("{}:{caption}", word.replace(':', r"\:")));
    let all =
        lines(command.get_subcommands().map(|sub| format!("            {}", entry(sub.get_name(), &caption(sub)))));
    let flags = lines(command.get_subcommands().map(|sub| {
        let words: Vec<String> = choices(sub).iter().map(|(word, caption)| entry(word, caption)).collect();
        format!("            {}) choices=({}) ;;", names(sub).join("|"), words.join(" "))
    }));
    ZSH.replace("@COMMANDS@", &all).replace("@FLAGS@", &flags)
}

fn fish(command: &Command) -> String {
    let mut script = FISH.to_owned();
    for sub in command.get_subcommands() {
        let (name, caption) = (sub.get_name(), quote(&caption(sub)));
        script.push_str(&format!("complete -c wharf -n __fish_use_subcommand -a {name} -d {caption}\n"));
        for (word, caption) in choices(sub) {
            let what = match word.strip_prefix("--") {
                Some(long) => format!("-l {long}"),
                None => format!("-a {word}"),
            };
            let when = quote(&format!("__fish_seen_subcommand_from {}", names(sub).join(" ")));
            script.push_str(&format!("complete -c wharf -n {when} {what} -d {}\n", quote(&caption)));
        }
    }
    script
}
