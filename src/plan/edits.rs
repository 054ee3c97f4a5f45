//! Which RUNPATH a file gets, as a pure function.

/// What the dynamic loader takes for the directory of the file itself.
pub const ORIGIN: &str = "$ORIGIN";

/// One directory that satisfies a NEEDED entry, as the dynamic loader will see it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LibraryDir {
    /// The directory of the file itself; written as `$ORIGIN`, so that it survives copying the tree.
    Origin,
    /// An absolute directory.
    At(String),
}

/// The text of the RUNPATH: `driver_paths`, then `satisfied_by` (best ones first) without repetitions,
/// then `$ORIGIN`.
///
/// The driver comes first because the libraries beside it must win over stand-ins in a package; `$ORIGIN`
/// always stands at the end because CUDA libraries `dlopen` their neighbours without a NEEDED entry (NVRTC its
/// builtins).
pub fn runpath(driver_paths: &[String], satisfied_by: &[LibraryDir]) -> String {
    let mut entries: Vec<&str> = Vec::new();
    let dirs = satisfied_by.iter().filter_map(|dir| match dir {
        LibraryDir::Origin => None,
        LibraryDir::At(dir) => Some(dir.as_str()),
    });
    for entry in driver_paths
        .iter()
        .map(String::as_str)
        .chain(dirs)
        .chain([ORIGIN])
    {
        if !entries.contains(&entry) {
            entries.push(entry);
        }
    }
    entries.join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn driver_first_then_dependencies_in_order_then_origin() {
        let at = |dir: &str| LibraryDir::At(dir.to_owned());
        for (drivers, dirs, expected) in [
            (&[][..], vec![], "$ORIGIN"),
            (&["/d"], vec![], "/d:$ORIGIN"),
            (
                &["/d", "/wsl"],
                vec![at("/b"), at("/a")],
                "/d:/wsl:/b:/a:$ORIGIN",
            ),
            (
                &["/d"],
                vec![LibraryDir::Origin, at("/a"), at("/a")],
                "/d:/a:$ORIGIN",
            ),
            (
                &["/d"],
                vec![at("/d"), at("/a"), LibraryDir::Origin],
                "/d:/a:$ORIGIN",
            ),
        ] {
            let drivers: Vec<String> = drivers.iter().map(|&path| path.to_owned()).collect();
            assert_eq!(runpath(&drivers, &dirs), expected, "{drivers:?} {dirs:?}");
        }
    }
}
