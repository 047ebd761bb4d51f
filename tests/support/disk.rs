//! A disk that is full soon.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Output},
};

/// Set for a test that runs again where it may mount.
const INSIDE: &str = "CAAL_TEST_MAY_MOUNT";

/// A disk of one size, taken away at the end.
pub(crate) struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None` where this process may not mount: then the calling test is done, for it was run again in
    /// a namespace of its own, where everybody may. Where the system allows no such namespace the test
    /// is skipped, which is said on standard error.
    pub(crate) fn new(size: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = mount(Command::new("mount"), size, dir.path());
        if mounted.status.success() {
            return Some(Self(dir));
        }
        assert!(!inside(), "the namespace was to allow it: {mounted:?}");
        run_again(dir.path());
        None
    }

    /// Gives it another size.
    pub(crate) fn resize(&self, size: &str) {
        // Named in full, or mount would repeat options that a namespace may not set.
        let options = format!("remount,size={size}");
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(self.0.path())
            .status();
        assert!(status.expect("mount runs").success());
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

fn mount(mut command: Command, size: &str, place: &Path) -> Output {
    let size = format!("size={size}");
    let command = command.args(["-t", "tmpfs", "-o", &size, "tmpfs"]);
    command.arg(place).output().expect("mount runs")
}

fn unshare() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "--"]);
    command
}

/// The calling test once more, in a process that may mount. libtest names a test's thread after it.
fn run_again(place: &Path) {
    let thread = std::thread::current();
    let test = thread.name().filter(|name| name.contains("::"));
    let mut attempt = unshare();
    attempt.arg("mount");
    let allowed = mount(attempt, "4k", place).status.success();
    let (Some(test), true) = (test, allowed) else {
        // Not a print macro: the reader of a run that passes must see this.
        let why =
            "SKIPPED, a full disk: this machine lets neither us nor a user namespace mount one";
        let _ = writeln!(std::io::stderr(), "{}: {why}", test.unwrap_or("a test"));
        return;
    };
    let output = unshare()
        .arg(std::env::current_exe().expect("this test has a path"))
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .expect("unshare runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "in a user namespace: {said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}
