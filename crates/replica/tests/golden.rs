//! The protocol as scripts that people can read: each file of `tests/golden` is one situation. A script says what happens
//! to three replicas of one partition, and below it stands what they do. `UPDATE_GOLDEN=1` writes that anew.

#[path = "golden/harness/harness.rs"]
mod harness;

use harness::World;

#[test]
fn every_situation_goes_as_its_script_says() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
    let mut fresh = || {
        let mut world = World::new();
        move |command: &isogrid_sim::golden::Command| world.execute(command)
    };
    let scripts = isogrid_sim::golden::run_all(folder, &mut fresh).unwrap();
    assert!(scripts >= 47, "only {scripts} scripts were found");
}
