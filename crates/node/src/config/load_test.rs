//! The layers, one behaviour per test. Nothing here touches the process: the layers are plain data.

use isogrid_core::{ErrorCode, Eviction};

use super::*;
use crate::config::{FileSource, FlagSource, MemoryLimit};

fn sources(file: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Sources {
    let owned = |pair: &(&str, &str)| (pair.0.to_owned(), pair.1.to_owned());
    Sources {
        file: (!file.is_empty())
            .then(|| FileSource { path: "isogrid.toml".into(), text: file.into() }),
        environment: environment.iter().map(owned).collect(),
        flags: flags
            .iter()
            .map(|(key, value)| FlagSource {
                flag: "--set".into(),
                key: (*key).into(),
                value: (*value).into(),
            })
            .collect(),
    }
}

fn refused(sources: &Sources) -> (ErrorCode, String) {
    let error = load(sources).expect_err("it is refused");
    (error.code(), error.detail().to_owned())
}

#[test]
fn without_layers_the_defaults_apply() {
    let loaded = load(&Sources::default()).expect("the defaults are fine");
    assert_eq!(loaded.config, Config::default());
    for key in KEYS.iter().filter(|key| !key.is_of_map()) {
        let setting = loaded.setting(key.name).expect("every key has a setting");
        assert_eq!(setting.origin, Origin::Default, "{}", key.name);
    }
}

#[test]
fn every_key_of_the_configuration_is_in_the_list() {
    let table = Table::try_from(Config::default()).expect("plain TOML");
    for (section, keys) in table.iter().filter(|(section, _)| *section != "maps") {
        for key in keys.as_table().expect("a section").keys() {
            assert!(find(&format!("{section}.{key}")).is_some(), "{section}.{key}");
        }
    }
    let settings = Table::try_from(isogrid_core::MapSettings::default()).expect("plain TOML");
    for setting in settings.keys() {
        assert!(find(&format!("maps.any.{setting}")).is_some(), "{setting}");
    }
}

#[test]
fn a_higher_layer_hides_a_lower_one_and_all_are_remembered() {
    let mut sources = sources(
        "[node]\ncluster = \"file\"\nzone = \"file\"\ncores = 1",
        &[("ISOGRID__NODE__CLUSTER", "env"), ("ISOGRID__NODE__ZONE", "env")],
        &[("node.cluster", "set")],
    );
    let loaded = load(&sources).expect("fine");
    assert_eq!(loaded.config.node.cluster, "set");
    assert_eq!(loaded.config.node.zone.as_deref(), Some("env"));
    assert_eq!(loaded.config.node.cores, 1);
    let layers: Vec<String> = loaded.origins["node.cluster"]
        .iter()
        .map(|setting| format!("{}={}", setting.origin, setting.show()))
        .collect();
    let expected =
        ["default=isogrid", "isogrid.toml:2=file", "ISOGRID__NODE__CLUSTER=env", "--set=set"];
    assert_eq!(layers, expected);
    // Of two flags the later one applies.
    sources.flags.push(FlagSource {
        flag: "--set".into(),
        key: "node.cluster".into(),
        value: "later".into(),
    });
    assert_eq!(load(&sources).expect("fine").config.node.cluster, "later");
}

#[test]
fn every_layer_can_set_every_kind() {
    let text = load(&sources(
        "",
        &[
            ("ISOGRID__MEMORY__LIMIT", "512MiB"),
            ("ISOGRID__NODE__CORES", "3"),
            ("ISOGRID__LOG__FORMAT", "json"),
            ("ISOGRID__LIMITS__VALUE_BYTES_MAX", "64KiB"),
            ("ISOGRID__MAPS__ORDERS__EVICTION", "lfu"),
            ("ISOGRID__NODE__DATA_DIR", "/data"),
        ],
        &[],
    ));
    let typed = load(&sources(
        "memory.limit = 536870912\nnode.cores = 3\nlog.format = \"json\"\n\
         limits.value_bytes_max = 65536\nmaps.orders.eviction = \"lfu\"\nnode.data_dir = \"/data\"",
        &[],
        &[],
    ));
    let (text, typed) = (text.expect("fine").config, typed.expect("fine").config);
    assert_eq!(text, typed);
    assert_eq!(text.memory.limit, MemoryLimit::Bytes(512 << 20));
    assert_eq!(text.limits.value_bytes_max, 64 << 10);
    assert_eq!(text.maps["orders"].eviction, Eviction::Lfu);
}

#[test]
fn an_unknown_key_names_its_place_and_the_nearest_known_one() {
    let cases = [
        (
            sources("[node]\n\ngrcp_addr = \"a:1\"", &[], &[]),
            "`node.grcp_addr` at isogrid.toml:3; did you mean `node.grpc_addr`?",
        ),
        (
            sources("", &[("ISOGRID__NODE__CLUSTR", "x")], &[]),
            "`ISOGRID__NODE__CLUSTR` in the environment; did you mean `ISOGRID__NODE__CLUSTER`?",
        ),
        (sources("", &[], &[("log.levl", "x")]), "`log.levl` at --set; did you mean `log.level`?"),
        (sources("[colour]", &[], &[]), "`colour` at isogrid.toml:1"),
        (sources("node = 1", &[], &[]), "`node` at isogrid.toml:1 is a section, not a key"),
        (sources("node.name.first = \"a\"", &[], &[]), "`node.name.first` at isogrid.toml:1"),
    ];
    for (sources, detail) in cases {
        assert_eq!(refused(&sources), (ErrorCode::ConfigKeyUnknown, detail.to_owned()));
    }
}

#[test]
fn a_wrong_value_names_key_value_place_and_what_is_allowed() {
    let cases = [
        (
            sources("[node]\ncores = \"many\"", &[], &[]),
            "`node.cores` = \"many\" from isogrid.toml:2; allowed: a whole number from 0 to 1024",
        ),
        (
            sources("", &[("ISOGRID__NODE__PARTITIONS", "100")], &[]),
            "`node.partitions` = \"100\" from ISOGRID__NODE__PARTITIONS; allowed: a power of two from 1 to 16384",
        ),
        (
            sources("", &[], &[("node.http_addr", "7780")]),
            "`node.http_addr` = \"7780\" from --set; allowed: HOST:PORT, such as \"0.0.0.0:7700\" or \"[::1]:7700\"",
        ),
        (
            sources("[maps.\"a b\"]\neviction = \"lru\"", &[], &[]),
            "`maps.a b.eviction` = \"lru\" from isogrid.toml:2; allowed: map names of 1 to 128 of a-z, A-Z, 0-9, '.', \
             '_', '-' and ':'",
        ),
    ];
    for (sources, detail) in cases {
        assert_eq!(refused(&sources), (ErrorCode::ConfigValueInvalid, detail.to_owned()));
    }
    let hard = [("limits.key_bytes_max", "65536"), ("limits.value_bytes_max", "17MiB")];
    for flag in hard.into_iter().chain([("node.cores", "-1"), ("memory.limit", "0%")]) {
        let (code, _) = refused(&sources("", &[], &[flag]));
        assert_eq!(code, ErrorCode::ConfigValueInvalid, "{flag:?}");
    }
}

#[test]
fn all_that_is_wrong_is_listed() {
    let sources = sources(
        "[node]\ncores = true\nnam = \"a\"\n",
        &[("ISOGRID__LOG__FORMAT", "xml")],
        &[("node.http_addr", "x")],
    );
    assert_eq!(check(&sources).expect_err("wrong").len(), 4);
    let first = load(&sources).expect_err("wrong");
    assert!(first.detail().contains("and 3 more"), "{first}");
}

#[test]
fn a_file_that_is_not_toml_does_not_hide_the_other_layers() {
    let sources = sources("[node", &[("ISOGRID__X", "1")], &[]);
    let codes: Vec<ErrorCode> =
        check(&sources).expect_err("wrong").iter().map(Error::code).collect();
    assert_eq!(codes, [ErrorCode::ConfigUnreadable, ErrorCode::ConfigKeyUnknown]);
}

#[test]
fn a_map_with_one_setting_has_all_with_origins() {
    let loaded = load(&sources("[maps.orders]\nentries_max = 5", &[], &[])).expect("fine");
    assert_eq!(loaded.config.maps["orders"].entries_max, 5);
    let bytes = loaded.setting("maps.orders.bytes_max").expect("there");
    assert_eq!((bytes.show().as_str(), &bytes.origin), ("0", &Origin::Default));
}
