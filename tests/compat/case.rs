//! Case files: blocks of prose, commands and what came out.
//!
//! ```text
//! # Prose, which says what the block shows.
//! c1 create /a data open 0
//! ----
//! c1 xid=1 zxid=2 ok path=/a
//! ```
//!
//! A blank line ends a block. The commands of one block are sent together, those of one connection
//! in one segment. An answer that depends on a race inside the server has its other form under
//! `---- or`. Where our server answers differently on purpose, a second part under
//! `---- ours NAME` holds its answer, and DEVIATIONS.md explains NAME.

use std::fs;
use std::path::{Path, PathBuf};

/// One block. `question` is its text above the first line of dashes, prose included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    pub question: String,
    pub apache: String,
    /// The other answer of a server that decides by a race.
    pub or: Option<String>,
    pub ours: Option<Deviation>,
}

/// What our server answers instead, and the name under which DEVIATIONS.md explains it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deviation {
    pub name: String,
    pub answer: String,
}

impl Block {
    pub fn commands(&self) -> Vec<&str> {
        self.question.lines().filter(|line| !line.starts_with('#')).collect()
    }

    /// Is this one of the answers that Apache gives?
    pub fn is_apaches(&self, answer: &str) -> bool {
        self.apache == answer || self.or.as_deref() == Some(answer)
    }

    fn parse(text: &str) -> Block {
        let (question, rest) = text.split_once("\n----\n").expect("a block has a line ----");
        let (rest, ours) = match rest.split_once("\n---- ours ") {
            None => (rest, None),
            Some((rest, ours)) => {
                let (name, answer) = ours.split_once('\n').expect("an answer below its dashes");
                (rest, Some(Deviation { name: name.to_string(), answer: answer.to_string() }))
            }
        };
        let (apache, or) = match rest.split_once("\n---- or\n") {
            None => (rest, None),
            Some((apache, or)) => (apache, Some(or.to_string())),
        };
        Block { question: question.to_string(), apache: apache.to_string(), or, ours }
    }

    fn text(&self) -> String {
        let mut text = format!("{}\n----\n{}", self.question, self.apache);
        if let Some(or) = &self.or {
            text += &format!("\n---- or\n{or}");
        }
        if let Some(ours) = &self.ours {
            text += &format!("\n---- ours {}\n{}", ours.name, ours.answer);
        }
        text
    }
}

/// A case file: one fresh server answers all of its blocks.
#[derive(Debug)]
pub struct Case {
    pub path: PathBuf,
    pub blocks: Vec<Block>,
}

impl Case {
    pub fn load(path: &Path) -> Case {
        let text = fs::read_to_string(path).expect("case files are readable");
        // A block that nobody recorded yet may end without its dashes.
        let blocks = text.trim_end().split("\n\n").map(|block| {
            let whole = block.contains("\n----\n");
            Block::parse(&if whole { block.to_string() } else { format!("{block}\n----\n?") })
        });
        Case { path: path.to_path_buf(), blocks: blocks.collect() }
    }

    pub fn save(&self) {
        let blocks: Vec<String> = self.blocks.iter().map(Block::text).collect();
        fs::write(&self.path, blocks.join("\n\n") + "\n").expect("case files are writable");
    }

    pub fn name(&self) -> String {
        let name = self.path.file_stem().expect("a case file has a name");
        name.to_string_lossy().into_owned()
    }
}

/// The case files of a folder in the order of their names.
pub fn all_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder of cases is readable");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("the folder of cases is readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    paths.sort();
    paths
}
