//! The pages against the real mail server.
