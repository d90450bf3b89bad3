//! What the crate gives to others, judged by snapshots and by the tools that read the files:
//! systemd-analyze, systemd-repart, nft, sshd. A tool that is not installed judges nothing; what
//! is expected of its file is in the snapshots all the same.

mod contracts;
mod disk;
mod firewall;
mod fixture;
mod judge_mail_server;
mod mail_server;
mod snapshots;
mod ssh;
mod systemd;
