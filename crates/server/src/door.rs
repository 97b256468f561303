//! Who gets in: so many connections at a time, each of which has to begin speaking soon.

use std::{
    io::{self, ErrorKind, IoSlice},
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use axum_server::{AddrListener, Address, accept::Accept};
use futures_util::future::BoxFuture;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Sleep, sleep},
};

use crate::system::is_out_of_files;

/// How long a connection may take for its first bytes.
const FIRST: Duration = Duration::from_secs(30);

/// How many bytes those are: as many as tell HTTP/2 from HTTP/1. From there on HTTP has its own timeouts.
const FIRST_BYTES: usize = 24;

/// How long the other side may leave what was sent to it unread.
#[cfg(target_os = "linux")]
const UNREAD: Duration = Duration::from_secs(60);

/// Where somebody comes from.
#[derive(Clone, Copy, Debug)]
pub struct Origin(pub SocketAddr);

/// Before the door: takes connections, and says so when there are none to be had.
pub struct Threshold {
    listener: TcpListener,
    /// Whether it was said why none can be taken.
    told: AtomicBool,
}

impl Threshold {
    /// Where `listener` listens.
    pub fn new(listener: TcpListener) -> Self {
        Self { listener, told: AtomicBool::new(false) }
    }

    /// Says once why no connection can be taken, and again after one could.
    fn tell(&self, error: &io::Error) {
        if !self.told.swap(true, Ordering::Relaxed) {
            let remedy = if is_out_of_files(error) { "; raise the limit (ulimit -n)" } else { "" };
            tracing::error!("no connection can be taken: {error}{remedy}; trying again");
        }
    }
}

impl Address for Origin {
    type Stream = TcpStream;
    type Listener = Threshold;
}

impl AddrListener<TcpStream, Origin> for Threshold {
    async fn bind_to(Origin(address): Origin) -> io::Result<Self> {
        TcpListener::bind(address).await.map(Self::new)
    }

    async fn accept_stream(&self) -> io::Result<(TcpStream, Origin)> {
        let accepted = self.listener.accept().await.inspect_err(|error| self.tell(error));
        self.told.fetch_and(accepted.is_err(), Ordering::Relaxed);
        accepted.map(|(stream, address)| (stream, Origin(address)))
    }

    fn get_local_addr(&self) -> io::Result<Origin> {
        self.listener.local_addr().map(Origin)
    }
}

/// Lets connections in, and then through `A`.
#[derive(Clone)]
pub struct Door<A> {
    inner: A,
    places: Arc<Semaphore>,
}

impl<A> Door<A> {
    /// A door with these places behind it.
    pub fn new(inner: A, places: Arc<Semaphore>) -> Self {
        Self { inner, places }
    }
}

impl<A, S> Accept<TcpStream, S> for Door<A>
where
    A: Accept<TcpStream, S>,
    A::Future: Send + 'static,
    A::Stream: Send,
    A::Service: Send,
{
    type Stream = Guest<A::Stream>;
    type Service = A::Service;
    type Future = BoxFuture<'static, io::Result<(Self::Stream, Self::Service)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            tracing::warn!("a connection was turned away: as many are open as --max-connections allows");
            return Box::pin(async { Err(ErrorKind::ConnectionRefused.into()) });
        };
        limit(&stream);
        let accepted = self.inner.accept(stream, service);
        Box::pin(async {
            let (stream, service) = accepted.await?;
            Ok((Guest::new(stream, place, FIRST), service))
        })
    }
}

/// Closes a connection whose other side takes nothing: it would hold what is to be sent for ever.
fn limit(stream: &TcpStream) {
    #[cfg(target_os = "linux")]
    if let Err(error) = socket2::SockRef::from(stream).set_tcp_user_timeout(Some(UNREAD)) {
        tracing::debug!("no timeout for what is unread: {error}");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = stream;
}

/// A connection that was let in.
pub struct Guest<S> {
    stream: S,
    /// Until its first bytes are there: how many are to come, and until when.
    awaited: Option<(usize, Pin<Box<Sleep>>)>,
    _place: OwnedSemaphorePermit,
}

impl<S> Guest<S> {
    fn new(stream: S, place: OwnedSemaphorePermit, first: Duration) -> Self {
        Self { stream, awaited: Some((FIRST_BYTES, Box::pin(sleep(first)))), _place: place }
    }

    /// Notes that so many bytes were read.
    fn heard(&mut self, bytes: usize) {
        self.awaited.take_if(|(left, _)| {
            *left = left.saturating_sub(bytes);
            *left == 0
        });
    }

    /// Fails once the first bytes are overdue.
    fn overdue(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some((_, until)) = &mut self.awaited else { return Poll::Pending };
        ready!(until.as_mut().poll(context));
        Poll::Ready(Err(ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guest<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(context, buffer) {
            Poll::Pending => self.overdue(context),
            read => {
                self.heard(buffer.filled().len() - before);
                read
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guest<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use axum_server::accept::DefaultAcceptor;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _, duplex},
        net::TcpListener,
    };

    use super::*;

    fn place() -> OwnedSemaphorePermit {
        Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap()
    }

    #[tokio::test]
    async fn who_says_too_little_at_first_is_not_waited_for() {
        for said in [&b""[..], b"PRI * HT"] {
            let (mut theirs, ours) = duplex(64);
            theirs.write_all(said).await.unwrap();
            let mut guest = Guest::new(ours, place(), Duration::from_millis(20));
            let error = guest.read_to_end(&mut vec![]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TimedOut);
        }
    }

    #[tokio::test]
    async fn who_has_begun_may_pause() {
        let (mut theirs, ours) = duplex(64);
        let mut guest = Guest::new(ours, place(), FIRST);
        theirs.write_all(b"GET /healthz HTTP/1.1\r\n").await.unwrap();
        let mut head = [0; 23];
        guest.read_exact(&mut head).await.unwrap();
        assert!(guest.awaited.is_some());
        theirs.write_all(b"host: h").await.unwrap();
        guest.read_exact(&mut head[..7]).await.unwrap();
        assert!(guest.awaited.is_none(), "from here on HTTP's own timeouts count");
    }

    #[tokio::test]
    async fn a_listener_that_fails_is_told_of_once_until_it_works_again() {
        let threshold = Threshold::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
        let Origin(address) = threshold.get_local_addr().unwrap();
        for _ in 0..2 {
            threshold.tell(&io::Error::from_raw_os_error(24));
            assert!(threshold.told.load(Ordering::Relaxed));
        }
        let (_theirs, accepted) = tokio::join!(TcpStream::connect(address), threshold.accept_stream());
        assert!(accepted.is_ok() && !threshold.told.load(Ordering::Relaxed));
    }

    #[tokio::test]
    async fn there_are_so_many_places() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let door = Door::new(DefaultAcceptor::new(), Arc::new(Semaphore::new(1)));
        let address = listener.local_addr().unwrap();
        let connect = async || {
            let (theirs, ours) = tokio::join!(TcpStream::connect(address), listener.accept());
            (theirs.unwrap(), ours.unwrap().0)
        };
        let (_first, ours) = connect().await;
        let guest = door.accept(ours, ()).await.unwrap();
        let (mut second, ours) = connect().await;
        assert!(door.accept(ours, ()).await.is_err());
        assert_eq!(second.read(&mut [0]).await.unwrap_or(0), 0, "it is closed");
        drop(guest);
        let (_third, ours) = connect().await;
        assert!(door.accept(ours, ()).await.is_ok());
    }
}
