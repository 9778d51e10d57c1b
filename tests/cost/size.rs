//! The size of the binary, where a release has been built.

use std::path::Path;

use crate::scene::EXE;

const MOST_BYTES: u64 = 5 * 1024 * 1024;

#[test]
fn the_release_binary_has_at_most_5_mb() {
    let release = Path::new(EXE).parent().unwrap().with_file_name("release").join("gateway-reaper");
    match release.metadata() {
        Ok(metadata) => {
            println!("{} bytes", metadata.len());
            assert!(metadata.len() <= MOST_BYTES, "{} has {} bytes", release.display(), metadata.len());
        }
        Err(_) => {
            println!("not weighed: there is no {}; `cargo build --release` makes it", release.display())
        }
    }
}
