//! The program that supervises one dyno: see [`shim::main`].

fn main() {
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    shim::main(&args)
}
