//! A page that needs nothing else, and files beside it.

use std::{fs, path::Path};

use anyhow::{Context, Result};

/// Writes files by their names into a folder, which is made if need be.
pub fn write<'a>(folder: &Path, files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for (name, text) in files {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

pub fn html(title: &str, body: &str) -> String {
    format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; color: #2d343e; background: #fff; max-width: 1200px; margin: 2em auto; padding: 0 1em }}
svg {{ display: block; width: 100%; height: auto; margin-bottom: 1em }}
table {{ border-collapse: collapse; margin: 1em 0 }}
th, td {{ padding: .2em .8em; border-bottom: 1px solid #e2e6ec; text-align: right }}
.name {{ text-align: left }}
</style>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"#
    )
}
