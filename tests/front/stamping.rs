//! Stamps that ttguard gives: clients stamp nothing, and see no stamp.

mod conformance;
mod moving;
mod ordered;
mod story;

/// What has ttguard give the stamps.
const GIVEN: &str = "[stamp]\nsource = \"edge\"\n";
