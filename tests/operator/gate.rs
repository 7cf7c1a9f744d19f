//! A second way to the shop that keeps back the answers: the shop does what was asked, and the
//! caller waits until a test opens the gate.

use std::net::SocketAddr;

use tokio::{
    io::copy,
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// A second address of a shop.
pub struct Gate {
    pub address: SocketAddr,
    open: watch::Sender<bool>,
}

impl Gate {
    /// Creates a closed gate.
    pub async fn before(shop: SocketAddr) -> Self {
        let listener = TcpListener::bind((shop.ip(), 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (open, opened) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((caller, _)) = listener.accept().await {
                tokio::spawn(pass(caller, shop, opened.clone()));
            }
        });
        Self { address, open }
    }

    /// Lets all answers through: those that were kept back, and all later ones.
    pub fn open(&self) {
        self.open.send_replace(true);
    }
}

async fn pass(caller: TcpStream, shop: SocketAddr, mut opened: watch::Receiver<bool>) {
    let Ok(shop) = TcpStream::connect(shop).await else { return };
    let ((mut from_caller, mut to_caller), (mut from_shop, mut to_shop)) =
        (caller.into_split(), shop.into_split());
    // Either side may close its connection. The other side then notices the closed connection.
    tokio::spawn(async move { copy(&mut from_caller, &mut to_shop).await });
    if opened.wait_for(|open| *open).await.is_ok() {
        let _ = copy(&mut from_shop, &mut to_caller).await;
    }
}
