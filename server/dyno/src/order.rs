//! From the specification of a dyno to the order for its shim.

use std::collections::BTreeMap;

use api::ids::RunId;
use shim::{ExecOrder, Order};

use crate::filters::filters;
use crate::{Error, Exec, Host, Spec};

/// Sources the profile scripts and becomes bash with the command. The command is kept in a variable
/// because a sourced script may change the positional parameters.
const LAUNCH: &str = r#"__command=$1
for __script in .profile.d/*.sh; do [ -r "$__script" ] && . "$__script"; done
[ -r .profile ] && . ./.profile
unset __script
exec bash --noprofile --norc -c "$__command""#;

/// What the shim of a dyno has to do.
pub(crate) fn order(spec: &Spec, host: &Host) -> Result<Order, Error> {
    let spec = spec.clone();
    let arguments = match spec.raw {
        true => ["/bin/sh", "-c", &spec.command].map(str::to_owned).to_vec(),
        false => launch(&spec.command),
    };
    let environment = environment(spec.env, &spec.name, spec.port, spec.limits.memory_bytes >> 20);
    Ok(Order {
        id: spec.id.to_string(),
        uid: spec.uid,
        arguments,
        environment,
        root: spec.root,
        limits: spec.limits,
        time: spec.time,
        terminal: spec.terminal,
        network: host.network,
        group: host.group.clone(),
        filters: filters().map_err(Error::Host)?.clone(),
    })
}

/// What the supervisor of a further process in a dyno has to do.
pub(crate) fn exec_order(id: RunId, exec: &Exec, host: &Host) -> Result<ExecOrder, Error> {
    Ok(ExecOrder {
        id: id.to_string(),
        uid: exec.uid,
        arguments: launch(&exec.command),
        environment: environment(exec.env.clone(), &exec.name, None, exec.memory_bytes >> 20),
        terminal: exec.terminal,
        group: host.group.clone(),
        filters: filters().map_err(Error::Host)?.clone(),
    })
}

/// The arguments that run a command as in a dyno: after the profile scripts.
fn launch(command: &str) -> Vec<String> {
    ["/bin/bash", "--noprofile", "--norc", "-c", LAUNCH, "bash", command].map(str::to_owned).to_vec()
}

/// The environment, as `NAME=VALUE`. `memory` is the quota in MB. The hard limit, which a program could read, is far
/// above it.
fn environment(mut env: BTreeMap<String, String>, name: &str, port: Option<u16>, memory: u64) -> Vec<String> {
    let defaults = [("HOME", "/app"), ("PATH", "/usr/local/bin:/usr/bin:/bin"), ("USER", "wharf"), ("LANG", "C.UTF-8")];
    for (key, value) in defaults {
        env.entry(key.to_owned()).or_insert_with(|| value.to_owned());
    }
    env.entry("MEMORY_AVAILABLE".to_owned()).or_insert_with(|| memory.to_string());
    env.insert("DYNO".to_owned(), name.to_owned());
    if let Some(port) = port {
        env.insert("PORT".to_owned(), port.to_string());
    }
    env.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
}
