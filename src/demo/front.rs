//! ttguard itself, in this process and on free ports.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::Error;
use super::background::Background;
use super::client::{Client, Fault, PATIENCE};
use crate::config::{Address, ListenerSettings, Settings};
use crate::front::server::Server;

/// A proxy that serves until it is dropped.
pub struct Front {
    host_port: String,
    admin: SocketAddr,
    _server: Background,
}

impl Front {
    /// Starts a proxy with these settings, but for its addresses.
    pub fn start(settings: Settings) -> Result<Self, Error> {
        let server = Server::start(Settings {
            listeners: vec![ListenerSettings::new(Address::Tcp("127.0.0.1:0".to_owned()))],
            admin: Some("127.0.0.1:0".to_owned()),
            ..settings
        })?;
        let (Some(host_port), Some(admin)) = (server.listen.first().map(Address::to_string), server.admin_address)
        else {
            return Err(Error::Surprise("the proxy listens nowhere".to_owned()));
        };
        let serve = move |stop| {
            server.run_until(async move {
                let _: Result<(), _> = stop.await;
            })
        };
        Ok(Self {
            host_port,
            admin,
            _server: Background::start("demo-proxy", serve).map_err(Error::Stage)?,
        })
    }

    /// A client of it.
    pub fn client(&self) -> Result<Client, Fault> {
        Client::connect(&self.host_port)
    }

    /// The line of `/metrics` that begins with this name and these labels.
    pub fn metric(&self, series: &str) -> Result<String, Error> {
        let page = self.page("/metrics")?;
        let line = page.lines().find(|line| line.starts_with(series));
        let missing = || Error::Surprise(format!("/metrics has no {series}"));
        line.map(str::to_owned).ok_or_else(missing)
    }

    fn page(&self, path: &str) -> Result<String, Fault> {
        let mut stream = TcpStream::connect(self.admin)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let host = self.admin;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        )?;
        let mut page = String::new();
        stream.read_to_string(&mut page)?;
        Ok(page)
    }
}
