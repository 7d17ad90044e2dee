//! A server between a client and its server that breaks what a test tells it to. Plain threads; ends with its value.
//!
//! It reads HTTP, one request a connection, and asks the plan what is to become of each. What is no HTTP, such as SSH, passes as bytes, of
//! which the plan counts.

use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::{http, raw};

pub use crate::http::{Fault, Plan, Request, UNAVAILABLE, first, some};

/// A running proxy.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Set at the end, and looked at by all that wait.
    pub(crate) ended: AtomicBool,
    pub(crate) broken: AtomicUsize,
    pub(crate) passed_down: AtomicUsize,
}

impl Proxy {
    /// Passes HTTP on to `upstream` (`127.0.0.1:8333`), as the plan says.
    ///
    /// # Errors
    /// When no port is free.
    pub fn http(upstream: &str, plan: Plan) -> Result<Self> {
        let plan = Mutex::new(plan);
        let upstream = upstream.to_owned();
        Self::listen(listener(0)?, move |client, shared| http::pass(&client, &upstream, &plan, shared))
    }

    /// Passes bytes on to `upstream`; the plan sees the number of each connection, from 0 on.
    ///
    /// # Errors
    /// When no port is free.
    pub fn raw(upstream: &str, plan: impl FnMut(usize) -> Option<raw::Fault> + Send + 'static) -> Result<Self> {
        let (upstream, state) = (upstream.to_owned(), Mutex::new((0, plan)));
        Self::listen(listener(0)?, move |client, shared| {
            let fault = {
                let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                state.0 += 1;
                let number = state.0 - 1;
                (state.1)(number)
            };
            raw::pass(&client, &upstream, fault, shared)
        })
    }

    /// Refuses connections for this time, and is nothing but a way through after it.
    ///
    /// # Errors
    /// When no port is free.
    pub fn late(upstream: &str, after: Duration) -> Result<Self> {
        let address = closed()?;
        let (upstream, shared) = (upstream.to_owned(), Arc::new(Shared::default()));
        let own = Arc::clone(&shared);
        thread::spawn(move || {
            thread::sleep(after);
            let Ok(listener) = listener(address.port()) else { return };
            accept(
                &listener,
                &own,
                &Arc::new(move |client: TcpStream, shared: &Shared| raw::pass(&client, &upstream, None, shared)),
            );
        });
        Ok(Self { address, shared })
    }

    fn listen<W>(listener: TcpListener, work: W) -> Result<Self>
    where
        W: Fn(TcpStream, &Shared) -> std::io::Result<()> + Send + Sync + 'static,
    {
        let (address, shared) =
            (listener.local_addr().context("finding the proxy's port")?, Arc::new(Shared::default()));
        let (own, work) = (Arc::clone(&shared), Arc::new(work));
        thread::spawn(move || accept(&listener, &own, &work));
        Ok(Self { address, shared })
    }

    /// Listens until the process ends. Returns where, as [`Proxy::address`] does.
    #[must_use]
    pub fn stay(self) -> String {
        let address = self.address();
        std::mem::forget(self);
        address
    }

    /// Where it listens: `127.0.0.1:12345`.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// How many requests or connections were broken so far.
    #[must_use]
    pub fn broken(&self) -> usize {
        self.shared.broken.load(Ordering::SeqCst)
    }

    /// How many bytes went back to clients so far, where bytes are passed.
    #[must_use]
    pub fn passed_down(&self) -> usize {
        self.shared.passed_down.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // wakes whoever accepts
        let _nobody_there = TcpStream::connect(self.address);
    }
}

/// An address at which nobody listens.
///
/// # Errors
/// When no port is free.
pub fn closed() -> Result<SocketAddr> {
    listener(0)?.local_addr().context("finding a free port")
}

fn listener(port: u16) -> Result<TcpListener> {
    TcpListener::bind(("127.0.0.1", port)).context("opening a port for the proxy")
}

fn accept<W>(listener: &TcpListener, shared: &Arc<Shared>, work: &Arc<W>)
where
    W: Fn(TcpStream, &Shared) -> std::io::Result<()> + Send + Sync + 'static,
{
    for client in listener.incoming().flatten() {
        if shared.ended.load(Ordering::SeqCst) {
            return;
        }
        let (shared, work) = (Arc::clone(shared), Arc::clone(work));
        // a client that goes away is the client's affair
        thread::spawn(move || drop(work(client, &shared)));
    }
}

/// Waits until the other side hangs up, or the proxy ends.
pub(crate) fn hold(mut stream: &TcpStream, shared: &Shared) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_millis(50)))?;
    let mut piece = [0; 65_536];
    while !shared.ended.load(Ordering::SeqCst) {
        match stream.read(&mut piece) {
            Ok(0) => return Ok(()),
            Err(cause) if cause.kind() != std::io::ErrorKind::WouldBlock => return Err(cause),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(())
}
