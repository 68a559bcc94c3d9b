//! Planted bugs, for the proof that the tests bite.
//!
//! `mutant!("name")` is `false` in every ordinary build and vanishes. With the cargo feature
//! `mutants` it asks at run time whether the bug of that name is planted: by `plant` for the
//! calling thread, or by `plant_for_process`, which `main` calls with `RINGKEEPER_MUTANT`.

/// Whether the planted bug of this name is active. Constant `false` without the feature.
#[macro_export]
macro_rules! mutant {
    ($name:literal) => {
        cfg!(feature = "mutants") && $crate::types::mutant::planted($name)
    };
}

#[cfg(feature = "mutants")]
mod planting {
    use std::cell::Cell;
    use std::sync::OnceLock;

    thread_local! {
        static HERE: Cell<Option<&'static str>> = const { Cell::new(None) };
    }

    static PROCESS: OnceLock<String> = OnceLock::new();

    /// Plants the bug of that name in the calling thread; `None` takes it out again.
    pub fn plant(name: Option<&'static str>) {
        HERE.with(|here| here.set(name));
    }

    /// Plants the bug of that name in all threads, once and for good.
    pub fn plant_for_process(name: String) {
        PROCESS.get_or_init(|| name);
    }

    /// Whether `name` is planted here.
    pub fn planted(name: &str) -> bool {
        let process = PROCESS.get().map(String::as_str);
        HERE.with(Cell::get) == Some(name) || process == Some(name)
    }
}

#[cfg(feature = "mutants")]
pub use planting::{plant, plant_for_process, planted};

/// Never, without the feature.
#[cfg(not(feature = "mutants"))]
pub const fn planted(_name: &str) -> bool {
    false
}
