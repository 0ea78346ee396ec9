use std::io::BufReader;

use blobs::{ObjectKey, ReadError};
use python::{Distribution, FileName, Refused};

use super::PythonSettings;
use crate::Registry;
use crate::error::Error;

/// Bytes of an archive that are read at once.
const READ_AHEAD: usize = 64 * 1024;

impl Registry {
    /// Reads a file from end to end and says what it is, or what is wrong with it. Reading is work for the
    /// processor, so no more files are read at once than there are processors.
    pub(super) async fn python_examine(
        &self,
        key: &ObjectKey,
        file: &FileName,
        settings: PythonSettings,
    ) -> Result<Distribution, Error> {
        let _turn = self
            .0
            .examinations
            .acquire()
            .await
            .map_err(|error| Error::unavailable("the server is stopping; try again", error))?;
        let file = file.clone();
        let examined = self
            .blobs()
            .inspect(key, move |reader, size| {
                let reader = BufReader::with_capacity(READ_AHEAD, reader);
                python::examine(reader, size, &file, &settings.limits(), settings.strict_filenames)
            })
            .await;
        match examined {
            Ok(Ok(distribution)) => Ok(distribution),
            Ok(Err(Refused::Invalid(invalid))) => Err(invalid.into()),
            Ok(Err(Refused::Io(error))) => Err(unreadable(error)),
            Err(error @ (ReadError::Missing | ReadError::Io(_))) => Err(unreadable(error)),
        }
    }
}

fn unreadable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::unavailable("the server cannot read what was uploaded; try again in a moment", error)
}
