//! What the crate gives to others, judged by snapshots and by the tools that read the files:
//! systemd-analyze, systemd-repart, nft, sshd. A tool that is not installed judges nothing; what
//! is expected of its file is in the snapshots all the same.

#[cfg(test)]
mod acme;
#[cfg(test)]
mod clamav;
#[cfg(test)]
mod contracts;
#[cfg(test)]
mod disk;
#[cfg(test)]
mod firewall;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod judge_mail_server;
#[cfg(test)]
mod mail_server;
#[cfg(test)]
mod snapshots;
#[cfg(test)]
mod ssh;
#[cfg(test)]
mod systemd;
#[cfg(test)]
mod web;
