//! Znode paths: which are valid, and how they come apart.
//!
//! A path is a plain `&str` here; [`check`] is the rule of Apache's `PathUtils.validatePath`
//! (client-protocol section 6.1).

/// Why a path is refused. The client only hears BadArguments; the log hears this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid(pub &'static str);

/// Checks a complete path.
pub fn check(path: &str) -> Result<(), Invalid> {
    if path == "/" {
        return Ok(());
    }
    let Some(rest) = path.strip_prefix('/') else {
        return Err(Invalid("it does not start with /"));
    };
    let plain = rest.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if !plain && rest.chars().any(is_forbidden) {
        return Err(Invalid("it has a character that is not allowed"));
    }
    for component in rest.split('/') {
        match component {
            "" => return Err(Invalid("it has an empty component")),
            "." | ".." => return Err(Invalid("it has a relative component")),
            _ => {}
        }
    }
    Ok(())
}

/// Controls, surrogates and private use, specials, and everything that Java writes as two units.
fn is_forbidden(c: char) -> bool {
    matches!(u32::from(c), 0..=0x1f | 0x7f..=0x9f | 0xd800..=0xf8ff | 0xfff0..)
}

/// The parent's path and the last component. `None` for paths without a `/`.
///
/// Apache cuts at the last slash before it validates, so `/a/` has the parent `/a` and the name
/// "" here.
pub fn split(path: &str) -> Option<(&str, &str)> {
    let at = path.rfind('/')?;
    let parent = if at == 0 { "/" } else { &path[..at] };
    Some((parent, &path[at + 1..]))
}

/// The paths above `path`, nearest first, ending with "/". Empty for "/" itself.
pub fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    let mut rest = if path == "/" { None } else { Some(path) };
    std::iter::from_fn(move || {
        let (parent, _) = split(rest?)?;
        rest = (parent != "/").then_some(parent);
        Some(parent)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_accepts_and_refuses_as_apache_does() {
        #[rustfmt::skip]
        let table = [
            ("/", true), ("/a", true), ("/a/b", true), ("/...", true), ("/a b\\c", true),
            ("/\u{a0}", true), ("/\u{f900}", true), ("/\u{ffef}", true), ("/é", true),
            ("", false), ("a", false), ("/a/", false), ("//", false), ("/a//b", false),
            ("/.", false), ("/a/./b", false), ("/a/..", false), ("/\0", false), ("/\u{1f}", false),
            ("/\u{7f}", false), ("/\u{9f}", false), ("/\u{e000}", false), ("/\u{f8ff}", false),
            ("/\u{fff0}", false), ("/\u{fffd}", false), ("/\u{1f600}", false),
        ];
        for (path, valid) in table {
            assert_eq!(check(path).is_ok(), valid, "{path:?}");
        }
    }

    #[test]
    fn split_and_ancestors_walk_up() {
        assert_eq!(split("/a"), Some(("/", "a")));
        assert_eq!(split("/a/b"), Some(("/a", "b")));
        assert_eq!(split("/a/"), Some(("/a", "")));
        assert_eq!(split("a"), None);
        assert_eq!(ancestors("/a/b/c").collect::<Vec<_>>(), ["/a/b", "/a", "/"]);
        assert_eq!(ancestors("/").count(), 0);
    }
}
