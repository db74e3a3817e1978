//! What the guarantees need of the outside: the programs, captures, peers, and a way to say what is left out.

pub mod biflows;
pub mod borrowed_kernel;
pub mod certificates;
pub mod collector;
pub mod numbered;
pub mod peers;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The root of the workspace.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the package lies in the workspace")
}

/// One of the two programs, built in the profile that the tests are built in.
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the running test");
    let folder = test.ancestors().nth(2).expect("target/PROFILE/deps/test");
    let program = folder.join(name);
    // `make test` builds before it tests; `cargo test` alone builds no programs for this package.
    if std::env::var_os("FLOWGAUGE_BUILT").is_none() {
        let mut build = Command::new(env!("CARGO"));
        build
            .args(["build", "--quiet", "--package", name, "--bin", name])
            .current_dir(root());
        if folder.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().expect("cargo").success(), "building {name}");
    }
    assert!(program.is_file(), "{} is not built", program.display());
    program
}

/// Says on the test's output what is left out, and why.
pub fn skipped(what: &str, why: &str) {
    println!("skipped: {what}: {why}");
}

/// The folder of captures, registries and the traffic generator beside the checkout, where it is there.
pub fn shared() -> Option<PathBuf> {
    let folder = std::env::var_os("FLOWGAUGE_SHARED").map_or_else(|| root().join("../shared"), PathBuf::from);
    folder.is_dir().then_some(folder)
}

/// A capture with its truth from the traffic generator.
pub fn synth(folder: &Path, profile: &str, seed: u32, packets: u32) -> Option<(PathBuf, PathBuf)> {
    synth_with(folder, profile, seed, packets, &[])
}

/// The same, with more arguments for the generator.
pub fn synth_with(folder: &Path, profile: &str, seed: u32, packets: u32, more: &[&str]) -> Option<(PathBuf, PathBuf)> {
    let generator = shared()?.join("tools/synth");
    if !generator.is_dir() || Command::new("python3").arg("--version").output().is_err() {
        return None;
    }
    let (capture, truth) = (folder.join("synth.pcap"), folder.join("synth.json"));
    let output = Command::new("python3")
        .arg(generator)
        .args([
            "--profile",
            profile,
            "--seed",
            &seed.to_string(),
            "--packets",
            &packets.to_string(),
        ])
        .args([Path::new("--out"), &capture, Path::new("--truth"), &truth])
        .args(more)
        .output()
        .expect("python3");
    assert!(output.status.success(), "{}", text(&output.stderr));
    Some((capture, truth))
}

/// Runs to the end.
pub fn run(program: &Path, arguments: &[&str]) -> Output {
    Command::new(program)
        .args(arguments)
        .output()
        .expect("the program starts")
}

/// Runs to the end, which must be a good one.
pub fn succeed(program: &Path, arguments: &[&str]) -> Output {
    let output = run(program, arguments);
    assert!(
        output.status.success(),
        "{} {arguments:?}: {}",
        program.display(),
        text(&output.stderr)
    );
    output
}

pub fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

/// A port that nobody uses at this moment, neither for UDP nor for TCP.
pub fn free_port() -> u16 {
    for _ in 0..100 {
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback");
        let port = tcp.local_addr().expect("bound").port();
        if std::net::UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}
