//! The connection between operators and the API server, which a test can cut.

use std::{net::SocketAddr, path::Path};

use kube::config::Kubeconfig;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::stand::{Stand, setting};

/// A connection to the API server. The value `true` means that data passes.
pub struct Line(watch::Sender<bool>);

impl Line {
    /// Creates a connection. Operators of this stand that are started later reach the API server by
    /// this connection alone.
    pub async fn of(stand: &mut Stand) -> Self {
        let mut kubeconfig =
            Kubeconfig::read_from(setting("SAGA_TEST_OPERATOR_KUBECONFIG")).unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let server = kubeconfig.clusters[0]
            .cluster
            .as_mut()
            .and_then(|cluster| cluster.server.as_mut())
            .unwrap();
        let api_server = server.trim_start_matches("https://").trim_end_matches('/').to_owned();
        *server = format!("https://{}", listener.local_addr().unwrap());
        let path =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.kubeconfig", stand.namespace));
        std::fs::write(&path, serde_json::to_string(&kubeconfig).unwrap()).unwrap();
        stand.operator_kubeconfig = path;
        let (whole, is_whole) = watch::channel(true);
        tokio::spawn(async move {
            let api_server: SocketAddr = api_server.parse().unwrap();
            while let Ok((caller, _)) = listener.accept().await {
                tokio::spawn(pass(caller, api_server, is_whole.clone()));
            }
        });
        Self(whole)
    }

    /// Cuts the connection: no more data passes.
    pub fn cut(&self) {
        self.0.send_replace(false);
    }

    /// Restores the connection: data that is sent later passes.
    pub fn restore(&self) {
        self.0.send_replace(true);
    }
}

async fn pass(mut caller: TcpStream, api_server: SocketAddr, mut whole: watch::Receiver<bool>) {
    if !*whole.borrow_and_update() {
        return;
    }
    let Ok(mut api_server) = TcpStream::connect(api_server).await else { return };
    tokio::select! {
        _ = copy_bidirectional(&mut caller, &mut api_server) => {}
        _ = whole.wait_for(|whole| !whole) => {}
    }
}
