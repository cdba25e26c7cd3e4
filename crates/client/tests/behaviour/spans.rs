//! One span per operation, named as OpenTelemetry names them, and none unless somebody listens.

use std::io::Write;
use std::sync::{Arc, Mutex};

use isogrid_client::Result;
use isogrid_client::testing::Cluster;
use tracing_subscriber::fmt::format::FmtSpan;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn an_operation_has_a_span_when_it_is_wanted() -> Result<()> {
    let cluster = Cluster::start(1).await?;
    let map = cluster.grid().await?.map::<u64, u64>("visits");
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter("isogrid_client::operation=debug")
        .with_span_events(FmtSpan::CLOSE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let listening = tracing::subscriber::set_default(subscriber);
    map.put(&1, &1).await?;
    map.get_many([1u64, 2]).await?;
    assert!(map.get(&"9".repeat(9_000).parse::<u64>().unwrap_or(1)).await.is_ok());
    drop(listening);
    map.put(&2, &2).await?;
    let log = String::from_utf8(log.0.lock().expect("no panic").clone()).expect("text");
    assert_eq!(log.matches("db.operation.name=\"put\"").count(), 1, "{log}");
    assert!(
        log.contains("db.collection.name=visits") && log.contains("db.system.name=\"isogrid\"")
    );
    assert!(log.contains("db.operation.batch.size=2"), "{log}");
    Ok(())
}
