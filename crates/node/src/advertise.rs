//! Where others reach this node: what was set, or where it listens. A name is told as it is, and whoever connects looks it up;
//! gossip alone needs an address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use isogrid_core::{Error, ErrorCode, Result};
use tokio::time::{Instant, sleep};

/// How long a name may take to be known: that of a machine or pod which has just begun may lag behind.
const LOOKUP_PATIENCE: Duration = Duration::from_secs(10);
const LOOKUP_AGAIN: Duration = Duration::from_millis(250);

/// The address at which others reach a listener: what was set, or what it listens on; an address that stands for all of a
/// machine's is none, so this machine's own name for itself has to do.
pub(crate) fn reachable(advertise: Option<&str>, listen: SocketAddr) -> String {
    let port = listen.port();
    match advertise {
        Some(host) => match host.parse::<Ipv6Addr>() {
            Ok(address) => format!("[{address}]:{port}"),
            Err(_) => format!("{host}:{port}"),
        },
        None if listen.ip().is_unspecified() => format!("{}:{port}", Ipv4Addr::LOCALHOST),
        None => listen.to_string(),
    }
}

/// The address at which others gossip with this node; `grpc` is where they reach it otherwise.
pub(crate) async fn gossip(
    advertise: Option<&str>,
    listen: SocketAddr,
    grpc: &str,
) -> Result<SocketAddr> {
    let host = match advertise {
        Some(host) if address(host).is_some() => address(host),
        _ if !listen.ip().is_unspecified() => Some(listen.ip()),
        Some(_) => None,
        None => grpc.rsplit_once(':').and_then(|(host, _)| address(host)),
    };
    match (host, advertise) {
        (Some(ip), _) => Ok(SocketAddr::new(ip, listen.port())),
        (None, Some(name)) => look_up(name, listen).await,
        (None, None) => Ok(listen),
    }
}

fn address(host: &str) -> Option<IpAddr> {
    host.trim_matches(['[', ']']).parse().ok()
}

/// The address of a name: one of the family that is listened on, if there is one.
async fn look_up(name: &str, listen: SocketAddr) -> Result<SocketAddr> {
    let deadline = Instant::now() + LOOKUP_PATIENCE;
    loop {
        let why = match tokio::net::lookup_host((name, listen.port())).await {
            Ok(found) => {
                let found: Vec<SocketAddr> = found.collect();
                let same = found.iter().find(|one| one.is_ipv4() == listen.is_ipv4());
                if let Some(address) = same.or(found.first()) {
                    return Ok(*address);
                }
                "it has no address".to_owned()
            }
            Err(error) => error.to_string(),
        };
        if Instant::now() >= deadline {
            let detail = format!("node.advertise = {name}: {why}");
            return Err(Error::new(ErrorCode::AdvertiseUnknown, detail));
        }
        sleep(LOOKUP_AGAIN).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn names_are_told_as_they_are() {
        for (advertise, listen, told) in [
            (Some("isogrid-0.nodes"), "0.0.0.0:7700", "isogrid-0.nodes:7700"),
            (Some("10.0.0.7"), "0.0.0.0:7700", "10.0.0.7:7700"),
            (Some("[fd00::7]"), "[::]:7700", "[fd00::7]:7700"),
            (Some("fd00::7"), "[::]:7700", "[fd00::7]:7700"),
            (None, "0.0.0.0:7700", "127.0.0.1:7700"),
            (None, "10.0.0.7:7700", "10.0.0.7:7700"),
        ] {
            assert_eq!(reachable(advertise, socket(listen)), told);
        }
    }

    #[tokio::test]
    async fn gossip_has_an_address() {
        for (advertise, listen, grpc, told) in [
            (Some("10.0.0.7"), "0.0.0.0:7700", "10.0.0.7:7700", "10.0.0.7:7700"),
            (Some("[fd00::7]"), "[::]:7700", "[fd00::7]:7700", "[fd00::7]:7700"),
            // Where it listens at one address a name is not looked up.
            (Some("no-such.invalid"), "127.0.0.1:7700", "no-such.invalid:1", "127.0.0.1:7700"),
            (Some("localhost"), "0.0.0.0:7700", "localhost:7700", "127.0.0.1:7700"),
            (None, "0.0.0.0:7700", "10.0.0.7:7701", "10.0.0.7:7700"),
            (None, "10.0.0.8:7700", "127.0.0.1:7701", "10.0.0.8:7700"),
        ] {
            let found = gossip(advertise, socket(listen), grpc).await.unwrap();
            assert_eq!(found.to_string(), told, "{advertise:?} {listen}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_nobody_knows_is_an_error() {
        let found = gossip(Some("no-such.invalid"), socket("0.0.0.0:7700"), "x:1").await;
        assert_eq!(found.map_err(|error| error.code()), Err(ErrorCode::AdvertiseUnknown));
    }
}
