//! One connection, from its first byte to its last.

use std::collections::HashMap;
use std::sync::Arc;

use isogrid_core::{Error, ErrorCode};
use isogrid_query::pg::{PgSession, Refused};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Runner;
use crate::cancel::{Cancel, Cancels};
use crate::extended::{Known, Portal};
use crate::fault::{Fault, broken, refused, stopping};
use crate::limits::STARTUP_MAX;
use crate::message::Message;
use crate::reply::{self, Severity, Standing};
use crate::settings::Settings;
use crate::startup::{self, Startup, Wishes};
use crate::wire::Wire;

/// What all connections share.
#[derive(Clone)]
pub struct Door {
    /// What runs statements.
    pub runner: Arc<dyn Runner>,
    /// How they are cancelled.
    pub cancels: Arc<Cancels>,
    /// Cancelled when the node ends.
    pub stopping: CancellationToken,
}

/// Serves a connection until it ends. `is_refused`: it is one too many, and only told so.
pub async fn serve<S>(io: S, door: Door, is_refused: bool)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let mut wire = Wire::new(io);
    match converse(&mut wire, &door, is_refused).await {
        // Nobody reads what would be said.
        Err(Fault::Gone) => return,
        Err(Fault::Fatal(refused) | Fault::Refused(refused)) => {
            reply::error(&mut wire.outbox, Severity::Fatal, &refused);
        }
        Ok(()) => {}
    }
    wire.close().await;
}

async fn converse<S>(wire: &mut Wire<S>, door: &Door, is_refused: bool) -> Result<(), Fault>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let begun = tokio::select! {
        () = door.stopping.cancelled() => return Err(stopping()),
        begun = tokio::time::timeout(STARTUP_MAX, startup::read(wire)) => begun,
    };
    let begun = begun.map_err(|_| {
        let detail = format!("nothing was asked within {} s", STARTUP_MAX.as_secs());
        broken(detail)
    })??;
    let wishes = match begun {
        None => return Ok(()),
        Some(Startup::Cancel(process, secret)) => {
            door.cancels.cancel(process, secret);
            return Ok(());
        }
        Some(Startup::Session(wishes)) => wishes,
    };
    if is_refused {
        let error = Error::new(ErrorCode::TooManyConnections, "too many of PostgreSQL's clients");
        return Err(Fault::Fatal(Refused { state: "53300", error }));
    }
    Connection::begin(wire, door, &wishes)?.run().await
}

/// A connection whose client has said who it is.
pub(crate) struct Connection<'a, S> {
    pub(crate) wire: &'a mut Wire<S>,
    pub(crate) runner: Arc<dyn Runner>,
    pub(crate) cancel: Cancel,
    stopping: CancellationToken,
    pub(crate) settings: Settings,
    user: Arc<str>,
    pub(crate) standing: Standing,
    /// By their names.
    pub(crate) statements: HashMap<String, Arc<Known>>,
    pub(crate) portals: HashMap<String, Portal>,
    /// After an error all is passed over until the client has heard of it.
    is_skipping: bool,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin + Send> Connection<'a, S> {
    fn begin(wire: &'a mut Wire<S>, door: &Door, wishes: &Wishes) -> Result<Self, Fault> {
        if wishes.user.is_empty() {
            return Err(Fault::Fatal(refused("28000", "no user is named")));
        }
        let settings = Settings::begin(&wishes.user, &wishes.settings).map_err(Fault::Fatal)?;
        let cancel = door.cancels.register();
        let out = &mut wire.outbox;
        reply::authenticated(out);
        settings.told().for_each(|(name, value)| reply::setting(out, name, value));
        reply::key(out, cancel.process, cancel.secret);
        reply::ready(out, Standing::Idle);
        Ok(Connection {
            wire,
            runner: Arc::clone(&door.runner),
            cancel,
            stopping: door.stopping.clone(),
            settings,
            user: wishes.user.as_str().into(),
            standing: Standing::Idle,
            statements: HashMap::new(),
            portals: HashMap::new(),
            is_skipping: false,
        })
    }

    /// What statements may ask of it.
    pub(crate) fn session(&self) -> PgSession {
        PgSession {
            user: Arc::clone(&self.user),
            settings: Arc::clone(self.settings.all()),
            process: self.cancel.process,
        }
    }

    async fn run(mut self) -> Result<(), Fault> {
        self.wire.send().await?;
        loop {
            let expires = self.portals.values().filter_map(Portal::expires_at).min();
            let said = tokio::select! {
                () = self.stopping.cancelled() => return Err(stopping()),
                () = sleep_until(expires) => {
                    let now = Instant::now();
                    self.portals.values_mut().for_each(|portal| portal.expire(now));
                    continue;
                }
                said = self.wire.typed() => said?,
            };
            let Some((letter, body)) = said else { return Ok(()) };
            let message = Message::read(letter, body)?;
            if message == Message::Terminate {
                return Ok(());
            }
            if self.is_skipping && message != Message::Sync {
                continue;
            }
            let is_simple = matches!(message, Message::Query(_) | Message::Call);
            match self.handle(message).await {
                Ok(()) => {}
                Err(Fault::Refused(refused)) => self.tell(&refused, is_simple).await?,
                Err(fault) => return Err(fault),
            }
            self.wire.send_piece().await?;
        }
    }

    async fn handle(&mut self, message: Message) -> Result<(), Fault> {
        match message {
            Message::Query(text) => self.query(&text).await,
            Message::Parse { name, text, types } => self.parse(name, &text, &types).await,
            Message::Bind(bind) => self.bind(bind),
            Message::Describe(target, name) => self.describe(target, &name),
            Message::Execute { portal, rows_max } => self.execute(&portal, rows_max).await,
            Message::Close(target, name) => {
                self.close(target, &name);
                Ok(())
            }
            Message::Flush => self.wire.send().await,
            Message::Sync => self.sync().await,
            Message::Call => {
                Err(refused("0A000", "functions are called within statements only").into())
            }
            Message::Terminate | Message::Other => Ok(()),
        }
    }

    /// Tells of an error that the connection survives.
    async fn tell(&mut self, refused: &Refused, is_simple: bool) -> Result<(), Fault> {
        reply::error(&mut self.wire.outbox, Severity::Error, refused);
        if self.standing == Standing::Within {
            self.standing = Standing::Failed;
        }
        self.is_skipping = !is_simple;
        if is_simple {
            return self.ready().await;
        }
        self.wire.send().await
    }

    /// The client's turn.
    pub(crate) async fn ready(&mut self) -> Result<(), Fault> {
        if self.standing == Standing::Idle {
            // What was begun outside of a transaction ends with its message.
            self.portals.clear();
        }
        reply::ready(&mut self.wire.outbox, self.standing);
        self.wire.send().await
    }

    async fn sync(&mut self) -> Result<(), Fault> {
        self.is_skipping = false;
        self.ready().await
    }

    /// Waits for something that a statement does: until it is done, cancelled, out of time, or nobody is there any more.
    pub(crate) async fn wait<T>(
        wire: &mut Wire<S>,
        (running, stopped): (&CancellationToken, &CancellationToken),
        until: Option<Instant>,
        work: impl Future<Output = T>,
    ) -> Result<T, Fault> {
        tokio::select! {
            biased;
            () = running.cancelled() => Err(canceled("the client asked for it")),
            () = stopped.cancelled() => Err(stopping()),
            done = work => Ok(done),
            () = sleep_until(until) => Err(canceled(TIME_IS_OVER)),
            () = wire.gone() => Err(Fault::Gone),
        }
    }

    /// Sends a piece of an answer, under the same conditions. What was not sent is still there to be sent.
    pub(crate) async fn send_piece(
        wire: &mut Wire<S>,
        (running, stopped): (&CancellationToken, &CancellationToken),
        until: Option<Instant>,
    ) -> Result<(), Fault> {
        tokio::select! {
            biased;
            () = running.cancelled() => Err(canceled("the client asked for it")),
            () = stopped.cancelled() => Err(stopping()),
            () = sleep_until(until) => Err(canceled(TIME_IS_OVER)),
            sent = wire.send_piece() => sent,
        }
    }

    pub(crate) fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }
}

const TIME_IS_OVER: &str = "statement_timeout, or the time that statements have, is over";

async fn sleep_until(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}

fn canceled(why: &str) -> Fault {
    let error = Error::new(ErrorCode::QueryTooLong, format!("the statement was cancelled: {why}"));
    Fault::Refused(Refused { state: "57014", error })
}

#[cfg(test)]
#[path = "connection_test.rs"]
mod tests;
