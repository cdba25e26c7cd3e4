//! The nodes, as a backup sees them: any of them tells who leads what, and each is asked for what it leads.

use std::collections::BTreeMap;

use futures::StreamExt;
use futures::stream::BoxStream;
use isogrid_client::{
    ClusterStatus, DumpAsk, DumpPiece, Error, MapInfo, NodeClock, Operator, PartitionList,
};

/// Something of a stream: the stream's number, and a piece or its end.
pub(super) type Heard = (u64, Result<(u32, DumpPiece), Option<Error>>);

/// The nodes.
pub(super) struct Cluster {
    /// By address; those that were reached.
    operators: BTreeMap<String, Operator>,
    /// Of members, by name.
    addresses: BTreeMap<String, String>,
}

impl Cluster {
    /// The nodes that the one knows that was asked first.
    pub(super) fn new(operator: &Operator, status: &ClusterStatus) -> Self {
        let operators = BTreeMap::from([(operator.address().to_owned(), operator.clone())]);
        let mut cluster = Cluster { operators, addresses: BTreeMap::new() };
        cluster.learn(status);
        cluster
    }

    fn learn(&mut self, status: &ClusterStatus) {
        for member in status.members.iter().filter(|member| !member.grpc_addr.is_empty()) {
            self.addresses.insert(member.node_id.clone(), member.grpc_addr.clone());
        }
    }

    async fn operator(&mut self, address: &str) -> Result<Operator, Error> {
        if let Some(operator) = self.operators.get(address) {
            return Ok(operator.clone());
        }
        let operator = Operator::connect(address).await?;
        self.operators.insert(address.to_owned(), operator.clone());
        Ok(operator)
    }

    /// Asks one node after the other until one answers.
    async fn ask_any<T>(
        &mut self,
        ask: impl AsyncFn(&Operator) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut addresses: Vec<String> = self.operators.keys().cloned().collect();
        addresses.extend(self.addresses.values().cloned());
        let mut answer = None;
        for address in addresses {
            answer = Some(match self.operator(&address).await {
                Ok(operator) => ask(&operator).await,
                Err(error) => Err(error),
            });
            match &answer {
                Some(Ok(_)) => break,
                _ => {
                    self.operators.remove(&address);
                }
            }
        }
        answer.expect("the first node has an address")
    }

    /// Who leads what, and where the members are.
    pub(super) async fn table(&mut self) -> Result<PartitionList, Error> {
        let (status, list) = self
            .ask_any(async |operator: &Operator| {
                Ok((operator.status(false).await?, operator.partitions(&[]).await?))
            })
            .await?;
        self.learn(&status);
        Ok(list)
    }

    /// The maps there are.
    pub(super) async fn maps(&mut self) -> Result<Vec<MapInfo>, Error> {
        self.ask_any(async |operator: &Operator| Ok(operator.maps().await?.maps)).await
    }

    /// The data of partitions that this node leads, as a stream with this number.
    pub(super) async fn dump(
        &mut self,
        node: &str,
        number: u64,
        asks: &[DumpAsk],
    ) -> Result<BoxStream<'static, Heard>, Error> {
        let address = self.addresses.get(node).cloned().unwrap_or_default();
        let dump = self.operator(&address).await?.dump(asks).await?;
        let stream = futures::stream::unfold(Some(dump), move |dump| async move {
            let mut dump = dump?;
            let (heard, dump) = match dump.next().await {
                Ok(Some(piece)) => (Ok(piece), Some(dump)),
                Ok(None) => (Err(None), None),
                Err(error) => (Err(Some(error)), None),
            };
            Some(((number, heard), dump))
        });
        Ok(stream.boxed())
    }

    /// The clocks of a node, which puts an entry behind `clock` into the logs of these partitions; zero asks only.
    pub(super) async fn fence(
        &mut self,
        node: &str,
        clock: u64,
        partitions: &[u32],
    ) -> Result<NodeClock, Error> {
        let address = self.addresses.get(node).cloned().unwrap_or_default();
        self.operator(&address).await?.fence(clock, partitions).await
    }
}
