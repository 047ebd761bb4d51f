//! What is to outlive the process, in one SQLite file in the data folder.
