//! [`Place`]: where backups are: a folder, or a bucket of an object store that speaks S3.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};

use crate::error::{Error, Result};
use crate::manifest::{self, Manifest, ObjectRef};

/// What a place begins with that is no folder.
const S3: &str = "s3://";

/// What S3 calls it when a bucket is not there; the store hands it on in its text alone.
const NO_BUCKET: &str = "<Code>NoSuchBucket</Code>";

/// Where backups are.
#[derive(Clone, Debug)]
pub struct Place {
    name: String,
    store: Arc<dyn ObjectStore>,
    /// Within a bucket.
    prefix: Path,
    /// The folder, if it is one.
    folder: Option<PathBuf>,
}

impl Place {
    /// A folder, or `s3://BUCKET[/PREFIX]` with the rest in the usual variables: `AWS_ACCESS_KEY_ID`,
    /// `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, `AWS_ENDPOINT` and so on. With `create` a folder that is not there is made.
    ///
    /// # Errors
    /// The folder is not there, the bucket has no name, the variables do not fit, or it is neither.
    pub fn open(name: &str, endpoint: Option<&str>, create: bool) -> Result<Place> {
        match name.strip_prefix(S3) {
            Some(bucket) => Self::bucket(name, bucket, endpoint),
            None => match name.split_once("://") {
                Some((scheme, _)) => Err(Error::Place {
                    path: name.to_owned(),
                    why: format!(
                        "a place is a folder or s3://BUCKET[/PREFIX], and nothing here speaks {scheme}: name one of those"
                    ),
                }),
                None => Self::folder(name, create),
            },
        }
    }

    fn folder(name: &str, create: bool) -> Result<Place> {
        let failed = |why: String| Error::Place { path: name.to_owned(), why };
        if create {
            std::fs::create_dir_all(name).map_err(|error| failed(error.to_string()))?;
        }
        let folder = std::fs::canonicalize(name).map_err(|error| failed(error.to_string()))?;
        let store =
            LocalFileSystem::new_with_prefix(&folder).map_err(|error| failed(error.to_string()))?;
        Ok(Place {
            name: name.to_owned(),
            store: Arc::new(store),
            prefix: Path::default(),
            folder: Some(folder),
        })
    }

    fn bucket(name: &str, bucket: &str, endpoint: Option<&str>) -> Result<Place> {
        let (bucket, prefix) = bucket.split_once('/').unwrap_or((bucket, ""));
        if bucket.is_empty() {
            let why = "the bucket has no name: write s3://BUCKET[/PREFIX]".to_owned();
            return Err(Error::Place { path: name.to_owned(), why });
        }
        let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
        let from_environment =
            ["AWS_ENDPOINT", "AWS_ENDPOINT_URL"].iter().find_map(|name| std::env::var(name).ok());
        let endpoint = endpoint.map(str::to_owned).or(from_environment);
        if let Some(endpoint) = endpoint {
            builder =
                builder.with_allow_http(endpoint.starts_with("http://")).with_endpoint(endpoint);
        }
        let store = builder
            .build()
            .map_err(|error| Error::Place { path: name.to_owned(), why: error.to_string() })?;
        Ok(Place {
            name: name.to_owned(),
            store: Arc::new(store),
            prefix: Path::from(prefix),
            folder: None,
        })
    }

    /// As it was named.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn path(&self, path: &str) -> Path {
        self.prefix.parts().chain(Path::from(path).parts()).collect()
    }

    fn error(&self, path: &str, error: object_store::Error) -> Error {
        let path = format!("{}/{path}", self.name.trim_end_matches('/'));
        match error {
            object_store::Error::NotFound { .. } => Error::Missing { path },
            error => {
                let said = error.to_string();
                let is_bucket_missing = said.contains(NO_BUCKET);
                let clear = || "there is no such bucket: create it, or name another one".to_owned();
                Error::Place { path, why: if is_bucket_missing { clear() } else { said } }
            }
        }
    }

    /// Writes an object; once this returns it is there, whole.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn put(&self, path: &str, bytes: Vec<u8>) -> Result<ObjectRef> {
        let object = ObjectRef {
            path: path.to_owned(),
            bytes: bytes.len() as u64,
            crc32c: crc32c::crc32c(&bytes),
        };
        let put = self.store.put(&self.path(path), PutPayload::from(bytes)).await;
        put.map_err(|error| self.error(path, error))?;
        if let Some(folder) = &self.folder {
            let file = folder.join(path);
            let synced = sync(&file).and_then(|()| file.parent().map_or(Ok(()), sync));
            synced
                .map_err(|error| Error::Place { path: path.to_owned(), why: error.to_string() })?;
        }
        Ok(object)
    }

    /// Reads an object.
    ///
    /// # Errors
    /// It is missing, or the store refuses.
    pub async fn get(&self, path: &str) -> Result<Bytes> {
        let got = self.store.get(&self.path(path)).await;
        let got = got.map_err(|error| self.error(path, error))?;
        got.bytes().await.map_err(|error| self.error(path, error))
    }

    /// Reads an object of a backup, and checks that it is what was written.
    ///
    /// # Errors
    /// It is missing or damaged, or the store refuses.
    pub async fn read(&self, object: &ObjectRef) -> Result<Bytes> {
        let bytes = self.get(&object.path).await?;
        if bytes.len() as u64 != object.bytes {
            let what = format!("{} bytes, written were {}", bytes.len(), object.bytes);
            return Err(Error::damaged(&object.path, what));
        }
        if crc32c::crc32c(&bytes) != object.crc32c {
            return Err(Error::damaged(&object.path, "the checksum is wrong"));
        }
        Ok(bytes)
    }

    /// Removes objects of a backup that came to nothing, as far as it can be done.
    pub async fn discard(&self, objects: impl IntoIterator<Item = &ObjectRef>) {
        for object in objects {
            // What stays is named by no manifest.
            let _ = self.store.delete(&self.path(&object.path)).await;
        }
    }

    /// The backups that are here, the oldest first.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn backups(&self) -> Result<Vec<String>> {
        let folder = "manifests";
        let listed = self.store.list(Some(&self.path(folder))).try_collect::<Vec<_>>().await;
        let listed = listed.map_err(|error| self.error(folder, error))?;
        let id = |path: &Path| Some(path.filename()?.strip_suffix(".json")?.to_owned());
        let mut ids: Vec<String> = listed.iter().filter_map(|meta| id(&meta.location)).collect();
        ids.sort_unstable();
        Ok(ids)
    }

    /// The manifest of a backup.
    ///
    /// # Errors
    /// It is missing or damaged, or the store refuses.
    pub async fn manifest(&self, id: &str) -> Result<Manifest> {
        let path = manifest::path_of(id);
        Manifest::decode(&path, &self.get(&path).await?)
    }
}

fn sync(path: &std::path::Path) -> std::io::Result<()> {
    std::fs::File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_put_is_read_and_a_change_is_found() {
        let folder = tempfile::tempdir().expect("a folder");
        let name = folder.path().join("new/folder");
        let name = name.to_str().expect("text");
        assert!(matches!(Place::open(name, None, false), Err(Error::Place { .. })));
        let place = Place::open(name, None, true).expect("it is made");
        assert_eq!(place.backups().await, Ok(vec![]));
        let object = place.put("objects/b/p0", b"some bytes".to_vec()).await.expect("put");
        assert_eq!(place.read(&object).await.as_deref(), Ok(&b"some bytes"[..]));
        std::fs::write(format!("{name}/objects/b/p0"), b"some bytez").expect("written");
        assert!(matches!(place.read(&object).await, Err(Error::Damaged { .. })));
        std::fs::write(format!("{name}/objects/b/p0"), b"some").expect("written");
        let why = place.read(&object).await.expect_err("shorter").to_string();
        assert!(why.contains("4 bytes, written were 10"), "{why}");
        place.discard([&object]).await;
        assert!(matches!(place.read(&object).await, Err(Error::Missing { .. })));
    }

    #[test]
    fn what_is_neither_a_folder_nor_a_bucket_is_refused() {
        let here = tempfile::tempdir().expect("a folder");
        let ftp = format!("ftp://{}", here.path().display());
        for (name, says) in [(ftp.as_str(), "nothing here speaks ftp"), ("s3:///a", "no name")] {
            let why = Place::open(name, None, true).expect_err(name).to_string();
            assert!(why.contains(name) && why.contains(says), "{why}");
        }
    }

    #[tokio::test]
    async fn backups_are_listed_in_their_order() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = Place::open(folder.path().to_str().expect("text"), None, true).expect("opened");
        for id in ["2026-b", "2025-z", "2026-a"] {
            place.put(&manifest::path_of(id), vec![1]).await.expect("put");
        }
        assert_eq!(place.backups().await.expect("listed"), ["2025-z", "2026-a", "2026-b"]);
        assert!(matches!(place.manifest("2026-a").await, Err(Error::Damaged { .. })));
        assert!(matches!(place.manifest("2024").await, Err(Error::Missing { .. })));
    }
}
