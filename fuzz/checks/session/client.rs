//! A client: what it has sent, and what it was told.

use bytes::BytesMut;
use ttguard::config::Settings;
use ttguard::protocol::outgoing::Outgoing;
use ttguard::transport::{Reader, Writer};

use super::answers;

/// One client.
pub struct Client {
    reader: Option<Reader>,
    writer: Option<Writer>,
    sent: Vec<u8>,
    told: BytesMut,
    /// It went away before its time.
    is_gone: bool,
}

impl Client {
    pub fn new((reader, writer): (Reader, Writer)) -> Self {
        Self {
            reader: Some(reader),
            writer: Some(writer),
            sent: Vec::new(),
            told: BytesMut::new(),
            is_gone: false,
        }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        let mut out = Outgoing::new();
        out.put_slice(bytes);
        if let Some(writer) = &self.writer
            && writer.write_ready(&mut out).is_ok()
        {
            self.sent.extend_from_slice(bytes);
        }
    }

    pub fn finish(&mut self) {
        if let Some(writer) = &self.writer {
            let _ = writer.shutdown_write();
        }
    }

    pub fn reset(&mut self) {
        self.is_gone = true;
        self.reader = None;
        if let Some(writer) = self.writer.take() {
            writer.reset();
        }
    }

    /// Hears what it is told until the end.
    pub async fn hear_all(&mut self) {
        if let Some(reader) = &mut self.reader {
            while let Ok(1..) = reader.read(&mut self.told).await {}
        }
    }

    /// Checks what it was told. `may_fail` says that its session may have ended without any fault of its own.
    pub fn check(self, settings: &Settings, may_fail: bool) {
        if !self.is_gone {
            let dialect = settings.listeners[0].dialect;
            answers::check(&self.sent, &self.told, dialect, may_fail);
        }
    }
}
