//! Documents and their content: only the Markdown that they use. It judges nothing.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// All documents under a directory, except built and hidden ones.
pub fn documents(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            documents(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// The blocks of a document that are fenced as this language.
pub fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    text.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

/// A document without its fenced blocks.
fn prose(text: &str) -> String {
    format!("\n{text}").split("\n```").step_by(2).collect()
}

/// The texts between single backquotes.
pub fn spans(text: &str) -> Vec<String> {
    prose(text).split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

pub fn links(text: &str) -> Vec<String> {
    let plain: String = prose(text).split('`').step_by(2).collect();
    plain.split("](").skip(1).map(|rest| rest.split(')').next().unwrap().to_owned()).collect()
}

/// The anchors of a document's headings, as the usual web pages of a repository make them.
pub fn anchors(text: &str) -> BTreeSet<String> {
    let headings: Vec<_> = prose(text).lines().filter(|line| line.starts_with('#')).map(str::to_lowercase).collect();
    let kept = |character: &char| character.is_alphanumeric() || " -_".contains(*character);
    let anchor = |line: &String| line.trim_start_matches('#').trim().chars().filter(kept).collect::<String>();
    headings.iter().map(|line| anchor(line).replace(' ', "-")).collect()
}
