//! Files that contain secrets: their text is wiped from memory when it is dropped, and nobody else
//! may be able to replace them.

use std::{fs, path::Path};

use zeroize::Zeroizing;

use super::SignerError;

/// Reads a file that contains a secret.
///
/// A file that other users can write is refused: whoever writes the key decides who signs. One that
/// they can read is worth a warning only, since Kubernetes mounts Secrets so.
pub(super) fn read(path: &Path) -> Result<Zeroizing<String>, SignerError> {
    let place = || path.display().to_string();
    let failed = |source| SignerError::Read { path: place(), source };
    check_permissions(path, &fs::metadata(path).map_err(failed)?)?;
    fs::read_to_string(path).map(Zeroizing::new).map_err(failed)
}

/// Reads a file that contains a token, without the space around it.
pub(super) fn read_token(path: &Path) -> Result<Zeroizing<String>, SignerError> {
    read(path).map(|text| Zeroizing::new(text.trim().to_owned()))
}

#[cfg(unix)]
fn check_permissions(path: &Path, file: &fs::Metadata) -> Result<(), SignerError> {
    use std::os::unix::fs::PermissionsExt;

    let mode = file.permissions().mode();
    if mode & 0o022 != 0 {
        let (path, mode) = (path.display().to_string(), mode & 0o777);
        return Err(SignerError::WritableByOthers { path, mode });
    }
    if mode & 0o044 != 0 {
        tracing::warn!(
            "Other users can read {0}; unless it is a mounted Secret, run: chmod 600 {0}",
            path.display()
        );
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_permissions(_: &Path, _: &fs::Metadata) -> Result<(), SignerError> {
    Ok(())
}
