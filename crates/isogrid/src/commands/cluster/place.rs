//! Where backups are, as it is said on the command line.

use clap::Args;
use isogrid_backup::{Error as BackupError, Place};
use isogrid_core::{Error, ErrorCode};

use crate::exit::Failure;

/// What an object store needs beside its URL.
#[derive(Clone, Debug, Args)]
pub(super) struct StoreArgs {
    /// Where the object store of s3:// answers; AWS_ENDPOINT, AWS_REGION, AWS_ACCESS_KEY_ID and the like count too
    #[arg(long, value_name = "URL")]
    s3_endpoint: Option<String>,
}

impl StoreArgs {
    /// Opens the place; with `create` a folder that is not there is made.
    pub(super) fn open(&self, place: &str, create: bool) -> Result<Place, Failure> {
        Ok(Place::open(place, self.s3_endpoint.as_deref(), create)?)
    }
}

/// The backup of this name, or the newest.
pub(super) async fn backup_or_newest(place: &Place, id: Option<&str>) -> Result<String, Failure> {
    if let Some(id) = id {
        return Ok(id.to_owned());
    }
    place.backups().await?.pop().ok_or_else(|| {
        Error::new(ErrorCode::BackupUnusable, format!("{} has no backup", place.name())).into()
    })
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Self {
        let code = match error {
            BackupError::Place { .. } => ErrorCode::BackupPlaceFails,
            BackupError::Missing { .. } | BackupError::Damaged { .. } => ErrorCode::BackupUnusable,
            BackupError::Disorder { .. } => ErrorCode::Internal,
        };
        Failure::Error(Error::new(code, error.to_string()))
    }
}
