//! Edges: what stands beside applications, asks a guard and judges nothing; and the link by which it asks.

mod answers;
mod behalf;
mod claimants;
mod failover;
mod identity;
mod link;
mod story;
mod support;
