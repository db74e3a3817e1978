//! Builds the crate anew when the page was built anew: what lies in `ui/dist` is embedded in the binary.

fn main() {
    // A directory that is not there would make cargo build the crate every time. Where it cannot be made, it does.
    let _ = std::fs::create_dir_all("ui/dist");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=ui/dist");
}
