//! The binary as its user meets it: exit codes, first words, a clean end.

use std::process::{Command, Output};

fn caal(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let home = tempfile::tempdir().expect("a folder");
    Command::new(env!("CARGO_BIN_EXE_caal"))
        .args(arguments)
        .env_clear()
        .env("CAAL_HOME", home.path())
        .current_dir(home.path())
        .envs(environment.iter().copied())
        .output()
        .expect("the binary runs")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_wrong_word_on_the_command_line_is_exit_code_64() {
    for arguments in [&["frobnicate"][..], &["serve", "--port", "many"], &[]] {
        let output = caal(arguments, &[]);
        assert_eq!(
            output.status.code(),
            Some(64),
            "{arguments:?}: {}",
            stderr(&output)
        );
    }
}

#[test]
fn help_and_version_teach_and_succeed() {
    let help = caal(&["--help"], &[]);
    assert_eq!(help.status.code(), Some(0));
    let text = String::from_utf8_lossy(&help.stdout);
    for word in ["serve", "doctor", "models pull"] {
        assert!(text.contains(word), "{word} is missing in:\n{text}");
    }
    assert_eq!(caal(&["--version"], &[]).status.code(), Some(0));
}

#[test]
fn wrong_settings_are_told_all_at_once_before_anything_starts() {
    let output = caal(
        &["serve", "--port", "0"],
        &[("CAAL_DEVICE", "gpu"), ("CAAL_THREADS", "-1")],
    );
    assert_eq!(output.status.code(), Some(64));
    let text = stderr(&output);
    assert!(
        text.contains("CAAL_DEVICE") && text.contains("CAAL_THREADS"),
        "{text}"
    );
    assert!(!text.contains("loading"), "{text}");
}

#[test]
fn a_machine_without_models_is_told_the_next_step() {
    let output = caal(&["serve", "--port", "0"], &[]);
    assert_eq!(output.status.code(), Some(64), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("caal models pull"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_taken_port_is_one_clear_sentence() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let output = caal(&["serve", "--port", &port], &[]);
    assert_eq!(output.status.code(), Some(64));
    assert!(stderr(&output).contains("--port"), "{}", stderr(&output));
}
