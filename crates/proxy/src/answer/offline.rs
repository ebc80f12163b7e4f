//! Lists and `@latest` computed from the store by Go's rules (13, 14, 22, 25).

use bytes::Bytes;
use gomod::modfile::{ModFile, Mode};
use gomod::{FileKind, Info, ModulePath, ModuleVersion, Version};
use store::{Body, FileKey, Namespace, Store};

use super::{Words, latest_of};
use crate::failure::Failure;
use crate::serve::read_ahead::read_whole;

/// `.info` and `.mod` files read here are bounded by this; a parsed go.mod takes many times its size.
/// Larger ones count as unreadable; no real one comes near.
const SMALL_FILE_BYTES: u64 = 1 << 20;

/// The versions that `@v/list` names; `None` where the store has none of the module.
pub(super) async fn list(
    store: &dyn Store,
    namespace: Namespace,
    module_path: &ModulePath,
) -> Result<Option<Words>, Failure> {
    let versions = stored(store, namespace, module_path).await?;
    if versions.is_empty() {
        return Ok(None);
    }
    let listed = listable(store, namespace, module_path, &versions).await?;
    Ok(Some(Words::List(listed)))
}

/// The `.info` of the latest version; `None` where the store has none of the module.
pub(super) async fn latest(
    store: &dyn Store,
    namespace: Namespace,
    module_path: &ModulePath,
) -> Result<Option<Words>, Failure> {
    let versions = stored(store, namespace, module_path).await?;
    let retractions = retractions(store, namespace, module_path, &versions).await?;
    let kept = versions
        .iter()
        .filter(|version| !is_retracted(retractions.as_ref(), version));
    // Where every version is retracted, the go command still gets one: it warns, and works.
    let Some(latest) = latest_of(kept).or_else(|| latest_of(&versions)) else {
        return Ok(None);
    };
    let Some(body) = small_file(store, namespace, module_path, latest, FileKind::Info).await?
    else {
        return Ok(None);
    };
    match Info::parse(&body) {
        Ok(info) => Ok(Some(Words::Info { body, info })),
        Err(_) => Ok(None),
    }
}

async fn stored(
    store: &dyn Store,
    namespace: Namespace,
    module_path: &ModulePath,
) -> Result<Vec<Version>, Failure> {
    store
        .versions(namespace, module_path)
        .await
        .map_err(Failure::store)
}

/// Tags only, and `+incompatible` ones only where the highest compatible version has no go.mod of
/// its own (rule 14).
async fn listable(
    store: &dyn Store,
    namespace: Namespace,
    module_path: &ModulePath,
    versions: &[Version],
) -> Result<Vec<Version>, Failure> {
    let tags = || versions.iter().filter(|version| !version.is_pseudo());
    let highest_compatible = tags().rfind(|version| !version.is_incompatible());
    let incompatible_too = match highest_compatible {
        None => true,
        Some(version) => {
            let go_mod = small_file(store, namespace, module_path, version, FileKind::Mod).await?;
            go_mod
                .is_none_or(|go_mod| *go_mod == *gomod::modfile::synthesise(module_path).as_bytes())
        }
    };
    Ok(tags()
        .filter(|version| incompatible_too || !version.is_incompatible())
        .cloned()
        .collect())
}

/// The go.mod whose retractions count: that of the highest release, else the highest pre-release,
/// among the compatible versions (rule 22). Any failure means that nothing is retracted.
async fn retractions(
    store: &dyn Store,
    namespace: Namespace,
    module_path: &ModulePath,
    versions: &[Version],
) -> Result<Option<ModFile>, Failure> {
    let compatible = versions.iter().filter(|version| !version.is_incompatible());
    let Some(highest) = latest_of(compatible) else {
        return Ok(None);
    };
    let go_mod = small_file(store, namespace, module_path, highest, FileKind::Mod).await?;
    Ok(go_mod.and_then(|go_mod| ModFile::parse(&go_mod, Mode::Lax).ok()))
}

fn is_retracted(go_mod: Option<&ModFile>, version: &Version) -> bool {
    go_mod.is_some_and(|go_mod| go_mod.retracts(version).is_some())
}

async fn small_file(
    store: &dyn Store,
    namespace: Namespace,
    module_path: &ModulePath,
    version: &Version,
    kind: FileKind,
) -> Result<Option<Bytes>, Failure> {
    let Ok(module) = ModuleVersion::new(module_path.clone(), version.clone()) else {
        return Ok(None);
    };
    let key = FileKey {
        namespace,
        module,
        kind,
    };
    let Some(opened) = store.open(&key).await.map_err(Failure::store)? else {
        return Ok(None);
    };
    match opened.body {
        _ if opened.len_bytes > SMALL_FILE_BYTES => Ok(None),
        Body::Bytes(bytes) => Ok(Some(bytes)),
        Body::File(file) => read_whole(&file, opened.len_bytes)
            .await
            .map(Some)
            .map_err(|error| Failure::store(error.into())),
    }
}
