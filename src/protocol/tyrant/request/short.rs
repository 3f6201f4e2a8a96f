//! Requests in the layouts of an older server, with fewer fields than today's.

use bytes::{Bytes, BytesMut};
use nom::number::streaming::{be_i32, be_u64};

use super::super::sizes::header;
use super::{Decoded, PREFIX, RequestDecoder, RequestFault};
use crate::command::{Command, Verb};

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
    /// `copy`, or a `restore` without options under its number. Both begin with the size of a path; what follows tells
    /// which it is: no path begins with NUL, and every timestamp does. Until that byte is there nobody can say more
    /// than that the size is within bounds.
    pub(super) fn copy_or_restore(&mut self, input: &mut BytesMut) -> Decoded {
        let Some(size) = header(be_i32, input.get(PREFIX..)) else {
            return Ok(None);
        };
        match (self.limits.argument(size)?, input.get(PREFIX + 4)) {
            (1.., None) => Ok(None),
            (1.., Some(0)) => self.short_restore(input),
            _ => self.body(Verb::Copy, input),
        }
    }
}
