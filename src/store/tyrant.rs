//! A Tyrant server behind pipelined lanes, with connections of their own for what is slow.
//!
//! A [link](link::Link) keeps one [lane](lane::Lane) up: it connects, [greets](greeting) the server, lets the lane carry
//! requests until something is wrong with it, [fences](fence) it, and begins again, [not too soon](backoff). A lane that
//! was given up never delivers another answer. A busy lane is [primed](priming). Slow commands have
//! [connections of their own](dedicated). The server's name is [looked up](names) once for all of them.

pub mod backoff;
pub mod dedicated;
pub mod fence;
pub mod greeting;
pub mod lane;
pub mod link;
pub mod links;
pub mod names;
pub mod priming;
