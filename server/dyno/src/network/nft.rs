//! Fragments of nft syntax.

/// The elements of an anonymous set.
pub(super) fn list<T: ToString>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

/// A rule that applies the verdict `what` to packets that match `which` and go to one of the ports.
pub(super) fn to_ports(ports: &[u16], which: &str, what: &str) -> String {
    match ports {
        [] => String::new(),
        ports => format!("{which} tcp dport {{ {} }} {what}", list(ports)),
    }
}

/// A set of networks.
pub(super) fn set(name: &str, kind: &str, networks: &[String]) -> String {
    let elements = if networks.is_empty() { String::new() } else { format!("elements = {{ {} }}\n", list(networks)) };
    format!("  set {name} {{\ntype {kind}\nflags interval\nauto-merge\n{elements}}}\n")
}
