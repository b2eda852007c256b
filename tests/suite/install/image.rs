//! The script that builds the image, with stand-ins for the compiler and the packing tool: which programs it packs.
//! Nothing is compiled here.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::TempDir;

const THIS_MACHINE: u8 = if cfg!(target_arch = "x86_64") { 62 } else { 183 };

/// The header of a static program of 64 bytes that cannot run. Machines: 62 is `EM_X86_64`, 183 `EM_AARCH64`.
pub fn header(machine: u8) -> Vec<u8> {
    let mut header = vec![0_u8; 64];
    header[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    header[16] = 2; // an executable
    header[18] = machine;
    header[20] = 1; // the format's version
    header[52] = 64; // this header's size
    header
}

/// A program of one segment, which only does `exit(0)`.
#[cfg(target_arch = "x86_64")]
fn starts() -> Vec<u8> {
    const BASE: u64 = 0x40_0000;
    let code = [0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05]; // mov eax, 60; xor edi, edi; syscall
    let mut file = header(THIS_MACHINE);
    file[24..32].copy_from_slice(&(BASE + 120).to_le_bytes()); // where it begins
    file[32] = 64; // where the table of segments is, how large one is, and how many there are
    file[54] = 56;
    file[56] = 1;
    let size = 120 + code.len() as u64;
    file.extend([1_u32, 5].into_iter().flat_map(u32::to_le_bytes)); // loaded, to be read and executed
    file.extend([0, BASE, BASE, size, size, 0x1000].into_iter().flat_map(u64::to_le_bytes));
    file.extend(code);
    file
}

/// Writes a program to the place where it is started. A process of its own writes it: a file that this process has open
/// for writing might still be open in a child of another test when it is started, and Linux starts no file that is open
/// for writing.
fn install(source: &Path, target: &Path) {
    let mut install = Command::new("install");
    assert!(install.args(["-m", "0755"]).arg(source).arg(target).status().unwrap().success());
}

struct Bench {
    directory: TempDir,
}

impl Bench {
    /// `program`: what the compiler makes.
    fn new(program: &[u8]) -> Self {
        let bench = Self { directory: tempfile::tempdir().unwrap() };
        let (container, bin) = (bench.at("tree/deploy/container"), bench.at("bin"));
        fs::create_dir_all(&container).unwrap();
        fs::create_dir(&bin).unwrap();
        for file in ["build", "check-binary", "Containerfile"] {
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/container").join(file);
            install(&source, &container.join(file));
        }
        fs::write(bench.at("roots.pem"), "roots").unwrap();
        fs::write(bench.at("program"), program).unwrap();
        bench.stand_in("rustc", "echo 'rustc 1.95.0 (0123456789 2026-01-01)'");
        bench.stand_in("rustup", "echo x86_64-unknown-linux-musl; echo aarch64-unknown-linux-musl");
        bench.stand_in(
            "cargo",
            &format!(
                r#"while [ "$1" != --target ]; do shift; done
                mkdir -p "target/$2/image"
                install -m 0755 '{}' "target/$2/image/redistribution-operator""#,
                bench.at("program").display(),
            ),
        );
        bench.stand_in("buildah", &format!("echo \"$*\" > '{}'", bench.at("packed").display()));
        bench
    }

    fn at(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    fn stand_in(&self, name: &str, script: &str) {
        let text = self.at("text");
        fs::write(&text, format!("#!/bin/sh\nset -e\n{script}\n")).unwrap();
        install(&text, &self.at("bin").join(name));
    }

    fn build(&self) -> Output {
        Command::new(self.at("tree/deploy/container/build"))
            .arg("localhost/image:test")
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", self.at("bin").display()))
            .env("CA_CERTIFICATES", self.at("roots.pem"))
            .output()
            .unwrap()
    }
}

#[test]
fn a_program_that_does_not_start_is_packed_into_no_image() {
    let bench = Bench::new(&header(THIS_MACHINE));
    let output = bench.build();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("does not start"), "{output:?}");
    assert!(!bench.at("packed").exists());
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_program_that_starts_is_packed_with_its_certificates() {
    let bench = Bench::new(&starts());
    let output = bench.build();
    assert!(output.status.success(), "{output:?}");
    let packed = fs::read_to_string(bench.at("packed")).unwrap();
    assert!(packed.contains("--platform linux/amd64") && packed.contains("--tag localhost/image:test"), "{packed}");
    let context = bench.at("tree/target/image/amd64/context");
    assert_eq!(fs::read(context.join("redistribution-operator")).unwrap(), starts());
    assert_eq!(fs::read(context.join("etc/ssl/certs/ca-certificates.crt")).unwrap(), b"roots");
}
