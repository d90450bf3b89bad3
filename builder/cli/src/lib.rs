//! Mail appliances from one file.
