//! The commands that Helm prints after an install can be pasted into a shell unchanged.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use serde_json::Value;

use super::{directory, helm};

fn notes(flags: &[&str]) -> String {
    let directory = directory();
    let arguments = ["install", "dws", directory.to_str().unwrap(), "--namespace", "dws-system", "--dry-run=client"];
    let output = helm(&[&arguments[..], &["--set", "image.repository=a"], flags].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    said.split_once("\nNOTES:\n").unwrap().1.to_owned()
}

#[test]
fn the_notes_can_be_pasted_and_hand_kubectl_a_manifest() {
    let notes = notes(&["--set", "cloud.region=cn-east-3"]);
    // From the first command line to the last one.
    let lines: Vec<_> = notes.lines().collect();
    let is_command = |line: &&str| line.trim_start().starts_with("kubectl ");
    let begin = lines.iter().position(|line| is_command(line) && line.contains(" apply ")).unwrap();
    let end = begin + lines[begin..].iter().position(|line| is_command(line) && line.contains(" describe ")).unwrap();
    let pasted = lines[begin..=end].join("\n");

    let machine = tempfile::tempdir().unwrap();
    let kubectl = machine.path().join("kubectl");
    fs::write(&kubectl, "#!/bin/sh\necho \"$*\" >> calls\ncase $* in *' -f -') cat > manifest ;; esac\n").unwrap();
    fs::set_permissions(&kubectl, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", machine.path().display());
    let output = Command::new("bash").args(["-c", &pasted]).current_dir(&machine).env("PATH", path).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let calls = fs::read_to_string(machine.path().join("calls")).unwrap();
    assert_eq!(calls, "--namespace default apply -f -\n--namespace default describe clusterredistribution example\n");
    let manifest = fs::read_to_string(machine.path().join("manifest")).unwrap();
    let manifest: Value = serde_saphyr::from_str(&manifest).unwrap();
    assert_eq!(
        (&manifest["kind"], &manifest["spec"]["region"]),
        (&"ClusterRedistribution".into(), &"cn-east-3".into())
    );
    // A line for people begins with a capital letter or continues one that does; a command is never indented.
    assert!(lines.iter().all(|line| !line.starts_with(' ') || lines[begin..=end].contains(line)), "{notes}");
}

#[test]
fn the_notes_name_a_namespace_that_is_watched() {
    assert!(notes(&["--set", "watchNamespaces={team-a,team-b}"]).contains("kubectl --namespace team-a apply -f -"));
}
