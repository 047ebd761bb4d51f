//! A file that is being written: `<file>.part` with a running sha256, renamed when it is right.
//!
//! What is in the part on disk is always the beginning of the file, so it can be taken up again after
//! any interruption: the sha256 of what is there is computed once, then goes on.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use tokio::{fs::File, io::AsyncWriteExt as _};

use super::{record::hex, store::PART};
use crate::telemetry;

/// The beginning of a file, on disk.
pub(crate) struct Part {
    target: PathBuf,
    path: PathBuf,
    file: File,
    hash: Sha256,
    len: u64,
}

impl Part {
    /// Takes up the part of `target`, or begins it. Makes the folder.
    pub(crate) async fn open(target: &Path) -> io::Result<Self> {
        let path = part_of(target);
        if let Some(folder) = target.parent() {
            tokio::fs::create_dir_all(folder).await?;
        }
        let (file, hash, len) = blocking({
            let path = path.clone();
            move || {
                let mut file = fs::File::options()
                    .create(true)
                    .truncate(false)
                    .read(true)
                    .write(true)
                    .open(path)?;
                let mut hash = Sha256::new();
                let mut len = 0;
                let mut buffer = vec![0; 1 << 20];
                // Read to the end, so that the next write appends.
                loop {
                    let n = io::Read::read(&mut file, &mut buffer)?;
                    if n == 0 {
                        return Ok((file, hash, len));
                    }
                    hash.update(&buffer[..n]);
                    len += n as u64;
                }
            }
        })
        .await?;
        Ok(Self {
            target: target.to_owned(),
            path,
            file: File::from_std(file),
            hash,
            len,
        })
    }

    /// Bytes so far.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Adds bytes.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes).await?;
        self.hash.update(bytes);
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Makes sure that a crash of the process loses nothing that was written.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        self.file.flush().await
    }

    /// Forgets all bytes and begins anew.
    pub(crate) async fn restart(&mut self) -> io::Result<()> {
        self.file.flush().await?;
        self.file.set_len(0).await?;
        tokio::io::AsyncSeekExt::seek(&mut self.file, io::SeekFrom::Start(0)).await?;
        self.hash = Sha256::new();
        self.len = 0;
        Ok(())
    }

    /// Of the bytes so far.
    pub(crate) fn sha256(&self) -> String {
        hex(&self.hash.clone().finalize())
    }

    /// Gives the file its name: it is complete and right. After this it survives a power cut.
    pub(crate) async fn finish(mut self) -> io::Result<()> {
        self.file.flush().await?;
        self.file.sync_all().await?;
        blocking(move || {
            fs::rename(&self.path, &self.target)?;
            if let Some(folder) = self.target.parent() {
                fs::File::open(folder)?.sync_all()?;
            }
            Ok(())
        })
        .await
    }

    /// Deletes the part.
    pub(crate) async fn delete(self) -> io::Result<()> {
        tokio::fs::remove_file(&self.path).await
    }
}

/// `<file>.part`.
pub(crate) fn part_of(target: &Path) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(PART);
    PathBuf::from(name)
}

/// Runs blocking work on the threads for it. Dropping the future leaves the work to its end: it may
/// touch only files that a later pull can take up or overwrite.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|e| {
        let how = telemetry::ended(&e);
        Err(io::Error::other(format!("the thread that does it {how}")))
    })
}
