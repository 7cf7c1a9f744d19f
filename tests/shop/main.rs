//! The sample shop: the services that the sample sagas call, in memory. Its ledger shows all calls
//! and their callers.
//!
//! ```text
//! cargo run --example shop -- --listen 127.0.0.1:8090
//! curl -s 127.0.0.1:8090/ledger/summary
//! ```

use std::{io, net::SocketAddr, path::PathBuf};

use clap::Parser;
use tokio::{net::TcpListener, task::JoinSet};

#[path = "mod.rs"]
mod shop;

/// The sample shop: stock, payments, shipping, mail and a database, in memory.
#[derive(Parser)]
struct Arguments {
    /// The address to listen on. May be given several times. Port 0 takes a free port.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8090")]
    listen: Vec<SocketAddr>,
    /// A file to which each entry of the ledger is appended as one line of JSON.
    #[arg(long, value_name = "PATH")]
    ledger_file: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let Arguments { listen, ledger_file } = Arguments::parse();
    let shop = match ledger_file {
        Some(path) => shop::Shop::with_ledger_file(&path)?,
        None => shop::Shop::default(),
    };
    let mut listeners = JoinSet::new();
    for address in listen {
        let listener = TcpListener::bind(address).await?;
        println!("the shop listens on http://{}", listener.local_addr()?);
        listeners.spawn(shop::serve(listener, shop.clone()));
    }
    while listeners.join_next().await.is_some() {}
    Ok(())
}
