//! Model files on disk: the manifest, download, verification, listing. No inference here.
