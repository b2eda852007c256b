//! The listener towards the operator's cloud, which can also be absent: no listener, or SYNs are dropped. Its port
//! stays reserved all the time.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    time::timeout,
};

use super::{
    Shared, cloud,
    plan::{Fault, Kind},
};

/// An operator that could not connect reports so in status long before that.
const BACK_AT_LATEST: Duration = Duration::from_secs(15);

/// A port that is kept, and opened and closed on demand.
pub struct Front {
    address: SocketAddr,
    /// Bound, not listening: no other process gets the port.
    _kept: TcpSocket,
}

impl Front {
    /// A free port of loopback.
    pub fn reserve() -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseport(true)?;
        socket.bind(([127, 0, 0, 1], 0).into())?;
        Ok(Self { address: socket.local_addr()?, _kept: socket })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn listen(&self, backlog: u32) -> io::Result<TcpListener> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseport(true)?;
        socket.set_reuseaddr(true)?;
        socket.bind(self.address)?;
        socket.listen(backlog)
    }

    /// Accepts without end; the plan's fault for the next connection decides how.
    pub async fn serve(self, shared: Arc<Shared>) -> io::Result<()> {
        let mut changes = shared.armed.changes();
        let mut listener = self.listen(128)?;
        loop {
            changes.borrow_and_update();
            let away = shared.armed.next(Kind::Connect).filter(|fault| matches!(fault, Fault::Refuse | Fault::DropSyn));
            if let Some(fault) = away {
                drop(listener);
                shared.armed.come(Kind::Connect);
                shared.record.struck();
                self.away(fault, &shared).await?;
                listener = self.listen(128)?;
            }
            let stream = tokio::select! {
                accepted = listener.accept() => accepted?.0,
                _ = changes.changed() => continue,
            };
            let _ = stream.set_nodelay(true);
            let (number, fault) = shared.armed.come(Kind::Connect);
            if let Some(fault) = fault {
                shared.record.trace(format_args!("{} connect#{number} <- {}", shared.name, fault.word()));
                shared.record.struck();
            }
            let stop = shared.stop.clone();
            tokio::spawn(stop.run_until_cancelled_owned(cloud::connection(stream, fault, Arc::clone(&shared))));
        }
    }

    /// Absent until an operator has reported it in a status.
    async fn away(&self, fault: Fault, shared: &Shared) -> io::Result<()> {
        shared.record.trace(format_args!("{} the cloud is away: {}", shared.name, fault.word()));
        let mut noticed = shared.record.not_sent();
        noticed.borrow_and_update();
        let _full = if fault == Fault::DropSyn { Some(self.full().await?) } else { None };
        let _ = timeout(BACK_AT_LATEST, noticed.changed()).await;
        shared.record.trace(format_args!("{} the cloud is back", shared.name));
        Ok(())
    }

    /// A listener whose queue is full: Linux drops the SYNs of new connections.
    async fn full(&self) -> io::Result<(TcpListener, Vec<TcpStream>)> {
        let listener = self.listen(0)?;
        let mut waiting = Vec::new();
        // A reset connection belonged to the listener that has just been closed.
        while let Ok(stream) = timeout(Duration::from_millis(200), TcpStream::connect(self.address)).await {
            waiting.extend(stream.ok());
        }
        Ok((listener, waiting))
    }
}
