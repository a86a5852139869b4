//! STUB
use super::protocol::*;
use redis::aio::MultiplexedConnection;
#[derive(Debug)]
pub(super) struct Keys;
impl Keys {
    pub(super) fn new(_n: &str, _r: &str) -> Self { Self }
    pub(super) fn slot(&self) -> u16 { 0 }
    pub(super) fn is_on_cluster(&self) -> bool { false }
    pub(super) fn set_on_cluster(&self) {}
}
pub(super) async fn attach(_c: &mut MultiplexedConnection, _k: &Keys, _a: &Attach<'_>) -> redis::RedisResult<Reply> { todo!() }
pub(super) async fn operate(_c: &mut MultiplexedConnection, _k: &Keys, _a: &Operation<'_>) -> redis::RedisResult<Reply> { todo!() }
pub(super) async fn leave(_c: &mut MultiplexedConnection, _k: &Keys, _s: &str, _o: u64) -> redis::RedisResult<()> { todo!() }
impl Config { pub(super) fn check(&self) -> Result<(), String> { Ok(()) } }
impl Granted { pub(super) fn pushed(_w: &str) -> Option<Self> { None } }
