//! Tests of the identity and of the folder that remembers it.

use super::*;

fn config(folder: &Path, name: Option<&str>) -> NodeConfig {
    NodeConfig {
        name: name.map(str::to_owned),
        data_dir: Some(folder.to_owned()),
        ..NodeConfig::default()
    }
}

fn refusal(config: &NodeConfig) -> String {
    Identity::establish(config, 1).expect_err("must be refused").to_string()
}

#[test]
fn a_folder_remembers_its_node() {
    let folder = tempfile::tempdir().unwrap();
    let first = Identity::establish(&config(folder.path(), Some("a")), 1).unwrap();
    assert!(refusal(&config(folder.path(), None)).contains("another node runs on it"));
    let storage = first.proof(DataOnDisk::Whole).storage_id;
    drop(first);
    let again = Identity::establish(&config(folder.path(), None), 9).unwrap();
    assert_eq!(again.node_id.as_str(), "a");
    assert_eq!(again.proof(DataOnDisk::Whole).storage_id, storage);
    drop(again);
    assert!(refusal(&config(folder.path(), Some("b"))).contains("belongs to node \"a\""));
    let mut other = config(folder.path(), None);
    other.cluster = "other".to_owned();
    assert!(refusal(&other).contains("belongs to cluster"));
    let mut other = config(folder.path(), None);
    other.partitions = 64;
    assert!(refusal(&other).contains("made for 256 partitions"));
}

#[test]
fn every_life_is_later_than_the_one_before_and_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let mut lives = Vec::new();
    for _ in 0..3 {
        let identity = Identity::establish(&config(folder.path(), Some("a")), 1).unwrap();
        lives.push(identity.incarnation);
        assert_eq!(identity.proof(DataOnDisk::Whole).incarnations, lives);
    }
    assert!(lives.is_sorted() && lives[0] < lives[1] && lives[1] < lives[2], "{lives:?}");
    // A clock that went back makes no earlier life.
    let mut record = Record::read(folder.path(), 256).unwrap().unwrap();
    assert_eq!(record.begin_life(Incarnation(5)).0, lives[2].0 + 1);
    for _ in 0..2_000 {
        record.begin_life(Incarnation(5));
    }
    assert_eq!(record.incarnations.len(), 1_024);
}

#[test]
fn without_data_on_disk_the_storage_is_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let proof = || {
        let identity = Identity::establish(&config(folder.path(), Some("a")), 1).unwrap();
        (identity.proof(DataOnDisk::Nothing), identity.proof(DataOnDisk::Whole))
    };
    let ((memory, disk), (later_memory, later_disk)) = (proof(), proof());
    assert_ne!(memory.storage_id, later_memory.storage_id);
    assert_ne!(memory.storage_id, disk.storage_id);
    assert!(memory.is_volatile && !disk.is_volatile);
    assert_eq!(disk.storage_id, later_disk.storage_id);
    assert_eq!(later_memory.incarnations.len(), 1, "no earlier life left anything");
    assert_eq!(memory.boot_id, later_memory.boot_id);
}

#[test]
fn the_cluster_is_remembered_and_never_another_one() {
    let folder = tempfile::tempdir().unwrap();
    let identity = Identity::establish(&config(folder.path(), None), 1).unwrap();
    assert_eq!(identity.known_cluster(), None);
    identity.remember_cluster(ClusterId(u128::MAX)).unwrap();
    identity.remember_cluster(ClusterId(u128::MAX)).unwrap();
    assert!(identity.remember_cluster(ClusterId(2)).is_err());
    drop(identity);
    let again = Identity::establish(&config(folder.path(), None), 1).unwrap();
    assert_eq!(again.known_cluster(), Some(ClusterId(u128::MAX)));
    let nowhere = Identity::establish(&NodeConfig::default(), 1).unwrap();
    nowhere.remember_cluster(ClusterId(2)).unwrap();
    assert_eq!((nowhere.known_cluster(), nowhere.folder()), (None, None));
}

#[test]
fn a_folder_of_the_first_format_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let first = r#"{"format":1,"node_id":"a","cluster_id":"isogrid","hash_seed":1}"#;
    fs::write(folder.path().join("node.json"), first).unwrap();
    let identity = Identity::establish(&config(folder.path(), None), 1).unwrap();
    assert_eq!((identity.node_id.as_str(), identity.cluster_id.as_str()), ("a", "isogrid"));
    let written = fs::read_to_string(folder.path().join("node.json")).unwrap();
    assert!(written.contains("\"format\": 2"), "{written}");
}

#[test]
fn a_damaged_or_newer_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("node.json"), "{").unwrap();
    assert!(refusal(&config(folder.path(), None)).contains("cannot be read"));
    let newer = r#"{"format":99,"node_id":"a","cluster_id":"isogrid","hash_seed":1}"#;
    fs::write(folder.path().join("node.json"), newer).unwrap();
    assert!(refusal(&config(folder.path(), None)).contains("newer"));
}

#[test]
fn a_node_without_a_folder_is_named_after_its_port_and_lives_in_the_present() {
    let identity = Identity::establish(&NodeConfig::default(), 7_700).unwrap();
    assert_eq!(identity.node_id.as_str(), "node-7700");
    assert!(identity.incarnation.0 > 1_700_000_000_000, "milliseconds since 1970");
}
