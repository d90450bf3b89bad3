//! Clients of the servers that hold the mail: IMAP, submission, ManageSieve.
