//! Something that stands between a server and whoever asks it, on loopback.

use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};

/// Takes connections in a runtime of its own, for a test's thread also waits for processes. It ends with the test, and all
/// connections with it.
pub struct Between {
    pub url: String,
    runtime: Option<Runtime>,
}

impl Between {
    /// Every connection goes to `serve`.
    pub fn start<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                tokio::spawn(serve(stream));
            }
        });
        Self { url, runtime: Some(runtime) }
    }
}

impl Drop for Between {
    fn drop(&mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }
}

/// Where the server at `url` listens.
pub fn address(url: &str) -> std::net::SocketAddr {
    url.split("//").nth(1).unwrap().parse().unwrap()
}
