//! Requests in the layouts of an older server, with fewer fields than today's.

use bytes::{Bytes, BytesMut};
use nom::number::streaming::{be_i32, be_u64};

use super::super::sizes::header;
use super::{Decoded, PREFIX, RequestDecoder, RequestFault};
use crate::command::Command;

impl RequestDecoder {
    /// `setmst` without timestamp and options.
    pub(super) fn short_setmst(&self, input: &mut BytesMut) -> Decoded {
        let Some((host, port)) = header((be_i32, be_i32), input.get(PREFIX..)) else {
            return Ok(None);
        };
        let sizes = [self.limits.argument(host)?];
        if port < 0 {
            return Err(RequestFault::NegativePort(port));
        }
        let command = |[host]: [Bytes; 1]| Command::SetMst {
            host,
            port,
            timestamp: 0,
            options: 0,
        };
        Ok(self.cut(input, 8, sizes)?.map(command))
    }

    /// `restore` without options.
    pub(super) fn short_restore(&self, input: &mut BytesMut) -> Decoded {
        let Some((path, timestamp)) = header((be_i32, be_u64), input.get(PREFIX..)) else {
            return Ok(None);
        };
        let sizes = [self.limits.argument(path)?];
        let command = |[path]: [Bytes; 1]| Command::Restore {
            path,
            timestamp,
            options: 0,
        };
        Ok(self.cut(input, 12, sizes)?.map(command))
    }
}

/// Whether the first byte of the argument behind one size is NUL.
pub(super) fn begins_with_nul(input: &BytesMut) -> bool {
    let size = input.get(PREFIX..PREFIX + 4);
    size.is_some_and(|size| size != [0; 4]) && input.get(PREFIX + 4) == Some(&0)
}
