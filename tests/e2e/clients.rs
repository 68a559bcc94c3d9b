//! How each client program is fetched, built and started. Every dependency is pinned: by a version
//! in a pom, or by a lock file beside the program's source.

use crate::tools::{cache, cached, files, need, need_file, quiet, sources};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program on the JVM: the library `pom` fetches in `version`, and the folders of its source.
pub struct Jvm {
    pub name: &'static str,
    /// The folder of its pom below `tests/e2e`.
    pub pom: &'static str,
    /// The pom's property for the version.
    pub property: &'static str,
    pub version: &'static str,
    /// Folders below `tests/e2e`, compiled together.
    pub folders: &'static [&'static str],
    pub main: &'static str,
}

impl Jvm {
    pub fn build(&self) -> Result<Command, String> {
        need("javac", "openjdk-17-jdk-headless")?;
        let label = format!("{}-{}", self.name, self.version);
        let pom = sources().join(self.pom).join("pom.xml");
        let jars = cached(&format!("{label}-jars"), std::slice::from_ref(&pom), |folder| {
            self.fetch(&pom, folder)
        })?;
        let jars = format!("{}/*", jars.display());
        let folders: Vec<PathBuf> = self.folders.iter().map(|name| sources().join(name)).collect();
        let classes = cached(&format!("{label}-classes"), &folders, |folder| {
            let sources = files(&folders).map_err(|why| format!("listing sources: {why}"))?;
            let mut javac = Command::new("javac");
            javac.args(["--release", "8", "-nowarn", "-cp", &jars, "-d"]);
            quiet(javac.arg(folder).args(sources))
        })?;
        let mut java = Command::new("java");
        java.args(["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
        java.arg("-cp").arg(format!("{}:{jars}", classes.display())).arg(self.main);
        Ok(java)
    }

    fn fetch(&self, pom: &Path, folder: &Path) -> Result<(), String> {
        need("mvn", "maven")?;
        let mut mvn = Command::new("mvn");
        mvn.args(["-q", "-B", "-f"]).arg(pom).arg("dependency:copy-dependencies");
        mvn.arg(format!("-D{}={}", self.property, self.version));
        quiet(mvn.arg(format!("-DoutputDirectory={}", folder.display())))
    }
}

pub fn c() -> Result<Command, String> {
    need("gcc", "gcc")?;
    need_file("/usr/include/zookeeper/zookeeper.h", "libzookeeper-mt-dev")?;
    let source = sources().join("c/client.c");
    let folder = cached("c", std::slice::from_ref(&source), |folder| {
        let mut gcc = Command::new("gcc");
        gcc.args(["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-DTHREADED", "-o"]);
        quiet(gcc.arg(folder.join("client")).arg(&source).args(["-lzookeeper_mt", "-lpthread"]))
    })?;
    Ok(Command::new(folder.join("client")))
}

pub fn go() -> Result<Command, String> {
    need("go", "golang-go")?;
    let source = sources().join("go");
    let folder = cached("go", std::slice::from_ref(&source), |folder| {
        let mut go = Command::new("go");
        go.args(["build", "-mod=readonly", "-o"]).arg(folder.join("client")).arg(".");
        quiet(go.current_dir(&source))
    })?;
    Ok(Command::new(folder.join("client")))
}

pub fn node() -> Result<Command, String> {
    need("node", "nodejs")?;
    let source = sources().join("node");
    let names = ["package.json", "package-lock.json", "client.js"];
    let inputs = names.map(|name| source.join(name));
    let folder = cached("node", &inputs, |folder| {
        need("npm", "npm")?;
        for (name, path) in names.iter().zip(&inputs) {
            fs::copy(path, folder.join(name)).map_err(|why| format!("copying {name}: {why}"))?;
        }
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
        quiet(npm.current_dir(folder))
    })?;
    let mut node = Command::new("node");
    node.arg(folder.join("client.js"));
    Ok(node)
}

pub fn python() -> Result<Command, String> {
    need("python3", "python3")?;
    let source = sources().join("python");
    let requirements = source.join("requirements.txt");
    let folder = cached("python", std::slice::from_ref(&requirements), |folder| {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "-q", "--require-hashes", "--no-deps", "--target"]);
        quiet(pip.arg(folder).arg("-r").arg(&requirements))
            .map_err(|why| format!("{why}\nWithout pip: `apt-get install python3-pip`."))
    })?;
    let mut python = Command::new("python3");
    python.arg(source.join("client.py"));
    python.env("PYTHONPATH", folder).env("PYTHONDONTWRITEBYTECODE", "1");
    Ok(python)
}

pub fn rust() -> Result<Command, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let target = cache().join("rust");
    let manifest = sources().join("rust/Cargo.toml");
    let mut build = Command::new(cargo);
    build.args(["build", "--locked", "--quiet", "--manifest-path"]).arg(manifest);
    // A target of its own: the test's own cargo holds the lock of the usual one.
    quiet(build.env("CARGO_TARGET_DIR", &target))?;
    Ok(Command::new(target.join("debug/client")))
}
