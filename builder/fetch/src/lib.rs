//! The content-addressed cache and the downloads that fill it.
