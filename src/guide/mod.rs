//! Pages of the guide that concern a part of the users.

pub mod grpc;
