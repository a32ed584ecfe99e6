//! serve
use super::*;
#[derive(Debug, clap::Args)]
pub struct Args {}
impl Args { pub fn set(&self, _flags: &mut Overrides) {} }
pub fn run(_config: Config) -> Result<Exit, Failure> { Ok(Exit::Done) }
